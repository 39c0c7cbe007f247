"""Scenes of another version: one that commit ad37e7f wrote opens, and what it lacks is named, not measured."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest

import made_before
from lnhg.core.nodule import as_row, header

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")

from LNHGSlicerLib.review.export import export_csv, export_report  # noqa: E402
from LNHGSlicerLib.review.outlines import Outlines, set_outline  # noqa: E402
from LNHGSlicerLib.review.review import Review  # noqa: E402
from LNHGSlicerLib.scene import nodes as lnhg_scene  # noqa: E402


@pytest.fixture
def nodes(host):
    """The result in the old scene."""
    assert host.ReadFromMRB(str(made_before.RESULT / "scene.mrb"), True)
    (found,) = lnhg_scene.all_results()
    return found


def without_columns(nodes, *titles):
    for title in titles:
        nodes.table.GetTable().RemoveColumnByName(title)


def test_a_scene_of_the_first_version_opens_with_its_nodules_and_options(nodes):
    with (made_before.RESULT / "nodules.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert len(nodes.rows) == len(table) == 2
    for nodule, row in zip(nodes.rows, table, strict=True):
        now = dict(zip(header(), as_row(nodule), strict=True))
        for title in ("id", "status", "centre R (mm)", "volume (mm3)", "type", "heterogeneity, core: entropy (bit)"):
            assert (
                now[title] == pytest.approx(float(row[title]), rel=1e-5) if row[title][0].isdigit() else str(now[title])
            )
    assert {name: getattr(nodes.options, name) for name in made_before.OPTIONS} == made_before.OPTIONS
    assert nodes.generated is not None


def test_an_old_scene_can_be_reviewed_and_exported(nodes, tmp_path):
    review = Review(nodes)
    review.reject("Nodule_1")
    assert [row.verdict for row in review.rows()] == ["rejected", "open"]
    export_csv(nodes, tmp_path / "nodules.csv")
    export_report(nodes, tmp_path / "report.html")
    assert 'id="nodule-2"' in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_column_that_a_scene_lacks_was_not_measured_and_the_report_names_it(nodes, tmp_path):
    without_columns(nodes, "sphericity", "volume (mm3)", "detector score")
    without_columns(nodes, "type")
    nodule = nodes.rows[0]
    assert math.isnan(nodule.sphericity) and math.isnan(nodule.volume)
    assert (nodule.score, nodule.type) == (None, "not measured")
    assert "not measured then: detector score, volume (mm3), sphericity, type" in nodes.note
    export_report(nodes, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert nodes.note in page
    assert "– mm³" in page
    export_csv(nodes, tmp_path / "nodules.csv")
    with (tmp_path / "nodules.csv").open(newline="", encoding="utf-8") as file:
        assert {row["volume (mm3)"] for row in csv.DictReader(file)} == {""}


def test_an_option_and_a_column_of_a_later_version_are_named_and_left_out(nodes):
    before = nodes.options
    told = json.loads(nodes.segmentation.GetAttribute("LNHG.Options"))
    nodes.segmentation.SetAttribute("LNHG.Options", json.dumps({**told, "windows": 3}))
    nodes.table.AddColumn(lnhg_scene.table_column("doubling time (days)", [240, 250]))
    assert nodes.options == before
    assert "left out: windows 3" in nodes.note
    assert "left out: doubling time (days)" in nodes.note


def test_a_nodule_that_is_measured_anew_gets_the_columns_that_the_scene_lacked(nodes):
    without_columns(nodes, "sphericity", "type")
    review = Review(nodes)
    outline = Outlines(nodes).of_all(["Nodule_2"])["Nodule_2"]
    mask = outline.mask.copy()
    mask[tuple(np.argwhere(mask)[0])] = False
    set_outline(nodes, "Nodule_2", replace(outline, mask=mask))
    assert review.update()
    first, second = nodes.rows
    assert math.isnan(first.sphericity) and first.type == "not measured"
    assert 0.5 < second.sphericity <= 1 and second.type == "solid"
