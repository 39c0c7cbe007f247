"""Networks as they run outside training: batch norm folded into the convolutions, and nothing computed that is not
used.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .generator import LEAKY_SLOPE, REACH, Generator
from .unet import UNet


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
    convolution with the mirrored kernel. A norm that follows a sum scales the shortcut too. Weights are folded at each
    call, which takes no time beside the convolutions.
    """

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, o: torch.Tensor) -> torch.Tensor:
        """O(x) `[n, 1, 3, y, x]`, HU scaled to 0..1, to G(x) of the same shape."""
        generator: Any = self.generator
        encoded, x = [], o
        for layer, norm in zip(generator.convolutions, generator.encoder_norms, strict=True):
            x = nn.functional.leaky_relu_(_folded(x, layer.weight, layer.bias, norm), LEAKY_SLOPE)
            encoded.append(x)
        *inner, last = generator.deconvolutions
        for number, (layer, norm, shortcut) in enumerate(
            zip(inner, generator.decoder_norms, encoded[-2::-1], strict=True)
        ):
            x = _folded(x, _mirrored(layer), layer.bias, norm)
            # Since this shortcut was made the layers took a pixel each on both sides.
            shortcut = _middle(shortcut, 2 * number + 2)
            x = nn.functional.leaky_relu_(torch.addcmul(x, shortcut, _scale(norm)[:, None, None, None]), LEAKY_SLOPE)
        x = _unpadded(x, _mirrored(last), last.bias) + _middle(o, generator.reach)
        return nn.functional.pad(nn.functional.relu_(x), [generator.reach] * 4)


def _folded(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, norm: Any) -> torch.Tensor:
    """A convolution and the norm that follows it."""
    scale = _scale(norm)
    return _unpadded(x, weight * scale[:, None, None, None, None], (bias - norm.running_mean) * scale + norm.bias)


def _unpadded(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """A convolution that pads between slices only."""
    return nn.functional.conv3d(x, weight, bias, padding=(1, 0, 0))


def _mirrored(layer: Any) -> torch.Tensor:
    """The weight of the convolution that gives the same as a deconvolution at stride 1, whose own is
    `[in, out, z, y, x]`.
    """
    weight: torch.Tensor = layer.weight.transpose(0, 1).flip(2, 3, 4)
    return weight


def _scale(norm: Any) -> torch.Tensor:
    """What the norm multiplies each filter by, `[filters]`."""
    scale: torch.Tensor = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return scale


def _middle(x: torch.Tensor, margin: int) -> torch.Tensor:
    """`x` without so many pixels on each side in the slice."""
    return x[..., margin:-margin, margin:-margin]
