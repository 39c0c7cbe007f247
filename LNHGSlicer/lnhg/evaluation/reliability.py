"""Whether a probability is one: of the candidates said to be nodules with 30%, are 30% nodules?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from ..core.calibration import Calibration, log_odds
from .detection_scores import ScanDetections
from .statistics import Estimate, bootstrap

# Bins of equal numbers of candidates.
_BINS = 5


@dataclass(frozen=True, eq=False)
class Judged:
    """Candidates and what they turned out to be, of one scan: scores `[n]` and whether each is a nodule `[n]`."""

    scores: np.ndarray
    real: np.ndarray


def judged(scan: ScanDetections) -> Judged:
    """The best candidate of each reference nodule that was found, and the false ones."""
    real = [score for score in scan.nodule_scores if score > 0]
    scores = np.array([*real, *scan.false_scores], float)
    return Judged(scores, np.arange(len(scores)) < len(real))


def fitted(scans: Sequence[Judged]) -> Calibration:
    """The logistic map of least log loss, with Platt's targets, which keep few candidates from being overfitted."""
    scores, real = _pooled(scans)
    count, false = int(real.sum()), int((~real).sum())
    targets = np.where(real, (count + 1) / (count + 2), 1 / (false + 2))
    odds = log_odds(scores)

    def log_loss(parameters: np.ndarray) -> float:
        values = np.exp(parameters[0]) * odds + parameters[1]  # the slope stays above 0
        return float(np.sum(np.logaddexp(0, values) - targets * values))

    slope, intercept = minimize(log_loss, np.zeros(2), method="Nelder-Mead").x
    return Calibration(float(np.exp(slope)), float(intercept))


def cross_fitted(scans: Sequence[Judged]) -> list[Judged]:
    """Each scan's candidates with the probability that the map fitted on all other scans gives them."""
    maps = [fitted([other for other in scans if other is not scan]) for scan in scans]
    return [
        Judged(np.array([by.probability(float(score)) for score in scan.scores]), scan.real)
        for by, scan in zip(maps, scans, strict=True)
    ]


def calibration_error(scans: Sequence[Judged], count: int = 1000, seed: int = 0) -> Estimate:
    """Expected calibration error of probabilities: the mean distance of the mean probability and the share of nodules
    in bins of equal numbers of candidates. The interval resamples scans.
    """

    def error(chosen: np.ndarray) -> np.ndarray:
        rows = reliability([scans[number] for number in chosen])
        return np.array([sum(n * abs(said - share) for n, said, share in rows) / sum(n for n, _, _ in rows)])

    (interval,) = bootstrap(len(scans), error, count, seed)
    return interval


def reliability(scans: Sequence[Judged]) -> list[tuple[int, float, float]]:
    """Of each bin, rising: number of candidates, mean probability, share of nodules."""
    scores, real = _pooled(scans)
    order = np.argsort(scores, kind="stable")
    return [
        (len(part), float(scores[part].mean()), float(real[part].mean()))
        for part in np.array_split(order, min(_BINS, len(order)))
        if len(part)
    ]


def _pooled(scans: Sequence[Judged]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([scan.scores for scan in scans]), np.concatenate([scan.real for scan in scans])
