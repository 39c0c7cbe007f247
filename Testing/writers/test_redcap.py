"""The two files that REDCap imports: every variable of the records stands in the dictionary, in the same words."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace

import pytest

from host.handmade import GRIDS, handmade_result
from lnhg import cli
from lnhg.core.answers import answers_of_words
from lnhg.writers.record import run_record

ANSWERS = answers_of_words(["age=64", "risk=high", "2.cyst=multilocular"])
RESULT = replace(handmade_result(GRIDS["axial"]), answers=ANSWERS)


@pytest.fixture
def exported(tmp_path):
    for name in ("A", "B"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(json.dumps(run_record(RESULT, "", with_identity=False)))
    words = ["export", "redcap", str(tmp_path / "A"), str(tmp_path / "B"), "--output", str(tmp_path / "out")]
    assert cli.main(words) == 0
    return tmp_path


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_row_a_nodule_of_each_study(exported):
    records = rows(exported / "out" / "records.csv")
    assert [(row["record_id"], row["redcap_repeat_instance"]) for row in records] == [
        ("A", "1"), ("A", "2"), ("B", "1"), ("B", "2"),
    ]  # fmt: skip
    assert float(records[0]["volume_mm3"]) == pytest.approx(RESULT.nodules[0].volume, abs=1e-3)
    assert (records[0]["answer_cyst"], records[1]["answer_cyst"]) == ("not_answered", "multilocular")
    assert records[1]["lung_rads_2022_proposed"] == "4A"


def test_the_dictionary_describes_every_variable_as_redcap_wants_it(exported):
    dictionary = rows(exported / "out" / "dictionary.csv")
    variables = [row["Variable / Field Name"] for row in dictionary]
    records = rows(exported / "out" / "records.csv")
    assert [name for name in records[0] if not name.startswith("redcap_")] == variables
    assert len(set(variables)) == len(variables)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]{0,99}", name) for name in variables)
    for row in dictionary:
        told = row["Choices, Calculations, OR Slider Labels"].split(" | ")
        choices = dict(one.split(", ") for one in filter(None, told))
        values = {record[row["Variable / Field Name"]] for record in records} - {""}
        assert not choices or values <= set(choices), row
        if row["Text Validation Type OR Show Slider Number"]:
            assert all(float(value) == float(value) for value in values)


def test_other_files_are_never_replaced(exported, capsys):
    (exported / "out" / "records.csv").write_text("mine")
    assert cli.main(["export", "redcap", str(exported / "A"), "--output", str(exported / "out")]) == 2
    assert (exported / "out" / "records.csv").read_text() == "mine"


def test_a_folder_without_a_result_is_refused(tmp_path, capsys):
    assert cli.main(["export", "redcap", str(tmp_path), "--output", str(tmp_path / "out")]) == 2
    assert "holds no record" in capsys.readouterr().err
