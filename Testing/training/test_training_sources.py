"""Cubes, scans with one outlined cancer, and HU in steps: what they are, and what the samples of both networks make of
them.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detector_data import a_cutout, a_training_scan, some_data
from lnhg.cli import main
from lnhg.core.ct import CT
from lnhg.core.nrrd_file import write_nrrd
from lnhg.data.cutouts import Cutout, read_cutouts
from lnhg.data.rounding import COARSE, Rounding, far_from_lungs, far_in
from lnhg.data.scans import LabelledScan, read_scan
from lnhg.data.splits import LISTS, SCAN_FOLDS, list_of
from lnhg.data.training_data import cutouts_of, scans_of
from lnhg.data.volumes import volume_of
from lnhg.errors import InputError
from lnhg.networks.architecture import DETECTOR_GRID
from lnhg.networks.grid import NetworkGrid
from lnhg.training.detector_data import training_scan_of
from lnhg.training.detector_samples import make_sample
from lnhg.training.generator_config import PATCHES
from lnhg.training.generator_samples import Augmentation, Place, batch, cutout_places, mass_places, masses_in_cubes
from lnhg.training.mosaics import _slice_mm
from lnhg.training.packed_places import Packed, read_packed, write_packed
from lnhg.training.processes import Processes
from lnhg.training.sampling import Sampling
from lnhg.training.steps import Samples
from training_data import BALLS, log_rows, write_data

_ROOT = Path(__file__).resolve().parents[2]
_DATA = _ROOT.parent / "shared" / "data"
_needs_data = pytest.mark.skipif(not (_DATA / "lidc_cubes").is_dir(), reason="the development data are not here")
_QIN = ("QIN-LSC-0003", "QIN-LSC-0014", "QIN-LSC-0028", "QIN-LSC-0064", "QIN-LUNG-01-0013")
_GRID = np.diag([-1.0, -1.0, 1.0, 1.0])
_MOSAICS = Sampling(size=96, mosaics=1.0, emptied=0.0, subsolid=0.0)


def _a_cube(texture: float = 5.0) -> Cutout:
    """A ball 10 mm wide in the middle of 51 mm of noisy lung, slices of 1 mm, three readers."""
    k, j, i = np.indices((51, 51, 51)) - 25
    ball = np.sqrt(k**2 + j**2 + i**2) <= 5
    hu = np.where(ball, 30, -850) + np.random.default_rng(0).normal(0, 40, ball.shape)
    ct = CT(np.rint(hu).astype(np.int16), _GRID)
    return Cutout("LIDC-IDRI-9003_C_0", "LIDC-IDRI-9003", ct, ball.astype(np.uint8) * 7, 3, {"texture": texture})


# Lists
# ------------------------------------------------------------------------------------------------------------------


def _written() -> list[dict[str, str]]:
    with (_ROOT / "docs" / "patients.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_lists_that_are_written_down_are_those_the_code_uses_and_name_nobody_twice() -> None:
    rows = _written()
    assert len({row["patient"] for row in rows}) == len(rows)
    for fold in (1, 2):
        assert [row[f"fold_{fold}"] for row in rows] == [SCAN_FOLDS[fold](row["patient"]) for row in rows]


@_needs_data
def test_every_patient_of_the_development_data_is_written_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "patients.csv"
    assert main(["patients", "--data", str(_DATA), "--output", str(table)]) == 0
    assert table.read_text() == (_ROOT / "docs" / "patients.csv").read_text()
    assert "| 1 | report | 91 | 160 | 16 | 3 | 1 |" in capsys.readouterr().out


@_needs_data
@pytest.mark.parametrize("fold", [1, 2])
def test_no_patient_is_on_two_sides_with_cutout_cube_and_scan_together(fold: int) -> None:
    listed = SCAN_FOLDS[fold]
    rows = [
        row for kind in ("nodules", "cubes") for row in csv.DictReader((_DATA / f"lidc_{kind}" / "nodules.csv").open())
    ]
    for row in rows:
        assert row["nodule"].startswith(
            f"{row['patient']}_"
        )  # the lists are by patient, so this is all that could part them
    members = {name: {row["patient"] for row in rows if listed(row["patient"]) == name} for name in LISTS}
    assert sum(map(len, members.values())) == len({row["patient"] for row in rows})


def test_the_detector_of_the_second_fold_sees_no_scan_of_the_other_maker() -> None:
    assert {SCAN_FOLDS[2](patient) for patient in (*_QIN, "QIN-LSC-9999")} == {"report"}
    assert [list_of(patient) for patient in _QIN] == ["train", "report", "train", "report", "train"]


@_needs_data
def test_only_the_cutouts_of_two_nodules_taken_for_one_are_left_out() -> None:
    rows = list(csv.DictReader((_DATA / "lidc_nodules" / "nodules.csv").open()))
    used = cutouts_of(_DATA, "all", lambda patient: "all")
    left_out = {row["nodule"] for row in rows} - {one.name for one in used}
    wrong = ("0111_R_2", "0204_R_1", "0252_R_1", "0702_R_5", "0865_R_1", "0921_R_4", "1003_R_4")
    assert left_out == {f"LIDC-IDRI-{name}" for name in wrong}
    assert sum(one.cube for one in used) == 82
    assert all(one.cube == ("_C_" in one.name) for one in used)
    assert sum(one.cube and one.subsolid for one in used) == 16


# Cubes
# ------------------------------------------------------------------------------------------------------------------


def test_ratings_are_read_whether_their_columns_have_capitals_or_not(tmp_path: Path) -> None:
    cube = _a_cube()
    write_nrrd(tmp_path / "C_0.ct.nrrd", cube.ct.hu, cube.ct.ijk_to_ras)
    write_nrrd(tmp_path / "C_0.readers.nrrd", cube.readers, cube.ct.ijk_to_ras)
    (tmp_path / "nodules.csv").write_text("nodule,patient,readers,spiculation,texture\nC_0,LIDC-IDRI-9003,3,4.5,1.5\n")
    (read,) = read_cutouts(tmp_path)
    assert read.ratings["Spiculation"] == 4.5 and read.subsolid and read.cube
    assert not a_cutout().cube


def test_a_cube_is_shown_in_slices_of_one_to_four_mm_and_mostly_where_its_nodule_is() -> None:
    cube = _a_cube()
    noise = np.random.default_rng(0).normal(-500, 60, cube.ct.hu.shape)
    (place,) = cutout_places([replace(cube, ct=CT(noise.astype(np.int16), _GRID))], "binary")
    still = Augmentation(rotation=0, translation=0, scale=1, hu_shift=0, hu_scale=0, noise=0, sharpness=0)
    grid = NetworkGrid("fixed", 1.2)
    images, targets = batch([place], grid, 28, still, [0] * 200, (1,))
    thin, _ = batch([replace(place, cube=False)], grid, 28, still, [0] * 50, (1,))
    # Noise falls with the thickness of the slices.
    thickness = thin[:, 0, 1].var() / images[:, 0, 1].flatten(1).var(1)
    assert thickness.max() < 5.5 and set(np.minimum(thickness.round(), 4).tolist()) == {1, 2, 3, 4}
    shown = (targets.flatten(1).amax(1) > 0).float().mean()
    assert 0.6 < shown < 0.95


def test_a_cube_in_a_detectors_sample_is_shown_in_slices_of_up_to_five_mm() -> None:
    generator = np.random.default_rng(0)
    assert {_slice_mm(volume_of(_a_cube()), generator) for _ in range(100)} == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert {_slice_mm(volume_of(a_cutout()), generator) for _ in range(100)} == {2.0, 2.5, 5.0}


def test_mosaics_draw_their_share_from_the_cubes() -> None:
    data = some_data()
    wide = replace(data, volumes=[*data.volumes, volume_of(_a_cube())])
    few, many = (
        np.concatenate([make_sample(wide, replace(_MOSAICS, cubes=share), 0, number).boxes for number in range(60)])
        for share in (0.0, 1.0)
    )
    # The cube's nodule is 10 mm wide, the others 8.
    assert np.mean(many[:, 2] - many[:, 0]) > 1.05 * np.mean(few[:, 2] - few[:, 0])


def test_a_batch_draws_its_shares_from_cubes_and_masses() -> None:
    other = cutout_places([a_cutout()], "binary")[0]
    cube = cutout_places([_a_cube()], "binary")[0]
    mass = replace(other, mass=True, far=2.0)
    config = replace(PATCHES, batch=16, background=0.0, coarse=0.0, subsolid=0.0, cubes=0.25, masses=0.125, patch=12)
    drawn: list[Place] = []

    class Watched(Samples):
        def _sample(self, place, augmentation, seed):  # type: ignore[no-untyped-def]
            drawn.append(place)
            return super()._sample(place, augmentation, seed)

    Watched(config, [other] * 99 + [cube], [mass], Processes()).batch(0, 0)
    assert sum(place.mass for place in drawn) == 2 and 4 <= sum(place.cube for place in drawn) <= 5


# Scans with one outlined cancer
# -----------------------------------------------------------------------------------------


def _write_qin(folder: Path, rows: list[str]) -> Path:
    """A scan of 20 slices with a cancer 26 mm wide that nine algorithms outlined, one of them much too wide."""
    folder.mkdir(parents=True)
    k, j, i = np.indices((20, 90, 90))
    distance = np.sqrt((3 * (k - 10)) ** 2 + (j - 40) ** 2 + (i - 40) ** 2)
    hu = np.where(distance <= 13, 20, -850).astype(np.int16)
    grid = np.diag([-1.0, -1.0, 3.0, 1.0])
    (folder / "nodules.csv").write_text("\n".join(["label,segmentations,equivalent_diameter_mm", *rows]) + "\n")
    write_nrrd(folder / "ct.nrrd", hu, grid)
    if rows:
        outlines = np.where(distance <= 13, 511, 0) | np.where(distance <= 25, 1, 0)
        write_nrrd(folder / "algorithms.nrrd", outlines.astype(np.uint16), grid)
        write_nrrd(folder / "consensus.nrrd", (distance <= 13).astype(np.uint8), grid)
    return folder


def test_a_cancer_outlined_by_five_of_nine_algorithms_is_the_reference_and_other_nodules_are_not_known(
    tmp_path: Path,
) -> None:
    scan = read_scan(_write_qin(tmp_path / "QIN-LSC-9999", ["1,9,26.0"]))
    assert scan.reference.max() == 1 and not scan.complete
    assert not scan.doubtful.any()  # where algorithms differ is the cancer's margin
    assert not read_scan(_write_qin(tmp_path / "few" / "QIN-LSC-9998", ["1,4,26.0"])).reference.any()
    assert read_scan(_write_qin(tmp_path / "none" / "QIN-LSC-9997", [])).complete is False


def test_a_table_that_does_not_say_how_many_outlined_a_nodule_is_refused(tmp_path: Path) -> None:
    folder = _write_qin(tmp_path / "QIN-LSC-9999", ["1,9,26.0"])
    (folder / "nodules.csv").write_text("label,centre_r\n1,0\n")
    with pytest.raises(InputError, match="add a column readers or segmentations"):
        read_scan(folder)


def test_places_that_look_like_unlabelled_nodules_are_in_no_sample(tmp_path: Path) -> None:
    scan = read_scan(_write_qin(tmp_path / "QIN-LUNG-01-0013", ["1,9,26.0"]))
    assert not scan.doubtful.any()  # the place known of this patient lies outside this small scan
    folder = tmp_path / "other" / "QIN-LUNG-01-0013"
    _write_qin(folder, ["1,9,26.0"])
    write_nrrd(folder / "ct.nrrd", np.full((70, 240, 120), -850, np.int16), np.diag([-1.0, -1.0, 3.0, 1.0]))
    for name in ("algorithms", "consensus"):
        write_nrrd(folder / f"{name}.nrrd", np.zeros((70, 240, 120), np.uint8), np.diag([-1.0, -1.0, 3.0, 1.0]))
    likely = np.argwhere(read_scan(folder).doubtful)
    np.testing.assert_allclose(likely.mean(0), [64, 229, 81], atol=0.1)


def test_such_scans_come_with_the_labelled_ones_and_through_the_cache(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "lidc_scans").mkdir(parents=True)
    _write_qin(data / "qin_scans" / "QIN-LSC-9999", ["1,9,26.0"])
    (scan,) = scans_of(data, "train")
    assert main(["prepare", str(data / "qin_scans"), "--output", str(tmp_path / "cache"), "--processes", "1"]) == 0
    (kept,) = scans_of(tmp_path / "cache", "train")
    assert kept.complete is scan.complete is False
    np.testing.assert_array_equal(kept.reference, scan.reference)
    assert list(scans_of(tmp_path / "cache", "train", SCAN_FOLDS[2])) == []


def test_sure_finds_in_such_a_scan_are_not_learned_as_false_ones(tmp_path: Path) -> None:
    training_scan = training_scan_of(read_scan(_write_qin(tmp_path / "QIN-LSC-9999", ["1,9,26.0"])), DETECTOR_GRID)
    assert training_scan.read is False and len(training_scan.nodule_places) > 3


def test_a_mass_is_shown_to_the_generator_from_afar_as_wide_as_a_nodule(tmp_path: Path) -> None:
    scan = read_scan(_write_qin(tmp_path / "QIN-LSC-9999", ["1,9,26.0"]))
    places = mass_places(scan, np.ones(scan.ct.hu.shape, np.uint8), seed=0, views=12)
    assert len(places) == 12 and all(place.mass for place in places)
    assert 1.2 < min(place.far for place in places) < max(place.far for place in places) < 2.4
    still = Augmentation(rotation=0, translation=0, scale=1, hu_shift=0, hu_scale=0, noise=0, sharpness=0)
    for place in places:
        middle = replace(place, slices=[len(place.hu) // 2])
        _, target = batch([middle], NetworkGrid("fixed", 1.2), 28, still, [0], (0,))
        width = np.sqrt(4 / np.pi * float(target[0, 0, 1].sum())) * 1.2
        assert width == pytest.approx(26 / place.far, abs=1.5)
        assert target[0, 0, 1, 13:15, 13:15].min() > 0.9
    small = LabelledScan("P", scan.ct, np.zeros_like(scan.reference), scan.doubtful)
    small.reference[10, 40:45, 40:45] = 1
    assert mass_places(small, np.ones(scan.ct.hu.shape, np.uint8), seed=0, views=12) == []


def test_a_cubes_mass_is_seen_from_so_far_that_the_cube_fills_the_view() -> None:
    k, j, i = np.indices((51, 51, 51)) - 25
    ball = np.sqrt(k**2 + j**2 + i**2) <= 12
    mass = replace(_a_cube(), readers=ball.astype(np.uint8) * 7)
    places = masses_in_cubes([_a_cube(), mass], "binary", seed=0, views=12)
    assert len(places) == 12 and all(place.mass and place.cube for place in places)
    assert 51 / 33.6 + 0.1 > max(place.far for place in places) > min(place.far for place in places) > 1


# HU in steps
# ------------------------------------------------------------------------------------------------------------


def test_hu_come_in_fine_steps_by_the_lungs_and_in_coarse_ones_far_from_them() -> None:
    lungs = np.zeros((5, 80, 80), bool)
    lungs[:, 10:30, 10:30] = True
    far = far_from_lungs(lungs, (1.0, 1.0, 2.0))
    assert far.shape == (5, 80 // COARSE, 80 // COARSE)
    hu = np.random.default_rng(0).integers(-1000, 400, lungs.shape).astype(np.int16)
    window = (slice(0, 5), slice(2, 80), slice(3, 79))
    shown = Rounding(far=64).apply(hu[window], far_in(far, window, hu[window].shape))
    assert shown.dtype == np.int16
    assert (shown[:, :48, :47] % 8 == 0).all() and (shown[:, :48, :47] % 64 != 0).any()
    assert (shown[:, 56:, :] % 64 == 0).all() and (shown[:, :, 55:] % 64 == 0).all()
    assert np.abs(shown[:, :40, :40].astype(int) - hu[window][:, :40, :40]).max() <= 4
    assert not far_from_lungs(np.zeros_like(lungs), (1.0, 1.0, 2.0)).any()


def test_steps_change_the_hu_of_a_detectors_sample_by_no_more_than_half_a_step_and_nothing_else() -> None:
    data = some_data()
    plain, steps = (
        [make_sample(data, Sampling(size=64, rounded=share, simulated=0), 5, number) for number in range(40)]
        for share in (0, 1)
    )
    differ = 0
    for one, other in zip(plain, steps, strict=True):
        assert one.boxes.tolist() == other.boxes.tolist()
        differ += not one.image.equal(other.image)
    assert differ > 35
    change = np.mean([float((one.image - other.image).abs().mean()) for one, other in zip(plain, steps, strict=True)])
    assert 0 < change * 1400 < 4


def test_a_host_far_from_its_lungs_is_shown_in_coarse_steps() -> None:
    training_scan = a_training_scan()
    off_lungs = far_from_lungs(training_scan.lungs, (0.7, 0.7, training_scan.slice_mm))
    assert off_lungs.shape == tuple(
        -(-size // step) for size, step in zip(training_scan.hu.shape, (1, COARSE, COARSE), strict=True)
    )
    assert not off_lungs.any()  # its wall is 14 mm thick
    narrow = replace(training_scan, lungs=training_scan.lungs & (np.arange(200) < 100))
    assert far_from_lungs(narrow.lungs, (0.7, 0.7, training_scan.slice_mm)).any()


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_so_many_of_the_generators_samples_come_in_steps(share: float) -> None:
    place = cutout_places([replace(_a_cube(), ct=CT(np.full((51, 51, 51), -853, np.int16), _GRID))], "binary")[0]
    still = Augmentation(
        rotation=0, translation=0, scale=1, hu_shift=0, hu_scale=0, noise=0, sharpness=0, rounding=share
    )
    images, _ = batch([place], NetworkGrid("fixed", 1.2), 8, still, [0] * 400, (2,))
    hu = images[:, 0, 1, 4, 4] * 1400 - 1000
    assert float((hu.round() % 8 == 0).float().mean()) == pytest.approx(share, abs=0.08)


def test_whole_scans_are_shown_to_the_generator_in_coarse_steps_far_from_the_lungs(tmp_path: Path) -> None:
    scan = read_scan(_write_qin(tmp_path / "QIN-LSC-9999", ["1,9,26.0"]))
    odd = replace(scan, ct=replace(scan.ct, hu=np.full(scan.ct.hu.shape, 27, np.int16)))
    lungs = np.zeros(scan.ct.hu.shape, np.uint8)
    lungs[:, 30:50, 30:50] = 1
    place = mass_places(odd, lungs, seed=0, views=12)[0]
    assert place.off_lungs is not None and place.off_lungs.any() and not place.off_lungs.all()
    shown = Rounding(far=64).apply(place.hu, place.off_lungs)
    assert set(np.unique(shown)) == {0, 24}  # 27 in steps of 64, and of 8


# One small file
# ---------------------------------------------------------------------------------------------------------


def test_what_is_packed_is_read_as_it_was_and_trained_from(tmp_path: Path) -> None:
    scan = read_scan(_write_qin(tmp_path / "QIN-LSC-9999", ["1,9,26.0"]))
    lungs = np.zeros(scan.ct.hu.shape, np.uint8)
    lungs[:, 30:50, 30:50] = 1
    wide = replace(
        _a_cube(), ct=CT(np.random.default_rng(0).integers(-32768, 32768, (51, 51, 51)).astype(np.int16), _GRID)
    )
    packed = Packed([wide, a_cutout()], [_a_cube(1.5)], mass_places(scan, lungs, seed=0, views=12), ["QIN-LSC-9999"])
    write_packed(tmp_path / "packed.npz", packed)
    read = read_packed(tmp_path / "packed.npz")
    assert read.scan_patients == ("QIN-LSC-9999",)
    for one, other in zip([*packed.train, *packed.select], [*read.train, *read.select], strict=True):
        assert (one.name, one.patient, one.reader_count, one.ratings) == (
            other.name,
            other.patient,
            other.reader_count,
            other.ratings,
        )
        for a, b in ((one.ct.hu, other.ct.hu), (one.readers, other.readers), (one.ct.ijk_to_ras, other.ct.ijk_to_ras)):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
    still = Augmentation(rounding=0.5)
    for one, other in zip(packed.background, read.background, strict=True):
        for a, b in zip(*(batch([place], PATCHES.grid, 12, still, [0], (3,)) for place in (one, other)), strict=True):
            assert a.equal(b)


def test_the_generator_is_trained_from_one_packed_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_data(tmp_path / "data", BALLS)
    file = tmp_path / "packed.npz"
    assert main(["export", "training", "--data", str(tmp_path / "data"), "--output", str(file)]) == 0
    assert "MB" in capsys.readouterr().out
    small = [f"--set={one}" for one in ("width=2", "patch=12", "batch=2", "steps=2")]
    runs = []
    for source in (tmp_path / "data", file):
        output = tmp_path / source.stem
        words = [
            "train",
            "generator",
            "--data",
            str(source),
            "--output",
            str(output / "run"),
            "--variant",
            "l-mse",
            *small,
        ]
        assert main(words) == 0
        runs.append([row["mse"] for row in log_rows(output / "run")])
    assert runs[0] == runs[1] and len(runs[0]) == 2


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_another_file_is_no_packed_data(tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "packed.npz").write_bytes(content)
    assert main(["train", "generator", "--data", str(tmp_path / "packed.npz"), "--output", str(tmp_path / "run")]) == 2
    assert "holds no packed training data, or is damaged" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
