"""Mining: the false finds of a detector on the scans it is trained on, which its next phase sees more often."""

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
from .detector_data import DetectorData, Host

_log = logging.getLogger(__name__)

# Lowest score of a false find that is trained on again.
_MINED_SCORE = 0.1


def mine(detector: NoduleDetector, data: DetectorData) -> dict[str, np.ndarray]:
    """False finds on the training scans: for each `[n, 3]` points (slice, y, x) away from anything a reader marked."""
    detector.eval()
    found = {host.name: _false_finds(detector, host, data.grid) for host in data.hosts}
    _log.info("Mined %s", {name: len(points) for name, points in found.items()})
    return found


def _false_finds(detector: NoduleDetector, host: Host, grid: NetworkGrid) -> np.ndarray:
    ct = CT(host.hu, np.diag([-grid.pixel_mm, -grid.pixel_mm, host.slice_mm, 1.0]))
    candidates = detect(ct, detector, grid, lungs=host.lungs, score_threshold=_MINED_SCORE)
    # Wider than what counts as a hit: all sections of a find are learned as false ones.
    marked = ndimage.binary_dilation(host.nodules | host.doubtful, np.ones((3, 5, 5)), iterations=2)
    points = []
    for candidate in candidates:
        k, y, x = centre_voxel(candidate, host.hu.shape)
        unsure = not host.read and candidate.score >= SURE_SCORE
        if not marked[k, y, x] and not unsure:
            points += [(slice_, y, x) for slice_ in candidate.boxes]
    return np.array(points, int).reshape(-1, 3)


def with_mined(data: DetectorData, mined: dict[str, np.ndarray] | None) -> DetectorData:
    """The data with the places of the false finds."""
    if mined is None:
        return data
    return replace(data, hosts=[replace(host, mined=mined[host.name]) for host in data.hosts])
