"""Probabilities of candidates: the map from scores, and how far what is said lies from what is."""

from __future__ import annotations

import numpy as np
import pytest

from lnhg.core.calibration import Calibration
from lnhg.evaluation.detection_scores import ScanDetections
from lnhg.evaluation.reliability import Judged, calibration_error, cross_fitted, fitted, judged, reliability

TRUTH = Calibration(slope=1.5, intercept=-2.0)


def scans_of(truth: Calibration, count: int = 40, each: int = 30, seed: int = 0) -> list[Judged]:
    """Candidates that are nodules as often as `truth` says."""
    random = np.random.default_rng(seed)
    scans = []
    for _ in range(count):
        scores = random.uniform(0.05, 0.99, each)
        chances = np.array([truth.probability(score) for score in scores])
        scans.append(Judged(scores, random.random(each) < chances))
    return scans


def test_a_map_turns_back_and_keeps_the_order() -> None:
    scores = np.linspace(0.01, 0.99, 21)
    chances = [TRUTH.probability(score) for score in (0.0, *scores, 1.0)]
    assert chances == sorted(chances) and 0 <= chances[0] < chances[-1] <= 1
    assert [TRUTH.score(chance) for chance in chances[1:-1]] == pytest.approx(scores, abs=1e-6)
    assert TRUTH.probability(0.5) == pytest.approx(1 / (1 + np.exp(2)))


def test_without_calibration_the_score_stays_as_it_is() -> None:
    assert [Calibration().probability(score) for score in (0.0, 0.3, 1.0)] == [0.0, 0.3, 1.0]
    assert Calibration.of_manifest({"thresholds": {"score": 0.5}}) == Calibration()
    assert Calibration.of_manifest({"calibration": TRUTH.as_dict()}) == TRUTH


def test_the_fitted_map_is_the_one_that_the_candidates_follow() -> None:
    found = fitted(scans_of(TRUTH, count=200))
    assert (found.slope, found.intercept) == pytest.approx((1.5, -2.0), abs=0.15)


def test_calibrated_probabilities_are_nearly_right_and_raw_scores_are_not() -> None:
    scans = scans_of(TRUTH)
    after, before = calibration_error(cross_fitted(scans)), calibration_error(scans)
    assert after.value < 0.05 < before.low
    assert after.high < before.low


def test_a_scans_own_candidates_do_not_shape_its_probabilities() -> None:
    scans = scans_of(TRUTH, count=5)
    flipped = [*scans[:-1], Judged(scans[-1].scores, ~scans[-1].real)]
    assert np.array_equal(cross_fitted(scans)[-1].scores, cross_fitted(flipped)[-1].scores)


def test_bins_tell_what_was_said_and_what_was_so() -> None:
    scan = Judged(np.array([0.1, 0.1, 0.9, 0.9, 0.5]), np.array([False, False, True, True, False]))
    assert reliability([scan])[0] == (1, pytest.approx(0.1), 0.0) and reliability([scan])[-1] == (1, 0.9, 1.0)
    assert calibration_error([scan, scan], count=10).value == pytest.approx((0.1 + 0.1 + 0.1 + 0.1 + 0.5) / 5)


def test_missed_nodules_are_no_candidates() -> None:
    one = judged(ScanDetections((0.9, 0.0), (0.4, 0.2)))
    assert one.scores.tolist() == [0.9, 0.4, 0.2] and one.real.tolist() == [True, False, False]
