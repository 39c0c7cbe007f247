"""Pieces of a scene: a result with its CT, and a CT that was moved."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from lnhg.core.result import Result
from LNHGSlicerLib.scene import nodes as scene


def added(result: Result, name: str = "CT", **more: Any) -> scene.SceneNodes:
    """The nodes of a result, on a CT node of its own called `name`; `more` as `add_result` takes it."""
    return scene.add_result(scene.add_ct(result.ct.hu, result.ct.ijk_to_ras, name), result, **more)


def put_under_transform(node: Any) -> Any:
    """Put a node under a transform that moves it by 100 mm to the patient's right; returns the transform node."""
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    moved = vtk.vtkTransform()
    moved.Translate(100, 0, 0)
    transform.SetMatrixTransformToParent(moved.GetMatrix())
    node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


def on_ct_grid(ct_node: Any, volume_node: Any) -> Any:
    """A map `[slice, row, column]` on the whole grid of the CT."""
    size = ct_node.GetImageData().GetDimensions()[::-1]
    return scene.values_in(ct_node, volume_node, tuple(slice(0, one) for one in size))
