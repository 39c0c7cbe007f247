"""The report of a follow-up as it is printed: each page of the table has its titles, each curve its mark."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")

from host.followed import follow_up
from lnhg.followup.report import report_html, volume_figure


def test_the_titles_of_the_table_are_those_of_every_page():
    page = report_html(follow_up())
    head, body = re.search(r"<thead>(.*?)</thead><tbody>(.*?)</tbody>", page, re.S).groups()
    titles = re.findall("<th>(.*?)</th>", head)
    assert titles[:4] == ["No.", "studies", "state", "before"]
    rows = re.findall("<tr>(.*?)</tr>", body, re.S)
    assert [row.count("<td") for row in rows] == [len(titles)] * 2


def test_curves_are_told_apart_without_colours():
    figure = volume_figure(follow_up(), [(number, (1, 1)) for number in range(1, 13)])
    (axes,) = figure.axes
    marks = [line.get_marker() for line in axes.lines if line.get_marker() not in ("_", "|", "None")]
    assert len(set(marks)) == 12
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [str(number) for number in range(1, 13)]


def test_a_nodule_that_a_study_calls_by_another_number_has_both():
    made = follow_up()
    page = report_html(replace(made, tracks=((1, 1), (None, 2), (2, None))))
    third = page[page.index("<h2>Nodule 3,") :]
    assert "Study 1: nodule 2 there, " in third
    assert "there, " not in page[page.index("<h2>Nodule 1,") : page.index("<h2>Nodule 2,")]
