"""Results of another version: an old folder opens, what it lacks is not measured, what is not known is named."""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markupsafe import escape

import made_before
from lnhg import read_ct
from lnhg.core.nodule import NOT_MEASURED, as_row, columns, from_row
from lnhg.core.result import Result
from lnhg.errors import InputError
from lnhg.options import Options, options_of_record
from lnhg.writers.pictures import nodule_planes
from lnhg.writers.read_back import load_result
from lnhg.writers.record import run_record
from lnhg.writers.report import report_html
from lnhg.writers.results import save

PAGE = Path(__file__).resolve().parents[2] / "docs" / "result_json.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the old result folder."""
    shutil.copytree(made_before.RESULT, tmp_path / "old")
    return tmp_path / "old"


def read(folder: Path) -> Result:
    return load_result(folder, read_ct(made_before.CT))


def change(folder: Path, how: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "result.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    how(record)
    path.write_text(json.dumps(record), encoding="utf-8")


def test_a_result_folder_of_the_first_version_is_read(folder):
    result = read(folder)
    with (folder / "nodules.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert len(result.nodules) == len(table) == result.labels.max() == 2
    for nodule, row in zip(result.nodules, table, strict=True):
        now = dict(zip([column.title for column in columns()], as_row(nodule), strict=True))
        assert {title: str(now[title]) for title in row if title in now} == {
            title: row[title] for title in row if title in now
        }
    assert ((result.heterogeneity >= 0) == (result.labels > 0)).all()
    assert {name: getattr(result.options, name) for name in made_before.OPTIONS} == made_before.OPTIONS
    assert result.warnings[0] == "Slices are thick."
    assert [round(float(one["score"]), 2) for one in result.candidates] == [0.93]


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record.update(provenance=None),
        lambda record: record["provenance"].update(seconds={"detect": "long"}),
        lambda record: record["provenance"].update(seconds=[1, 2]),
        lambda record: record["provenance"].update(weights={"generator": None}),
        lambda record: record["provenance"].update(weights=-1.0),
    ],
)
def test_a_damaged_record_of_how_a_run_was_made_is_refused(folder: Path, damage: Callable[[dict[str, Any]], object]):
    change(folder, damage)
    with pytest.raises(InputError, match=r"result\.json of the run cannot be read; run again"):
        read(folder)


@pytest.mark.parametrize("value", [-1, 1e300, True, ["solid"]])
def test_numbers_where_text_is_due_are_shown_as_they_are(folder: Path, value: object) -> None:
    change(folder, lambda record: record["nodules"][0].update(type=value))
    assert read(folder).nodules[0].type == str(value)


def test_an_old_result_written_anew_is_in_the_format_of_today_and_reads_the_same(folder, tmp_path):
    old = read(folder)
    save(old, tmp_path / "new", for_scene=True)
    assert json.loads((tmp_path / "new" / "result.json").read_text(encoding="utf-8"))["format"] == 3
    new = read(tmp_path / "new")
    assert [as_row(nodule) for nodule in new.nodules] == [as_row(nodule) for nodule in old.nodules]
    assert (new.options, new.ct.source, new.warnings) == (old.options, old.ct.source, old.warnings)
    np.testing.assert_array_equal(new.labels, old.labels)


def test_a_column_that_an_old_result_lacks_was_not_measured(folder):
    def without(record: dict[str, Any]) -> None:
        for row in record["nodules"]:
            for title in ("volume (mm3)", "type", "touches pleura", "long axis (mm)", "heterogeneity, core: mean"):
                del row[title]

    change(folder, without)
    result = read(folder)
    nodule = result.nodules[0]
    assert math.isnan(nodule.volume) and math.isnan(nodule.core.mean) and not math.isnan(nodule.whole.mean)
    assert (nodule.type, nodule.touches_pleura) == (NOT_MEASURED, None)
    (note,) = [one for one in result.warnings if one.startswith("The nodule table was written by another version")]
    for title in ("volume (mm3)", "type", "touches pleura", "long axis (mm)", "heterogeneity, core: mean"):
        assert title in note
    assert "sphericity" not in note
    page = report_html(result, nodule_planes(result), run_record(result, "", with_identity=False))
    assert str(escape(note)) in page
    assert not re.search(r"\bnan\b", re.sub("<[^>]*>", " ", page))
    assert f"– × {nodule.short_axis:.1f} mm" in page


def test_a_column_and_an_option_of_a_later_version_are_named_and_left_out(folder):
    def more(record: dict[str, Any]) -> None:
        for row in record["nodules"]:
            row["doubling time (days)"] = 240
        record["options"] |= {"windows": 3, "fusion": "by vote"}
        del record["options"]["rim"]

    change(folder, more)
    result = read(folder)
    notes = " ".join(result.warnings)
    assert "left out: doubling time (days)" in notes
    assert "windows 3" in notes and "fusion by vote" in notes
    assert "taken at their defaults: rim" in notes
    assert (result.options.fusion, result.options.rim) == (Options().fusion, Options().rim)
    assert result.options.minimum_diameter == made_before.OPTIONS["minimum_diameter"]


def test_an_option_that_was_renamed_is_read_by_its_former_name():
    record = asdict(Options(false_positives_per_scan=0.5))
    record["false_finds_per_scan"] = record.pop("false_positives_per_scan")
    assert options_of_record(record) == (Options(false_positives_per_scan=0.5), "")


def test_a_nodule_without_its_number_is_refused():
    with pytest.raises(InputError, match="lacks the column id or a value in it"):
        from_row({"slice": 3})


@pytest.mark.parametrize("number", [4, 0, "lnhg-result-9", None])
def test_a_format_that_is_not_known_is_refused_in_a_sentence(folder, number):
    change(folder, lambda record: record.update(format=number))
    with pytest.raises(InputError, match=rf"have format {number}, this version of LNHG reads up to 3; update LNHG\.$"):
        read(folder)


def test_every_key_of_the_record_is_documented(folder):
    page = PAGE.read_text(encoding="utf-8")
    record = run_record(read(folder), "scene.mrb", with_identity=True)
    for key in (*record, *record["nodules"][0], *record["candidates"][0]):
        assert f"`{key}`" in page, key
    for key in set(record["input"]) - set(read(folder).ct.source):
        assert f"`input.{key}`" in page, key
    assert f"this format: {record['format']}." in page
