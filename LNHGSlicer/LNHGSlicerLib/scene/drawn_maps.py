"""The map of a result and the raw CT's beside it, drawn anew from the segments as they are now.

Readers wait for it: what was made of an outline before is taken again, and only where nodules are, or were, is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import slicer

from lnhg.core.boxes import Box, box_around, moved_box
from lnhg.core.ct import AIR_HU, CT
from lnhg.core.masks import reach
from lnhg.options import Options
from lnhg.stages.axial import AxialOrder, axial_order
from lnhg.stages.heterogeneity_figures import rim_mask
from lnhg.stages.heterogeneity_maps import MapInput, nodule_map, raw_map
from lnhg.stages.nodule_map import OUTSIDE, NoduleMap

from ..review.outlines import Outline, Outlines, as_labels
from ..review.verdicts import REJECTED, verdict_of
from .nodes import SceneNodes, grid_of_node, set_cut_map, values_of_node

# An image of a node and when it was last changed.
_State = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class _Part:
    """Both maps in the box of one outline, in the axial view."""

    outline: Outline
    heterogeneity: np.ndarray
    raw_ct: np.ndarray


class DrawnMaps:
    """Draws both maps of one result.

    There is no generator here: a map of the kind `twin` keeps the values that it had when this object was made, and has
    none where an outline has grown since.

    Rejected nodules are left out of the maps, but count in the range of the scan: the others keep their colours.
    """

    def __init__(self, nodes: SceneNodes, outlines: Outlines, *, twin: bool) -> None:
        self._nodes, self._outlines = nodes, outlines
        self._first_map = slicer.util.arrayFromVolume(nodes.heterogeneity).copy() if twin else np.zeros(0)
        self._made_from: tuple[Any, ...] = ()
        self._parts: dict[int, _Part] = {}
        # For each volume its state after it was last drawn here, and the boxes that have values in it.
        self._drawn: dict[str, tuple[_State, list[Box]]] = {}

    def draw(self, asked: Options) -> None:
        """Draw both maps of the kind and range that the options ask for."""
        nodes, view = self._nodes, axial_order_of_node(self._nodes.ct)
        outlines = as_labels(view, self._outlines.of_all(nodes.segment_ids).values())
        self._make(view, outlines, asked)
        inside = coloured(nodes, view, outlines)
        whole = tuple(slice(0, size) for size in view.ct.hu.shape)
        self._write("heterogeneity", view, whole, {n: (one, self._parts[n].heterogeneity) for n, one in inside.items()})
        around = box_around(one.box for one in outlines.values())
        self._fit_raw_ct(view, around)
        self._write("raw_ct", view, around, {n: (outlines[n].mask, self._parts[n].raw_ct) for n in inside})

    def _make(self, view: AxialOrder, outlines: Mapping[int, Outline], asked: Options) -> None:
        """Both maps of each outline. In a range that nodules share, one that has changed changes all."""
        nodes = self._nodes
        made_from = (asked.map_kind, asked.map_range, _state(nodes.ct), _state(nodes.generated))
        known = self._parts if made_from == self._made_from else {}
        same = {n: part for n, part in known.items() if n in outlines and part.outline.same_as(outlines[n])}
        if asked.map_range == "scan" and not len(same) == len(known) == len(outlines):
            same = {}
        new = {n: (one.box, one.mask) for n, one in outlines.items() if n not in same}
        scan = map_input(nodes, view)
        if asked.map_kind == "twin":
            heterogeneity = {n: view.to_axial(self._first_map)[box] for n, (box, _) in new.items()}
        else:
            heterogeneity = {n: part for n, (_, part) in nodule_map(scan, new, asked).parts.items()}
        raw_ct = raw_map(scan, new, asked).parts
        self._parts = same | {n: _Part(outlines[n], heterogeneity[n], raw_ct[n][1]) for n in new}
        self._made_from = made_from

    def _fit_raw_ct(self, view: AxialOrder, around: Box) -> None:
        """Give the raw CT's map the size of the box around all nodules, where it has another one."""
        node, ct = self._nodes.raw_ct, self._nodes.ct
        box = view.box_from_axial(around)
        corner = grid_of_node(ct) @ [*(side.start for side in reversed(box)), 1]
        size = tuple(side.stop - side.start for side in reversed(box))
        if node.GetImageData().GetDimensions() != size or not np.allclose(grid_of_node(node)[:, 3], corner):
            set_cut_map(node, ct, view, NoduleMap(view.ct.hu.shape, {0: (around, _empty(around))}))

    def _write(
        self, role: str, view: AxialOrder, around: Box, parts: Mapping[int, tuple[np.ndarray, np.ndarray]]
    ) -> None:
        """Write masks and values, in the boxes of their outlines, into the volume of a map that holds the box
        `around` of the CT; elsewhere it is -1.
        """
        node = getattr(self._nodes, role)
        values = view.to_axial(slicer.util.arrayFromVolume(node))
        state, boxes = self._drawn.get(role, ((), []))
        if state == _state(node):
            for box in boxes:
                values[box] = OUTSIDE
        else:  # somebody else has written into it
            values[...] = OUTSIDE
        places = {n: moved_box(self._parts[n].outline.box, around) for n in parts}
        for n, (mask, part) in parts.items():
            values[places[n]][mask] = part[mask]
        slicer.util.arrayFromVolumeModified(node)
        self._drawn[role] = _state(node), list(places.values())


def _empty(box: Box) -> np.ndarray:
    return np.full([side.stop - side.start for side in box], OUTSIDE, np.float32)


def _state(node: Any) -> _State:
    """Which image a volume node has, and when it was last changed."""
    image = None if node is None else node.GetImageData()
    return () if image is None else (image, image.GetMTime())


def coloured(nodes: SceneNodes, view: AxialOrder, outlines: Mapping[int, Outline]) -> dict[int, np.ndarray]:
    """Of each nodule that was not rejected the voxels in its box that have a colour, by its place among the segments:
    all, or where the run hides the rim those inside. Outlines and masks are those in the axial view.
    """
    options, inside = nodes.options, dict[int, np.ndarray]()
    for n, segment_id in enumerate(nodes.segment_ids, 1):
        if n in outlines and verdict_of(nodes, segment_id) != REJECTED:
            inside[n] = outlines[n].mask
            if options.hide_rim:
                inside[n] = inside[n] & ~_rim(outlines[n], view.ct.hu.shape, view.ct.spacing, options.rim)
    return inside


def map_input(nodes: SceneNodes, view: AxialOrder) -> MapInput:
    """What maps of a result are made from, without the generator."""
    image = None if nodes.generated is None else view.to_axial(slicer.util.arrayFromVolume(nodes.generated))
    return MapInput(view.ct.hu, view.ct.spacing, image)


def axial_order_of_node(ct_node: Any) -> AxialOrder:
    """A CT in the axial view as it lies in its node's memory: nothing is copied, and a box becomes HU when it is
    read.
    """
    view = axial_order(CT(values_of_node(ct_node), grid_of_node(ct_node)), contiguous=False)
    return replace(view, ct=replace(view.ct, hu=cast(np.ndarray, _HU(view.ct.hu))))


@dataclass(frozen=True, eq=False)
class _HU:
    """Voxels of a volume node as HU, read box by box: as `scene.ct_of_values` reads them."""

    values: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    @property
    def ndim(self) -> int:
        return self.values.ndim

    @property
    def size(self) -> int:
        return self.values.size

    def __getitem__(self, box: Any) -> np.ndarray:
        return np.clip(np.rint(self.values[box]), AIR_HU, np.iinfo(np.int16).max).astype(np.int16)


def _rim(outline: Outline, shape: Sequence[int], spacing: tuple[float, float, float], rim_mm: float) -> np.ndarray:
    """Which voxels in the box of an outline are rim: see `rim_mask`. All in the axial view."""
    margin = [size // 2 for size in reach(spacing, rim_mm).shape]
    around = tuple(
        slice(max(0, side.start - more), min(size, side.stop + more))
        for side, more, size in zip(outline.box, margin, shape, strict=True)
    )
    labels = np.zeros([side.stop - side.start for side in around], np.uint8)
    labels[moved_box(outline.box, around)] = outline.mask
    return rim_mask(labels, spacing, rim_mm)[moved_box(outline.box, around)]
