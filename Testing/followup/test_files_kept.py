"""The folder of a follow-up: what lies in it is replaced whole or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host.handmade import GRIDS, handmade_result
from lnhg.errors import InputError
from lnhg.followup.fit import Fit
from lnhg.followup.follow import MATCHED, FollowUp, Interlude, Pair
from lnhg.followup.study import study_of
from lnhg.followup.written import check_output, save_follow_up
from lnhg.writers import results

RESULT = handmade_result(GRIDS["axial"])


def followed(count: int = 2, result: Any = RESULT) -> FollowUp:
    """Two nodules, each in all of several studies."""
    places = [np.array(row.centre_ras) for row in result.nodules]
    pairs = tuple(
        Pair(MATCHED, row, row, (place, place), None) for row, place in zip(result.nodules, places, strict=True)
    )
    step = Interlude(90.0, Fit(100, 0.9, 0.4, 1.2), True, pairs, np.eye(4))
    studies = tuple(study_of(f"study {n}", result) for n in range(1, count + 1))
    return FollowUp(studies, (step,) * (count - 1), ((1,) * count, (2,) * count), ())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_study_that_was_changed_since_is_refused_before_the_run(tmp_path: Path) -> None:
    save_follow_up(followed(), tmp_path / "out", for_scene=True)
    (tmp_path / "out" / "study-2" / "labels.nrrd").open("ab").write(b" ")
    before = contents(tmp_path / "out")
    with pytest.raises(InputError, match=r"labels[.]nrrd in .*study-2 would be replaced"):
        check_output(tmp_path / "out")
    with pytest.raises(InputError, match="would be replaced"):
        save_follow_up(followed(), tmp_path / "out", for_scene=True)
    assert contents(tmp_path / "out") == before


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_follow_up(followed(), tmp_path / "out", for_scene=True)
    (tmp_path / "out" / "study-1" / "notes.txt").write_text("of the reader")
    before, rename = contents(tmp_path / "out"), Path.rename

    def failing(source: Path, target: Path) -> Any:
        if source.parent.name == "made" and target.name == "follow.json":
            raise OSError("no space left")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", failing)
    other = replace(RESULT, heterogeneity=RESULT.heterogeneity / 2)
    with pytest.raises(InputError, match="no space left"):
        save_follow_up(followed(result=other), tmp_path / "out", for_scene=True)
    assert contents(tmp_path / "out") == before


def test_a_folder_that_was_not_there_is_not_left_behind_half_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "run_record", lambda *_: {}["none"])
    with pytest.raises(KeyError):
        save_follow_up(followed(), tmp_path / "out", for_scene=True)
    assert list(tmp_path.iterdir()) == []


def test_studies_of_an_earlier_longer_follow_up_are_named(tmp_path: Path) -> None:
    save_follow_up(followed(3), tmp_path, for_scene=True)
    paths = save_follow_up(followed(2), tmp_path, for_scene=True)
    sentence = "study-3 in this folder is of an earlier follow-up."
    assert json.loads(paths["record"].read_text())["notes"] == [sentence]
    assert sentence in paths["report"].read_text(encoding="utf-8")


def test_a_ct_in_the_folder_of_a_study_stays(tmp_path: Path) -> None:
    (tmp_path / "study-1").mkdir()
    (tmp_path / "study-1" / "ct.nrrd").write_text("of the reader")
    paths = save_follow_up(followed(), tmp_path)
    assert (paths["study 1"] / "ct.nrrd").read_text() == "of the reader"
    assert (paths["study 1"] / "report.html").is_file()
