"""The figures, the page, and the command that makes both: what a reader sees and what is in the files."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from lnhg.cli import main
from lnhg.core.nrrd_file import write_nrrd
from lnhg.core.written_files import LIST
from lnhg.data.cutouts import read_cutouts
from lnhg.errors import InputError
from lnhg.evaluation.agreement import Intraclass
from lnhg.evaluation.statistics import Estimate
from lnhg.studies import plots
from lnhg.studies.nodule_runs import NoduleRun
from lnhg.studies.page import Picture, Section, page_html
from lnhg.studies.scores import NoduleScore, nodule_scores, score
from lnhg.studies.systems import System, label_map_system
from lnhg.studies.tables import Table, references_table
from nodule_cutouts import ball_cutout, write_data_folder
from standins import standin_models


@pytest.fixture(scope="module")
def scores() -> list[NoduleScore]:
    cutout = ball_cutout()
    one = score("lnhg", cutout, cutout.consensus, cutout.readers & 2 > 0)
    return [replace(one, nodule=str(n), found_mm3=one.reference_mm3 * share) for n, share in enumerate((0.9, 1.0, 1.1))]


def _texts(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(Text))


def test_a_figure_is_written_as_png_and_svg_and_nothing_else(tmp_path: Path, scores: list[NoduleScore]) -> None:
    path = plots.save(plots.volume_figure(scores), tmp_path, "volume")
    assert sorted(one.name for one in tmp_path.iterdir()) == [LIST, "volume.png", "volume.svg"]
    with Image.open(path) as picture:
        assert picture.width == 1200
    assert "<svg" in (tmp_path / "volume.svg").read_text()[:600]


def test_the_limits_of_agreement_are_those_by_hand(scores: list[NoduleScore]) -> None:
    # Differences in % of the mean: -10 / 0.95, 0, 10 / 1.05.
    differences = np.array([-10 / 0.95, 0, 10 / 1.05])
    bias, spread = differences.mean(), 1.96 * differences.std(ddof=1)
    (axes,) = plots.volume_figure(scores).axes
    heights = sorted(line.get_ydata()[0] for line in axes.lines)
    assert heights == pytest.approx(sorted([bias - spread, bias, 0, bias + spread]))
    assert axes.get_xlabel() == "mean of both volumes (mm³)" and f"{bias + spread:+.0f}%" in _texts(axes.figure)


def test_the_froc_band_spans_the_interval_and_the_axis_runs_from_an_eighth_to_eight() -> None:
    rates = np.array([0.125, 1, 8])
    figure = plots.froc_figure([plots.FrocCurve("detector", rates, rates / 10, rates / 20, rates / 9)])
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()][::3] == ["1/8", "1", "8"]
    band = axes.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(0.125 / 20) and band[:, 1].max() == pytest.approx(8 / 9)
    assert axes.get_ylabel() == "share of nodules found"


def test_dice_is_drawn_for_every_nodule_of_a_group_with_its_number(scores: list[NoduleScore]) -> None:
    figure = plots.dice_figure(scores, {"size": {"6 to 10 mm": scores, "over 10 mm": []}})
    (axes,) = figure.axes
    assert "6 to 10 mm\nn = 3" in _texts(figure) and "over 10 mm\nn = 0" in _texts(figure)
    assert axes.collections[0].get_offsets()[:, 1].tolist() == [one.dice for one in scores]


def test_a_gallery_names_its_cases_and_their_source_and_shows_the_map_inside_the_outline_only() -> None:
    cutout = ball_cutout()
    found = cutout.readers & 2 > 0
    case = plots.Case("best, Dice 0.90", cutout, NoduleRun(np.where(found, 0.8, 0).astype(np.float32), found))
    figure = plots.gallery_figure([case, case])
    texts = _texts(figure)
    assert (
        texts.count(cutout.name) == 2
        and "LIDC-IDRI" in texts
        and "CC BY 3.0" in texts
        and "heterogeneity h(x)" in texts
    )
    picture = figure.axes[2].images[0].get_array()
    coloured = np.ptp(picture[..., :3], axis=-1) > 0
    assert (coloured == found[np.argmax(cutout.consensus.sum((1, 2)))]).all()


def test_agreement_bars_carry_their_interval_and_the_aim() -> None:
    rows = {"h core mean": Intraclass(0.8, 0.7, 0.9, 30), "CT core mean": Intraclass(-0.1, -0.3, 0.2, 30)}
    figure = plots.agreement_figure(rows, {"h core mean": "map h(x)", "CT core mean": "raw CT"})
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == [0.8, 0]
    assert "h core mean  (n = 30)" in _texts(figure) and "aim: 0.9" in _texts(figure)


def test_a_roc_curve_passes_through_its_points() -> None:
    malignant = np.array([False, False, True, True])
    figure = plots.roc_figure({"size": (malignant, np.array([1.0, 3.0, 2.0, 4.0]), Estimate(0.75, 0.4, 1))})
    line = figure.axes[0].lines[0]
    assert [0, 0.5] in np.column_stack([line.get_xdata(), line.get_ydata()]).tolist()
    assert "size: 0.75 [0.40, 1.00]" in _texts(figure) and "2 rated malignant" in _texts(figure)


def test_the_page_holds_its_pictures_and_escapes_what_it_is_given(tmp_path: Path, scores: list[NoduleScore]) -> None:
    picture = Picture(plots.save(plots.volume_figure(scores), tmp_path, "volume"), "volume <of> nodules")
    table = Table("Dice & more", ("a", "b"), (("<x>", "1"),), "a note")
    page = page_html("A page", [Section("One", "text", [picture], [table])], {"weights": "SHA-256 abc"})
    assert page.index("Research use only, not for diagnosis") < page.index("One")
    assert (
        "&lt;x&gt;" in page and "<x>" not in page and "volume &lt;of&gt; nodules" in page and "Dice &amp; more" in page
    )
    assert "data:image/png;base64," in page and "SHA-256 abc" in page and "CC BY 3.0" in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve nodules of report patients, half of them rated malignant, the larger ones more often; one train
    patient.
    """
    sizes = (3, 3.5, 4, 4.5, 5, 5.5, 4.2, 4.8, 5.2, 5.8, 6.2, 6.6)
    cutouts = [
        ball_cutout(f"LIDC-IDRI-0{n + 10}0_R_1", size, 2.0 if n < 6 else 4.0, (12, 28, 28))
        for n, size in enumerate(sizes)
    ]
    train = ball_cutout("LIDC-IDRI-0105_R_1", 4, shape=(12, 28, 28))
    return write_data_folder(tmp_path_factory.mktemp("data"), [*cutouts, train])


@pytest.mark.slow
def test_one_command_makes_the_whole_page_and_the_second_time_runs_nothing_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lnhg.studies.study.load_models", lambda folder, with_detector: standin_models())
    monkeypatch.setattr("lnhg.studies.study._SAMPLE", 3)
    monkeypatch.setattr("lnhg.studies.meaning._SAMPLES", 20)
    monkeypatch.setattr("lnhg.studies.meaning._FOLDS", 2)
    folder = tmp_path / "others"
    folder.mkdir()
    for cutout in read_cutouts(data / "lidc_nodules"):
        write_nrrd(folder / f"{cutout.name}.nrrd", cutout.consensus.astype(np.uint8), cutout.ct.ijk_to_ras)
    # The whole scan is the first cut-out's CT, and no reader saw a nodule there.
    shutil.copy(min(folder.iterdir()), folder / "LIDC-IDRI-0023.nrrd")
    command = ["study", "--data", str(data), "--output", str(tmp_path / "page")]
    command += ["--labels", f"nnu-net={folder}", "--alike", "nnu-net"]
    assert main(command) == 0
    page = tmp_path / "page" / "index.html"
    assert capsys.readouterr().out.strip() == str(page)
    text = page.read_text()
    for part in (
        "Mean Dice (%)",
        "Mean Dice (%) against each reference",
        "nnU-net</td><td>12</td><td></td><td>100.00 (100.00 to 100.00)",
        "LNHG against the others",
        "Detection, whole scans, per slice",
        "Detection, whole scans, per nodule",
        "nnU-net</td><td>0</td><td>1</td><td>0</td>",
        "<td>422 / 75 / 8</td>",
        "Detector alone",
        "Repeatability in the consensus",
        "Rank correlation",
        "The paper&#39;s contrast",
    ):
        assert part in text
    assert "12 patients, 12 nodules" in text and "LIDC-IDRI-0105" not in text
    assert "Not measured: no weights of other training lengths" in text
    assert {"gallery.png", "gallery.svg", "froc.svg", "roc-consensus.png"} <= {
        one.name for one in (page.parent / "figures").iterdir()
    }
    assert {".csv", ".md", ".tex"} == {one.suffix for one in (page.parent / "tables").iterdir() if one.name != LIST}
    monkeypatch.setattr("lnhg.studies.nodule_runs.seeded", lambda *_: pytest.fail("ran again"))
    monkeypatch.setattr("lnhg.studies.study.cutout_score", lambda *_: pytest.fail("ran again"))
    monkeypatch.setattr("lnhg.studies.study.segment", lambda *_, **__: pytest.fail("ran again"))
    assert main(command) == 0


def refused(capsys: pytest.CaptureFixture[str], data: Path, output: Path, *words: object) -> str:
    """What `lnhg study` says: one sentence on one line, with exit code 2; nothing of a page is written."""
    capsys.readouterr()
    assert main(["study", "--data", str(data), "--output", str(output), *map(str, words)]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.endswith(".\n") and not (output / "index.html").exists()
    sentence = told.err.splitlines()[-1]  # after the bar of progress
    assert sentence.startswith("lnhg: ")
    return sentence


def test_bad_arguments_are_answered_with_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    assert "give NAME=FOLDER" in refused(capsys, folder, folder, "--weights", "l-mse")
    assert "nodules.csv" in refused(capsys, folder, folder)
    assert "There is no nodules.csv in" in refused(capsys, tmp_path / "nowhere", folder)
    assert "choose one of lnhg" in refused(capsys, folder, folder, "--weights", f"other={folder}")
    assert "which has no label maps" in refused(capsys, folder, folder, "--alike", "nnu-net")
    assert "holds no label map" in refused(capsys, folder, folder, "--labels", f"nnu-net={folder}")
    assert "nowhere is no folder" in refused(capsys, folder, folder, "--labels", f"nnu-net={tmp_path / 'nowhere'}")


def test_data_without_nodules_to_report_or_on_different_grids_are_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodules = tmp_path / "data" / "lidc_nodules"
    shutil.copytree(data / "lidc_nodules", nodules)
    table, train = nodules / "nodules.csv", "LIDC-IDRI-0105_R_1"
    lines = table.read_text().splitlines()
    table.write_text(lines[0] + "\n")
    assert "holds no nodule of a patient of the report list" in refused(capsys, tmp_path / "data", tmp_path / "page")
    table.write_text("\n".join([lines[0], *(line for line in lines if line.startswith(train))]) + "\n")
    assert "holds no nodule of a patient of the report list" in refused(capsys, tmp_path / "data", tmp_path / "page")
    one = read_cutouts(nodules)[0]
    write_nrrd(nodules / f"{train}.readers.nrrd", one.readers[1:], one.ct.ijk_to_ras)
    said = refused(capsys, tmp_path / "data", tmp_path / "page")
    assert f"{train}.readers.nrrd does not lie on the grid of its CT" in said
    (nodules / f"{train}.readers.nrrd").write_bytes(b"")
    assert f"{train}.readers.nrrd is damaged, cut off or no image" in refused(
        capsys, tmp_path / "data", tmp_path / "page"
    )
    (nodules / f"{train}.ct.nrrd").unlink()
    assert f"{train}.ct.nrrd is missing in" in refused(capsys, tmp_path / "data", tmp_path / "page")


def test_data_without_a_whole_scan_to_count_false_positives_on_are_refused_at_once(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(data / "lidc_nodules", tmp_path / "data" / "lidc_nodules")
    assert "holds no whole scan" in refused(capsys, tmp_path / "data", tmp_path / "page")
    (tmp_path / "data" / "lidc_scans" / "LIDC-IDRI-0105").mkdir(parents=True)
    assert "holds no whole scan" in refused(capsys, tmp_path / "data", tmp_path / "page")


def test_a_single_nodule_has_a_row_for_each_reference_that_there_is() -> None:
    cutout = ball_cutout()
    system = System("lnhg", lambda cutout: cutout.consensus)
    against = {name: nodule_scores(system, [cutout], name) for name in ("consensus", "reader 2", "reader 3")}
    rows = references_table(against).rows
    assert [row[:2] for row in rows] == [("consensus", "1"), ("reader 2", "1")]  # the nodule has no third reader
    assert rows[0][2:] == ("100.00 (100.00 to 100.00)", "100.00")
    (dice,) = (one.dice for one in against["reader 2"])
    assert rows[1][3] == f"{100 * dice:.2f}" and dice < 1


def test_label_maps_of_others_on_another_grid_or_that_are_none_are_refused_before_anything_is_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lnhg.studies.study.load_models", lambda folder, with_detector: standin_models())
    monkeypatch.setattr("lnhg.studies.nodule_runs.seeded", lambda *_: pytest.fail("was run"))
    first, page = read_cutouts(data / "lidc_nodules")[0], tmp_path / "page"
    path = tmp_path / "others" / f"{first.name}.nrrd"
    path.parent.mkdir()
    for labels, matrix, said in (
        (first.consensus[1:].astype(np.uint8), first.ct.ijk_to_ras, f"{path.name} and its CT lie on different grids"),
        (first.consensus.astype(np.uint8), np.eye(4), f"{path.name} and its CT lie on different grids"),
        (first.ct.hu, first.ct.ijk_to_ras, f"{path.name} is no label map"),
    ):
        write_nrrd(path, labels, matrix)
        assert said in refused(capsys, data, page, "--labels", f"nnu-net={path.parent}")
    path.write_bytes(b"")
    said = refused(capsys, data, page, "--labels", f"nnu-net={path.parent}")
    assert f"{path.name} is damaged, cut off or no image" in said


def test_a_system_of_others_that_lacks_a_nodule_is_told_so_before_anything_is_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lnhg.studies.study.load_models", lambda folder, with_detector: standin_models())
    monkeypatch.setattr("lnhg.studies.nodule_runs.seeded", lambda *_: pytest.fail("was run"))
    first = read_cutouts(data / "lidc_nodules")[0]
    write_nrrd(tmp_path / f"{first.name}.nrrd", first.consensus.astype(np.uint8), first.ct.ijk_to_ras)
    page = tmp_path / "page"
    with pytest.raises(InputError, match=r"holds no label map for B; write one for each whole scan"):
        label_map_system("nnu-net", tmp_path, [first.name, "B"])
    assert "holds no label map for LIDC-IDRI-0110_R_1" in refused(capsys, data, page, "--labels", f"nnu-net={tmp_path}")
    assert "names weights and label maps" in refused(capsys, data, page, "--labels", f"lnhg={tmp_path}")
