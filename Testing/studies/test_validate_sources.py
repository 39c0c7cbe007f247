"""`lnhg validate` on cubes and on scans with one outlined cancer: what its tables say of made-up ones."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from lnhg.core.ct import CT
from lnhg.data.cutouts import Cutout
from lnhg.data.scans import LabelledScan
from lnhg.stages.fusion import CONFIRMED, DETECTOR_ONLY
from lnhg.studies import validate_sources
from lnhg.studies.validate_sources import cancer_table, cube_table


def _cube(name: str, texture: float, radius: float) -> Cutout:
    k, j, i = np.indices((51, 51, 51)) - 25
    ball = np.sqrt(k**2 + j**2 + i**2) <= radius
    ct = CT(np.where(ball, 30, -850).astype(np.int16), np.diag([-1.0, -1.0, 1.0, 1.0]))
    return Cutout(f"{name}_C_0", name, ct, ball.astype(np.uint8), 1, {"texture": texture})


@pytest.fixture
def models() -> SimpleNamespace:
    return SimpleNamespace(detector="any", grid=lambda kind: None, threshold=lambda kind, given: 0.6)


def test_cubes_are_told_by_size_and_with_those_below_4_in_texture_apart(
    models: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    dices = {"A": 0.9, "B": 0.8, "C": 0.4}
    scores = {"A": 0.95, "B": 0.7, "C": 0.3}
    monkeypatch.setattr(validate_sources, "seeded_dice", lambda cube, _: dices[cube.patient])
    monkeypatch.setattr(validate_sources, "cutout_score", lambda cube, *_: scores[cube.patient])
    lines = list(cube_table(models, [_cube("A", 5, 2.5), _cube("B", 4.5, 6), _cube("C", 1.5, 6)]))
    rows = {line.split(" | ")[0].strip("| "): line for line in lines if line.startswith("|")}
    assert rows["all"].startswith("| all | 3 | 0.700 (0.400 to 0.900) | 0.800 | 1 | 2 of 3: 0.667 (")
    assert rows["below 4 in texture"].startswith(
        "| below 4 in texture | 1 | 0.400 (0.400 to 0.400) | 0.400 | 1 | 0 of 1"
    )
    assert rows["under 6 mm"].startswith("| under 6 mm | 1 | 0.900")
    assert rows["over 10 mm"].startswith("| over 10 mm | 2 | 0.600")
    assert rows["part-solid"] == "| part-solid | 0 | | | | |"


def _scan(patient: str, cancer: bool = True) -> LabelledScan:
    """A cancer 32 mm wide; a place that looks like a nodule."""
    k, j, i = np.indices((20, 100, 100))
    reference = (np.sqrt((3 * (k - 10)) ** 2 + (j - 40) ** 2 + (i - 40) ** 2) <= 16) & cancer
    likely = np.zeros(reference.shape, bool)
    likely[10, 80:86, 80:86] = True
    ct = CT(np.full(reference.shape, -850, np.int16), np.diag([-1.0, -1.0, 3.0, 1.0]))
    return LabelledScan(patient, ct, reference.astype(np.uint8), likely, complete=False)


def test_cancers_are_found_or_missed_and_other_finds_counted_by_whether_they_look_like_nodules(
    models: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def segment(ct: CT, models: object) -> SimpleNamespace:
        labels = np.zeros(ct.hu.shape, np.uint16)
        if ct is not missed.ct:
            labels[found.reference > 0] = 1
            labels[10, 40, 20:24] = 1
        labels[10, 82, 82], labels[5, 5, 5], labels[5, 9, 9] = 2, 3, 4
        statuses = {1: CONFIRMED, 2: CONFIRMED, 3: CONFIRMED, 4: DETECTOR_ONLY}
        there = [SimpleNamespace(id=label, status=statuses[label]) for label in np.unique(labels[labels > 0]).tolist()]
        return SimpleNamespace(labels=labels, nodules=there)

    found, missed = _scan("FOUND"), _scan("MISSED")
    trained = replace(_scan("TRAINED"), ct=replace(found.ct))
    unlabelled = replace(_scan("NONE", cancer=False), ct=missed.ct)
    monkeypatch.setattr(validate_sources, "segment", segment)
    lists = {"FOUND": "report", "MISSED": "report", "TRAINED": "train", "NONE": "report"}
    text = "\n".join(cancer_table(models, [found, missed, trained, unlabelled], lists.__getitem__))
    assert "| FOUND | report | 32 mm: 1, confirmed, 1.00, 0.00 | 1 | 1 |" in text
    assert "| MISSED | report | 32 mm: missed | 1 | 1 |" in text
    assert "| NONE | report | not outlined | 1 | 1 |" in text
    assert "cancers of scans not trained on: 1 of 2 found, mean Dice 0.5" in text
    assert "of these 30 mm and more: 1 of 2 found" in text
