"""Calibration of a detector on whole scans that it has not seen: the score at which so many false positives are left,
and the probability that a candidate of a score is a nodule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..core.calibration import Calibration
from ..data.scans import read_scan
from ..data.training_data import scan_folders
from ..errors import InputError
from ..evaluation.detection_scores import ScanDetections
from ..evaluation.detections import LOWEST_SCORE
from ..evaluation.detector_sensitivity import scan_detections, threshold_at
from ..evaluation.reliability import Judged, calibration_error, cross_fitted, fitted, judged, reliability
from ..networks.torch_models import load_models
from ..networks.weights import change_manifest

#: False positives a scan at which the lowest score is kept in the manifest.
RATES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
# A map fitted on all scans but one needs more than one other.
_FEWEST_SCANS = 3


def calibrate(folder: Path, data: Path, held_out: Callable[[str], bool], threshold: float | None) -> str:
    """Measure the detector of a weights folder on the whole scans of `data`; write its operating points and the map
    from scores to probabilities.

    Places in scans of which readers marked one cancer only count as false unless they look like a nodule.

    Args:
        held_out: whether a patient was not trained on.
        threshold: the lowest score by default from now on; None: as it is.

    Returns tables of the points and of how reliable the probabilities are, as Markdown. Raises InputError where too
    few scans are held out, or none has both nodules and false positives.
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
    candidates = [one for one in map(judged, scans) if len(one.scores)]
    if len(candidates) < _FEWEST_SCANS or not any(one.real.any() for one in candidates):
        raise InputError(
            f"{data} holds too few whole scans with candidates and nodules that the detector has not seen to calibrate "
            f"it; at least {_FEWEST_SCANS} are needed."
        )
    calibration = fitted(candidates)
    change_manifest(
        folder,
        "detector",
        thresholds={"score": chosen},
        operating_points=points,
        calibration=calibration.as_dict(),
    )
    lines = [*_table(points, scans, [path.name for path in names], calibration), "", *_reliability_table(candidates)]
    return "\n".join(lines)


def operating_points(scans: Sequence[ScanDetections]) -> list[dict[str, float]]:
    """For each of `RATES` that these scans can tell (at least one false positive in all) the score; rising rates."""
    false = [score for scan in scans for score in scan.false_scores]
    rates = [rate for rate in RATES if rate * len(scans) >= 1]
    # Rounded up: at the score itself no more are left.
    scores = (math.ceil(threshold_at(false, len(scans), rate) * 1e4) / 1e4 for rate in rates)
    return [{"false_per_scan": rate, "score": score} for rate, score in zip(rates, scores, strict=True)]


def _table(
    points: Sequence[dict[str, float]], scans: Sequence[ScanDetections], names: Sequence[str], calibration: Calibration
) -> list[str]:
    nodules = np.array([score for scan in scans for score in scan.nodule_scores])
    lines = [
        f"Whole scans not trained on: {', '.join(names)}.\n",
        "| false positives a scan | lowest score | as a probability | nodules found |",
    ]
    lines.append("|---|---|---|---|")
    for point in points:
        found = int((nodules >= point["score"]).sum())
        chance = calibration.probability(point["score"])
        lines.append(
            f"| {point['false_per_scan']:g} | {point['score']:.3f} | {chance:.2f} | {found} of {len(nodules)} |"
        )
    return lines


def _reliability_table(candidates: Sequence[Judged]) -> list[str]:
    """Each scan's probabilities by the map that was fitted on the others."""
    apart = cross_fitted(candidates)
    error = calibration_error(apart)
    lines = [
        f"Candidates above a score of {LOWEST_SCORE:g}, each scan's by the map fitted on the other scans; expected "
        f"calibration error {error.value:.3f} ({error.low:.3f} to {error.high:.3f}, 95%, over scans):\n",
        "| candidates | mean probability | nodules among them |",
        "|---|---|---|",
    ]
    return lines + [f"| {n} | {said:.2f} | {share:.2f} |" for n, said, share in reliability(apart)]
