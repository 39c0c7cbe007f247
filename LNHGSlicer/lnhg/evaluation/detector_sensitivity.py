"""How well the detector finds nodules: sensitivity against false positives per scan (FROC).

Whole scans are few, so sensitivity also comes from cut-outs in their true surroundings, mirrored at the border, and the
false positives from whole scans. A detection hits a nodule by the rule of `detections.py`; a nodule is the 50%
consensus.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..core.candidate import Candidate
from ..core.ct import CT
from ..data.cutouts import Cutout
from ..data.mirrored import mirrored
from ..data.scans import LabelledScan
from ..networks.ensemble import Detector
from ..networks.grid import NetworkGrid
from .detection_scores import Detection, ScanDetections, judged_detections
from .detections import LOWEST_SCORE, best_hit, candidates_on_cutout, candidates_on_scan, centre_ras, reference_nodules

#: What scores a CT's candidates again.
Again = Callable[[CT, Sequence[Candidate]], Sequence[Candidate]]

#: False positives per scan at which sensitivity is stated.
RATES = (1.0, 2.0, 4.0, 8.0)


def as_detected(ct: CT, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """Candidates as the detector scored them."""
    return candidates


def scan_detections(
    scan: LabelledScan, detector: Detector, grid: NetworkGrid, again: Again = as_detected
) -> ScanDetections:
    """The detector's detections on a whole scan, scored again by `again`, and judged."""
    ct = scan.ct
    candidates = again(ct, candidates_on_scan(ct, detector, grid))
    detections = (Detection(scan.patient, centre_ras(one, ct), math.nan, one.score) for one in candidates)
    return judged_detections(detections, reference_nodules(scan.reference, ct.ijk_to_ras, scan.doubtful))


def sensitivity_on_cutouts(
    cutouts: Sequence[Cutout], scans: Sequence[LabelledScan], detector: Detector, grid: NetworkGrid
) -> dict[float, float]:
    """Sensitivity on the cut-outs at each of `RATES`; the false positives are those of the whole scans."""
    false = [score for scan in scans for score in scan_detections(scan, detector, grid).false_scores]
    return sensitivity_at([cutout_score(cutout, detector, grid) for cutout in cutouts], false, len(scans))


def cutout_score(
    cutout: Cutout, detector: Detector, grid: NetworkGrid, again: Again = as_detected, lowest: float = LOWEST_SCORE
) -> float:
    """The best score of a detection that hits the cut-out's nodule in its true surroundings; 0 if none does from
    `lowest` on. The higher that is, the less the detector has to look at.
    """
    wide = mirrored(cutout)
    best = best_hit(again(wide.ct, candidates_on_cutout(wide, detector, grid, lowest)), wide)
    return best.score if best else 0.0


def sensitivity_at(
    nodule_scores: Sequence[float], false_scores: Sequence[float], scans: int, rates: Sequence[float] = RATES
) -> dict[float, float]:
    """Share of nodules found at the threshold that leaves at most each rate of false positives per scan."""
    scores = np.asarray(nodule_scores)
    return {rate: float((scores >= threshold_at(false_scores, scans, rate)).mean()) for rate in rates}


def threshold_at(false_scores: Sequence[float], scans: int, rate: float) -> float:
    """The lowest score threshold with at most `rate` false positives per scan (detections at the threshold count)."""
    ordered = np.sort(np.asarray(false_scores, float))[::-1]
    allowed = int(rate * scans)
    return LOWEST_SCORE if len(ordered) <= allowed else float(np.nextafter(ordered[allowed], 2))
