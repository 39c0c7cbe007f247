"""Reading CT: what comes in right, what is warned of, and what is refused with one sentence."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    XRayAngiographicImageStorage,
)
from scipy.spatial.transform import Rotation

from dicom_files import write_series, write_slice
from lnhg import read_ct
from lnhg.cli import main
from lnhg.core.ct import CT
from lnhg.core.nrrd_file import write_nrrd
from lnhg.errors import InputError

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
COMPRESSED = [RLELossless, JPEGLSLossless, JPEG2000Lossless]
_ENCODER = {JPEGLSLossless: "jpeg_ls", JPEG2000Lossless: "openjpeg"}

SCOUT = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
HU = np.random.default_rng(5).integers(-1000, 400, (5, 32, 32)).astype(np.int16)
AXIAL = np.array([[-0.7, 0, 0, 90], [0, -0.8, 0, 60.5], [0, 0, 2.5, -300], [0, 0, 0, 1.0]])


def oblique() -> np.ndarray:
    matrix = AXIAL.copy()
    matrix[:3, :3] = Rotation.from_euler("xyz", [12, -7, 20], degrees=True).as_matrix() @ AXIAL[:3, :3]
    return matrix


def tilted(degrees: float = 15.0) -> np.ndarray:
    """Slices turned about the left-right axis by a tilted gantry, while the table still moves along the patient."""
    turn = np.radians(degrees)
    matrix = AXIAL.copy()
    matrix[:3, 1] = -0.8 * np.array([0, np.cos(turn), np.sin(turn)])
    return matrix


GRIDS = {
    "axial": AXIAL,
    "flipped": AXIAL @ np.diag([-1.0, 1, -1, 1]),
    "permuted": AXIAL @ np.eye(4)[[2, 0, 1, 3]],
    "oblique": oblique(),
    "sheared": tilted(),
}


def nifti(path: Path, hu: np.ndarray, ijk_to_ras: np.ndarray) -> None:
    nibabel.Nifti1Image(hu.T, ijk_to_ras).to_filename(path)


def meta_image(path: Path, hu: np.ndarray, ijk_to_ras: np.ndarray) -> None:
    image = sitk.GetImageFromArray(hu)
    lps = np.diag([-1.0, -1, 1, 1]) @ ijk_to_ras
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing)
    image.SetOrigin(lps[:3, 3])
    image.SetDirection((lps[:3, :3] / spacing).ravel())
    sitk.WriteImage(image, path)


WRITERS = {"ct.nrrd": write_nrrd, "ct.mha": meta_image, "ct.nii": nifti, "ct.nii.gz": nifti}


def assert_same(ct: CT, hu: np.ndarray, ijk_to_ras: np.ndarray) -> None:
    assert ct.hu.dtype == np.int16
    np.testing.assert_array_equal(ct.hu, hu)
    np.testing.assert_allclose(ct.ijk_to_ras, ijk_to_ras, atol=1e-4)


def refusal(path: Path, *words: str, series: str | None = None) -> None:
    """Reading is refused with one sentence that holds the words and, after a semicolon, what to do."""
    with pytest.raises(InputError) as refused:
        read_ct(path, series)
    message = str(refused.value)
    for word in words:
        assert word in message
    wrong, remedy = message.rsplit("; ", 1)
    assert wrong and remedy.endswith(".") and message.count("\n") == 0 and ". " not in remedy


def warned(ct: CT, words: str) -> bool:
    return any(words in warning for warning in ct.warnings)


def cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def needs_encoder(syntax: str) -> None:
    if syntax in _ENCODER:
        pytest.importorskip(_ENCODER[syntax], reason=f"pydicom cannot write {syntax.name} here")


# ---------------------------------------------------------------- DICOM that can be read


def test_a_dicom_folder_gives_its_hu_and_grid(tmp_path: Path) -> None:
    write_series(tmp_path, HU, AXIAL)
    ct = read_ct(tmp_path)
    assert_same(ct, HU, AXIAL)
    assert ct.instance_numbers == (1, 2, 3, 4, 5)


def test_slices_are_sorted_by_position_not_by_name_or_instance_number(tmp_path: Path) -> None:
    for k, (name, number) in enumerate(zip("cadeb", (7, 9, 1, 30, 2), strict=True)):
        write_slice(tmp_path / f"{name}.dcm", HU[k], k, AXIAL, SeriesInstanceUID="1.2.3", InstanceNumber=number)
    ct = read_ct(tmp_path)
    assert_same(ct, HU, AXIAL)
    assert ct.instance_numbers == (7, 9, 1, 30, 2)


def test_a_single_dicom_file_is_a_ct_of_one_slice(tmp_path: Path) -> None:
    paths = write_series(tmp_path, HU, AXIAL)
    matrix = AXIAL.copy()
    matrix[2, 3] += 2 * 2.5
    assert_same(read_ct(paths[2]), HU[2:3], matrix)


def test_files_beside_the_slices_and_subfolders_do_no_harm(tmp_path: Path) -> None:
    write_series(tmp_path / "study" / "series", HU, AXIAL)
    (tmp_path / "notes.txt").write_text("seen on Tuesday")
    (tmp_path / "DICOMDIR").write_bytes(b"an index")
    (tmp_path / "study" / "._000.dcm").write_bytes(b"left by a Mac")
    assert_same(read_ct(tmp_path), HU, AXIAL)


def test_rescale_is_applied(tmp_path: Path) -> None:
    write_series(tmp_path, HU, AXIAL, RescaleSlope=1, RescaleIntercept=-8192)
    assert_same(read_ct(tmp_path), HU, AXIAL)


def test_a_rescale_slope_that_is_no_whole_number_is_applied(tmp_path: Path) -> None:
    write_series(tmp_path, HU, AXIAL, RescaleSlope="0.25", RescaleIntercept="-1000.5")
    assert_same(read_ct(tmp_path), np.rint(np.rint((HU + 1000.5) / 0.25) * 0.25 - 1000.5), AXIAL)


def test_each_slice_has_its_own_rescale(tmp_path: Path) -> None:
    for k, hu in enumerate(HU):
        write_slice(tmp_path / f"{k}.dcm", hu, k, AXIAL, SeriesInstanceUID="1.2.3", RescaleIntercept=-1024 - 100 * k)
    assert_same(read_ct(tmp_path), HU, AXIAL)


def test_unsigned_pixels_are_read(tmp_path: Path) -> None:
    write_series(tmp_path, HU, AXIAL, PixelRepresentation=0)
    assert_same(read_ct(tmp_path), HU, AXIAL)


@pytest.mark.parametrize("padding", [-2000, -2048, -3024])
def test_usual_padding_of_dicom_becomes_air(tmp_path: Path, padding: int) -> None:
    padded = HU.copy()
    padded[:, :4] = padding
    write_series(tmp_path, padded, AXIAL)
    assert (read_ct(tmp_path).hu[:, :4] == -1024).all()


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, pydicom.uid.ExplicitVRLittleEndian])
def test_padding_that_the_header_names_becomes_air_whatever_its_value(tmp_path: Path, syntax: str) -> None:
    padded = HU.copy()
    padded[:, :4] = 3000
    write_series(tmp_path, padded, AXIAL, syntax, PixelPaddingValue=3000 + 1024)
    hu = read_ct(tmp_path).hu
    assert (hu[:, :4] == -1024).all()
    np.testing.assert_array_equal(hu[:, 4:], HU[:, 4:])


def test_a_range_of_padding_becomes_air(tmp_path: Path) -> None:
    padded = HU.copy()
    padded[:, :4] = np.arange(3000, 3032)
    write_series(tmp_path, padded, AXIAL, PixelPaddingValue=4024, PixelPaddingRangeLimit=4055)
    assert (read_ct(tmp_path).hu[:, :4] == -1024).all()


def test_negative_padding_named_as_an_unsigned_number_becomes_air(tmp_path: Path) -> None:
    padded = HU.copy()
    padded[:, :4] = -600
    for path in write_series(tmp_path, padded, AXIAL, RescaleIntercept=0):
        dataset = pydicom.dcmread(path)
        dataset.add_new("PixelPaddingValue", "US", 65536 - 600)
        dataset.save_as(path)
    assert (read_ct(tmp_path).hu[:, :4] == -1024).all()


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, *COMPRESSED], ids=str)
@pytest.mark.parametrize("signed", [0, 1])
def test_every_transfer_syntax_gives_the_same_hu(tmp_path: Path, syntax: str, signed: int) -> None:
    needs_encoder(syntax)
    write_series(tmp_path, HU, AXIAL, syntax, PixelRepresentation=signed)
    assert_same(read_ct(tmp_path), HU, AXIAL)


def test_lossless_jpeg_the_usual_compression_of_archives_is_read(tmp_path: Path) -> None:
    for k, path in enumerate(write_series(tmp_path, HU, AXIAL, PixelRepresentation=0)):
        stored = sitk.GetImageFromArray((HU[k] + 1024).astype(np.uint16))
        sitk.WriteImage(stored, tmp_path / "jpeg.dcm", useCompression=True, compressor="JPEG")
        compressed, dataset = pydicom.dcmread(tmp_path / "jpeg.dcm"), pydicom.dcmread(path)
        assert compressed.file_meta.TransferSyntaxUID == JPEGLosslessSV1
        dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
        dataset["PixelData"] = compressed["PixelData"]
        dataset.save_as(path)
    (tmp_path / "jpeg.dcm").unlink()
    assert_same(read_ct(tmp_path), HU, AXIAL)


def test_dicom_files_without_preamble_are_read(tmp_path: Path) -> None:
    for path in write_series(tmp_path, HU, AXIAL, ImplicitVRLittleEndian):
        dataset = pydicom.dcmread(path)
        with path.with_suffix("").open("wb") as file:
            pydicom.filewriter.write_dataset(pydicom.filebase.DicomFileLike(file), dataset)
        path.unlink()
    assert_same(read_ct(tmp_path), HU, AXIAL)


@pytest.mark.parametrize("size", [768, 1024])
def test_large_matrices_are_read(tmp_path: Path, size: int) -> None:
    hu = np.resize(HU, (2, size, size))
    write_series(tmp_path / "dicom", hu, AXIAL)
    write_nrrd(tmp_path / "ct.nrrd", hu, AXIAL)
    assert_same(read_ct(tmp_path / "dicom"), hu, AXIAL)
    assert_same(read_ct(tmp_path / "ct.nrrd"), hu, AXIAL)


def test_a_crop_of_one_slice_of_32_by_32_is_read_from_every_format(tmp_path: Path) -> None:
    write_series(tmp_path / "dicom", HU[:1], AXIAL)
    assert_same(read_ct(tmp_path / "dicom"), HU[:1], AXIAL)
    for name, write in WRITERS.items():
        write(tmp_path / name, HU[:1], AXIAL)
        assert_same(read_ct(tmp_path / name), HU[:1], AXIAL)


# ---------------------------------------------------------------- several series


WHOLE = np.concatenate([HU, HU[::-1]])  # as much of the patient, in thin slices, as HU in slices twice as thick


def several(folder: Path) -> Path:
    thick = AXIAL @ np.diag([1, 1, 2.0, 1])
    write_series(
        folder, HU[:, ::2, ::2], thick, SeriesInstanceUID="1.2.10", SeriesNumber=2, SeriesDescription="Thorax 5.0 soft"
    )
    write_series(folder, WHOLE, AXIAL, SeriesInstanceUID="1.2.20", SeriesNumber=7, SeriesDescription="Thorax 2.5 lung")
    coronal = AXIAL[:, [0, 2, 1, 3]] @ np.diag([1, -1, 1.0, 1])
    write_series(folder, -HU, coronal, SeriesInstanceUID="1.2.30", SeriesNumber=9, SeriesDescription="Coronal")
    write_series(
        folder,
        HU[:1],
        AXIAL,
        SeriesInstanceUID="1.2.40",
        SeriesNumber=1,
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
    )
    return folder


def test_of_several_series_the_thin_axial_one_is_taken_and_named(tmp_path: Path) -> None:
    ct = read_ct(several(tmp_path))
    assert_same(ct, WHOLE, AXIAL)
    assert warned(ct, "Of 3 CT scans number 2 was taken, series 7 (10 slices); choose another with --series or --scan.")


def test_a_short_thin_series_does_not_displace_the_whole_scan(tmp_path: Path) -> None:
    whole = np.concatenate([HU, HU, HU])
    write_series(tmp_path, whole, AXIAL)
    write_series(tmp_path, HU, AXIAL @ np.diag([1, 1, 0.3, 1]))
    assert_same(read_ct(tmp_path), whole, AXIAL)


@pytest.mark.parametrize("wanted", ["1.2.10", "2", "soft", "thorax 5.0 SOFT"])
def test_a_series_is_chosen_by_uid_number_or_description(tmp_path: Path, wanted: str) -> None:
    ct = read_ct(several(tmp_path), wanted)
    assert ct.hu.shape == (5, 16, 16)
    assert not warned(ct, "was taken")


def test_a_description_that_fits_exactly_comes_before_one_that_only_contains_it(tmp_path: Path) -> None:
    write_series(tmp_path, HU, AXIAL, SeriesDescription="Lung")
    write_series(tmp_path, HU[:3], AXIAL, SeriesDescription="Lung thin")
    assert read_ct(tmp_path, "Lung").hu.shape[0] == 5


def test_a_series_that_is_not_there_is_refused_with_what_is_there(tmp_path: Path) -> None:
    refusal(several(tmp_path), "'bone'", "series 2 (Thorax 5.0 soft, 5 slices)", "Coronal", series="bone")


def test_an_ambiguous_series_is_refused_with_the_uids_that_fit(tmp_path: Path) -> None:
    refusal(several(tmp_path), "More than one", "UID 1.2.10", "UID 1.2.20", series="Thorax")


def test_a_localizer_in_the_same_series_is_set_apart(tmp_path: Path) -> None:
    write_series(tmp_path, HU, AXIAL, SeriesInstanceUID="1.2.3")
    write_slice(tmp_path / "scout.dcm", HU[0], 40, AXIAL, SeriesInstanceUID="1.2.3", ImageType=SCOUT)
    ct = read_ct(tmp_path)
    assert_same(ct, HU, AXIAL)
    assert not warned(ct, "was taken")


def test_a_pet_beside_the_ct_is_set_apart(tmp_path: Path) -> None:
    write_series(tmp_path, HU, AXIAL)
    write_series(tmp_path, HU, AXIAL, Modality="PT", SOPClassUID=PositronEmissionTomographyImageStorage)
    assert_same(read_ct(tmp_path), HU, AXIAL)


# ---------------------------------------------------------------- DICOM that is refused


@pytest.mark.parametrize(
    ("word", "tags"),
    {
        "a magnetic resonance image": ("MR, not CT", {"Modality": "MR", "SOPClassUID": MRImageStorage}),
        "a PET": ("PT, not CT", {"Modality": "PT", "SOPClassUID": PositronEmissionTomographyImageStorage}),
        "an angiogram": ("XA, not CT", {"Modality": "XA", "SOPClassUID": XRayAngiographicImageStorage}),
        "a secondary capture": ("secondary capture", {"SOPClassUID": SecondaryCaptureImageStorage}),
        "a colour image": ("colour", {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}),
        "a localizer alone": ("localizer", {"ImageType": SCOUT}),
        "a projection": ("mip, not slices", {"ImageType": ["DERIVED", "SECONDARY", "MIP"]}),
        "a multi-frame image": ("multi-frame", {"NumberOfFrames": 2}),
        "an enhanced CT without frames": ("multi-frame", {"SOPClassUID": EnhancedCTImageStorage}),
        "no modality": ("not given", {"Modality": None}),
        "no rescale": ("no HU scale", {"RescaleSlope": None, "RescaleIntercept": None}),
        "an empty rescale": ("no HU scale", {"RescaleSlope": ""}),
        "another scale": ("OD, not HU", {"RescaleType": "OD"}),
        "no position": ("ImagePositionPatient", {"ImagePositionPatient": None}),
        "an empty orientation": ("ImageOrientationPatient", {"ImageOrientationPatient": ""}),
        "no pixel spacing": ("PixelSpacing", {"PixelSpacing": None}),
    }.values(),
)
def test_a_folder_that_holds_no_ct_slices_is_refused(tmp_path: Path, word: str, tags: dict[str, object]) -> None:
    write_series(tmp_path / "scan", HU, AXIAL, **tags)
    refusal(tmp_path / "scan", word, "scan")


def test_dicom_values_that_are_not_hu_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path, HU, AXIAL, RescaleIntercept=-1024)
    for path in tmp_path.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.RescaleIntercept = 0
        dataset.save_as(path)
    refusal(tmp_path, "not in HU")


def test_a_grid_without_volume_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path, HU, AXIAL, PixelSpacing=[0, 0])
    refusal(tmp_path, "grid has no volume")


def test_duplicate_slices_are_refused_with_their_positions(tmp_path: Path) -> None:
    same = {"SeriesInstanceUID": "1.2.3", "StudyInstanceUID": "1.2"}
    write_series(tmp_path, HU, AXIAL, **same)
    write_slice(tmp_path / "again.dcm", HU[2], 2, AXIAL, **same)
    refusal(tmp_path, "more than one slice at -295.0 mm")


def test_a_series_that_was_exported_twice_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "a", HU, AXIAL, SeriesInstanceUID="1.2.3", StudyInstanceUID="1.2")
    write_series(tmp_path / "b", HU, AXIAL, SeriesInstanceUID="1.2.3", StudyInstanceUID="1.2")
    refusal(tmp_path, "more than one slice at -300.0, -297.5, -295.0, -292.5, -290.0 mm")


@pytest.mark.parametrize(
    ("missing", "places"),
    [
        ([2, 6, 7], "-297.5 and -292.5, -287.5 and -280.0"),
        ([1], "-300.0 and -295.0"),
        ([4, 5], "-292.5 and -285.0"),
        ([8], "-282.5 and -277.5"),
    ],
)
def test_missing_slices_are_refused_with_their_positions(tmp_path: Path, missing: list[int], places: str) -> None:
    write_series(tmp_path, np.concatenate([HU, HU]), AXIAL, leave_out=missing)
    refusal(tmp_path, f"missing between {places} mm")


def test_a_missing_slice_among_three_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path, HU[:4], AXIAL, leave_out=[1])
    refusal(tmp_path, "missing between -300.0 and -295.0 mm")


def test_uneven_slices_are_refused_with_their_positions(tmp_path: Path) -> None:
    for number, place in enumerate((0, 1, 2, 3.3, 4.3)):
        write_slice(tmp_path / f"{number}.dcm", HU[0], place, AXIAL, SeriesInstanceUID="1.2.3", InstanceNumber=number)
    refusal(tmp_path, "2.50 mm apart", "between -295.0 and -291.8 mm")


def test_a_slice_between_two_others_is_refused(tmp_path: Path) -> None:
    for number, place in enumerate((0, 2, 4, 5, 6, 8)):
        write_slice(tmp_path / f"{number}.dcm", HU[0], place, AXIAL, SeriesInstanceUID="1.2.3", InstanceNumber=number)
    refusal(tmp_path, "5.00 mm apart", "between -290.0 and -287.5, -287.5 and -285.0 mm")


def test_slices_shifted_sideways_are_refused(tmp_path: Path) -> None:
    for k, hu in enumerate(HU):
        matrix = AXIAL.copy()
        matrix[0, 3] += 6.0 if k == 2 else 0.0
        write_slice(tmp_path / f"{k}.dcm", hu, k, matrix, SeriesInstanceUID="1.2.3")
    refusal(tmp_path, "6.0 mm off a straight stack")


def test_positions_rounded_to_a_tenth_of_a_millimetre_are_no_gaps(tmp_path: Path) -> None:
    for k in range(5):
        position = ["-90", "-60.5", f"{-300 + 0.625 * k:.1f}"]
        write_slice(tmp_path / f"{k}.dcm", HU[k], k, AXIAL, SeriesInstanceUID="1.2.3", ImagePositionPatient=position)
    np.testing.assert_array_equal(read_ct(tmp_path).hu, HU)


@pytest.mark.parametrize(
    "syntax", [pydicom.uid.ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, *COMPRESSED], ids=str
)
@pytest.mark.parametrize("share", [0.01, 0.05, 0.2, 0.3, 0.7, 0.99])
@pytest.mark.filterwarnings("error")
def test_a_truncated_slice_is_refused(tmp_path: Path, syntax: str, share: float) -> None:
    needs_encoder(syntax)
    path = write_series(tmp_path, HU[:3], AXIAL, syntax)[1]
    cut(path, share)
    refusal(tmp_path, path.name)


def test_pixels_damaged_inside_are_refused(tmp_path: Path) -> None:
    path = write_series(tmp_path, HU[:3], AXIAL, RLELossless)[1]
    dataset = pydicom.dcmread(path)
    dataset.PixelData = pydicom.encaps.encapsulate([pydicom.encaps.get_frame(dataset.PixelData, 0)[:600]])
    dataset.save_as(path)
    refusal(tmp_path, path.name)


@pytest.mark.filterwarnings("error")
def test_a_last_slice_cut_off_anywhere_is_never_dropped_in_silence(tmp_path: Path) -> None:
    path = write_series(tmp_path, HU[:2], AXIAL)[-1]
    content = path.read_bytes()
    for size in range(1, len(content), 61):
        path.write_bytes(content[:size])
        refusal(tmp_path, path.name)


def test_an_empty_dicom_file_is_refused(tmp_path: Path) -> None:
    path = write_series(tmp_path, HU, AXIAL)[-1]
    path.write_bytes(b"")
    refusal(tmp_path, path.name, "is empty")


def test_a_slice_without_pixels_is_refused(tmp_path: Path) -> None:
    path = write_series(tmp_path, HU, AXIAL)[0]
    dataset = pydicom.dcmread(path)
    del dataset.PixelData
    dataset.save_as(path)
    refusal(tmp_path, path.name)


def test_a_header_with_nonsense_for_a_number_is_refused(tmp_path: Path) -> None:
    path = write_series(tmp_path, HU, AXIAL)[1]
    path.write_bytes(path.read_bytes().replace(b"-297.5", b"-2x7.5"))
    refusal(tmp_path, path.name, "damaged")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    refusal(tmp_path / "nothing", "nothing holds no DICOM file")


def test_a_folder_without_dicom_is_refused(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("hello")
    refusal(tmp_path, "holds no DICOM file")


def test_a_missing_path_is_refused(tmp_path: Path) -> None:
    refusal(tmp_path / "gone.nrrd", "gone.nrrd does not exist")


# ---------------------------------------------------------------- NRRD, MHA, NIfTI


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", WRITERS)
def test_an_image_file_gives_the_hu_and_grid_written(tmp_path: Path, name: str, grid: str) -> None:
    WRITERS[name](tmp_path / name, HU, GRIDS[grid])
    ct = read_ct(tmp_path / name)
    assert_same(ct, HU, GRIDS[grid])
    assert warned(ct, "tilted by 15.0 degrees") == (grid == "sheared")


@pytest.mark.parametrize("grid", GRIDS)
def test_a_dicom_series_gives_the_hu_and_grid_written(tmp_path: Path, grid: str) -> None:
    write_series(tmp_path, HU, GRIDS[grid])
    ct = read_ct(tmp_path)
    if np.allclose(ct.ijk_to_ras[:3, 2], GRIDS[grid][:3, 2], atol=1e-3):
        assert_same(ct, HU, GRIDS[grid])
    else:  # slices written from head to foot are read from foot to head: the same voxels at the same places
        turned = GRIDS[grid] @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, len(HU) - 1], [0, 0, 0, 1.0]])
        assert_same(ct, HU[::-1], turned)


def test_an_nrrd_in_right_anterior_superior_space_is_placed_right(tmp_path: Path) -> None:
    header = (
        "NRRD0005\ntype: int16\ndimension: 3\nspace: right-anterior-superior\nsizes: 32 32 5\n"
        "space directions: (-0.7,0,0) (0,-0.8,0) (0,0,2.5)\nkinds: domain domain domain\nendian: little\n"
        "encoding: raw\nspace origin: (90,60.5,-300)\n\n"
    )
    (tmp_path / "ras.nrrd").write_bytes(header.encode() + HU.tobytes())
    assert_same(read_ct(tmp_path / "ras.nrrd"), HU, AXIAL)


def test_an_image_file_that_does_not_say_how_the_patient_lay_is_warned_of(tmp_path: Path) -> None:
    header = (
        "NRRD0005\ntype: int16\ndimension: 3\nsizes: 32 32 5\nspacings: 0.7 0.8 2.5\nendian: little\nencoding: raw\n\n"
    )
    (tmp_path / "bare.nrrd").write_bytes(header.encode() + HU.tobytes())
    bare = nibabel.Nifti1Image(HU.T, None)
    bare.to_filename(tmp_path / "bare.nii")
    assert warned(read_ct(tmp_path / "bare.nrrd"), "how the patient lay")
    assert warned(read_ct(tmp_path / "bare.nii"), "how the patient lay")
    write_nrrd(tmp_path / "placed.nrrd", HU, AXIAL)
    assert not warned(read_ct(tmp_path / "placed.nrrd"), "how the patient lay")


@pytest.mark.parametrize("name", WRITERS)
def test_float_values_are_rounded_and_padding_becomes_air(tmp_path: Path, name: str) -> None:
    values = HU.astype(np.float32) + 0.25
    values[:, :4], values[:, 4:8], values[:, 8:10] = -2000, -3024, -2048
    WRITERS[name](tmp_path / name, values, AXIAL)
    expected = HU.copy()
    expected[:, :10] = -1024
    assert_same(read_ct(tmp_path / name), expected, AXIAL)


def test_a_nifti_with_scaled_values_is_read_in_hu(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image((2 * (HU.T + 1000)).astype(np.int16), AXIAL)
    image.header.set_slope_inter(0.5, -1000)
    image.to_filename(tmp_path / "ct.nii.gz")
    assert_same(read_ct(tmp_path / "ct.nii.gz"), HU, AXIAL)


def test_a_fourth_axis_of_one_volume_does_no_harm(tmp_path: Path) -> None:
    nibabel.Nifti1Image(HU.T[..., None], AXIAL).to_filename(tmp_path / "ct.nii")
    assert_same(read_ct(tmp_path / "ct.nii"), HU, AXIAL)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["ct.nrrd", "ct.nii.gz"])
def test_values_that_are_not_finite_are_refused(tmp_path: Path, name: str, value: float) -> None:
    values = HU.astype(np.float32)
    values[2, 3, 4] = value
    WRITERS[name](tmp_path / name, values, AXIAL)
    refusal(tmp_path / name, name, "not finite")


@pytest.mark.parametrize("name", WRITERS)
def test_values_without_hu_scale_are_refused(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name, (HU + 1000).astype(np.uint16), AXIAL)
    refusal(tmp_path / name, name, "not in HU")


def test_padding_below_air_does_not_pass_for_hu(tmp_path: Path) -> None:
    values = (HU + 1000).astype(np.int16)
    values[:, :4] = -2000
    write_nrrd(tmp_path / "ct.nrrd", values, AXIAL)
    refusal(tmp_path / "ct.nrrd", "not in HU")


def test_values_scaled_to_one_are_refused(tmp_path: Path) -> None:
    write_nrrd(tmp_path / "ct.nrrd", HU.astype(np.float32) / 1000, AXIAL)
    refusal(tmp_path / "ct.nrrd", "not in HU")


def test_an_image_of_nothing_but_air_is_refused(tmp_path: Path) -> None:
    write_nrrd(tmp_path / "ct.nrrd", np.full_like(HU, -1024), AXIAL)
    refusal(tmp_path / "ct.nrrd", "not in HU")


def test_volumes_over_time_are_refused(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.stack([HU, HU]), isVector=False), tmp_path / "ct.nrrd")
    nibabel.Nifti1Image(np.stack([HU.T, HU.T], axis=-1), AXIAL).to_filename(tmp_path / "ct.nii")
    refusal(tmp_path / "ct.nrrd", "ct.nrrd has 4 axes")
    refusal(tmp_path / "ct.nii", "ct.nii has 4 axes")


def test_flat_images_are_refused(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(HU[0]), tmp_path / "ct.mha")
    refusal(tmp_path / "ct.mha", "ct.mha has 2 axes")


def test_colour_volumes_are_refused(tmp_path: Path) -> None:
    colour = np.zeros((5, 32, 32, 3), np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(colour, isVector=True), tmp_path / "ct.nrrd")
    rgb = np.zeros((32, 32, 5), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    nibabel.Nifti1Image(rgb, AXIAL).to_filename(tmp_path / "ct.nii")
    refusal(tmp_path / "ct.nrrd", "ct.nrrd is a colour")
    refusal(tmp_path / "ct.nii", "ct.nii is a colour")


def test_complex_values_are_refused(tmp_path: Path) -> None:
    nibabel.Nifti1Image(HU.T.astype(np.complex64), AXIAL).to_filename(tmp_path / "ct.nii")
    refusal(tmp_path / "ct.nii", "ct.nii", "complex64")


@pytest.mark.parametrize("name", ["picture.png", "picture.jpg"])
def test_photographs_are_refused(tmp_path: Path, name: str) -> None:
    sitk.WriteImage(sitk.GetImageFromArray((HU[0] % 255).astype(np.uint8)), tmp_path / name)
    refusal(tmp_path / name, f"{name} is no CT")


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.95])
def test_a_truncated_image_file_is_refused(tmp_path: Path, name: str, share: float) -> None:
    WRITERS[name](tmp_path / name, HU, AXIAL)
    cut(tmp_path / name, share)
    refusal(tmp_path / name, name, "damaged")


@pytest.mark.parametrize("name", ["ct.nrrd", "ct.nii.gz"])
def test_a_damaged_compressed_image_file_is_refused(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name, HU, AXIAL)
    content = bytearray((tmp_path / name).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20] = bytes(byte ^ 0x5A for byte in content[middle : middle + 20])
    (tmp_path / name).write_bytes(content)
    refusal(tmp_path / name, name, "damaged")


@pytest.mark.parametrize("name", [*WRITERS, "ct.dcm"])
def test_a_file_of_another_kind_under_a_ct_name_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no image at all, " * 100)
    refusal(tmp_path / name, name)


def test_a_nifti_with_a_damaged_header_is_refused(tmp_path: Path) -> None:
    nifti(tmp_path / "ct.nii", HU, AXIAL)
    content = bytearray((tmp_path / "ct.nii").read_bytes())
    content[70:72] = (9999).to_bytes(2, "little")  # the number type
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(content))
    refusal(tmp_path / "ct.nii.gz", "ct.nii.gz")


def test_an_image_file_whose_grid_has_no_volume_is_refused(tmp_path: Path) -> None:
    write_nrrd(tmp_path / "ct.nrrd", HU, AXIAL)
    content = (tmp_path / "ct.nrrd").read_bytes()
    start, end = content.index(b"space directions:"), content.index(b"\n", content.index(b"space directions:"))
    (tmp_path / "ct.nrrd").write_bytes(
        content[:start] + b"space directions: (0.7,0,0) (0.8,0,0) (0,0,2.5)" + content[end:]
    )
    refusal(tmp_path / "ct.nrrd", "grid has no volume")


# ---------------------------------------------------------------- warned of and recorded


def test_gantry_tilt_is_warned_of_and_kept_in_the_grid(tmp_path: Path) -> None:
    write_series(tmp_path, HU, tilted(22.5))
    ct = read_ct(tmp_path)
    assert_same(ct, HU, tilted(22.5))
    assert warned(ct, "tilted by 22.5 degrees")


def test_slices_thicker_than_5_mm_are_warned_of(tmp_path: Path) -> None:
    thick = AXIAL @ np.diag([1, 1, 2.8, 1])
    write_series(tmp_path / "dicom", HU, thick)
    write_nrrd(tmp_path / "ct.nrrd", HU, thick)
    assert warned(read_ct(tmp_path / "dicom"), "Slices are 7 mm thick")
    assert warned(read_ct(tmp_path / "ct.nrrd"), "Slices are 7 mm thick")


def test_thick_slices_that_overlap_are_warned_of(tmp_path: Path) -> None:
    write_series(tmp_path, HU, AXIAL, SliceThickness=8)
    assert warned(read_ct(tmp_path), "Slices are 8 mm thick")


def test_slices_of_5_mm_are_not_warned_of(tmp_path: Path) -> None:
    write_series(tmp_path, HU, AXIAL @ np.diag([1, 1, 2.0, 1]))
    assert not warned(read_ct(tmp_path), "thick")


def test_a_slice_of_unknown_thickness_is_warned_of(tmp_path: Path) -> None:
    write_series(tmp_path, HU[:1], AXIAL, SliceThickness=None)
    ct = read_ct(tmp_path)
    assert ct.spacing[2] == pytest.approx(1.0)
    assert warned(ct, "thickness of the only slice is unknown")


@pytest.mark.parametrize(
    ("agent", "contrast"), [(None, "unknown"), ("", "unknown"), ("NONE", "no"), ("Iohexol", "yes")]
)
def test_contrast_is_recorded_and_warned_of_where_it_is_unknown(
    tmp_path: Path, agent: str | None, contrast: str
) -> None:
    tags = {} if agent is None else {"ContrastBolusAgent": agent}
    write_series(tmp_path, HU, AXIAL, **tags)
    ct = read_ct(tmp_path)
    assert ct.source["contrast"] == contrast
    assert warned(ct, "contrast") == (contrast == "unknown")


def test_contrast_of_an_image_file_is_unknown_and_warned_of(tmp_path: Path) -> None:
    write_nrrd(tmp_path / "ct.nrrd", HU, AXIAL)
    ct = read_ct(tmp_path / "ct.nrrd")
    assert ct.source["contrast"] == "unknown" and warned(ct, "contrast")


def test_an_image_without_lung_is_warned_of(tmp_path: Path) -> None:
    write_series(tmp_path, np.clip(HU, -100, 300), AXIAL)
    assert warned(read_ct(tmp_path), "no lung")


def test_nothing_in_the_source_names_a_person_and_all_of_it_is_in_the_identity(tmp_path: Path) -> None:
    folder = tmp_path / "Doe_Jane"
    write_series(folder, HU, AXIAL, SeriesInstanceUID="1.2.33", StudyInstanceUID="1.2.44", SOPClassUID=CTImageStorage)
    ct = read_ct(folder)
    identity = ("Doe^Jane", "ID-4711", "19500102", "20200304", "ACC-99", "1.2.33", "1.2.44", str(folder))
    for text in identity:
        assert text not in str(dict(ct.source)) + str(ct.warnings)
        assert text in ct.identity.values()
    assert ct.source["manufacturer"] == "Maker" and ct.source["kernel"] == "LUNG"


def test_the_path_of_an_image_file_is_only_in_the_identity(tmp_path: Path) -> None:
    write_nrrd(tmp_path / "Doe.nrrd", HU, AXIAL)
    ct = read_ct(tmp_path / "Doe.nrrd")
    assert "Doe" not in str(dict(ct.source)) + str(ct.warnings)
    assert ct.identity["path"] == str(tmp_path / "Doe.nrrd")


def test_the_fingerprint_is_the_same_for_the_same_ct_and_another_for_another(tmp_path: Path) -> None:
    write_series(tmp_path / "dicom", HU, AXIAL)
    write_nrrd(tmp_path / "ct.nrrd", HU, AXIAL)
    write_nrrd(tmp_path / "moved.nrrd", HU, oblique())
    dicom, nrrd, moved = (read_ct(tmp_path / name).source["sha256"] for name in ("dicom", "ct.nrrd", "moved.nrrd"))
    assert dicom == nrrd != moved


# ---------------------------------------------------------------- the command line and real CT


def test_the_command_line_refuses_with_one_line_and_code_2_and_writes_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_series(tmp_path / "mr", HU, AXIAL, Modality="MR", SOPClassUID=MRImageStorage)
    assert main(["segment", str(tmp_path / "mr"), "--output", str(tmp_path / "out")]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1 and "MR, not CT" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real CT of {DATA.name} are not here")
def test_a_real_dicom_series_is_read() -> None:
    ct = read_ct(DATA / "chest_scans" / "TCGA-34-2605")
    assert ct.hu.shape == (61, 512, 512) and ct.hu.min() == -1024
    np.testing.assert_allclose(ct.ijk_to_ras[:3], [[-0.78125, 0, 0, 200], [0, -0.78125, 0, 200], [0, 0, 5, -267.25]])
    assert ct.instance_numbers == tuple(range(61, 0, -1))
    assert not warned(ct, "thick") and not warned(ct, "no lung")


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real CT of {DATA.name} are not here")
def test_a_real_nrrd_is_read() -> None:
    ct = read_ct(DATA / "lidc_scans" / "LIDC-IDRI-0023" / "ct.nrrd")
    assert ct.hu.shape == (101, 512, 512) and ct.hu.min() == -1024
    assert ct.spacing[2] == pytest.approx(2.5)
