"""The slider of the panel that says how many false positives to expect."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")
pytest.importorskip("PySide6", reason="needs the dev extra: pip install 'lnhg[dev]'")

from host.panel_double import add_ct, click, open_panel
from lnhg.core.manifest import read_manifest
from lnhg.core.resources import resource
from lnhg.core.seal import sealed


@pytest.fixture
def panel(host, monkeypatch):
    add_ct()
    with open_panel(monkeypatch) as panel:
        yield panel


def said(panel) -> str:
    return panel.ui.falsePositivesLabel.property("text")


def place(panel) -> int:
    return panel.ui.falsePositivesSlider.property("value")


def test_by_default_it_says_what_the_weights_come_with_and_changes_nothing(panel) -> None:
    manifest = read_manifest(resource("Models"), "detector")
    low, high = (point["false_per_scan"] for point in manifest["operating_points"][::5])
    assert low < float(said(panel).split()[1]) < high
    assert panel._parameters.score_threshold == 0 and not panel.ui.usualThresholdButton.isEnabled()


def test_further_to_the_right_more_false_positives_are_told_and_a_lower_probability_is_used(panel) -> None:
    panel.ui.falsePositivesSlider.setValue(0)
    few, strict = said(panel), panel._parameters.score_threshold
    panel.ui.falsePositivesSlider.setValue(100)
    many, lenient = said(panel), panel._parameters.score_threshold
    assert few.startswith("at most 0.25 a scan") and many.startswith("at least 8 a scan")
    assert 0 < lenient < strict and f"{strict:.3f}" in few and f"{lenient:.3f}" in many


def test_the_usual_threshold_is_one_click_away(panel) -> None:
    usual = said(panel)
    panel.ui.falsePositivesSlider.setValue(60)
    assert said(panel) != usual
    click(panel.ui.usualThresholdButton)
    assert said(panel) == usual and panel._parameters.score_threshold == 0


def test_a_probability_that_is_typed_moves_the_slider(panel) -> None:
    before = place(panel)
    panel.ui.scoreThresholdBox.setValue(0.2)
    assert place(panel) < before and "0.200" in said(panel)


def test_of_weights_that_were_not_measured_it_says_so(panel, tmp_path: Path) -> None:
    for name in ("generator", "detector"):
        manifest = read_manifest(resource("Models"), name)
        manifest = {key: value for key, value in manifest.items() if key not in ("operating_points", "calibration")}
        (tmp_path / f"{name}.json").write_text(json.dumps(sealed(manifest)))
    panel._parameters.weights = str(tmp_path)
    assert said(panel).startswith("Not measured of these weights") and not panel.ui.falsePositivesSlider.isEnabled()


def test_of_a_folder_with_damaged_weights_it_says_why(panel, tmp_path: Path) -> None:
    (tmp_path / "detector.json").write_text("{")
    panel._parameters.weights = str(tmp_path)
    assert "not readable" in said(panel) and not panel.ui.falsePositivesSlider.isEnabled()


def test_a_folder_that_the_system_refuses_is_told_and_the_panel_goes_on(panel) -> None:
    panel.ui.weightsFolderEdit.setCurrentPath("x" * 5000)
    assert said(panel).startswith("The folder of the weights cannot be read (")
    panel.ui.weightsFolderEdit.setCurrentPath("")
    assert "a scan" in said(panel)
    assert panel.ui.errorBox.isHidden()
