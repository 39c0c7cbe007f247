"""A result as nodes of a MRML scene: segmentation, coloured volumes, detector boxes, table; and how they are shown.

All of it works on the current scene, `slicer.mrmlScene`: that of the application, or of the headless host.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from lnhg import __version__
from lnhg.core.boxes import Box, box_around, label_boxes
from lnhg.core.comparison import as_record
from lnhg.core.ct import CT
from lnhg.core.nodule import Nodule, as_row, from_row, header, note_on_columns
from lnhg.core.resources import resource
from lnhg.errors import InputError, LNHGError
from lnhg.options import Options, options_of_record
from lnhg.stages.axial import AxialOrder, axial_order
from lnhg.stages.components import Component
from lnhg.stages.heterogeneity_legend import full_scale, legend_text
from lnhg.stages.heterogeneity_maps import raw_ct_in_view
from lnhg.stages.nodule_map import OUTSIDE, NoduleMap
from lnhg.writers.seg_nrrd import TERMINOLOGY, id_of_segment, segment_color, segment_name

from ..translation import _
from .fingerprints import fingerprint, set_measured_on
from .legends import add_legend
from .steps import Steps, all_or_none, at_once
from .transforms import point_of_scene
from .views import centre_on, refresh_legends
from .volumes import has_voxels

if TYPE_CHECKING:
    from lnhg.core.result import Result

_VOXELS = slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName()
_SURFACE = slicer.vtkSegmentationConverter.GetClosedSurfaceRepresentationName()
# The usual lung window, HU.
_LUNG_WINDOW, _LUNG_LEVEL = 1500, -600
_FOREGROUND_OPACITY = 0.5
#: By this role the composite node of a slice view that shows the earlier of two studies refers to their follow-up.
PRIOR_VIEW = "LNHG.followUp"
#: The attribute of the segmentation that holds the options of the run, as JSON.
OPTIONS = "LNHG.Options"
#: By this role the segmentation refers to the map of a blind reader study, while one runs.
STUDY_MAP = "LNHG.studyMap"
#: By this role it refers to the volume of what the nodules consist of, once a reader has looked at it.
COMPONENTS = "LNHG.componentsMap"
_COLORS, _COMPONENT_COLORS = "LNHG-Heterogeneity", "LNHG-Components"
_GENERATED = "Generator image G(x)"
#: Title of the legend in a blind reader study: the same whatever map a nodule has.
STUDY_TITLE = "Map"
#: Of the detector's boxes.
BOX_COLOR = (1.0, 0.85, 0.0)
# So many voxels along each axis of a CT are looked at to tell it from another one.
_VOXELS_OF_CT, _MARKED = "LNHG.VoxelsOfCT", 32
# IJK to RAS of the CT when its nodules were segmented: the table tells places on that grid.
_GRID_OF_CT = "LNHG.GridOfCT"


@dataclass(frozen=True)
class SceneNodes:
    """The nodes of one result: the CT it was made from and those that were added.

    Attributes:
        ct: the CT.
        segmentation: a segment for each nodule; it refers to all the others, so that `results_of` finds them again.
        heterogeneity: the map.
        raw_ct: the raw CT as if it were the map; a volume no larger than the box around all nodules (`on_ct_grid`).
        table: the nodule table.
        boxes: the detector's boxes as a model, hidden at first.
        generated: G(x) before fusion, not shown at first; None in a scene that was saved without it.
    """

    ct: Any
    segmentation: Any
    heterogeneity: Any
    raw_ct: Any
    table: Any
    boxes: Any
    generated: Any | None

    @property
    def added(self) -> tuple[Any, ...]:
        """Every node but the CT."""
        nodes = (getattr(self, one.name) for one in fields(self) if one.name != "ct")
        return tuple(node for node in nodes if node is not None)

    @property
    def study_map(self) -> Any | None:
        """The map of a blind reader study, while one runs; else None."""
        return self.segmentation.GetNodeReference(STUDY_MAP)

    @property
    def components_map(self) -> Any | None:
        """What the nodules consist of (`lnhg.stages.components`), once a reader has looked at it; else None."""
        return self.segmentation.GetNodeReference(COMPONENTS)

    @property
    def shown_map(self) -> Any:
        """The map that readers see: that of a blind reader study while one runs, else that of the result."""
        return self.study_map or self.heterogeneity

    @property
    def rows(self) -> tuple[Nodule, ...]:
        """The nodules, as the table says now."""
        return nodules_of_table(self.table)

    @property
    def segment_ids(self) -> list[str]:
        """The segments of the nodules; a reader may have added others, as of a lung, which the table does not know."""
        numbers = self.table.GetTable().GetColumnByName("id")
        known = {id_of_segment(int(numbers.GetValue(row))) for row in range(self.table.GetNumberOfRows())}
        return [one for one in self.segmentation.GetSegmentation().GetSegmentIDs() if one in known]

    @property
    def options(self) -> Options:
        """The options of the run, without its weights folder."""
        return replace(self._options_and_note[0], weights=None)

    @property
    def note(self) -> str:
        """What a scene of another version does not tell, or tells in a way that this one does not know; else empty."""
        return " ".join(filter(None, (note_on_columns(titles_of_table(self.table)), self._options_and_note[1])))

    @property
    def _options_and_note(self) -> tuple[Options, str]:
        return options_of_record(json.loads(self.segmentation.GetAttribute(OPTIONS)))


def add_ct(hu: np.ndarray, ijk_to_ras: np.ndarray, name: str) -> Any:
    """A volume node of `hu` `[slice, row, column]` under `ijk_to_ras` (4 x 4, mm), shown with the lung window."""
    node = _add_volume(hu, slicer.util.vtkMatrixFromArray(ijk_to_ras), name, {})
    _set_lung_window(node)
    return node


def ct_of_node(volume_node: Any) -> CT:
    """The CT that a volume node holds, on the node's own grid; values below -1024 HU are padding and become air.

    Raises `InputError` when the node holds no volume, several values a voxel, or values that are not numbers.
    """
    return ct_of_values(volume_node.GetName(), values_of_node(volume_node), grid_of_node(volume_node))


def values_of_node(volume_node: Any) -> np.ndarray:
    """The voxels of a volume node, in the node's own memory. Raises `InputError` when it holds none."""
    if not has_voxels(volume_node):
        raise InputError(f"The volume {volume_node.GetName()} is empty; load the CT again.")
    if volume_node.GetImageData().GetNumberOfScalarComponents() != 1:
        raise InputError(_several_values(volume_node.GetName()))
    values: np.ndarray = slicer.util.arrayFromVolume(volume_node)
    return values


def ct_of_values(name: str, values: np.ndarray, ijk_to_ras: np.ndarray) -> CT:
    """`ct_of_node` without the node: for work beside the scene, on a copy of the node's voxels."""
    if values.ndim != 3:
        raise InputError(_several_values(name))
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise InputError(f"The volume {name} holds values that are not numbers; choose a chest CT in HU.")
        values = np.rint(values)
    return CT(np.clip(values, -1024, np.iinfo(np.int16).max).astype(np.int16), ijk_to_ras)


def _several_values(name: str) -> str:
    return f"The volume {name} has several values a voxel; choose a chest CT in HU."


def grid_of_node(volume_node: Any) -> np.ndarray:
    """IJK to RAS (4 x 4, mm) of a volume node, without its parent transform."""
    return slicer.util.arrayFromVTKMatrix(_ijk_to_ras(volume_node))


@dataclass(frozen=True, eq=False)
class PreparedResult:
    """What of a result takes long to make and needs no scene: made in a thread, while the window stays alive.

    Attributes:
        result: the result itself.
        heterogeneity: its map on the grid of the CT, in one piece of memory.
        generated: G(x) on the grid of the CT; None if it is not wanted in the scene.
        raw_ct: the raw CT's map, cut to the nodules, and its IJK to RAS.
        segmentation: as `vtkSegmentation`: a segment for each nodule, voxels and closed surface.
        table: the rows as `vtkTable`.
        boxes: the detector's boxes as `vtkPolyData`.
        fingerprints: of the outline of each label that has voxels.
    """

    result: Result
    heterogeneity: np.ndarray
    generated: np.ndarray | None
    raw_ct: tuple[np.ndarray, np.ndarray]
    segmentation: Any
    table: Any
    boxes: Any
    fingerprints: Mapping[int, str]


def prepare(result: Result, *, with_generated: bool = True) -> PreparedResult:
    """The slow part of `add_result`, without the scene."""
    view, grid = axial_order(result.ct), slicer.util.vtkMatrixFromArray(result.ct.ijk_to_ras)
    boxes = label_boxes(result.labels)
    return PreparedResult(
        result,
        np.ascontiguousarray(result.heterogeneity),
        np.ascontiguousarray(result.image) if with_generated else None,
        _cut(result.ct.ijk_to_ras, view, raw_ct_in_view(result, view)),
        _segmentation(result.labels, boxes, len(result.nodules), grid),
        _table(result.nodules),
        _boxes_of(result, view),
        {label: fingerprint(box, result.labels[box] == label) for label, box in boxes.items()},
    )


def add_result(ct_node: Any, result: Result, *, with_generated: bool = True) -> SceneNodes:
    """Add the nodes of `result` to the scene, all or none; `ct_node` is the volume node of the CT that it was made
    from.

    They stand beside the CT in the subject hierarchy, under its parent transform, and carry the run's provenance.
    `with_generated`: also G(x), as large as the CT, without which the map cannot be made anew.
    """
    return add_prepared(ct_node, prepare(result, with_generated=with_generated))


def add_prepared(ct_node: Any, prepared: PreparedResult) -> SceneNodes:
    """`add_result` for what `prepare` made."""
    return at_once(all_or_none(adding(ct_node, prepared)))


def adding(ct_node: Any, prepared: PreparedResult, check: Callable[[], object] = lambda: None) -> Steps[SceneNodes]:
    """`add_prepared` in steps, about a node each, for `all_or_none`. Until the last one it is no result that
    `results_of` finds.

    `check` raises an error before it where the CT is no longer what it was when the first step was taken.
    """
    result, told = prepared.result, _provenance(prepared.result)
    grid = slicer.util.vtkMatrixFromArray(result.ct.ijk_to_ras)

    def placed(node: Any) -> Any:
        _place_beside(ct_node, node)
        if node.IsA("vtkMRMLTransformableNode"):
            node.SetAndObserveTransformNodeID(ct_node.GetTransformNodeID())
        return node

    segmentation = placed(_add_segmentation(ct_node, prepared.segmentation, told))
    yield
    heterogeneity = placed(
        _add_map(prepared.heterogeneity, grid, "Heterogeneity", "\n".join(legend_text(result.options)), told)
    )
    tell_map(heterogeneity, result.options)
    yield
    values, ijk_to_ras = prepared.raw_ct
    corner = slicer.util.vtkMatrixFromArray(ijk_to_ras)
    raw_ct = placed(_add_map(values, corner, "Raw CT in the same colours", "Raw CT", told))
    yield
    generated = None
    if prepared.generated is not None:
        # In the colours of heterogeneity, over the whole of each slice.
        generated = placed(_add_coloured(prepared.generated, grid, "Generator image", _GENERATED, told))
        yield
    table, boxes = placed(_add_table(prepared.table, told)), placed(_add_boxes(prepared.boxes, told))
    yield
    nodes = SceneNodes(ct_node, segmentation, heterogeneity, raw_ct, table, boxes, generated)
    check()
    move_with_ct(nodes)  # it may have got another parent transform
    with slicer.util.NodeModify(table):
        for nodule in result.nodules:
            set_measured_on(nodes, id_of_segment(nodule.id), prepared.fingerprints.get(nodule.id, ""))
    with slicer.util.NodeModify(segmentation):
        segmentation.SetAttribute(_VOXELS_OF_CT, voxels_mark(ct_node))
        segmentation.SetAttribute(_GRID_OF_CT, json.dumps(grid_of_node(ct_node).tolist()))
        for key, reading in _reading(result).items():
            segmentation.SetAttribute(f"LNHG.{key}", json.dumps(reading))
        for role in _roles():
            node = getattr(nodes, role)
            if node is not None:
                segmentation.SetNodeReferenceID(f"LNHG.{role}", node.GetID())
    return nodes


def all_results() -> list[SceneNodes]:
    """Every result in the scene, oldest first, also of a scene that was saved and opened; not one that has lost a
    node.
    """
    found: list[SceneNodes] = []
    for segmentation in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        nodes = _referred(segmentation)
        # A copy that somebody made of the segmentation refers to the same nodes, and is no result.
        if nodes and is_whole(nodes) and not any(one.heterogeneity is nodes.heterogeneity for one in found):
            found.append(nodes)
    return found


def _referred(segmentation: Any) -> SceneNodes | None:
    """The nodes that a segmentation refers to, if none has left the scene; G(x) may have, or its voxels."""
    others = {role: segmentation.GetNodeReference(f"LNHG.{role}") for role in _roles()}
    if others["generated"] is not None and not has_voxels(others["generated"]):
        others["generated"] = None
    if any(node is None for role, node in others.items() if role != "generated"):
        return None
    return SceneNodes(segmentation=segmentation, **others)


def results_without_voxels() -> list[SceneNodes]:
    """The results a file of which was missing when their scene was opened: a map or the table is empty."""
    every = filter(None, map(_referred, slicer.util.getNodesByClass("vtkMRMLSegmentationNode")))
    return [nodes for nodes in every if has_voxels(nodes.ct) and not _has_contents(nodes)]


def segmentations_without_ct() -> list[Any]:
    """The segmentations of results whose CT was removed from the scene; not of one whose nodes still come."""
    found = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    complete = [one for one in found if one.GetNodeReference("LNHG.table") is not None]
    return [one for one in complete if one.GetNodeReference("LNHG.ct") is None]


def is_whole(nodes: SceneNodes) -> bool:
    """Whether all nodes of a result are in the scene, and what neither Slicer nor this module can make anew: what shows
    its segments, the voxels of its maps, and the numbers of its nodules.
    """
    there = all(slicer.mrmlScene.IsNodePresent(node) for node in (nodes.ct, *nodes.added))
    return there and nodes.segmentation.GetDisplayNode() is not None and _has_contents(nodes)


def _has_contents(nodes: SceneNodes) -> bool:
    return all(map(has_voxels, (nodes.heterogeneity, nodes.raw_ct))) and "id" in titles_of_table(nodes.table)


def results_of(ct_node: Any) -> SceneNodes | None:
    """The latest result of this CT in the scene, or None."""
    return next((nodes for nodes in reversed(all_results()) if nodes.ct is ct_node), None)


def result_on(ct_node: Any) -> SceneNodes | None:
    """The latest result of this CT in the scene if it still lies on it, or None."""
    nodes = results_of(ct_node)
    return None if nodes is None or why_not_on_ct(nodes) else nodes


def result_before(nodes: SceneNodes) -> SceneNodes | None:
    """The latest other result of the same CT that still lies on it, or None."""
    others = [one for one in all_results() if one.ct is nodes.ct and one.segmentation is not nodes.segmentation]
    return next((one for one in reversed(others) if not why_not_on_ct(one)), None)


def why_not_on_ct(nodes: SceneNodes) -> str:
    """Why a result no longer belongs to its CT, in one sentence; empty while grid and voxels are those of the run."""
    volumes = (nodes.ct, nodes.heterogeneity)
    known = nodes.segmentation.GetAttribute(_GRID_OF_CT)
    grid = grid_of_node(nodes.heterogeneity) if known is None else np.array(json.loads(known))
    if (
        not all(map(has_voxels, volumes))
        or len({one.GetImageData().GetDimensions() for one in volumes}) > 1
        or not all(np.allclose(grid_of_node(one), grid, atol=1e-3) for one in volumes)
    ):
        return _(
            "This CT or its map was moved, cut or resampled since its nodules were segmented; bring it back, or "
            "segment the CT again."
        )
    known = nodes.segmentation.GetAttribute(_VOXELS_OF_CT)
    if known is not None and known != voxels_mark(nodes.ct):  # scenes of older versions do not tell
        return _("This CT has other voxels than when its nodules were segmented; bring them back, or segment it again.")
    return ""


def voxels_mark(ct_node: Any) -> str:
    """A checksum of some voxels of a CT, evenly over it: another scan in the same node, as one of a sequence, has
    another.
    """
    values: np.ndarray = slicer.util.arrayFromVolume(ct_node)
    some = values[tuple(slice(None, None, -(-size // _MARKED)) for size in values.shape)]
    return f"{zlib.crc32(np.ascontiguousarray(some, np.float32).tobytes()):08x}"


def move_with_ct(nodes: SceneNodes) -> None:
    """Put the nodes of a result under the parent transform of their CT."""
    transform = nodes.ct.GetTransformNodeID()
    for node in filter(None, (*nodes.added, nodes.study_map, nodes.components_map)):
        if node.IsA("vtkMRMLTransformableNode") and node.GetTransformNodeID() != transform:
            node.SetAndObserveTransformNodeID(transform)


def remove_node(node: Any) -> None:
    """Take a node out of the scene, with what shows it."""
    count = node.GetNumberOfDisplayNodes() if node.IsA("vtkMRMLDisplayableNode") else 0
    first, *others = [node.GetNthDisplayNode(number) for number in range(count)] or [None]
    # A volume's colour legend looks for the display node beside it, and the subject hierarchy for that of its node.
    for one in (*reversed(others), node, first):
        if one is not None and slicer.mrmlScene.IsNodePresent(one):  # some displays go with their node
            slicer.mrmlScene.RemoveNode(one)


def voxels_of(nodes: SceneNodes, segment_ids: Sequence[str]) -> np.ndarray:
    """Integers `[slice, row, column]` on the grid of the CT: 1 in the first of the segments, 2 in the second, ...; else
    0.

    As the segments are now, edited or not.
    """
    return labels_on(nodes.ct, nodes.segmentation, segment_ids)


def labels_on(ct_node: Any, segmentation_node: Any, segment_ids: Sequence[str]) -> np.ndarray:
    """Like `voxels_of`, of any segmentation, on the grid of a CT."""
    size = ct_node.GetImageData().GetDimensions()
    if not segment_ids:
        return np.zeros(size[::-1], np.int16)
    ids, values = vtk.vtkStringArray(), vtk.vtkIntArray()
    for value, segment_id in enumerate(segment_ids, 1):
        ids.InsertNextValue(segment_id)
        values.InsertNextValue(value)
    grid, merged = slicer.vtkOrientedImageData(), slicer.vtkOrientedImageData()
    grid.SetExtent(0, size[0] - 1, 0, size[1] - 1, 0, size[2] - 1)
    grid.SetImageToWorldMatrix(_ijk_to_ras(ct_node))
    whole = slicer.vtkSegmentation.EXTENT_REFERENCE_GEOMETRY
    if not segmentation_node.GenerateMergedLabelmapForAllSegments(merged, whole, grid, ids, values):
        name = segmentation_node.GetName()
        raise LNHGError(f"The voxels of the segments of {name} cannot be read; segment the CT again.")
    return vtk_to_numpy(merged.GetPointData().GetScalars()).reshape(size[::-1])


def nodules_of_table(table_node: Any) -> tuple[Nodule, ...]:
    """The rows of a nodule table node, of this version or another (`from_row`)."""
    return tuple(_read_rows(table_node))


def _read_rows(table_node: Any) -> Iterator[Nodule]:
    table = table_node.GetTable()
    columns = {title: table.GetColumnByName(title) for title in titles_of_table(table_node)}
    for row in range(table_node.GetNumberOfRows()):
        yield from_row({title: column.GetValue(row) for title, column in columns.items()})


def titles_of_table(table_node: Any) -> list[str]:
    """The titles of a table node's columns."""
    return [table_node.GetColumnName(index) for index in range(table_node.GetNumberOfColumns())]


def show(nodes: SceneNodes) -> None:
    """Every slice view shows the CT in the lung window with the map half transparent over it; other results are
    hidden.
    """
    _hide_all()
    nodes.segmentation.GetDisplayNode().SetVisibility(True)
    _set_lung_window(nodes.ct)
    show_over_ct(nodes.ct, nodes.shown_map, _FOREGROUND_OPACITY)


def show_alone(ct_node: Any) -> None:
    """Every slice view shows the whole CT with nothing over it, around its middle; all results are hidden."""
    _hide_all()
    show_over_ct(ct_node, None, 0.0)
    bounds = [0.0] * 6
    ct_node.GetRASBounds(bounds)
    lows, highs = np.array(bounds[::2]), np.array(bounds[1::2])
    centre_on(((lows + highs) / 2).tolist(), float((highs - lows).max()))


def _hide_all() -> None:
    """Hide the outlines and boxes of every result, also of one that has lost its voxels."""
    for one in (*all_results(), *results_without_voxels()):
        for node in (one.segmentation, one.boxes):
            if node.GetDisplayNode() is not None:  # a reader may have deleted it
                node.GetDisplayNode().SetVisibility(False)


def restore_displays(nodes: SceneNodes) -> None:
    """Make anew what shows the nodes of a result, where it is gone: Slicer lets a user delete display nodes and colour
    tables.
    """
    if nodes.ct.GetDisplayNode() is None:
        _set_lung_window(nodes.ct)
    if nodes.boxes.GetDisplayNode() is None:
        _show_wires(nodes.boxes)
    maps = (nodes.heterogeneity, nodes.raw_ct, nodes.study_map)
    kind, normalisation = (nodes.heterogeneity.GetAttribute(f"LNHG.{name}") for name in ("Kind", "Normalisation"))
    title = "\n".join(legend_text(replace(nodes.options, heterogeneity=kind, normalisation=normalisation)))
    titles = (title, "Raw CT", STUDY_TITLE, _GENERATED)
    for node, text in zip((*maps, nodes.generated), titles, strict=True):
        if node is None or (node.GetVolumeDisplayNode() is not None and node.GetVolumeDisplayNode().GetColorNode()):
            continue
        for number in reversed(range(node.GetNumberOfDisplayNodes())):  # the legend before what it explains
            slicer.mrmlScene.RemoveNode(node.GetNthDisplayNode(number))
        node.CreateDefaultDisplayNodes()
        _colour(node, text)
        if node in maps:
            _hide_outside(node)


def empty_views() -> list[Any]:
    """The composite nodes of slice views that show nothing, as those that a new layout has just made."""
    views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return [view for view in views if view.GetBackgroundVolumeID() is None and view.GetForegroundVolumeID() is None]


def is_shown(ct_node: Any, *, covered: bool) -> bool:
    """Whether any slice view has the CT behind what else it shows; `covered`: and has something over it."""
    views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    on_ct = [view for view in views if view.GetBackgroundVolumeID() == ct_node.GetID()]
    return any(view.GetForegroundVolumeID() is not None or not covered for view in on_ct)


def views_with(ct_node: Any, volume: Any) -> list[Any]:
    """The composite nodes of slice views that show a volume over the CT."""
    views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    shown = ct_node.GetID(), volume.GetID()
    return [view for view in views if (view.GetBackgroundVolumeID(), view.GetForegroundVolumeID()) == shown]


def show_over_ct(ct_node: Any, volume: Any | None, opacity: float) -> None:
    """Every slice view shows the CT, with `volume` (None: nothing) over it; not those that show an earlier study."""
    for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        if view.GetNodeReference(PRIOR_VIEW) is not None:
            continue
        view.SetBackgroundVolumeID(ct_node.GetID())
        view.SetForegroundVolumeID(None if volume is None else volume.GetID())
        view.SetForegroundOpacity(opacity)
    refresh_legends()


def jump_to_first_nodule(nodes: SceneNodes) -> None:
    """Centre every view on the first nodule of the table; without nodules they stay where they are."""
    for first in islice(_read_rows(nodes.table), 1):
        centre_on(point_of_scene((first.centre_r, first.centre_a, first.centre_s), nodes.ct))


def tell_map(volume_node: Any, options: Options) -> None:
    """Write on the node of a map what it shows: kind and range as asked for, and what the value 1 means."""
    volume_node.SetAttribute("LNHG.Kind", options.heterogeneity)
    volume_node.SetAttribute("LNHG.Normalisation", options.normalisation)
    volume_node.SetAttribute("LNHG.FullScale", full_scale(options))


def _roles() -> list[str]:
    """Names of the nodes that the segmentation refers to."""
    return [one.name for one in fields(SceneNodes) if one.name != "segmentation"]


def _new_node(class_name: str, name: str, told: Mapping[str, str]) -> Any:
    """A node for the scene that carries what is `told`; from a second result on its name gets a number.

    It is filled before it is added, since views and lists follow each change of a node that is there.
    """
    node = slicer.mrmlScene.CreateNodeByClass(class_name)
    node.UnRegister(None)  # the reference of the one who asked, which Python does not know of
    node.SetName(slicer.mrmlScene.GenerateUniqueName(name))
    for key, value in told.items():
        node.SetAttribute(f"LNHG.{key}", value)
    return node


def _add_volume(array: np.ndarray, ijk_to_ras: Any, name: str, told: Mapping[str, str]) -> Any:
    node = _new_node("vtkMRMLScalarVolumeNode", name, told)
    node.SetIJKToRASMatrix(ijk_to_ras)
    slicer.mrmlScene.AddNode(node)
    # Before there are voxels: Slicer would look for a window and a threshold in them, for seconds, and neither is
    # wanted.
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().AutoWindowLevelOff()
    node.GetDisplayNode().AutoThresholdOff()
    set_voxels(node, array)
    return node


def set_voxels(volume_node: Any, array: np.ndarray) -> None:
    """Show `array` `[slice, row, column]` in a volume node, in the same memory: of large CTs there is no room for
    copies.
    """
    image = vtk.vtkImageData()
    image.SetDimensions(array.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(array).ravel()))
    volume_node.SetAndObserveImageData(image)


def _set_lung_window(ct_node: Any) -> None:
    ct_node.CreateDefaultDisplayNodes()  # a volume that was made by code may have none
    display = ct_node.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(_LUNG_WINDOW, _LUNG_LEVEL)


def _add_segmentation(ct_node: Any, segmentation: Any, told: Mapping[str, str]) -> Any:
    node = _new_node("vtkMRMLSegmentationNode", "Nodules", told)
    node.SetAndObserveSegmentation(segmentation)
    slicer.mrmlScene.AddNode(node)
    node.SetReferenceImageGeometryParameterFromVolumeNode(ct_node)
    node.CreateDefaultDisplayNodes()  # last: views would follow each step
    # Only the outline in the slices: a fill would tint the colours of the heterogeneity map.
    node.GetDisplayNode().Visibility2DFillOff()
    return node


def _segmentation(labels: np.ndarray, boxes: Mapping[int, tuple[slice, ...]], count: int, ijk_to_ras: Any) -> Any:
    """A segment for each of `count` nodules, with its voxels and a closed surface for 3D."""
    whole, surfaces = box_around(boxes.values()), _surfaces(labels, boxes, ijk_to_ras)
    voxels, made = label_image(labels[whole], whole, ijk_to_ras), slicer.vtkSegmentation()
    # All of them before there are voxels, through which each that is added later would be compared.
    segments = [add_segment(made, label) for label in range(1, count + 1)]
    for label, segment in enumerate(segments, 1):
        segment.SetLabelValue(label)
        segment.AddRepresentation(_VOXELS, voxels)
        segment.AddRepresentation(_SURFACE, surfaces.get(label, vtk.vtkPolyData()))
    return made


def _surfaces(labels: np.ndarray, boxes: Mapping[int, tuple[slice, ...]], ijk_to_ras: Any) -> dict[int, Any]:
    """The closed surface of each label, as Slicer makes it of the voxels in its box: of all voxels each would take as
    long.
    """
    alone = slicer.vtkSegmentation()
    for label, box in boxes.items():
        segment = slicer.vtkSegment()
        segment.AddRepresentation(_VOXELS, label_image(labels[box] == label, box, ijk_to_ras))
        alone.AddSegment(segment, id_of_segment(label))
    if boxes:
        alone.CreateRepresentation(_SURFACE)
    return {label: alone.GetSegmentRepresentation(id_of_segment(label), _SURFACE) for label in boxes}


def add_segment(segmentation: Any, number: int) -> Any:
    """A segment without voxels for a nodule, with its name, colour and codes, in a `vtkSegmentation`."""
    segmentation.AddEmptySegment(id_of_segment(number), segment_name(number), segment_color(number))
    segment = segmentation.GetSegment(id_of_segment(number))
    segment.SetTag(segment.GetTerminologyEntryTagName(), TERMINOLOGY)
    return segment


def label_image(labels: np.ndarray, box: tuple[slice, ...], ijk_to_ras: Any) -> Any:
    """The `labels` (or the mask) in a box of the CT as `vtkOrientedImageData`."""
    small = np.uint8 if labels.max(initial=0) < 256 else np.int16
    image = slicer.vtkOrientedImageData()
    image.SetExtent([end for one in reversed(box) for end in (one.start, one.stop - 1)])  # columns, rows, slices
    image.GetPointData().SetScalars(numpy_to_vtk(labels.astype(small).ravel()))
    image.SetImageToWorldMatrix(ijk_to_ras)
    return image


def _add_map(values: np.ndarray, ijk_to_ras: Any, name: str, title: str, told: Mapping[str, str]) -> Any:
    """A map in the colours of heterogeneity; the lower threshold hides the -1 outside the nodules."""
    node = _add_coloured(values, ijk_to_ras, name, title, told)
    _hide_outside(node)
    return node


def _hide_outside(map_node: Any) -> None:
    display = map_node.GetDisplayNode()
    display.SetThreshold(0, 1)
    display.ApplyThresholdOn()
    # Interpolating with the -1 outside would shrink the map and turn its edge blue.
    display.InterpolateOff()


def add_study_map(nodes: SceneNodes) -> Any:
    """An empty volume for the map of a blind reader study, hidden from lists of nodes; `set_cut_map` fills it."""
    empty, name = np.full((1, 1, 1), OUTSIDE, np.float32), "Map of the reader study"
    node = _add_map(empty, _ijk_to_ras(nodes.ct), name, STUDY_TITLE, {"Version": __version__})
    node.SetName(name)  # without a number: the views show it
    node.SetHideFromEditors(True)
    node.SetAndObserveTransformNodeID(nodes.ct.GetTransformNodeID())
    nodes.segmentation.SetNodeReferenceID(STUDY_MAP, node.GetID())
    return node


def add_components_map(nodes: SceneNodes) -> Any:
    """An empty volume for what the nodules consist of, hidden from lists of nodes; `set_cut_map` fills it."""
    empty, last = np.full((1, 1, 1), OUTSIDE, np.float32), max(Component)
    node = _add_volume(empty, _ijk_to_ras(nodes.ct), "Components of the nodules", {"Version": __version__})
    node.SetHideFromEditors(True)
    node.SetAndObserveTransformNodeID(nodes.ct.GetTransformNodeID())
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(_colors(_COMPONENT_COLORS).GetID())
    display.SetWindowLevelMinMax(0, last)
    display.SetThreshold(1, last)
    display.ApplyThresholdOn()
    display.InterpolateOff()
    add_legend(node, "Components by HU", color_names=True)
    nodes.segmentation.SetNodeReferenceID(COMPONENTS, node.GetID())
    return node


def set_cut_map(node: Any, ct_node: Any, view: AxialOrder, values: NoduleMap) -> None:
    """Put a map that was made in the axial view into a volume: cut to the nodules, since CTs are large."""
    array, ijk_to_ras = _cut(grid_of_node(ct_node), view, values)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijk_to_ras))
    set_voxels(node, array)


def _cut(grid: np.ndarray, view: AxialOrder, values: NoduleMap) -> tuple[np.ndarray, np.ndarray]:
    """A map made in the axial view, cut to the nodules, on the CT's `grid`: its values and its IJK to RAS."""
    k, j, i = view.box_from_axial(values.box)
    corner = grid @ [i.start, j.start, k.start, 1]
    return view.from_axial(values[values.box]), np.column_stack([grid[:, :3], corner])


def values_in(ct_node: Any, volume_node: Any, box: Box) -> np.ndarray:
    """The values of a map in a box of the CT, -1 where its volume does not reach."""
    values = slicer.util.arrayFromVolume(volume_node)
    corner = np.linalg.solve(grid_of_node(ct_node), grid_of_node(volume_node)[:, 3])[2::-1].round().astype(int).tolist()
    ends = [
        (max(side.start, first), min(side.stop, first + size))
        for side, first, size in zip(box, corner, values.shape, strict=True)
    ]
    result = np.full([side.stop - side.start for side in box], OUTSIDE, np.float32)
    if all(start < stop for start, stop in ends):
        there = tuple(slice(a - first, b - first) for (a, b), first in zip(ends, corner, strict=True))
        here = tuple(slice(a - side.start, b - side.start) for (a, b), side in zip(ends, box, strict=True))
        result[here] = values[there]
    return result


def _add_coloured(values: np.ndarray, ijk_to_ras: Any, name: str, title: str, told: Mapping[str, str]) -> Any:
    """A volume in the colours of heterogeneity from 0 to 1, with a legend."""
    node = _add_volume(values, ijk_to_ras, name, told)
    _colour(node, title)
    return node


def _colour(node: Any, title: str) -> None:
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(_colors(_COLORS).GetID())
    display.SetWindowLevelMinMax(0, 1)
    add_legend(node, title)


def _boxes_of(result: Result, view: AxialOrder) -> Any:
    """The boxes of the candidates: each slice's rectangle with walls as high as the slice.

    A slice view draws where its plane cuts the model; rectangles without walls would lie in the plane and not be drawn.
    """
    candidates: Sequence[Mapping[str, Any]] = result.candidates
    corners = np.array([box for one in candidates for box in one["boxes_ras"]], np.float64).reshape(-1, 4, 3)
    half = view.ct.ijk_to_ras[:3, 2] / 2
    return _walls(corners - half, corners + half)


def _add_boxes(walls: Any, told: Mapping[str, str]) -> Any:
    """The detector's boxes as a hidden wire model."""
    node = _new_node("vtkMRMLModelNode", "Detector boxes", told)
    node.SetAndObservePolyData(walls)
    slicer.mrmlScene.AddNode(node)
    _show_wires(node)
    return node


def _show_wires(model: Any) -> None:
    model.CreateDefaultDisplayNodes()
    display = model.GetDisplayNode()
    display.SetColor(*BOX_COLOR)
    display.SetRepresentation(slicer.vtkMRMLDisplayNode.WireframeRepresentation)
    display.SetLineWidth(2)
    display.LightingOff()
    display.BackfaceCullingOff()
    display.Visibility2DOn()
    display.SetSliceIntersectionThickness(2)
    display.VisibilityOff()


def _walls(bottom: np.ndarray, top: np.ndarray) -> Any:
    """Four walls for each pair of rectangles `[box, corner, RAS]`."""
    points, walls = vtk.vtkPoints(), vtk.vtkCellArray()
    for number, (low, high) in enumerate(zip(bottom, top, strict=True)):
        for point in (*low, *high):
            points.InsertNextPoint(point)
        for corner in range(4):
            following = (corner + 1) % 4
            walls.InsertNextCell(4, [8 * number + one for one in (corner, following, following + 4, corner + 4)])
    model = vtk.vtkPolyData()
    model.SetPoints(points)
    model.SetPolys(walls)
    return model


def _colors(name: str) -> Any:
    """A colour table that ships with LNHG; one node, however many results a scene holds."""
    known = slicer.mrmlScene.GetFirstNode(name, "vtkMRMLColorTableNode")
    if known is not None:
        return known
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableStorageNode")
    storage.SetFileName(str(resource("Colors", f"{name}.ctbl")))
    storage.SetDefaultWriteFileExtension("ctbl")
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", name)
    node.SetTypeToFile()
    node.SetAndObserveStorageNodeID(storage.GetID())
    if not storage.ReadData(node):
        raise LNHGError(f"The colour table {name} cannot be read; install LNHG again.")
    return node


def _add_table(table: Any, told: Mapping[str, str]) -> Any:
    node = _new_node("vtkMRMLTableNode", "Nodule table", told)
    node.SetLocked(True)  # a cell typed over in a table view would be told as measured
    node.SetAndObserveTable(table)
    return slicer.mrmlScene.AddNode(node)


def _table(nodules: Sequence[Nodule]) -> Any:
    """The nodule table: a row for each nodule, a column for each figure, its unit in the column's name."""
    table, rows = vtk.vtkTable(), [as_row(nodule) for nodule in nodules]
    for index, name in enumerate(header()):
        table.AddColumn(table_column(name, [row[index] for row in rows]))
    return table


def table_column(name: str, cells: Sequence[Any]) -> Any:
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


def _reading(result: Result) -> dict[str, Any]:
    """What the categories hang on beside the table: answers, and comparisons with earlier studies."""
    return {"Answers": result.answers.as_record(), "Comparisons": as_record(result.comparisons)}


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
