"""Whether a patient lies in a CT as its header says, by the windpipe: it runs from the upper end of the lungs to their
middle, in front of the spine, and leads back on its way down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.ct import CT
from .lungs import block_mean

# Cell of the grid that is looked at, mm, and how far it reaches to both sides of the lungs' middle.
_CELL_MM, _REACH_MM = 2.2, 45.0
# Sections of the windpipe: darker than this, of this area and no wider, and no further apart from slice to slice.
_GAS_HU, _SECTION_MM2, _WIDEST_MM, _APART_MM = -850.0, (60.0, 700.0), 45.0, 4.0
# A windpipe is at least so long, lungs so high; the middle of the one lies this share of the other off its middle.
_LONG_MM, _HIGH_MM, _OFF_MIDDLE = 60.0, 150.0, 0.2
# It leads back by this much a mm on its way down; behind it lie this much more of the patient and more bone, in a strip
# of these reaches (mm) behind it and in front.
_LEADS_BACK, _DEEPER_MM, _BONE_HU = 0.1, 10.0, 180.0
_STRIP_MM, _BONE_MM = 12.0, (10.0, 55.0)
_TISSUE_HU = -400.0
# Every so many columns and rows of the lungs show where they lie.
_STRIDE = 4
_IN_PLANE = np.zeros((3, 3, 3), bool)
_IN_PLANE[1] = ndimage.generate_binary_structure(2, 1)

#: The directions that can be found exchanged, in words.
UPSIDE_DOWN, BACK_TO_FRONT = "head and feet", "front and back"


@dataclass(frozen=True, eq=False)
class _Middle:
    """The strip of a CT that holds the windpipe, in cells, in the axial view.

    Attributes:
        hu: mean HU of each cell, `[slice, row, column]`.
        cell: mm along (slice, row, column).
    """

    hu: np.ndarray
    cell: np.ndarray


def exchanged(ct: CT, lungs: np.ndarray) -> tuple[str, ...]:
    """Which directions of a CT in the axial view are exchanged against its header, `UPSIDE_DOWN` or `BACK_TO_FRONT`;
    none where they are not, or where it does not show: cut-outs, parts of a chest, lungs without a windpipe.

    `lungs`: from `lung_regions`. Left and right cannot be told by this.
    """
    sparse = lungs[:, ::_STRIDE, ::_STRIDE] > 0
    heights = np.flatnonzero(sparse.any((1, 2)))
    if not len(heights) or np.ptp(heights) * ct.spacing[2] < _HIGH_MM:
        return ()
    column = _STRIDE * float(np.average(np.arange(sparse.shape[2]), weights=sparse.sum((0, 1))))
    middle = _middle(ct, column)
    pipe = _windpipe(middle)
    if len(pipe) * middle.cell[0] < _LONG_MM:
        return ()
    low, high = (heights[[0, -1]] + 0.5) * ct.spacing[2]
    off = float((pipe[:, 0].mean() + 0.5) * middle.cell[0] - (low + high) / 2) / (high - low)
    if abs(off) < _OFF_MIDDLE:
        return ()
    upward = pipe if off > 0 else pipe[::-1]
    found = (UPSIDE_DOWN,) if off < 0 else ()
    return (*found, BACK_TO_FRONT) if _is_behind_spine(middle, upward) else found


def _middle(ct: CT, column: float) -> _Middle:
    reach = _REACH_MM / ct.spacing[0]
    strip = ct.hu[:, :, max(0, round(column - reach)) : round(column + reach) + 1]
    steps = tuple(
        min(max(1, round(_CELL_MM / spacing)), size)
        for spacing, size in zip(ct.spacing[::-1], strip.shape, strict=True)
    )
    return _Middle(block_mean(strip, steps), np.multiply(steps, ct.spacing[::-1]))


def _windpipe(middle: _Middle) -> np.ndarray:
    """The longest stack of small round sections of gas: slice, row and column of each, from the feet to the head."""
    cell = middle.cell
    sections, count = ndimage.label(middle.hu < _GAS_HU, _IN_PLANE)
    numbers = np.arange(1, count + 1)
    area = np.bincount(sections.ravel(), minlength=count + 1)[1:] * cell[1] * cell[2]
    widths = [
        max((box[1].stop - box[1].start) * cell[1], (box[2].stop - box[2].start) * cell[2])
        for box in ndimage.find_objects(sections)
    ]
    small = (area >= _SECTION_MM2[0]) & (area <= _SECTION_MM2[1]) & (np.array(widths) <= _WIDEST_MM)
    if not small.any():
        return np.zeros((0, 3))
    centres = np.array(ndimage.center_of_mass(sections > 0, sections, numbers[small]))
    stacks: list[list[int]] = []
    for number, (k, *at) in enumerate(centres):
        below = [stack for stack in stacks if centres[stack[-1]][0] == k - 1]
        near = [stack for stack in below if _apart(centres[stack[-1]][1:], at, cell) <= _APART_MM + 0.6 * cell[0]]
        stacks.append([*max(near, key=len, default=[]), number])
    return centres[max(stacks, key=len)]


def _apart(one: np.ndarray, other: np.ndarray, cell: np.ndarray) -> float:
    return float(np.hypot(*((one - other) * cell[1:])))


def _is_behind_spine(middle: _Middle, pipe: np.ndarray) -> bool:
    """Whether a windpipe (from its lower end upwards) leads to the front on its way down, and spine and most of the
    patient lie in front of it.
    """
    cell = middle.cell
    length = np.arange(len(pipe)) * cell[0]
    if np.polyfit(length, pipe[:, 1] * cell[1], 1)[0] < _LEADS_BACK:
        return False
    bone, deeper = 0, []
    for k, row, column in pipe[len(pipe) // 2 :]:
        strip = middle.hu[int(k), :, max(0, round(column - _STRIP_MM / cell[2])) : round(column + _STRIP_MM / cell[2])]
        near, far = (round(reach / cell[1]) for reach in _BONE_MM)
        at = round(row)
        is_bone = strip > _BONE_HU
        bone += int(is_bone[at + near : at + far].sum()) - int(is_bone[max(0, at - far) : max(0, at - near)].sum())
        tissue = np.flatnonzero(middle.hu[int(k), :, round(column)] > _TISSUE_HU)
        deeper.append((tissue[[0, -1]].sum() - 2 * row) * cell[1] if len(tissue) else 0.0)
    return bone < 0 and float(np.median(deeper)) < -_DEEPER_MM
