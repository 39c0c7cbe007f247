"""Nodules that a run has found so far: drawn and listed while it runs, and gone when it ends."""

from __future__ import annotations

import numpy as np
import pytest

from lnhg.progress import Found, Progress

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")
pytest.importorskip("PySide6", reason="needs the dev extra: pip install 'lnhg[dev]'")

from vtk.util.numpy_support import vtk_to_numpy  # noqa: E402

from host.panel_double import RESULT, add_ct, click  # noqa: E402
from host.scenes import put_under_transform  # noqa: E402
from LNHGSlicerLib.scene.nodes import all_results  # noqa: E402


def found(label=1, probability=0.9):
    """A nodule of `RESULT` as a run tells of it."""
    places = np.argwhere(RESULT.labels == label)
    low, end = places.min(0), places.max(0) + 1
    mask = RESULT.labels[tuple(map(slice, low, end))] == label
    middle = RESULT.ct.to_ras(places.mean(0)[::-1])
    return Found(tuple(low.tolist()), mask, probability, 6.4, tuple(middle.tolist()))


@pytest.fixture
def running(panel):
    """The panel with a run on a CT, `panel.ct`."""
    panel.ct = add_ct()
    panel.nodes_before = slicer.mrmlScene.GetNumberOfNodes()
    click(panel.ui.segmentButton)
    return panel


def tell(panel, one):
    panel.logic.runs[-1].progress(Progress("detect", 0.3, 9.0, one))


def rows(panel):
    table = panel.ui.foundTable
    columns, count = range(table.property("columnCount")), table.property("rowCount")
    return [[table.item(row, column).text() for column in columns] for row in range(count)]


def drawn():
    """The nodes of nodules found so far."""
    return [node for node in slicer.util.getNodesByClass("vtkMRMLModelNode") if "provisional" in node.GetName()]


def listed(panel):
    return not panel.ui.foundBox.isHidden()


def test_nodules_are_drawn_and_listed_one_by_one_as_provisional(running):
    assert not listed(running)
    tell(running, found(1))
    assert listed(running) and "provisional" in running.ui.foundLabel.property("text")
    tell(running, found(2, 0.42))
    height = f"{found(1).centre_ras[2]:.0f}"
    assert rows(running)[0] == ["provisional", "6", "0.90", height]
    assert [row[2] for row in rows(running)] == ["0.90", "0.42"]
    (node,) = drawn()
    ijk = RESULT.ct.to_ijk(vtk_to_numpy(node.GetPolyData().GetPoints().GetData()))
    places = np.argwhere(RESULT.labels)[:, ::-1]
    np.testing.assert_allclose([ijk.min(0), ijk.max(0)], [places.min(0) - 0.5, places.max(0) + 0.5], atol=1e-3)
    assert node.GetDisplayNode().GetVisibility() and node.GetDisplayNode().GetVisibility2D()


def test_they_are_no_result_and_neither_judged_nor_exported_nor_saved(running):
    tell(running, found())
    (node,) = drawn()
    assert all_results() == []
    assert running.ui.reviewGroup.isHidden() and not running.ui.exportTableButton.isEnabled()
    assert not node.GetSaveWithScene() and not node.GetDisplayNode().GetSaveWithScene()
    assert node.GetHideFromEditors()


def test_a_click_on_a_row_centres_the_views_on_it(running):
    put_under_transform(running.ct)
    tell(running, found(1))
    tell(running, found(2))
    running.ui.foundTable.selectRow(1)
    red = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
    expected = np.add(found(2).centre_ras, [100, 0, 0])
    np.testing.assert_allclose([red.GetSliceToRAS().GetElement(axis, 3) for axis in range(3)], expected, atol=0.1)
    (node,) = drawn()
    assert node.GetTransformNodeID() == running.ct.GetTransformNodeID()


def test_a_click_on_a_row_leaves_the_nodule_that_was_under_review(running):
    """Who rejects what is seen would reject another one."""
    running.logic.runs[-1].finish()
    click(running.ui.segmentButton)
    tell(running, found(2))
    assert running.review.selected == "Nodule_1"
    running.ui.foundTable.selectRow(0)
    assert running.review.selected is None
    assert not running.ui.acceptButton.isEnabled() and not running.ui.rejectButton.isEnabled()


def test_the_result_takes_their_place(running):
    tell(running, found())
    running.logic.runs[-1].finish()
    assert not listed(running) and rows(running) == []
    assert drawn() == [] and len(all_results()) == 1
    assert running.ui.noduleTable.property("rowCount") == 2


@pytest.mark.parametrize("end", ["cancelled", "failed"])
def test_nothing_of_them_is_left_when_the_run_ends_otherwise(running, end):
    tell(running, found())
    if end == "cancelled":
        click(running.ui.cancelButton)
    else:
        running.logic.runs[-1].fail("It broke.", None)
    assert not listed(running) and rows(running) == []
    assert slicer.mrmlScene.GetNumberOfNodes() == running.nodes_before
    click(running.ui.segmentButton)
    assert not listed(running)


def test_a_scene_that_is_closed_ends_it_all(running):
    tell(running, found())
    slicer.mrmlScene.Clear()
    assert not listed(running) and drawn() == []
    add_ct()
    click(running.ui.segmentButton)
    tell(running, found())
    assert len(rows(running)) == 1


def test_while_another_ct_is_selected_they_are_hidden(running):
    tell(running, found(1))
    running.ui.ctSelector.setCurrentNode(add_ct("Other"))
    (node,) = drawn()
    tell(running, found(2))
    assert not listed(running) and not node.GetDisplayNode().GetVisibility()
    running.ui.ctSelector.setCurrentNode(running.ct)
    assert listed(running) and node.GetDisplayNode().GetVisibility() and len(rows(running)) == 2


@pytest.mark.parametrize("change", ["moved", "removed", "model removed"])
def test_nothing_is_drawn_on_a_ct_that_was_moved_or_removed_or_where_somebody_removed_the_model(running, change):
    tell(running, found(1))
    (node,) = drawn()
    if change == "moved":
        running.ct.SetOrigin(1, 2, 3)
    else:
        slicer.mrmlScene.RemoveNode(node if change == "model removed" else running.ct)
    tell(running, found(2))
    assert len(rows(running)) == 1 and not running.ui.errorLabel.property("text")
    assert drawn() == ([] if change == "model removed" else [node])
    running.ui.foundTable.selectRow(0)
    click(running.ui.cancelButton)
    assert drawn() == [] and rows(running) == []


def test_the_earlier_result_stays_under_review_meanwhile(running):
    running.logic.runs[-1].finish()
    click(running.ui.segmentButton)
    tell(running, found())
    assert listed(running) and running.ui.noduleTable.property("rowCount") == 2
    assert running.ui.acceptButton.isEnabled()
    click(running.ui.cancelButton)
    assert drawn() == [] and len(all_results()) == 1


def test_views_that_a_click_on_a_row_has_moved_can_be_put_back_after_a_cancel(running):
    tell(running, found())
    running.ui.foundTable.selectRow(0)
    click(running.ui.cancelButton)
    assert running.memory().can_restore
