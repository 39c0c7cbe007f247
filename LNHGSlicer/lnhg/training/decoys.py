"""Decoys: pastes without a nodule, so that a network does not learn the seam of a paste in place of the nodule."""

from __future__ import annotations

import numpy as np
import torch

from ..errors import InputError
from .detector_data import DetectorData, TrainingScan, any_of, doubtful_near, scan_stack
from .patches import Patch, Pose, blob, match_noise, paste, soft, soft_square

# Lung without much in it is below this.
LUNG_HU = -500.0


# Places that are drawn before a scan is taken to hold none that fits.
_TRIES = 1000


def decoy(
    data: DetectorData,
    training_scan: TrainingScan,
    patch: Patch,
    whole_square: bool,
    edge: float,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """A patch without a nodule and its weights: a cut-out's surroundings, or plain tissue as a square or a shape."""
    size = patch.hu.shape[-1]
    if whole_square and generator.random() < 0.5:
        hole = soft(patch.nodule, 3.0, 3.0).max(0)
        return patch.hu, np.broadcast_to(soft_square(size, 42, generator.uniform(5, 10)) * (1 - hole), patch.hu.shape)
    if whole_square:
        tissue, masks = plain_tissue(any_of(data.training_scans, generator), data, size, generator)
        weight = np.broadcast_to(soft_square(size, 42, generator.uniform(5, 10)), tissue.shape)
        return tissue, weight * (masks[0].max(0) == 0)
    shape = patch.nodule if generator.random() < 0.5 else blob(generator, size, generator.uniform(5, 24))
    weight = soft(shape, generator.uniform(0.5, 2.5), edge)
    return plain_lung(training_scan, data, weight, generator), weight


def plain_tissue(
    training_scan: TrainingScan, data: DetectorData, size: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A stack of a training scan at a random place, and its masks; doubtful places are not shown."""
    for _ in range(50):
        place = training_scan.places[generator.integers(len(training_scan.places))]
        if not doubtful_near(training_scan, place, size):
            break
    return scan_stack(training_scan, place, data, size, Pose.random(generator, 180.0))


def plain_lung(
    training_scan: TrainingScan, data: DetectorData, weight: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """A stack of a training scan that shows no nodule and little but air where `weight` is large: a patch of wall would
    be one.
    """
    for _ in range(_TRIES):
        patch, masks = plain_tissue(training_scan, data, weight.shape[-1], generator)
        shown = weight >= weight.max() / 2  # thin and small shapes have soft weights alone
        if np.percentile(patch[shown], 90) < LUNG_HU and not masks[0][weight > 0].any():
            return patch
    raise InputError(f"Scan {training_scan.name} shows no lung without vessels and nodules to paste; leave it out.")


def decoy_pair(data: DetectorData, seed: int, number: int, size: int = 128) -> tuple[torch.Tensor, torch.Tensor, float]:
    """A crop of a scan in the lungs, the same with a shape of plain tissue in its middle, and the shape's radius.

    Both images are `[3, size, size]` in 0..1; the radius is in pixels.
    """
    generator = np.random.default_rng((seed, number))
    for _ in range(_TRIES):
        training_scan = any_of(data.training_scans, generator)
        place = training_scan.places[generator.integers(len(training_scan.places))]
        if training_scan.lungs[tuple(place)] and not doubtful_near(training_scan, place, size):
            break
    else:
        raise InputError("The scans hold no place in the lungs without a doubtful nodule near it; give more scans.")
    before, _ = scan_stack(training_scan, place, data, size, Pose())
    width = float(generator.uniform(6, 24))
    weight = soft(blob(generator, 64, width), 0.5, generator.uniform(1, 3))
    patch = plain_lung(training_scan, data, weight, generator)
    after = before.copy()
    paste(after, match_noise(patch, before, generator), weight, size // 2, size // 2)
    first, second = (data.grid.normalise(torch.from_numpy(one)) for one in (before, after))
    return first, second, width / 2 + 3
