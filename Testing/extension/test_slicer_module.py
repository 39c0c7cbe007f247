"""The module file: what Slicer lists of it, its logic and its self test, with doubles for the application around it."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import lnhg
from lnhg.core.ct import CT
from lnhg.errors import InputError
from lnhg.options import Options
from lnhg.progress import Progress

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")


from host import qt_double  # noqa: E402
from host.handmade import GRIDS, handmade_result  # noqa: E402
from host.scenes import put_under_transform  # noqa: E402
from LNHGSlicerLib.scene.headless import headless_host  # noqa: E402

MODULE_FILE = Path(__file__).resolve().parents[2] / "LNHGSlicer" / "LNHGSlicer.py"
RESULT = handmade_result(GRIDS["oblique"])


@pytest.fixture
def module(monkeypatch):
    """The module file, loaded as Slicer would, with a fresh scene."""
    qt_double.install(monkeypatch)
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


def test_the_ct_is_shown_in_the_lung_window(module, asked):
    volume = ct_node()
    module.LNHGSlicerLogic().segmentNodules(volume)
    assert (volume.GetDisplayNode().GetWindow(), volume.GetDisplayNode().GetLevel()) == (1500, -600)


def test_a_ct_under_a_transform_is_read_on_its_own_grid_and_its_results_move_with_it(module, asked):
    volume = ct_node()
    transform = put_under_transform(volume)

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


def test_slicers_self_test_passes_when_the_method_finds_nodules(module, monkeypatch):
    def segment(ct, options=None, seeds=None, progress=None):
        return handmade_result(ct.ijk_to_ras)

    monkeypatch.setitem(vars(lnhg), "segment", segment)  # not setattr, which would load the real one
    phantom = SimpleNamespace(ct=RESULT.ct)
    monkeypatch.setattr("lnhg.phantom.chest_phantom", lambda shape: phantom)
    module.LNHGSlicerTest().runTest()


def test_the_module_file_imports_nothing_but_slicer_and_the_standard_library_when_it_is_loaded():
    tree = ast.parse(MODULE_FILE.read_text(encoding="utf-8"))
    imported = set()
    for node in tree.body:  # the top level only: `if TYPE_CHECKING` blocks and functions do not count
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.partition(".")[0])
    assert imported <= {"slicer", "qt", "ctk", "vtk", *sys.stdlib_module_names}
