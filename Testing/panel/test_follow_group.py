"""The panel's follow-up: an earlier CT is chosen, followed, listed, and shown side by side with the selected one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import vtk

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")
pytest.importorskip("PySide6", reason="needs the dev extra: pip install 'lnhg[dev]'")

from host.followed import RESULT, RIGID, kept, make_lower_views, views  # noqa: E402
from host.panel_double import add_ct, click, logic_double, open_panel  # noqa: E402
from host.scenes import put_under_transform  # noqa: E402
from LNHGSlicerLib.scene.headless import headless_host  # noqa: E402
from LNHGSlicerLib.scene.identity import keep_identity  # noqa: E402
from LNHGSlicerLib.scene.nodes import results_of  # noqa: E402
from LNHGSlicerLib.scene.transforms import point_of_scene  # noqa: E402

UPPER, LOWER = ("Red", "Green", "Yellow"), ("Red+", "Green+", "Yellow+")


class FollowDouble:
    """A run that does what the test tells it to."""

    def __init__(self, *what, on_finished):
        self.prior, self.current, self.days, self.same_patient = what
        self._on_finished = on_finished

    def finish(self):
        self._on_finished(kept(self.prior, self.current), SimpleNamespace(status="finished", message="Done.", log=None))
        slicer.app.processEvents()  # it is shown a moment later

    def fail(self, sentence):
        self._on_finished(None, SimpleNamespace(status="failed", message=sentence, log=None))

    def cancel(self):
        self._on_finished(None, SimpleNamespace(status="cancelled", message="", log=None))


@pytest.fixture
def panel(monkeypatch):
    """The panel with a segmented CT; an earlier one without nodules is in the scene."""
    logic = logic_double()
    logic.followed = []

    def start(prior, current, days, same_patient, on_progress, on_finished, options):
        logic.followed.append(FollowDouble(prior, current, days, same_patient, on_finished=on_finished))
        return logic.followed[-1]

    logic.startFollowUp = start
    with headless_host() as scene:
        scene.AddNewNodeByClass("vtkMRMLCrosshairNode")
        make_lower_views()
        with open_panel(monkeypatch, logic=logic) as panel:
            add_ct("This")
            click(panel.ui.segmentButton)
            logic.runs[-1].finish(RESULT)
            add_ct("Earlier")
            yield panel


def node(name):
    return slicer.util.getFirstNodeByClassByName("vtkMRMLScalarVolumeNode", name)


def choose(panel, name="Earlier"):
    panel.follow.ui.priorSelector.setCurrentNode(node(name))


def segment_earlier(panel):
    """As a reader does it: the earlier CT is selected and segmented, then the later one again."""
    panel.ui.ctSelector.setCurrentNode(node("Earlier"))
    click(panel.ui.segmentButton)
    panel.logic.runs[-1].finish(RESULT)
    panel.ui.ctSelector.setCurrentNode(node("This"))


@pytest.fixture
def followed(panel):
    segment_earlier(panel)
    choose(panel)
    click(panel.follow.ui.followButton)
    panel.logic.followed[-1].finish()
    slicer.app.processEvents()  # the lower views have been drawn
    return panel


def cells(panel):
    table = panel.follow.ui.followTable
    rows, columns = (range(table.property(f"{what}Count")) for what in ("row", "column"))
    return [[table.item(row, column).text() for column in columns] for row in rows]


def said(panel):
    return panel.ui.errorLabel.property("text")


def offered(panel):
    selector = panel.follow.ui.priorSelector
    return [selector.itemText(index) for index in range(selector.property("count"))]


def test_other_cts_are_offered_but_neither_the_selected_one_nor_the_maps(panel):
    assert offered(panel) == ["from the disk, below", "Earlier"]
    assert "Choose the earlier CT" in panel.follow.ui.followButton.property("toolTip")
    assert not panel.follow.ui.followButton.isEnabled()
    panel.follow.ui.priorPathEdit.setCurrentPath("/no/such/folder")
    assert "is not there" in panel.follow.ui.followButton.property("toolTip")
    panel.follow.ui.priorPathEdit.setCurrentPath("x" * 5000)
    assert "cannot be read (" in panel.follow.ui.followButton.property("toolTip") and said(panel) == ""


def test_what_has_no_nodules_yet_is_segmented_first(panel):
    choose(panel)
    panel.follow.ui.daysBox.setValue(90)
    runs = len(panel.logic.runs)
    click(panel.follow.ui.followButton)
    assert panel.logic.runs[-1].node is node("Earlier") and len(panel.logic.runs) == runs + 1
    panel.logic.runs[-1].finish(RESULT)
    (run,) = panel.logic.followed
    assert (run.prior.ct, run.current.ct) == (node("Earlier"), node("This"))
    assert (run.days, run.same_patient) == (90.0, False)
    assert panel.running
    run.finish()
    assert not panel.running
    assert panel.ui.ctSelector.currentNode() is node("This")


def test_following_goes_on_while_another_module_is_open(panel):
    choose(panel)
    panel.follow.ui.daysBox.setValue(90)
    click(panel.follow.ui.followButton)
    panel.exit()
    panel.logic.runs[-1].finish(RESULT)
    (run,) = panel.logic.followed
    run.finish()
    panel.enter()
    assert run.days == 90.0 and said(panel) == ""
    assert len(cells(panel)) == 2


def test_a_ct_that_is_removed_while_the_other_is_segmented_is_not_followed(panel):
    slicer.mrmlScene.RemoveNode(results_of(node("This")).segmentation)
    choose(panel)
    click(panel.follow.ui.followButton)
    slicer.mrmlScene.RemoveNode(node("This"))
    panel.logic.runs[-1].finish(RESULT)
    assert "removed from the scene meanwhile" in said(panel)
    assert not panel.running and panel.logic.followed == []


def test_each_pair_has_a_row_and_what_is_to_be_known_stands_below(followed):
    first, second = cells(followed)
    assert first[:3] == ["1", "1", "matched"] and second[:3] == ["–", "2", "resolved"]
    assert first[4].startswith("+0 %") and first[6:] == ["not grown"] * 3
    assert second[3].endswith("→ –") and set(second[4:]) == {"–"}
    told = followed.follow.ui.followLabel.property("text")
    assert "The earlier CT: Earlier." in told and "93% of 100 places" in told
    assert "The earlier CT and this CT are drawn." in told and "--" not in told
    assert followed.ui.statusLabel.property("text") == "Done."
    assert followed.follow.ui.followTable.parentWidget().minimumSizeHint().width() <= 400  # panels are narrow


def test_both_cts_lie_in_their_own_views_with_the_nodule_at_the_same_place(followed):
    assert {one.GetBackgroundVolumeID() for one in views(UPPER)} == {node("This").GetID()}
    assert {one.GetBackgroundVolumeID() for one in views(LOWER)} == {node("Earlier").GetID()}
    assert all(one.GetLinkedControl() for one in views(UPPER + LOWER))
    followed.follow.ui.followTable.selectRow(1)
    pair = followed.follow._pairs[1]
    places = [point_of_scene(place, node(name)) for place, name in zip(pair.places, ("Earlier", "This"), strict=True)]
    np.testing.assert_allclose(places[0], places[1], atol=1e-6)
    turned = slicer.util.arrayFromTransformMatrix(node("Earlier").GetParentTransformNode())
    np.testing.assert_allclose(turned[:3, :3], RIGID[:3, :3])
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())[:3, 3], places[1], atol=1e-6)
    outlines = [results_of(node(name)).segmentation.GetDisplayNode().GetViewNodeIDs() for name in ("This", "Earlier")]
    assert len(outlines[0]) == len(outlines[1]) == 3 and not set(outlines[0]) & set(outlines[1])


def test_verdicts_are_of_the_nodule_whose_pair_is_shown(followed):
    table = followed.follow.ui.followTable
    assert followed.review.selected == "Nodule_1"
    table.selectRow(1)  # in the earlier study alone
    assert followed.review.selected is None and not followed.ui.rejectButton.isEnabled()
    table.selectRow(0)
    assert followed.review.selected == "Nodule_1"
    click(followed.ui.rejectButton)
    assert [row.verdict for row in followed.review._review.rows()] == ["rejected", "open"]


def test_a_nodule_of_the_review_that_has_no_pair_is_seen_alone(followed):
    assert followed.follow.ui.followTable.selectionModel().selectedRows()
    followed.review.select("Nodule_2")
    assert node("Earlier").GetParentTransformNode() is None
    assert followed.review.selected == "Nodule_2"
    followed.follow.ui.followTable.selectRow(0)
    followed.follow.ui.followTable.selectRow(1)
    followed.review.select("Nodule_1")
    (row,) = followed.follow.ui.followTable.selectionModel().selectedRows()
    assert row.row() == 0, "its pair is shown"


def seen(*names):
    return [results_of(node(name)).segmentation.GetDisplayNode().GetVisibility() for name in names]


def test_outlines_of_neither_study_lie_over_another_ct(followed):
    followed.ui.ctSelector.setCurrentNode(add_ct("Third"))
    assert seen("This", "Earlier") == [0, 0]
    click(followed.ui.segmentButton)
    followed.logic.runs[-1].finish(RESULT)
    assert seen("This", "Earlier", "Third") == [0, 0, 1]


def test_the_outlines_of_a_new_run_are_seen_without_those_that_were_side_by_side(followed):
    before = results_of(node("This")).segmentation
    click(followed.ui.segmentButton)
    followed.logic.runs[-1].finish(RESULT)
    assert not before.GetDisplayNode().GetVisibility()
    assert seen("This", "Earlier") == [1, 0]


def test_the_layers_of_this_ct_leave_the_views_of_the_earlier_one_alone(followed):
    followed.parameters.opacity = 0.25
    assert {one.GetForegroundOpacity() for one in views(UPPER)} == {0.25}
    assert {one.GetBackgroundVolumeID() for one in views(LOWER)} == {node("Earlier").GetID()}


def test_views_are_put_back_and_the_earlier_ct_where_it_was(panel):
    segment_earlier(panel)
    former = put_under_transform(node("Earlier"))
    layout = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    before = layout.GetViewArrangement()
    choose(panel)
    click(panel.follow.ui.followButton)
    panel.logic.followed[-1].finish()
    assert layout.GetViewArrangement() == layout.SlicerLayoutThreeOverThreeView
    click(panel.ui.restoreViewsButton)
    assert layout.GetViewArrangement() == before
    earlier = results_of(node("Earlier"))
    for one in (earlier.ct, earlier.segmentation, earlier.heterogeneity):
        assert one.GetParentTransformNode() is former
    assert slicer.util.getNodesByClass("vtkMRMLLinearTransformNode") == [former]
    assert not any(one.GetLinkedControl() for one in views(UPPER + LOWER))
    assert earlier.segmentation.GetDisplayNode().GetViewNodeIDs() == ()
    panel.follow.ui.followTable.selectRow(0)
    assert node("Earlier").GetParentTransformNode() is not former
    click(panel.ui.restoreViewsButton)
    assert node("Earlier").GetParentTransformNode() is former


def test_selecting_the_earlier_ct_ends_the_comparison(followed):
    followed.ui.ctSelector.setCurrentNode(node("Earlier"))
    assert node("Earlier").GetParentTransformNode() is None
    assert followed.follow.ui.followTable.isHidden()
    followed.ui.ctSelector.setCurrentNode(node("This"))
    assert len(cells(followed)) == 2 and not followed.follow.ui.followTable.isHidden()


def test_a_verdict_given_since_is_told(followed):
    assert "changed since" not in followed.follow.ui.followLabel.property("text")
    click(followed.ui.rejectButton)
    assert "changed since; follow again" in followed.follow.ui.followLabel.property("text")
    click(followed.ui.undoButton)
    assert "changed since" not in followed.follow.ui.followLabel.property("text")


def test_another_patient_is_refused_until_the_reader_confirms(panel):
    segment_earlier(panel)
    for name, patient in (("This", "A-1"), ("Earlier", "B-2")):
        keep_identity(node(name), {"PatientID": patient, "PatientSex": "F"})
    choose(panel)
    click(panel.follow.ui.followButton)
    assert "differ in patient ID" in said(panel) and "A-1" not in said(panel)
    assert panel.logic.followed == [] and not panel.running
    panel.follow.ui.samePatientBox.setChecked(True)
    click(panel.follow.ui.followButton)
    assert panel.logic.followed[-1].same_patient
    panel.cancel()
    panel.follow.ui.priorSelector.setCurrentNode(None)
    assert not panel.follow.ui.samePatientBox.property("checked")


def test_what_fails_is_a_sentence_and_the_panel_goes_on(panel):
    segment_earlier(panel)
    choose(panel)
    click(panel.follow.ui.followButton)
    assert not panel.follow.ui.followButton.isEnabled()
    panel.logic.followed[-1].fail("The lungs do not lie on each other.")
    assert said(panel) == "The lungs do not lie on each other."
    click(panel.follow.ui.followButton)
    click(panel.ui.cancelButton)
    assert "Cancelled" in panel.ui.statusLabel.property("text")
    assert panel.follow.ui.followButton.isEnabled()


def test_an_earlier_ct_that_is_removed_takes_the_table_along(followed):
    slicer.mrmlScene.RemoveNode(node("Earlier"))
    followed._look_at_scene()
    assert followed.follow.ui.followTable.isHidden() and "no longer in the scene" in said(followed)
    assert {one.GetBackgroundVolumeID() for one in views(LOWER)} == {node("This").GetID()}


def test_where_a_study_is_removed_from_a_scene_that_was_saved_side_by_side_no_empty_row_is_put_back(followed):
    followed.memory().forget()
    followed.memory().remember()  # as when such a scene is opened
    slicer.mrmlScene.RemoveNode(slicer.util.getNode("Earlier"))
    slicer.app.processEvents()
    click(followed.ui.restoreViewsButton)
    layout = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    assert layout.GetViewArrangement() != layout.SlicerLayoutThreeOverThreeView


def test_nobody_types_over_the_table(followed):
    assert followed.follow._follow_up.table.GetLocked()


def select(panel, row):
    panel.follow.ui.followTable.selectRow(row)
    slicer.app.processEvents()


def test_a_transform_that_somebody_removed_is_made_anew_with_the_next_pair(followed):
    slicer.mrmlScene.RemoveNode(node("Earlier").GetParentTransformNode())
    select(followed, 1)
    assert said(followed) == ""
    assert node("Earlier").GetParentTransformNode() is not None


def lower_and_upper(panel):
    return [{one.GetBackgroundVolumeID() for one in views(names)} for names in (LOWER, UPPER)]


def test_a_transform_that_is_removed_or_changed_ends_the_comparison_with_a_sentence(followed):
    for change in (
        slicer.mrmlScene.RemoveNode,
        lambda transform: transform.SetMatrixTransformToParent(vtk.vtkMatrix4x4()),
    ):
        select(followed, 1)
        change(node("Earlier").GetParentTransformNode())
        slicer.app.processEvents()
        assert "moved while they were side by side" in said(followed)
        assert node("Earlier").GetParentTransformNode() is None
        assert lower_and_upper(followed) == [{node("This").GetID()}] * 2
        assert followed.follow.ui.followTable.selectedItems() == []
        select(followed, 0)
        assert said(followed) == "" and lower_and_upper(followed)[0] == {node("Earlier").GetID()}


def test_a_study_that_is_put_under_another_transform_stays_there_and_the_comparison_ends(followed):
    for name in ("This", "Earlier"):
        select(followed, 0)
        own = put_under_transform(node(name))
        slicer.app.processEvents()
        assert "moved while they were side by side" in said(followed)
        assert node(name).GetParentTransformNode() is own
        assert lower_and_upper(followed) == [{node("This").GetID()}] * 2
    assert node("Earlier").GetTransformNodeID() == results_of(node("Earlier")).segmentation.GetTransformNodeID()


def test_a_table_that_somebody_removed_leaves_the_earlier_ct_where_it_was(followed):
    transforms = len(slicer.util.getNodesByClass("vtkMRMLLinearTransformNode"))
    slicer.mrmlScene.RemoveNode(followed.follow._follow_up.table)
    slicer.app.processEvents()
    assert node("Earlier").GetParentTransformNode() is None
    assert len(slicer.util.getNodesByClass("vtkMRMLLinearTransformNode")) == transforms - 1
    assert said(followed) == ""


def test_in_another_layout_the_next_pair_brings_both_rows_back(followed):
    layout = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    layout.SetViewArrangement(layout.SlicerLayoutOneUpRedSliceView)
    select(followed, 1)
    assert layout.GetViewArrangement() == layout.SlicerLayoutThreeOverThreeView


def test_closing_the_scene_leaves_the_layout_with_two_rows(followed):
    scene = slicer.mrmlScene
    layout = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    scene.StartState(scene.CloseState)
    assert layout.GetViewArrangement() != layout.SlicerLayoutThreeOverThreeView
    scene.EndState(scene.CloseState)


def test_where_an_earlier_ct_was_moved_for_good_no_pair_is_shown_at_a_wrong_place(followed):
    earlier = node("Earlier")
    earlier.HardenTransform()
    slicer.app.processEvents()
    select(followed, 1)
    assert earlier.GetParentTransformNode() is None
    assert "moved or cut since" in followed.follow.ui.followLabel.property("text")
    assert said(followed) == ""


def test_a_report_that_somebody_removed_is_told(followed, tmp_path):
    (report,) = (one for one in slicer.util.getNodesByClass("vtkMRMLTextNode") if "report" in one.GetName())
    slicer.mrmlScene.RemoveNode(report)
    followed.ui.exportFolderEdit.setCurrentPath(str(tmp_path))
    click(followed.follow.ui.followReportButton)
    assert said(followed) == "The report was removed from the scene; follow again."


def test_the_report_is_written_where_the_other_files_are(followed, tmp_path):
    assert not followed.follow.ui.followReportButton.isEnabled()
    followed.ui.exportFolderEdit.setCurrentPath(str(tmp_path))
    click(followed.follow.ui.followReportButton)
    assert (tmp_path / "follow.html").read_text() == "<p>the report</p>"


def test_days_and_patient_were_said_of_the_ct_that_was_selected_then(panel):
    choose(panel)
    panel.follow.ui.daysBox.setValue(90)
    panel.follow.ui.samePatientBox.setChecked(True)
    panel.ui.ctSelector.setCurrentNode(add_ct("Third"))
    assert panel.follow.ui.daysBox.property("value") == 0
    assert not panel.follow.ui.samePatientBox.property("checked")


def test_with_the_scene_what_was_said_of_the_earlier_study_is_closed(panel, tmp_path):
    panel.follow.ui.priorPathEdit.setCurrentPath(str(tmp_path))
    panel.follow.ui.daysBox.setValue(90)
    panel.follow.ui.samePatientBox.setChecked(True)
    slicer.mrmlScene.Clear(False)
    slicer.app.processEvents()
    add_ct("Another patient")
    slicer.app.processEvents()
    assert panel.follow.prior is None
    assert panel.follow.ui.daysBox.property("value") == 0
    assert not panel.follow.ui.samePatientBox.property("checked")
