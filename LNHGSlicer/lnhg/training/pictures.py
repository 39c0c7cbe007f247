"""Pictures of a training for TensorBoard: uint8 `[row, column, 3]`, a row (generator) or a tile (detector) for each
sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torchvision.utils import draw_bounding_boxes, make_grid

from ..stages.heterogeneity_from_generator import heterogeneity_map
from ..stages.nodule_map import OUTSIDE
from ..writers.colours import overlay
from .detector_samples import Sample

# G(x) above this is taken for nodule, and boxes from this score on for detections.
_NODULE, _FOUND = 0.5, 0.5
# Smallest width of one picture, pixels.
_PICTURE_PIXELS = 128


def picture_grid(o: torch.Tensor, r: torch.Tensor, g: torch.Tensor) -> np.ndarray:
    """A row for each sample: the middle slices of O(x), R(x) and G(x), and h(x) over O(x)."""
    rows = []
    for ct, target, generated in zip(*(volumes[:, 0, 1].cpu().numpy() for volumes in (o, r, g)), strict=True):
        h = heterogeneity_map(generated[None], (generated > _NODULE)[None].astype(np.uint8))[0]
        grey = [overlay(image, np.full_like(image, OUTSIDE), window=(0.0, 1.0)) for image in (ct, target, generated)]
        rows.append(np.concatenate([*grey, overlay(ct, h, window=(0.0, 1.0))], axis=1))
    zoom = -(-_PICTURE_PIXELS // o.shape[-1])
    return np.concatenate(rows).repeat(zoom, 0).repeat(zoom, 1)


def box_pictures(samples: Sequence[Sample], found: Sequence[Mapping[str, torch.Tensor]]) -> np.ndarray:
    """The middle slice of each sample with its boxes in green and what the network found in red."""
    tiles = []
    for sample, result in zip(samples, found, strict=True):
        image = (sample.image[1].expand(3, -1, -1) * 255).byte()
        boxes = result["boxes"][result["scores"] >= _FOUND].cpu()
        image = draw_bounding_boxes(image, sample.boxes, colors="lime") if len(sample.boxes) else image
        tiles.append(draw_bounding_boxes(image, boxes, colors="red") if len(boxes) else image)
    return make_grid(tiles, nrow=len(tiles)).permute(1, 2, 0).numpy()
