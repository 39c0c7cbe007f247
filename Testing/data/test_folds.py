"""Folds of patients: drawn from a seed, kept in a file, checked when they are read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lnhg.data.splits import list_in_fold, read_folds, write_folds
from lnhg.errors import InputError

_PATIENTS = [f"P{number:02d}" for number in range(23)]


def test_every_patient_is_in_one_of_five_folds_of_like_size(tmp_path: Path) -> None:
    write_folds(tmp_path / "folds.json", _PATIENTS, 5, 0)
    folds = read_folds(tmp_path / "folds.json", _PATIENTS)
    assert sorted(len(fold) for fold in folds) == [4, 4, 5, 5, 5]
    assert sorted(patient for fold in folds for patient in fold) == _PATIENTS


def test_the_same_seed_gives_the_same_folds_in_whatever_order_the_patients_come(tmp_path: Path) -> None:
    for name, patients, seed in (("a", _PATIENTS, 0), ("b", _PATIENTS[::-1] * 2, 0), ("c", _PATIENTS, 1)):
        write_folds(tmp_path / name, patients, 5, seed)
    a, b, c = ((tmp_path / name).read_text() for name in "abc")
    assert a == b and json.loads(a)["folds"] != json.loads(c)["folds"]


def test_each_patient_reports_once_and_selects_once(tmp_path: Path) -> None:
    write_folds(tmp_path / "folds.json", _PATIENTS, 5, 0)
    folds = read_folds(tmp_path / "folds.json", _PATIENTS)
    for patient in _PATIENTS:
        lists = [list_in_fold(patient, folds, number) for number in range(5)]
        assert sorted(lists) == ["report", "select", "train", "train", "train"]


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ([["A", "B"], ["B", "C"]], r"B is in more than one fold"),
        ([["A"], ["B"]], r"C is in no fold"),
    ],
)
def test_folds_that_overlap_or_lack_a_patient_are_refused(tmp_path: Path, folds: list[list[str]], message: str) -> None:
    (tmp_path / "folds.json").write_text(json.dumps({"folds": folds}))
    with pytest.raises(InputError, match=message):
        read_folds(tmp_path / "folds.json", ["A", "B", "C"])


def test_more_folds_than_patients_and_files_that_hold_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="2 patients do not fill 5 folds"):
        write_folds(tmp_path / "folds.json", ["A", "B"], 5, 0)
    (tmp_path / "folds.json").write_text("[1]")
    with pytest.raises(InputError, match="is no file of folds"):
        read_folds(tmp_path / "folds.json", ["A"])
