"""The views of the scene: centring them on a point, and putting back what was changed in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer

# What is remembered of each node, as the names of its Get and Set methods. The layout comes first: it makes views.
_PROPERTIES = {
    "vtkMRMLLayoutNode": ("ViewArrangement",),
    "vtkMRMLScalarVolumeDisplayNode": ("AutoWindowLevel", "Window", "Level"),
    "vtkMRMLSliceCompositeNode": (
        "BackgroundVolumeID",
        "ForegroundVolumeID",
        "LabelVolumeID",
        "ForegroundOpacity",
        "LabelOpacity",
        "LinkedControl",
    ),
    "vtkMRMLSliceNode": (
        "FieldOfView",
        "XYZOrigin",
        "SlabReconstructionEnabled",
        "SlabReconstructionType",
        "SlabReconstructionThickness",
        "SlabReconstructionOversamplingFactor",
    ),
    "vtkMRMLCameraNode": ("Position", "FocalPoint", "ViewUp", "ParallelScale"),
}


def centre_on(ras: Sequence[float], field_mm: float | None = None) -> None:
    """Every slice view passes through the point, which lies in its middle; every 3D view looks at it from where it did.

    `field_mm`: what the shorter side of each slice view then shows; None: as much as before.
    """
    if field_mm is not None:
        for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            across, down, deep = view.GetFieldOfView()
            scale = field_mm / min(across, down)
            view.SetFieldOfView(across * scale, down * scale, deep)
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *ras, slicer.vtkMRMLSliceNode.CenteredJumpSlice)
    for camera in slicer.util.getNodesByClass("vtkMRMLCameraNode"):
        position = np.add(camera.GetPosition(), np.subtract(ras, camera.GetFocalPoint()))
        camera.SetFocalPoint(*ras)
        camera.SetPosition(*position)
        camera.ResetClippingRange()


def refresh_legends() -> None:
    """Show the legends of what the views show now: Slicer does not look for that of a foreground that was set, or taken
    away, from code until the legend itself is modified.
    """
    for legend in slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode"):
        legend.Modified()


@dataclass(frozen=True)
class _Remembered:
    """What one node was like; `slice_to_ras` is the plane of a slice view, None for other nodes."""

    node_id: str
    values: dict[str, Any]
    slice_to_ras: np.ndarray | None


class ViewMemory:
    """The views as the reader left them, until they are put back or the scene is closed."""

    def __init__(self) -> None:
        self._remembered: list[_Remembered] = []
        self._observer: int | None = None

    @property
    def can_restore(self) -> bool:
        """Whether anything is remembered."""
        return bool(self._remembered)

    def remember(self) -> None:
        """Keep layout, windows, planes, slabs, layers and cameras as they are now; does nothing while others are kept.

        To be called before each change: what is kept is what the reader had before the first.
        """
        if self.can_restore:
            return
        for class_name, names in _PROPERTIES.items():
            self._remembered += [_remembered(node, names) for node in slicer.util.getNodesByClass(class_name)]
        # Another scene may use the same node IDs for other things.
        closing = slicer.vtkMRMLScene.StartCloseEvent
        self._observer = slicer.mrmlScene.AddObserver(closing, lambda scene, event: self.forget())

    def restore(self) -> None:
        """Put everything back that is still there, and forget it."""
        for one in self._remembered:
            node = slicer.mrmlScene.GetNodeByID(one.node_id)
            if node is not None:
                _put_back(node, one)
        refresh_legends()
        self.forget()

    def leave_layout(self) -> None:
        """The layout is not put back: it has been brought back already, or what it showed is gone."""
        layouts = {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLLayoutNode")}
        self._remembered = [one for one in self._remembered if one.node_id not in layouts]

    def forget(self) -> None:
        """Leave the views as they are."""
        self._remembered = []
        if self._observer is not None:
            slicer.mrmlScene.RemoveObserver(self._observer)
            self._observer = None


def _remembered(node: Any, names: Sequence[str]) -> _Remembered:
    plane = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()) if node.IsA("vtkMRMLSliceNode") else None
    return _Remembered(node.GetID(), {name: getattr(node, f"Get{name}")() for name in names}, plane)


def _put_back(node: Any, remembered: _Remembered) -> None:
    for name, value in remembered.values.items():
        if name.endswith("VolumeID") and value is not None and not _is_readers_own(value):
            value = None
        getattr(node, f"Set{name}")(value)
    if remembered.slice_to_ras is not None:
        slicer.util.updateVTKMatrixFromArray(node.GetSliceToRAS(), remembered.slice_to_ras)
        node.UpdateMatrices()


def _is_readers_own(volume_id: str) -> bool:
    """Whether a volume is still there, and no map of a result."""
    node = slicer.mrmlScene.GetNodeByID(volume_id)
    return node is not None and node.GetAttribute("LNHG.Version") is None
