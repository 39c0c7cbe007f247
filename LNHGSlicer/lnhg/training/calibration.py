"""Calibration of a detector: the lowest score at which whole scans that it has not seen have so many false
candidates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..data.scans import read_scan
from ..data.training_data import scan_folders
from ..errors import InputError
from ..evaluation.detection_scores import ScanDetections
from ..evaluation.froc import scan_detections, threshold_at
from ..networks.models import load_models
from ..networks.weights import change_manifest

#: False candidates a scan at which the lowest score is kept in the manifest.
RATES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


def calibrate(folder: Path, data: Path, held_out: Callable[[str], bool], threshold: float | None) -> str:
    """Measure the detector of a weights folder on the whole scans of `data`; write its operating points.

    Places in scans of which readers marked one cancer only count as false unless they look like a nodule.

    Args:
        held_out: whether a patient was not trained on.
        threshold: the lowest score by default from now on; None: as it is.

    Returns the table of the points as Markdown. Raises InputError where no scan is held out.
    """
    models = load_models(folder)
    assert models.detector is not None
    names = [path for path in scan_folders(data) if held_out(path.name)]
    if not names:
        raise InputError(
            f"{data} holds no whole scan that the detector has not seen; give another --fold, or --unseen."
        )
    scans = [scan_detections(read_scan(path), models.detector, models.grid("detector")) for path in names]
    points = operating_points(scans)
    chosen = models.threshold("detector", threshold)
    change_manifest(folder, "detector", thresholds={"score": chosen}, operating_points=points)
    return "\n".join(_table(points, scans, [path.name for path in names]))


def operating_points(scans: Sequence[ScanDetections]) -> list[dict[str, float]]:
    """For each of `RATES` that these scans can tell (at least one false candidate in all) the score; rising rates."""
    false = [score for scan in scans for score in scan.false_scores]
    rates = [rate for rate in RATES if rate * len(scans) >= 1]
    # Rounded up: at the score itself no more are left.
    scores = (math.ceil(threshold_at(false, len(scans), rate) * 1e4) / 1e4 for rate in rates)
    return [{"false_per_scan": rate, "score": score} for rate, score in zip(rates, scores, strict=True)]


def _table(points: Sequence[dict[str, float]], scans: Sequence[ScanDetections], names: Sequence[str]) -> list[str]:
    nodules = np.array([score for scan in scans for score in scan.nodule_scores])
    lines = [
        f"Whole scans not trained on: {', '.join(names)}.\n",
        "| false detections a scan | lowest score | nodules found |",
    ]
    lines.append("|---|---|---|")
    for point in points:
        found = int((nodules >= point["score"]).sum())
        lines.append(f"| {point['false_per_scan']:g} | {point['score']:.3f} | {found} of {len(nodules)} |")
    return lines
