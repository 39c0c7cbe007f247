"""The perceptual feature extractor: the 16 convolution layers of VGG-19, frozen (II.E.2 of the paper)."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torchvision.models import VGG19_Weights, vgg19

from ..errors import WeightsError

# torchvision's VGG-19 `features`: module 34 is the 16th convolution, 35 its ReLU.
_SIXTEENTH_CONVOLUTION = 34

# Means of the two published conventions: blue-green-red 0..255 (Oxford), red-green-blue 0..1 (torchvision).
_OXFORD_MEAN = (103.939, 116.779, 123.68)
_TORCHVISION_MEAN = (0.485, 0.456, 0.406)
_TORCHVISION_DEVIATION = (0.229, 0.224, 0.225)


class PerceptualFeatures(nn.Module):
    """VGG-19 up to and with its 16th convolution.

    `weights` is a file with 8-bit weights in the Oxford convention (each tensor with its scale and minimum), or None
    for torchvision's own download. Images are scaled to the convention of the weights in use.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, weights: Path | None = None) -> None:
        super().__init__()
        # On "meta" nothing is allocated: VGG-19's unused classifier alone would take half a gigabyte.
        with torch.device("meta" if weights else "cpu"):
            network = vgg19(weights=None if weights else VGG19_Weights.IMAGENET1K_V1)
        self.features = network.features[: _SIXTEENTH_CONVOLUTION + 1]
        if weights:
            _put(_dequantised(weights), self.features, weights.name)
            mean, deviation = torch.tensor(_OXFORD_MEAN) / 255, torch.ones(3) / 255
        else:
            mean, deviation = torch.tensor(_TORCHVISION_MEAN), torch.tensor(_TORCHVISION_DEVIATION)
        self.register_buffer("mean", mean.view(3, 1, 1))
        self.register_buffer("deviation", deviation.view(3, 1, 1))
        self.requires_grad_(False).eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Nodule images `[n, 1, slices, y, x]` of values 0..1 to features `[n * slices, 512, y / 16, x / 16]`.

        Every slice is one grey image, repeated to three channels.
        """
        slices = images.transpose(1, 2).flatten(0, 1)
        return self.features((slices.expand(-1, 3, -1, -1) - self.mean) / self.deviation)


def _put(tensors: dict[str, torch.Tensor], features: nn.Module, name: str) -> None:
    try:
        features.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise WeightsError(f"{name} does not hold VGG-19's 16 convolution layers; give another file.") from error


def _dequantised(path: Path) -> dict[str, torch.Tensor]:
    """Weights of the convolution layers from 8-bit values: value = quantised * scale + minimum."""
    try:
        stored = load_file(path)
    except Exception as error:
        raise WeightsError(f"The VGG-19 weights {path.name} cannot be read ({error}); give another file.") from error
    return {
        name.removesuffix(".quantised").removeprefix("features."): values * stored[name.replace("quantised", "scale")]
        + stored[name.replace("quantised", "minimum")]
        for name, values in stored.items()
        if name.endswith(".quantised")
    }
