"""Points of the views as points of a node that may stand under a transform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import slicer
import vtk


def point_of_node(world: Sequence[float], node: Any) -> tuple[float, ...]:
    """A point of the views (mm, RAS) as RAS of the node itself, without its parent transform, linear or not."""
    return _moved(world, None, node.GetParentTransformNode())


def point_of_scene(point: Sequence[float], node: Any) -> tuple[float, ...]:
    """The way back: a point of a node (mm, RAS of the node itself) as one of the views."""
    return _moved(point, node.GetParentTransformNode(), None)


def _moved(point: Sequence[float], start: Any, end: Any) -> tuple[float, ...]:
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(start, end, transform)
    return tuple(transform.TransformPoint(point))
