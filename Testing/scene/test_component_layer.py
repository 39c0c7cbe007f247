"""The layer of what nodules consist of: the components that the table counts, in colours of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lnhg.stages.components import Component, component_volumes, components

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")

from host.handmade import BALLS, GRIDS, SAGITTAL, handmade_result  # noqa: E402
from host.scenes import added, on_ct_grid, put_under_transform  # noqa: E402
from LNHGSlicerLib.review.verdicts import set_verdict  # noqa: E402
from LNHGSlicerLib.scene import nodes as scene  # noqa: E402
from LNHGSlicerLib.scene.headless import headless_host  # noqa: E402
from LNHGSlicerLib.scene.layers import Layers  # noqa: E402


def result_with_calcium(grid):
    """The two balls, with calcium in the first and ground glass for the second."""
    result = handmade_result(grid)
    hu, (k, j, i) = result.ct.hu.copy(), BALLS[0][0]
    hu[k - 1 : k + 2, j - 1 : j + 2, i - 1 : i + 2] = 500
    hu[result.labels == 2] = -600
    return replace(result, ct=replace(result.ct, hu=hu))


def shown_layer(result):
    nodes = added(result)
    layers = Layers(nodes)
    scene.show(nodes)
    layers.show("components")
    return nodes, layers


def foregrounds():
    return {view.GetForegroundVolumeID() for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}


@pytest.mark.parametrize("grid", [*GRIDS.values(), SAGITTAL], ids=[*GRIDS, "sagittal"])
def test_the_layer_shows_the_components_that_the_table_counts(host, grid):
    result = result_with_calcium(grid)
    nodes, _ = shown_layer(result)
    assert foregrounds() == {nodes.components_map.GetID()}
    shown = on_ct_grid(nodes.ct, nodes.components_map)
    assert (shown[result.labels == 0] == -1).all()
    assert {int(one) for one in np.unique(shown[result.labels == 1])} == {Component.SOLID, Component.CALCIUM}
    assert (shown[result.labels == 2] == Component.GROUND_GLASS).all()


def test_its_volumes_are_those_of_the_method_on_the_whole_ct(host):
    result = result_with_calcium(GRIDS["axial"])
    nodes, _ = shown_layer(result)
    shown = on_ct_grid(nodes.ct, nodes.components_map)
    for label in (1, 2):
        expected = components(result.ct.hu, result.labels == label, result.ct.spacing)
        counted = np.where(result.labels == label, shown, 0).astype(np.uint8)
        assert component_volumes(counted, result.ct.voxel_volume) == component_volumes(expected, result.ct.voxel_volume)


def test_colours_and_legend_name_each_component(host):
    nodes, layers = shown_layer(result_with_calcium(GRIDS["axial"]))
    colours = nodes.components_map.GetDisplayNode().GetColorNode()
    names = [colours.GetColorName(number).replace("_", " ") for number in range(1, colours.GetNumberOfColors())]
    assert names == [one.name.lower().replace("_", " ") for one in Component]
    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(nodes.components_map)
    assert legend.GetTitleText() == "Components by HU" and legend.GetUseColorNamesForLabels()
    layers.set_legend("none")
    assert not legend.GetVisibility()


def test_the_value_under_the_pointer_is_the_name_of_the_component(host):
    result = result_with_calcium(GRIDS["axial"])
    _, layers = shown_layer(result)
    assert layers.value_text(result.ct.to_ras(np.array(BALLS[0][0][::-1]))) == "calcium"
    assert layers.value_text(result.ct.to_ras(np.array(BALLS[1][0][::-1]))) == "ground glass"
    assert layers.value_text(result.ct.to_ras(np.array((1, 1, 1)))) == "–"
    layers.show("final")
    assert layers.value_text(result.ct.to_ras(np.array(BALLS[0][0][::-1]))) == "0.00"


def test_a_rejected_nodule_has_no_components_and_an_edited_one_those_of_its_outline(host):
    result = result_with_calcium(GRIDS["axial"])
    nodes, layers = shown_layer(result)
    set_verdict(nodes, "Nodule_1", "rejected")
    half = np.where(np.arange(result.labels.shape[2]) > BALLS[1][0][2], result.labels == 2, 0).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(half, nodes.segmentation, "Nodule_2", nodes.ct)
    layers.update_maps()
    np.testing.assert_array_equal(on_ct_grid(nodes.ct, nodes.components_map) > 0, half > 0)


def test_the_layer_moves_with_its_ct_and_comes_with_a_saved_scene(host, tmp_path):
    nodes, _ = shown_layer(result_with_calcium(GRIDS["axial"]))
    before = on_ct_grid(nodes.ct, nodes.components_map)
    transform = put_under_transform(nodes.ct)
    scene.move_with_ct(nodes)
    assert nodes.components_map.GetParentTransformNode() is transform
    assert host.WriteToMRB(str(tmp_path / "scene.mrb"))
    with headless_host() as opened:
        assert opened.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        (again,) = scene.all_results()
        np.testing.assert_array_equal(on_ct_grid(again.ct, again.components_map), before)
        assert again.components_map.GetDisplayNode().GetColorNode().GetColorName(4) == "calcium"
