"""The detect stage: boxes of the detector in each slice of a CT, linked over slices to candidates in 3D."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np

from ..core.candidate import Candidate
from ..core.ct import CT
from ..networks.grid import NetworkGrid
from ..networks.runtime import SliceDetector
from .linking import LOWEST_LINKED, ScoredBox, chains, link_boxes, linked_over

# Slices are cut to the lungs' bounding box and this much around it.
_MARGIN_MM = 15.0
# A candidate whose centre lies further from the lungs than this is dropped, unless it is wide and, along the body, at
# least this share as thick: a mass at the wall.
_OUTSIDE_MM = 5.0
_THICK_SHARE = 0.4
# What is wider is no mass.
_WIDEST_MASS_MM = 100.0
# Of slices thinner than half of this some are left out: those searched lie at most this far apart.
_SEARCHED_MM = 1.25


def detect(
    ct: CT,
    detector: SliceDetector,
    grid: NetworkGrid,
    *,
    lungs: np.ndarray,
    score_threshold: float,
    batch_size: int = 4,
    report: Callable[[float], None] = lambda fraction: None,
    on_candidate: Callable[[Candidate], object] | None = None,
) -> tuple[Candidate, ...]:
    """Candidates of a CT in the axial view, best first; the score is the best of a candidate's slices.

    Args:
        lungs: `[slice, row, column]`, above 0 in the lungs, or wherever is to be searched. Slices without lung are
            skipped, candidates whose centre lies more than 5 mm outside are dropped, but for masses at the wall.
        score_threshold: lowest score of a candidate.
        report: called with the share done, 0 to 1.
        on_candidate: called with each candidate as soon as the slices around it are searched. It has fewer boxes then
            than among those returned, where a candidate also has the boxes that are too unsure to begin one.
    """
    early = None if on_candidate is None else _Early(ct, lungs, score_threshold, on_candidate)
    boxes = slice_boxes(
        ct,
        detector,
        grid,
        lungs=lungs,
        batch_size=batch_size,
        score_threshold=score_threshold,
        report=report,
        searched=None if early is None else early.look,
    )
    linked = link_boxes(boxes, ct.spacing[2], min(LOWEST_LINKED, score_threshold))
    step = searched_step(ct.spacing[2])
    candidates = (_between(one, step) for one in linked if one.score >= score_threshold)
    return tuple(sorted((one for one in candidates if _in_lungs(one, ct, lungs)), key=lambda one: -one.score))


class _Early:
    """Tells of candidates while the slices are searched, of each once."""

    def __init__(
        self, ct: CT, lungs: np.ndarray, score_threshold: float, on_candidate: Callable[[Candidate], object]
    ) -> None:
        self._ct, self._lungs, self._on_candidate = ct, lungs, on_candidate
        self._threshold = score_threshold
        self._told: set[tuple[int, ScoredBox]] = set()

    def look(self, found: Mapping[int, Sequence[ScoredBox]], unsearched: np.ndarray) -> None:
        """Tell of candidates that none of the slices not searched yet can reach, given the boxes in the others."""
        slice_mm = self._ct.spacing[2]
        reach, step = linked_over(slice_mm), searched_step(slice_mm)
        boxes = [found.get(k, ()) for k in range(max(found, default=-1) + 1)]
        for chain in chains(boxes, slice_mm, min(LOWEST_LINKED, self._threshold)):
            first, last = min(chain.boxes) - reach, chain.last + reach
            if (
                chain.best < self._threshold
                or ((first <= unsearched) & (unsearched <= last)).any()
                or not self._told.isdisjoint(chain.boxes.items())
            ):
                continue
            self._told.update(chain.boxes.items())
            candidate = _between(chain.candidate(), step)
            if _in_lungs(candidate, self._ct, self._lungs):
                self._on_candidate(candidate)


def searched_step(slice_mm: float) -> int:
    """Every how many slices the detector looks at one: thin slices show a nodule more often than it needs."""
    return max(1, int(_SEARCHED_MM / slice_mm + 0.05))


def _between(candidate: Candidate, step: int) -> Candidate:
    """The candidate with boxes on the slices between those that were searched, too."""
    slices = sorted(candidate.boxes)
    boxes = dict(candidate.boxes)
    for first, second in pairwise(slices):
        if second - first <= step:
            low, high = np.array(boxes[first]), np.array(boxes[second])
            for k in range(first + 1, second):
                boxes[k] = tuple((low + (high - low) * (k - first) / (second - first)).tolist())
    return replace(candidate, boxes=dict(sorted(boxes.items())))


def slice_boxes(
    ct: CT,
    detector: SliceDetector,
    grid: NetworkGrid,
    *,
    lungs: np.ndarray,
    batch_size: int = 4,
    score_threshold: float = 0.0,
    report: Callable[[float], None] = lambda fraction: None,
    searched: Callable[[Mapping[int, Sequence[ScoredBox]], np.ndarray], object] | None = None,
) -> list[list[ScoredBox]]:
    """For each slice of the CT the detector's boxes in CT pixels, none on slices left out; arguments as of `detect`.

    Only as many as candidates from `score_threshold` on need: a slice in which no box can score so much is looked at
    in full only where it lies at such a candidate.

    `searched` is called after each batch of slices with the boxes found so far by their slice, and the slices that are
    still to be searched.
    """
    wanted = np.flatnonzero(lungs.any((1, 2)))[:: searched_step(ct.spacing[2])]
    batches = [wanted[begin : begin + batch_size] for begin in range(0, len(wanted), batch_size)]
    # From the middle outwards, where the lungs are widest: the first candidates are found sooner.
    batches.sort(key=lambda batch: abs(int(batch[len(batch) // 2] - wanted[len(wanted) // 2])))
    look = partial(_boxes_in, ct, detector, grid, lungs)
    found: dict[int, list[ScoredBox]] = {}
    for number, batch in enumerate(batches):
        found |= look(batch, batch, score_threshold)
        if searched is not None:
            searched(found, np.setdiff1d(wanted, np.concatenate(batches[: number + 1])))
        report((number + 1) / len(batches))
    while unseen := _unseen_at_candidates(found, wanted, ct.spacing[2], score_threshold):
        for batch in batches:
            if len(slices := np.intersect1d(batch, unseen)):
                found |= look(batch, slices, 0.0)
                report(1.0)
    return [found.get(k, []) for k in range(len(ct.hu))]


def _boxes_in(
    ct: CT,
    detector: SliceDetector,
    grid: NetworkGrid,
    lungs: np.ndarray,
    batch: np.ndarray,
    slices: np.ndarray,
    least: float,
) -> dict[int, list[ScoredBox]]:
    """The boxes in some slices of a batch, but for those in which no box can score `least`; cut to the lungs of all."""
    rows, columns = _window(np.any(lungs[batch], axis=0), ct.spacing)
    steps = grid.steps(ct.hu.shape[1:], ct.spacing[:2])
    images = slice_images(
        ct.hu[:, rows, columns], slices, detector.architecture.neighbour_step(ct.spacing[2]), grid, steps
    )
    origin, scale = np.array([columns.start, rows.start] * 2), np.array([steps[1], steps[0]] * 2)
    found = {}
    for k, one in zip(slices.tolist(), detector.find(images, least), strict=True):
        if one is not None:
            boxes, scores = one[0] * scale + origin, one[1]
            found[k] = [(tuple(box), score) for box, score in zip(boxes.tolist(), scores.tolist(), strict=True)]
    return found


def _unseen_at_candidates(
    found: Mapping[int, Sequence[ScoredBox]], wanted: np.ndarray, slice_mm: float, score_threshold: float
) -> list[int]:
    """Slices not yet looked at in full that candidates from this score on reach, or can be linked to."""
    if len(found) == len(wanted):
        return []
    reach = linked_over(slice_mm)
    boxes = [found.get(k, ()) for k in range(int(wanted[-1]) + 1)]
    at_candidates = np.zeros(len(boxes), bool)
    for chain in chains(boxes, slice_mm, min(LOWEST_LINKED, score_threshold)):
        if chain.best >= score_threshold:
            at_candidates[max(0, min(chain.boxes) - reach) : chain.last + reach + 1] = True
    return [k for k in wanted.tolist() if at_candidates[k] and k not in found]


def slice_images(
    hu: np.ndarray, slices: Sequence[int] | np.ndarray, step: int, grid: NetworkGrid, steps: tuple[float, float]
) -> list[np.ndarray]:
    """What the detector sees of each slice: `[3, y, x]`, the slice between its neighbours `step` slices away.

    Beyond the first and the last slice these are repeated. `steps` are the CT rows and columns in a pixel.
    """
    stacks = np.array([np.clip([k - step, k, k + step], 0, len(hu) - 1) for k in slices])
    used, place = np.unique(stacks, return_inverse=True)
    sampled = grid.sample(hu[used], (1.0, 1.0), steps)
    return list(sampled[place.reshape(stacks.shape)])


def _window(lungs: np.ndarray, spacing: tuple[float, float, float]) -> tuple[slice, slice]:
    """Rows and columns of the bounding box of a mask `[row, column]` and a margin."""
    ranges = []
    for axis, pixel in ((1, spacing[1]), (0, spacing[0])):
        lines = np.flatnonzero(lungs.any(axis))
        margin = int(np.ceil(_MARGIN_MM / pixel))
        ranges.append(slice(max(0, int(lines[0]) - margin), int(lines[-1]) + 1 + margin))
    rows, columns = ranges
    return slice(rows.start, min(rows.stop, lungs.shape[0])), slice(columns.start, min(columns.stop, lungs.shape[1]))


def _in_lungs(candidate: Candidate, ct: CT, lungs: np.ndarray) -> bool:
    """Whether the candidate's centre lies in the lungs or at most 5 mm outside, or half its width where it is a body.

    The masks of lungs leave out a mass at the wall: its centre lies as deep in it as it is wide. What is as wide but
    seen in few slices is none, such as a vessel of the hilum.
    """
    reach, width = _OUTSIDE_MM, candidate.width(ct)
    if width <= _WIDEST_MASS_MM and len(candidate.boxes) * ct.spacing[2] >= _THICK_SHARE * width:
        reach = max(reach, width / 2)
    voxel = np.array(ct.spacing[::-1])  # mm along (slice, row, column)
    centre = candidate.centre_ijk[::-1]
    first = np.maximum(0, np.floor(centre - reach / voxel)).astype(int)
    end = np.ceil(centre + reach / voxel).astype(int) + 1
    near = np.argwhere(lungs[tuple(slice(a, b) for a, b in zip(first, end, strict=True))] > 0) + first
    return bool((np.linalg.norm((near - centre) * voxel, axis=1) <= reach).any())
