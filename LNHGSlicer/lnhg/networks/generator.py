"""The generator G: three CT slices in, three nodule images G(x) out (II.D and Fig. 3 of the paper)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from ..errors import WeightsError
from .unet import UNet

# The paper does not give the slope; its published scripts use 0.01.
LEAKY_SLOPE = 0.01

#: G(x) at a pixel depends on pixels at most this far away in the slice: eight layers of 3 x 3 x 3.
REACH = 8


class Generator(nn.Module):
    """Four 3D convolutions and four 3D deconvolutions, all 3 x 3 x 3 at stride 1, without pooling.

    Filters are w, 2w, 4w, 8w, 4w, 2w, w, 1 with w = `width` (32 in the paper: 2,326,273 parameters). Encoder layers are
    convolution, batch norm, LeakyReLU. The first three decoder layers add the encoder result of the same width to the
    deconvolution's before batch norm and LeakyReLU; the last adds the input, then ReLU.

    `last_slope` is the slope of the last ReLU below zero while training (0: the paper's ReLU). A small slope keeps it
    from dying; in evaluation it is always the plain ReLU.
    """

    reach = REACH
    cell = 1  # tiles may begin anywhere

    def __init__(self, width: int = 32, last_slope: float = 0.0) -> None:
        super().__init__()
        self.width = width
        self.last_slope = last_slope
        encoder = [1, width, 2 * width, 4 * width, 8 * width]
        self.convolutions = nn.ModuleList(nn.Conv3d(before, after, 3, padding=1) for before, after in pairwise(encoder))
        self.encoder_norms = nn.ModuleList(nn.BatchNorm3d(channels) for channels in encoder[1:])
        decoder = encoder[::-1]
        self.deconvolutions = nn.ModuleList(
            nn.ConvTranspose3d(before, after, 3, padding=1) for before, after in pairwise(decoder)
        )
        self.decoder_norms = nn.ModuleList(nn.BatchNorm3d(channels) for channels in decoder[1:-1])

    def forward(self, o: torch.Tensor) -> torch.Tensor:
        """O(x) `[n, 1, 3, y, x]`, HU scaled to 0..1, to G(x) of the same shape."""
        encoded = []
        x = o
        for convolution, norm in zip(self.convolutions, self.encoder_norms, strict=True):
            x = nn.functional.leaky_relu(norm(convolution(x)), LEAKY_SLOPE)
            encoded.append(x)
        shortcuts = encoded[-2::-1]
        for deconvolution, norm, shortcut in zip(self.deconvolutions, self.decoder_norms, shortcuts, strict=False):
            x = nn.functional.leaky_relu(norm(deconvolution(x) + shortcut), LEAKY_SLOPE)
        last = self.deconvolutions[-1](x) + o
        return nn.functional.leaky_relu(last, self.last_slope) if self.training else nn.functional.relu(last)


#: Networks that turn O(x) into G(x), by the name in a manifest's architecture; one without a name is the paper's
#: generator.
NETWORKS: Mapping[str, type[Generator] | type[UNet]] = {"lnhg": Generator, "unet": UNet}


def build_generator(architecture: Mapping[str, Any], last_slope: float = 0.0) -> Generator | UNet:
    """The network that a manifest's `architecture` (`name`, `width`) names, with random weights."""
    name = architecture.get("name", "lnhg")
    if name not in NETWORKS:
        raise WeightsError(f"The network {name!r} is not known; choose one of {', '.join(NETWORKS)}.")
    return NETWORKS[name](int(architecture["width"]), last_slope)


def widened(state: dict[str, torch.Tensor], width: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """The weights of a narrower generator as those of one of `width` filters that gives nearly the same G(x).

    Every filter is repeated and the weights that read it are divided among its copies (Net2Net, Chen et al., 2016).
    Noise of 2% on the weights tells the copies apart, so that training can part them. `width` must be a multiple of the
    width of `state`.
    """
    random = torch.Generator().manual_seed(seed)
    target = Generator(width).state_dict()
    copies, rest = divmod(width, len(state["convolutions.0.bias"]))
    if rest or not copies:
        raise ValueError(f"a generator of {len(state['convolutions.0.bias'])} filters cannot become one of {width}")
    if copies == 1:
        return state
    result = {}
    for name, value in state.items():
        shape = target[name].shape
        if value.ndim == 0:
            result[name] = value
            continue
        repeats = [new // old for new, old in zip(shape, value.shape, strict=True)]
        if value.ndim > 1:
            # A convolution's weight is [out, in, ...], a deconvolution's [in, out, ...].
            value = value / repeats[1 if name.startswith("convolutions") else 0]
            value = value.repeat(repeats)
            value = value * (1 + 0.02 * torch.randn(value.shape, generator=random))
        else:
            value = value.repeat(repeats)
        result[name] = value
    return result
