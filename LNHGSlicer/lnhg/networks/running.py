"""PyTorch behind the door: arrays in, arrays out, run by `Compute`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
import torchvision
from torch import nn

from .architecture import DetectorArchitecture
from .compute import Compute
from .detector import boxes_and_scores
from .ensemble import Detector, DetectorEnsemble
from .folding import for_tiles
from .generator import Generator
from .rescorer import Rescorer, apply_rescorer
from .rescoring import PIXELS, PLANES
from .runtime import Found, Scores
from .unet import UNet


class DetectorOnCompute:
    """A detector as the detect stage calls it.

    Attributes:
        architecture: of the detector.
    """

    def __init__(self, detector: Detector, compute: Compute) -> None:
        self.architecture: DetectorArchitecture = detector.architecture
        self._detector, self._compute = detector, compute

    def find(self, images: Sequence[np.ndarray], least: float = 0.0) -> list[Found | None]:
        """See `SliceDetector`."""
        item_bytes = max(image.size for image in images) * 4 * 200
        apply = partial(_apply_detector, least=least)
        return self._compute.run(self._detector, apply, [torch.from_numpy(image) for image in images], item_bytes)


class GeneratorOnCompute:
    """A generator as the generate stage calls it, in its form for tiles.

    Attributes:
        reach: pixels further away do not count.
        cell: tiles must begin on multiples of this many pixels.
    """

    def __init__(self, generator: Generator | UNet, compute: Compute) -> None:
        self._network, self.reach, self.cell = for_tiles(generator)
        self._width, self._compute = generator.width, compute

    def __call__(self, tiles: np.ndarray) -> np.ndarray:
        """G(x) of tiles `[n, 1, 3, y, x]` in 0..1; the same shape, float32."""
        item_bytes = tiles[0].size * 4 * self._width * 16
        outputs = self._compute.run(self._network, _apply_generator, list(torch.from_numpy(tiles)), item_bytes)
        return torch.stack(outputs).numpy()


class TorchRuntime:
    """A `Runtime` of PyTorch's networks."""

    def __init__(
        self, compute: Compute, generator: Generator | UNet, detector: Detector | None, rescorer: Rescorer | None
    ) -> None:
        self._compute, self._generator, self._detector, self._rescorer = compute, generator, detector, rescorer

    @property
    def notes(self) -> list[str]:
        return self._compute.notes

    @property
    def description(self) -> str:
        return f"{self._compute.description} (PyTorch)"

    @property
    def precision(self) -> str:
        return str(self._compute.precision).removeprefix("torch.")

    @property
    def versions(self) -> dict[str, str]:
        return {"torch": torch.__version__, "torchvision": torchvision.__version__}

    def detector(self) -> DetectorOnCompute:
        assert self._detector is not None
        return DetectorOnCompute(self._detector, self._compute)

    def generator(self) -> GeneratorOnCompute:
        return GeneratorOnCompute(self._generator, self._compute)

    def rescorer(self) -> Scores:
        assert self._rescorer is not None
        network, item_bytes = self._rescorer, 500 * 4 * PLANES * PIXELS**2
        return lambda seen: self._compute.run(network, apply_rescorer, seen, item_bytes)


def _apply_detector(network: nn.Module, images: Sequence[torch.Tensor], least: float) -> list[Found | None]:
    if isinstance(network, DetectorEnsemble):
        return network.found(images, least)
    return [boxes_and_scores(result) for result in network(list(images))]


def _apply_generator(network: nn.Module, batch: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    device = next(network.parameters()).device
    return list(network(torch.stack(list(batch)).to(device)).float().cpu())
