"""What several looks at one image found, as one answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .proposals import overlaps
from .runtime import Found

# Boxes of two looks are of the same thing from this IoU on.
_SAME_IOU = 0.3


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
