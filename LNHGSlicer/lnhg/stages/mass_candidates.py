"""Masses: candidates in the middle of more tissue than their boxes, or the generator, show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from ..core.candidate import Ball, Candidate
from ..core.ct import CT
from .fusion import FusionRule, around
from .lungs import block_mean
from .measurement import WIDEST_MM

# Tissue is denser than this, as a mean over cells of about so many mm.
_TISSUE_HU, _CELL_MM = -400.0, 2.0
# No ball is wider than twice this, mm.
_REACH_MM = 60.0
# A ball counts from this diameter on, mm: what is smaller the generator sees itself.
_LEAST_MM = 25.0
# A leak into a vessel ends at the limit of the search too; what ends there over more than this area is no leak.
_STOPPED_MM2 = 100.0
# A detection is in the middle of a mass if the ball is wider than its boxes by this factor.
_WIDER = 1.5


def with_masses(ct: CT, candidates: Sequence[Candidate], lungs: np.ndarray) -> list[Candidate]:
    """The candidates; those in the middle of a mass with the largest ball of tissue at their place.

    Args:
        lungs: `[slice, row, column]`, above 0 in the lungs, masses inside their outline included.
    """
    return [replace(one, mass=_ball_of(ct, one, lungs)) for one in candidates]


def ended_by_limits(ct: CT, labels: np.ndarray, candidates: Sequence[Candidate], rule: FusionRule) -> list[bool]:
    """For nodules 1..N whether the method stopped outlining them: at the limit of a candidate's search, or because its
    boxes or its mass are as wide as it outlines.
    """
    ended = np.zeros(int(labels.max()) + 1, bool)
    for candidate in candidates:
        here = np.setdiff1d(labels[around(candidate, ct)], 0)
        if candidate.width(ct) >= WIDEST_MM:
            ended[here] = True
            continue
        limit = around(candidate, ct, rule.limit(candidate, ct))
        for number in here:
            ended[number] |= _stopped_mm2(labels, number, limit, ct) > _STOPPED_MM2
    return ended[1:].tolist()


def _stopped_mm2(labels: np.ndarray, number: int, limit: tuple[slice, slice, slice], ct: CT) -> float:
    """The largest area in which a label ends at one face of a box inside the CT, mm2."""
    areas, voxel = [0.0], np.array(ct.spacing[::-1])
    for axis, one in enumerate(limit):
        for inner, outer in ((one.start, one.start - 1), (one.stop - 1, one.stop)):
            if 0 <= outer < labels.shape[axis]:
                face = (labels.take(inner, axis) == number) & (labels.take(outer, axis) != number)
                areas.append(float(np.count_nonzero(face) * voxel.prod() / voxel[axis]))
    return max(areas)


def _ball_of(ct: CT, candidate: Candidate, lungs: np.ndarray) -> Ball | None:
    centre = np.array(candidate.centre_ijk if candidate.seed is None else candidate.seed, float)
    ball = _deepest_ball(ct, centre, lungs)
    least = _LEAST_MM if candidate.seed is not None else max(_LEAST_MM, _WIDER * candidate.width(ct))
    return ball if ball.diameter >= least else None


def _deepest_ball(ct: CT, ijk: np.ndarray, lungs: np.ndarray) -> Ball:
    """The largest ball of tissue at a voxel; inside the lungs the largest that is reached from it by ever larger
    ones.
    """
    box = tuple(
        slice(max(0, int(at - _REACH_MM / spacing)), int(at + _REACH_MM / spacing) + 2)
        for at, spacing in zip(ijk[::-1], ct.spacing[::-1], strict=True)
    )
    shape = ct.hu[box].shape
    steps = tuple(min(max(1, round(_CELL_MM / one)), n) for one, n in zip(ct.spacing[::-1], shape, strict=True))
    tissue = block_mean(ct.hu[box], steps) > _TISSUE_HU
    cell = np.multiply(steps, ct.spacing[::-1])
    depth = ndimage.distance_transform_edt(np.pad(tissue, 1), cell)[1:-1, 1:-1, 1:-1]
    inside = lungs[box][tuple(slice(step // 2, None, step) for step in steps)][tuple(map(slice, depth.shape))] > 0
    start = (ijk[::-1] - [one.start for one in box] + 0.5) / steps - 0.5
    at = tuple(np.clip(np.round(start), 0, np.array(depth.shape) - 1).astype(int))
    if inside[at]:
        at = _climbed(np.where(inside, depth, 0), at, cell)
    centre = (np.array(at) + 0.5) * steps - 0.5 + [one.start for one in box]
    # The face of the last cell of tissue lies half a cell before the first one without.
    radius = max(0.0, float(depth[at]) - float(cell.min()) / 2)
    return Ball((float(centre[2]), float(centre[1]), float(centre[0])), 2 * radius)


def _climbed(depth: np.ndarray, at: tuple[int, ...], cell: np.ndarray) -> tuple[int, ...]:
    """From a cell to the deepest one in its ball, and on, until none is deeper."""
    grid = np.stack(np.meshgrid(*map(np.arange, depth.shape), indexing="ij"), -1) * cell
    while True:
        near = np.linalg.norm(grid - np.multiply(at, cell), axis=-1) <= max(depth[at] / 2, cell.max())
        best = np.unravel_index(np.argmax(np.where(near, depth, -1)), depth.shape)
        if depth[best] <= depth[at]:
            return at
        at = tuple(int(index) for index in best)
