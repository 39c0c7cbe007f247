"""Cavities: air that a nodule encloses. The generator has learned from few of them and sees nothing in a thin wall."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from ..core.boxes import Box, grown_box, label_boxes, moved_box, outer_box
from ..core.candidate import Candidate
from ..core.ct import CT
from ..core.geometry import equivalent_diameter
from .fusion import around

# Air is darker than this; the lower values are for walls that partial volume makes nearly as dark as lung.
_AIR_HU = (-600.0, -650.0, -700.0, -750.0, -800.0)
# Air that goes on so far beyond a candidate, mm, is lung or an airway.
_REACH_MM = 25.0
# A cavity begins this near to a seed, and lies in the boxes of a detection, made wider by so much, mm; what is narrower
# the generator sees as what it is.
_NEAR_MM, _BESIDE_MM, _LEAST_MM = 5.0, 3.0, 4.0
# A wall is denser than this in most of what surrounds the air in its slices (thick ones show no lid); lung that noise
# parts into pieces has no wall.
_WALL_HU = -500.0
_IN_SLICE = ndimage.generate_binary_structure(2, 1)[None]
# A quarter of it is darker than the lung around it by this much, HU; lung that chest wall and diaphragm enclose is not.
_DARKER_HU = 60.0
# Of lung, where none is around.
_LUNG_HU = -850.0


def with_filled_cavities(ct: CT, candidates: Sequence[Candidate]) -> CT:
    """The CT (axial view) as the generator is shown it: air that a candidate encloses is as dense as its wall."""
    filled = [one for candidate in candidates for one in _cavities_of(ct, candidate)]
    if not filled:
        return ct
    hu = ct.hu.copy()
    for box, inside, wall in filled:
        hu[box][inside] = np.maximum(hu[box][inside], wall)
    return replace(ct, hu=hu)


def with_cavities(ct: CT, labels: np.ndarray, filled: CT) -> list[Candidate]:
    """The nodules of `labels` `[slice, row, column]` that hold what `filled` has more than the CT, box by box."""
    if filled is ct:
        return []
    changed = set(np.unique(labels[filled.hu != ct.hu]).tolist())
    boxes = {number: box for number, box in label_boxes(labels).items() if number in changed}
    return [
        Candidate(dict.fromkeys(range(k.start, k.stop), (x.start, y.start, x.stop, y.stop)), 1.0)
        for k, y, x in boxes.values()
    ]


def _cavities_of(ct: CT, candidate: Candidate) -> Iterator[tuple[Box, np.ndarray, float]]:
    """Of each cavity a box, its mask in there with the border that is air in part, and the density of its wall, HU."""
    middle = np.array(candidate.centre_ijk if candidate.seed is None else candidate.seed, float)[::-1]
    spacing, near = np.array(ct.spacing[::-1]), max(_NEAR_MM, candidate.width(ct) / 2)
    low, high = (np.round(middle + way * (near + _REACH_MM) / spacing).astype(int) for way in (-1, 1))
    window = tuple(slice(max(0, a), min(b + 1, size)) for a, b, size in zip(low, high, ct.hu.shape, strict=True))
    hu = ct.hu[window]
    places = np.ogrid[window]
    close = sum(((place - at) * mm) ** 2 for place, at, mm in zip(places, middle, spacing, strict=True)) <= near**2
    own = None if candidate.seed is not None else moved_box(around(candidate, ct, _BESIDE_MM), window)
    for darker in _AIR_HU:
        parts, _ = ndimage.label(hu < darker)
        closed = [(box, parts[box] == number) for number, box in _closed(parts, close) if own is None or _in(box, own)]
        large = [one for one in closed if equivalent_diameter(np.count_nonzero(one[1]) * ct.voxel_volume) >= _LEAST_MM]
        cavities = [cavity for box, air in large if (cavity := _cavity(hu, box, air)) is not None]
        if cavities:
            yield from ((outer_box(box, window), inside, wall) for box, inside, wall in cavities)
            return


def _closed(parts: np.ndarray, close: np.ndarray) -> Iterator[tuple[int, Box]]:
    """Numbers and boxes of the parts that begin close by and reach no face of the array."""
    boxes = ndimage.find_objects(parts)
    for number in np.setdiff1d(parts[close], 0):
        box = boxes[number - 1]
        if all(side.start > 0 and side.stop < size for side, size in zip(box, parts.shape, strict=True)):
            yield int(number), box


def _in(box: Box, other: Box) -> bool:
    return all(one.start >= two.start and one.stop <= two.stop for one, two in zip(box, other, strict=True))


def _cavity(hu: np.ndarray, box: Box, air: np.ndarray) -> tuple[Box, np.ndarray, float] | None:
    """A wider box, the air with the voxels around it in there, and the density of the wall, HU; None for no cavity."""
    wide = tuple(slice(a.start, min(a.stop, size)) for a, size in zip(grown_box(box, (3, 3, 3)), hu.shape, strict=True))
    mask = np.zeros(hu[wide].shape, bool)
    mask[moved_box(box, wide)] = air
    inside = ndimage.binary_dilation(mask)
    border = ndimage.binary_dilation(mask, _IN_SLICE)
    beside = hu[wide][ndimage.binary_dilation(border, _IN_SLICE, iterations=2) & ~border]
    lung = hu < _AIR_HU[0]
    lung[wide] = False
    lung_hu = np.median(hu[lung]) if lung.any() else _LUNG_HU
    if np.median(beside) <= _WALL_HU or np.percentile(hu[box][air], 25) >= lung_hu - _DARKER_HU:
        return None
    return wide, inside, float(np.median(beside[beside > _WALL_HU]))
