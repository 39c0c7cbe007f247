"""The columns of the panel's table."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")
pytest.importorskip("PySide6", reason="needs the dev extra: pip install 'lnhg[dev]'")

from host import qt_double
from host.handmade import GRIDS, handmade_result


@pytest.mark.parametrize("name", ["size", "long_axis", "short_axis", "volume"])
def test_sizes_of_a_nodule_that_is_cut_are_lower_bounds(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    qt_double.install(monkeypatch)
    from LNHGSlicerLib.panel.columns import columns

    (column,) = [one for one in columns() if one.name == name]
    whole = handmade_result(GRIDS["axial"]).nodules[0]
    said = {}
    for cut in (True, False, None):
        nodule = replace(whole, cut=cut)
        row = SimpleNamespace(nodule=nodule, size_mm=nodule.mean_axis)
        said[cut] = column.text(row)
        assert column.value(row) == column.value(SimpleNamespace(nodule=whole, size_mm=whole.mean_axis))
    assert said[True] == f"≥ {said[False]}" and said[None] == said[False]


def test_nodules_with_hints_for_a_benign_kind_stand_apart_when_sorted_by_them(monkeypatch: pytest.MonkeyPatch) -> None:
    qt_double.install(monkeypatch)
    from LNHGSlicerLib.panel.columns import columns, sorted_rows

    (column,) = [one for one in columns() if one.name == "hints"]
    rows = [SimpleNamespace(hints=hints) for hints in ("", "fat", "", "calcified, central")]
    for descending in (False, True):
        told = [column.text(row) for row in sorted_rows(rows, column, descending=descending)]
        assert set(told[:2]) == {"fat", "calcified, central"} and told[2:] == ["–", "–"]
