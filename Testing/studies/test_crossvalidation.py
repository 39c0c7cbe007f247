"""Cross-validation of the generator: whose nodules train, select and report, what is written, and what is not done
again.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from lnhg import __version__
from lnhg.cli import main
from lnhg.evaluation.seeded import seeded_dice
from lnhg.options import Options
from lnhg.studies.crossvalidation import THRESHOLDS, best_threshold
from lnhg.studies.scores import FoldScores, NoduleScore, score
from lnhg.studies.tables import crossvalidation_table
from nodule_cutouts import ball_cutout
from standins import standin_models
from training_data import BALLS, write_data

_CHANGES = ("width=2", "patch=12", "batch=2", "steps=2", "background=0", "warm_up=1")


def _cross_validate(data: Path, output: Path, *more: str) -> int:
    words = ["crossvalidate", "--data", str(data), "--output", str(output), "--folds", "3", "--variant", "l-mse"]
    for change in _CHANGES:
        words += ["--set", change]
    return main([*words, *more])


def test_each_fold_is_scored_by_a_generator_of_other_patients_and_a_second_call_trains_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, output = tmp_path / "data", tmp_path / "folds"
    write_data(data, BALLS)
    assert _cross_validate(data, output) == 0
    printed = capsys.readouterr().out
    folds = json.loads((output / "folds.json").read_text())["folds"]
    for number, members in enumerate(folds):
        folder = output / f"fold-{number + 1}"
        kept = json.loads((folder / f"scores-{__version__}.json").read_text())
        assert {one["patient"] for one in kept["scores"]} == set(members)
        assert kept["steps"] == 2 and kept["threshold"] in THRESHOLDS
        # One nodule a patient: those of the two other folds less the one that selects.
        trained = json.loads((folder / "weights" / "generator.json").read_text())["training"]["data"]["LIDC-IDRI"][
            "nodules"
        ]
        assert trained == len(BALLS) - len(members) - len(folds[(number + 1) % 3])
    assert sorted(patient for fold in folds for patient in fold) == sorted(ball.patient for ball in BALLS)
    with (output / "tables" / "cross-validation-of-l-mse.csv").open() as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows[1:]] == [
        "fold 1",
        "fold 2",
        "fold 3",
        "mean (standard deviation) of the folds",
        "all nodules (95% interval)",
    ]
    assert (rows[4][-1], rows[5][1:3]) == ("68.36", ["4", "4"])
    monkeypatch.setattr("lnhg.studies.crossvalidation.train_generator", lambda *_, **__: pytest.fail("trained again"))
    monkeypatch.setattr("lnhg.studies.crossvalidation.nodule_scores", lambda *_: pytest.fail("scored again"))
    assert _cross_validate(data, output) == 0
    assert capsys.readouterr().out == printed
    assert _cross_validate(data, output, "--set", "steps=3") == 2
    assert "with other settings" in capsys.readouterr().err


def test_two_folds_are_too_few_and_so_are_three_patients_for_four(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_data(tmp_path / "data", BALLS[:3])
    assert _cross_validate(tmp_path / "data", tmp_path / "folds", "--folds", "2") == 2
    assert "choose --folds 3 or more" in capsys.readouterr().err
    assert _cross_validate(tmp_path / "data", tmp_path / "folds", "--folds", "4") == 2
    assert "3 patients do not fill 4 folds" in capsys.readouterr().err


def test_the_threshold_is_the_one_with_the_best_mean_dice() -> None:
    models, cutouts = standin_models(), [ball_cutout(radius=4.0), ball_cutout(radius=5.5)]

    def mean_dice(threshold: float) -> float:
        options = Options(seeds_only=True, generator_threshold=threshold)
        return float(np.mean([seeded_dice(cutout, models, options) for cutout in cutouts]))

    assert mean_dice(best_threshold(models, cutouts)) == max(map(mean_dice, THRESHOLDS))


def _nodule(patient: str, share: float) -> NoduleScore:
    """A nodule of which so large a share was found, and nothing else: Dice 2 s / (1 + s), the other shares s."""
    cutout = ball_cutout(f"{patient}_R_1")
    reference = cutout.consensus
    voxels = np.flatnonzero(reference)
    found = np.zeros(reference.size, bool)
    found[voxels[: round(share * len(voxels))]] = True
    return score("lnhg", cutout, reference, found.reshape(reference.shape))


def test_the_rows_of_the_table_are_those_by_hand() -> None:
    folds = [
        FoldScores(0.4, 10, [_nodule("A", 1.0), _nodule("B", 0.0)]),
        FoldScores(0.5, 10, [_nodule("C", 1.0), _nodule("D", 1.0)]),
    ]
    one, two, over_folds, every = crossvalidation_table("lnhg", folds).rows
    assert one == ("fold 1", "2", "2", "0.4", "10", "50.00", "50.00", "50.00", "")
    assert two[5:] == ("100.00", "100.00", "100.00", "")
    # Means 50 and 100: 75, deviation 50 / sqrt 2.
    assert over_folds[5:] == ("75.00 (35.36)",) * 3 + ("82.05",)
    assert every[1:3] == ("4", "4") and every[5].startswith("75.00 (") and every[5].endswith(" to 100.00)")
