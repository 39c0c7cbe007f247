"""What lies over the CT: layers, values, histograms, normalisation and slab, on the nodes of a result made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lnhg.errors import InputError
from lnhg.options import Options
from lnhg.stages.axial import axial_order
from lnhg.stages.heterogeneity_figures import rim_mask
from lnhg.stages.heterogeneity_legend import full_scale, legend_text
from lnhg.stages.heterogeneity_maps import MapInput, nodule_map, outlines_of, raw_map

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")

import vtk  # noqa: E402
from vtk.util.numpy_support import vtk_to_numpy  # noqa: E402

from host.handmade import BALLS, GRIDS, SAGITTAL, handmade_result  # noqa: E402
from host.scenes import added, on_ct_grid  # noqa: E402
from LNHGSlicerLib.review.verdicts import set_verdict  # noqa: E402
from LNHGSlicerLib.scene import nodes as scene  # noqa: E402
from LNHGSlicerLib.scene.headless import fit_slice_views  # noqa: E402
from LNHGSlicerLib.scene.layers import Layers, ViewState  # noqa: E402

EVERYWHERE = Options(full_generator=True)
#: Voxels (slice, row, column): the middle of the first ball, beside it inside, and far from both.
MIDDLE, INSIDE, OUTSIDE = (6, 20, 15), (6, 22, 15), (1, 1, 1)


def result_on(grid, options=EVERYWHERE):
    """The result made by hand with a G(x) that is everywhere something, brightest in the middle of each ball."""
    result = handmade_result(grid)
    noise = np.random.default_rng(7).uniform(0.02, 0.2, result.labels.shape)
    image = np.where(result.labels > 0, 0.9 - 0.6 * result.heterogeneity + noise / 3, noise).astype(np.float32)
    return replace(result, generated=lambda: image, options=options)


def ras(result, voxel):
    return result.ct.to_ras(np.array(voxel[::-1]))


def views():
    return slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")


def foregrounds():
    return {view.GetForegroundVolumeID() for view in views()}


def array(node):
    return slicer.util.arrayFromVolume(node)


@pytest.mark.parametrize(
    ("layer", "field"),
    [("final", "heterogeneity"), ("boxes", "heterogeneity"), ("generated", "generated"), ("raw", "raw_ct")],
)
def test_each_layer_lies_over_the_ct_in_every_view(host, layer, field):
    nodes = added(result_on(GRIDS["axial"]))
    Layers(nodes).show(layer)
    assert {view.GetBackgroundVolumeID() for view in views()} == {nodes.ct.GetID()}
    assert foregrounds() == {getattr(nodes, field).GetID()}


def test_the_boxes_are_seen_in_their_layer_only(host):
    nodes = added(result_on(GRIDS["axial"]))
    layers, display = Layers(nodes), nodes.boxes.GetDisplayNode()
    assert not display.GetVisibility()
    layers.show("boxes")
    assert display.GetVisibility()
    assert display.GetVisibility2D()
    assert display.GetVisibility3D()
    layers.show("raw")
    assert not display.GetVisibility()


def test_opacity_map_and_outline_are_kept_when_the_layer_changes(host):
    nodes = added(result_on(GRIDS["axial"]))
    layers = Layers(nodes)
    layers.set_opacity(0.3)
    layers.set_outline_visible(False)
    layers.show("raw")
    assert [view.GetForegroundOpacity() for view in views()] == [0.3] * 3
    assert not nodes.segmentation.GetDisplayNode().GetVisibility2D()
    layers.set_map_visible(False)
    assert foregrounds() == {None}
    layers.show("final")
    assert foregrounds() == {None}
    layers.set_map_visible(True)
    assert foregrounds() == {nodes.heterogeneity.GetID()}
    assert layers.state == ViewState("final", 0.3, True, False)


def test_layers_start_from_what_the_reader_chose_before(host):
    nodes = added(result_on(GRIDS["axial"]))
    scene.show(nodes)
    Layers(nodes, ViewState("raw", 0.8)).apply()
    assert foregrounds() == {nodes.raw_ct.GetID()}
    assert views()[0].GetForegroundOpacity() == 0.8


@pytest.mark.parametrize("options", [EVERYWHERE, Options(fusion="paper")])
def test_a_run_of_the_generator_on_every_slice_has_all_layers(host, options):
    layers = Layers(added(result_on(GRIDS["axial"], options)))
    assert layers.available() == ["final", "boxes", "generated", "raw", "components"]
    others = ["scan", "nodule", "slice"] if options.fusion == "paper" else ["fixed", "scan", "nodule"]
    assert layers.normalisations() == ["auto", *others]


def test_without_the_generator_on_every_slice_its_layer_is_missing_and_the_reason_is_told(host):
    layers = Layers(added(result_on(GRIDS["axial"], Options())))
    assert layers.available() == ["final", "boxes", "raw", "components"]
    assert "every slice" in layers.why_not("generated")
    with pytest.raises(InputError, match="every slice"):
        layers.show("generated")
    with pytest.raises(InputError, match="every slice"):
        layers.set_normalisation("slice", "inverse")
    assert layers.normalisation == "auto"


def test_a_range_that_a_kind_has_not_and_a_kind_that_needs_a_run_are_refused_with_the_reason(host):
    layers = Layers(added(result_on(GRIDS["axial"])))
    with pytest.raises(InputError, match="has no range slice"):
        layers.set_normalisation("slice", "deviation")
    with pytest.raises(InputError, match="needs the generator"):
        layers.set_normalisation("auto", "twin")


@pytest.mark.parametrize("kind", ["auto", "deviation", "twin", "inverse", "intensity"])
@pytest.mark.parametrize("normalisation", ["auto", "fixed", "scan", "nodule", "slice"])
def test_every_kind_and_range_is_shown_or_refused_with_a_sentence(host, kind, normalisation):
    nodes = added(result_on(GRIDS["axial"]))
    layers, before = Layers(nodes), array(nodes.heterogeneity).copy()
    reason = layers.why_no_map(normalisation, kind)
    if not reason:
        layers.set_normalisation(normalisation, kind)
        title = legend_of(nodes.heterogeneity).GetTitleText()
        assert title.splitlines() == [*legend_text(Options(heterogeneity=kind, normalisation=normalisation))]
        return
    assert reason.endswith(".") and (kind in reason or layers.map_kind in reason)
    with pytest.raises(InputError):
        layers.set_normalisation(normalisation, kind)
    np.testing.assert_array_equal(array(nodes.heterogeneity), before)


def test_a_map_of_the_kind_twin_is_hidden_and_shown_again_as_its_run_made_it(host):
    result = result_on(GRIDS["axial"], Options(heterogeneity="twin"))
    nodes = added(result)
    layers = Layers(nodes)
    set_verdict(nodes, "Nodule_1", "rejected")
    layers.update_maps()
    assert (array(nodes.heterogeneity)[result.labels == 1] == -1).all()
    set_verdict(nodes, "Nodule_1", "open")
    layers.update_maps()
    np.testing.assert_array_equal(array(nodes.heterogeneity), result.heterogeneity)
    with pytest.raises(InputError, match="keeps the range of its run"):
        layers.set_normalisation("nodule", "twin")


def test_without_the_generator_image_the_papers_maps_are_refused_with_the_reason(host):
    layers = Layers(added(result_on(GRIDS["axial"]), with_generated=False))
    assert layers.available() == ["final", "boxes", "raw", "components"]
    assert layers.normalisations() == ["auto", "fixed", "scan", "nodule"]  # made from the CT alone
    with pytest.raises(InputError, match="generator image is not in this scene"):
        layers.set_normalisation("nodule", "inverse")


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize(
    ("layer", "field"), [("final", "heterogeneity"), ("raw", "raw_ct"), ("generated", "generated")]
)
def test_the_value_under_a_point_is_that_of_its_voxel_in_the_layer(host, grid, layer, field):
    result = result_on(GRIDS[grid])
    nodes = added(result)
    layers = Layers(nodes)
    layers.show(layer)
    for voxel in (MIDDLE, INSIDE):
        assert layers.value_at(ras(result, voxel)) == pytest.approx(
            float(on_ct_grid(nodes.ct, getattr(nodes, field))[voxel])
        )
    nearly = np.array(INSIDE) + 0.4
    assert layers.value_at(ras(result, nearly)) == layers.value_at(ras(result, INSIDE))


def test_outside_the_nodules_the_map_has_no_value_but_the_generator_image_has(host):
    result = result_on(GRIDS["sheared"])
    layers = Layers(added(result))
    assert layers.value_at(ras(result, OUTSIDE)) is None
    layers.show("generated")
    assert layers.value_at(ras(result, OUTSIDE)) == pytest.approx(float(result.image[OUTSIDE]))
    assert layers.value_at(ras(result, (-1, 5, 5))) is None
    assert layers.value_at(ras(result, (20, 5, 5))) is None


def test_under_a_transform_the_value_is_read_where_the_nodule_is_shown(host):
    result = result_on(GRIDS["oblique"])
    ct = scene.add_ct(result.ct.hu, result.ct.ijk_to_ras, "CT")
    moved = vtk.vtkTransform()
    moved.Translate(100, -20, 5)
    transform = host.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(moved.GetMatrix())
    ct.SetAndObserveTransformNodeID(transform.GetID())
    layers = Layers(scene.add_result(ct, result))
    shown = np.add(ras(result, INSIDE), (100, -20, 5))
    assert layers.value_at(shown) == pytest.approx(float(result.heterogeneity[INSIDE]))
    assert layers.value_at(ras(result, INSIDE)) is None


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("layer", ["final", "raw", "generated"])
def test_the_histogram_counts_every_voxel_of_the_nodule(host, grid, layer):
    result = result_on(GRIDS[grid])
    layers = Layers(added(result))
    layers.show(layer)
    for label in (1, 2):
        counts, edges = layers.histogram(f"Nodule_{label}")
        assert counts.sum() == (result.labels == label).sum()
        assert (edges[0], edges[-1], len(edges)) == (0, 1, len(counts) + 1)


def test_the_histogram_is_that_of_the_values_in_the_map(host):
    result = result_on(GRIDS["axial"])
    counts, edges = Layers(added(result)).histogram("Nodule_2")
    np.testing.assert_array_equal(counts, np.histogram(result.heterogeneity[result.labels == 2], edges)[0])


@pytest.mark.parametrize("grid", [*GRIDS.values(), SAGITTAL], ids=[*GRIDS, "sagittal"])
@pytest.mark.parametrize(
    ("kind", "normalisation"),
    [
        *[(kind, one) for kind in ("inverse", "intensity") for one in ("scan", "nodule", "slice")],
        *[("deviation", one) for one in ("fixed", "scan", "nodule")],
    ],
)
def test_both_maps_are_those_that_a_run_with_these_options_makes(host, grid, kind, normalisation):
    result = result_on(grid)
    nodes = added(result)
    layers = Layers(nodes)
    layers.set_normalisation(normalisation, kind)
    view, options = axial_order(result.ct), replace(result.options, heterogeneity=kind, normalisation=normalisation)
    scan = MapInput(view.ct.hu, view.ct.spacing, view.to_axial(result.image))
    outlines = outlines_of(view.to_axial(result.labels))
    expected = view.from_axial(nodule_map(scan, outlines, options).whole())
    np.testing.assert_allclose(array(nodes.heterogeneity), expected, atol=1e-6)
    raw_ct = view.from_axial(raw_map(scan, outlines, options).whole())
    np.testing.assert_allclose(on_ct_grid(nodes.ct, nodes.raw_ct), raw_ct, atol=1e-6)
    assert (layers.normalisation, layers.kind) == (normalisation, kind)
    assert legend_of(nodes.heterogeneity).GetTitleText().splitlines() == [*legend_text(options)]
    assert nodes.heterogeneity.GetAttribute("LNHG.FullScale") == full_scale(options)


def test_a_hidden_rim_stays_hidden_when_the_map_is_made_anew(host):
    result = result_on(GRIDS["oblique"], Options(hide_rim=True, rim=1.0, full_generator=True))
    nodes = added(result)
    Layers(nodes).set_normalisation("nodule", "inverse")
    rim = rim_mask(result.labels, result.ct.spacing, 1.0)
    np.testing.assert_array_equal(array(nodes.heterogeneity) < 0, rim | (result.labels == 0))
    np.testing.assert_array_equal(on_ct_grid(nodes.ct, nodes.raw_ct) < 0, result.labels == 0)


def test_a_rejected_nodule_leaves_the_maps_and_the_other_keeps_its_colours(host):
    result = result_on(GRIDS["axial"])
    nodes = added(result)
    layers = Layers(nodes)
    layers.update_maps()
    before = array(nodes.heterogeneity).copy()
    segment = nodes.segmentation.GetSegmentation().GetSegment("Nodule_1")
    segment.SetTag("LNHG.Verdict", "rejected")
    layers.update_maps()
    np.testing.assert_array_equal(array(nodes.heterogeneity), np.where(result.labels == 1, -1, before))
    segment.SetTag("LNHG.Verdict", "open")
    layers.update_maps()
    np.testing.assert_array_equal(array(nodes.heterogeneity), before)


def test_an_edited_nodule_is_coloured_where_it_is_now(host):
    result = result_on(GRIDS["sheared"])
    nodes = added(result)
    smaller = np.where(np.arange(result.labels.shape[1])[:, None] > BALLS[0][0][1], result.labels == 1, 0).astype(
        np.uint8
    )
    slicer.util.updateSegmentBinaryLabelmapFromArray(smaller, nodes.segmentation, "Nodule_1", nodes.ct)
    layers = Layers(nodes)
    layers.update_maps()
    np.testing.assert_array_equal(array(nodes.heterogeneity) >= 0, (smaller > 0) | (result.labels == 2))
    assert layers.histogram("Nodule_1")[0].sum() == smaller.sum()


def legend_of(volume):
    return slicer.modules.colors.logic().GetColorLegendDisplayNode(volume)


def test_every_coloured_volume_has_the_same_colours_from_0_to_1_and_a_legend(host):
    nodes = added(result_on(GRIDS["axial"]))
    for volume, title in (
        (nodes.heterogeneity, "\n".join(legend_text(EVERYWHERE))),
        (nodes.raw_ct, "Raw CT"),
        (nodes.generated, "Generator image G(x)"),
    ):
        display = volume.GetDisplayNode()
        assert display.GetColorNode().GetName() == "LNHG-Heterogeneity"
        assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0, 1)
        assert legend_of(volume).GetTitleText() == title
        assert legend_of(volume).GetVisibility()
    assert not nodes.generated.GetDisplayNode().GetApplyThreshold()  # over the whole slice


@pytest.mark.parametrize("view_name", ["Red", "Green"])
def test_the_slab_shows_what_lies_within_half_its_thickness_of_the_plane(host, view_name):
    hu = np.full((60, 60, 60), -1000, np.int16)
    hu[30], hu[:, 30] = 1000, 1000  # one bright slice, one bright row plane
    ct = scene.add_ct(hu, np.diag([-0.7, -0.7, 2.5, 1.0]), "CT")
    for view in views():
        view.SetBackgroundVolumeID(ct.GetID())
    fit_slice_views()
    layers = Layers(added(result_on(GRIDS["axial"])))
    for view in views():
        view.SetForegroundVolumeID(None)
        view.SetBackgroundVolumeID(ct.GetID())
    middle, spacing = (30 * 2.5, 2.5) if view_name == "Red" else (30 * -0.7, 0.7)
    assert bright(view_name, middle)
    assert not bright(view_name, middle + 4)
    layers.set_slab(10)
    seen = [distance for distance in np.arange(-9, 9.1, 0.5) if bright(view_name, middle + distance)]
    assert max(seen) - min(seen) == pytest.approx(10, abs=spacing)
    layers.set_slab(None)
    assert not bright(view_name, middle + 4)


def bright(view_name, offset):
    """Whether a slice view, its plane at `offset`, is bright away from the middle."""
    node = slicer.util.getFirstNodeByClassByName("vtkMRMLSliceNode", view_name)
    node.SetSliceOffset(float(offset))
    logic = slicer.vtkMRMLSliceLogic()
    logic.SetMRMLScene(slicer.mrmlScene)
    logic.SetSliceNode(node)
    node.Modified()
    logic.UpdatePipeline()
    logic.GetBlend().Update()
    output = logic.GetBlend().GetOutput()
    width, height, _ = output.GetDimensions()
    picture = vtk_to_numpy(output.GetPointData().GetScalars()).reshape(height, width, -1)
    return picture[int(0.42 * height), int(0.45 * width), 0] > 200


def test_a_nodule_that_is_rejected_and_brought_back_has_the_map_that_it_had(host):
    nodes = added(result_on(GRIDS["oblique"]))
    layers = Layers(nodes)
    layers.update_maps()
    before = [slicer.util.arrayFromVolume(one).copy() for one in (nodes.heterogeneity, nodes.raw_ct)]
    for verdict in ("rejected", "open"):
        set_verdict(nodes, "Nodule_1", verdict)
        layers.update_maps()
        now = [slicer.util.arrayFromVolume(one) for one in (nodes.heterogeneity, nodes.raw_ct)]
        assert [np.array_equal(one, other) for one, other in zip(now, before, strict=True)] == [verdict == "open"] * 2
