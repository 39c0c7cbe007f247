"""Operating points of a detector, and the option that chooses among them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lnhg.core.ct import CT
from lnhg.core.resources import resource
from lnhg.errors import InputError
from lnhg.evaluation.detection_scores import ScanDetections
from lnhg.networks.models import Models
from lnhg.networks.weights import change_manifest, load_weights
from lnhg.options import Options
from lnhg.pipeline import segment
from lnhg.training.calibration import operating_points
from standins import standin_models

# Eight false positives in two scans.
SCANS = [ScanDetections((0.95,), (0.9, 0.8, 0.7, 0.6)), ScanDetections((0.5,), (0.55, 0.45, 0.35, 0.25))]
POINTS = [{"false_per_scan": 1.0, "score": 0.8}, {"false_per_scan": 3.0, "score": 0.4}]


def with_points(points: list[dict[str, float]] | None) -> Models:
    models = standin_models()
    manifests = {kind: dict(manifest) for kind, manifest in models.manifests.items()}
    if points is not None:
        manifests["detector"]["operating_points"] = points
    return replace(models, manifests=manifests)


def test_at_the_score_of_a_rate_no_more_false_candidates_are_left_than_it_says() -> None:
    false = [score for scan in SCANS for score in scan.false_scores]
    points = operating_points(SCANS)
    assert [point["false_per_scan"] for point in points] == [0.5, 1.0, 2.0, 4.0, 8.0], (
        "a quarter is less than one in two scans"
    )
    for point in points:
        assert sum(score >= point["score"] for score in false) <= 2 * point["false_per_scan"]
    assert points[1]["score"] == pytest.approx(0.7, abs=1e-3), "and one more at any lower score"


@pytest.mark.parametrize(("rate", "score"), [(1.0, 0.8), (2.0, 0.6), (3.0, 0.4), (0.1, 0.8), (20.0, 0.4)])
def test_false_positives_per_scan_set_the_lowest_score_between_the_rates_that_were_measured(
    rate: float, score: float
) -> None:
    assert with_points(POINTS).score_threshold("detector", None, rate) == pytest.approx(score)


def test_without_that_option_the_manifests_score_or_the_chosen_one_holds() -> None:
    assert with_points(POINTS).score_threshold("detector", None, None) == 0.3
    assert with_points(POINTS).score_threshold("detector", 0.45, None) == 0.45


def test_weights_whose_false_positives_were_not_measured_say_so() -> None:
    with pytest.raises(InputError, match="not measured"):
        with_points(None).score_threshold("detector", None, 1.0)


def test_both_ways_to_set_the_score_at_once_are_refused() -> None:
    with pytest.raises(InputError, match="not both"):
        Options(score_threshold=0.5, false_positives_per_scan=1.0)


def test_fewer_false_positives_leave_fewer_candidates() -> None:
    ct = CT(np.full((20, 60, 60), -850, np.int16), np.diag([-1.0, -1.0, 1.0, 1.0]))
    ct.hu[6:14, 10:18, 10:18], ct.hu[6:14, 40:48, 40:48] = 0, 300  # as the stand-in scores brightness: 0.71 and 0.93
    many, few = (
        segment(ct, Options(false_positives_per_scan=rate, anywhere=True, device="cpu"), models=with_points(POINTS))
        for rate in (3.0, 0.5)
    )
    assert many.provenance["score_threshold"] == pytest.approx(0.4) and few.provenance[
        "score_threshold"
    ] == pytest.approx(0.8)
    assert [len(found.candidates) for found in (few, many)] == [1, 2]


def test_a_manifest_that_was_changed_by_the_command_still_belongs_to_its_weights(tmp_path: Path) -> None:
    for ending in ("json", "safetensors"):
        shutil.copy(resource("Models") / f"detector.{ending}", tmp_path)
    change_manifest(tmp_path, "detector", thresholds={"score": 0.85}, operating_points=POINTS)
    manifest = load_weights(tmp_path, "detector").manifest
    assert manifest["thresholds"] == {"score": 0.85} and manifest["operating_points"] == POINTS
    before = json.loads((resource("Models") / "detector.json").read_text())
    assert manifest["sha256"] == before["sha256"] and manifest["training"] == before["training"]


def test_scores_of_calibrated_weights_are_probabilities_and_so_is_the_lowest_one_chosen() -> None:
    ct = CT(np.full((20, 60, 60), -850, np.int16), np.diag([-1.0, -1.0, 1.0, 1.0]))
    ct.hu[6:14, 10:18, 10:18], ct.hu[6:14, 40:48, 40:48] = 0, 300  # as the stand-in scores brightness: 0.71 and 0.93
    models = with_points(POINTS)
    models.manifests["detector"]["calibration"] = {"slope": 2.0, "intercept": -3.0}
    options = Options(anywhere=True, device="cpu", score_threshold=0.2)
    raw = segment(ct, options, models=with_points(POINTS)).candidates
    calibrated = segment(ct, options, models=models)
    chances = [1 / (1 + np.exp(3 - 2 * np.log(one["score"] / (1 - one["score"])))) for one in raw]
    assert [one["score"] for one in calibrated.candidates] == pytest.approx(chances, abs=1e-3)
    assert calibrated.provenance["score_threshold"] == pytest.approx(0.2)
    stricter = segment(ct, replace(options, score_threshold=0.5), models=models)
    assert len(calibrated.candidates) == 2 and len(stricter.candidates) == 1
