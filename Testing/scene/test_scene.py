"""scene.mrb: what Slicer's library finds in the file, node by node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from lnhg.core.boxes import box_around, label_boxes
from lnhg.core.nodule import as_row, header
from lnhg.errors import LNHGError
from lnhg.options import Options
from lnhg.stages.axial import axial_order
from lnhg.stages.heterogeneity_maps import raw_ct_map
from lnhg.writers.seg_nrrd import segment_color, write_segmentation

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")

import vtk  # noqa: E402
from vtk.util.numpy_support import vtk_to_numpy  # noqa: E402

from host.handmade import BALLS, GRIDS, SAGITTAL, handmade_result  # noqa: E402
from host.scenes import added, on_ct_grid, put_under_transform  # noqa: E402
from LNHGSlicerLib.scene import nodes as lnhg_scene  # noqa: E402
from LNHGSlicerLib.scene.headless import headless_host  # noqa: E402
from LNHGSlicerLib.scene.scene_file import write_scene  # noqa: E402


@pytest.fixture(scope="module", params=GRIDS)
def opened(request, tmp_path_factory):
    """The result that was written, while the scene read back from its file is the current one."""
    result = handmade_result(GRIDS[request.param])
    path = tmp_path_factory.mktemp(request.param) / "scene.mrb"
    write_scene(result, path)
    with headless_host() as scene:
        assert scene.ReadFromMRB(str(path), True)
        yield result


def node(name, class_name):
    found = slicer.util.getFirstNodeByClassByName(class_name, name)
    assert found is not None, f"no {class_name} named {name}"
    return found


def ijk_to_ras(volume):
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def terminology(segment):
    codes = vtk.reference("")
    segment.GetTag(segment.GetTerminologyEntryTagName(), codes)
    return str(codes)


def ct_node():
    return node("CT", "vtkMRMLScalarVolumeNode")


def heterogeneity_node():
    return node("Heterogeneity", "vtkMRMLScalarVolumeNode")


def segmentation_node():
    return node("Nodules", "vtkMRMLSegmentationNode")


def test_the_ct_comes_back_voxel_for_voxel_on_its_grid_under_the_lung_window(opened):
    ct = ct_node()
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(ct), opened.ct.hu)
    np.testing.assert_allclose(ijk_to_ras(ct), opened.ct.ijk_to_ras, atol=1e-3)
    assert (ct.GetDisplayNode().GetWindow(), ct.GetDisplayNode().GetLevel()) == (1500, -600)


def test_the_map_comes_back_on_the_grid_of_the_ct(opened):
    heterogeneity = heterogeneity_node()
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(heterogeneity), opened.heterogeneity)
    np.testing.assert_allclose(ijk_to_ras(heterogeneity), opened.ct.ijk_to_ras, atol=1e-3)


def test_the_map_is_hidden_outside_the_nodules_and_coloured_from_0_to_1_inside(opened):
    display = heterogeneity_node().GetDisplayNode()
    assert display.GetApplyThreshold()
    assert (display.GetLowerThreshold(), display.GetUpperThreshold()) == (0, 1)
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0, 1)
    assert not display.GetAutoWindowLevel()
    assert not display.GetInterpolate()


def test_the_colours_of_the_map_run_from_blue_to_red(opened):
    colors = heterogeneity_node().GetDisplayNode().GetColorNode()
    assert colors.GetName() == "LNHG-Heterogeneity"
    assert colors.GetNumberOfColors() == 256
    table = vtk_to_numpy(colors.GetLookupTable().GetTable())
    assert table[0].tolist() == [0, 0, 128, 255]
    assert table[128, 1] == 255
    assert table[255].tolist() == [128, 0, 0, 255]


def test_the_raw_ct_in_the_same_colours_is_a_layer_to_compare(opened):
    raw_ct = node("Raw CT in the same colours", "vtkMRMLScalarVolumeNode")
    shown = on_ct_grid(node("CT", "vtkMRMLScalarVolumeNode"), raw_ct)
    np.testing.assert_allclose(shown, raw_ct_map(opened), atol=1e-6)
    assert slicer.util.arrayFromVolume(raw_ct).size < shown.size / 2, "no larger than the nodules need"
    assert raw_ct.GetDisplayNode().GetColorNode() is heterogeneity_node().GetDisplayNode().GetColorNode()


def test_a_legend_says_which_map_the_colours_show(opened):
    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(heterogeneity_node())
    assert legend.GetTitleText().splitlines() == [
        "Unevenness (the same range in every scan)",
        "0 = as even as a uniform nodule",
        "1 = strongly uneven: 150 HU and more",
    ]
    assert legend.GetPrimaryDisplayNode() is heterogeneity_node().GetDisplayNode()


def test_every_nodule_is_a_segment_with_its_voxels_name_colour_and_codes(opened):
    segmentation = segmentation_node().GetSegmentation()
    assert tuple(segmentation.GetSegmentIDs()) == ("Nodule_1", "Nodule_2")
    for label, segment_id in enumerate(segmentation.GetSegmentIDs(), 1):
        segment = segmentation.GetSegment(segment_id)
        assert segment.GetName() == f"Nodule {label}"
        np.testing.assert_allclose(segment.GetColor(), segment_color(label), atol=1 / 255)
        for code in ("SCT^49755003^", "SCT^27925004^Nodule", "SCT^39607008^Lung"):
            assert code in terminology(segment)
        voxels = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation_node(), segment_id, ct_node())
        np.testing.assert_array_equal(voxels, opened.labels == label)


def test_the_grid_of_the_segments_is_that_of_the_ct(opened):
    segmentation = segmentation_node()
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    assert segmentation.GetNodeReference(role) is ct_node()
    matrix, image = vtk.vtkMatrix4x4(), slicer.vtkOrientedImageData()
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    geometry = segmentation.GetSegmentation().GetConversionParameter(name)
    assert slicer.vtkSegmentationConverter.DeserializeImageGeometry(geometry, image)
    image.GetImageToWorldMatrix(matrix)
    np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(matrix), opened.ct.ijk_to_ras, atol=1e-3)
    assert image.GetDimensions() == opened.labels.shape[::-1]


def test_every_nodule_has_a_closed_surface_where_its_voxels_are(opened):
    for label, segment_id in enumerate(segmentation_node().GetSegmentation().GetSegmentIDs(), 1):
        surface = vtk.vtkPolyData()
        assert segmentation_node().GetClosedSurfaceRepresentation(segment_id, surface)
        edges = vtk.vtkFeatureEdges()
        edges.SetInputData(surface)
        edges.FeatureEdgesOff()
        edges.Update()
        assert edges.GetOutput().GetNumberOfCells() == 0  # no hole, no seam
        centre = opened.ct.to_ras(np.argwhere(opened.labels == label).mean(0)[::-1])
        np.testing.assert_allclose(surface.GetCenter(), centre, atol=0.5)


def test_the_slices_show_the_map_half_transparent_over_the_ct_at_the_first_nodule(opened):
    views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    assert sorted(view.GetLayoutName() for view in views) == ["Green", "Red", "Yellow"]
    for view in views:
        assert view.GetBackgroundVolumeID() == ct_node().GetID()
        assert view.GetForegroundVolumeID() == heterogeneity_node().GetID()
        assert view.GetForegroundOpacity() == 0.5
    assert not segmentation_node().GetDisplayNode().GetVisibility2DFill()
    red = node("Red", "vtkMRMLSliceNode")
    assert red.GetSliceOffset() == pytest.approx(opened.ct.to_ras(np.array(BALLS[0][0][::-1]))[2], abs=2)


def test_the_red_view_paints_the_middle_of_a_nodule_blue_its_edge_red_and_the_lung_dark_grey(opened):
    red, green, blue = np.moveaxis(painted("Red").astype(int), -1, 0)
    colourful = np.maximum(abs(red - green), abs(green - blue)) > 60
    rows, columns = np.nonzero(colourful)
    assert 20 < rows.size < 0.1 * colourful.size
    middle = round(rows.mean()), round(columns.mean())
    assert blue[middle] > red[middle] + 40
    assert (red > blue + 60).any()
    grey = (red == green) & (green == blue) & (abs(red - 93) < 40)  # -800 HU under the lung window
    assert grey.sum() > 0.2 * grey.size


def painted(view_name):
    """What a slice view shows: `[y, x, rgb]`."""
    logic = slicer.vtkMRMLSliceLogic()
    logic.SetMRMLScene(slicer.mrmlScene)
    logic.SetSliceNode(node(view_name, "vtkMRMLSliceNode"))
    logic.UpdatePipeline()
    logic.GetBlend().Update()
    output = logic.GetBlend().GetOutput()
    width, height, _ = output.GetDimensions()
    return vtk_to_numpy(output.GetPointData().GetScalars()).reshape(height, width, -1)[..., :3]


def test_the_table_has_every_figure_under_its_name_and_unit(opened):
    table = node("Nodule table", "vtkMRMLTableNode").GetTable()
    assert [table.GetColumnName(index) for index in range(table.GetNumberOfColumns())] == header()
    assert table.GetNumberOfRows() == len(opened.nodules)
    for row, nodule in enumerate(opened.nodules):
        for name, value in zip(header(), as_row(nodule), strict=True):
            cell = table.GetValueByName(row, name)
            if isinstance(value, (int, float)):
                assert cell.ToDouble() == pytest.approx(value, rel=1e-5), name  # the file keeps six digits
            else:
                assert cell.ToString() in ((value,) if value else ("", "nan")), name


def test_nobody_types_over_a_measured_figure(opened):
    assert node("Nodule table", "vtkMRMLTableNode").GetLocked()


def test_numbers_of_the_table_stay_numbers(opened):
    table = node("Nodule table", "vtkMRMLTableNode").GetTable()
    assert table.GetColumnByName("id").GetDataTypeAsString() == "int"
    assert table.GetColumnByName("volume (mm3)").GetDataTypeAsString() == "double"
    assert table.GetColumnByName("detector score").GetDataTypeAsString() == "double"
    assert table.GetColumnByName("type").GetDataTypeAsString() == "string"


def test_the_result_nodes_say_what_made_them(opened):
    for made in (segmentation_node(), heterogeneity_node(), node("Nodule table", "vtkMRMLTableNode")):
        assert made.GetAttribute("LNHG.Use") == "research use only"
        assert made.GetAttribute("LNHG.Warnings") == "Slices are thick."
        assert json.loads(made.GetAttribute("LNHG.Provenance")) == opened.provenance
        assert json.loads(made.GetAttribute("LNHG.Source")) == opened.ct.source
        assert json.loads(made.GetAttribute("LNHG.Options"))["fusion"] == "scan"


def test_nothing_in_the_file_names_the_patient(tmp_path):
    result = handmade_result(GRIDS["axial"], patient="DOE^JANE", path="/home/jane/scan.nrrd")
    write_scene(result, tmp_path / "scene.mrb")
    with zipfile.ZipFile(tmp_path / "scene.mrb") as bundle:
        contents = b"".join(name.encode() + bundle.read(name) for name in bundle.namelist()).lower()
    assert b"ct.nrrd" in contents
    assert b"doe" not in contents
    assert b"jane" not in contents


def test_the_segmentation_in_the_file_is_no_larger_than_its_nodules(tmp_path):
    result = handmade_result(GRIDS["axial"])
    write_scene(result, tmp_path / "scene.mrb")
    with zipfile.ZipFile(tmp_path / "scene.mrb") as bundle:
        (name,) = (name for name in bundle.namelist() if name.endswith(".seg.nrrd"))
        bundle.extract(name, tmp_path)
    size = sitk.ReadImage(str(tmp_path / name)).GetSize()
    assert size == tuple(part.stop - part.start for part in reversed(box_around(label_boxes(result.labels).values())))


@pytest.mark.parametrize("grid", GRIDS)
def test_the_segmentation_file_opens_as_the_same_segments_as_the_scene(grid, tmp_path):
    result = handmade_result(GRIDS[grid])
    write_segmentation(tmp_path / "nodules.seg.nrrd", result.labels, result.ct.ijk_to_ras)
    with headless_host() as scene:
        made = added(result)
        opened = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
        storage.SetFileName(str(tmp_path / "nodules.seg.nrrd"))
        assert storage.ReadData(opened)
        assert opened.GetSegmentation().GetSegmentIDs() == made.segmentation.GetSegmentation().GetSegmentIDs()
        for segment_id in opened.GetSegmentation().GetSegmentIDs():
            one, other = (node.GetSegmentation().GetSegment(segment_id) for node in (opened, made.segmentation))
            assert one.GetName() == other.GetName()
            np.testing.assert_allclose(one.GetColor(), other.GetColor(), atol=1e-5)
            assert terminology(one) == terminology(other) != ""
            voxels = slicer.util.arrayFromSegmentBinaryLabelmap(opened, segment_id, made.ct)
            np.testing.assert_array_equal(voxels, result.labels == other.GetLabelValue())


def test_the_ct_is_named_as_asked(tmp_path):
    write_scene(handmade_result(GRIDS["axial"]), tmp_path / "scene.mrb", ct_name="Doe chest")
    with headless_host() as scene:
        assert scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        assert node("Doe chest", "vtkMRMLScalarVolumeNode").GetImageData() is not None


def test_a_mirrored_grid_keeps_every_nodule_at_its_place_in_the_body(tmp_path):
    mirrored = GRIDS["oblique"] @ np.diag([-1, 1, 1, 1])
    result = handmade_result(mirrored)
    write_scene(result, tmp_path / "scene.mrb")
    with headless_host() as scene:
        assert scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        for label in (1, 2):
            expected = result.ct.to_ras(np.argwhere(result.labels == label)[:, ::-1]).mean(0)
            voxels = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation_node(), f"Nodule_{label}", ct_node())
            assert voxels.sum() == (result.labels == label).sum()
            for volume in (ct_node(), heterogeneity_node()):
                ijk = np.argwhere(voxels)[:, ::-1].mean(0)
                np.testing.assert_allclose((ijk_to_ras(volume) @ [*ijk, 1])[:3], expected, atol=1e-3)
            bright = slicer.util.arrayFromVolume(ct_node())[voxels > 0]
            assert (bright == 40).all()


def test_a_scan_without_nodules_gives_an_empty_segmentation_and_an_empty_table(tmp_path):
    write_scene(handmade_result(GRIDS["axial"], balls=()), tmp_path / "scene.mrb")
    with headless_host() as scene:
        assert scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        assert segmentation_node().GetSegmentation().GetNumberOfSegments() == 0
        assert node("Nodule table", "vtkMRMLTableNode").GetNumberOfRows() == 0


# In the axial view of the CT: slice and corners of a candidate's boxes, in pixels.
BOXES = {6: (11, 16, 20, 25), 7: (12, 17, 19, 24)}


def with_boxes(result):
    """The result with one candidate, as the pipeline tells of it."""
    view = axial_order(result.ct).ct
    corners = [
        view.to_ras(np.array([[x0, y0, k], [x1, y0, k], [x1, y1, k], [x0, y1, k]]) - (0.5, 0.5, 0)).round(2).tolist()
        for k, (x0, y0, x1, y1) in BOXES.items()
    ]
    return replace(result, candidates=({"score": 0.9, "origin": "detector", "boxes_ras": corners},))


@pytest.mark.parametrize("grid", [*GRIDS.values(), SAGITTAL], ids=[*GRIDS, "sagittal"])
def test_a_slice_through_a_candidate_shows_the_detectors_box(host, grid):
    result = with_boxes(handmade_result(grid))
    model = added(result).boxes.GetPolyData()
    slices_of = axial_order(result.ct).ct
    normal = np.cross(*slices_of.ijk_to_ras[:3, :2].T)
    for (k, box), corners in zip(BOXES.items(), result.candidates[0]["boxes_ras"], strict=True):
        for aside in (-0.4, 0, 0.4):  # the box is as thick as its slice
            shift = aside * slices_of.ijk_to_ras[:3, 2]
            found = cut(model, slices_of.to_ras((0, 0, k)) + shift, normal)
            for corner in corners:
                assert np.linalg.norm(found - (corner + shift), axis=1).min() < 0.02
            columns, rows, _ = slices_of.to_ijk(found).T
            np.testing.assert_allclose(
                (columns.min(), rows.min(), columns.max(), rows.max()), np.subtract(box, 0.5), atol=0.05
            )


def cut(model, origin, normal):
    """Points of the lines that a slice view draws of a model."""
    plane, cutter, surface = vtk.vtkPlane(), vtk.vtkPlaneCutter(), vtk.vtkGeometryFilter()
    plane.SetOrigin(*origin)
    plane.SetNormal(*normal)
    cutter.SetPlane(plane)
    cutter.SetInputData(model)
    surface.SetInputConnection(cutter.GetOutputPort())
    surface.Update()
    assert surface.GetOutput().GetNumberOfCells() >= 4
    return vtk_to_numpy(surface.GetOutput().GetPoints().GetData())


@pytest.mark.parametrize(
    "options", [Options(slices=(2, 17)), Options(full_generator=True)], ids=["candidates", "everywhere"]
)
@pytest.mark.parametrize("grid", GRIDS)
def test_the_nodes_of_a_saved_scene_are_found_again_from_its_ct(grid, options, tmp_path):
    result = replace(with_boxes(handmade_result(GRIDS[grid])), options=options)
    write_scene(result, tmp_path / "scene.mrb")
    with headless_host() as scene:
        assert scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        nodes = lnhg_scene.results_of(ct_node())
        assert nodes.segmentation is segmentation_node()
        assert nodes.heterogeneity is heterogeneity_node()
        assert nodes.raw_ct is node("Raw CT in the same colours", "vtkMRMLScalarVolumeNode")
        assert nodes.table is node("Nodule table", "vtkMRMLTableNode")
        assert nodes.boxes.GetPolyData().GetNumberOfCells() == 8
        assert not nodes.boxes.GetDisplayNode().GetVisibility()
        assert nodes.options == options
        assert_same_rows(nodes.rows, result.nodules)
        if options.everywhere:
            np.testing.assert_array_equal(slicer.util.arrayFromVolume(nodes.generated), result.image)
        else:
            assert nodes.generated is None
            assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == [
                nodes.ct,
                nodes.heterogeneity,
                nodes.raw_ct,
            ]


def assert_same_rows(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for cell, value in zip(as_row(one), as_row(other), strict=True):
            assert cell == pytest.approx(value, rel=1e-5) if isinstance(value, float) else cell == value


def test_the_rows_follow_the_table(host):
    nodes = added(handmade_result(GRIDS["axial"]))
    assert_same_rows(nodes.rows, handmade_result(GRIDS["axial"]).nodules)
    assert nodes.rows[1].score is None
    assert nodes.rows[1].touches_vessel is False
    nodes.table.GetTable().GetColumnByName("type").SetValue(0, "ground glass")
    assert nodes.rows[0].type == "ground glass"


def test_a_ct_without_a_result_has_none(host):
    result = handmade_result(GRIDS["axial"])
    assert lnhg_scene.results_of(lnhg_scene.add_ct(result.ct.hu, result.ct.ijk_to_ras, "CT")) is None


def test_each_of_two_cts_has_its_own_result_also_after_saving(tmp_path):
    path = tmp_path / "two.mrb"
    results = {"First": handmade_result(GRIDS["axial"]), "Second": handmade_result(GRIDS["sheared"], balls=BALLS[:1])}
    with headless_host() as scene:
        for name, result in results.items():
            nodes = added(result, name)
            lnhg_scene.show(nodes)
        assert scene.WriteToMRB(str(path))
    with headless_host() as scene:
        assert scene.ReadFromMRB(str(path), True)
        for name, result in results.items():
            nodes = lnhg_scene.results_of(node(name, "vtkMRMLScalarVolumeNode"))
            assert len(nodes.rows) == len(result.nodules)
            np.testing.assert_array_equal(slicer.util.arrayFromVolume(nodes.heterogeneity), result.heterogeneity)
            np.testing.assert_array_equal(lnhg_scene.voxels_of(nodes, ["Nodule_1"]) > 0, result.labels == 1)


def test_of_two_runs_in_a_row_the_second_is_found_and_shown_and_the_first_stays(host):
    result = handmade_result(GRIDS["axial"])
    first = added(result)
    lnhg_scene.show(first)
    second = lnhg_scene.add_result(first.ct, replace(result, labels=np.where(result.labels == 2, 0, result.labels)))
    lnhg_scene.show(second)
    assert lnhg_scene.results_of(first.ct) == second
    assert lnhg_scene.all_results() == [first, second]
    assert [nodes.segmentation.GetDisplayNode().GetVisibility() for nodes in (first, second)] == [0, 1]
    assert len({one.GetName() for one in (*first.added, *second.added)}) == 12
    for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        assert view.GetForegroundVolumeID() == second.heterogeneity.GetID()
    host.RemoveNode(second.heterogeneity)
    assert lnhg_scene.results_of(first.ct) == first


def test_after_the_scene_was_closed_a_run_starts_anew(host):
    result = handmade_result(GRIDS["axial"])
    lnhg_scene.show(added(result))
    host.Clear(False)
    assert lnhg_scene.all_results() == []
    nodes = added(result)
    lnhg_scene.show(nodes)
    assert lnhg_scene.all_results() == [nodes]
    assert nodes.segmentation is segmentation_node()


def test_showing_a_result_sets_the_lung_window(host):
    result = handmade_result(GRIDS["axial"])
    ct = slicer.util.addVolumeFromArray(result.ct.hu, result.ct.ijk_to_ras, "CT")
    lnhg_scene.show(lnhg_scene.add_result(ct, result))
    display = ct.GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel(), display.GetAutoWindowLevel()) == (1500, -600, 0)


@pytest.mark.parametrize("kind", ["vtkMRMLLinearTransformNode", "vtkMRMLGridTransformNode"])
def test_every_node_that_lies_in_space_moves_with_the_ct(host, kind):
    result = with_boxes(handmade_result(GRIDS["oblique"]))
    ct = lnhg_scene.add_ct(result.ct.hu, result.ct.ijk_to_ras, "CT")
    transform = host.AddNewNodeByClass(kind)
    transform.SetAndObserveTransformToParent(moved_by_100() if "Linear" in kind else warped_by_100())
    ct.SetAndObserveTransformNodeID(transform.GetID())
    nodes = lnhg_scene.add_result(ct, result)
    for one in (nodes.segmentation, nodes.heterogeneity, nodes.raw_ct, nodes.boxes, nodes.generated):
        assert one.GetParentTransformNode() is transform
    centre = result.ct.to_ras(np.argwhere(result.labels == 1).mean(0)[::-1])
    lnhg_scene.jump_to_first_nodule(nodes)
    red = slicer.util.arrayFromVTKMatrix(node("Red", "vtkMRMLSliceNode").GetSliceToRAS())[:3, 3]
    np.testing.assert_allclose(red, np.add(centre, (100, 0, 0)), atol=1.5)
    np.testing.assert_array_equal(lnhg_scene.voxels_of(nodes, ["Nodule_1", "Nodule_2"]), result.labels)


def moved_by_100():
    moved = vtk.vtkTransform()
    moved.Translate(100, 0, 0)
    return moved


def warped_by_100():
    """A field of displacements that is 100 mm to the right everywhere around the CT."""
    field = vtk.vtkImageData()
    field.SetDimensions(4, 4, 4)
    field.SetOrigin(-600, -600, -600)
    field.SetSpacing(400, 400, 400)
    field.AllocateScalars(vtk.VTK_DOUBLE, 3)
    vtk_to_numpy(field.GetPointData().GetScalars())[:] = 100, 0, 0
    warp = slicer.vtkOrientedGridTransform()
    warp.SetDisplacementGridData(field)
    return warp


def test_a_result_that_cannot_be_added_leaves_the_scene_as_it_was(host, monkeypatch):
    result = handmade_result(GRIDS["axial"])
    ct = lnhg_scene.add_ct(result.ct.hu, result.ct.ijk_to_ras, "CT")
    before = slicer.mrmlScene.GetNumberOfNodes()
    monkeypatch.setattr(lnhg_scene, "_provenance", lambda result: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        lnhg_scene.add_result(ct, result)
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    assert lnhg_scene.all_results() == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "scene.mrb"
    path.write_bytes(b"old")
    monkeypatch.setattr(lnhg_scene, "resource", lambda *parts: tmp_path / "no such colours.ctbl")
    with pytest.raises(LNHGError, match="colour table"):
        write_scene(handmade_result(GRIDS["axial"]), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_without_slicers_library_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(LNHGError, match=r"pip install 'lnhg\[host\]'"):
        write_scene(handmade_result(GRIDS["axial"]), tmp_path / "scene.mrb")


def test_a_plain_process_writes_two_scenes_and_ends_quietly(tmp_path):
    program = (
        "import sys; from pathlib import Path; from host.handmade import *\n"
        "from LNHGSlicerLib.scene.scene_file import write_scene\n"
        "for grid in ('axial', 'oblique'): write_scene(handmade_result(GRIDS[grid]), Path(sys.argv[1]) / f'{grid}.mrb')"
    )
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", program, str(tmp_path)]
    paths = os.pathsep.join(str(root / folder) for folder in ("LNHGSlicer", "Testing"))
    ended = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=120, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["axial.mrb", "oblique.mrb"]


def test_a_result_belongs_to_the_voxels_that_it_was_made_from(host):
    nodes = added(handmade_result(GRIDS["axial"]))
    assert lnhg_scene.why_not_on_ct(nodes) == ""
    own, later = nodes.ct.GetImageData(), vtk.vtkImageData()
    later.DeepCopy(own)
    voxels = vtk_to_numpy(later.GetPointData().GetScalars())
    voxels[:] = voxels[::-1]
    nodes.ct.SetAndObserveImageData(later)
    assert "other voxels" in lnhg_scene.why_not_on_ct(nodes)
    nodes.ct.SetAndObserveImageData(own)
    assert lnhg_scene.why_not_on_ct(nodes) == ""
    nodes.ct.SetOrigin(0, 0, 0)
    assert "moved" in lnhg_scene.why_not_on_ct(nodes)


def test_a_result_whose_transforms_were_hardened_with_those_of_its_ct_tells_old_places(host):
    nodes = added(handmade_result(GRIDS["axial"]))
    put_under_transform(nodes.ct)
    lnhg_scene.move_with_ct(nodes)
    for node in (nodes.ct, *nodes.added):
        if node.IsA("vtkMRMLTransformableNode"):
            node.HardenTransform()
    assert "moved" in lnhg_scene.why_not_on_ct(nodes)
