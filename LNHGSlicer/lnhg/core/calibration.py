"""From a detector's score to the probability that readers would mark a nodule there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

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
        return score if self == Calibration() else _logistic(self.slope * _logit(score) + self.intercept)

    def score(self, probability: float) -> float:
        """The score that has this probability."""
        return probability if self == Calibration() else _logistic((_logit(probability) - self.intercept) / self.slope)

    def as_dict(self) -> dict[str, float]:
        """For the manifest."""
        return asdict(self)

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, object]) -> Calibration:
        """That of weights; of weights that were not calibrated P is the score."""
        values = manifest.get("calibration")
        return cls(**values) if isinstance(values, dict) else cls()


def _logit(share: float) -> float:
    share = min(max(share, _SMALLEST), 1 - _SMALLEST)
    return math.log(share / (1 - share))


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))
