"""From a detector's score to the probability that readers would mark a nodule there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

# Scores of exactly 0 and 1 have no logarithm of their odds.
_SMALLEST = 1e-6


@dataclass(frozen=True)
class Calibration:
    """P = 1 / (1 + exp(-(slope * logit(score) + intercept))), Platt's logistic map; by default P is the score.

    `slope` is above 0, so that the order of candidates stays.
    """

    slope: float = 1.0
    intercept: float = 0.0

    def probability(self, score: float) -> float:
        """0 to 1, for a score of 0 to 1."""
        return score if self == Calibration() else float(expit(self.slope * log_odds(score) + self.intercept))

    def score(self, probability: float) -> float:
        """The score that has this probability."""
        if self == Calibration():
            return probability
        return float(expit((log_odds(probability) - self.intercept) / self.slope))

    def as_dict(self) -> dict[str, float]:
        """For the manifest."""
        return asdict(self)

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, object]) -> Calibration:
        """That of weights; of weights that were not calibrated P is the score."""
        values = manifest.get("calibration")
        return cls(**values) if isinstance(values, dict) else cls()


def log_odds(score: npt.ArrayLike) -> np.ndarray:
    """logit(score) of one score or many; finite at 0 and 1 too."""
    return np.asarray(logit(np.clip(score, _SMALLEST, 1 - _SMALLEST)))
