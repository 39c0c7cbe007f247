"""Test doubles of the two networks: no training, so that a test knows what they answer."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from lnhg.networks.architecture import DetectorArchitecture
from lnhg.networks.detector import FindsInArrays
from lnhg.networks.grid import NetworkGrid
from lnhg.networks.torch_models import TorchModels


class StandInGenerator(nn.Module):
    """G(x) rises with the brightness O(x), from 0 at -650 HU to 1 at 50 HU.

    It also looks one pixel to the right and one slice to the feet, so that a CT turned round or read backwards shows.
    """

    width = 1
    reach = 8
    cell = 1

    def __init__(self) -> None:
        super().__init__()
        self.low = nn.Parameter(torch.tensor(0.25))

    def forward(self, o: torch.Tensor) -> torch.Tensor:
        feet = torch.cat([o[:, :, :1], o[:, :, :-1]], 2)
        mixed = 0.8 * o + 0.1 * torch.roll(o, 1, -1) + 0.1 * feet
        return ((mixed - self.low) / 0.5).clamp(0, 1)


class StandInDetector(FindsInArrays, nn.Module):
    """A box around each bright spot (above -90 HU) of a slice; the score is its mean brightness."""

    def __init__(self) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(0.65))
        self.architecture = DetectorArchitecture()
        self.slices_seen = 0

    def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        self.slices_seen += len(images)
        return [self._find(image[1].numpy()) for image in images]

    def _find(self, image: np.ndarray) -> dict[str, torch.Tensor]:
        labels, count = ndimage.label(image > float(self.threshold))
        boxes = [(x.start, y.start, x.stop, y.stop) for y, x in ndimage.find_objects(labels)]
        scores = [float(image[labels == n].mean()) for n in range(1, count + 1)]
        return {"boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), "scores": torch.tensor(scores)}


def standin_models(detector: nn.Module | None = None) -> TorchModels:
    """Both doubles, on a grid of 1 mm, with thresholds 0.5 on G(x) and 0.3 on the score."""
    grid = NetworkGrid(pixel_mm=1.0).as_dict()
    manifests = {
        kind: {"name": f"stand-in {kind}", "sha256": "0" * 64, "grid": grid, "thresholds": {"g": 0.5, "score": 0.3}}
        for kind in ("generator", "detector")
    }
    return TorchModels(StandInGenerator(), detector or StandInDetector(), manifests)
