"""The worklist of a cohort: what needs a look first stands on top."""

from __future__ import annotations

import json
from dataclasses import replace

from host.handmade import GRIDS, handmade_result
from lnhg.cohort.worklist import WORKLIST_HEADER as HEADER
from lnhg.cohort.worklist import in_order, worklist_row
from lnhg.core.answers import answers_of_words
from lnhg.writers.record import run_record

RESULT = handmade_result(GRIDS["axial"])


def study(folder, *words, sizes=(5.0, 5.0)):
    nodules = tuple(replace(one, mean_axis=mm) for one, mm in zip(RESULT.nodules, sizes, strict=True))
    result = replace(RESULT, nodules=nodules, answers=answers_of_words(words))
    folder.mkdir()
    (folder / "result.json").write_text(json.dumps(run_record(result, "", with_identity=False)))
    return folder


def test_the_most_pressing_nodule_of_each_study_decides_and_failed_studies_come_first(tmp_path):
    rows = [
        worklist_row("small", "done", "", study(tmp_path / "a")),
        worklist_row("large", "done", "", study(tmp_path / "b", sizes=(9.0, 16.0))),
        worklist_row("suspicious", "done", "", study(tmp_path / "c", "1.suspicious=yes", sizes=(7.0, 7.5))),
        worklist_row("middle", "skipped", "", study(tmp_path / "d", "course=new", sizes=(7.0, 7.5))),
        worklist_row("broken", "failed", "It is no CT.", None),
    ]
    ordered = [dict(zip(HEADER, row, strict=True)) for row in in_order(rows)]
    assert [row["scan"] for row in ordered] == ["broken", "suspicious", "large", "middle", "small"]
    assert [row["look"] for row in ordered] == [1, 2, 3, 4, 5]
    assert [row["highest Lung-RADS 2022, proposed"] for row in ordered] == ["", "4X", "4B", "4A", "2"]
    assert ordered[2]["nodule"] == 2 and ordered[2]["nodules"] == 2
    assert ordered[3]["course"] == "new"
    assert "Lung-RADS 4A" in ordered[3]["sentence"]


def test_a_study_without_nodules_and_one_of_an_older_version_have_a_row(tmp_path):
    empty = replace(RESULT, nodules=())
    (tmp_path / "e").mkdir()
    record = run_record(empty, "", with_identity=False)
    (tmp_path / "e" / "result.json").write_text(json.dumps(record))
    assert len(worklist_row("none", "done", "", tmp_path / "e")) == len(HEADER) - 1
    del record["proposals"]
    (tmp_path / "e" / "result.json").write_text(json.dumps(record))
    assert worklist_row("older", "skipped", "", tmp_path / "e")[3] == 0
    assert len(worklist_row("gone", "done", "", tmp_path / "f")) == len(HEADER) - 1
