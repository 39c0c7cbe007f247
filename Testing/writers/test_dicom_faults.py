"""DICOM export of CTs whose headers are odd: exported where it can be, else one sentence and no file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from commanded import lying_in, refused
from dicom_files import write_series
from lnhg.cli import main
from lnhg.core.result import Result
from lnhg.readers.read_ct import read_ct

pytest.importorskip("highdicom", reason="needs the dicom extra: pip install 'lnhg[dicom]'")

from host.handmade import GRIDS, handmade_result
from lnhg.writers.dicom import FILES, write_dicom
from lnhg.writers.results import save
from readers.test_dicom_scans import COPIES, copied
from systems import posix_only


@pytest.fixture
def small(tmp_path: Path):
    """Writes a CT of four slices with some tags, and beside it the result that a run on it would; gives both."""

    def make(**tags: object) -> tuple[Result, Path]:
        made = handmade_result(GRIDS["axial"])
        source = tmp_path / "ct"
        write_series(source, made.ct.hu, GRIDS["axial"], FrameOfReferenceUID="1.2.3.4", **tags)
        result = replace(made, ct=read_ct(source))
        save(result, tmp_path / "results", for_scene=True)
        return result, source

    return make


def export(source: Path, output: Path) -> list[object]:
    """The command that exports the results beside a CT."""
    return ["export", "dicom", output.parent / "results", "--source", source, "--output", output]


def exported(source: Path, output: Path) -> list[pydicom.Dataset]:
    """What the command writes, segmentation and measurements; it ends with 0."""
    assert main([str(word) for word in export(source, output)]) == 0
    assert {path.name for path in output.iterdir()} == set(FILES.values())
    return [pydicom.dcmread(output / name) for name in FILES.values()]


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("ISO_IR 100", "Müller^Änne"),
        ("ISO_IR 192", "Доу^Джейн"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
    ],
)
def test_names_in_any_character_set_are_exported_as_they_are(small, tmp_path: Path, charset, name: str) -> None:
    _, source = small(SpecificCharacterSet=charset, PatientName=name)
    for dataset in exported(source, tmp_path / "out"):
        assert str(dataset.PatientName) == name
        assert dataset.SpecificCharacterSet == "ISO_IR 192"


@pytest.mark.parametrize(
    "tags",
    [
        {"PatientSex": "W"},
        {"PatientSex": "FEMALE"},
        {"PatientBirthDate": "1950.01.02"},
        {"StudyDate": "20201341"},
        {"StudyTime": "25:61"},
        {"SeriesNumber": 2147483647},
        {"SeriesNumber": -5},
        {"SeriesNumber": None},
        {"AccessionNumber": "longer than the sixteen characters of DICOM"},
        {"SpecificCharacterSet": "NO_SUCH_SET"},
    ],
    ids=str,
)
def test_odd_values_are_no_hindrance(small, tmp_path: Path, tags: dict[str, object]) -> None:
    _, source = small(**tags)
    segmentation, report = exported(source, tmp_path / "out")
    for dataset in (segmentation, report):
        assert dataset.PatientID == "ID-4711"
        assert dataset.get("PatientSex") in (None, "", "M", "F", "O")
        assert 0 < int(dataset.SeriesNumber) < 2**31
    assert segmentation.SeriesNumber != report.SeriesNumber


@pytest.mark.parametrize("which", [slice(None), slice(0, 1), slice(3, 4)])
def test_slices_without_a_uid_of_their_own_are_refused(small, tmp_path: Path, capfd, which: slice) -> None:
    _, source = small()
    for file in sorted(source.iterdir())[which]:
        dataset = pydicom.dcmread(file)
        del dataset.SOPInstanceUID
        dataset.save_as(file, enforce_file_format=False)
    said = "Slices in ct have no SOPInstanceUID of their own, which DICOM needs; export the CT"
    refused(export(source, tmp_path / "out"), tmp_path, capfd, said)


@pytest.mark.parametrize("name", FILES.values())
def test_a_foreign_file_is_not_replaced_and_own_ones_are(small, tmp_path: Path, capfd, name: str) -> None:
    _, source = small()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    said = "would be replaced, but is not of this program"
    refused(export(source, tmp_path / "out"), tmp_path, capfd, f"{name} in ", said)
    (tmp_path / "out" / name).unlink()
    for _ in range(2):
        exported(source, tmp_path / "out")


@pytest.mark.parametrize("error", [ValueError("odd value"), AttributeError("no such"), TypeError("None")])
def test_whatever_the_library_says_is_one_sentence(small, tmp_path: Path, capfd, monkeypatch, error: Exception) -> None:
    def fails(*_: object) -> None:
        raise error

    _, source = small()
    monkeypatch.setattr("lnhg.writers.dicom.dicom_sr", fails)
    said = "The headers in ct do not allow DICOM objects ("
    refused(export(source, tmp_path / "out"), tmp_path, capfd, said, "); export the CT again.")


def test_what_the_library_thinks_of_odd_values_is_not_shown(small, tmp_path: Path, recwarn) -> None:
    result, source = small(PatientName="N" * 200, PatientBirthDate="unknown")
    recwarn.clear()
    write_dicom(result, source, tmp_path / "out")
    assert not recwarn.list


@posix_only
def test_slices_behind_a_link_to_a_folder_are_found_as_when_the_ct_is_read(small, tmp_path: Path) -> None:
    result, source = small()
    (tmp_path / "view").mkdir()
    (tmp_path / "view" / "series").symlink_to(source, target_is_directory=True)
    assert read_ct(tmp_path / "view").hu.shape == result.ct.hu.shape
    exported(tmp_path / "view", tmp_path / "out")


def told(dataset: pydicom.Dataset, slices: set[str]) -> list[object]:
    """What a file says of nodules, and which slices it names; what else it names each export makes anew."""
    figures = ("NumericValue", "ImagePositionPatient", "PixelData")
    named = [one for one in dataset.iterall() if one.keyword in figures or (one.VR == "UI" and one.value in slices)]
    assert slices <= {one.value for one in named if one.VR == "UI"}
    return [one.value for one in named]


@pytest.mark.parametrize(("name", "slices"), COPIES)
def test_a_ct_of_which_files_were_copied_twice_is_exported_as_if_they_were_not(
    small, tmp_path: Path, name: str, slices: slice
) -> None:
    _, source = small()
    uids = {str(pydicom.dcmread(file).SOPInstanceUID) for file in source.iterdir()}
    once = exported(source, tmp_path / "once")
    copied(source, name, slices)
    before = lying_in(source)
    twice = exported(source, tmp_path / "twice")
    assert [told(one, uids) for one in twice] == [told(one, uids) for one in once]
    assert lying_in(source) == before


@pytest.mark.parametrize("tag", ["PixelData", "RescaleIntercept", "InstanceNumber"])
def test_a_slice_twice_that_is_no_copy_is_refused(small, tmp_path: Path, capfd, tag: str) -> None:
    _, source = small()
    again = pydicom.dcmread(sorted(source.iterdir())[3])
    other = {"PixelData": again.PixelData[::-1], "RescaleIntercept": -1000, "InstanceNumber": 77}
    setattr(again, tag, other[tag])
    again.save_as(source / "again.dcm")
    refused(export(source, tmp_path / "out"), tmp_path, capfd, "more than one slice at")


def test_slices_without_a_series_are_refused_for_that(small, tmp_path: Path, capfd) -> None:
    _, source = small()
    for file in source.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.SeriesInstanceUID = ""
        dataset.save_as(file)
    refused(export(source, tmp_path / "out"), tmp_path, capfd, "have no SeriesInstanceUID")


@pytest.mark.parametrize("degrees", [17, -8, 25])
def test_a_tilted_gantry_is_warned_of(tmp_path: Path, capfd, degrees: float) -> None:
    across = np.tan(np.radians(degrees)) * 2.5
    for grid, told in ((GRIDS["axial"], False), (GRIDS["axial"] + across * np.outer(np.eye(4)[1], np.eye(4)[2]), True)):
        folder = tmp_path / ("tilted" if told else "straight")
        made = handmade_result(grid)
        write_series(folder / "ct", made.ct.hu, grid, FrameOfReferenceUID="1.2.3.4")
        save(replace(made, ct=read_ct(folder / "ct")), folder / "results", for_scene=True)
        exported(folder / "ct", folder / "out")
        assert ("cannot load this DICOM SEG" in capfd.readouterr().out) is told
