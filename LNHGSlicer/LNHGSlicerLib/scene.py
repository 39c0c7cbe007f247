"""A result as nodes of a MRML scene: segmentation, heterogeneity volume with colours, table, and how they are shown.

All of it works on the current scene, `slicer.mrmlScene`: that of the application, or of the headless host.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from lnhg import __version__
from lnhg.ct import CT
from lnhg.errors import InputError, LNHGError
from lnhg.nodules import Nodule, as_row, header
from lnhg.resources import resource
from lnhg.segmentation_file import TERMINOLOGY, segment_color

if TYPE_CHECKING:
    from lnhg.result import Result

# The usual lung window, HU.
_LUNG_WINDOW, _LUNG_LEVEL = 1500, -600
_FOREGROUND_OPACITY = 0.5
_COLORS = "LNHG-Heterogeneity"


@dataclass(frozen=True)
class SceneNodes:
    """The nodes of one result: the CT it was made from and the four that were added."""

    ct: Any
    segmentation: Any
    heterogeneity: Any
    raw_ct: Any
    table: Any


def add_ct(hu: np.ndarray, ijk_to_ras: np.ndarray, name: str) -> Any:
    """A volume node of `hu` `[slice, row, column]` under `ijk_to_ras` (4 x 4, mm), shown with the lung window."""
    node = _add_volume(hu, slicer.util.vtkMatrixFromArray(ijk_to_ras), name)
    display = node.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(_LUNG_WINDOW, _LUNG_LEVEL)
    return node


def ct_of_node(volume_node: Any) -> CT:
    """The CT that a volume node holds, on the node's own grid; values below -1024 HU are padding and become air.

    Raises `InputError` when the node holds no volume, several values a voxel, or values that are not numbers.
    """
    name = volume_node.GetName()
    if volume_node.GetImageData() is None:
        raise InputError(f"The volume {name} is empty; load the CT again.")
    values = slicer.util.arrayFromVolume(volume_node)
    if values.ndim != 3:
        raise InputError(f"The volume {name} has several values a voxel; choose a chest CT in HU.")
    if not np.isfinite(values).all():
        raise InputError(f"The volume {name} holds values that are not numbers; choose a chest CT in HU.")
    hu = np.clip(np.rint(values), -1024, np.iinfo(np.int16).max).astype(np.int16)
    return CT(hu, slicer.util.arrayFromVTKMatrix(_ijk_to_ras(volume_node)))


def add_result(ct_node: Any, result: Result) -> SceneNodes:
    """Add the nodes of `result` to the scene; `ct_node` is the volume node of the CT that it was made from.

    They stand beside the CT in the subject hierarchy, under its parent transform, and carry the run's provenance.
    """
    nodes = SceneNodes(
        ct_node,
        _add_segmentation(ct_node, result.labels, len(result.nodules)),
        _add_map(ct_node, result.heterogeneity, "Heterogeneity", f"Heterogeneity ({result.options.heterogeneity})"),
        _add_map(ct_node, result.raw_ct_map(), "Raw CT in the same colours", "Raw CT"),
        _add_table(result.nodules),
    )
    provenance = _provenance(result)
    for node in (nodes.segmentation, nodes.heterogeneity, nodes.raw_ct, nodes.table):
        _place_beside(ct_node, node)
        for key, value in provenance.items():
            node.SetAttribute(f"LNHG.{key}", value)
    for node in (nodes.segmentation, nodes.heterogeneity, nodes.raw_ct):
        node.SetAndObserveTransformNodeID(ct_node.GetTransformNodeID())
    return nodes


def show(nodes: SceneNodes) -> None:
    """Every slice view shows the CT with the heterogeneity map half transparent over it."""
    for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        view.SetBackgroundVolumeID(nodes.ct.GetID())
        view.SetForegroundVolumeID(nodes.heterogeneity.GetID())
        view.SetForegroundOpacity(_FOREGROUND_OPACITY)


def jump_to_first_nodule(nodes: SceneNodes) -> None:
    """Move every slice view to the centre of the first nodule; without nodules they stay where they are."""
    segment_ids = nodes.segmentation.GetSegmentation().GetSegmentIDs()
    if segment_ids:
        centre = nodes.segmentation.GetSegmentCenterRAS(segment_ids[0])
        slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *centre)


def _add_volume(array: np.ndarray, ijk_to_ras: Any, name: str) -> Any:
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.SetIJKToRASMatrix(ijk_to_ras)
    slicer.util.updateVolumeFromArray(node, array)
    node.CreateDefaultDisplayNodes()
    return node


def _add_segmentation(ct_node: Any, labels: np.ndarray, count: int) -> Any:
    """A segment for each label 1 to `count` of `labels` `[slice, row, column]`, with a closed surface for 3D."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Nodules")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(ct_node)
    segmentation = node.GetSegmentation()
    image = _label_image(labels, _ijk_to_ras(ct_node))
    for label in range(1, count + 1):
        segment_id = segmentation.AddEmptySegment(f"Nodule_{label}", f"Nodule {label}", segment_color(label))
        segment = segmentation.GetSegment(segment_id)
        segment.SetTag(segment.GetTerminologyEntryTagName(), TERMINOLOGY)
        segment.SetLabelValue(label)
        segment.AddRepresentation(slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName(), image)
    node.CreateClosedSurfaceRepresentation()
    # Only the outline in the slices: a fill would tint the colours of the heterogeneity map.
    node.GetDisplayNode().Visibility2DFillOff()
    return node


def _label_image(labels: np.ndarray, ijk_to_ras: Any) -> Any:
    """The part of `labels` that holds nodules as one `vtkOrientedImageData`, which all segments share."""
    box: list[slice] = []
    extent: list[int] = []
    for axis in range(3):
        occupied = np.flatnonzero(labels.any(axis=tuple({0, 1, 2} - {axis})))
        first, last = (int(occupied[0]), int(occupied[-1])) if occupied.size else (0, -1)
        box.append(slice(first, last + 1))
        extent = [first, last, *extent]  # VTK wants columns, rows, slices
    small = np.uint8 if labels.max(initial=0) < 256 else np.int16
    image = slicer.vtkOrientedImageData()
    image.SetExtent(extent)
    image.GetPointData().SetScalars(numpy_to_vtk(labels[tuple(box)].astype(small).ravel(), deep=True))
    image.SetImageToWorldMatrix(ijk_to_ras)
    return image


def _add_map(ct_node: Any, values: np.ndarray, name: str, title: str) -> Any:
    """A map in the colours of heterogeneity from 0 to 1; the lower threshold hides the -1 outside the nodules."""
    node = _add_volume(values, _ijk_to_ras(ct_node), name)
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(_heterogeneity_colors().GetID())
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(0, 1)
    display.AutoThresholdOff()
    display.SetThreshold(0, 1)
    display.ApplyThresholdOn()
    # Interpolating with the -1 outside would shrink the map and turn its edge blue.
    display.InterpolateOff()
    legend = slicer.modules.colors.logic().AddDefaultColorLegendDisplayNode(node)
    legend.SetTitleText(title)
    return node


def _heterogeneity_colors() -> Any:
    """The colour table of the map; one node, however many results a scene holds."""
    known = slicer.mrmlScene.GetFirstNode(_COLORS, "vtkMRMLColorTableNode")
    if known is not None:
        return known
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableStorageNode")
    storage.SetFileName(str(resource("Colors", f"{_COLORS}.ctbl")))
    storage.SetDefaultWriteFileExtension("ctbl")
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", _COLORS)
    node.SetTypeToFile()
    node.SetAndObserveStorageNodeID(storage.GetID())
    if not storage.ReadData(node):
        raise LNHGError(f"The colour table {_COLORS} cannot be read; install LNHG again.")
    return node


def _add_table(nodules: Sequence[Nodule]) -> Any:
    """The nodule table: a row for each nodule, a column for each figure, its unit in the column's name."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "Nodule table")
    rows = [as_row(nodule) for nodule in nodules]
    for index, name in enumerate(header()):
        node.AddColumn(_table_column(name, [row[index] for row in rows]))
    return node


def _table_column(name: str, cells: Sequence[Any]) -> Any:
    """A column of whole numbers, of numbers (an empty cell becomes NaN), or of text."""
    filled = [cell for cell in cells if cell != ""]
    if filled and all(isinstance(cell, int) for cell in cells):
        column = vtk.vtkIntArray()
    elif filled and all(isinstance(cell, (int, float)) for cell in filled):
        column, cells = vtk.vtkDoubleArray(), [math.nan if cell == "" else cell for cell in cells]
    else:
        column, cells = vtk.vtkStringArray(), [str(cell) for cell in cells]
    column.SetName(name)
    for cell in cells:
        column.InsertNextValue(cell)
    return column


def _provenance(result: Result) -> dict[str, str]:
    """What made the nodes, as text; what has parts is JSON."""
    options = {key: value.name if isinstance(value, Path) else value for key, value in asdict(result.options).items()}
    parts: Mapping[str, Mapping[str, object]] = {
        "Options": options,
        "Provenance": result.provenance,
        "Source": result.ct.source,
    }
    return {
        "Version": __version__,
        "Use": "research use only",
        "Warnings": " ".join(result.warnings),
        **{key: json.dumps(dict(value), default=str) for key, value in parts.items()},
    }


def _place_beside(ct_node: Any, node: Any) -> None:
    """Put `node` under the study or folder of the CT in the subject hierarchy.

    A headless scene has no such tree and none is written: the application builds it, segments and all, when it opens
    the file, but only for nodes that are not in a tree yet.
    """
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(ct_node)
    if item:
        hierarchy.CreateItem(hierarchy.GetItemParent(item), node)


def _ijk_to_ras(volume_node: Any) -> Any:
    matrix = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(matrix)
    return matrix
