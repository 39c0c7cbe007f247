"""Points of the views as points of a node that may stand under a transform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import slicer
import vtk


def point_of_node(world: Sequence[float], node: Any) -> tuple[float, ...]:
    """A point of the views (mm, RAS) as RAS of the node itself, without its parent transform, linear or not."""
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(None, node.GetParentTransformNode(), transform)
    return tuple(transform.TransformPoint(world))
