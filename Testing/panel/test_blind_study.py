"""The blind reader study in the panel: nothing there says which map a nodule has, until the reader has ended."""

from __future__ import annotations

import csv
import re
from dataclasses import replace

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")
pytest.importorskip("PySide6", reason="needs the dev extra: pip install 'lnhg[dev]'")

from PySide6 import QtCore  # noqa: E402

from host.handmade import GRIDS, handmade_result  # noqa: E402
from host.panel_double import add_ct, click, open_panel  # noqa: E402
from lnhg.options import Options  # noqa: E402
from LNHGSlicerLib.review.reader_study import ReaderStudy, studies_of  # noqa: E402
from LNHGSlicerLib.scene.headless import headless_host  # noqa: E402

BALLS = [((4 + 11 * (n // 3), 10 + 18 * (n % 3), 12 + 20 * (n // 3)), 3) for n in range(6)]
RESULT = handmade_result(GRIDS["axial"], BALLS)
#: What names a map, in its words and on its keys.
TELLING = (
    "layerBox",
    "normalisationBox",
    "heterogeneityBox",
    "legendLabel",
    "histogramTitle",
    "histogramLabel",
    "valueLabel",
)
WORDS = re.compile(r"uneven|h\(x\)|(?<!standard )deviation|inverse|paper|G\(x\)", re.IGNORECASE)


@pytest.fixture
def reviewed(panel):
    """The panel after a run that found six nodules."""
    add_ct(result=RESULT)
    click(panel.ui.segmentButton)
    panel.logic.runs[-1].finish(RESULT)
    return panel


@pytest.fixture
def blind(reviewed):
    begin(reviewed, "Ada")
    return reviewed


def begin(panel, reader):
    choose_map(panel, "blind")
    name_reader(panel, reader)


def choose_map(panel, words):
    box = panel.ui.studyMapBox
    assert box.isEnabled()
    box.setCurrentIndex(next(n for n in range(box.property("count")) if words in box.itemText(n)))


def name_reader(panel, name):
    panel.ui.readerEdit.setText(name)
    panel.ui.readerEdit.editingFinished.emit()


def rate(panel, score=60):
    panel.ui.scoreSlider.setValue(score)
    click(panel.ui.rateButton)


def rate_all(panel):
    for number in range(len(BALLS)):
        rate(panel, 40 + number)


def rows(panel):
    return list(panel.review._ids)


def text(widget, name="text"):
    return widget.property(name)


def foregrounds():
    views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return {slicer.mrmlScene.GetNodeByID(view.GetForegroundVolumeID()).GetName() for view in views}


def shown_texts(panel):
    """All words on the panel and in its tooltips, of widgets that are not hidden, but for the choice of the study and
    what a run would do.
    """
    found = {}
    for name, widget in vars(panel.ui).items():
        if name[0].islower() and not name.startswith("studyMapBox") and is_visible(widget):
            texts = [widget.property("text"), widget.property("toolTip"), widget.property("plainText")]
            if hasattr(widget, "itemText"):
                texts += [widget.itemText(index) for index in range(widget.property("count"))]
            found[name] = " ".join(filter(lambda one: isinstance(one, str), texts))
    return found


def is_visible(widget):
    while widget is not None:
        if widget.isHidden() and widget.parentWidget() is not None:
            return False
        widget = widget.parentWidget()
    return True


def test_nothing_on_the_panel_names_a_map_while_the_study_runs(blind):
    for name in TELLING:
        assert blind.ui.__dict__[name].isHidden(), name
    of_a_run_to_come = ("fusion", "edge", "triplets", "fullGenerator", "fullRun", "generatorThreshold", "detectorAlone")
    for name, words in shown_texts(blind).items():
        assert name.startswith(of_a_run_to_come) or not WORDS.search(words), (name, words)


def test_no_key_reaches_what_is_hidden(blind):
    keys = {shortcut.property("key").toString(): shortcut for shortcut in blind._keys.shortcuts}
    before = blind.parameters.layer, blind.parameters.normalisation
    for key in ("Shift+L", "Shift+K"):
        keys[key].activated.emit()
    assert (blind.parameters.layer, blind.parameters.normalisation) == before
    assert foregrounds() == {"Map of the reader study"}


def test_columns_that_tell_the_map_are_neither_shown_nor_offered(blind):
    table, titles = blind.ui.noduleTable, [column.title for column in blind.review._columns]
    telling = [titles.index(title) for title in ("Het.", "Uneven HU")]
    blind.parameters.columns = "number,heterogeneity,unevenness"
    assert all(table.isColumnHidden(index) for index in telling)
    blind.review.offer_columns(QtCore.QPoint(0, 0))
    offered = [action.property("text") for action in blind.review._menu.actions()]
    assert "Number of the nodule" in offered
    assert not [words for words in offered if "map" in words or "typical tissue" in words]
    rate_all(blind)
    click(blind.ui.endBlindButton)
    assert not any(table.isColumnHidden(index) for index in telling)


def test_the_views_show_one_map_under_one_name_whatever_nodule_is_at_hand(blind):
    drawn = blind.study._study.drawn
    assert set(drawn.values()) == {"deviation", "inverse"}
    seen = []
    for _ in drawn:
        volume = slicer.mrmlScene.GetNodeByID(
            slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")[0].GetForegroundVolumeID()
        )
        legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(volume)
        seen.append((volume.GetName(), legend.GetTitleText(), legend.GetLabelFormat()))
        click(blind.ui.nextButton)
    assert set(seen) == {("Map of the reader study", "Map", "%.2f")}


def test_the_value_under_the_pointer_is_not_told(blind):
    inside = RESULT.ct.to_ras(np.array(BALLS[0][0][::-1]))
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    crosshair.SetCursorPositionRAS(inside)
    assert blind.ui.valueLabel.isHidden()
    assert text(blind.ui.valueLabel) == "Under the pointer: –"


def test_the_nodules_come_in_the_order_that_was_drawn_and_a_click_on_a_title_keeps_it(blind):
    drawn = list(blind.study._study.drawn)
    assert rows(blind) == drawn and blind.review.selected == drawn[0]
    blind.review.sort_by(0)
    assert rows(blind) == drawn
    for number in range(1, len(drawn)):
        rate(blind)
        assert blind.review.selected == drawn[number]
        assert text(blind.ui.ratedLabel) == f"rated {number} of 6"
    click(blind.ui.acceptButton)
    assert rows(blind) == drawn


def test_the_categories_and_the_time_are_those_of_the_nodule_at_which_the_study_begins(blind):
    assert blind.categories._segment_id == blind.study._segment_id == blind.review.selected


def test_when_all_is_rated_the_reader_ends_and_everything_comes_back(reviewed):
    reviewed.parameters.layer = "boxes"
    before = (rows(reviewed), {name: reviewed.ui.__dict__[name].isHidden() for name in TELLING}, foregrounds())
    begin(reviewed, "Ada")
    assert not reviewed.ui.endBlindButton.isEnabled()
    assert foregrounds() == {"Map of the reader study"}
    rate_all(reviewed)
    assert reviewed.ui.layerBox.isHidden(), "to end is the reader's own step"
    click(reviewed.ui.endBlindButton)
    after = (rows(reviewed), {name: reviewed.ui.__dict__[name].isHidden() for name in TELLING}, foregrounds())
    assert (sorted(after[0]), *after[1:]) == (sorted(before[0]), *before[1:])
    assert after[2] == {"Heterogeneity"} and reviewed.parameters.layer == "boxes"
    assert not reviewed.ui.rateButton.isEnabled()
    assert "stay as they are" in text(reviewed.ui.rateButton, "toolTip")
    assert not slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")[-1].GetName().startswith("Map of the")


def test_file_and_summary_tell_the_maps_only_after_the_end(blind, tmp_path):
    blind.ui.exportFolderEdit.setCurrentPath(str(tmp_path))
    rate_all(blind)
    drawn = blind.study._study.drawn
    click(blind.ui.studyExportButton)
    assert {row["map"] for row in table(tmp_path)} == {"blind"}
    click(blind.ui.summaryButton)
    assert "when every reader has ended (Ada not)" in blind.ui.summaryText.toPlainText()
    assert not WORDS.search(blind.ui.summaryText.toPlainText())
    click(blind.ui.summaryButton)
    click(blind.ui.endBlindButton)
    click(blind.ui.studyExportButton)
    assert {f"Nodule_{row['nodule']}": row["map"] for row in table(tmp_path)} == drawn
    click(blind.ui.summaryButton)
    assert "Map deviation:" in blind.ui.summaryText.toPlainText()
    assert "Map inverse:" in blind.ui.summaryText.toPlainText()


def table(folder):
    with (folder / "reader-study-Ada.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_second_reader_gets_the_other_maps_and_who_leaves_sees_the_named_map(blind):
    first = blind.study._study.drawn
    rate(blind)
    name_reader(blind, "Grace")
    second = blind.study._study.drawn
    assert set(first) == set(second) and all(first[one] != second[one] for one in first)
    assert foregrounds() == {"Map of the reader study"}
    name_reader(blind, "")
    assert foregrounds() == {"Heterogeneity"}
    assert not blind.ui.layerBox.isHidden()
    name_reader(blind, "Ada")
    assert blind.study._study.drawn == first
    assert foregrounds() == {"Map of the reader study"}
    assert blind.review.selected == list(first)[1], "at the first that is not rated"
    assert not blind.ui.studyMapBox.isEnabled(), "a study that has begun stays what it is"


def test_a_reader_who_has_rated_nothing_keeps_nobody_waiting_for_the_end(blind):
    name_reader(blind, "Grace")
    rate_all(blind)
    click(blind.ui.endBlindButton)
    click(blind.ui.summaryButton)
    assert "Map deviation:" in blind.ui.summaryText.toPlainText()


def test_before_the_first_rating_another_choice_ends_it(blind):
    choose_map(blind, "h(x)")
    assert foregrounds() == {"Heterogeneity"}
    assert blind.parameters.heterogeneity == "inverse"
    assert blind.study._study.drawn == {}
    rate(blind)
    assert [row["map"] for row in csv_of(blind) if row["map"]] == ["inverse"]


def csv_of(panel):
    from LNHGSlicerLib.review.reader_study import all_rows

    (kept,) = studies_of(panel.review.nodes)
    return all_rows(kept)


def test_the_rating_keeps_the_map_that_was_shown(reviewed):
    name_reader(reviewed, "Ada")
    rate(reviewed)
    choose_map(reviewed, "h(x)")
    rate(reviewed)
    reviewed.parameters.heterogeneity = "intensity"
    assert text(reviewed.ui.studyMapBox, "currentIndex") == -1, "none of those offered is shown"
    rate(reviewed)
    assert [row["map"] for row in csv_of(reviewed)] == ["deviation", "inverse", "intensity"]


def test_a_study_on_one_map_names_it_as_always(reviewed):
    name_reader(reviewed, "Ada")
    assert reviewed.ui.studyMapBox.itemText(text(reviewed.ui.studyMapBox, "currentIndex")).startswith("unevenness")
    assert not reviewed.ui.layerBox.isHidden()
    assert foregrounds() == {"Heterogeneity"}
    assert reviewed.ui.blindBox.isHidden()


def test_before_a_name_is_written_the_panel_says_when_it_will_be_blind(reviewed):
    choose_map(reviewed, "blind")
    assert text(reviewed.ui.blindLabel) == "Blind, as soon as the reader's name is written."
    assert foregrounds() == {"Heterogeneity"}
    name_reader(reviewed, "Ada")
    assert foregrounds() == {"Map of the reader study"}


@pytest.mark.parametrize("words", ["h(x)", "blind"])
def test_without_a_generator_image_the_choice_is_refused_with_the_reason(panel, words):
    add_ct(result=RESULT)
    click(panel.ui.segmentButton)
    panel.logic.runs[-1].finish(RESULT)
    slicer.mrmlScene.RemoveNode(panel.review.nodes.generated)
    slicer.app.processEvents()
    panel.show_results(panel.parameters.ct)
    name_reader(panel, "Ada")
    choose_map(panel, words)
    assert text(panel.ui.blindLabel) == "The generator image is not in this scene; segment the CT again."
    assert not panel.ui.blindBox.isHidden()
    assert foregrounds() == {"Heterogeneity"}
    assert text(panel.ui.studyMapBox, "currentIndex") == 0, "the map that is shown"


def test_a_range_that_a_kind_has_not_is_told_without_offering_a_run(reviewed):
    reviewed.parameters.normalisation = "slice"
    assert "has no range slice" in text(reviewed.ui.fullRunLabel)
    assert reviewed.ui.fullRunButton.isHidden()
    reviewed.parameters.normalisation = "auto"
    reviewed.parameters.layer = "generated"
    assert not reviewed.ui.fullRunButton.isHidden(), "that a run can mend"


def test_who_has_rated_named_maps_is_told_why_the_study_is_not_blind(reviewed):
    name_reader(reviewed, "Ada")
    rate(reviewed)
    choose_map(reviewed, "blind")
    assert "whose map was named" in text(reviewed.ui.blindLabel)
    assert foregrounds() == {"Heterogeneity"}


def test_a_scene_that_was_saved_in_the_middle_goes_on_blind_without_a_word(blind, monkeypatch, tmp_path):
    rate(blind, 80)
    drawn, rated = blind.study._study.drawn, blind.study._study.rated
    assert slicer.mrmlScene.WriteToMRB(str(tmp_path / "scene.mrb"))
    blind.close()
    with headless_host() as opened:
        assert opened.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        with open_panel(monkeypatch) as panel:
            assert text(panel.ui.readerEdit) == "Ada"
            assert panel.study._study.drawn == drawn and panel.study._study.rated == rated
            assert rows(panel) == list(drawn) and panel.review.selected == list(drawn)[1]
            assert foregrounds() == {"Map of the reader study"}
            assert all(panel.ui.__dict__[name].isHidden() for name in TELLING)
            for _ in range(len(BALLS) - 1):
                rate(panel)
            click(panel.ui.endBlindButton)
            assert foregrounds() == {"Heterogeneity"}


def test_a_nodule_that_is_rejected_or_added_meanwhile_leaves_the_study_blind(blind):
    drawn = list(blind.study._study.drawn)
    click(blind.ui.rejectButton)
    assert text(blind.ui.ratedLabel) == "rated 0 of 5"
    assert rows(blind) == drawn and foregrounds() == {"Map of the reader study"}
    click(blind.ui.undoButton)
    assert text(blind.ui.ratedLabel) == "rated 0 of 6"
    review = blind.review._review
    review.add([(review._outlines["Nodule_1"], review.nodes.rows[0])])
    blind.review._refresh("Nodule_7")
    assert rows(blind) == [*drawn, "Nodule_7"]
    assert not blind.ui.rateButton.isEnabled()
    assert "no part of it" in text(blind.ui.rateButton, "toolTip") or "not part" in text(blind.ui.rateButton, "toolTip")


def test_another_ct_is_named_and_back_at_the_first_the_study_goes_on(blind):
    first = blind.parameters.ct
    other = add_ct("Other", RESULT)
    blind.parameters.ct = other
    assert not blind.ui.layerBox.isHidden()
    blind.parameters.ct = first
    assert foregrounds() == {"Map of the reader study"}
    assert blind.ui.layerBox.isHidden()


def test_a_second_run_on_the_ct_is_no_part_of_the_study(blind):
    blind._parameters.full_generator = True
    name_reader(blind, "")
    click(blind.ui.segmentButton)
    blind.logic.runs[-1].finish(replace(RESULT, options=Options()))
    assert foregrounds() == {"Heterogeneity_1"}
    assert not blind.ui.layerBox.isHidden()
    assert ReaderStudy(blind.review.nodes, "Ada").drawn == {}
