"""The module's logic and panel, on Slicer's own library with test doubles for the application around it."""

from __future__ import annotations

import ast
import importlib
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

import lnhg
from lnhg.ct import CT
from lnhg.errors import InputError
from lnhg.options import Options
from lnhg.progress import Progress

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")

import vtk  # noqa: E402

from host import application  # noqa: E402
from host.handmade import GRIDS, handmade_result  # noqa: E402
from LNHGSlicerLib.headless import headless_host  # noqa: E402

MODULE_FILE = Path(__file__).resolve().parents[1] / "LNHGSlicer" / "LNHGSlicer.py"
UI_FILE = MODULE_FILE.parent / "Resources" / "UI" / "LNHGSlicer.ui"
RESULT = handmade_result(GRIDS["oblique"])


@pytest.fixture
def module(monkeypatch):
    """The module file, loaded as Slicer would, with a fresh scene."""
    application.install(monkeypatch)
    monkeypatch.delitem(sys.modules, "LNHGSlicer", raising=False)
    with headless_host():
        yield importlib.import_module("LNHGSlicer")


@pytest.fixture
def asked(monkeypatch):
    """Puts a result made by hand in the place of the method; what the method was asked is noted."""
    asked = SimpleNamespace(ct=None, options=None)

    def segment(ct: CT, options=None, seeds=None, progress=None):
        asked.ct, asked.options = ct, options
        if progress is not None:
            progress(Progress("detect", 0.25, 12.4))
        return RESULT

    monkeypatch.setitem(vars(lnhg), "segment", segment)  # not setattr, which would load the real one
    return asked


def ct_node(hu=RESULT.ct.hu):
    return slicer.util.addVolumeFromArray(hu, RESULT.ct.ijk_to_ras, "Thorax")


def colour_picture():
    return slicer.util.addVolumeFromArray(np.zeros((2, 3, 4, 3), np.uint8), nodeClassName="vtkMRMLVectorVolumeNode")


def test_the_method_gets_the_voxels_and_the_grid_of_the_node(module, asked):
    options = Options(fusion="paper")
    module.LNHGSlicerLogic().segmentNodules(ct_node(), options)
    np.testing.assert_array_equal(asked.ct.hu, RESULT.ct.hu)
    assert asked.ct.hu.dtype == np.int16
    np.testing.assert_allclose(asked.ct.ijk_to_ras, RESULT.ct.ijk_to_ras, atol=1e-9)
    assert asked.options is options


def test_the_results_become_nodes_and_are_shown_over_the_ct(module, asked):
    volume = ct_node()
    found = module.LNHGSlicerLogic().segmentNodules(volume)
    assert found.rows == RESULT.nodules
    assert found.warnings == RESULT.warnings
    assert found.segmentation.GetSegmentation().GetNumberOfSegments() == 2
    assert found.table.GetNumberOfRows() == 2
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(found.heterogeneity), RESULT.heterogeneity)
    for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        assert view.GetBackgroundVolumeID() == volume.GetID()
        assert view.GetForegroundVolumeID() == found.heterogeneity.GetID()


def test_the_readers_own_window_of_the_ct_is_left_alone(module, asked):
    volume = ct_node()
    volume.GetDisplayNode().AutoWindowLevelOff()
    volume.GetDisplayNode().SetWindowLevel(350, 40)
    module.LNHGSlicerLogic().segmentNodules(volume)
    assert (volume.GetDisplayNode().GetWindow(), volume.GetDisplayNode().GetLevel()) == (350, 40)


def test_a_ct_under_a_transform_is_read_on_its_own_grid_and_its_results_move_with_it(module, asked):
    volume = ct_node()
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    moved = vtk.vtkTransform()
    moved.Translate(100, 0, 0)
    transform.SetMatrixTransformToParent(moved.GetMatrix())
    volume.SetAndObserveTransformNodeID(transform.GetID())

    found = module.LNHGSlicerLogic().segmentNodules(volume)

    np.testing.assert_allclose(asked.ct.ijk_to_ras, RESULT.ct.ijk_to_ras, atol=1e-9)
    assert found.segmentation.GetParentTransformNode() is transform
    assert found.heterogeneity.GetParentTransformNode() is transform
    centre = RESULT.ct.to_ras(np.argwhere(RESULT.labels == 1).mean(0)[::-1])
    shown = found.segmentation.GetSegmentCenterRAS("Nodule_1")
    np.testing.assert_allclose(shown, np.add(centre, (100, 0, 0)), atol=1)


def test_the_results_stand_under_the_study_of_the_ct(module, asked):
    volume = ct_node()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "patient")
    study = hierarchy.CreateStudyItem(patient, "study")
    hierarchy.CreateItem(study, volume)
    found = module.LNHGSlicerLogic().segmentNodules(volume)
    for node in (found.segmentation, found.heterogeneity, found.table):
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == study


def test_a_second_run_adds_its_own_nodes_and_shares_the_colours(module, asked):
    volume = ct_node()
    first, second = (module.LNHGSlicerLogic().segmentNodules(volume) for _ in range(2))
    assert first.segmentation is not second.segmentation
    colors = [run.heterogeneity.GetDisplayNode().GetColorNode() for run in (first, second)]
    assert colors[0] is colors[1]


def test_padding_of_a_float_volume_becomes_air(module, asked):
    hu = RESULT.ct.hu.astype(np.float32)
    hu[0, 0, :2] = -3024, 12.6
    module.LNHGSlicerLogic().segmentNodules(ct_node(hu))
    assert asked.ct.hu[0, 0, :2].tolist() == [-1024, 13]


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        (lambda: slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Nothing"), "Nothing is empty"),
        (lambda: ct_node(np.full((2, 3, 4), np.nan, np.float32)), "not numbers"),
        (colour_picture, "several values a voxel"),
    ],
    ids=["empty", "not a number", "colour"],
)
def test_a_volume_that_is_no_ct_is_refused_with_a_sentence(module, asked, node, sentence):
    with pytest.raises(InputError, match=sentence):
        module.LNHGSlicerLogic().segmentNodules(node())
    assert asked.ct is None


def test_slicer_lists_the_module_under_segmentation_for_research_use_only(module):
    parent = SimpleNamespace()
    module.LNHGSlicer(parent)
    assert parent.title == "LNHG Slicer"
    assert parent.categories == ["Segmentation"]
    assert "research use only" in parent.helpText.lower()
    assert "10.1109/JBHI.2021.3135647" in parent.acknowledgementText


@pytest.fixture
def widget(module, monkeypatch):
    """The module's panel, set up; its controls are doubles under the names in the `.ui` file."""
    names = [element.get("name") for element in ElementTree.parse(UI_FILE).iter("widget")]
    panel = application.PanelDouble(names)
    shown_errors = []

    @contextmanager
    def try_with_error_display(message, waitCursor):  # noqa: N803 - Slicer's name
        try:
            yield
        except Exception as error:
            shown_errors.append(f"{message} {error}")

    monkeypatch.setattr(slicer.util, "loadUI", lambda path: panel)
    monkeypatch.setattr(slicer.util, "childWidgetVariables", lambda ui: SimpleNamespace(**ui.controls))
    monkeypatch.setattr(slicer.util, "tryWithErrorDisplay", try_with_error_display)
    monkeypatch.setattr(slicer, "app", SimpleNamespace(processEvents=lambda: None), raising=False)
    widget = module.LNHGSlicerWidget()
    widget.setup()
    widget.shown_errors = shown_errors
    yield widget
    widget.cleanup()


def test_the_button_waits_for_a_ct_and_says_so(widget):
    assert not widget.ui.segmentButton.enabled
    assert widget.ui.segmentButton.tip == "Select a chest CT first."
    choose(widget, ct_node())
    assert widget.ui.segmentButton.enabled
    choose(widget, None)
    assert not widget.ui.segmentButton.enabled


def test_a_click_shows_progress_with_time_left_and_then_the_number_of_nodules(widget, asked):
    choose(widget, ct_node())
    widget.ui.segmentButton.emit(True)
    assert widget.ui.statusLabel.shown == ["detect: 25%, 12 s left", "Nodules found: 2"]
    assert widget.panel.enabled
    assert widget.shown_errors == []


def test_a_refused_ct_is_explained_and_the_panel_is_ready_again(widget, asked):
    choose(widget, slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Nothing"))
    widget.ui.segmentButton.emit(True)
    message = "The nodules could not be segmented. The volume Nothing is empty; load the CT again."
    assert widget.shown_errors == [message]
    assert widget.panel.enabled


def choose(widget, node):
    widget.ui.ctSelector.node = node
    widget.ui.ctSelector.emit(node)


def test_slicers_self_test_passes_when_the_method_finds_nodules(module, monkeypatch):
    def segment(ct, options=None, seeds=None, progress=None):
        return handmade_result(ct.ijk_to_ras)

    monkeypatch.setitem(vars(lnhg), "segment", segment)  # not setattr, which would load the real one
    phantom = SimpleNamespace(ct=RESULT.ct)
    monkeypatch.setattr("lnhg.data.phantom.chest_phantom", lambda shape: phantom)
    module.LNHGSlicerTest().runTest()


def test_the_panel_file_names_every_control_that_the_module_uses():
    names = {element.get("name") for element in ElementTree.parse(UI_FILE).iter("widget")}
    used = {
        node.attr
        for node in ast.walk(ast.parse(MODULE_FILE.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "ui"
    }
    assert used
    assert used <= names


def test_the_panel_file_gives_the_scene_to_the_ct_selector():
    connections = ElementTree.parse(UI_FILE).iter("connection")
    wired = {tuple(connection.findtext(part) for part in ("sender", "signal", "receiver")) for connection in connections}
    assert wired == {("LNHGSlicer", "mrmlSceneChanged(vtkMRMLScene*)", "ctSelector")}


def test_the_module_file_imports_nothing_but_slicer_and_the_standard_library_when_it_is_loaded():
    tree = ast.parse(MODULE_FILE.read_text(encoding="utf-8"))
    imported = set()
    for node in tree.body:  # the top level only: `if TYPE_CHECKING` blocks and functions do not count
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.partition(".")[0])
    assert imported <= {"slicer", "qt", "ctk", "vtk", *sys.stdlib_module_names}
