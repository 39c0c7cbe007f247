"""What is one CT: scans told apart within and across series, the choice among them, what is named and how it is
overruled.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import HangingProtocolStorage, RawDataStorage, RLELossless

from dicom_files import write_enhanced, write_series, write_slice
from lnhg.cohort.scans import find_scans
from lnhg.core.ct import CT
from lnhg.core.nrrd_file import write_nrrd
from lnhg.errors import InputError
from lnhg.readers.read_ct import read_ct
from readers.asked import AXIAL, HU, moved, read_by_segment, refused, stack
from systems import posix_only

ONE = {"SeriesInstanceUID": "1.2.3", "StudyInstanceUID": "1.2", "FrameOfReferenceUID": "1.2.9"}
HALF_A_STEP = 1.25


def said(ct: CT, *words: str) -> bool:
    return any(all(word in warning for word in words) for warning in ct.warnings)


def two(
    folder: Path, up: float, first: dict[str, object], second: dict[str, object], slices: int = 12
) -> tuple[np.ndarray, np.ndarray]:
    """Two scans of one series UID, the second so many mm further up; returns their HU."""
    (one, grid), (other, _) = stack(slices, 1), stack(slices, 2)
    write_series(folder / "a", one, grid, **{**ONE, **first})
    write_series(folder / "b", other, moved(grid, up), **{**ONE, "InstanceNumber": None, **second})
    return one, other


DIFFERENT = {
    "patient": ({"PatientID": "A", "PatientName": "A"}, {"PatientID": "B", "PatientName": "B"}),
    "name of the patient": ({"PatientID": "", "PatientName": "A"}, {"PatientID": "", "PatientName": "B"}),
    "study": ({}, {"StudyInstanceUID": "1.3"}),
    "frame of reference": ({}, {"FrameOfReferenceUID": "1.2.10"}),
    "acquisition": ({"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}),
    "image type": ({}, {"ImageType": ["DERIVED", "SECONDARY", "AVERAGE"]}),
    "time point": ({"TemporalPositionIdentifier": 1}, {"TemporalPositionIdentifier": 2}),
    "phase of the heart": ({"NominalPercentageOfCardiacPhase": 30}, {"NominalPercentageOfCardiacPhase": 75}),
    "kernel": ({"ConvolutionKernel": "B30f"}, {"ConvolutionKernel": "B70f"}),
    "voltage": ({"KVP": 80}, {"KVP": 140}),
    "time": ({"AcquisitionTime": "101010"}, {"AcquisitionTime": "101510"}),
}


@pytest.mark.parametrize("up", [HALF_A_STEP, 0.0], ids=["between one another", "at the same places"])
@pytest.mark.parametrize("what", DIFFERENT)
def test_two_scans_of_one_series_are_never_one_ct(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], what: str, up: float
) -> None:
    one, other = two(tmp_path, up, *DIFFERENT[what])
    ct = read_by_segment(tmp_path, capfd)
    assert any(np.array_equal(ct.hu, hu) for hu in (one, other))
    assert ct.spacing[2] == pytest.approx(2.5)
    assert said(ct, "Of 2 CT scans number", "was taken, series 3", "--series or --scan")


@pytest.mark.parametrize("what", DIFFERENT)
def test_each_of_them_can_be_asked_for_by_its_number(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    one, other = two(tmp_path, HALF_A_STEP, *DIFFERENT[what])
    read = [read_ct(tmp_path, scan=1), read_by_segment(tmp_path, capfd, scan=2)]
    assert sorted(ct.hu[0, 0, 0] for ct in read) == sorted([one[0, 0, 0], other[0, 0, 0]])
    assert not any(said(ct, "was taken") for ct in read)


@pytest.mark.parametrize("what", DIFFERENT)
def test_batch_finds_both_and_reads_each(tmp_path: Path, what: str) -> None:
    one, other = two(tmp_path / "tree", HALF_A_STEP, *DIFFERENT[what])
    scans = find_scans([str(tmp_path / "tree")], tmp_path / "out")
    assert len(scans) == 2 and len({scan.name for scan in scans}) == 2
    assert sorted(scan.read().hu[0, 0, 0] for scan in scans) == sorted([one[0, 0, 0], other[0, 0, 0]])


def test_a_number_that_no_scan_has_is_refused_with_the_list(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    two(tmp_path / "ct", HALF_A_STEP, *DIFFERENT["acquisition"])
    refused(
        tmp_path / "ct", capfd, "no CT number 3", "1: series 3 (Thorax, acquisition 1, 12 slices)", more=("--scan", "3")
    )


def test_the_series_and_the_number_within_it_go_together(tmp_path: Path) -> None:
    two(tmp_path, HALF_A_STEP, *DIFFERENT["acquisition"])
    hu, grid = stack(3, 7)
    write_series(tmp_path, hu, grid, SeriesNumber=1)
    assert read_ct(tmp_path, "3", 2).spacing[2] == pytest.approx(2.5)
    assert read_ct(tmp_path, "1", 1).hu.shape[0] == 3


@pytest.mark.parametrize(
    "first", [lambda k: k + 1, lambda k: 12 - k, lambda k: 2 * k + 500], ids=["up", "down", "gaps"]
)
def test_phases_that_only_the_order_of_the_images_tells_apart_are_told_apart(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], first: Callable[[int], int]
) -> None:
    (early, grid), (late, _) = stack(12, 1), stack(12, 2)
    for k in range(12):
        write_slice(tmp_path / f"a{k}.dcm", early[k], k, grid, **ONE, InstanceNumber=first(k))
        write_slice(tmp_path / f"b{k}.dcm", late[k], k, grid, **ONE, InstanceNumber=first(k) + 25)
    np.testing.assert_array_equal(read_by_segment(tmp_path, capfd, scan=2).hu, late)
    ct = read_ct(tmp_path)
    np.testing.assert_array_equal(ct.hu, early)
    assert said(ct, "Of 2 CT scans")


def test_phases_of_each_place_one_after_another_are_told_apart(tmp_path: Path) -> None:
    (early, grid), (late, _) = stack(12, 1), stack(12, 2)
    for k in range(12):
        write_slice(tmp_path / f"a{k}.dcm", early[k], k, grid, **ONE, InstanceNumber=2 * k + 1)
        write_slice(tmp_path / f"b{k}.dcm", late[k], k, grid, **ONE, InstanceNumber=2 * k + 2)
    np.testing.assert_array_equal(read_ct(tmp_path, scan=2).hu, late)


@pytest.mark.parametrize("slices", [3, 4, 6])
def test_acquisitions_that_stand_one_upon_another_are_one_scan_with_a_note(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], slices: int
) -> None:
    hu, grid = stack(12)
    for k in range(12):
        write_slice(tmp_path / f"{k}.dcm", hu[k], k, grid, **ONE, AcquisitionNumber=1 + k // slices)
    ct = read_by_segment(tmp_path, capfd)
    np.testing.assert_array_equal(ct.hu, hu)
    assert said(ct, f"{12 // slices} acquisitions, one upon another")


def test_a_scan_with_an_acquisition_a_slice_is_one_scan(tmp_path: Path) -> None:
    hu, grid = stack(12)
    for k in range(12):
        write_slice(tmp_path / f"{k}.dcm", hu[k], k, grid, **ONE, AcquisitionNumber=k, AcquisitionTime=f"1010{k:02d}")
    ct = read_ct(tmp_path)
    np.testing.assert_array_equal(ct.hu, hu)
    assert not said(ct, "acquisitions") and not said(ct, "was taken")


@pytest.mark.parametrize("gap", [10.0, 37.0, -6.0], ids=["with a gap", "with a wide gap", "overlapping"])
def test_passes_one_upon_another_that_make_no_even_stack_are_told_apart(tmp_path: Path, gap: float) -> None:
    (low, grid), (high, _) = stack(14, 1), stack(12, 2)
    write_series(tmp_path, low, grid, **ONE, AcquisitionNumber=1)
    write_series(tmp_path / "b", high, moved(grid, 14 * 2.5 + gap), **ONE, AcquisitionNumber=2)
    ct = read_ct(tmp_path)
    np.testing.assert_array_equal(ct.hu, low)
    assert said(ct, "Of 2 CT scans", "acquisition 1, 14 slices")


@pytest.mark.parametrize("name", ["KVP", "ConvolutionKernel", "AcquisitionNumber"])
def test_an_element_that_one_slice_lacks_does_not_tear_a_scan_apart(tmp_path: Path, name: str) -> None:
    hu, grid = stack(12)
    for k in range(12):
        value = {"KVP": 120, "ConvolutionKernel": "B30f", "AcquisitionNumber": 1}[name]
        write_slice(tmp_path / f"{k}.dcm", hu[k], k, grid, **ONE, **{name: "" if k == 5 else value})
    np.testing.assert_array_equal(read_ct(tmp_path).hu, hu)


@pytest.mark.parametrize("thicknesses", [(1.25, 2.5), (5, 2), (2.5, 2.5, 3)], ids=str)
@pytest.mark.parametrize("turn", [1, -1], ids=["head up", "head down"])
def test_thickness_alone_tears_no_even_stack_apart_that_is_counted_in_turn(
    tmp_path: Path, thicknesses: tuple[float, ...], turn: int
) -> None:
    hu, grid = stack(12)
    for k in range(12):
        tags = {"SliceThickness": thicknesses[k % len(thicknesses)], "InstanceNumber": 50 + turn * k}
        write_slice(tmp_path / f"{k}.dcm", hu[k], k, grid, **ONE, **tags)
    ct = read_ct(tmp_path)
    np.testing.assert_array_equal(ct.hu, hu)
    assert said(ct, f"slices of {min(thicknesses):g} to {max(thicknesses):g} mm thickness in one even stack")
    assert not said(ct, "was taken")


@pytest.mark.parametrize("up", [HALF_A_STEP, 0.0], ids=["between one another", "at the same places"])
@pytest.mark.parametrize("second", [2.0, 5.0, 1.0])
def test_reconstructions_of_two_thicknesses_are_told_apart(tmp_path: Path, up: float, second: float) -> None:
    one, other = two(tmp_path, up, {"SliceThickness": 2.5}, {"SliceThickness": second})
    ct = read_ct(tmp_path)
    assert any(np.array_equal(ct.hu, hu) for hu in (one, other))
    assert said(ct, "Of 2 CT scans number", "was taken")


@pytest.mark.parametrize("place", [2, 5, 9])
def test_a_slice_of_another_patient_in_the_middle_is_a_missing_slice(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], place: int
) -> None:
    hu, grid = stack(12)
    (tmp_path / "ct").mkdir()
    for k in range(12):
        write_slice(tmp_path / "ct" / f"{k}.dcm", hu[k], k, grid, **ONE, PatientID="B" if k == place else "A")
    below, above = (-300 + 2.5 * k for k in (place - 1, place + 1))
    refused(tmp_path / "ct", capfd, f"missing between {below:.1f} and {above:.1f} mm")


# ---------------------------------------------------------------- the choice


def chest(folder: Path, slices: int = 60, **tags: object) -> np.ndarray:
    hu, grid = stack(slices, 3, 5.0)
    write_series(folder, hu, grid, SeriesNumber=3, SeriesDescription="Chest 5 mm", **tags)
    return hu


@pytest.mark.parametrize("places", [1, 2, 3], ids=["bolus tracking", "two places", "three places"])
def test_images_of_one_place_again_and_again_do_not_stand_in_the_way_of_the_chest(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], places: int
) -> None:
    whole = chest(tmp_path)
    hu, grid = stack(20, 4)
    for number in range(20):
        tags = {"SeriesInstanceUID": "1.2.77", "SeriesNumber": 2, "SliceThickness": 1, "InstanceNumber": number + 1}
        write_slice(tmp_path / f"watch{number}.dcm", hu[number], 40 + number % places, grid, **tags)
    ct = read_by_segment(tmp_path, capfd)
    np.testing.assert_array_equal(ct.hu, whole)
    assert said(ct, "CT scans", "series 3 (60 slices)")


@pytest.mark.parametrize(
    "other", [{}, {"SeriesInstanceUID": "1.2.77"}, {"SeriesInstanceUID": "1.2.77", "StudyInstanceUID": "1.7"}]
)
def test_batch_passes_over_images_that_watch_one_place(tmp_path: Path, other: dict[str, object]) -> None:
    chest(tmp_path / "tree", **ONE, AcquisitionNumber=2)
    hu, grid = stack(20, 4)
    for number in range(20):
        tags = {**ONE, **other, "AcquisitionNumber": 1, "InstanceNumber": number}
        write_slice(tmp_path / "tree" / f"watch{number}.dcm", hu[number], 40, grid, **tags)
    assert [len(scan.read().hu) for scan in find_scans([str(tmp_path / "tree")], tmp_path / "out")] == [60]


@pytest.mark.parametrize(("thickness", "step"), [(1.0, 10.0), (1.25, 20.0), (0.6, 15.0)])
def test_thin_slices_with_gaps_come_after_a_scan_without(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], thickness: float, step: float
) -> None:
    whole = chest(tmp_path)
    hu, grid = stack(int(300 / step), 4, step)
    write_series(tmp_path, hu, grid, SeriesNumber=4, SliceThickness=thickness)
    ct = read_by_segment(tmp_path, capfd)
    np.testing.assert_array_equal(ct.hu, whole)
    assert said(ct, "Of 2 CT scans", "series 3")
    assert read_ct(tmp_path, "4").spacing[2] == pytest.approx(step)


@pytest.mark.parametrize("slices", [12, 40, 90])
def test_thin_slices_of_a_part_of_the_chest_come_after_the_whole_chest(tmp_path: Path, slices: int) -> None:
    whole = chest(tmp_path)
    write_series(tmp_path, *stack(slices, 4, 1.0), SeriesNumber=4)
    np.testing.assert_array_equal(read_ct(tmp_path).hu, whole)


def test_thin_slices_of_the_chest_come_before_thick_ones_of_chest_and_abdomen(tmp_path: Path) -> None:
    thin, grid = stack(280, 4, 1.0)
    chest(tmp_path, 130)
    write_series(tmp_path, thin, grid, SeriesNumber=4)
    assert read_ct(tmp_path).hu.shape[0] == 280


@pytest.mark.parametrize("missing", [[100, 101], [1], [50, 150, 250]])
def test_an_even_scan_comes_before_a_thinner_one_with_slices_missing(tmp_path: Path, missing: list[int]) -> None:
    whole = chest(tmp_path)
    hu, grid = stack(300, 4, 1.0)
    write_series(tmp_path, hu, grid, leave_out=missing, SeriesNumber=4)
    np.testing.assert_array_equal(read_ct(tmp_path).hu, whole)


def test_a_reformat_comes_after_what_it_was_made_from(tmp_path: Path) -> None:
    whole = chest(tmp_path)
    hu, grid = stack(60, 4, 5.0)
    write_series(
        tmp_path,
        hu,
        grid,
        SeriesNumber=4,
        SliceThickness=1,
        ImageType=["DERIVED", "SECONDARY", "REFORMATTED", "AVERAGE"],
    )
    np.testing.assert_array_equal(read_ct(tmp_path).hu, whole)


@pytest.mark.parametrize(
    ("axes", "word"), [([0, 2, 1, 3], "coronal"), ([1, 2, 0, 3], "sagittal"), ([2, 1, 0, 3], "sagittal")]
)
def test_slices_that_are_not_axial_are_taken_alone_with_a_note_and_after_axial_ones(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], axes: list[int], word: str
) -> None:
    hu, grid = stack(12)
    write_series(tmp_path, hu, grid[:, axes] @ np.diag([1, -1, 1.0, 1]), SeriesNumber=9)
    assert said(read_by_segment(tmp_path, capfd), f"The slices are {word}, not axial")
    whole = chest(tmp_path)
    ct = read_ct(tmp_path)
    np.testing.assert_array_equal(ct.hu, whole)
    assert not said(ct, word)


def test_localizers_without_that_word_do_no_harm(tmp_path: Path) -> None:
    whole = chest(tmp_path)
    hu, grid = stack(2)
    write_series(tmp_path, hu[:1], grid[:, [0, 2, 1, 3]] @ np.diag([1, -1, 1.0, 1]), SeriesNumber=1)
    write_series(tmp_path, hu[1:], grid[:, [1, 2, 0, 3]] @ np.diag([1, -1, 1.0, 1]), SeriesNumber=1)
    np.testing.assert_array_equal(read_ct(tmp_path).hu, whole)


@pytest.mark.parametrize("kind", ["LOCALIZER", "MIP", "DOSE_INFO"])
def test_a_localizer_in_the_series_is_named_by_its_number(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    write_series(tmp_path, HU, AXIAL, **ONE)
    write_slice(tmp_path / "scout.dcm", HU[0], 40, AXIAL, **ONE, ImageType=["ORIGINAL", "PRIMARY", kind])
    ct = read_by_segment(tmp_path, capfd)
    assert said(ct, "1 image of the series (image number 41) left out")
    assert f"scout.dcm: its images are {kind.lower()}" in ct.identity["notes"]


def test_what_is_kept_names_numbers_and_what_is_shown_names_descriptions(tmp_path: Path) -> None:
    write_series(tmp_path / "a", *stack(12), SeriesNumber=4, SeriesDescription="Doe Jane thorax")
    write_series(tmp_path / "b", *stack(12), SeriesNumber=5, SeriesDescription="Doe Jane lung")
    ct = read_ct(tmp_path)
    assert "Doe" not in " ".join(ct.warnings)
    assert "1: series 4 (Doe Jane thorax, 12 slices); 2: series 5 (Doe Jane lung, 12 slices)" in ct.identity["notes"]


# ---------------------------------------------------------------- read where it is unmistakable


@pytest.mark.parametrize("unit", ["hu", "Hu", "Hounsfield", "UNSPECIFIED", ""])
def test_units_that_are_hu_in_other_words_are_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], unit: str
) -> None:
    write_series(tmp_path, HU, AXIAL, RescaleType=unit)
    np.testing.assert_array_equal(read_by_segment(tmp_path, capfd).hu, HU)


@pytest.mark.parametrize(
    "name", ["PixelSpacing", "ImagePositionPatient", "SliceThickness", "RescaleSlope", "ImageOrientationPatient"]
)
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_numbers_with_a_decimal_comma_are_read(tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    for path in write_series(
        tmp_path, HU, AXIAL, RescaleSlope="1.0", SliceThickness="2.5", PixelSpacing=["0.80", "0.70"]
    ):
        content = path.read_bytes()
        for text in {"RescaleSlope": [b"1.0 "], "PixelSpacing": [b"0.80\\0.70"], "SliceThickness": [b"2.5 "]}.get(
            name, [b"-60.5"]
        ):
            content = content.replace(text, text.replace(b".", b","))
        path.write_bytes(content)
    ct = read_by_segment(tmp_path, capfd)
    np.testing.assert_array_equal(ct.hu, HU)
    np.testing.assert_allclose(ct.ijk_to_ras, AXIAL, atol=1e-6)


@pytest.mark.parametrize("wrong", ["0.7.0", "0,7,0", "wide"])
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_text_that_is_no_number_is_refused_with_the_element(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], wrong: str
) -> None:
    for path in write_series(tmp_path / "ct", HU, AXIAL, PixelSpacing=["0.800", "0.700"]):
        path.write_bytes(path.read_bytes().replace(b"0.800\\0.700", f"0.800\\{wrong}".encode().ljust(11)))
    refused(tmp_path / "ct", capfd, "PixelSpacing is no number", wrong)


@pytest.mark.parametrize("other", [{}, {"SeriesNumber": 3}, {"StudyInstanceUID": "1.2.5"}])
def test_slices_without_a_series_uid_are_read_and_found_by_batch(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], other: dict[str, object]
) -> None:
    for k in range(5):
        write_slice(tmp_path / f"{k}.dcm", HU[k], k, AXIAL, **other)
    np.testing.assert_array_equal(read_by_segment(tmp_path, capfd).hu, HU)
    np.testing.assert_array_equal(find_scans([str(tmp_path)], tmp_path / "out")[0].read().hu, HU)


@pytest.mark.parametrize("left_out", [[], ["ImageType"]], ids=["0008", "0016"])
@pytest.mark.parametrize("explicit", [True, False])
def test_files_without_preamble_are_read_whatever_they_begin_with(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], left_out: list[str], explicit: bool
) -> None:
    for k, path in enumerate(write_series(tmp_path, HU, AXIAL)):
        dataset = pydicom.dcmread(path)
        for name in left_out:
            del dataset[name]
        with (tmp_path / f"1.2.{k:03d}").open("wb") as file:
            bare = pydicom.filebase.DicomFileLike(file)
            bare.is_little_endian, bare.is_implicit_VR = True, not explicit
            pydicom.filewriter.write_dataset(bare, dataset)
        path.unlink()
    np.testing.assert_array_equal(read_by_segment(tmp_path, capfd).hu, HU)


@posix_only
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_link_to_a_folder_is_followed_by_segment_as_by_batch(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], depth: int
) -> None:
    write_series(tmp_path / "real" / "ct", HU, AXIAL)
    view = tmp_path.joinpath("view", *"abc"[: depth - 1])
    view.mkdir(parents=True)
    (view / "series").symlink_to(tmp_path / "real" / "ct", target_is_directory=True)
    (view / "again").symlink_to(tmp_path / "view", target_is_directory=True)
    np.testing.assert_array_equal(read_by_segment(tmp_path / "view", capfd).hu, HU)
    assert len(find_scans([str(tmp_path / "view")], tmp_path / "out")) == 1


# ---------------------------------------------------------------- enhanced CT


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2", RLELossless])
def test_an_enhanced_ct_gives_the_hu_and_grid_written(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], syntax: str
) -> None:
    hu, grid = stack(12)
    write_enhanced(tmp_path / "ct.dcm", hu, grid, syntax)
    for path in (tmp_path, tmp_path / "ct.dcm"):
        ct = read_by_segment(path, capfd)
        np.testing.assert_array_equal(ct.hu, hu)
        np.testing.assert_allclose(ct.ijk_to_ras, grid, atol=1e-6)


def changed(path: Path, change: Callable[[pydicom.Dataset], object]) -> None:
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)


def test_frames_in_any_order_are_sorted_by_position(tmp_path: Path) -> None:
    hu, grid = stack(12)
    write_enhanced(
        tmp_path / "ct.dcm", hu[::-1], grid @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 11], [0, 0, 0, 1.0]])
    )
    np.testing.assert_array_equal(read_ct(tmp_path / "ct.dcm").hu, hu)


def test_acquisitions_of_an_enhanced_ct_are_told_apart(tmp_path: Path) -> None:
    hu, grid = stack(24, step=1.25)
    write_enhanced(tmp_path / "ct.dcm", hu, grid)

    def passes(dataset: pydicom.Dataset) -> None:
        for k, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            frame.FrameContentSequence[0].FrameAcquisitionNumber = 1 + k % 2

    changed(tmp_path / "ct.dcm", passes)
    ct = read_ct(tmp_path / "ct.dcm")
    np.testing.assert_array_equal(ct.hu, hu[::2])
    assert said(ct, "Of 2 CT scans", "acquisition 1")
    np.testing.assert_array_equal(read_ct(tmp_path / "ct.dcm", scan=2).hu, hu[1::2])


BROKEN_FRAMES = {
    "a frame without position": (
        "ImagePositionPatient",
        lambda d: delattr(d.PerFrameFunctionalGroupsSequence[3], "PlanePositionSequence"),
    ),
    "fewer descriptions than frames": ("each of its frames", lambda d: d.PerFrameFunctionalGroupsSequence.pop()),
    "no spacing": ("PixelSpacing", lambda d: delattr(d.SharedFunctionalGroupsSequence[0], "PixelMeasuresSequence")),
    "no rescale": (
        "no HU scale",
        lambda d: delattr(d.SharedFunctionalGroupsSequence[0], "PixelValueTransformationSequence"),
    ),
    "no frames described": ("each of its frames", lambda d: delattr(d, "PerFrameFunctionalGroupsSequence")),
    "fewer pixels than frames": ("bytes of pixels", lambda d: setattr(d, "PixelData", d.PixelData[:-512])),
}


@pytest.mark.parametrize("what", BROKEN_FRAMES)
def test_an_enhanced_ct_that_contradicts_itself_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    word, change = BROKEN_FRAMES[what]
    write_enhanced(tmp_path / "ct.dcm", *stack(12))
    changed(tmp_path / "ct.dcm", change)
    refused(tmp_path / "ct.dcm", capfd, word)


@posix_only
@pytest.mark.parametrize("target", ["itself", "nothing", "a circle"])
def test_a_link_that_leads_nowhere_is_named_whatever_way_it_does(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], target: str
) -> None:
    write_series(tmp_path / "ct", HU, AXIAL)
    link = tmp_path / "ct" / "last.dcm"
    link.symlink_to({"itself": link, "nothing": tmp_path / "gone", "a circle": tmp_path / "back"}[target])
    if target == "a circle":
        (tmp_path / "back").symlink_to(link)
    refused(tmp_path / "ct", capfd, "last.dcm is a link to nothing")


@pytest.mark.parametrize("words", [("--scan", "2"), ("--scan", "0"), ("--series", "Thorax")])
def test_a_series_or_scan_of_an_image_file_is_refused_and_not_left_out_of_account(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], words: tuple[str, str]
) -> None:
    write_nrrd(tmp_path / "ct.nrrd", HU, AXIAL)
    refused(tmp_path / "ct.nrrd", capfd, "ct.nrrd is an image file, which holds one scan and no series", more=words)
    assert read_ct(tmp_path / "ct.nrrd", scan=1).hu.shape == HU.shape


@pytest.mark.parametrize("name", ["a\0b", "\0", "ct.nrrd\0.dcm"])
def test_a_name_with_a_zero_byte_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"cannot hold a zero byte; give a DICOM folder or an image file\.$"):
        read_ct(f"{tmp_path}/{name}")


ANEW = ["SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName"]


@pytest.mark.parametrize("name", ANEW)
def test_slices_that_an_anonymiser_gave_a_uid_each_are_refused_and_never_one_slice_of_many(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    hu, grid = stack(12)
    (tmp_path / "ct").mkdir()
    for k in range(12):
        write_slice(tmp_path / "ct" / f"{k}.dcm", hu[k], k, grid, **{**ONE, name: f"1.2.840.{k}"})
    refused(tmp_path / "ct", capfd, f"has a {name} of its own")
    assert read_ct(tmp_path / "ct", scan=3).hu.shape[0] == 1
    for scan in find_scans([str(tmp_path / "ct")], tmp_path / "out"):
        with pytest.raises(InputError, match="of its own"):
            scan.read()


def test_a_single_slice_beside_a_scan_is_none_of_its_slices(tmp_path: Path) -> None:
    hu, grid = stack(12)
    write_series(tmp_path, hu, grid, **ONE)
    write_slice(tmp_path / "x.dcm", hu[0], 14, grid, SeriesInstanceUID="1.2.4", StudyInstanceUID="1.2")
    assert read_ct(tmp_path).hu.shape[0] == 12
    assert read_ct(tmp_path, "1.2.4").hu.shape[0] == 1


@pytest.mark.parametrize("of_class", [HangingProtocolStorage, RawDataStorage, "1.3.46.670589.5.0.1"])
def test_objects_without_pixels_and_modality_do_not_stand_in_the_way(tmp_path: Path, of_class: str) -> None:
    hu, grid = stack(12)
    path = write_series(tmp_path, hu, grid, **ONE)[0]
    other = pydicom.dcmread(path)
    for name in ("PixelData", "Modality", "Rows", "Columns", "SeriesInstanceUID"):
        del other[name]
    other.SOPClassUID = other.file_meta.MediaStorageSOPClassUID = of_class
    other.save_as(tmp_path / "protocol.dcm")
    np.testing.assert_array_equal(read_ct(tmp_path).hu, hu)


def copied(folder: Path, name: str, slices: slice) -> int:
    """Copies some of the slices of a series under other names; how many."""
    files = sorted(folder.glob("*.dcm"))[slices]
    for number, file in enumerate(files):
        place = folder / name.format(number)
        place.parent.mkdir(exist_ok=True)
        shutil.copyfile(file, place)
    return len(files)


COPIES = [("copy {}.dcm", slice(1)), ("again/{}.dcm", slice(None)), ("IM{}", slice(1, 12, 3))]


@pytest.mark.parametrize(("name", "slices"), COPIES)
def test_files_that_were_copied_twice_are_read_once_with_a_note(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, slices: slice
) -> None:
    hu, grid = stack(12)
    write_series(tmp_path / "ct", hu, grid, **ONE)
    count = copied(tmp_path / "ct", name, slices)
    ct = read_by_segment(tmp_path / "ct", capfd)
    np.testing.assert_array_equal(ct.hu, hu)
    assert said(ct, "1 file is a copy" if count == 1 else f"{count} files are copies", "each image was read once")
    (scan,) = find_scans([str(tmp_path)], tmp_path / "out")
    np.testing.assert_array_equal(scan.read().hu, hu)


@pytest.mark.parametrize(("name", "slices"), COPIES)
def test_copies_of_two_acquisitions_leave_their_numbers_as_they_are(tmp_path: Path, name: str, slices: slice) -> None:
    one, other = two(tmp_path, HALF_A_STEP, {"AcquisitionNumber": 1}, {"AcquisitionNumber": 2})
    copied(tmp_path / "b", name, slices)
    np.testing.assert_array_equal(read_ct(tmp_path, scan=1).hu, one)
    np.testing.assert_array_equal(read_ct(tmp_path, scan=2).hu, other)
    assert [len(scan.read().hu) for scan in find_scans([str(tmp_path)], tmp_path / "out")] == [12, 12]


@pytest.mark.parametrize(
    "change",
    [
        lambda slice_: setattr(slice_, "PixelData", slice_.PixelData[::-1]),
        lambda slice_: setattr(slice_, "RescaleIntercept", -1000),
        lambda slice_: setattr(slice_, "InstanceNumber", 77),
    ],
)
def test_a_slice_twice_that_is_no_copy_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], change: Callable[[pydicom.Dataset], object]
) -> None:
    (tmp_path / "in").mkdir()
    files = write_series(tmp_path / "in", *stack(12), **ONE)
    again = pydicom.dcmread(files[3])
    change(again)
    again.save_as(tmp_path / "in" / "again.dcm")
    refused(tmp_path / "in", capfd, "more than one slice at")
