"""How many false positives a scan come with which lowest score, or probability, as it was measured of weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .calibration import Calibration


@dataclass(frozen=True)
class OperatingPoints:
    """Between the points that were measured it is interpolated; beyond them the nearest counts.

    Attributes:
        rates: false positives a scan, rising.
        scores: the lowest score of the network at each, falling.
    """

    rates: tuple[float, ...]
    scores: tuple[float, ...]

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, Any]) -> OperatingPoints | None:
        """Those of weights; None where none were measured."""
        points = manifest.get("operating_points")
        if not points:
            return None
        return cls(*zip(*sorted((point["false_per_scan"], point["score"]) for point in points), strict=True))

    def score(self, rate: float) -> float:
        """The lowest score at which so many false positives a scan are left."""
        return float(np.interp(rate, self.rates, self.scores))

    def rate(self, score: float) -> float:
        """About how many false positives a scan have this score or more."""
        return float(np.interp(-score, [-one for one in self.scores], self.rates))


@dataclass(frozen=True)
class Threshold:
    """The lowest probability of a candidate, and the false positives that come with it.

    Attributes:
        usual: the probability that the weights come with.
        calibration: from the network's scores to probabilities.
        points: None where none were measured.
    """

    usual: float
    calibration: Calibration
    points: OperatingPoints | None

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, Any]) -> Threshold:
        """That of the weights of a detector or rescorer."""
        calibration = Calibration.of_manifest(manifest)
        usual = calibration.probability(float(manifest["thresholds"]["score"]))
        return cls(usual, calibration, OperatingPoints.of_manifest(manifest))

    def rate(self, probability: float) -> float | None:
        """About how many false positives a scan have this probability or more; None where it was not measured."""
        return None if self.points is None else self.points.rate(self.calibration.score(probability))

    def probability(self, rate: float) -> float | None:
        """The lowest probability at which so many are left; None as above."""
        return None if self.points is None else self.calibration.probability(self.points.score(rate))
