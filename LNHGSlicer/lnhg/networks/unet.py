"""The 3D U-Net that the paper's generator is compared with: same input, same range of output, another network."""

from __future__ import annotations

import torch
from torch import nn

# Poolings. They halve the slice only: three slices leave nothing to halve. Two fit the small patches of a CPU's
# training.
_DEPTH = 2


class UNet(nn.Module):
    """A U-Net of two poolings: blocks of two 3 x 3 x 3 convolutions with batch norm and ReLU, w, 2w and 4w filters
    wide.

    w is `width`. Like the generator it takes O(x) and gives G(x) from 0 upwards; `last_slope` is the slope of its last
    ReLU below zero while training.

    `reach`: G(x) at a pixel depends on pixels at most this far away in the slice: 2 + 4 of the convolutions on the way
    down, 8 at the bottom, 4 + 2 on the way up and 3 of pooling make 23; 24 is the next whole cell of pooling. `cell`:
    tiles must begin at multiples of it, so that they are pooled as the whole slice is.
    """

    reach = 24
    cell = 2**_DEPTH

    def __init__(self, width: int = 32, last_slope: float = 0.0) -> None:
        super().__init__()
        self.width = width
        self.last_slope = last_slope
        widths = [width * 2**level for level in range(_DEPTH + 1)]
        self.down = nn.ModuleList(
            convolutions(before, after) for before, after in zip([1, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(nn.ConvTranspose3d(2 * wide, wide, (1, 2, 2), (1, 2, 2)) for wide in widths[-2::-1])
        self.merge = nn.ModuleList(convolutions(2 * wide, wide) for wide in widths[-2::-1])
        self.last = nn.Conv3d(width, 1, 1)

    def forward(self, o: torch.Tensor) -> torch.Tensor:
        """O(x) `[n, 1, 3, y, x]`, HU scaled to 0..1, to G(x) of the same shape."""
        kept = [self.down[0](o)]
        for block in list(self.down)[1:]:
            # A last cell that the slice does not fill is pooled from what there is, and cut off again on the way up.
            kept.append(block(nn.functional.max_pool3d(kept[-1], (1, 2, 2), ceil_mode=True)))
        x = kept.pop()
        for up, merge, shortcut in zip(self.up, self.merge, kept[::-1], strict=True):
            x = merge(torch.cat([shortcut, up(x)[..., : shortcut.shape[-2], : shortcut.shape[-1]]], 1))
        last = self.last(x)
        return nn.functional.leaky_relu(last, self.last_slope) if self.training else nn.functional.relu(last)


def convolutions(before: int, after: int) -> nn.Sequential:
    """Two 3 x 3 x 3 convolutions with batch norm and ReLU, from `before` to `after` channels."""
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers += [nn.Conv3d(channels, after, 3, padding=1, bias=False), nn.BatchNorm3d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
