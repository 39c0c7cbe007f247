"""What a reader should know of a series that can be read: gaps, slabs, loss by compression, a single slice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSNearLossless

from dicom_files import write_series, write_slice
from lnhg.core.nrrd_file import write_nrrd
from lnhg.readers.image_file import read_volume
from readers.asked import AXIAL, HU, moved, read_by_segment, refused, stack

Noted = Callable[[Path, str], bool]


@pytest.fixture
def noted(capfd: pytest.CaptureFixture[str]) -> Noted:
    """Whether `lnhg segment` tells of a CT in these words."""
    return lambda path, words: any(words in one for one in read_by_segment(path, capfd).warnings)


@pytest.mark.parametrize(("thickness", "step"), [(1.25, 2.5), (1.0, 10.0), (2.5, 5.0), (5.0, 7.0)])
def test_slices_that_lie_further_apart_than_they_are_thick_are_noted(
    tmp_path: Path, noted: Noted, thickness: float, step: float
) -> None:
    write_series(tmp_path / "ct", *stack(12, step=step), SliceThickness=thickness)
    assert noted(tmp_path / "ct", f"The slices are {thickness:g} mm thick and {step:g} mm apart")


@pytest.mark.parametrize(("thickness", "step"), [(2.5, 2.5), (2.5, 1.25), (5.0, 5.5), (None, 5.0), (0, 5.0)])
def test_slices_side_by_side_or_of_unknown_thickness_are_no_news(
    tmp_path: Path, noted: Noted, thickness: object, step: float
):
    write_series(tmp_path / "ct", *stack(12, step=step), SliceThickness=thickness)
    assert not noted(tmp_path / "ct", "apart: what lies between")


@pytest.mark.parametrize(("thickness", "step"), [(5.0, 0.5), (2.5, 0.25), (10.0, 1.25)])
def test_slices_closer_than_any_are_made_are_noted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], thickness: float, step: float
) -> None:
    """As where places are in cm."""
    write_series(tmp_path, *stack(12, step=step), SliceThickness=thickness)
    warnings = read_by_segment(tmp_path, capfd).warnings
    assert any(f"The slices are {thickness:g} mm thick and only {step:g} mm apart" in one for one in warnings)


@pytest.mark.parametrize(("thickness", "step"), [(5.0, 1.0), (2.5, 0.5), (1.25, 0.625), (None, 0.5)])
def test_slices_that_overlap_as_scanners_make_them_are_no_news(
    tmp_path: Path, noted: Noted, thickness: object, step: float
) -> None:
    write_series(tmp_path / "ct", *stack(12, step=step), SliceThickness=thickness)
    assert not noted(tmp_path / "ct", "mm apart: their places")


@pytest.mark.parametrize("lost", [[11], [9, 10, 11], [0, 1]], ids=str)
def test_images_that_the_header_counts_and_that_are_not_here_are_noted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], lost: list[int]
) -> None:
    hu, grid = stack(12)
    write_series(tmp_path, hu, grid, leave_out=lost, ImagesInAcquisition=12)
    here = f"The header tells of 12 images in the acquisition, of which {12 - len(lost)} are here"
    assert any(here in one for one in read_by_segment(tmp_path, capfd).warnings)


@pytest.mark.parametrize("count", [12, 6, 0, ""])
def test_a_count_of_images_that_are_all_here_is_no_news(tmp_path: Path, noted: Noted, count: object) -> None:
    write_series(tmp_path / "ct", *stack(12), ImagesInAcquisition=count)
    assert not noted(tmp_path / "ct", "The header tells of")


def test_every_other_slice_missing_is_noted(tmp_path: Path, noted: Noted) -> None:
    hu, grid = stack(12, step=2.5)
    write_series(tmp_path / "ct", hu, grid, leave_out=range(1, 12, 2), SliceThickness=2.5)
    assert noted(
        tmp_path / "ct", "2.5 mm thick and 5 mm apart: what lies between them is not seen, or slices are missing"
    )


TORN: dict[str, tuple[object, object]] = {
    "SeriesDescription": ("Thorax", "Thorax 1.0"),
    "PatientName": ("Doe^Jane", "DOE^JANE"),
    "FrameOfReferenceUID": ("1.2.9", "1.2.10"),
    "ImageType": (["ORIGINAL", "PRIMARY", "AXIAL"], ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"]),
    "ImageOrientationPatient": ([1, 0, 0, 0, 1, 0], [1, 0.002, 0, -0.002, 1, 0]),
}


@pytest.mark.parametrize("what", TORN)
def test_a_stack_that_is_torn_apart_slice_by_slice_is_noted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    """As where every other slice has another spelling of the patient: half of the slices are read."""
    torn(tmp_path, 12, lambda k: {what: TORN[what][k % 2]})
    warnings = read_by_segment(tmp_path, capfd).warnings
    assert any("half of the slices may be left out" in one for one in warnings)


@pytest.mark.parametrize(
    ("diameter", "spacing"),
    [
        (11.2, 1.4),  # made half as large, the spacing left as it was
        (112.0, 0.7),  # in cm, or cut out
        (14.0, 0.7),
        (5.6, 0.7),
        ("22.4", 0.7),
    ],
)
def test_pixels_that_make_another_field_than_was_reconstructed_are_noted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], diameter: object, spacing: float
) -> None:
    write_series(tmp_path, *stack(12), ReconstructionDiameter=diameter, PixelSpacing=[spacing, spacing])
    warnings = read_by_segment(tmp_path, capfd).warnings
    said = f"names a field of {float(str(diameter)):.4g} mm, but 16 pixels of {spacing:.3g} mm make one of"
    assert any(said in one for one in warnings)


@pytest.mark.parametrize("diameter", [11.2, 11.4, 10.9, "11.2", 0, -11.2, "", None, [11.2, 50.0]])
def test_a_field_that_fits_or_that_nobody_knows_is_no_news(tmp_path: Path, noted: Noted, diameter: object) -> None:
    of_field = {} if diameter is None else {"ReconstructionDiameter": diameter}
    write_series(tmp_path / "ct", *stack(12), PixelSpacing=[0.7, 0.7], **of_field)
    assert not noted(tmp_path / "ct", "names a field of")


@pytest.mark.parametrize("cut", [(0, 4), (9, 12)], ids=str)
@pytest.mark.parametrize("what", ["PatientName", "PatientID", "StudyInstanceUID", "FrameOfReferenceUID"])
def test_the_end_of_a_stack_with_other_names_or_uids_is_told_to_be_missing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], what: str, cut: tuple[int, int]
) -> None:
    torn(tmp_path, 12, lambda k: {what: "1.2.99"} if cut[0] <= k < cut[1] else {})
    warnings = read_by_segment(tmp_path, capfd).warnings
    assert any("go on above or below" in one and "the lungs may be cut short" in one for one in warnings)


@pytest.mark.parametrize("away", [30.0, 31.0, 100.0])
def test_another_patients_scan_elsewhere_in_a_series_is_no_rest_of_a_stack(
    tmp_path: Path, noted: Noted, away: float
) -> None:
    """30 mm away is where the next slice but one would lie."""
    torn(tmp_path / "ct", 11, lambda _: {})
    hu, grid = stack(11, seed=2)
    for k in range(11):
        other = {"SeriesInstanceUID": "1.2.3", "StudyInstanceUID": "1.2", "PatientName": "Roe^Max"}
        write_slice(tmp_path / "ct" / f"other-{k}.dcm", hu[k], k, moved(grid, away), **other)
    assert not noted(tmp_path / "ct", "go on above or below")


@pytest.mark.parametrize("name", ["AcquisitionNumber", "TemporalPositionIdentifier", "SeriesInstanceUID"])
def test_two_passes_that_lie_between_one_another_are_no_torn_stack(tmp_path: Path, noted: Noted, name: str) -> None:
    torn(tmp_path / "ct", 12, lambda k: {name: f"{1 + k % 2}"})
    assert not noted(tmp_path / "ct", "may be left out")


def torn(folder: Path, count: int, change: Callable[[int], dict[str, object]]) -> None:
    """A series whose slices have elements of their own, and no thickness that shows what is missing."""
    hu, grid = stack(count)
    folder.mkdir(exist_ok=True)
    for k in range(count):
        one = {"SeriesInstanceUID": "1.2.3", "StudyInstanceUID": "1.2", "SliceThickness": None, **change(k)}
        write_slice(folder / f"{k}.dcm", hu[k], k, grid, **one)


def numbered(folder: Path, numbers: list[int]) -> Path:
    """A series whose slices, from foot to head, have these image numbers."""
    for path, number in zip(write_series(folder, *stack(len(numbers))), numbers, strict=True):
        dataset = pydicom.dcmread(path)
        dataset.InstanceNumber = number
        dataset.save_as(path)
    return folder


@pytest.mark.parametrize(
    ("numbers", "passes"),
    [
        ([1, 7, 2, 8, 3, 9, 4, 10, 5, 11, 6, 12], 2),
        ([12, 6, 11, 5, 10, 4, 9, 3, 8, 2, 7, 1], 2),
        ([1, 101, 201, 2, 102, 202, 3, 103, 203, 4, 104, 204], 3),
    ],
)
def test_passes_that_only_the_image_numbers_tell_apart_are_noted(
    tmp_path: Path, noted: Noted, numbers: list[int], passes: int
) -> None:
    told = f"By their numbers the images are of {passes} passes that lie between one another"
    assert noted(numbered(tmp_path / "ct", numbers), told)


@pytest.mark.parametrize(
    "numbers", [list(range(1, 13)), list(range(12, 0, -1)), [5, 3, 11, 1, 9, 2, 12, 4, 8, 6, 10, 7], [1, 3, 2]]
)
def test_other_image_numbers_are_no_news(tmp_path: Path, noted: Noted, numbers: list[int]) -> None:
    assert not noted(numbered(tmp_path / "ct", numbers), "passes")


@pytest.mark.parametrize("description", ["Thorax MIP 8mm", "axial_MIP", "MinIP 5", "Maximum intensity", "VRT lung"])
def test_slabs_are_noted_and_come_after_plain_slices(tmp_path: Path, noted: Noted, description: str) -> None:
    hu, grid = stack(12, step=2.5)
    write_series(tmp_path / "ct", hu, grid, SeriesDescription=description, SeriesNumber=1, SliceThickness=1)
    assert noted(tmp_path / "ct", "named a projection of slabs (MIP)")
    write_series(tmp_path / "ct", hu, grid, SeriesDescription="Thorax", SeriesNumber=2, SliceThickness=2.5)
    assert not noted(tmp_path / "ct", "projection")
    assert noted(tmp_path / "ct", "number 2 was taken")


@pytest.mark.parametrize("description", ["Thorax", "chip", "shrimp", "VRTX 1.0", ""])
def test_other_descriptions_are_no_slabs(tmp_path: Path, noted: Noted, description: str) -> None:
    write_series(tmp_path / "ct", *stack(12), SeriesDescription=description)
    assert not noted(tmp_path / "ct", "projection")


@pytest.mark.parametrize("told", ["01", "1", "by syntax"])
def test_images_that_lost_something_by_compression_are_noted(tmp_path: Path, noted: Noted, told: str) -> None:
    syntax = JPEGLSNearLossless if told == "by syntax" else ExplicitVRLittleEndian
    tags = {} if told == "by syntax" else {"LossyImageCompression": told}
    write_series(tmp_path / "ct", HU, AXIAL, syntax, **tags)
    assert noted(tmp_path / "ct", "compressed with loss")


@pytest.mark.parametrize("told", ["00", "", None])
def test_images_that_lost_nothing_are_no_news(tmp_path: Path, noted: Noted, told: str | None) -> None:
    write_series(tmp_path / "ct", HU, AXIAL, **({} if told is None else {"LossyImageCompression": told}))
    assert not noted(tmp_path / "ct", "compressed with loss")


@pytest.mark.parametrize("format", ["folder", "file of a series", "nrrd"])
def test_a_single_slice_is_noted(tmp_path: Path, noted: Noted, format: str) -> None:
    if format == "nrrd":
        write_nrrd(tmp_path / "ct.nrrd", HU[:1], AXIAL)
        path = tmp_path / "ct.nrrd"
    else:
        files = write_series(tmp_path / "ct", HU if format.startswith("file") else HU[:1], AXIAL)
        path = files[0] if format.startswith("file") else tmp_path / "ct"
    assert noted(path, "The CT is a single slice")
    write_series(tmp_path / "whole", HU, AXIAL)
    assert not noted(tmp_path / "whole", "single slice")


# ---------------------------------------------------------------- image files that contradict themselves


@pytest.mark.parametrize("spacings", ["1 1 1", "0.7 0.8 5", "0.7 0.9 2.5"])
def test_a_nrrd_file_with_two_sizes_of_voxels_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], spacings: str
) -> None:
    path = with_fields(tmp_path / "ct.nrrd", f"spacings: {spacings}")
    refused(path, capfd, "ct.nrrd gives the size of its voxels twice, and not alike")


@pytest.mark.parametrize("spacings", ["0.7 0.8 2.5", "nan nan nan", "0.7000001 0.8 2.5"])
def test_a_nrrd_file_that_says_it_twice_alike_is_read(tmp_path: Path, spacings: str) -> None:
    path = with_fields(tmp_path / "ct.nrrd", f"spacings: {spacings}")
    np.testing.assert_allclose(read_volume(path).ijk_to_ras, AXIAL)


def with_fields(path: Path, *fields: str) -> Path:
    write_nrrd(path, HU, AXIAL)
    head, _, content = path.read_bytes().partition(b"\n\n")
    path.write_bytes(head + b"\n" + "\n".join(fields).encode() + b"\n\n" + content)
    return path


@pytest.mark.parametrize("modality", ["MET_MOD_MR", "MET_MOD_NM", "MET_MOD_US"])
def test_a_meta_image_of_another_modality_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], modality: str
) -> None:
    head = f"NDims = 3\nDimSize = 32 32 5\nElementSpacing = 1 1 2\nModality = {modality}\nElementType = MET_SHORT\n"
    (tmp_path / "ct.mha").write_bytes(head.encode() + b"ElementDataFile = LOCAL\n" + HU.tobytes())
    said = f"ct.mha is no CT but '{modality[-2:]}' by its Modality; give a CT in HU."
    refused(tmp_path / "ct.mha", capfd, said)
    (tmp_path / "ct.mha").write_bytes(
        head.replace(modality, "MET_MOD_CT").encode() + b"ElementDataFile = LOCAL\n" + HU.tobytes()
    )
    assert read_by_segment(tmp_path / "ct.mha", capfd).hu.shape == HU.shape


@pytest.mark.parametrize("tag", [b"\x20\x00\x11\x00", b"\x20\x00\x12\x00", b"\x20\x00\x00\x01", b"\x20\x00\x02\x10"])
@pytest.mark.parametrize("written", [b"\xb2\xb3", b"\xb9 ", b"\xb3\x00"])
def test_a_number_that_is_written_as_a_power_is_none(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], tag: bytes, written: bytes
) -> None:
    names = ("SeriesNumber", "AcquisitionNumber", "TemporalPositionIdentifier", "ImagesInAcquisition")
    tags = dict.fromkeys(names, 77)
    for path in write_series(tmp_path / "ct", *stack(12), **tags):
        whole = path.read_bytes()
        assert tag + b"IS\x02\x0077" in whole
        path.write_bytes(whole.replace(tag + b"IS\x02\x0077", tag + b"IS\x02\x00" + written))
    assert read_by_segment(tmp_path / "ct", capfd).hu.shape[0] == 12
