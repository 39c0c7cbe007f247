"""How well nodules are found: counts on slices and of nodules, and sensitivity against false positives per scan
(FROC).

The paper's counts on slices (Supplementary S2) were made by a radiologist's eye. The rules here:

- per slice: only slices with a nodule of the reference count, as in the paper. Each nodule on a slice is a true
  positive if what was found shares a voxel with it there, else a false negative; each connected component (8) of what
  was found on such a slice that shares no voxel with any nodule is a false positive.
- per nodule: a reference nodule is a true positive if a label shares a voxel with it; a label that shares none with any
  is a false positive.
- FROC: a detection hits a nodule when its centre lies within the nodule's radius of the nodule's centre (the rule of
  LUNA16).

What touches a doubtful place (outlined by too few readers) is neither right nor wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .detections import ReferenceNodule, hit_by
from .statistics import Estimate, bootstrap

#: False positives per scan at which LUNA16 averages sensitivity.
LUNA16_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class Counts:
    """True positives, false positives and false negatives; the rates are nan where nothing was counted."""

    tp: int
    fp: int
    fn: int

    @property
    def precision(self) -> float:
        return _share(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        return _share(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        return _share(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)


def count_slices(reference: np.ndarray, found: np.ndarray, doubtful: np.ndarray | None = None) -> Counts:
    """Counts on slices; `reference` and `found` are label maps `[slice, row, column]`, `doubtful` a mask on their
    grid.
    """
    total = Counts(0, 0, 0)
    for k in np.flatnonzero(reference.any((1, 2))):
        parts, _ = ndimage.label(found[k] > 0, np.ones((3, 3)))
        total += count_nodules(reference[k], parts, None if doubtful is None else doubtful[k])
    return total


def count_nodules(reference: np.ndarray, found: np.ndarray, doubtful: np.ndarray | None = None) -> Counts:
    """Counts of nodules; arguments as of `count_slices`."""
    nodules = np.unique(reference[reference > 0])
    hit = np.unique(reference[(reference > 0) & (found > 0)])
    touched = reference > 0 if doubtful is None else (reference > 0) | doubtful
    false = np.setdiff1d(found[found > 0], found[touched])
    return Counts(len(hit), len(false), len(nodules) - len(hit))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


@dataclass(frozen=True)
class Detection:
    """One place that a system takes for a nodule: centre (RAS, mm), diameter (mm; nan: not told) and score."""

    scan: str
    centre_ras: tuple[float, float, float]
    diameter_mm: float
    score: float


@dataclass(frozen=True, eq=False)
class ScanDetections:
    """Detections of one scan.

    Attributes:
        nodule_scores: for each reference nodule (in order of labels) the best score of a detection that hits it, or 0.
        false_scores: scores of detections that hit nothing; detections at doubtful places are left out.
    """

    nodule_scores: tuple[float, ...]
    false_scores: tuple[float, ...]


def judged_detections(detections: Iterable[Detection], nodules: Sequence[ReferenceNodule]) -> ScanDetections:
    """Which detections of one scan hit its nodules, by the rule of LUNA16: of several that hit one nodule, the best
    counts.
    """
    scores = [0.0] * len(nodules)
    false = []
    for detection in detections:
        hit = hit_by(detection.centre_ras, nodules)
        for number in hit:
            scores[number] = max(scores[number], detection.score)
        if not hit:
            false.append(detection.score)
    counted = (score for score, nodule in zip(scores, nodules, strict=True) if nodule.counts)
    return ScanDetections(tuple(counted), tuple(false))


@dataclass(frozen=True, eq=False)
class Froc:
    """Sensitivity at each rate of false positives per scan, and its mean over the rates; intervals over scans, 95%."""

    rates: tuple[float, ...]
    sensitivities: tuple[Estimate, ...]
    average: Estimate


def froc(
    scans: Sequence[ScanDetections], rates: Sequence[float] = LUNA16_RATES, count: int = 1000, seed: int = 0
) -> Froc:
    """FROC of the detections of all scans; `count` bootstrap samples of whole scans. At least one scan must hold a
    nodule.
    """

    def values(chosen: np.ndarray) -> np.ndarray:
        sensitivity = sensitivity_at_rates([scans[number] for number in chosen], rates)
        return np.append(sensitivity, sensitivity.mean())

    *single, average = bootstrap(len(scans), values, count, seed)
    return Froc(tuple(rates), tuple(single), average)


def sensitivity_at_rates(scans: Sequence[ScanDetections], rates: Sequence[float]) -> np.ndarray:
    """Sensitivity where the FROC curve, linear between its points, passes each rate; nan where the scans hold no
    nodule.
    """
    nodules = np.array([score for scan in scans for score in scan.nodule_scores])
    if not len(nodules):
        return np.full(len(rates), np.nan)
    false = np.array([score for scan in scans for score in scan.false_scores])
    # MONAI's curve takes a time that grows with the square of the detections, of which LUNA16's files hold 100,000 and
    # more.
    thresholds = np.append(np.inf, np.unique(np.append(false, nodules[nodules > 0]))[::-1])
    return np.interp(rates, _at_least(thresholds, false) / len(scans), _at_least(thresholds, nodules) / len(nodules))


def _at_least(thresholds: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """How many scores reach each threshold."""
    return len(scores) - np.searchsorted(np.sort(scores), thresholds)
