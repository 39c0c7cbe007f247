"""The module's panel: the real `.ui` and widget code on PySide6, over Slicer's own scene."""

from __future__ import annotations

import ast
import gc
import importlib
import re
import sys
import time
import weakref
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lnhg.core.comparison import Comparison
from lnhg.core.nodule import as_row
from lnhg.options import Options
from lnhg.progress import Progress

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")
pytest.importorskip("PySide6", reason="needs the dev extra: pip install 'lnhg[dev]'")

import vtk  # noqa: E402

from host import qt_double  # noqa: E402
from host.handmade import BALLS, GRIDS, handmade_result  # noqa: E402
from host.panel_double import RESULT, InstallerDouble, add_ct, click, open_panel  # noqa: E402
from host.scenes import put_under_transform  # noqa: E402
from LNHGSlicerLib.review.answers import comparisons_of, set_comparisons  # noqa: E402
from LNHGSlicerLib.review.reader_study import ReaderStudy  # noqa: E402
from LNHGSlicerLib.scene.nodes import add_result, all_results, results_of, show  # noqa: E402

#: RAS, mm, of a point in the CT.
INSIDE = tuple(RESULT.ct.to_ras((15, 20, 6)).tolist())
# What the panel writes into its widgets.
SET_TEXT = re.compile(r"ui\.(\w+)\.setText\(")
LIBRARY = Path(__file__).resolve().parents[2] / "LNHGSlicer" / "LNHGSlicerLib"


@pytest.fixture
def reviewed(panel):
    """The panel after a run that found two nodules."""
    add_ct()
    segment(panel)
    return panel


def segment(panel, result=RESULT):
    click(panel.ui.segmentButton)
    panel.logic.runs[-1].finish(result)


def shown(widget):
    return not widget.isHidden()


def text(widget, name="text"):
    return widget.property(name)


def titles(panel):
    table = panel.ui.noduleTable
    return [table.horizontalHeaderItem(column).text() for column in range(table.property("columnCount"))]


def cells(panel, title):
    table, column = panel.ui.noduleTable, titles(panel).index(title)
    return [table.item(row, column).text() for row in range(table.property("rowCount"))]


def views():
    return slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")


def choose(box, name):
    """Choose an entry of a combo box by a part of its words."""
    index = next(index for index in range(box.property("count")) if name in box.itemText(index))
    box.setCurrentIndex(index)


# ---------------------------------------------------------------- start


def test_the_button_waits_for_a_ct_and_says_so(panel):
    assert not panel.ui.segmentButton.isEnabled()
    assert text(panel.ui.segmentButton, "toolTip") == "Load a chest CT first, and select it above."
    add_ct()
    assert panel.ui.segmentButton.isEnabled()


def test_the_active_ct_is_selected_when_the_module_is_opened(scene, monkeypatch):
    add_ct("Other")
    active = add_ct("Active")
    scene.GetNodeByID("vtkMRMLSelectionNodeSingleton").SetActiveVolumeID(active.GetID())
    with open_panel(monkeypatch) as panel:
        assert panel.ui.ctSelector.currentNode() is active


def test_the_panel_says_that_it_is_for_research_use_only(panel):
    assert "Research use only" in text(panel.ui.useLabel)
    assert shown(panel.ui.useLabel)


def test_what_belongs_to_a_later_state_is_hidden_at_the_start(panel):
    for name in ("installGroup", "runBox", "errorBox", "reviewGroup", "logText", "summaryText"):
        assert not shown(getattr(panel.ui, name)), name


def test_the_maps_are_not_offered_as_cts(reviewed):
    names = [reviewed.ui.ctSelector.itemText(index) for index in range(reviewed.ui.ctSelector.property("count"))]
    assert names == ["Thorax"]


# ---------------------------------------------------------------- install


@pytest.fixture
def bare(scene, monkeypatch):
    """The panel of a Slicer without the packages."""
    installer = InstallerDouble(("torch", 200), ("openvino", 59), ("nibabel", 3))
    with open_panel(monkeypatch, installer=installer) as panel:
        yield panel, installer


def test_what_is_missing_is_told_with_its_size_before_anything_is_loaded(bare):
    panel, _ = bare
    add_ct()
    assert shown(panel.ui.installGroup)
    assert text(panel.ui.missingLabel) == "This module needs, besides Slicer: openvino (59 MB), nibabel (3 MB)."
    assert text(panel.ui.installButton) == "Install (about 62 MB)"
    assert text(panel.ui.installGpuButton) == "Install with GPU support (about 203 MB)"
    assert not panel.ui.segmentButton.isEnabled()
    assert text(panel.ui.segmentButton, "toolTip") == "Install what is missing first."


def test_one_click_installs_and_the_ct_can_be_segmented(bare):
    panel, installer = bare
    add_ct()
    click(panel.ui.installButton)
    assert installer.folder is None and not installer.gpu
    assert not shown(panel.ui.installGroup)
    assert panel.ui.segmentButton.isEnabled()


def test_gpu_support_is_a_click_on_another_button(bare):
    panel, installer = bare
    click(panel.ui.installGpuButton)
    assert installer.gpu and not shown(panel.ui.installGroup)


def test_without_internet_a_folder_can_be_chosen(bare, tmp_path):
    panel, installer = bare
    panel.ui.offlineFolderEdit.setCurrentPath(str(tmp_path))
    click(panel.ui.installButton)
    assert installer.folder == tmp_path


def test_a_failed_install_says_why_and_can_be_tried_again(scene, monkeypatch):
    installer = InstallerDouble(("openvino", 59), error="No internet; choose a folder.")
    with open_panel(monkeypatch, installer=installer) as panel:
        click(panel.ui.installButton)
        assert text(panel.ui.missingLabel).startswith("No internet; choose a folder.")
        assert panel.ui.installButton.isEnabled()


# ---------------------------------------------------------------- run


def test_a_run_shows_stage_per_cent_and_time_left(panel):
    add_ct()
    click(panel.ui.segmentButton)
    assert shown(panel.ui.runBox)
    panel.logic.runs[-1].progress(Progress("detect", 0.25, 130.0))
    assert text(panel.ui.progressBar, "value") == 25
    assert text(panel.ui.stageLabel) == "Looking for nodules – about 2 min left"
    panel.logic.runs[-1].progress(Progress("measure", 0.98, 4.0))
    assert text(panel.ui.stageLabel) == "Measuring – about 5 s left"


def test_during_a_run_no_second_one_can_be_started(panel):
    add_ct()
    click(panel.ui.segmentButton)
    assert not panel.ui.segmentButton.isEnabled()
    assert "under way" in text(panel.ui.segmentButton, "toolTip")


def test_cancel_leaves_the_panel_as_at_the_start(panel):
    add_ct()
    click(panel.ui.segmentButton)
    click(panel.ui.cancelButton)
    assert not shown(panel.ui.runBox)
    assert text(panel.ui.statusLabel) == "Cancelled. The scene is as it was."
    assert panel.ui.segmentButton.isEnabled()


def test_after_a_run_the_panel_tells_the_number_of_nodules_and_the_device(reviewed):
    assert text(reviewed.ui.statusLabel) == "Nodules found: 2. Ran on: cpu. Slices are thick."


def test_a_failed_run_is_explained_with_its_log_one_click_away(panel, tmp_path):
    log = tmp_path / "run.log"
    log.write_text("CUDA out of memory")
    add_ct()
    click(panel.ui.segmentButton)
    before = slicer.mrmlScene.GetNumberOfNodes()
    panel.logic.runs[-1].fail("The memory of the GPU is full; choose CPU under Advanced.", log)
    assert shown(panel.ui.errorBox)
    assert text(panel.ui.errorLabel) == "The memory of the GPU is full; choose CPU under Advanced."
    assert not shown(panel.ui.logText)
    click(panel.ui.logButton)
    assert shown(panel.ui.logText)
    assert panel.ui.logText.toPlainText() == "CUDA out of memory"
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    assert panel.ui.segmentButton.isEnabled()


def test_the_next_run_takes_the_error_away(panel):
    add_ct()
    click(panel.ui.segmentButton)
    panel.logic.runs[-1].fail("It broke.", None)
    click(panel.ui.segmentButton)
    assert not shown(panel.ui.errorBox)


def test_a_region_and_a_range_of_slices_restrict_the_run(panel):
    add_ct()
    region = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Left lung")
    region.SetXYZ(10, 20, 30)
    region.SetRadiusXYZ(5, 6, 7)
    panel.ui.regionSelector.setCurrentNode(region)
    panel.ui.limitSlicesBox.setChecked(True)
    panel.ui.lastSliceBox.setValue(7)
    panel.ui.firstSliceBox.setValue(3)
    click(panel.ui.segmentButton)
    options = panel.logic.runs[-1].options
    assert options.roi == pytest.approx((5, 15, 14, 26, 23, 37))
    assert options.slices == (3, 7)


def leave_place_mode():
    """As a right click does it, and as Slicer does after the last point."""
    interaction = slicer.mrmlScene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    interaction.SetCurrentInteractionMode(interaction.ViewTransform)
    slicer.app.processEvents()


def test_a_region_that_is_drawn_is_chosen_and_one_that_is_given_up_leaves_nothing(panel):
    add_ct()
    click(panel.ui.drawRegionButton)
    leave_place_mode()
    assert not slicer.util.getNodesByClass("vtkMRMLMarkupsROINode") and panel._parameters.region is None
    click(panel.ui.drawRegionButton)
    assert "two corners" in text(panel.ui.drawRegionButton)
    (region,) = slicer.util.getNodesByClass("vtkMRMLMarkupsROINode")
    region.SetXYZ(1, 2, 3)
    region.SetRadiusXYZ(10, 10, 10)
    leave_place_mode()
    assert panel._parameters.region is region and text(panel.ui.drawRegionButton) == "Draw..."
    click(panel.ui.drawRegionButton)
    click(panel.ui.addNoduleButton)  # one thing is placed at a time
    assert panel.place.waiting and not panel.region.waiting
    assert slicer.util.getNodesByClass("vtkMRMLMarkupsROINode") == [region]


def test_a_region_over_a_moved_ct_is_taken_where_the_reader_sees_it(panel):
    volume = add_ct()
    put_under_transform(volume)
    region = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    region.SetXYZ(110, 20, 30)
    region.SetRadiusXYZ(5, 6, 7)
    panel.ui.regionSelector.setCurrentNode(region)
    click(panel.ui.segmentButton)
    assert panel.logic.runs[-1].options.roi == pytest.approx((5, 15, 14, 26, 23, 37))


def test_a_region_that_was_not_placed_yet_is_told_before_the_run(panel):
    add_ct()
    panel.ui.regionSelector.setCurrentNode(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode"))
    assert not panel.ui.segmentButton.isEnabled()
    assert "Place the region" in text(panel.ui.segmentButton, "toolTip")


def test_a_region_may_be_placed_after_it_was_chosen(panel):
    add_ct()
    region = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    panel.ui.regionSelector.setCurrentNode(region)
    region.SetXYZ(10, 20, 30)
    region.SetRadiusXYZ(5, 6, 7)
    assert panel.ui.segmentButton.isEnabled()


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("what nobody thought of")])
def test_whatever_happens_at_the_start_the_panel_is_free_again(panel, monkeypatch, error):
    def fail(*_, **__):
        raise error

    add_ct()
    monkeypatch.setattr(type(panel.logic), "startSegmentNodules", fail)
    click(panel.ui.segmentButton)
    assert not shown(panel.ui.runBox)
    assert text(panel.ui.errorLabel).endswith(".")
    assert "Traceback" in panel.ui.logText.toPlainText()
    assert panel.ui.segmentButton.isEnabled()


def test_what_a_run_ended_with_is_said_of_its_own_ct(panel):
    first = add_ct()
    click(panel.ui.segmentButton)
    panel.ui.ctSelector.setCurrentNode(add_ct("Other"))
    panel.logic.runs[-1].fail("It broke.", None)
    assert not shown(panel.ui.errorBox)
    panel.ui.ctSelector.setCurrentNode(first)
    assert text(panel.ui.errorLabel) == "It broke."
    segment(panel)
    assert "Nodules found: 2" in text(panel.ui.statusLabel)
    panel.ui.ctSelector.setCurrentNode(slicer.util.getNode("Other"))
    assert not shown(panel.ui.statusLabel)


def test_a_range_of_slices_that_is_not_there_is_told_before_the_run(panel):
    add_ct()
    assert text(panel.ui.sliceCountLabel) == "of 0 to 19"
    assert (text(panel.ui.firstSliceBox, "value"), text(panel.ui.lastSliceBox, "value")) == (0, 19)
    panel.ui.limitSlicesBox.setChecked(True)
    for first, last, good in ((9, 3, False), (9, 20, False), (9, 19, True)):
        panel.ui.firstSliceBox.setValue(first)
        panel.ui.lastSliceBox.setValue(last)
        assert panel.ui.segmentButton.isEnabled() == good
    panel.ui.lastSliceBox.setValue(20)
    assert text(panel.ui.segmentButton, "toolTip") == "The range of slices must rise, from 0 to at most 19."


def test_untouched_the_panel_runs_with_the_defaults_of_the_method(panel):
    add_ct()
    click(panel.ui.segmentButton)
    assert panel.logic.runs[-1].options == Options()


def test_what_is_chosen_under_advanced_reaches_the_run(panel, tmp_path):
    add_ct()
    choose(panel.ui.deviceBox, "CPU")
    choose(panel.ui.runtimeBox, "OpenVINO (")
    panel.ui.threadsBox.setValue(2)
    panel.ui.scoreThresholdBox.setValue(0.4)
    panel.ui.hideRimBox.setChecked(True)
    panel.ui.weightsFolderEdit.setCurrentPath(str(tmp_path))
    click(panel.ui.segmentButton)
    chosen = {"device": "cpu", "runtime": "openvino", "weights": tmp_path}
    expected = Options(threads=2, score_threshold=0.4, hide_rim=True, **chosen)
    assert panel.logic.runs[-1].options == expected


def test_a_path_that_was_taken_out_counts_no_more(reviewed, tmp_path):
    for edit in (reviewed.ui.weightsFolderEdit, reviewed.ui.exportFolderEdit):
        edit.setCurrentPath(str(tmp_path))
    assert text(reviewed.ui.falsePositivesLabel).startswith("The manifest generator.json is missing")
    assert reviewed.ui.exportTableButton.isEnabled()
    for edit in (reviewed.ui.weightsFolderEdit, reviewed.ui.exportFolderEdit):
        edit.setCurrentPath("")
    assert "a scan" in text(reviewed.ui.falsePositivesLabel)
    assert not reviewed.ui.exportTableButton.isEnabled()
    click(reviewed.ui.segmentButton)
    assert reviewed.logic.runs[-1].options.weights is None


def test_a_range_of_slices_that_is_switched_off_spans_the_ct_again(panel):
    assert not panel.ui.limitSlicesBox.isEnabled()
    add_ct()
    last = text(panel.ui.lastSliceBox, "value")
    panel.ui.limitSlicesBox.setChecked(True)
    panel.ui.lastSliceBox.setValue(2)
    panel.ui.limitSlicesBox.setChecked(False)
    assert text(panel.ui.lastSliceBox, "value") == last > 2


def test_the_panel_knows_the_defaults_and_the_choices_of_the_method(panel):
    from LNHGSlicerLib.run.parameters import offered, options_of, words

    made, names = options_of(panel._parameters), words()
    for option in fields(Options):
        assert getattr(made, option.name) == option.default, option.name
        if option.name in names:
            assert set(names[option.name]) == set(option.metadata["choices"]), option.name
    bound = {widget.property("SlicerParameterName") for widget in vars(panel.ui).values()}
    assert {option.name for option in offered()} <= bound, "each has a widget"


def test_what_a_result_of_another_version_lacks_is_said_when_it_is_opened(scene, monkeypatch):
    ct = add_ct()
    add_result(ct, RESULT).table.GetTable().RemoveColumnByName("volume (mm3)")
    with open_panel(monkeypatch) as panel:
        assert panel.ui.ctSelector.currentNode() is ct
        assert "another version of LNHG (not measured then: volume (mm3))" in text(panel.ui.statusLabel)


# ---------------------------------------------------------------- review


def test_the_table_has_a_row_for_each_nodule(reviewed):
    assert shown(reviewed.ui.reviewGroup)
    assert cells(reviewed, "No.") == ["1", "2"]
    assert cells(reviewed, "Side") == ["left", "left"]
    assert cells(reviewed, "mm") == ["5.6", "5.6"]
    assert cells(reviewed, "Type") == ["solid", "solid"]
    assert cells(reviewed, "Prob.") == ["0.93", "–"]
    assert cells(reviewed, "Verdict") == ["to review", "to review"]


def red_offset():
    return slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed").GetSliceOffset()


def centre_s(panel, segment_id):
    return panel.review.nodes.segmentation.GetSegmentCenterRAS(segment_id)[2]


def test_a_click_on_a_row_centres_the_views_on_the_nodule(reviewed):
    assert red_offset() == pytest.approx(centre_s(reviewed, "Nodule_1"), abs=0.1)
    reviewed.ui.noduleTable.selectRow(1)
    assert red_offset() == pytest.approx(centre_s(reviewed, "Nodule_2"), abs=0.1)


def test_a_map_that_another_module_took_out_of_the_views_is_back_with_the_next_nodule(reviewed):
    nodes = reviewed.review.nodes
    for view in views():
        view.SetForegroundVolumeID(None)
    click(reviewed.ui.nextButton)
    assert {view.GetForegroundVolumeID() for view in views()} == {nodes.heterogeneity.GetID()}
    other = add_ct("What the reader wants to see over the CT")
    for view in views():
        view.SetForegroundVolumeID(other.GetID())
    click(reviewed.ui.nextButton)
    assert {view.GetForegroundVolumeID() for view in views()} == {other.GetID()}


def test_next_and_previous_go_round(reviewed):
    for button, expected in (("next", "Nodule_2"), ("next", "Nodule_1"), ("previous", "Nodule_2")):
        click(getattr(reviewed.ui, f"{button}Button"))
        assert reviewed.review.selected == expected
    assert red_offset() == pytest.approx(centre_s(reviewed, "Nodule_2"), abs=0.1)


def keys(panel):
    return {shortcut.property("key").toString(): shortcut for shortcut in panel._keys.shortcuts}


def test_every_key_is_named_in_the_tooltip_of_what_it_does(reviewed):
    from LNHGSlicerLib.panel.keys import CLICKS, IMPRESSIONS, NEXT_ENTRIES, SCORE_STEPS

    name_reader(reviewed, "Ada")
    named = [*CLICKS, *NEXT_ENTRIES, *((key, "impressionBox") for key, _ in IMPRESSIONS)]
    for key, name in [*named, *((key, "scoreSlider") for key, _ in SCORE_STEPS)]:
        assert key in text(getattr(reviewed.ui, name), "toolTip"), name
    assert len(keys(reviewed)) == len(reviewed._keys.shortcuts), "no key twice"


def test_a_key_does_what_a_click_does(reviewed):
    keys(reviewed)["Shift+A"].activated.emit()
    assert cells(reviewed, "Verdict") == ["accepted", "to review"]
    assert reviewed.review.selected == "Nodule_2"
    keys(reviewed)["Shift+H"].activated.emit()
    assert {view.GetForegroundVolumeID() for view in views()} == {None}


def test_a_nodule_is_rated_with_three_keys(reviewed):
    name_reader(reviewed, "Ada")
    for key in ("7", "Shift+M", "Shift+Return"):
        keys(reviewed)[key].activated.emit()
    assert text(reviewed.ui.ratedLabel) == "rated 1 of 2"
    assert reviewed.review.selected == "Nodule_2"
    click(reviewed.ui.previousButton)
    assert text(reviewed.ui.scoreSlider, "value") == 70
    assert text(reviewed.ui.impressionBox, "currentIndex") == 2
    keys(reviewed)["Shift+Up"].activated.emit()
    assert text(reviewed.ui.scoreSlider, "value") == 75


@pytest.mark.parametrize("name", ["Save button", "key"])
def test_a_score_that_nobody_gave_is_not_saved_and_one_key_gives_the_one_that_is_shown(reviewed, name):
    name_reader(reviewed, "Ada")
    choose(reviewed.ui.impressionBox, "benign")
    save = keys(reviewed)["Shift+Return"].activated.emit if name == "key" else reviewed.ui.rateButton.click
    save()
    assert text(reviewed.ui.ratedLabel) == "rated 0 of 2"
    assert text(reviewed.ui.blindLabel) == "Give a score first: move the slider, or press a digit (5 for 50)."
    assert shown(reviewed.ui.blindBox)
    keys(reviewed)["5"].activated.emit()
    save()
    assert text(reviewed.ui.ratedLabel) == "rated 1 of 2"
    assert not shown(reviewed.ui.blindBox)
    click(reviewed.ui.previousButton)
    assert text(reviewed.ui.scoreSlider, "value") == 50
    save()  # a rating that is there may be saved again
    assert text(reviewed.ui.ratedLabel) == "rated 1 of 2"
    assert not shown(reviewed.ui.blindBox)


def test_a_key_does_nothing_where_a_click_would_do_nothing(panel):
    keys(panel)["Shift+S"].activated.emit()
    keys(panel)["Shift+A"].activated.emit()
    assert panel.logic.runs == []


def test_the_keys_are_silent_while_another_module_is_open(reviewed):
    reviewed.exit()
    assert not any(shortcut.property("enabled") for shortcut in reviewed._keys.shortcuts)
    reviewed.enter()
    assert all(shortcut.property("enabled") for shortcut in reviewed._keys.shortcuts)


def test_accept_is_shown_in_the_table_and_goes_on_to_the_next_nodule(reviewed):
    click(reviewed.ui.acceptButton)
    assert cells(reviewed, "Verdict") == ["accepted", "to review"]
    assert reviewed.review.selected == "Nodule_2"


def test_a_rejected_nodule_is_hidden_and_undo_brings_it_back(reviewed):
    display = reviewed.review.nodes.segmentation.GetDisplayNode()
    click(reviewed.ui.rejectButton)
    assert cells(reviewed, "Verdict") == ["rejected", "to review"]
    assert not display.GetSegmentVisibility("Nodule_1")
    click(reviewed.ui.undoButton)
    assert cells(reviewed, "Verdict") == ["to review", "to review"]
    assert display.GetSegmentVisibility("Nodule_1")
    assert not reviewed.ui.undoButton.isEnabled()


def test_an_edited_nodule_is_measured_anew_when_the_reader_comes_back(reviewed):
    click(reviewed.ui.editButton)
    assert reviewed.edited == ["Nodule_1"]
    reviewed.exit()
    nodes = reviewed.review.nodes
    voxels = slicer.util.arrayFromSegmentBinaryLabelmap(nodes.segmentation, "Nodule_1", nodes.ct).copy()
    rows = np.argwhere(voxels)[:, 1]
    voxels[:, int(np.median(rows)) :, :] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(voxels, nodes.segmentation, "Nodule_1", nodes.ct)
    before = cells(reviewed, "mm")
    reviewed.enter()
    wait_until(lambda: cells(reviewed, "Verdict") == ["edited", "to review"])
    assert cells(reviewed, "mm")[0] != before[0]


def half_erased(nodes, segment_id):
    voxels = slicer.util.arrayFromSegmentBinaryLabelmap(nodes.segmentation, segment_id, nodes.ct).copy()
    rows = np.argwhere(voxels)[:, 1]
    voxels[:, int(np.median(rows)) :, :] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(voxels, nodes.segmentation, segment_id, nodes.ct)


def test_an_outline_that_was_changed_without_the_edit_button_is_measured_too(reviewed):
    reviewed.exit()
    half_erased(reviewed.review.nodes, "Nodule_2")
    reviewed.enter()
    wait_until(lambda: cells(reviewed, "Verdict") == ["to review", "edited"])
    click(reviewed.ui.undoButton)
    assert cells(reviewed, "Verdict") == ["to review", "to review"]


def test_an_outline_that_changes_while_the_panel_is_open_is_measured_soon(reviewed):
    half_erased(reviewed.review.nodes, "Nodule_2")
    wait_until(lambda: cells(reviewed, "Verdict") == ["to review", "edited"])


def test_the_components_of_the_nodules_are_a_layer_with_words_and_without_a_histogram(reviewed):
    choose(reviewed.ui.layerBox, "ground glass, air, calcium")
    nodes = reviewed.review.nodes
    assert {view.GetForegroundVolumeID() for view in views()} == {nodes.components_map.GetID()}
    assert reviewed.ui.histogramLabel.isHidden() and reviewed.ui.legendLabel.isHidden()
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    crosshair.SetCursorPositionRAS(list(INSIDE))
    assert text(reviewed.ui.valueLabel) == "Under the pointer: solid"
    choose(reviewed.ui.layerBox, "Final map")
    assert not reviewed.ui.histogramLabel.isHidden()


def test_while_a_changed_outline_waits_for_the_lungs_the_panel_says_that_it_is_being_measured(reviewed, monkeypatch):
    calls = []
    monkeypatch.setattr(
        reviewed.review,
        "_make_call",
        lambda work, end: calls.append((work, end)) or SimpleNamespace(start=lambda: None),
    )
    assert reviewed.ui.measuringLabel.isHidden()
    half_erased(reviewed.review.nodes, "Nodule_2")
    reviewed.review.look_at_outlines()
    assert not reviewed.ui.measuringLabel.isHidden()
    ((work, end),) = calls
    end(work(), None)
    assert reviewed.ui.measuringLabel.isHidden()
    assert cells(reviewed, "Verdict") == ["to review", "edited"]


def test_undo_waits_for_an_outline_that_is_being_measured_and_takes_that_back_first(reviewed, monkeypatch):
    calls = []
    monkeypatch.setattr(
        reviewed.review,
        "_make_call",
        lambda work, end: calls.append((work, end)) or SimpleNamespace(start=lambda: None),
    )
    reviewed.review.accept()
    half_erased(reviewed.review.nodes, "Nodule_2")
    reviewed.review.look_at_outlines()
    assert not reviewed.ui.undoButton.isEnabled()
    ((work, end),) = calls
    end(work(), None)
    assert cells(reviewed, "Verdict") == ["accepted", "edited"]
    reviewed.ui.undoButton.click()
    assert cells(reviewed, "Verdict") == ["accepted", "to review"]


def test_an_outline_that_was_changed_and_saved_is_measured_when_the_scene_is_opened(reviewed, tmp_path):
    reviewed.exit()
    half_erased(reviewed.review.nodes, "Nodule_2")
    path = tmp_path / "scene.mrb"
    assert slicer.mrmlScene.WriteToMRB(str(path), None, slicer.vtkMRMLMessageCollection())
    slicer.mrmlScene.Clear(False)
    assert slicer.mrmlScene.ReadFromMRB(str(path), True)
    reviewed.enter()
    wait_until(lambda: cells(reviewed, "Verdict") == ["to review", "edited"])


def test_what_the_segment_editor_undoes_is_measured_again_and_takes_no_verdict_with_it(reviewed):
    nodes = reviewed.review.nodes
    history = slicer.vtkSegmentationHistory()  # as the Segment Editor keeps it
    history.SetSegmentation(nodes.segmentation.GetSegmentation())
    history.SaveState()
    half_erased(nodes, "Nodule_2")
    reviewed.review.look_at_outlines(at_once=True)
    reviewed.review.select("Nodule_1")
    click(reviewed.ui.acceptButton)
    half = float(cells(reviewed, "mm")[1])
    history.RestorePreviousState()
    reviewed.review.look_at_outlines(at_once=True)
    assert float(cells(reviewed, "mm")[1]) > half
    assert cells(reviewed, "Verdict") == ["accepted", "edited"]


def draw_segment(nodes, box):
    """A segment of a reader's own, as the Segment Editor adds it."""
    segment_id = nodes.segmentation.GetSegmentation().AddEmptySegment("", "Drawn")
    voxels = np.zeros(nodes.ct.GetImageData().GetDimensions()[::-1], np.uint8)
    voxels[box] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(voxels, nodes.segmentation, segment_id, nodes.ct)


def test_a_segment_that_a_reader_drew_becomes_a_nodule_of_the_table_and_the_map(reviewed, tmp_path):
    nodes = reviewed.review.nodes
    heterogeneity = slicer.util.arrayFromVolume(nodes.heterogeneity)
    box = np.s_[1:4, 1:5, 1:6]
    assert (heterogeneity[box] < 0).all()
    draw_segment(nodes, box)
    wait_until(lambda: cells(reviewed, "Verdict") == ["to review", "to review", "edited"])
    assert list(nodes.segmentation.GetSegmentation().GetSegmentIDs()) == ["Nodule_1", "Nodule_2", "Nodule_3"]
    assert nodes.segmentation.GetSegmentation().GetSegment("Nodule_3").GetName() == "Drawn"
    assert (slicer.util.arrayFromVolume(nodes.heterogeneity)[box] >= 0).any()
    reviewed.ui.exportFolderEdit.setCurrentPath(str(tmp_path))
    click(reviewed.ui.exportTableButton)
    assert len((tmp_path / "nodules.csv").read_text().splitlines()) == 4


def test_a_segment_that_is_larger_than_a_nodule_changes_neither_table_nor_map(reviewed, monkeypatch):
    from LNHGSlicerLib.review import review

    monkeypatch.setattr(review, "_LARGEST_MM", 5.0)
    nodes = reviewed.review.nodes

    def map_made_anew():
        click(reviewed.ui.rejectButton)
        click(reviewed.ui.undoButton)
        return slicer.util.arrayFromVolume(nodes.heterogeneity).copy()

    before = map_made_anew()
    draw_segment(nodes, np.s_[:, :, :])
    reviewed.review.look_at_outlines(at_once=True)
    assert (map_made_anew() == before).all()
    assert cells(reviewed, "Verdict") == ["to review", "to review"]


def test_outlines_whose_voxels_were_given_up_for_surfaces_are_no_erased_ones(reviewed):
    segments = reviewed.review.nodes.segmentation.GetSegmentation()
    segments.SetSourceRepresentationName("Closed surface")
    segments.RemoveRepresentation("Binary labelmap")
    reviewed.review.look_at_outlines(at_once=True)
    assert "rejected" not in cells(reviewed, "Verdict")


def test_what_breaks_in_a_handler_is_told_with_its_log_and_the_panel_goes_on(reviewed, monkeypatch):
    def broken(segment_id):
        raise KeyError("nobody thought of it")

    monkeypatch.setattr(reviewed.review._review, "accept", broken)
    click(reviewed.ui.acceptButton)
    assert shown(reviewed.ui.errorBox)
    assert "nobody thought of it" in text(reviewed.ui.errorLabel)
    reviewed.ui.logButton.click()
    assert "Traceback" in reviewed.ui.logText.toPlainText()
    click(reviewed.ui.rejectButton)
    assert "rejected" in cells(reviewed, "Verdict")


def test_the_second_click_of_a_double_click_does_not_reach_the_buttons_that_judge(reviewed):
    from PySide6.QtCore import QEvent, QPointF, Qt
    from PySide6.QtGui import QMouseEvent

    place = QPointF(5, 5)
    for kind, taken in ((QEvent.MouseButtonPress, False), (QEvent.MouseButtonDblClick, True)):
        event = QMouseEvent(kind, place, place, Qt.LeftButton, Qt.LeftButton, Qt.NoModifier)
        assert reviewed.review._no_double_clicks.eventFilter(reviewed.ui.acceptButton, event) is taken


def test_a_layout_with_new_views_shows_ct_and_map_in_them(reviewed):
    new = slicer.mrmlScene.AddNode(slicer.vtkMRMLSliceCompositeNode())
    wait_until(lambda: new.GetBackgroundVolumeID() == reviewed.review.nodes.ct.GetID())
    assert new.GetForegroundVolumeID() == reviewed.review.nodes.heterogeneity.GetID()


def test_a_layout_with_new_views_has_slab_and_legend_in_them(reviewed):
    reviewed.ui.slabBox.setChecked(True)
    choose(reviewed.ui.legendBox, "every")
    new = slicer.vtkMRMLSliceNode()
    new.SetSingletonTag("Purple")
    new.SetLayoutName("Purple")
    slicer.mrmlScene.AddNode(new)
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    wait_until(new.GetSlabReconstructionEnabled)
    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(reviewed.review.nodes.heterogeneity)
    assert legend.IsDisplayableInView(new.GetID())


def test_a_point_that_comes_while_a_run_is_under_way_starts_no_second_one(panel):
    add_ct()
    panel.enter()
    click(panel.ui.addNoduleButton)
    click(panel.ui.segmentButton)
    assert not panel.place.waiting
    panel.start([(0.0, 0.0, 0.0)])
    assert len(panel.logic.runs) == 1
    assert "under way" in text(panel.ui.errorLabel)


def test_a_ct_that_comes_while_the_panel_is_open_is_selected(panel):
    node = add_ct()
    wait_until(lambda: panel._parameters.ct is node)
    assert panel.ui.segmentButton.isEnabled()


def test_a_result_that_was_made_from_code_is_shown_and_the_earlier_one_when_it_is_removed(reviewed):
    earlier = reviewed.review.nodes
    later = add_result(earlier.ct, RESULT)
    wait_until(lambda: reviewed.review.nodes.segmentation is later.segmentation)
    slicer.mrmlScene.RemoveNode(later.segmentation)
    assert not shown(reviewed.ui.reviewGroup)
    wait_until(lambda: reviewed.review.nodes is not None)
    assert reviewed.review.nodes.segmentation is earlier.segmentation
    assert all(view.GetForegroundVolumeID() == earlier.heterogeneity.GetID() for view in views())


def test_a_result_is_not_shown_on_a_ct_that_was_moved_until_that_is_back(reviewed):
    nodes = reviewed.review.nodes
    origin = nodes.ct.GetOrigin()
    nodes.ct.SetOrigin(*np.add(origin, 20))
    wait_until(lambda: reviewed.review.nodes is None)
    assert "moved" in text(reviewed.ui.errorLabel)
    nodes.ct.SetOrigin(*origin)
    wait_until(lambda: reviewed.review.nodes is not None)
    assert not shown(reviewed.ui.errorBox)


def test_a_result_moves_with_its_ct(reviewed):
    nodes = reviewed.review.nodes
    put_under_transform(nodes.ct)
    wait_until(lambda: nodes.segmentation.GetTransformNodeID() == nodes.ct.GetTransformNodeID())
    assert nodes.heterogeneity.GetTransformNodeID() == nodes.ct.GetTransformNodeID()


def test_a_result_moves_with_its_ct_also_while_another_module_is_open(reviewed):
    nodes = reviewed.review.nodes
    reviewed.exit()
    put_under_transform(nodes.ct)
    wait_until(lambda: nodes.segmentation.GetTransformNodeID() == nodes.ct.GetTransformNodeID())
    assert nodes.raw_ct.GetTransformNodeID() == nodes.ct.GetTransformNodeID()


@pytest.mark.parametrize("part", ["segmentation", "heterogeneity"])
def test_what_is_put_under_a_transform_of_its_own_comes_back_to_its_ct(reviewed, part):
    node, transform = getattr(reviewed.review.nodes, part), put_under_transform(add_ct("Other"))
    slicer.app.processEvents()  # the panel has seen what came
    node.SetAndObserveTransformNodeID(transform.GetID())
    wait_until(lambda: node.GetTransformNodeID() is None)


def test_a_result_comes_along_when_its_ct_was_moved_while_another_ct_was_selected(reviewed):
    nodes = reviewed.review.nodes
    other = add_ct("Other")
    reviewed.ui.ctSelector.setCurrentNode(other)
    put_under_transform(nodes.ct)
    reviewed.ui.ctSelector.setCurrentNode(nodes.ct)
    assert nodes.segmentation.GetTransformNodeID() == nodes.ct.GetTransformNodeID()


def test_a_ct_that_another_module_moved_is_told_on_return(reviewed):
    nodes = reviewed.review.nodes
    reviewed.exit()
    nodes.ct.SetOrigin(*np.add(nodes.ct.GetOrigin(), 20))
    reviewed.enter()
    assert not shown(reviewed.ui.reviewGroup)
    assert "moved" in text(reviewed.ui.errorLabel)


def test_the_earlier_result_is_shown_where_another_module_deleted_the_later_one(reviewed):
    earlier = reviewed.review.nodes
    later = add_result(earlier.ct, RESULT)
    wait_until(lambda: reviewed.review.nodes.segmentation is later.segmentation)
    reviewed.exit()
    slicer.mrmlScene.RemoveNode(later.segmentation)
    slicer.app.processEvents()
    reviewed.enter()
    assert reviewed.review.nodes.segmentation is earlier.segmentation


def test_a_volume_that_knows_its_size_alone_is_called_empty(panel):
    node, image = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode"), vtk.vtkImageData()
    image.SetDimensions(8, 8, 8)
    node.SetAndObserveImageData(image)
    wait_until(lambda: panel._parameters.ct is node)
    assert "empty" in text(panel.ui.segmentButton, "toolTip")


def test_words_that_hold_a_name_are_shown_as_they_are(panel):
    """A CT called `<b>1</b>` is no bold 1."""
    told = {name for file in (LIBRARY / "panel").glob("*.py") for name in SET_TEXT.findall(file.read_text("utf-8"))}
    parts = {**vars(panel.follow.ui), **vars(panel.ui)}
    labels = {name: parts[name] for name in told if type(parts[name]).__name__ == "QLabel"}
    assert "errorLabel" in labels and "followLabel" in labels
    assert [name for name, label in labels.items() if "PlainText" not in str(text(label, "textFormat"))] == []


def test_display_nodes_that_somebody_deleted_come_back(reviewed):
    nodes = reviewed.review.nodes
    for node in (nodes.heterogeneity, nodes.boxes, nodes.ct):
        for number in reversed(range(node.GetNumberOfDisplayNodes())):
            slicer.mrmlScene.RemoveNode(node.GetNthDisplayNode(number))
    wait_until(lambda: all(node.GetDisplayNode() for node in (nodes.heterogeneity, nodes.boxes, nodes.ct)))
    display = nodes.heterogeneity.GetVolumeDisplayNode()
    assert display.GetColorNode().GetName() == "LNHG-Heterogeneity"
    assert display.GetLowerThreshold() == 0
    click(reviewed.ui.acceptButton)
    assert not shown(reviewed.ui.errorBox)


def test_a_display_that_somebody_deleted_of_another_result_is_not_missed(reviewed):
    slicer.mrmlScene.RemoveNode(reviewed.review.nodes.boxes.GetDisplayNode())
    segment(reviewed)
    assert cells(reviewed, "No.") == ["1", "2"]
    assert not shown(reviewed.ui.errorBox)


def test_views_are_put_back_after_the_result_was_deleted(reviewed):
    slicer.mrmlScene.RemoveNode(reviewed.review.nodes.segmentation)
    click(reviewed.ui.restoreViewsButton)
    assert not shown(reviewed.ui.errorBox)


@pytest.mark.parametrize("part", ["table", "boxes", "raw_ct", "heterogeneity"])
def test_a_review_that_ends_since_a_part_of_it_was_deleted_says_so(reviewed, part):
    slicer.mrmlScene.RemoveNode(getattr(reviewed.review.nodes, part))
    slicer.app.processEvents()
    assert not shown(reviewed.ui.reviewGroup)
    assert "A part of this result was removed" in text(reviewed.ui.errorLabel)
    segment(reviewed)
    assert not shown(reviewed.ui.errorBox)


def test_a_generator_image_that_was_deleted_is_not_missed(reviewed):
    slicer.mrmlScene.RemoveNode(reviewed.review.nodes.generated)
    slicer.app.processEvents()
    assert cells(reviewed, "No.") == ["1", "2"]
    assert not shown(reviewed.ui.errorBox)


def test_a_copy_of_the_segmentation_is_no_result(reviewed):
    from LNHGSlicerLib.scene.nodes import results_of

    nodes = reviewed.review.nodes
    copy = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Copy")
    copy.CopyReferences(nodes.segmentation)
    copy.CreateDefaultDisplayNodes()
    assert results_of(nodes.ct).segmentation is nodes.segmentation


def test_what_is_written_are_the_figures_of_the_outlines_as_they_are(reviewed, tmp_path):
    reviewed.ui.exportFolderEdit.setCurrentPath(str(tmp_path))
    half_erased(reviewed.review.nodes, "Nodule_2")
    click(reviewed.ui.exportTableButton)
    assert cells(reviewed, "Verdict") == ["to review", "edited"]
    assert ",edited," in (tmp_path / "nodules.csv").read_text().splitlines()[2]


def wait_until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        slicer.app.processEvents()


def test_the_rows_are_sorted_by_a_click_on_a_title_and_next_follows_them(reviewed):
    reviewed.review.sort_by(titles(reviewed).index("No."))
    reviewed.review.sort_by(titles(reviewed).index("No."))
    assert cells(reviewed, "No.") == ["2", "1"]
    assert reviewed.review.selected == "Nodule_1", "the same nodule is selected"
    click(reviewed.ui.acceptButton)
    assert cells(reviewed, "Verdict") == ["to review", "accepted"]
    assert reviewed.review.selected == "Nodule_2"
    reviewed.review.sort_by(titles(reviewed).index("Prob."))
    assert cells(reviewed, "Prob.") == ["0.93", "–"], "without a value comes last"
    reviewed.review.sort_by(titles(reviewed).index("Prob."))
    assert cells(reviewed, "Prob.") == ["0.93", "–"]


def test_more_columns_are_chosen_in_a_menu_and_kept_in_the_scene(reviewed):
    table, at = reviewed.ui.noduleTable, titles(reviewed).index("mm³")
    assert table.isColumnHidden(at)
    reviewed.review.offer_columns(qt_double.QtCore.QPoint(0, 0))
    action = next(action for action in reviewed.review._menu.actions() if "Volume" in action.text())
    action.setChecked(True)
    assert not table.isColumnHidden(at)
    assert "volume" in reviewed._parameters.columns
    reviewed.exit()
    reviewed.enter()
    assert not table.isColumnHidden(at)


def shorter_sides():
    return [min(view.GetFieldOfView()[:2]) for view in slicer.util.getNodesByClass("vtkMRMLSliceNode")]


def test_the_views_show_50_mm_around_a_nodule_and_can_be_put_back(panel):
    add_ct()
    before = shorter_sides()
    segment(panel)
    assert shorter_sides() == pytest.approx([50] * 3)
    click(panel.ui.restoreViewsButton)
    assert shorter_sides() == pytest.approx(before)


def test_around_a_large_nodule_they_show_three_diameters(panel):
    add_ct()
    nodule = replace(RESULT.nodules[0], long_axis=30.0)
    segment(panel, replace(RESULT, nodules=(nodule, *RESULT.nodules[1:])))
    assert shorter_sides() == pytest.approx([90] * 3)


def test_the_zoom_can_be_switched_off(panel):
    add_ct()
    before = shorter_sides()
    panel.ui.zoomBox.setChecked(False)
    segment(panel)
    assert shorter_sides() == pytest.approx(before)


def test_the_legend_is_in_one_view_unless_all_are_asked_for(reviewed):
    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(reviewed.review.nodes.heterogeneity)
    assert len(legend.GetViewNodeIDs()) == 1
    choose(reviewed.ui.legendBox, "every view")
    assert len(legend.GetViewNodeIDs()) == 3
    choose(reviewed.ui.legendBox, "no view")
    assert not legend.GetVisibility()


def test_without_a_selected_row_nothing_is_judged(reviewed):
    reviewed.ui.noduleTable.clearSelection()
    assert not reviewed.ui.acceptButton.isEnabled()
    reviewed.review.accept()
    assert cells(reviewed, "Verdict") == ["to review", "to review"]


def test_where_the_selected_nodule_was_removed_the_keys_go_on_with_the_one_at_its_place(reviewed):
    for segment_id, left in (("Nodule_1", "Nodule_2"), ("Nodule_2", None)):
        reviewed.review.nodes.segmentation.GetSegmentation().RemoveSegment(segment_id)
        reviewed.review.look_at_outlines(at_once=True)
        assert reviewed.review.selected == left


def test_the_time_for_each_nodule_is_kept_and_written(reviewed, tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("LNHGSlicerLib.panel.review.time.monotonic", lambda: now[0])
    reviewed.ui.noduleTable.selectRow(1)
    now[0] += 12
    click(reviewed.ui.acceptButton)
    reviewed.exit()
    now[0] += 500
    reviewed.enter()
    reviewed.ui.exportFolderEdit.setCurrentPath(str(tmp_path))
    click(reviewed.ui.exportTableButton)
    assert (tmp_path / "nodules.csv").read_text().splitlines()[2].endswith("accepted,12.0")


def test_the_time_of_a_reader_is_counted_on_after_a_look_into_another_module(reviewed, tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(ReaderStudy.__init__, "__defaults__", (lambda: now[0],))
    name_reader(reviewed, "Ada")
    now[0] += 12
    reviewed.exit()
    now[0] += 500
    reviewed.enter()
    now[0] += 30
    rate(reviewed, 70, "benign")
    reviewed.ui.exportFolderEdit.setCurrentPath(str(tmp_path))
    click(reviewed.ui.studyExportButton)
    assert (tmp_path / "reader-study-Ada.csv").read_text().splitlines()[1].endswith("42.0")


def test_the_layers_can_be_looked_at_one_after_the_other(reviewed):
    nodes = reviewed.review.nodes
    choose(reviewed.ui.layerBox, "Raw CT")
    assert {view.GetForegroundVolumeID() for view in views()} == {nodes.raw_ct.GetID()}
    choose(reviewed.ui.layerBox, "detector boxes")
    assert nodes.boxes.GetDisplayNode().GetVisibility()
    choose(reviewed.ui.layerBox, "Final map")
    assert {view.GetForegroundVolumeID() for view in views()} == {nodes.heterogeneity.GetID()}
    assert not nodes.boxes.GetDisplayNode().GetVisibility()


def test_a_layer_that_is_not_there_comes_with_the_run_that_makes_it(reviewed):
    choose(reviewed.ui.layerBox, "before fusion")
    assert shown(reviewed.ui.fullRunBox)
    assert "around the candidates only" in text(reviewed.ui.fullRunLabel)
    click(reviewed.ui.fullRunButton)
    assert reviewed.logic.runs[-1].options.full_generator
    reviewed.logic.runs[-1].finish()
    assert not shown(reviewed.ui.fullRunBox)
    assert {view.GetForegroundVolumeID() for view in views()} == {reviewed.review.nodes.generated.GetID()}


def test_outlines_that_another_module_hid_come_back_with_their_control(reviewed):
    display = reviewed.review.nodes.segmentation.GetDisplayNode()
    display.SetVisibility(False)
    for shown_again in (False, True):
        reviewed.ui.outlineBox.setChecked(shown_again)
    assert display.GetVisibility() and display.GetVisibility2D()


def test_what_another_module_hid_or_showed_is_what_the_controls_say(reviewed):
    nodes, ui = reviewed.review.nodes, reviewed.ui
    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(nodes.heterogeneity)
    nodes.segmentation.GetDisplayNode().SetVisibility(False)
    nodes.boxes.GetDisplayNode().SetVisibility(True)
    legend.SetVisibility(False)
    for view in views():
        view.SetForegroundOpacity(0.3)
    wait_until(lambda: not ui.outlineBox.isChecked())
    assert "boxes" in ui.layerBox.property("currentText") and "no view" in ui.legendBox.property("currentText")
    assert ui.opacitySlider.property("value") == 0.3
    reviewed.exit()
    nodes.segmentation.GetDisplayNode().SetVisibility(True)
    reviewed.enter()
    assert ui.outlineBox.isChecked() and nodes.segmentation.GetDisplayNode().GetVisibility2D()
    assert not legend.GetVisibility() and nodes.boxes.GetDisplayNode().GetVisibility()


def test_a_later_result_shows_its_outlines_though_those_of_the_earlier_are_hidden(reviewed):
    reviewed.exit()
    later = add_result(reviewed.review.nodes.ct, RESULT)
    show(later)
    reviewed.enter()
    wait_until(lambda: reviewed.review.nodes.segmentation is later.segmentation)
    reviewed.review.take_over_display()
    assert reviewed.ui.outlineBox.isChecked() and later.segmentation.GetDisplayNode().GetVisibility2D()


def test_map_outline_opacity_and_slab_follow_their_controls(reviewed):
    reviewed.ui.opacitySlider.setValue(0.8)
    assert {view.GetForegroundOpacity() for view in views()} == {0.8}
    reviewed.ui.mapBox.setChecked(False)
    assert {view.GetForegroundVolumeID() for view in views()} == {None}
    reviewed.ui.outlineBox.setChecked(False)
    assert not reviewed.review.nodes.segmentation.GetDisplayNode().GetVisibility2D()
    reviewed.ui.slabBox.setChecked(True)
    red = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
    assert red.GetSlabReconstructionEnabled()
    assert red.GetSlabReconstructionThickness() == 10


def test_the_range_of_the_colours_can_be_changed_without_a_run(reviewed):
    before = slicer.util.arrayFromVolume(reviewed.review.nodes.heterogeneity).copy()
    choose(reviewed.ui.normalisationBox, "each nodule")
    assert len(reviewed.logic.runs) == 1
    assert (slicer.util.arrayFromVolume(reviewed.review.nodes.heterogeneity) != before).any()


def test_the_views_can_be_put_back_as_they_were(panel):
    volume = add_ct()
    volume.GetDisplayNode().AutoWindowLevelOff()
    volume.GetDisplayNode().SetWindowLevel(350, 40)
    segment(panel)
    panel.ui.slabBox.setChecked(True)
    assert volume.GetDisplayNode().GetWindow() == 1500
    click(panel.ui.restoreViewsButton)
    assert (volume.GetDisplayNode().GetWindow(), volume.GetDisplayNode().GetLevel()) == (350, 40)
    assert not slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed").GetSlabReconstructionEnabled()
    assert not panel.ui.slabBox.isChecked()
    assert not panel.ui.restoreViewsButton.isEnabled()


def test_a_cancelled_run_leaves_the_views_to_the_reader(panel):
    volume = add_ct()
    click(panel.ui.segmentButton)
    click(panel.ui.cancelButton)
    volume.GetDisplayNode().AutoWindowLevelOff()
    volume.GetDisplayNode().SetWindowLevel(350, 40)
    segment(panel)
    click(panel.ui.restoreViewsButton)
    assert volume.GetDisplayNode().GetWindow() == 350


def test_what_was_looked_at_during_a_run_that_was_cancelled_can_be_put_back(reviewed):
    click(reviewed.ui.restoreViewsButton)
    red = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
    red.SetFieldOfView(180, 180, 1)
    click(reviewed.ui.segmentButton)
    click(reviewed.ui.nextButton)
    click(reviewed.ui.cancelButton)
    click(reviewed.ui.restoreViewsButton)
    assert red.GetFieldOfView()[0] == 180


def test_the_value_under_the_pointer_is_told(reviewed):
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    inside = RESULT.ct.to_ras(np.argwhere(RESULT.labels == 1)[0][::-1])
    crosshair.SetCursorPositionRAS(list(inside))
    value = RESULT.heterogeneity[tuple(np.argwhere(RESULT.labels == 1)[0])]
    assert text(reviewed.ui.valueLabel) == f"Under the pointer: {value:.2f}"
    crosshair.SetCursorPositionRAS([900, 900, 900])
    assert text(reviewed.ui.valueLabel) == "Under the pointer: –"


def test_the_histogram_of_the_selected_nodule_has_the_colours_of_the_map(reviewed):
    picture = reviewed.ui.histogramLabel.property("pixmap").toImage()
    drawn = [picture.pixelColor(x, y) for x in range(picture.width()) for y in range(picture.height())]
    assert any(one.red() > 200 and one.blue() < 60 and one.alpha() == 255 for one in drawn)  # strong
    assert any(one.blue() > 100 and one.red() < 60 and one.alpha() == 255 for one in drawn)  # weak


# ---------------------------------------------------------------- second runs, and nodules added by hand


def test_a_second_run_keeps_the_verdicts_and_says_what_changed(reviewed):
    click(reviewed.ui.acceptButton)
    segment(reviewed, handmade_result(GRIDS["oblique"], balls=(((6, 20, 15), 4),)))
    assert cells(reviewed, "Verdict") == ["accepted"]
    assert "Your verdict was kept for nodule 1 (accepted)" in text(reviewed.ui.statusLabel)
    assert "Not found again: nodule 2" in text(reviewed.ui.statusLabel)


def test_what_ends_slicers_place_mode_ends_the_waiting(panel):
    add_ct()
    click(panel.ui.addNoduleButton)
    interaction = slicer.mrmlScene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    interaction.SetCurrentInteractionMode(interaction.ViewTransform)
    slicer.app.processEvents()
    assert text(panel.ui.addNoduleButton) == "Add nodule here..."
    assert not slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")
    click(panel.ui.addNoduleButton)
    assert text(panel.ui.addNoduleButton) == "Click on the nodule..."


def test_another_tool_that_is_chosen_in_place_of_a_point_stays_chosen(panel):
    add_ct()
    click(panel.ui.addNoduleButton)
    interaction = slicer.mrmlScene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    interaction.SetCurrentInteractionMode(interaction.AdjustWindowLevel)
    slicer.app.processEvents()
    assert not panel.place.waiting
    assert interaction.GetCurrentInteractionMode() == interaction.AdjustWindowLevel


def test_the_point_is_still_there_while_slicer_tells_of_it(panel):
    """Slicer's own code goes on with the markup after the event: removed too early, Slicer crashes."""
    add_ct()
    click(panel.ui.addNoduleButton)
    node = slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")[0]
    node.AddControlPoint(vtk.vtkVector3d(1, 2, 3))
    assert slicer.mrmlScene.IsNodePresent(node)
    slicer.app.processEvents()
    assert not slicer.mrmlScene.IsNodePresent(node)


def place(panel, ras):
    """Click on `ras` in a view."""
    node = slicer.mrmlScene.GetNodeByID(
        slicer.mrmlScene.GetNodeByID("vtkMRMLSelectionNodeSingleton").GetActivePlaceNodeID()
    )
    node.AddControlPoint(vtk.vtkVector3d(*ras))
    slicer.app.processEvents()


def test_a_nodule_is_added_where_the_reader_clicks(panel):
    add_ct()
    segment(panel, handmade_result(GRIDS["oblique"], balls=(((6, 20, 15), 4),)))
    click(panel.ui.addNoduleButton)
    assert text(panel.ui.addNoduleButton) == "Click on the nodule..."
    interaction = slicer.mrmlScene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    place(panel, INSIDE)
    run = panel.logic.runs[-1]
    assert run.seeds == [pytest.approx(INSIDE)]
    assert run.options.seeds_only
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform
    run.finish(handmade_result(GRIDS["oblique"], balls=(((13, 40, 33), 5),)))
    assert cells(panel, "No.") == ["1", "2"]
    assert cells(panel, "Verdict") == ["to review", "accepted"]
    assert panel.review.selected == "Nodule_2"
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 1
    assert not slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")


ONE_BALL = handmade_result(GRIDS["oblique"], balls=(((6, 20, 15), 4),))
OTHER_BALL = handmade_result(GRIDS["oblique"], balls=(((13, 40, 33), 5),))


def click_on_other_ball(panel):
    click(panel.ui.addNoduleButton)
    place(panel, INSIDE)
    panel.logic.runs[-1].answer(OTHER_BALL)


def test_a_click_that_is_answered_at_once_adds_to_the_review_and_undo_takes_it_back(panel):
    add_ct()
    segment(panel, ONE_BALL)
    segmentation, nodes = panel.review.nodes.segmentation, slicer.mrmlScene.GetNumberOfNodes()
    click(panel.ui.rejectButton)
    click_on_other_ball(panel)
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
    assert panel.review.nodes.segmentation is segmentation
    assert cells(panel, "Verdict") == ["rejected", "accepted"]
    assert panel.review.selected == "Nodule_2"
    assert "Nodules found: 1. Ran on: cpu. Slices are thick." in text(panel.ui.statusLabel)
    heterogeneity = slicer.util.arrayFromVolume(panel.review.nodes.heterogeneity)
    assert (heterogeneity[OTHER_BALL.labels > 0] >= 0).all()
    row = panel.review.nodes.rows[-1]
    assert as_row(replace(row, id=1)) == as_row(OTHER_BALL.nodules[0])
    click(panel.ui.undoButton)
    assert cells(panel, "Verdict") == ["rejected"]
    assert list(segmentation.GetSegmentation().GetSegmentIDs()) == ["Nodule_1"]
    assert (heterogeneity[OTHER_BALL.labels > 0] < 0).all()
    click(panel.ui.undoButton)
    assert cells(panel, "Verdict") == ["to review"]
    assert not panel.ui.undoButton.isEnabled()


def test_a_nodule_added_after_one_that_was_taken_back_does_not_get_its_number(panel):
    """What was answered and rated of the one taken back is kept under its number."""
    add_ct()
    segment(panel, ONE_BALL)
    click_on_other_ball(panel)
    click(panel.ui.undoButton)
    click_on_other_ball(panel)
    assert cells(panel, "No.") == ["1", "3"]


def test_a_click_on_a_nodule_that_is_outlined_gives_it_the_new_outline_and_undo_the_former(panel):
    add_ct()
    segment(panel, ONE_BALL)
    volume = panel.review.nodes.rows[0].volume
    click(panel.ui.addNoduleButton)
    place(panel, INSIDE)
    panel.logic.runs[-1].answer(handmade_result(GRIDS["oblique"], balls=(((6, 20, 15), 5),)))
    assert cells(panel, "Verdict") == ["accepted"]
    assert panel.review.nodes.rows[0].volume > volume
    click(panel.ui.undoButton)
    assert cells(panel, "Verdict") == ["to review"]
    assert panel.review.nodes.rows[0].volume == pytest.approx(volume, abs=1e-3)


def test_sizes_of_a_mass_that_was_clicked_on_stay_lower_bounds(panel):
    """Where the method stopped outlining only the run knows: the row is the run's own."""
    add_ct()
    segment(panel, ONE_BALL)
    (mass,) = OTHER_BALL.nodules
    click(panel.ui.addNoduleButton)
    place(panel, INSIDE)
    panel.logic.runs[-1].answer(replace(OTHER_BALL, nodules=(replace(mass, cut=True),)))
    assert panel.review.nodes.rows[-1].cut is True


def test_a_ct_is_kept_ready_for_clicks_after_its_run_and_from_the_first_wish_on(panel):
    node = add_ct()
    panel.enter()
    click(panel.ui.addNoduleButton)
    assert panel.logic.ready == [node]
    segment(panel, ONE_BALL)
    assert panel.logic.ready == [node, node]
    panel.close()
    assert panel.logic.ready[-1] is None


def test_a_click_that_is_answered_while_another_ct_is_selected_goes_to_its_own(panel):
    first = add_ct()
    segment(panel, ONE_BALL)
    click(panel.ui.addNoduleButton)
    place(panel, INSIDE)
    panel.parameters.ct = add_ct("Another")
    panel.logic.runs[-1].answer(OTHER_BALL)
    assert panel.review.nodes is None
    panel.parameters.ct = first
    assert cells(panel, "Verdict") == ["to review", "accepted"]


def test_an_answer_whose_result_was_removed_in_that_moment_is_told(panel):
    add_ct()
    segment(panel, ONE_BALL)
    click(panel.ui.addNoduleButton)
    place(panel, INSIDE)
    run, nodes = panel.logic.runs[-1], panel.review.nodes
    show, panel._show_added = panel._show_added, lambda: None
    run.answer(OTHER_BALL)
    slicer.mrmlScene.RemoveNode(nodes.table)
    show()
    assert "click on the nodule again" in text(panel.ui.errorLabel)


@pytest.mark.parametrize("part", ["segmentation", "table", "heterogeneity"])
def test_an_added_nodule_is_there_though_the_earlier_result_was_deleted_during_the_run(reviewed, part):
    click(reviewed.ui.addNoduleButton)
    place(reviewed, INSIDE)
    slicer.mrmlScene.RemoveNode(getattr(reviewed.review.nodes, part))
    reviewed.logic.runs[-1].finish(handmade_result(GRIDS["oblique"], balls=(((6, 20, 15), 4),)))
    slicer.app.processEvents()
    assert cells(reviewed, "Verdict") == ["accepted"]
    assert not shown(reviewed.ui.errorBox)


def test_a_click_beside_the_ct_is_told_without_a_run(panel):
    add_ct()
    click(panel.ui.addNoduleButton)
    place(panel, (5000.0, 0.0, 0.0))
    assert "outside of the CT" in text(panel.ui.errorLabel)
    assert panel.logic.runs == []
    assert panel.ui.addNoduleButton.isEnabled()


def test_a_nodule_can_be_added_before_any_run(panel):
    add_ct()
    click(panel.ui.addNoduleButton)
    place(panel, INSIDE)
    panel.logic.runs[-1].finish(handmade_result(GRIDS["oblique"], balls=(((6, 20, 15), 4),)))
    assert cells(panel, "Verdict") == ["accepted"]


def test_a_second_click_on_the_button_gives_up_placing(panel):
    add_ct()
    click(panel.ui.addNoduleButton)
    click(panel.ui.addNoduleButton)
    assert not slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")
    assert text(panel.ui.addNoduleButton) == "Add nodule here..."
    assert panel.logic.runs == []


def test_a_result_whose_ct_is_gone_is_told_once_where_it_is_looked_for(reviewed):
    name = reviewed.review.nodes.segmentation.GetName()
    slicer.mrmlScene.RemoveNode(reviewed.review.nodes.ct)
    slicer.app.processEvents()
    assert f"The CT of {name} is no longer in the scene" in text(reviewed.ui.errorLabel)
    assert "module Data" in text(reviewed.ui.errorLabel)
    add_ct("Another")
    slicer.app.processEvents()
    reviewed.show_error("")
    reviewed.exit()
    reviewed.enter()
    assert not shown(reviewed.ui.errorBox)


def test_nothing_is_told_of_a_result_whose_nodes_still_come(panel):
    from LNHGSlicerLib.scene.nodes import adding, prepare

    steps = adding(add_ct(), prepare(RESULT))
    for _ in steps:
        panel._look_at_scene()
        assert not shown(panel.ui.errorBox)


def test_warnings_of_the_method_name_the_panels_own_fields(panel):
    from LNHGSlicerLib.run.panel_words import labels
    from LNHGSlicerLib.run.parameters import offered

    add_ct()
    warned = "No nodules were looked for; choose to look anywhere (--anywhere)."
    segment(panel, replace(ONE_BALL, warnings=(warned,)))
    assert 'look anywhere ("Advanced > Look outside the lungs too").' in text(panel.ui.statusLabel)
    panel.show_error("OpenVINO computes on the CPU, not on cuda; choose --runtime torch or --device cpu.")
    told = text(panel.ui.errorLabel)
    assert told.endswith('choose "Advanced > Computed by: PyTorch" or "Advanced > Run on: Processor (CPU)".')
    panel.show_error("Give one with --series.")  # no field of the panel
    assert text(panel.ui.errorLabel) == "Give one with --series."
    ui, fields_ = panel.ui, {option.name for option in offered()}
    seen = {
        text(widget, "SlicerParameterName"): widget
        for name, widget in vars(ui).items()
        if text(widget, "SlicerParameterName") in labels()
    }
    assert set(seen) == set(labels()) == fields_ - {"sentence", "normalisation"}
    for name, widget in seen.items():
        label = getattr(ui, f"{text(widget, 'objectName')}Label", widget)
        assert text(label).rstrip(":") == labels()[name]


# ---------------------------------------------------------------- scenes


def test_a_node_that_is_watched_no_more_gives_its_memory_back(scene):
    from LNHGSlicerLib.scene.watch import Watch

    seen, volume = [], add_ct()
    watch = Watch(lambda: seen.append(1))
    watch.follow(volume, vtk.vtkCommand.ModifiedEvent)
    volume.Modified()
    watch.follow(None)
    volume.Modified()
    assert seen == [1]
    known = weakref.ref(volume)
    scene.RemoveNode(volume)
    del volume
    gc.collect()
    assert known() is None


def test_closing_the_scene_empties_the_panel_and_the_next_ct_can_be_segmented(reviewed):
    slicer.mrmlScene.Clear(False)
    assert not shown(reviewed.ui.reviewGroup)
    assert text(reviewed.ui.statusLabel) == ""
    assert not reviewed.ui.segmentButton.isEnabled()
    add_ct("Next")
    segment(reviewed)
    assert cells(reviewed, "No.") == ["1", "2"]


def test_closing_the_scene_ends_the_run(panel):
    add_ct()
    click(panel.ui.segmentButton)
    slicer.mrmlScene.Clear(False)
    assert not shown(panel.ui.runBox)
    assert not panel.running


def test_each_ct_of_the_scene_has_its_own_review(reviewed):
    click(reviewed.ui.rejectButton)
    other = add_ct("Other")
    reviewed.ui.ctSelector.setCurrentNode(other)
    assert not shown(reviewed.ui.reviewGroup)
    segment(reviewed, handmade_result(GRIDS["oblique"], balls=(((6, 20, 15), 4),)))
    assert cells(reviewed, "Verdict") == ["to review"]
    reviewed.ui.ctSelector.setCurrentNode(slicer.util.getNode("Thorax"))
    assert cells(reviewed, "Verdict") == ["rejected", "to review"]


def test_a_ct_without_a_result_is_shown_alone_when_it_is_selected(reviewed):
    first, other = reviewed.review.nodes, add_ct("Other")
    reviewed.ui.ctSelector.setCurrentNode(other)
    assert {view.GetBackgroundVolumeID() for view in views()} == {other.GetID()}
    assert {view.GetForegroundVolumeID() for view in views()} == {None}
    assert not first.segmentation.GetDisplayNode().GetVisibility()
    reviewed.ui.ctSelector.setCurrentNode(first.ct)
    assert {view.GetForegroundVolumeID() for view in views()} == {first.heterogeneity.GetID()}
    assert first.segmentation.GetDisplayNode().GetVisibility()


def test_selecting_a_ct_leaves_its_map_as_it_is_whatever_range_and_kind_the_last_one_had(reviewed):
    made = Options(heterogeneity="twin", normalisation="nodule")
    other = handmade_result(GRIDS["axial"])
    nodes = add_result(add_ct("Other", other), replace(other, options=made))
    before = slicer.util.arrayFromVolume(nodes.heterogeneity).copy()
    reviewed.ui.ctSelector.setCurrentNode(nodes.ct)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(nodes.heterogeneity), before)
    assert (reviewed._parameters.normalisation, reviewed._parameters.heterogeneity) == ("nodule", "twin")
    assert not shown(reviewed.ui.fullRunBox)


def test_a_scene_is_opened_with_the_ct_that_it_was_saved_with(reviewed, tmp_path):
    """Slicer's selector chooses the first CT that comes."""
    reviewed.ui.ctSelector.setCurrentNode(add_ct("Other"))
    path, scene = tmp_path / "scene.mrb", slicer.mrmlScene
    assert scene.WriteToMRB(str(path), None, slicer.vtkMRMLMessageCollection())
    scene.Clear(False)
    choose_first = lambda *_: reviewed.ui.ctSelector.setCurrentNode(slicer.util.getNode("Thorax"))  # noqa: E731
    scene.AddObserver(scene.NodeAddedEvent, lambda *_: choose_first() if slicer.util.getNodes("Thorax") else None)
    assert scene.ReadFromMRB(str(path), True)
    assert reviewed.ui.ctSelector.currentNode().GetName() == "Other"
    assert reviewed._parameters.ct.GetName() == "Other"


def test_choices_and_verdicts_come_back_with_a_saved_scene(reviewed, tmp_path):
    click(reviewed.ui.rejectButton)
    reviewed.ui.opacitySlider.setValue(0.3)
    choose(reviewed.ui.fusionBox, "paper")
    path = tmp_path / "scene.mrb"
    assert slicer.mrmlScene.WriteToMRB(str(path), None, slicer.vtkMRMLMessageCollection())
    slicer.mrmlScene.Clear(False)
    assert slicer.mrmlScene.ReadFromMRB(str(path), True)
    assert text(reviewed.ui.opacitySlider, "value") == pytest.approx(0.3)
    assert "paper" in reviewed.ui.fusionBox.itemText(text(reviewed.ui.fusionBox, "currentIndex"))
    assert cells(reviewed, "Verdict") == ["rejected", "to review"]


def test_while_a_scene_is_read_its_half_read_nodes_are_left_alone(panel):
    scene, volume = slicer.mrmlScene, add_ct()
    scene.StartState(scene.ImportState)
    add_result(volume, RESULT)
    slicer.app.processEvents()
    assert not shown(panel.ui.reviewGroup)
    scene.EndState(scene.ImportState)
    assert cells(panel, "No.") == ["1", "2"]


def test_a_run_that_ends_while_another_module_is_open_is_shown_on_return(panel):
    add_ct()
    click(panel.ui.segmentButton)
    panel.exit()
    panel.logic.runs[-1].finish()
    assert not shown(panel.ui.reviewGroup)
    panel.enter()
    assert cells(panel, "No.") == ["1", "2"]


def test_a_table_that_lost_the_numbers_of_the_nodules_ends_its_review(reviewed):
    reviewed.review.nodes.table.GetTable().RemoveColumnByName("id")
    reviewed.exit()
    reviewed.enter()
    assert not shown(reviewed.ui.reviewGroup)
    segment(reviewed)
    assert cells(reviewed, "No.") == ["1", "2"]
    assert not shown(reviewed.ui.errorBox)


def test_a_result_that_is_removed_before_it_is_shown_is_no_error(panel, monkeypatch):
    add_ct()
    with monkeypatch.context() as patch:
        patch.setattr(slicer.app, "processEvents", lambda: None)
        segment(panel)
        slicer.mrmlScene.RemoveNode(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[0])
    slicer.app.processEvents()
    assert not shown(panel.ui.reviewGroup)
    assert not shown(panel.ui.errorBox)
    assert panel.ui.segmentButton.isEnabled()


def test_deleting_the_segmentation_ends_its_review(reviewed):
    slicer.mrmlScene.RemoveNode(reviewed.review.nodes.segmentation)
    assert not shown(reviewed.ui.reviewGroup)
    assert reviewed.ui.segmentButton.isEnabled()


def test_the_module_can_be_loaded_anew(scene, monkeypatch):
    with open_panel(monkeypatch) as first:
        add_ct()
        segment(first)
    assert first.Observations == []
    with open_panel(monkeypatch) as second:
        assert cells(second, "No.") == ["1", "2"]


def test_slicer_opens_leaves_and_unloads_the_module(scene, monkeypatch):
    qt_double.install(monkeypatch)
    monkeypatch.delitem(sys.modules, "LNHGSlicer", raising=False)
    widget = importlib.import_module("LNHGSlicer").LNHGSlicerWidget()
    widget.setup()
    widget.enter()
    volume = add_ct()
    assert widget.panel.ui.ctSelector.currentNode() is volume
    assert widget.layout.count() == 1
    widget.exit()
    widget.cleanup()
    assert widget.panel.Observations == []
    qt_double.dispose(widget.parent)


# ---------------------------------------------------------------- reader study and export


def name_reader(panel, name):
    panel.ui.readerEdit.setText(name)
    panel.ui.readerEdit.editingFinished.emit()


def rate(panel, score, impression, comment=""):
    panel.ui.scoreSlider.setValue(score)
    choose(panel.ui.impressionBox, impression)
    panel.ui.commentEdit.setText(comment)
    click(panel.ui.rateButton)


def test_a_reader_rates_nodule_after_nodule(reviewed):
    assert not reviewed.ui.rateButton.isEnabled()
    assert text(reviewed.ui.rateButton, "toolTip") == "Write your name first."
    name_reader(reviewed, "Ada")
    rate(reviewed, 70, "malignant", "spiculated")
    assert text(reviewed.ui.ratedLabel) == "rated 1 of 2"
    assert reviewed.review.selected == "Nodule_2"
    click(reviewed.ui.previousButton)
    assert text(reviewed.ui.scoreSlider, "value") == 70
    assert text(reviewed.ui.commentEdit) == "spiculated"


def test_another_reader_sees_nothing_of_it(reviewed):
    name_reader(reviewed, "Ada")
    rate(reviewed, 70, "malignant", "spiculated")
    name_reader(reviewed, "Grace")
    click(reviewed.ui.previousButton)
    assert text(reviewed.ui.ratedLabel) == "rated 0 of 2"
    assert text(reviewed.ui.commentEdit) == ""


def test_the_summary_compares_the_readers(reviewed):
    for reader, scores in (("Ada", (70, 30)), ("Grace", (60, 20))):
        name_reader(reviewed, reader)
        reviewed.ui.noduleTable.selectRow(0)
        for score in scores:
            rate(reviewed, score, "benign")
    click(reviewed.ui.summaryButton)
    told = reviewed.ui.summaryText.toPlainText()
    assert "Ada" in told
    assert "Grace" in told
    assert "50" in told


def test_ratings_and_table_are_written_into_the_chosen_folder(reviewed, tmp_path):
    assert not reviewed.ui.exportTableButton.isEnabled()
    reviewed.ui.exportFolderEdit.setCurrentPath(str(tmp_path))
    click(reviewed.ui.exportTableButton)
    name_reader(reviewed, "Ada")
    rate(reviewed, 70, "malignant")
    click(reviewed.ui.studyExportButton)
    assert "Written" in text(reviewed.ui.exportLabel)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nodules.csv", "reader-study-Ada.csv"]


def test_readers_whose_names_look_alike_in_a_file_name_get_a_file_each(reviewed, tmp_path):
    reviewed.ui.exportFolderEdit.setCurrentPath(str(tmp_path))
    for reader in ("A/B", "A B", "A_B", "..", "aux"):
        name_reader(reviewed, reader)
        click(reviewed.ui.studyExportButton)
        assert "Written" in text(reviewed.ui.exportLabel)
    written = [path.read_text().splitlines()[1].partition(",")[0] for path in tmp_path.iterdir()]
    assert sorted(written) == ["..", "A B", "A/B", "A_B", "aux"]


def test_ratings_of_another_ct_are_not_written_over(reviewed, tmp_path):
    reviewed.ui.exportFolderEdit.setCurrentPath(str(tmp_path))
    name_reader(reviewed, "Ada")
    rate(reviewed, 70, "malignant")
    click(reviewed.ui.studyExportButton)
    before = (tmp_path / "reader-study-Ada.csv").read_text()
    reviewed.ui.ctSelector.setCurrentNode(add_ct("Another"))
    segment(reviewed)
    rate(reviewed, 30, "benign")
    click(reviewed.ui.studyExportButton)
    assert "is of another CT" in text(reviewed.ui.exportLabel)
    assert (tmp_path / "reader-study-Ada.csv").read_text() == before


def test_a_folder_that_cannot_be_written_is_told(reviewed, tmp_path):
    (tmp_path / "file").write_text("")
    reviewed.ui.exportFolderEdit.setCurrentPath(str(tmp_path / "file" / "folder"))
    click(reviewed.ui.exportTableButton)
    assert text(reviewed.ui.exportLabel).startswith("Nothing was written")


# ---------------------------------------------------------------- the code itself


def sources():
    others = (
        "run/parameters",
        "review/clicked_point",
        "review/drawn_region",
        "review/place_mode",
        "scene/legends",
        "scene/regions",
        "scene/transforms",
        "translation",
        "review/verdicts",
        "scene/watch",
        "run/background",
        "run/panel_words",
        "scene/notes",
        "scene/volumes",
    )
    return sorted([*LIBRARY.glob("panel/*.py"), *(LIBRARY / f"{name}.py" for name in others)])


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.stem)
def test_the_panel_imports_nothing_that_may_be_missing_when_it_is_loaded(path):
    allowed = {"slicer", "qt", "ctk", "vtk", *sys.stdlib_module_names}
    loadable = {"lnhg.core.answers", "lnhg.errors", "lnhg.followup.growth", "lnhg.options", "lnhg.progress"}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            assert {alias.name.partition(".")[0] for alias in node.names} <= allowed
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert node.module.partition(".")[0] in allowed or node.module in loadable
        elif isinstance(node, ast.ImportFrom):
            folder = path.parents[node.level - 1]
            assert folder.joinpath(*node.module.split(".")).with_suffix(".py") in sources()


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.stem)
def test_enumerations_are_named_as_pythonqt_names_them(path):
    """`qt.Class.Value`, not `qt.Class.Enumeration.Value`, which PySide6 takes too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            depth, inner = 1, node.value
            while isinstance(inner, ast.Attribute):
                depth, inner = depth + 1, inner.value
            if isinstance(inner, ast.Name) and inner.id == "qt":
                assert depth <= 2


def test_the_double_refuses_what_is_different_in_pythonqt(panel):
    with pytest.raises(AttributeError, match="attribute in PythonQt"):
        panel.ui.statusLabel.text()
    with pytest.raises(AttributeError, match="attribute in PythonQt"):
        panel.ui.segmentButton.enabled = True


def test_every_control_has_words_that_say_what_it_does(panel):
    kinds = (
        "QPushButton",
        "QCheckBox",
        "QSpinBox",
        "QDoubleSpinBox",
        "QComboBox",
        "ctkSliderWidget",
        "ctkPathLineEdit",
    )
    for name, widget in vars(panel.ui).items():
        if type(widget).__name__ in (*kinds, "qMRMLNodeComboBox") and name[0].islower():
            assert text(widget, "toolTip"), name


def test_the_method_is_rerun_where_the_results_came_from_a_full_run(panel):
    """A result of a full run shows the generator image without any further run."""
    add_ct()
    segment(panel)
    panel.ui.fullGeneratorBox.setChecked(True)
    segment(panel, replace(RESULT, options=Options(full_generator=True)))
    choose(panel.ui.layerBox, "before fusion")
    assert not shown(panel.ui.fullRunBox)


# ---------------------------------------------------------------- two CTs, and what happens meanwhile


def in_views():
    return {slicer.mrmlScene.GetNodeByID(view.GetBackgroundVolumeID()).GetName() for view in views()}


def test_a_run_that_ends_for_another_ct_leaves_the_views_with_the_selected_one(panel):
    """Who clicks on a nodule in a view means the CT that is selected."""
    first, second = add_ct("First"), add_ct("Second")
    panel.ui.ctSelector.setCurrentNode(first)
    click(panel.ui.segmentButton)
    panel.ui.ctSelector.setCurrentNode(second)
    panel.logic.runs[-1].finish(RESULT)
    assert in_views() == {"Second"}
    assert {view.GetForegroundVolumeID() for view in views()} == {None}
    assert not results_of(first).segmentation.GetDisplayNode().GetVisibility()


def test_a_run_that_ended_for_another_ct_in_another_module_leaves_the_views_too(panel):
    first, second = add_ct("First"), add_ct("Second")
    panel.ui.ctSelector.setCurrentNode(first)
    click(panel.ui.segmentButton)
    panel.ui.ctSelector.setCurrentNode(second)
    panel.exit()
    panel.logic.runs[-1].finish(RESULT)
    panel.enter()
    assert panel.parameters.ct is second
    assert in_views() == {"Second"}


def test_a_run_that_ends_for_another_ct_leaves_the_review_where_it_was(panel):
    first, second = add_ct("First"), add_ct("Second")
    panel.ui.ctSelector.setCurrentNode(second)
    segment(panel)
    panel.ui.ctSelector.setCurrentNode(first)
    click(panel.ui.segmentButton)
    panel.ui.ctSelector.setCurrentNode(second)
    panel.review.select("Nodule_1")
    click(panel.ui.acceptButton)
    panel.logic.runs[-1].finish(RESULT)
    assert panel.review.selected == "Nodule_2"
    assert panel.ui.undoButton.isEnabled()
    assert in_views() == {"Second"}
    assert results_of(second).segmentation.GetDisplayNode().GetVisibility()


def test_a_run_that_ends_in_another_module_leaves_views_and_undo_of_the_ct_under_review(panel):
    first, second = add_ct("First"), add_ct("Second")
    panel.ui.ctSelector.setCurrentNode(second)
    segment(panel)
    click(panel.ui.acceptButton)
    panel.ui.ctSelector.setCurrentNode(first)
    click(panel.ui.segmentButton)
    panel.ui.ctSelector.setCurrentNode(second)
    click(panel.ui.acceptButton)
    selected = panel.review.selected
    panel.exit()
    panel.logic.runs[-1].finish(RESULT)
    assert in_views() == {"Second"}
    assert results_of(second).segmentation.GetDisplayNode().GetVisibility()
    assert not results_of(first).segmentation.GetDisplayNode().GetVisibility()
    panel.enter()
    assert panel.ui.undoButton.isEnabled() and panel.review.selected == selected


def test_a_run_that_ends_in_another_module_is_shown_on_return(panel):
    add_ct("First")
    click(panel.ui.segmentButton)
    panel.exit()
    panel.logic.runs[-1].finish(RESULT)
    panel.enter()
    assert cells(panel, "Verdict") == ["to review", "to review"]
    assert in_views() == {"First"}
    assert {view.GetForegroundVolumeID() for view in views()} == {panel.review.nodes.heterogeneity.GetID()}


def edited_in_a_run(panel, segment_id):
    """A second run is under way, and the Segment Editor stands at an outline of the first; returns its node."""
    click(panel.ui.segmentButton)
    editor = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    editor.SetAndObserveSegmentationNode(panel.review.nodes.segmentation)
    editor.SetSelectedSegmentID(segment_id)
    return editor


def test_the_segment_editor_goes_on_with_the_outlines_of_a_run_that_ended_meanwhile(reviewed):
    former = reviewed.review.nodes
    editor = edited_in_a_run(reviewed, "Nodule_2")
    reviewed.exit()
    half_erased(former, "Nodule_2")
    reviewed.logic.runs[-1].finish(RESULT)
    now = results_of(former.ct)
    assert editor.GetSegmentationNode() is now.segmentation is not former.segmentation
    assert editor.GetSelectedSegmentID() == "Nodule_2"
    assert (
        now.segmentation.GetDisplayNode().GetVisibility() and not former.segmentation.GetDisplayNode().GetVisibility()
    )
    reviewed.enter()
    wait_until(lambda: cells(reviewed, "Verdict") == ["to review", "edited"])


def test_a_stroke_that_was_meant_for_a_nodule_that_is_gone_goes_into_no_other(reviewed):
    editor = edited_in_a_run(reviewed, "Nodule_2")
    reviewed.logic.runs[-1].finish(handmade_result(GRIDS["oblique"], balls=BALLS[:1]))
    assert editor.GetSegmentationNode() is reviewed.review.nodes.segmentation
    assert not editor.GetSelectedSegmentID()


def test_a_scene_that_is_loaded_beside_another_hides_the_outlines_that_were_there(reviewed, tmp_path):
    path = tmp_path / "other.mrb"
    assert slicer.mrmlScene.WriteToMRB(str(path), None, slicer.vtkMRMLMessageCollection())
    former = reviewed.review.nodes
    assert slicer.mrmlScene.ReadFromMRB(str(path), False)
    shown_now = reviewed.review.nodes
    hidden = [one for one in all_results() if one.segmentation is not shown_now.segmentation]
    assert len(hidden) == 1 and former.segmentation in (hidden[0].segmentation, shown_now.segmentation)
    assert not hidden[0].segmentation.GetDisplayNode().GetVisibility()
    assert shown_now.segmentation.GetDisplayNode().GetVisibility()


def test_what_a_run_ended_with_is_not_told_of_the_result_before_it(reviewed):
    segment(reviewed)
    later = reviewed.review.nodes
    assert "same nodules as before" in text(reviewed.ui.statusLabel)
    slicer.mrmlScene.RemoveNode(later.segmentation)
    wait_until(
        lambda: reviewed.review.nodes is not None and reviewed.review.nodes.segmentation is not later.segmentation
    )
    assert text(reviewed.ui.statusLabel) == ""


@pytest.mark.parametrize("lost", ["heterogeneity", "raw_ct", "table"])
def test_a_result_whose_file_was_not_there_is_told(reviewed, lost):
    nodes = reviewed.review.nodes
    if lost == "table":
        nodes.table.GetTable().Initialize()
        nodes.table.Modified()
    else:
        getattr(nodes, lost).SetAndObserveImageData(None)
    reviewed.exit()
    reviewed.enter()
    assert not shown(reviewed.ui.reviewGroup)
    assert "was not there when the scene was opened" in text(reviewed.ui.errorLabel)
    segment(reviewed)
    assert not nodes.segmentation.GetDisplayNode().GetVisibility()
    assert reviewed.review.nodes.segmentation.GetDisplayNode().GetVisibility()


def test_without_the_voxels_of_the_generator_image_nodules_are_judged_all_the_same(reviewed):
    ct = reviewed.review.nodes.ct
    reviewed.review.nodes.generated.SetAndObserveImageData(None)  # as in a scene that lacks its file
    reviewed.ui.ctSelector.setCurrentNode(add_ct("Other"))
    reviewed.ui.ctSelector.setCurrentNode(ct)
    click(reviewed.ui.rejectButton)
    assert cells(reviewed, "Verdict") == ["rejected", "to review"]
    assert not shown(reviewed.ui.errorBox)


def test_what_a_reader_has_typed_stays_through_a_visit_to_another_module(reviewed):
    name_reader(reviewed, "Ada")
    reviewed.ui.scoreSlider.setValue(80)
    choose(reviewed.ui.impressionBox, "malignant")
    reviewed.ui.commentEdit.setText("spiculated")
    reviewed.exit()
    reviewed.enter()
    assert text(reviewed.ui.scoreSlider, "value") == 80
    assert text(reviewed.ui.impressionBox, "currentIndex") == 2
    assert text(reviewed.ui.commentEdit) == "spiculated"
    reviewed.review.select("Nodule_2")
    assert text(reviewed.ui.commentEdit) == ""


def test_ratings_come_along_with_a_second_run(reviewed):
    name_reader(reviewed, "Ada")
    reviewed.ui.scoreSlider.setValue(70)
    click(reviewed.ui.rateButton)
    segment(reviewed)
    assert text(reviewed.ui.ratedLabel) == "rated 1 of 2"
    assert text(reviewed.ui.scoreSlider, "value") == 70


@pytest.mark.parametrize("with_result", [True, False])
def test_a_click_in_a_view_of_another_ct_is_refused(panel, with_result):
    earlier = add_ct("Earlier")
    if with_result:
        segment(panel)
    panel.ui.ctSelector.setCurrentNode(add_ct("Later"))
    view = slicer.util.getNodesByClass("vtkMRMLSliceNode")[0]
    composite = next(one for one in views() if one.GetLayoutName() == view.GetLayoutName())
    composite.SetBackgroundVolumeID(earlier.GetID())
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    click(panel.ui.addNoduleButton)
    crosshair.SetCursorPositionRAS(list(INSIDE))
    crosshair.SetCursorPositionXYZ([0.0, 0.0, 0.0], view)
    runs = len(panel.logic.runs)
    place(panel, INSIDE)
    assert len(panel.logic.runs) == runs
    assert "That view shows another CT" in text(panel.ui.errorLabel)


def test_no_verdict_is_given_while_an_outline_is_measured(reviewed, monkeypatch):
    """It would be *edited* when that is done."""
    calls = []
    call = SimpleNamespace(start=lambda: None)
    monkeypatch.setattr(reviewed.review, "_make_call", lambda work, end: calls.append((work, end)) or call)
    reviewed.review.select("Nodule_2")
    half_erased(reviewed.review.nodes, "Nodule_2")
    click(reviewed.ui.rejectButton)  # at once, before anybody looked at the outline
    assert shown(reviewed.ui.measuringLabel)
    assert not reviewed.ui.rejectButton.isEnabled() and not reviewed.ui.acceptButton.isEnabled()
    ((work, end),) = calls
    end(work(), None)
    assert cells(reviewed, "Verdict")[1] == "edited"
    click(reviewed.ui.rejectButton)
    assert cells(reviewed, "Verdict")[1] == "rejected"


def test_a_nodule_that_was_deleted_while_another_is_measured_can_be_selected(reviewed, monkeypatch):
    call = SimpleNamespace(start=lambda: None)
    monkeypatch.setattr(reviewed.review, "_make_call", lambda work, end: call)
    half_erased(reviewed.review.nodes, "Nodule_1")
    reviewed.review.nodes.segmentation.GetSegmentation().RemoveSegment("Nodule_2")
    reviewed.review.look_at_outlines()
    reviewed.ui.noduleTable.selectRow(1)
    assert not text(reviewed.ui.errorLabel)


def test_undo_takes_a_drawn_nodule_back_before_a_verdict_that_was_given_earlier(reviewed):
    reviewed.review.select("Nodule_1")
    click(reviewed.ui.acceptButton)
    draw_segment(reviewed.review.nodes, np.s_[1:4, 1:5, 1:6])
    reviewed.review.look_at_outlines(at_once=True)
    before = cells(reviewed, "Verdict")
    assert before[-1] == "edited"
    click(reviewed.ui.undoButton)
    assert cells(reviewed, "Verdict") == before[:-1]


def test_growth_of_an_outline_that_a_click_replaced_counts_no_more_until_undo(panel):
    add_ct()
    segment(panel, ONE_BALL)
    nodes = panel.review.nodes
    grown = Comparison({"Lung-RADS 2022": "stable"}, previous_diameter=5.0, volume_percent=3.0)
    set_comparisons(nodes, {1: grown})
    click(panel.ui.addNoduleButton)
    place(panel, INSIDE)
    panel.logic.runs[-1].answer(handmade_result(GRIDS["oblique"], balls=(((6, 20, 15), 5),)))
    assert len(nodes.rows) == 1
    assert comparisons_of(nodes) == {}
    click(panel.ui.undoButton)
    assert comparisons_of(nodes) == {1: grown}
