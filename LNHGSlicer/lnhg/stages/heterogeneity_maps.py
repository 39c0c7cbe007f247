"""The map of a result and the raw CT beside it, of whatever kind was asked for (`Options.map_kind`).

deviation: `stages.heterogeneity_from_ct`, HU away from the nodule's typical tissue beyond noise and edge.
twin: `stages.heterogeneity_from_twin`, how much of G(x) is due to unevenness inside the nodule; needs the generator.
inverse, intensity: the paper's, `stages.heterogeneity_from_generator`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..core.boxes import Box, label_boxes
from ..core.result import Result
from ..errors import InputError
from ..options import PAPERS_KINDS, Options
from .axial import AxialOrder, axial_order
from .heterogeneity_from_ct import FULL_SCALE_HU, strength_hu, typical_hu
from .heterogeneity_from_generator import map_of_outlines
from .nodule_map import OUTSIDE, Indexed, NoduleMap

#: Share of the largest G(x) in a nodule that has full scale in a map of the kind `twin`.
FULL_SCALE_TWIN = 0.5

Outlines = Mapping[int, tuple[Box, np.ndarray]]
#: For each nodule the part of G(x) that is due to unevenness, in its box, as a share of the largest G(x) in it.
Twins = Callable[[Outlines], Mapping[int, np.ndarray]]


class Voxels(Indexed, Protocol):
    """An array, or what is read box by box as one."""

    @property
    def shape(self) -> tuple[int, ...]: ...


@dataclass(frozen=True, eq=False)
class MapInput:
    """What maps are made from, all in the axial view.

    Attributes:
        hu: HU `[slice, row, column]`.
        spacing: of (i, j, k), mm.
        image: G(x), which the paper's kinds need; None where there is none.
        twins: what the kind `twin` needs; None where no generator is at hand.
    """

    hu: Voxels
    spacing: tuple[float, float, float]
    image: Indexed | None = None
    twins: Twins | None = None


def outlines_of(labels: np.ndarray) -> dict[int, tuple[Box, np.ndarray]]:
    """The box of each label, and which voxels in it have it."""
    return {number: (box, labels[box] == number) for number, box in label_boxes(labels).items()}


def nodule_map(scan: MapInput, outlines: Outlines, options: Options) -> NoduleMap:
    """The map of the kind and range that the options ask for: 0..1 inside the nodules, -1 outside.

    Raises InputError where the kind needs what the scan has not.
    """
    kind, shape = options.map_kind, scan.hu.shape
    if kind in PAPERS_KINDS:
        if scan.image is None:
            raise InputError(f"A map of the kind {kind} needs the generator's image; segment the CT again.")
        return map_of_outlines(scan.image, shape, outlines, kind, options.map_range)
    if kind == "twin":
        if scan.twins is None:
            raise InputError("A map of the kind twin needs the generator; choose that kind and segment the CT again.")
        return _scaled(shape, outlines, scan.twins(outlines), FULL_SCALE_TWIN, options.map_range)
    values = {number: strength_hu(scan.hu, box, mask, scan.spacing) for number, (box, mask) in outlines.items()}
    return _scaled(shape, outlines, values, FULL_SCALE_HU, options.map_range)


def raw_map(scan: MapInput, outlines: Outlines, options: Options) -> NoduleMap:
    """The raw CT in the colours of the map, to compare.

    Beside the paper's kinds HU stand in place of G(x); beside the others it is the distance of each voxel's HU from the
    median in the core, with noise and edge as they are, on the scale of `deviation`.
    """
    kind = options.map_kind
    if kind in PAPERS_KINDS:
        return map_of_outlines(scan.hu, scan.hu.shape, outlines, kind, options.map_range, raw_ct=True)
    values = {}
    for number, (box, mask) in outlines.items():
        hu = scan.hu[box].astype(np.float32)
        values[number] = np.abs(hu - typical_hu(hu, mask, scan.spacing))
    return _scaled(scan.hu.shape, outlines, values, FULL_SCALE_HU, options.map_range)


def raw_ct_map(result: Result) -> np.ndarray:
    """The raw CT of a result rendered as its map is: float32 on the CT's grid, 0..1 inside the nodules and -1
    outside.
    """
    view = axial_order(result.ct)
    return view.from_axial(raw_ct_in_view(result, view).whole())


def raw_ct_in_view(result: Result, view: AxialOrder) -> NoduleMap:
    """The same in the axial view of the result's CT, with memory for the nodules alone."""
    scan = MapInput(view.ct.hu, view.ct.spacing)
    return raw_map(scan, outlines_of(view.to_axial(result.labels)), result.options)


def _scaled(
    shape: tuple[int, ...], outlines: Outlines, values: Mapping[int, np.ndarray], full: float, map_range: str
) -> NoduleMap:
    """Values from 0 up as a map: `fixed` at `full`, the same in every scan; else at the largest of all, or of each."""
    largest = {number: float(values[number][mask].max()) for number, (_, mask) in outlines.items()}
    if map_range != "nodule":
        top = full if map_range == "fixed" else max(largest.values(), default=0.0)
        largest = dict.fromkeys(largest, top)
    parts = {}
    for number, (box, mask) in outlines.items():
        share = values[number] / (largest[number] or 1.0)
        parts[number] = box, np.where(mask, share.clip(0, 1), OUTSIDE).astype(np.float32)
    return NoduleMap(shape, parts)
