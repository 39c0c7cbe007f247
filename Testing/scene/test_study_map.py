"""The map of a blind reader study: each nodule in its own kind, and nothing in the views that says which."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lnhg.errors import InputError
from lnhg.options import Options
from lnhg.stages.axial import axial_order
from lnhg.stages.heterogeneity_figures import rim_mask
from lnhg.stages.heterogeneity_maps import MapInput, nodule_map, outlines_of

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")

from host.handmade import GRIDS, SAGITTAL, handmade_result  # noqa: E402
from host.scenes import added, on_ct_grid, put_under_transform  # noqa: E402
from LNHGSlicerLib.review.verdicts import set_verdict  # noqa: E402
from LNHGSlicerLib.scene import nodes as scene  # noqa: E402
from LNHGSlicerLib.scene.layers import Layers  # noqa: E402

KINDS = {"Nodule_1": "inverse", "Nodule_2": "deviation"}


def result_on(grid, **options):
    """The result made by hand, with a G(x) that is brightest in the middle of each ball and a CT with noise in it."""
    result = handmade_result(grid)
    noise = np.random.default_rng(3).uniform(0.02, 0.2, result.labels.shape)
    image = np.where(result.labels > 0, 0.9 - 0.6 * result.heterogeneity + noise / 3, noise).astype(np.float32)
    hu = (result.ct.hu + 400 * noise).astype(np.int16)
    return replace(result, ct=replace(result.ct, hu=hu), generated=lambda: image, options=Options(**options))


def made_by_a_run(result, kind):
    view = axial_order(result.ct)
    scan = MapInput(view.ct.hu, view.ct.spacing, view.to_axial(result.image))
    options = replace(result.options, heterogeneity=kind, normalisation="auto")
    return view.from_axial(nodule_map(scan, outlines_of(view.to_axial(result.labels)), options).whole())


def array(node):
    return slicer.util.arrayFromVolume(node)


def foregrounds():
    views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return {slicer.mrmlScene.GetNodeByID(view.GetForegroundVolumeID()).GetName() for view in views}


def legend_of(volume):
    return slicer.modules.colors.logic().GetColorLegendDisplayNode(volume)


def blind(host, result=None):
    nodes = added(result or result_on(GRIDS["axial"]))
    layers = Layers(nodes)
    scene.show(nodes)
    layers.set_blind(KINDS)
    return nodes, layers


@pytest.mark.parametrize("grid", [*GRIDS.values(), SAGITTAL], ids=[*GRIDS, "sagittal"])
def test_each_nodule_has_the_map_that_a_run_of_its_kind_makes(host, grid):
    result = result_on(grid)
    nodes, _ = blind(host, result)
    expected = np.where(result.labels == 1, made_by_a_run(result, "inverse"), made_by_a_run(result, "deviation"))
    np.testing.assert_allclose(on_ct_grid(nodes.ct, nodes.study_map), expected, atol=1e-6)


def test_the_results_own_map_stays_for_tables_reports_and_the_time_after(host):
    result = result_on(GRIDS["axial"])
    nodes, layers = blind(host, result)
    np.testing.assert_array_equal(array(nodes.heterogeneity), result.heterogeneity)
    assert foregrounds() == {"Map of the reader study"}
    layers.set_blind({})
    assert foregrounds() == {"Heterogeneity"}
    assert nodes.study_map is None
    assert not [one for one in slicer.util.getNodesByClass("vtkMRMLVolumeNode") if "study" in one.GetName()]
    np.testing.assert_array_equal(array(nodes.heterogeneity), result.heterogeneity)


def test_name_legend_colours_and_range_of_the_map_are_the_same_whatever_was_drawn(host):
    nodes, _ = blind(host)
    display = nodes.study_map.GetDisplayNode()
    assert legend_of(nodes.study_map).GetTitleText() == "Map"
    assert display.GetColorNode().GetName() == "LNHG-Heterogeneity"
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0, 1)
    told = [nodes.study_map.GetAttribute(name) for name in ("LNHG.Kind", "LNHG.Normalisation", "LNHG.FullScale")]
    assert told == [None] * 3
    assert nodes.study_map.GetHideFromEditors()


def test_no_other_layer_and_no_value_is_shown_meanwhile_and_both_are_afterwards(host):
    result = result_on(GRIDS["axial"], full_generator=True)
    _, layers = blind(host, result)
    inside = result.ct.to_ras(np.array((15, 20, 6)))
    assert layers.available() == ["final", "boxes"]
    for layer in ("raw", "generated", "components"):
        with pytest.raises(InputError, match="blind reader study"):
            layers.show(layer)
    assert layers.value_at(inside) is None
    layers.set_blind({})
    assert layers.available() == ["final", "boxes", "generated", "raw", "components"]
    assert layers.value_at(inside) is not None


def test_a_legend_that_is_wanted_in_no_view_is_in_none(host):
    nodes = added(result_on(GRIDS["axial"]))
    layers = Layers(nodes)
    layers.set_legend("none")
    layers.set_blind(KINDS)
    assert not legend_of(nodes.study_map).GetVisibility()


def test_a_rejected_nodule_has_no_colour_and_has_it_again(host):
    result = result_on(GRIDS["axial"])
    nodes, layers = blind(host, result)
    before = on_ct_grid(nodes.ct, nodes.study_map)
    set_verdict(nodes, "Nodule_1", "rejected")
    layers.update_maps()
    np.testing.assert_array_equal(on_ct_grid(nodes.ct, nodes.study_map), np.where(result.labels == 1, -1, before))
    set_verdict(nodes, "Nodule_1", "open")
    layers.update_maps()
    np.testing.assert_array_equal(on_ct_grid(nodes.ct, nodes.study_map), before)


def test_a_nodule_that_is_not_in_the_study_has_no_colour(host):
    result = result_on(GRIDS["axial"])
    nodes, layers = blind(host, result)
    layers.set_blind({"Nodule_2": "inverse"})
    np.testing.assert_array_equal(on_ct_grid(nodes.ct, nodes.study_map) >= 0, result.labels == 2)


def test_a_rim_that_the_run_hides_is_hidden_in_both_kinds(host):
    result = result_on(GRIDS["axial"], hide_rim=True)
    nodes, _ = blind(host, result)
    rim = rim_mask(result.labels, result.ct.spacing, 1.0)
    np.testing.assert_array_equal(on_ct_grid(nodes.ct, nodes.study_map) < 0, rim | (result.labels == 0))


def test_the_map_lies_on_a_ct_that_is_moved(host):
    nodes, _ = blind(host)
    transform = put_under_transform(nodes.ct)
    scene.move_with_ct(nodes)
    assert nodes.study_map.GetParentTransformNode() is transform


def test_a_volume_that_somebody_deletes_is_drawn_again_and_the_named_map_is_not_shown(host):
    nodes, layers = blind(host)
    before = on_ct_grid(nodes.ct, nodes.study_map)
    slicer.mrmlScene.RemoveNode(nodes.study_map)
    layers.complete_study_map()
    np.testing.assert_array_equal(on_ct_grid(nodes.ct, nodes.study_map), before)
    assert foregrounds() == {nodes.study_map.GetName()} != {"Heterogeneity"}


def test_the_map_is_no_part_of_the_result_and_is_not_taken_for_a_ct(host):
    nodes, _ = blind(host)
    (found,) = scene.all_results()
    assert nodes.study_map not in found.added
    assert nodes.study_map.GetAttribute("LNHG.Version")
