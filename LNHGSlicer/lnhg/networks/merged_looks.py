"""What several looks at one image found, as one answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, TypeVar

import numpy as np

from .proposals import overlaps
from .runtime import Found

# Boxes of two looks are of the same thing from this IoU on.
_SAME_IOU = 0.3
# Sums of scores in float32 are that exact.
_ROUNDING = 1e-6


class _Shaped(Protocol):
    """An array or a tensor."""

    @property
    def shape(self) -> Sequence[int]: ...


Image = TypeVar("Image")
Pixels = TypeVar("Pixels", bound=_Shaped)
#: A look at images: what it finds in each.
Look = Callable[[list[Image]], list[Found]]


def found_by_all(looks: Sequence[Look[Image]], images: Sequence[Image], least: float) -> list[Found | None]:
    """What all looks find in each image together (see `joined`).

    None, without the last looks, for an image in which no box can reach a score of `least` any more: where the looks
    so far are unsure, the mean of all is low.
    """
    found: list[dict[int, Found]] = [{} for _ in images]
    seen = list(range(len(images)))
    for number in _most_telling_first(len(looks)):
        if not seen:
            break
        for place, one in zip(seen, looks[number]([images[place] for place in seen]), strict=True):
            found[place][number] = one
        seen = [place for place in seen if _highest(found[place].values(), len(looks)) >= least]
    return [
        joined([found[place][number] for number in range(len(looks))]) if place in seen else None
        for place in range(len(images))
    ]


def _most_telling_first(looks: int) -> list[int]:
    """Each member's look at the image itself, then those at its mirror image, which tell less that is new."""
    return [*range(looks)[::2][::-1], *range(looks)[1::2][::-1]]


def _highest(found: Collection[Found], looks: int) -> float:
    """The highest mean score that a box can have once all looks are there, of which these are some."""
    best = sum(float(scores.max(initial=0.0)) for _, scores in found)
    return (best + looks - len(found)) / looks + _ROUNDING


def both_ways(look: Look[Pixels], mirror: Callable[[Pixels], Pixels]) -> list[Look[Pixels]]:
    """A look at images `[3, y, x]`, and one at what `mirror` makes of them, left for right, which tells what it finds
    there in the images themselves.
    """

    def mirrored(images: list[Pixels]) -> list[Found]:
        found = look([mirror(image) for image in images])
        return [
            (_mirrored(boxes, image.shape[-1]), scores) for (boxes, scores), image in zip(found, images, strict=True)
        ]

    return [look, mirrored]


def _mirrored(boxes: np.ndarray, width: int) -> np.ndarray:
    """Boxes `(x0, y0, x1, y1)` of an image of this width in its mirror image."""
    return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)


def joined(looks: Sequence[Found]) -> Found:
    """The answers of all looks at one image as one.

    From the highest score down a box takes from each other look the free box that overlaps it most. Those become one:
    their mean, with the mean of the scores of all looks, where one without a box there counts 0.
    """
    boxes = np.concatenate([found[0] for found in looks])
    scores = np.concatenate([found[1] for found in looks])
    owners = np.repeat(np.arange(len(looks)), [len(found[1]) for found in looks])
    iou = overlaps(boxes, boxes)
    free = np.ones(len(boxes), bool)
    groups = []
    for first in np.argsort(-scores, kind="stable").tolist():
        if free[first]:
            group = [first]
            for other in range(len(looks)):
                overlap = np.where(free & (owners == other), iou[first], -1.0)
                best = int(overlap.argmax())
                if other != owners[first] and overlap[best] > _SAME_IOU:
                    group.append(best)
            free[group] = False
            groups.append(group)
    if not groups:
        return boxes, scores
    means = np.array([scores[group].sum() / len(looks) for group in groups], scores.dtype)
    order = np.argsort(-means, kind="stable")
    return np.stack([boxes[group].mean(0) for group in groups])[order], means[order]
