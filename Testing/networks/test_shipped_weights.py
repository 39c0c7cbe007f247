"""The weights that ship: whole, described, and able to do the main job."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

import lnhg
from lnhg.cli import main
from lnhg.core.manifest import kinds_in, weights_folder
from lnhg.core.resources import resource
from lnhg.data.cutouts import read_cutout
from lnhg.data.rounding import Rounding
from lnhg.data.scans import read_scan
from lnhg.data.splits import list_of
from lnhg.data.tables import read_rows
from lnhg.evaluation.detector_sensitivity import cutout_score
from lnhg.evaluation.measures import match_nodules
from lnhg.networks.models import open_models
from lnhg.networks.torch_models import load_models
from lnhg.networks.weights import load_weights
from lnhg.options import Options
from lnhg.pipeline import segment
from lnhg.readers.read_ct import read_ct

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
FOLDERS = (resource("Models"), resource("Models", "width-32"), resource("Models", "lnhg-hybrid"))


@pytest.mark.parametrize(("folder", "kind"), [(folder, kind) for folder in FOLDERS for kind in kinds_in(folder)])
def test_the_shipped_weights_are_whole_small_and_have_a_card(folder: Path, kind: str) -> None:
    weights = load_weights(folder, kind)
    assert weights.manifest["kind"] == kind
    assert weights.manifest["bytes"] < 30_000_000
    card = (folder / f"{kind}.md").read_text()
    assert "Research use only" in card and "CC BY 3.0" in card and "lnhg train" in card


@pytest.mark.slow
def test_the_demo_finds_most_planted_nodules_and_says_their_dice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", "--output", str(tmp_path / "sample")]) == 0
    assert main(["segment", str(tmp_path / "sample" / "ct.nrrd"), "--output", str(tmp_path / "result")]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "result" / "labels.nrrd"), str(tmp_path / "sample" / "labels.nrrd")]) == 0
    printed = capsys.readouterr().out
    planted = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "sample" / "labels.nrrd")))
    found = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "result" / "labels.nrrd")))
    matches = match_nodules(planted, found)
    assert sum(match.dice > 0.4 for match in matches) >= len(matches) - 2
    assert printed.count("Dice") >= len(matches) - 2
    with (tmp_path / "result" / "nodules.csv").open() as file:
        assert len(list(csv.DictReader(file))) == found.max()
    assert {"report.html", "picture.png", "scene.mrb"} <= {path.name for path in (tmp_path / "result").iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real CT of {DATA.name} are not here")
def test_a_real_nodule_is_outlined_from_a_seed(folder: Path) -> None:
    scan = read_scan(DATA / "lidc_scans" / "LIDC-IDRI-0023")
    centre = np.argwhere(scan.reference == 1).mean(0)[::-1]
    models = load_models(folder, with_detector=False)
    result = segment(scan.ct, Options(seeds_only=True), [scan.ct.to_ras(centre).tolist()], models=models)
    (match,) = match_nodules(scan.reference, result.labels)
    assert match.dice > 0.6
    assert result.nodules[0].status == "seeded"


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real CT of {DATA.name} are not here")
def test_a_real_dicom_series_runs_to_the_end(tmp_path: Path) -> None:
    ct = read_ct(DATA / "chest_scans" / "TCGA-34-2605")
    result = segment(ct, Options(slices=(20, 30)))
    paths = lnhg.save(result, tmp_path / "result")
    assert all(path.stat().st_size for path in paths.values())
    assert all(nodule.instance_number is not None for nodule in result.nodules)


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real CT of {DATA.name} are not here")
def test_hu_in_steps_leave_the_detectors_scores_as_they_were() -> None:
    models = load_models()
    folder = DATA / "lidc_nodules"
    rows = [row for row in read_rows(folder / "nodules.csv", "the cut-outs") if list_of(row["patient"]) == "select"]
    for cutout in (read_cutout(folder, row) for row in rows[:2]):
        steps = replace(cutout, ct=replace(cutout.ct, hu=Rounding().apply(cutout.ct.hu)))
        assert not np.array_equal(steps.ct.hu, cutout.ct.hu)
        before, after = (cutout_score(one, models.detector, models.grid("detector")) for one in (cutout, steps))
        assert before > 0.5 and after == pytest.approx(before, abs=0.03)


def test_weights_that_come_with_it_are_found_by_name_unless_a_folder_has_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert weights_folder(None) == resource("Models")
    assert weights_folder(Path("lnhg-hybrid")) == resource("Models", "lnhg-hybrid")
    assert (
        open_models(Path("lnhg-hybrid"), with_detector=False).manifests["generator"]["training"]["adversarial"] == 0.1
    )
    assert weights_folder(Path("mine")) == Path("mine")
    (tmp_path / "lnhg-hybrid").mkdir()
    assert weights_folder(Path("lnhg-hybrid")) == Path("lnhg-hybrid")
