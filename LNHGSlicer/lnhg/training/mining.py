"""Mining: the false positives of a detector on the scans it is trained on, which its next phase sees more often."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
from scipy import ndimage

from ..core.ct import CT
from ..evaluation.detections import SURE_SCORE, centre_voxel
from ..networks.detector import NoduleDetector
from ..networks.grid import NetworkGrid
from ..stages.detection import detect
from .detector_data import DetectorData, TrainingScan

_log = logging.getLogger(__name__)

# Lowest score of a false positive that is trained on again.
_MINED_SCORE = 0.1


def mine(detector: NoduleDetector, data: DetectorData) -> dict[str, np.ndarray]:
    """False positives on the training scans: for each `[n, 3]` points (slice, y, x) away from anything a reader
    marked.
    """
    detector.eval()
    found = {
        training_scan.name: _false_candidates(detector, training_scan, data.grid)
        for training_scan in data.training_scans
    }
    _log.info("Mined %s", {name: len(points) for name, points in found.items()})
    return found


def _false_candidates(detector: NoduleDetector, training_scan: TrainingScan, grid: NetworkGrid) -> np.ndarray:
    ct = CT(training_scan.hu, np.diag([-grid.pixel_mm, -grid.pixel_mm, training_scan.slice_mm, 1.0]))
    candidates = detect(ct, detector, grid, lungs=training_scan.lungs, score_threshold=_MINED_SCORE)
    # Wider than what counts as a hit: all sections of a find are learned as false ones.
    marked = ndimage.binary_dilation(training_scan.nodules | training_scan.doubtful, np.ones((3, 5, 5)), iterations=2)
    points = []
    for candidate in candidates:
        k, y, x = centre_voxel(candidate, training_scan.hu.shape)
        unsure = not training_scan.read and candidate.score >= SURE_SCORE
        if not marked[k, y, x] and not unsure:
            points += [(slice_, y, x) for slice_ in candidate.boxes]
    return np.array(points, int).reshape(-1, 3)


def with_mined(data: DetectorData, mined: dict[str, np.ndarray] | None) -> DetectorData:
    """The data with the places of the false positives."""
    if mined is None:
        return data
    return replace(
        data,
        training_scans=[
            replace(training_scan, mined=mined[training_scan.name]) for training_scan in data.training_scans
        ],
    )
