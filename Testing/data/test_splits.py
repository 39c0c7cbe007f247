"""Who is trained on, and what is read of them: patient lists, cut-outs, labelled scans."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from lnhg.data.cutouts import read_cutouts
from lnhg.data.scans import read_scan
from lnhg.data.splits import LISTS, SCAN_FOLDS, list_of
from lnhg.errors import InputError

_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
_needs_data = pytest.mark.skipif(not _DATA.is_dir(), reason="the development data are not here")


# Patient lists
# ----------------------------------------------------------------------------------------------------------


def test_patients_go_by_the_last_digit_of_their_number() -> None:
    lists = [list_of(f"LIDC-IDRI-055{digit}") for digit in range(10)]
    assert lists == ["report", "report", "select"] + ["train"] * 7


def test_patients_with_a_whole_scan_are_placed_by_hand() -> None:
    placed = {number: list_of(f"LIDC-IDRI-{number}") for number in ("0001", "0005", "0028", "0063", "0306", "0023")}
    assert placed == {
        "0001": "train",
        "0005": "train",
        "0028": "train",
        "0063": "select",
        "0306": "select",
        "0023": "report",
    }


def test_in_the_second_fold_the_whole_scans_change_sides_and_nobody_else_does() -> None:
    numbers = ("0001", "0005", "0028", "0063", "0306", "0023")
    assert [SCAN_FOLDS[2](f"LIDC-IDRI-{number}") for number in numbers] == ["report"] * 3 + ["train"] * 3
    others = [f"LIDC-IDRI-055{digit}" for digit in range(10)] + ["Lung-PET-CT-Dx-A0001", "CPTAC-C3N-00247"]
    assert [SCAN_FOLDS[2](name) for name in others] == [SCAN_FOLDS[1](name) for name in others]


def test_other_collections_are_trained_on_but_for_the_one_that_reports() -> None:
    assert list_of("Lung-PET-CT-Dx-A0001") == "report"
    assert list_of("LungFCP-01-0001") == list_of("CPTAC-C3N-00247") == "train"


def _cutout_patients() -> dict[str, str]:
    """The cut-outs' patients by cut-out."""
    with (_DATA / "lidc_nodules" / "nodules.csv").open(newline="") as file:
        return {row["nodule"]: row["patient"] for row in csv.DictReader(file)}


@_needs_data
def test_no_patient_is_in_two_lists_whether_named_by_the_table_the_file_or_the_scan() -> None:
    patients = _cutout_patients()
    for nodule, patient in patients.items():
        assert nodule.startswith(f"{patient}_")  # the table's patient is the file's, so lists cannot part a patient
    lists = {name: {patient for patient in patients.values() if list_of(patient) == name} for name in LISTS}
    assert sum(len(members) for members in lists.values()) == len(set(patients.values()))
    assert len(lists["train"]) > 250 and len(lists["select"]) > 30 and len(lists["report"]) > 60


@_needs_data
def test_a_scan_lies_in_the_list_of_its_patients_cutouts() -> None:
    scans = [folder.name for folder in (_DATA / "lidc_scans").iterdir() if folder.is_dir()]
    both = set(scans) & set(_cutout_patients().values())
    assert {"LIDC-IDRI-0001", "LIDC-IDRI-0005", "LIDC-IDRI-0023", "LIDC-IDRI-0063"} <= both
    # Both are looked up by the same name, so they share a list; and each list has a scan with nodules.
    assert {list_of(patient) for patient in both} == set(LISTS)


# Cut-outs
# ---------------------------------------------------------------------------------------------------------------

_RATINGS = "malignancy,texture,Calcification,Lobulation,Margin,Spiculation,Subtlety,diameter_mm"


def _write(path: Path, array: np.ndarray) -> None:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((10.0, 20.0, 30.0))
    sitk.WriteImage(image, str(path))


@pytest.fixture
def cutouts(tmp_path: Path) -> Path:
    """Two cut-outs, one of which has merged readers."""
    rows = ["N_1,LIDC-IDRI-0003,3,2.5,,6,1,4,1,5,8.5", "N_2,LIDC-IDRI-0004,5,3,3,6,1,4,1,5,9"]
    (tmp_path / "nodules.csv").write_text("\n".join([f"nodule,patient,readers,{_RATINGS}", *rows]) + "\n")
    hu = np.full((2, 3, 4), -850, np.int16)
    hu[0, 0, 0] = -3024
    readers = np.zeros((2, 3, 4), np.uint8)
    readers[1, 1] = [0b001, 0b101, 0b111, 0b000]
    for name in ("N_1", "N_2"):
        _write(tmp_path / f"{name}.ct.nrrd", hu)
        _write(tmp_path / f"{name}.readers.nrrd", readers)
    return tmp_path


def test_a_cutout_is_read_with_its_readers_and_ratings(cutouts: Path) -> None:
    (cutout,) = read_cutouts(cutouts)
    assert (cutout.name, cutout.patient, cutout.reader_count) == ("N_1", "LIDC-IDRI-0003", 3)
    assert cutout.ratings["malignancy"] == 2.5 and np.isnan(cutout.ratings["texture"])
    assert cutout.ct.hu.dtype == np.int16 and cutout.ct.hu.min() == -1024
    assert cutout.ct.spacing == pytest.approx((0.7, 0.8, 2.5))
    np.testing.assert_allclose(cutout.ct.to_ras(np.array([1, 1, 1])), [-10.7, -20.8, 32.5])


@pytest.mark.parametrize(
    ("texture", "subsolid"), [(1.0, True), (3.7, True), (4.0, False), (5.0, False), (np.nan, False)]
)
def test_a_nodule_is_sub_solid_where_its_readers_say_so(cutouts: Path, texture: float, subsolid: bool) -> None:
    (cutout,) = read_cutouts(cutouts)
    assert replace(cutout, ratings={**cutout.ratings, "texture": texture}).subsolid is subsolid


def test_the_consensus_is_what_at_least_half_of_the_readers_outlined(cutouts: Path) -> None:
    (cutout,) = read_cutouts(cutouts)
    np.testing.assert_allclose(cutout.share[1, 1], [1 / 3, 2 / 3, 1, 0], rtol=1e-6)
    assert cutout.consensus[1, 1].tolist() == [False, True, True, False]
    assert cutout.consensus.sum() == 2


def test_a_folder_without_cutouts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no nodules\.csv in"):
        read_cutouts(tmp_path)


def test_outlines_on_another_grid_are_refused(cutouts: Path) -> None:
    _write(cutouts / "N_1.readers.nrrd", np.zeros((2, 3, 5), np.uint8))
    with pytest.raises(InputError, match=r"N_1\.readers\.nrrd does not lie on the grid of its CT"):
        read_cutouts(cutouts)


# Whole scans
# ------------------------------------------------------------------------------------------------------------


def _write_scan(folder: Path, rows: list[str]) -> None:
    (folder / "nodules.csv").write_text("\n".join(["label,readers", *rows]) + "\n")
    _write(folder / "ct.nrrd", np.full((5, 40, 40), -850, np.int16))
    consensus, readers = np.zeros((2, 5, 40, 40), np.uint8)
    consensus[2, 10:13, 10:13], readers[2, 8:15, 10:13] = 1, 7  # three readers, one of whom drew it wider
    consensus[2, 30:33, 30:33], readers[2, 30:33, 30:33] = 2, 3  # two readers
    readers[4, 20, 20] = 1  # one reader, no consensus
    _write(folder / "consensus.nrrd", consensus)
    _write(folder / "readers.nrrd", readers)


def test_nodules_of_three_readers_are_the_reference_and_others_are_doubtful(tmp_path: Path) -> None:
    _write_scan(tmp_path, ["1,3", "2,2"])
    scan = read_scan(tmp_path)
    assert scan.patient == tmp_path.name
    assert np.argwhere(scan.reference).min(0).tolist() == [2, 10, 10] and scan.reference.sum() == 9
    assert scan.doubtful.sum() == 9 + 1 and scan.doubtful[2, 31, 31] and scan.doubtful[4, 20, 20]
    assert not scan.doubtful[2, 8:15, 10:13].any()  # the wider outline of the reference nodule is not doubted


def test_a_scan_without_outlines_has_no_nodule(tmp_path: Path) -> None:
    _write_scan(tmp_path, [])
    for name in ("consensus.nrrd", "readers.nrrd"):
        (tmp_path / name).unlink()
    scan = read_scan(tmp_path)
    assert scan.reference.shape == scan.doubtful.shape == (5, 40, 40)
    assert not scan.reference.any() and not scan.doubtful.any()


def test_a_folder_that_is_no_labelled_scan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give the folder of a labelled scan"):
        read_scan(tmp_path)
