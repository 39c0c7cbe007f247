"""The discriminator D of the WGAN-GP, also called the critic (II.D of the paper)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from .generator import LEAKY_SLOPE


class Discriminator(nn.Module):
    """Three 3D convolutions (w, 2w, 4w filters, 3 x 3 x 3, stride 1) with LeakyReLU and one fully connected layer.

    w is 32 in the paper. There is no normalisation, as the gradient penalty asks for. The fully connected layer sees
    every voxel, so the size of the volumes, `shape` = (slices, y, x), is fixed: (3, 256, 256) in the paper.
    """

    def __init__(self, shape: tuple[int, int, int] = (3, 256, 256), width: int = 32) -> None:
        super().__init__()
        channels = [1, width, 2 * width, 4 * width]
        self.convolutions = nn.ModuleList(
            nn.Conv3d(before, after, 3, padding=1) for before, after in pairwise(channels)
        )
        self.connected = nn.Linear(channels[-1] * shape[0] * shape[1] * shape[2], 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Nodule images R(x) or G(x) `[n, 1, 3, y, x]` to one score each, `[n]`."""
        for convolution in self.convolutions:
            x = nn.functional.leaky_relu(convolution(x), LEAKY_SLOPE)
        return self.connected(x.flatten(1)).squeeze(1)
