"""The detect stage: boxes of the detector in each slice of a CT, linked over slices to candidates in 3D."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise

import numpy as np

from ..core.candidate import Candidate
from ..core.ct import CT
from ..networks.grid import NetworkGrid
from ..networks.runtime import SliceDetector

#: Box `(x0, y0, x1, y1)` in CT pixels (column c covers c to c + 1) and its score.
ScoredBox = tuple[tuple[float, float, float, float], float]

# Slices are cut to the lungs' bounding box and this much around it.
_MARGIN_MM = 15.0
# A candidate whose centre lies further from the lungs than this is dropped, unless it is wide and, along the body, at
# least this share as thick: a mass at the wall.
_OUTSIDE_MM = 5.0
_THICK_SHARE = 0.4
# What is wider is no mass.
_WIDEST_MASS_MM = 100.0
# Boxes from this score on may extend a candidate; whether it is kept depends on its best box.
_LOWEST_LINKED = 0.05
# A candidate loses boxes whose score is below this share of its best.
_KEPT_SHARE = 0.2
# Boxes of two slices belong together from this IoU on, or when one holds the other's centre.
_LINK_IOU = 0.2
# Of slices thinner than half of this some are left out: those searched lie at most this far apart.
_SEARCHED_MM = 1.25
# Boxes of slices at most this far apart can be of one candidate, whatever the spacing; those of neighbours always.
_BRIDGE_MM = 5.0


def detect(
    ct: CT,
    detector: SliceDetector,
    grid: NetworkGrid,
    *,
    lungs: np.ndarray,
    score_threshold: float,
    batch_size: int = 4,
    report: Callable[[float], None] = lambda fraction: None,
) -> tuple[Candidate, ...]:
    """Candidates of a CT in the axial view, best first; the score is the best of a candidate's slices.

    Args:
        lungs: `[slice, row, column]`, above 0 in the lungs, or wherever is to be searched. Slices without lung are
            skipped, candidates whose centre lies more than 5 mm outside are dropped, but for masses at the wall.
        score_threshold: lowest score of a candidate.
        report: called with the share done, 0 to 1.
    """
    boxes = slice_boxes(
        ct, detector, grid, lungs=lungs, batch_size=batch_size, score_threshold=score_threshold, report=report
    )
    linked = link_boxes(boxes, ct.spacing[2], min(_LOWEST_LINKED, score_threshold))
    step = searched_step(ct.spacing[2])
    candidates = (_between(one, step) for one in linked if one.score >= score_threshold)
    return tuple(sorted((one for one in candidates if _in_lungs(one, ct, lungs)), key=lambda one: -one.score))


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
) -> list[list[ScoredBox]]:
    """For each slice of the CT the detector's boxes in CT pixels, none on slices left out; arguments as of `detect`.

    Only as many as candidates from `score_threshold` on need: a slice in which no box can score so much is looked at
    in full only where it lies at such a candidate.
    """
    wanted = np.flatnonzero(lungs.any((1, 2)))[:: searched_step(ct.spacing[2])]
    batches = [wanted[begin : begin + batch_size] for begin in range(0, len(wanted), batch_size)]
    look = partial(_boxes_in, ct, detector, grid, lungs)
    found: dict[int, list[ScoredBox]] = {}
    for number, batch in enumerate(batches):
        found |= look(batch, batch, score_threshold)
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
    reach = _linked_over(slice_mm)
    boxes = [found.get(k, ()) for k in range(int(wanted[-1]) + 1)]
    at_candidates = np.zeros(len(boxes), bool)
    for chain in _chains(boxes, slice_mm, min(_LOWEST_LINKED, score_threshold)):
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


@dataclass
class _Chain:
    """Boxes of one candidate while it is being linked, from its first slice on."""

    boxes: dict[int, ScoredBox] = field(default_factory=dict)

    @property
    def last(self) -> int:
        return max(self.boxes)

    @property
    def best(self) -> float:
        return max(score for _, score in self.boxes.values())

    def candidate(self) -> Candidate:
        best = self.best
        kept = {k: box for k, (box, score) in self.boxes.items() if score >= _KEPT_SHARE * best}
        return Candidate(kept, best)


def link_boxes(
    boxes: Sequence[Sequence[ScoredBox]], slice_mm: float, lowest: float = _LOWEST_LINKED
) -> list[Candidate]:
    """Candidates from the boxes of consecutive slices: a box goes to the candidate whose last box overlaps it most."""
    return [chain.candidate() for chain in _chains(boxes, slice_mm, lowest)]


def _linked_over(slice_mm: float) -> int:
    """Boxes of slices at most so many apart can be of one candidate."""
    return max(1, int(_BRIDGE_MM / slice_mm + 0.05))


def _chains(boxes: Sequence[Sequence[ScoredBox]], slice_mm: float, lowest: float) -> list[_Chain]:
    reach = _linked_over(slice_mm)
    chains: list[_Chain] = []
    for k, found in enumerate(boxes):
        fresh = [box for box in found if box[1] >= lowest]
        near = [chain for chain in chains if k - chain.last <= reach]
        pairs = [
            (_overlap(chain.boxes[chain.last][0], box[0]) - (k - chain.last - 1), chain, number)
            for chain in near
            for number, box in enumerate(fresh)
            if _overlap(chain.boxes[chain.last][0], box[0]) > 0
        ]
        taken: set[int] = set()
        for _, chain, number in sorted(pairs, key=lambda pair: -pair[0]):
            if chain.last < k and number not in taken:
                chain.boxes[k] = fresh[number]
                taken.add(number)
        chains += [_Chain({k: box}) for number, box in enumerate(fresh) if number not in taken]
    return chains


def _overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """IoU of two boxes that belong together, never quite 0; 0 for boxes that do not."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    area = width * height
    iou = area / (_area(one) + _area(other) - area)
    return iou if iou >= _LINK_IOU or _holds_centre(one, other) or _holds_centre(other, one) else 0.0


def _area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _holds_centre(box: Sequence[float], other: Sequence[float]) -> bool:
    x, y = (other[0] + other[2]) / 2, (other[1] + other[3]) / 2
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


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
