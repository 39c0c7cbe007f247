"""Crops of whole scans around a false positive, a nodule or any place, and what is pasted into them."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from .detector_data import DetectorData, TrainingScan, doubtful_near, scan_stack
from .insertion import Canvas, paste_something
from .patches import Pose
from .sampling import Sampling

# Places that are drawn before the scans are taken to hold none that fits.
_TRIES = 1000


def scan_crop(data: DetectorData, sampling: Sampling, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A crop of a scan around a false positive, a nodule or any place, and what is pasted into it."""
    training_scan, place = _place(data, sampling, generator)
    view = Pose.random(generator, 30.0)
    hu, masks = scan_stack(training_scan, place, data, sampling.size, view)
    nodules = masks[0]
    if generator.random() < sampling.pasted:
        canvas = Canvas(hu, nodules, masks[1], masks[0].max(0) > 0.5)
        for _ in range(generator.integers(1, 4)):
            paste_something(data, sampling, training_scan, canvas, generator)
    return hu, nodules


def _place(data: DetectorData, sampling: Sampling, generator: np.random.Generator) -> tuple[TrainingScan, np.ndarray]:
    """A scan and the middle (slice, y, x) of a crop of it, which shows no doubtful nodule."""
    for _ in range(_TRIES):
        kind = generator.choice(3, p=[sampling.mined, sampling.real, 1 - sampling.mined - sampling.real])
        lists = [
            (training_scan.mined, training_scan.nodule_places, training_scan.places)[kind]
            for training_scan in data.training_scans
        ]
        counts = np.array([len(points) for points in lists], float)
        if not counts.any():
            continue
        # Every find counts the same; of nodules and other places every scan does.
        weights = counts if kind == 0 else (counts > 0).astype(float)
        chosen = generator.choice(len(lists), p=weights / weights.sum())
        training_scan, points = data.training_scans[chosen], lists[chosen]
        reach = sampling.size // 4
        place = points[generator.integers(len(points))] + [0, *generator.integers(-reach, reach + 1, 2)]
        if not doubtful_near(training_scan, place, sampling.size):
            return training_scan, place
    raise InputError("The training scans hold no place without a doubtful nodule near it; give more scans.")
