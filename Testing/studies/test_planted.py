"""The benchmark on planted unevenness: cases, scores, maps of other systems, and the command."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lnhg.cli import main
from lnhg.core.nrrd_file import write_nrrd
from lnhg.errors import InputError
from lnhg.evaluation.planted_nodules import EVEN, SYNTHETIC, PlantedCases
from lnhg.evaluation.planted_scores import planted_score, read_map
from lnhg.studies.planted import PlantedStudy, planted_study
from lnhg.studies.planted_maps import DEVIATION, CaseMaps
from nodule_cutouts import ball_cutout, write_data_folder

CUTOUTS = [ball_cutout(f"LIDC-IDRI-00{number}0_R_1", 6.0, shape=(24, 36, 36)) for number in (1, 2, 3)]


@pytest.fixture(scope="module")
def cases():
    return list(PlantedCases(CUTOUTS, 14, 5))


def test_cases_follow_from_the_seed_alone(cases):
    again = list(PlantedCases(CUTOUTS, 3, 5))
    for one, other in zip(again, cases, strict=False):
        np.testing.assert_array_equal(one.ct.hu, other.ct.hu)
        np.testing.assert_array_equal(one.uneven, other.uneven)
    (changed,) = PlantedCases(CUTOUTS, 1, 6)
    assert changed.ct.hu.shape != cases[0].ct.hu.shape or (changed.ct.hu != cases[0].ct.hu).any()


def test_real_and_synthetic_nodules_even_and_uneven_are_among_them(cases):
    assert {one.source for one in cases} > {SYNTHETIC}
    assert {one.kind for one in cases} > {EVEN}
    for case in cases:
        assert not case.planted[~case.nodule].any()
        assert (case.uneven.max() == 0) == (case.kind == EVEN)
        assert case.contrast_hu == 0 or np.abs(case.planted).max() <= 6 * abs(case.contrast_hu)


def test_the_truth_itself_has_the_full_area_and_its_opposite_none(cases):
    case = next(one for one in cases if one.kind != EVEN and planted_score(one, "t", one.uneven).area == 1)
    truth, opposite = planted_score(case, "truth", case.uneven), planted_score(case, "opposite", -case.uneven)
    assert (truth.area, truth.area_whole, opposite.area) == (1, 1, 0)
    assert truth.correlation == pytest.approx(1)
    assert truth.spot_mean > 0.5 * case.uneven.max()


def test_noise_has_an_area_near_chance_and_even_nodules_have_none(cases):
    random = np.random.default_rng(0)
    areas = [planted_score(one, "noise", random.normal(size=one.nodule.shape)).area for one in cases]
    assert np.nanmean(areas) == pytest.approx(0.5, abs=0.15)
    assert all(np.isnan(area) for one, area in zip(cases, areas, strict=True) if one.kind == EVEN)


def test_every_map_of_a_case_lies_on_its_grid(cases):
    for name, values in CaseMaps(cases[0], None, None).all().items():
        assert values.shape == cases[0].ct.hu.shape, name
        assert np.isfinite(values).all(), name


def test_maps_of_another_system_are_scored_from_files(tmp_path):
    data = write_data_folder(tmp_path / "data", CUTOUTS[:1])
    study = PlantedStudy(data, tmp_path / "page", 4, without_network=True, write=tmp_path / "cases")
    assert planted_study(study).read_text().count("<img") >= 2
    names = [path.name.split(".")[0] for path in sorted((tmp_path / "cases").glob("*.uneven.nrrd"))]
    assert len(names) == 4
    (tmp_path / "mine").mkdir()
    for name in names:
        (tmp_path / "mine" / f"{name}.nrrd").write_bytes((tmp_path / "cases" / f"{name}.uneven.nrrd").read_bytes())
    page = planted_study(
        replace(study, output=tmp_path / "again", write=None, maps={"mine": tmp_path / "mine"}, processes=2)
    )
    rows = (page.parent / "planted.csv").read_text().splitlines()
    areas = [float(cells[12]) for cells in (row.split(",") for row in rows[1:]) if cells[11] == "mine" and cells[12]]
    assert areas and min(areas) > 0.99
    with pytest.raises(InputError, match="another name"):
        planted_study(replace(study, maps={DEVIATION: tmp_path / "mine"}))


def test_a_map_that_is_no_number_in_the_nodule_is_refused(cases, tmp_path):
    values = np.full(cases[0].nodule.shape, np.nan, np.float32)
    write_nrrd(tmp_path / f"{cases[0].name}.nrrd", values, cases[0].ct.ijk_to_ras)
    with pytest.raises(InputError, match="not a number inside the nodule"):
        read_map(cases[0], tmp_path)


def test_the_command_refuses_no_cases_at_all(tmp_path, capsys):
    assert main(["planted", "--data", str(tmp_path), "--output", str(tmp_path / "page"), "--draws", "0"]) != 0
    assert "at least one case" in capsys.readouterr().err
