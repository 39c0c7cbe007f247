"""The two files that REDCap imports: every variable of the records stands in the dictionary, in the same words."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from itertools import groupby

import pytest

from commanded import refused
from host.handmade import GRIDS, handmade_result
from lnhg import cli
from lnhg.core.answers import answers_of_words
from lnhg.writers.record import run_record
from lnhg.writers.results import save

ANSWERS = answers_of_words(["age=64", "risk=high", "2.cyst=multilocular"])
REDCAP_COLUMNS = [
    "Variable / Field Name", "Form Name", "Section Header", "Field Type", "Field Label",
    "Choices, Calculations, OR Slider Labels", "Field Note", "Text Validation Type OR Show Slider Number",
    "Text Validation Min", "Text Validation Max", "Identifier?", "Branching Logic (Show field only if...)",
    "Required Field?", "Custom Alignment", "Question Number (surveys only)", "Matrix Group Name", "Matrix Ranking?",
    "Field Annotation",
]  # fmt: skip
RESULT = replace(handmade_result(GRIDS["axial"]), answers=ANSWERS)


@pytest.fixture
def exported(tmp_path):
    for name in ("A", "B"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(json.dumps(run_record(RESULT, "", with_identity=False)))
    words = ["export", "redcap", str(tmp_path / "A"), str(tmp_path / "B"), "--output", str(tmp_path / "out")]
    assert cli.main(words) == 0
    return tmp_path


@pytest.mark.parametrize("folders", [("A/results", "B/results"), ("A", "A"), ("A/results", "B/x/../results")])
def test_two_studies_of_one_name_are_refused(tmp_path, capfd, folders):
    """REDCap would take the nodules of both for those of one study."""
    for folder in folders:
        (tmp_path / folder.replace("/x/..", "")).mkdir(parents=True, exist_ok=True)
        (tmp_path / "B" / "x").mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "result.json").write_text(json.dumps(run_record(RESULT, "", with_identity=False)))
    words = ["export", "redcap", *(tmp_path / folder for folder in folders), "--output", tmp_path / "out"]
    refused(words, tmp_path, capfd, "Two of the folders are named", "a name of its own")


def test_the_folder_one_is_in_has_its_name(exported, monkeypatch):
    monkeypatch.chdir(exported / "A")
    assert cli.main(["export", "redcap", ".", "--output", str(exported / "here")]) == 0
    assert {row["record_id"] for row in rows(exported / "here" / "records.csv")} == {"A"}


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["nodules"][0].update(volume_mm3=1.0),
        lambda record: record["nodules"].pop(),
        lambda record: record["answers"].update(risk="high"),
    ],
    ids=["a volume", "a nodule less", "an answer"],
)
def test_a_record_that_was_changed_by_hand_is_refused(tmp_path, capfd, change):
    save(RESULT, tmp_path / "A", for_scene=True)
    record = json.loads((tmp_path / "A" / "result.json").read_text())
    change(record)
    (tmp_path / "A" / "result.json").write_text(json.dumps(record))
    words = ["export", "redcap", tmp_path / "A", "--output", tmp_path / "out"]
    refused(words, tmp_path, capfd, "is not as the run wrote it")


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


def choices_of(row):
    """Code -> label, as REDCap parts them: at each bar, and there at the first comma."""
    told = [one.split(", ", 1) for one in filter(None, row["Choices, Calculations, OR Slider Labels"].split(" | "))]
    assert len({code for code, _ in told}) == len(told), row
    return dict(told)


def test_the_dictionary_is_one_that_redcap_imports(exported):
    """Its rules: 18 columns by name; unique names of small letters, digits and single underscores, none of its own; the
    key first; a form in one block; its own types and validations; unique codes of word characters in a list.
    """
    dictionary = rows(exported / "out" / "dictionary.csv")
    assert list(dictionary[0]) == REDCAP_COLUMNS
    names = [row["Variable / Field Name"] for row in dictionary]
    assert names[0] == "record_id" and len(set(names)) == len(names)
    for name in names:
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) and len(name) <= 100
        assert not name.startswith("redcap_") and not name.endswith("_complete")
    assert [form for form, _ in groupby(row["Form Name"] for row in dictionary)] == ["study_form", "lung_nodule"]
    for row in dictionary:
        assert row["Field Type"] in ("text", "notes", "dropdown")
        assert row["Text Validation Type OR Show Slider Number"] in ("", "integer", "number")
        assert row["Field Label"].strip()
        assert bool(choices_of(row)) == (row["Field Type"] == "dropdown")
        assert all(re.fullmatch(r"[a-z0-9_]+", code) and label for code, label in choices_of(row).items())
        assert row["Field Type"] == "text" or not row["Text Validation Type OR Show Slider Number"]


def test_every_value_of_the_records_is_one_that_the_dictionary_allows(exported):
    records = rows(exported / "out" / "records.csv")
    dictionary = rows(exported / "out" / "dictionary.csv")
    names = [row["Variable / Field Name"] for row in dictionary]
    assert [name for name in records[0] if not name.startswith("redcap_")] == names
    shapes = {"integer": r"[-+]?\d+", "number": r"[-+]?\d*\.?\d+([eE][-+]?\d+)?", "": r"(?s).*"}
    for row in dictionary:
        choices, shape = choices_of(row), shapes[row["Text Validation Type OR Show Slider Number"]]
        for value in {record[row["Variable / Field Name"]] for record in records} - {""}:
            assert not choices or value in choices, row
            assert re.fullmatch(shape, value), (row, value)


def test_other_files_are_never_replaced(exported, capsys):
    (exported / "out" / "records.csv").write_text("mine")
    assert cli.main(["export", "redcap", str(exported / "A"), "--output", str(exported / "out")]) == 2
    assert (exported / "out" / "records.csv").read_text() == "mine"


def test_a_folder_without_a_result_is_refused(tmp_path, capsys):
    assert cli.main(["export", "redcap", str(tmp_path), "--output", str(tmp_path / "out")]) == 2
    assert "holds no result of a run" in capsys.readouterr().err
