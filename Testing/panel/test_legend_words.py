"""One legend: the same words in the panel, in the views, in a saved scene, in the report and in the picture."""

from __future__ import annotations

from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from lnhg.options import Options
from lnhg.stages.heterogeneity_legend import legend_ends, legend_text, map_title
from lnhg.writers.pictures import nodule_planes, write_sheet
from lnhg.writers.record import run_record
from lnhg.writers.report import report_html

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")
pytest.importorskip("PySide6", reason="needs the dev extra: pip install 'lnhg[dev]'")

from host.handmade import GRIDS, handmade_result  # noqa: E402
from host.panel_double import add_ct, open_panel  # noqa: E402
from LNHGSlicerLib.scene.headless import headless_host  # noqa: E402
from LNHGSlicerLib.scene.nodes import add_result, all_results  # noqa: E402


@pytest.mark.parametrize(
    ("kind", "map_range"),
    [("auto", "auto"), ("deviation", "nodule"), ("inverse", "auto"), ("intensity", "scan"), ("twin", "auto")],
)
def test_panel_views_scene_report_and_picture_explain_the_colours_in_the_same_words(
    kind, map_range, monkeypatch, tmp_path
):
    options = Options(heterogeneity=kind, normalisation=map_range)
    result = replace(handmade_result(GRIDS["axial"]), options=options)
    planes = nodule_planes(result)
    report = " ".join(report_html(result, planes, run_record(result, "", with_identity=False)).split())
    assert all(words in report for words in (map_title(options), *legend_ends(options)))

    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *where, **how: drawn.append(figure))
    write_sheet(tmp_path / "picture.png", result, planes)
    bar = drawn[0].axes[-1]
    assert [label.get_text() for label in bar.get_xticklabels()] == list(legend_ends(options))
    monkeypatch.undo()

    with headless_host() as scene:
        scene.AddNewNodeByClass("vtkMRMLCrosshairNode")
        add_result(add_ct(result=result), result)
        with open_panel(monkeypatch) as panel:
            shown = panel.ui.legendLabel.property("text")
            assert shown == "; ".join(legend_text(options)[1:])
            assert not panel.ui.legendLabel.isHidden()
            panel.parameters.layer = "raw"
            assert panel.ui.legendLabel.isHidden(), "it explains the map alone"
        assert in_views() == list(legend_text(options))
        assert scene.WriteToMRB(str(tmp_path / "scene.mrb"))
    with headless_host() as opened:
        assert opened.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        assert in_views() == list(legend_text(options))
    assert [words.partition(" = ")[2] for words in legend_text(options)[1:]] == list(legend_ends(options))


def in_views():
    (nodes,) = all_results()
    return slicer.modules.colors.logic().GetColorLegendDisplayNode(nodes.heterogeneity).GetTitleText().splitlines()
