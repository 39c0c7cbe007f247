"""The panel's questions, the categories of the selected nodule, and the button that copies its sentence."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest

from lnhg.core.answers import answers_of_words
from lnhg.core.comparison import Comparison

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")
pytest.importorskip("PySide6", reason="needs the dev extra: pip install 'lnhg[dev]'")

from host.panel_double import RESULT, add_ct, click  # noqa: E402
from LNHGSlicerLib.review.answers import answers_of  # noqa: E402
from LNHGSlicerLib.review.export import export_csv, export_report  # noqa: E402


@pytest.fixture
def reviewed(panel):
    add_ct()
    click(panel.ui.segmentButton)
    panel.logic.runs[-1].finish(RESULT)
    return panel


def box(panel, name):
    return panel.categories._boxes[name]


def choose(panel, name, answer):
    widget = box(panel, name)
    widget.setCurrentIndex([widget.itemText(index) for index in range(widget.property("count"))].index(answer))


def said(panel):
    return panel.ui.categoriesLabel.property("text")


def test_the_group_is_there_with_a_result_and_nothing_is_answered(panel):
    assert panel.ui.categoriesGroup.isHidden()
    add_ct()
    click(panel.ui.segmentButton)
    panel.logic.runs[-1].finish(RESULT)
    assert not panel.ui.categoriesGroup.isHidden()
    assert "Lung-RADS 2022: 2 (solid under 6 mm" in said(panel)
    assert "you decide" in said(panel)
    assert answers_of(panel.review.nodes).as_record() == {"patient": {}, "nodules": {}}


def test_an_answer_changes_the_category_of_its_nodule_alone(reviewed):
    choose(reviewed, "airway", "segmental or more proximal")
    assert "Lung-RADS 2022: 4A" in said(reviewed)
    click(reviewed.ui.nextButton)
    assert "Lung-RADS 2022: 2" in said(reviewed)
    click(reviewed.ui.previousButton)
    assert "Lung-RADS 2022: 4A" in said(reviewed)


def lung_rads_column(panel):
    table = panel.ui.noduleTable
    index = [column.name for column in panel.review._columns].index("lung_rads")
    return [table.item(row, index).text() for row in range(2)]


def test_the_table_shows_the_category_as_it_is_answered_and_none_for_a_rejected_nodule(reviewed):
    assert lung_rads_column(reviewed) == ["2", "2"]
    choose(reviewed, "airway", "segmental or more proximal")
    assert lung_rads_column(reviewed) == ["4A", "2"]
    assert reviewed.review.selected is not None
    click(reviewed.ui.rejectButton)
    assert lung_rads_column(reviewed) == ["", "2"]


def test_an_answer_on_the_patient_holds_for_all_nodules(reviewed):
    choose(reviewed, "exam", "incidental finding")
    box(reviewed, "age").setValue(30)
    for _ in range(2):
        assert "Lung-RADS 2022: does not apply" in said(reviewed)
        assert "younger than 35 years" in said(reviewed)
        click(reviewed.ui.nextButton)
    box(reviewed, "age").setValue(-1)
    assert answers_of(reviewed.review.nodes).common.age is None


def test_the_button_copies_the_sentence(reviewed):
    import qt

    choose(reviewed, "course", "new")
    click(reviewed.ui.copySentenceButton)
    copied = qt.QApplication.clipboard().text()
    assert copied == reviewed.ui.sentenceLabel.property("text")
    assert copied.endswith("new; Lung-RADS 3")


def type_template(panel, text):
    panel.ui.sentenceEdit.setText(text)
    panel.ui.sentenceEdit.editingFinished.emit()


def test_the_reader_may_change_the_template_for_this_result_and_the_next_runs(reviewed, tmp_path):
    from lnhg.options import SENTENCE

    assert reviewed.ui.sentenceEdit.property("text") == SENTENCE
    type_template(reviewed, "Nodule {number}: {type}, {mean} mm")
    assert reviewed.ui.sentenceLabel.property("text") == "Nodule 1: solid, 5.6 mm"
    export_csv(reviewed.review.nodes, tmp_path / "nodules.csv")
    assert "Nodule 2: solid, 5.6 mm" in (tmp_path / "nodules.csv").read_text(encoding="utf-8")
    click(reviewed.ui.segmentButton)
    assert reviewed.logic.runs[-1].options.sentence == "Nodule {number}: {type}, {mean} mm"
    type_template(reviewed, " ")
    assert reviewed.ui.sentenceEdit.property("text") == SENTENCE
    assert "Lung-RADS" in reviewed.ui.sentenceLabel.property("text")


def test_a_template_that_cannot_be_filled_in_changes_nothing_and_is_told(reviewed):
    before = reviewed.ui.sentenceLabel.property("text")
    type_template(reviewed, "{colour}")
    assert "The sentence names 'colour'" in reviewed.ui.errorLabel.property("text")
    assert reviewed.ui.sentenceLabel.property("text") == before


def test_a_rejected_nodule_has_no_category_and_no_longer_counts(reviewed):
    assert "solid, multiple" in said(reviewed)
    click(reviewed.ui.rejectButton)
    assert "solid, single" in said(reviewed)
    click(reviewed.ui.previousButton)
    assert said(reviewed) == "Select a nodule that is not rejected."
    assert not reviewed.ui.copySentenceButton.isEnabled()


def test_table_and_report_have_the_answers(reviewed, tmp_path):
    choose(reviewed, "airway", "segmental or more proximal")
    export_csv(reviewed.review.nodes, tmp_path / "nodules.csv")
    with (tmp_path / "nodules.csv").open(newline="", encoding="utf-8") as file:
        assert [row["Lung-RADS 2022: proposed"] for row in csv.DictReader(file)] == ["4A", "2"]
    export_report(reviewed.review.nodes, tmp_path / "report.html")
    assert "nodule 1, airway: segmental or more proximal" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_answers_and_growth_of_a_result_are_taken_over(panel):
    add_ct()
    click(panel.ui.segmentButton)
    grown = Comparison({"Lung-RADS 2022": "growing"}, volume_percent=61.0, days=90.0, beyond=True)
    panel.logic.runs[-1].finish(replace(RESULT, answers=answers_of_words(["risk=high"]), comparisons={1: grown}))
    assert "growing" in said(panel) and box(panel, "risk").property("currentText") == "high"
    assert "volume +61% in 90 days" in panel.ui.sentenceLabel.property("text")


def test_the_answers_are_saved_with_the_scene(reviewed):
    choose(reviewed, "risk", "high")
    kept = reviewed.review.nodes.segmentation.GetAttribute("LNHG.Answers")
    assert '"risk": "high"' in kept
