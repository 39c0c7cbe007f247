"""What lies between the layers of the detector outside training, in plain NumPy: from the maps of its region proposal
network to the boxes that its box head looks at, and from what that says to the boxes found.

For runs without PyTorch; tests hold each step against torchvision's. Boxes are `(x0, y0, x1, y1)` in pixels, float32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .architecture import (
    BOX_IOU,
    LOWEST_SCORE,
    MOST_BOXES,
    PROPOSAL_IOU,
    PROPOSALS,
    PROPOSALS_PER_MAP,
    ROI_LEVEL,
    ROI_WIDTH,
    DetectorArchitecture,
)
from .runtime import Found

# Torchvision's: the largest growth of a box, what the box head's changes are divided by, the smallest boxes in pixels.
_MOST_GROWTH = math.log(1000 / 16)
_OF_ANCHORS, _OF_PROPOSALS = (1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)
_SMALLEST_PROPOSAL, _SMALLEST_BOX = 1e-3, 1e-2


def proposals(
    logits: Sequence[np.ndarray],
    deltas: Sequence[np.ndarray],
    strides: Sequence[int],
    size: tuple[int, int],
    architecture: DetectorArchitecture,
) -> np.ndarray:
    """The boxes `[n, 4]` of one image that the box head is to look at, best first.

    Args:
        logits, deltas: of each map, `[anchors, y, x]` and `[anchors * 4, y, x]`.
        strides: pixels of the image in a pixel of each map.
        size: rows and columns of the image.
    """
    boxes, scores, maps = [], [], []
    for number, (objectness, change) in enumerate(zip(logits, deltas, strict=True)):
        anchors = _anchors(architecture, number, strides[number], objectness.shape[1:])
        flat = objectness.transpose(1, 2, 0).ravel()
        changes = change.reshape(-1, 4, *change.shape[1:]).transpose(2, 3, 0, 1).reshape(-1, 4)
        best = np.argsort(-flat, kind="stable")[:PROPOSALS_PER_MAP]
        boxes.append(_changed(anchors[best], changes[best], _OF_ANCHORS))
        scores.append(1 / (1 + np.exp(-flat[best])))  # where they are all but 1, torchvision takes them for equal
        maps.append(np.full(len(best), number))
    found, score, level = _inside(np.concatenate(boxes), size), np.concatenate(scores), np.concatenate(maps)
    kept = _at_least(found, _SMALLEST_PROPOSAL)
    found, score, level = found[kept], score[kept], level[kept]
    return found[_suppressed(found, score, PROPOSAL_IOU, PROPOSALS, level)]


def grown(boxes: np.ndarray, factor: float) -> np.ndarray:
    """Boxes grown about their centres."""
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2 * np.float32(factor)
    return np.concatenate([centre - half, centre + half], 1)


def map_of(boxes: np.ndarray, strides: Sequence[int]) -> np.ndarray:
    """For each box the number of the map that it is pooled from: wider ones from coarser maps."""
    level = np.floor(ROI_LEVEL + np.log2(np.sqrt(_areas(boxes)) / ROI_WIDTH) + 1e-6)
    finest, coarsest = math.log2(strides[0]), math.log2(strides[-1])
    return (np.clip(level, finest, coarsest) - finest).astype(int)


def boxes_found(looked_at: np.ndarray, logits: np.ndarray, deltas: np.ndarray, size: tuple[int, int]) -> Found:
    """What the box head finds: boxes `[n, 4]` and scores `[n]`, best first.

    Args:
        looked_at: the proposals.
        logits, deltas: of each, `[n, 2]` and `[n, 8]`, for no nodule and for a nodule.
        size: rows and columns of the image.
    """
    odds = np.exp(logits - logits.max(1, keepdims=True))
    scores = odds[:, 1] / odds.sum(1)
    boxes = _inside(_changed(looked_at, deltas[:, 4:], _OF_PROPOSALS), size)
    kept = (scores > LOWEST_SCORE) & _at_least(boxes, _SMALLEST_BOX)
    boxes, scores = boxes[kept], scores[kept]
    best = _suppressed(boxes, scores, BOX_IOU, MOST_BOXES)
    return boxes[best], scores[best]


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """IoU of boxes `[n, 4]` and `[m, 4]`, each with each: `[n, m]`; 0 where both are empty."""
    low = np.maximum(boxes[:, None, :2], others[:, :2])
    high = np.minimum(boxes[:, None, 2:], others[:, 2:])
    common = (high - low).clip(0).prod(-1)
    joint = _areas(boxes)[:, None] + _areas(others) - common
    return np.divide(common, joint, out=np.zeros_like(common), where=joint > 0)


def _anchors(architecture: DetectorArchitecture, number: int, stride: int, shape: tuple[int, ...]) -> np.ndarray:
    """The anchors of a map, `[y * x * anchors, 4]`."""
    widths = np.array(architecture.anchors_px[number], np.float32)
    stretch = np.sqrt(np.array(architecture.anchor_ratios, np.float32))[:, None]
    half_x, half_y = (widths / stretch / 2).ravel(), (widths * stretch / 2).ravel()
    about = np.stack([-half_x, -half_y, half_x, half_y], 1)
    y, x = (stride * np.arange(count, dtype=np.float32) for count in shape)
    middles = np.stack(np.broadcast_arrays(x, y[:, None], x, y[:, None]), -1)
    return (middles[:, :, None] + about).reshape(-1, 4)


def _changed(boxes: np.ndarray, deltas: np.ndarray, divided_by: tuple[float, ...]) -> np.ndarray:
    """Boxes moved and grown by what a head says of them."""
    x, y, across, down = (deltas / np.array(divided_by, np.float32)).T
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    centre_x, centre_y = boxes[:, 0] + width / 2 + x * width, boxes[:, 1] + height / 2 + y * height
    half_x = np.exp(np.minimum(across, np.float32(_MOST_GROWTH))) * width / 2
    half_y = np.exp(np.minimum(down, np.float32(_MOST_GROWTH))) * height / 2
    return np.stack([centre_x - half_x, centre_y - half_y, centre_x + half_x, centre_y + half_y], 1)


def _inside(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    rows, columns = size
    return np.clip(boxes, 0, np.array([columns, rows, columns, rows], np.float32))


def _at_least(boxes: np.ndarray, width: float) -> np.ndarray:
    return ((boxes[:, 2:] - boxes[:, :2]) >= width).all(1)


def _suppressed(
    boxes: np.ndarray, scores: np.ndarray, iou: float, most: int, groups: np.ndarray | None = None
) -> np.ndarray:
    """Indices of at most `most` boxes, best first, none of which overlaps a better one of its group by more than
    `iou`.
    """
    order = np.argsort(-scores, kind="stable")
    # A row of each in its own piece of memory: this runs for every look at every slice.
    x0, y0, x1, y1 = np.ascontiguousarray(boxes[order].T)
    areas = (x1 - x0) * (y1 - y0)
    group = None if groups is None else groups[order]
    left = np.ones(len(order), bool)
    kept: list[int] = []
    while len(kept) < most and left.any():
        best = int(left.argmax())
        kept.append(best)
        left[best] = False
        rest = slice(best + 1, None)
        width = np.minimum(x1[rest], x1[best]) - np.maximum(x0[rest], x0[best])
        height = np.minimum(y1[rest], y1[best]) - np.maximum(y0[rest], y0[best])
        common = np.maximum(width, 0) * np.maximum(height, 0)
        near = common > iou * (areas[rest] + areas[best] - common)
        left[rest] &= ~(near if group is None else near & (group[rest] == group[best]))
    return order[kept]


def _areas(boxes: np.ndarray) -> np.ndarray:
    return (boxes[..., 2:] - boxes[..., :2]).prod(-1)
