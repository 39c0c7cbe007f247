"""Training samples of the detector: crops of three slices with boxes, made on the fly from scans and cut-outs.

A sample depends on nothing but the seed and its number, so a run that is cut off goes on with the same samples.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import ndimage

from ..data.rounding import Rounding
from .detector_data import SMALLEST_SECTION, DetectorData
from .mosaics import mosaic
from .sampling import Sampling
from .scan_crops import scan_crop


@dataclass(frozen=True, eq=False)
class Sample:
    """`image` `[3, y, x]` in 0..1 and `boxes` `[n, 4]`, float32."""

    image: torch.Tensor
    boxes: torch.Tensor

    @property
    def target(self) -> dict[str, torch.Tensor]:
        """As the detector wants it."""
        return {"boxes": self.boxes, "labels": torch.ones(len(self.boxes), dtype=torch.int64)}


def make_sample(data: DetectorData, sampling: Sampling, seed: int, number: int) -> Sample:
    """Sample `number` of the run with this `seed`."""
    generator = np.random.default_rng((seed, number))
    data = replace(data, rounding=Rounding.random(sampling.rounded, generator))
    make = mosaic if generator.random() < sampling.mosaics else scan_crop
    hu, nodules = make(data, sampling, generator)
    if generator.random() < 0.5:
        hu, nodules = hu[:, :, ::-1], nodules[:, :, ::-1]
    hu = _other_scanner(np.ascontiguousarray(hu), generator)
    image = data.grid.normalise(torch.from_numpy(hu))
    if data.architecture.slices == 1:
        image = image[1:2].expand(3, -1, -1).contiguous()
    return Sample(image, torch.from_numpy(boxes_of(nodules[1] > 0.5)))


def boxes_of(nodules: np.ndarray) -> np.ndarray:
    """Bounding boxes `(x0, y0, x1, y1)` of a mask's components, float32 `[n, 4]`; pixel c covers c to c + 1."""
    labels, _ = ndimage.label(nodules, np.ones((3, 3)))
    areas = np.bincount(labels.ravel())
    spans = ndimage.find_objects(labels)
    boxes = [(x.start, y.start, x.stop, y.stop) for n, (y, x) in enumerate(spans, 1) if areas[n] >= SMALLEST_SECTION]
    return np.array(boxes, np.float32).reshape(-1, 4)


def _other_scanner(hu: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The same tissue as another scanner, dose or kernel might show it."""
    hu = (hu + 1000) * np.float32(generator.uniform(0.94, 1.06)) - 1000 + np.float32(generator.uniform(-40, 40))
    strength = np.float32(generator.uniform(-0.8, 0.8))
    hu = hu + strength * (hu - ndimage.gaussian_filter(hu, (0, 0.8, 0.8)))
    noise = generator.standard_normal(hu.shape, np.float32)
    if generator.random() < 0.5:  # a smooth kernel's noise is smooth
        noise = ndimage.gaussian_filter(noise, (0, 0.6, 0.6)) * 1.7
    return hu + noise * np.float32(generator.uniform(0, 30))


# Pastes --------------------------------------------------------------------------------------------------------------


# Decoys for evaluation ------------------------------------------------------------------------------------------------
