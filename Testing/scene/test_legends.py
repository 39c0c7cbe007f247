"""The legend in the views: legible in small ones too, in fewer words there, and not in the middle."""

from __future__ import annotations

import pytest

from lnhg.options import Options
from lnhg.stages.heterogeneity_legend import legend_text

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")

from host.handmade import GRIDS, handmade_result  # noqa: E402
from host.scenes import added  # noqa: E402
from LNHGSlicerLib.scene.layers import Layers  # noqa: E402
from LNHGSlicerLib.scene.legends import fit, fit_legends, legend_text_of  # noqa: E402

#: One of four slice views in a window of 1600 x 1000 points and in one of 1024 x 700; one alone; a narrow one.
LARGE, SMALL, ALONE, NARROW = (562, 420), (335, 270), (1100, 850), (380, 800)
#: Letters that are lower cannot be read, pixels.
LEGIBLE = 14
MAPS = [
    "\n".join(legend_text(Options(heterogeneity=kind, normalisation=map_range, full_generator=True)))
    for kind, map_range in (("deviation", "fixed"), ("deviation", "nodule"), ("twin", "fixed"), ("inverse", "slice"))
]


def letter_of(made, view, letters=4):
    """How high Slicer writes, pixels, as measured in its views: by the width of the box for each letter."""
    return made.width * view[0] / letters / 0.67


@pytest.mark.parametrize("view", [LARGE, SMALL, ALONE, NARROW])
@pytest.mark.parametrize("text", MAPS)
def test_the_legend_is_legible_and_leaves_the_middle_of_the_view_free(text, view):
    made = fit(text, view, letters=4, labels=3)
    letter, lines = letter_of(made, view), made.title.split("\n")
    assert letter >= LEGIBLE
    assert max(map(len, lines)) * 0.52 * letter < 0.65 * view[0], "no line leaves the view"
    assert made.bottom + made.height + len(lines) * 0.6 * letter / view[1] < 1, "nor does the first"
    assert made.bottom > 1 / 3 and made.width < 0.2
    assert text.split("\n")[0].split() == made.title.split()[: len(text.split("\n")[0].split())]


def test_what_0_and_1_mean_is_said_in_large_views_and_which_map_it_is_in_small_ones_too():
    assert fit(MAPS[0], LARGE, letters=4, labels=3).title == MAPS[0]
    assert fit(MAPS[0], SMALL, letters=4, labels=3).title == "Unevenness (the same range\nin every scan)"


def test_names_of_colours_take_less_than_a_third_of_a_small_view():
    made = fit("Components by HU", SMALL, letters=len("ground glass"), labels=6)
    assert made.width <= 0.3 and letter_of(made, SMALL, len("ground glass")) > 12


@pytest.fixture
def red(host):
    view = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
    view.SetMappedInLayout(True)
    return view


def legend_of(volume):
    return slicer.modules.colors.logic().GetColorLegendDisplayNode(volume)


def test_a_legend_follows_its_view_when_that_becomes_smaller_and_larger(red):
    red.SetDimensions(*LARGE, 1)
    nodes = added(handmade_result(GRIDS["axial"]))
    legend = legend_of(nodes.heterogeneity)
    assert legend.GetTitleText() == legend_text_of(legend)
    red.SetDimensions(*SMALL, 1)
    fit_legends()
    assert "0 =" not in legend.GetTitleText() and "0 =" in legend_text_of(legend)
    Layers(nodes).set_normalisation("nodule", "auto")
    assert legend.GetTitleText() == "Unevenness (range of each\nnodule by itself)"
    red.SetDimensions(*LARGE, 1)
    fit_legends()
    assert "0 = as even as a uniform nodule" in legend.GetTitleText()


def test_a_legend_that_a_reader_has_worded_is_left_alone(red):
    red.SetDimensions(*LARGE, 1)
    legend = legend_of(added(handmade_result(GRIDS["axial"])).heterogeneity)
    legend.SetTitleText("Figure 1")
    red.SetDimensions(*SMALL, 1)
    fit_legends()
    assert legend.GetTitleText() == "Figure 1" and legend.GetSize()[1] < 0.5


def test_the_legend_of_a_scene_of_an_older_version_is_legible_too(red):
    legend = legend_of(added(handmade_result(GRIDS["axial"])).heterogeneity)
    legend.RemoveAttribute("LNHG.Legend")
    legend.SetTitleText(MAPS[0])
    legend.SetSize(0.09, 0.35)
    red.SetDimensions(*SMALL, 1)
    fit_legends()
    assert legend.GetTitleText() == "Unevenness (the same range\nin every scan)"
