"""Boxes of single slices linked over slices to candidates in 3D."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..core.candidate import Candidate

#: Box `(x0, y0, x1, y1)` in CT pixels (column c covers c to c + 1) and its score.
ScoredBox = tuple[tuple[float, float, float, float], float]

#: Boxes from this score on may extend a candidate; whether it is kept depends on its best box.
LOWEST_LINKED = 0.05
# A candidate loses boxes whose score is below this share of its best.
_KEPT_SHARE = 0.2
# Boxes of two slices belong together from this IoU on, or when one holds the other's centre.
_LINK_IOU = 0.2
# Boxes of slices at most this far apart can be of one candidate, whatever the spacing; those of neighbours always.
_BRIDGE_MM = 5.0


@dataclass
class Chain:
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


def link_boxes(boxes: Sequence[Sequence[ScoredBox]], slice_mm: float, lowest: float = LOWEST_LINKED) -> list[Candidate]:
    """Candidates from the boxes of consecutive slices: a box goes to the candidate whose last box overlaps it most."""
    return [chain.candidate() for chain in chains(boxes, slice_mm, lowest)]


def linked_over(slice_mm: float) -> int:
    """Boxes of slices at most so many apart can be of one candidate."""
    return max(1, int(_BRIDGE_MM / slice_mm + 0.05))


def chains(boxes: Sequence[Sequence[ScoredBox]], slice_mm: float, lowest: float) -> list[Chain]:
    """The boxes of each candidate, those of `lowest` score and more, slice by slice."""
    reach = linked_over(slice_mm)
    linked: list[Chain] = []
    for k, found in enumerate(boxes):
        fresh = [box for box in found if box[1] >= lowest]
        near = [chain for chain in linked if k - chain.last <= reach]
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
        linked += [Chain({k: box}) for number, box in enumerate(fresh) if number not in taken]
    return linked


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
