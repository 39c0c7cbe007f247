"""Networks as they run outside training: batch norm folded into the convolutions, and nothing computed that is not
used.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .generator import LEAKY_SLOPE, REACH, Generator
from .unet import UNet

Layer = TypeVar("Layer", bound=nn.Module)


def fold_batch_norms(network: nn.Module) -> None:
    """Fold each batch norm that follows a convolution in a `Sequential` into it; for networks in evaluation mode."""
    for layers in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for number in range(len(layers) - 1):
            convolution, norm = layers[number], layers[number + 1]
            if isinstance(convolution, (nn.Conv2d, nn.Conv3d)) and isinstance(norm, (nn.BatchNorm2d, nn.BatchNorm3d)):
                layers[number], layers[number + 1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()


def for_tiles(network: nn.Module) -> tuple[nn.Module, int, int]:
    """A form of the network that gives the same G(x) on tiles in less time, and the network's reach and cell in pixels.

    Networks that are not known here are left as they are, with the reach of the paper's generator.
    """
    if isinstance(network, Generator):
        # Made for tiles, it takes little more than half of the time; torch.compile gains nothing.
        return TileGenerator(network), network.reach, network.cell
    if isinstance(network, UNet):
        folded = deepcopy(network)
        fold_batch_norms(folded)
        return folded, network.reach, network.cell
    return network, REACH, 1


class TileGenerator(nn.Module):
    """The generator for tiles: same G(x) but for the `reach` outermost pixels, which are 0.

    Each layer gives only the pixels that the next one can use, one less on each side. A deconvolution at stride 1 is a
    convolution with the mirrored kernel. A norm that follows a sum scales the shortcut too.
    """

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.reach = generator.reach
        norms = _of_kind(nn.BatchNorm3d, generator.encoder_norms)
        self.encoder = nn.ModuleList(map(_folded, _of_kind(nn.Conv3d, generator.convolutions), norms))
        norms = _of_kind(nn.BatchNorm3d, generator.decoder_norms)
        *inner, last = map(_as_convolution, _of_kind(nn.ConvTranspose3d, generator.deconvolutions))
        self.decoder = nn.ModuleList(map(_folded, inner, norms))
        self.scales = nn.ParameterList(nn.Parameter(_scale(norm), requires_grad=False) for norm in norms)
        self.last = _unpadded(last)

    def forward(self, o: torch.Tensor) -> torch.Tensor:
        """O(x) `[n, 1, 3, y, x]`, HU scaled to 0..1, to G(x) of the same shape."""
        encoded = []
        x = o
        for convolution in self.encoder:
            x = nn.functional.leaky_relu_(convolution(x), LEAKY_SLOPE)
            encoded.append(x)
        for convolution, scale, shortcut in zip(self.decoder, self.scales, encoded[-2::-1], strict=True):
            x = convolution(x)
            x = nn.functional.leaky_relu_(torch.addcmul(x, _middle(shortcut, x), scale), LEAKY_SLOPE)
        x = self.last(x)
        return nn.functional.pad(nn.functional.relu_(x + _middle(o, x)), [self.reach] * 4)


def _of_kind(kind: type[Layer], layers: nn.ModuleList) -> list[Layer]:
    return [layer for layer in layers if isinstance(layer, kind)]


def _folded(convolution: nn.Conv3d, norm: nn.BatchNorm3d) -> nn.Conv3d:
    return _unpadded(fuse_conv_bn_eval(convolution, norm))


def _unpadded(convolution: nn.Conv3d) -> nn.Conv3d:
    """The convolution, which now pads between slices only."""
    convolution = deepcopy(convolution).requires_grad_(False)
    convolution.padding = (1, 0, 0)
    return convolution


def _as_convolution(layer: nn.ConvTranspose3d) -> nn.Conv3d:
    """The convolution that gives the same as a deconvolution at stride 1, whose weight is `[in, out, z, y, x]`."""
    convolution = nn.Conv3d(layer.in_channels, layer.out_channels, 3, padding=1).eval()
    convolution.load_state_dict({**layer.state_dict(), "weight": layer.weight.transpose(0, 1).flip(2, 3, 4)})
    return convolution


def _scale(norm: nn.BatchNorm3d) -> torch.Tensor:
    """What the norm multiplies each filter by, `[filters, 1, 1, 1]`."""
    assert norm.running_var is not None
    return (norm.weight * torch.rsqrt(norm.running_var + norm.eps))[:, None, None, None].detach()


def _middle(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The middle of `x` in the slice, as large as `like`."""
    margin = (x.shape[-1] - like.shape[-1]) // 2
    return x[..., margin:-margin, margin:-margin]
