"""The second look at a candidate: a small 3D network that tells a nodule from a vessel by its surroundings.

Not in the paper, whose way is selectable.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from .unet import convolutions

_WIDTHS = (1, 8, 16, 32)


class Rescorer(nn.Module):
    """Three blocks of two 3 x 3 x 3 convolutions with batch norm and ReLU, halved in the slice, then the mean and one
    logit.
    """

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(convolutions(before, after) for before, after in pairwise(_WIDTHS))
        self.last = nn.Linear(2 * _WIDTHS[-1], 1)

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        """Surroundings `[n, 1, z, y, x]` in 0..1 to logits `[n]`: above 0 is nodule rather than not."""
        x = planes
        for block in self.blocks:
            x = nn.functional.max_pool3d(block(x), (1, 2, 2))
        middle = x[:, :, :, 1:-1, 1:-1]
        pooled = torch.cat([x.mean((2, 3, 4)), middle.amax((2, 3, 4))], 1)
        logits: torch.Tensor = self.last(nn.functional.dropout(pooled, 0.3, self.training))[:, 0]
        return logits


@torch.inference_mode()
def apply_rescorer(network: nn.Module, seen: Sequence[np.ndarray]) -> list[float]:
    """The network's probabilities for its inputs, at least one (see `network_input`)."""
    device = next(network.parameters()).device
    inputs = torch.from_numpy(np.stack(seen)).to(device)
    probabilities: list[float] = network(inputs).float().sigmoid().cpu().tolist()
    return probabilities
