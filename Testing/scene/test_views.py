"""Centring the views, and putting back what was changed in them."""

from __future__ import annotations

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")

from host.handmade import GRIDS, handmade_result  # noqa: E402
from LNHGSlicerLib.scene import nodes as scene  # noqa: E402
from LNHGSlicerLib.scene.layers import Layers  # noqa: E402
from LNHGSlicerLib.scene.views import ViewMemory, centre_on  # noqa: E402

RESULT = handmade_result(GRIDS["oblique"])
POINT = (12.5, -30.0, 41.25)


@pytest.fixture
def ct(host):
    """A CT in a window of the reader's own, behind a second volume; a turned plane, and a camera beside it."""
    ct = slicer.util.addVolumeFromArray(RESULT.ct.hu, RESULT.ct.ijk_to_ras, "Thorax")
    ct.GetDisplayNode().AutoWindowLevelOff()
    ct.GetDisplayNode().SetWindowLevel(350, 40)
    second = slicer.util.addVolumeFromArray(RESULT.ct.hu, RESULT.ct.ijk_to_ras, "Second")
    for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        view.SetBackgroundVolumeID(ct.GetID())
        view.SetForegroundVolumeID(second.GetID())
        view.SetForegroundOpacity(0.2)
    red = slice_node("Red")
    red.SetSliceToRASByNTP(0.1, 0.2, 0.97, 1, 0, 0, 5, 6, 7, 0)
    red.SetFieldOfView(120, 90, 2)
    red.SetXYZOrigin(3, 4, 0)
    camera = host.AddNewNodeByClass("vtkMRMLCameraNode")
    camera.SetPosition(0, 500, 10)
    camera.SetFocalPoint(0, 0, 10)
    return ct


def slice_node(name):
    return slicer.util.getFirstNodeByClassByName("vtkMRMLSliceNode", name)


def seen():
    """Everything that a reader sees of the views, as plain values."""
    layout = slicer.util.getNodesByClass("vtkMRMLLayoutNode")[0]
    values = {"layout": layout.GetViewArrangement()}
    for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        layers = view.GetBackgroundVolumeID(), view.GetForegroundVolumeID(), view.GetForegroundOpacity()
        values[view.GetLayoutName(), "layers"] = layers
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        plane = slicer.util.arrayFromVTKMatrix(node.GetXYToRAS()).round(6).tolist()
        slab = (
            node.GetSlabReconstructionEnabled(),
            node.GetSlabReconstructionType(),
            node.GetSlabReconstructionThickness(),
        )
        values[node.GetName(), "plane"] = plane, node.GetFieldOfView(), slab, node.GetSliceOffset()
    for node in slicer.util.getNodesByClass("vtkMRMLCameraNode"):
        values[node.GetID()] = tuple(node.GetPosition()), tuple(node.GetFocalPoint())
    for name in ("Thorax", "Second"):
        volume = slicer.util.getFirstNodeByClassByName("vtkMRMLScalarVolumeNode", name)
        if volume is not None:
            display = volume.GetDisplayNode()
            values[name] = display.GetWindow(), display.GetLevel(), bool(display.GetAutoWindowLevel())
    return values


def change_everything(ct):
    nodes = scene.add_result(ct, RESULT)
    scene.show(nodes)
    scene.jump_to_first_nodule(nodes)
    Layers(nodes).set_slab(12)
    layout = slicer.util.getNodesByClass("vtkMRMLLayoutNode")[0]
    layout.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView)
    return nodes


def test_the_point_is_in_the_middle_of_every_slice_view(ct):
    centre_on(POINT)
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        plane = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
        np.testing.assert_allclose(plane[:3, 3], POINT, atol=1e-6)


def test_the_3d_view_looks_at_the_point_from_the_side_it_looked_from_before(ct):
    centre_on(POINT)
    camera = slicer.util.getNodesByClass("vtkMRMLCameraNode")[0]
    np.testing.assert_allclose(camera.GetFocalPoint(), POINT)
    np.testing.assert_allclose(camera.GetPosition(), np.add(POINT, (0, 500, 0)))


def test_everything_that_the_module_changed_in_the_views_is_put_back(ct):
    before = seen()
    memory = ViewMemory()
    assert not memory.can_restore
    memory.remember()
    change_everything(ct)
    assert {name for name, value in seen().items() if before.get(name) != value} == set(before) - {"Second"}
    memory.restore()
    assert seen() == before
    assert not memory.can_restore


def test_what_is_put_back_is_what_was_there_before_the_first_of_several_changes(ct):
    before = seen()
    memory = ViewMemory()
    memory.remember()
    change_everything(ct)
    memory.remember()
    change_everything(ct)
    memory.restore()
    assert seen() == before


def test_after_it_was_put_back_the_next_change_is_remembered_anew(ct):
    memory = ViewMemory()
    memory.remember()
    memory.restore()
    slice_node("Red").SetSliceOffset(33)
    before = seen()
    memory.remember()
    change_everything(ct)
    memory.restore()
    assert seen() == before


def test_a_volume_deleted_meanwhile_is_left_out(ct):
    memory = ViewMemory()
    memory.remember()
    slicer.mrmlScene.RemoveNode(slicer.util.getFirstNodeByClassByName("vtkMRMLScalarVolumeNode", "Second"))
    memory.restore()
    for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        assert view.GetBackgroundVolumeID() == ct.GetID()
        assert view.GetForegroundVolumeID() is None


def test_a_map_that_was_shown_from_code_before_is_not_put_back(ct):
    nodes = scene.add_result(ct, RESULT)
    scene.show(nodes)
    memory = ViewMemory()
    memory.remember()
    memory.restore()
    for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        assert (view.GetBackgroundVolumeID(), view.GetForegroundVolumeID()) == (ct.GetID(), None)


def test_nothing_of_a_closed_scene_is_put_into_the_next(ct, host):
    memory = ViewMemory()
    memory.remember()
    host.Clear(False)
    assert not memory.can_restore
    slicer.util.addVolumeFromArray(RESULT.ct.hu, RESULT.ct.ijk_to_ras, "Another")
    before = seen()
    memory.restore()
    assert seen() == before


def test_slicer_is_told_to_look_for_the_legends_again_when_the_views_are_put_back(ct):
    nodes, memory, looked = scene.add_result(ct, RESULT), ViewMemory(), []
    memory.remember()
    scene.show(nodes)
    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(nodes.heterogeneity)
    legend.AddObserver("ModifiedEvent", lambda *_: looked.append(seen()["Red", "layers"]))
    memory.restore()
    assert looked and looked[-1] == seen()["Red", "layers"]
