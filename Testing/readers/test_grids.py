"""Where voxels lie and how large they are: units are heeded, and no grid that no scanner makes is read."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from dicom_files import write_series
from lnhg.core.ct import CT
from lnhg.core.nrrd_file import write_nrrd
from lnhg.errors import InputError
from lnhg.readers.image_file import read_volume
from lnhg.readers.read_ct import read_ct
from readers.asked import AXIAL, HU, moved, read_by_segment, refused

TURNED = AXIAL.copy()
TURNED[:3, :3] = Rotation.from_euler("xyz", [12, -7, 20], degrees=True).as_matrix() @ AXIAL[:3, :3]


def grid_of(image: sitk.Image) -> np.ndarray:
    """IJK to RAS (4 x 4, mm) of an image that ITK read."""
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    lps[:3, 3] = image.GetOrigin()
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps


def nrrd(
    path: Path, *fields: str, directions: str = "(0.7,0,0) (0,0.8,0) (0,0,2.5)", origin: str = "(-90,-60.5,-300)"
) -> Path:
    """A NRRD file with the given fields beside the usual ones."""
    lines = [
        "NRRD0005", "type: int16", "dimension: 3", "space: left-posterior-superior", "sizes: 32 32 5",
        f"space directions: {directions}", "endian: little", "encoding: raw", f"space origin: {origin}", *fields,
    ]  # fmt: skip
    path.write_bytes("\n".join(lines).encode() + b"\n\n" + HU.astype("<i2").tobytes())
    return path


def meta_image(path: Path, **fields: str) -> Path:
    """An MHA file whose header has the given fields in place of, or beside, the usual ones."""
    usual = {
        "ObjectType": "Image", "NDims": "3", "BinaryData": "True", "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1", "Offset": "-90 -60.5 -300", "ElementSpacing": "0.7 0.8 2.5",
        "DimSize": "32 32 5", "ElementType": "MET_SHORT",
    }  # fmt: skip
    lines = [f"{name} = {value}" for name, value in {**usual, **fields, "ElementDataFile": "LOCAL"}.items() if value]
    path.write_bytes("\n".join(lines).encode() + b"\n" + HU.astype("<i2").tobytes())
    return path


def nifti(path: Path, sform: np.ndarray | None, qform: np.ndarray | None, unit: int = 2, **fields: object) -> Path:
    """A NIfTI file with two grids, either of them absent, lengths in the unit of a code, and fields set as they are."""
    image = nibabel.Nifti1Image(HU.T, None)
    image.set_qform(qform, code=1 if qform is not None else 0)
    image.set_sform(sform, code=1 if sform is not None else 0)
    image.header["xyzt_units"] = unit
    if sform is not None and qform is None:
        image.header["pixdim"][1:4] = np.linalg.norm(sform[:3, :3], axis=0)
    image.to_filename(path)
    content = bytearray(path.read_bytes())
    for name, value in fields.items():
        kind, place = nibabel.Nifti1Header.template_dtype.fields[name][:2]
        raw = np.asarray(value, kind.base).tobytes()
        content[place : place + len(raw)] = raw
    path.write_bytes(content)
    return path


def scaled(ijk_to_ras: np.ndarray, factor: float) -> np.ndarray:
    return np.diag([factor, factor, factor, 1.0]) @ ijk_to_ras


# ---------------------------------------------------------------- grids that nobody set

_AT_0, _CUBES = "places the corner of the image at 0, 0, 0", "voxels of exactly 1 x 1 x 1 mm"
_RIGHT_ANGLES = np.diag([-0.7, -0.8, 2.5, 1.0])
NOT_SET = {
    "an array in NIfTI": (lambda p: nifti(p / "ct.nii", np.eye(4), None), (_AT_0, _CUBES)),
    "an array in NIfTI by its qform": (lambda p: nifti(p / "ct.nii", None, np.eye(4)), (_AT_0, _CUBES)),
    "an array in MetaImage": (
        lambda p: meta_image(p / "ct.mha", Offset="0 0 0", ElementSpacing="1 1 1"),
        (_AT_0, _CUBES),
    ),
    "an array in NRRD": (
        lambda p: nrrd(p / "ct.nrrd", directions="(1,0,0) (0,1,0) (0,0,1)", origin="(0,0,0)"),
        (_AT_0, _CUBES),
    ),
    "an array with its spacing alone": (lambda p: nifti(p / "ct.nii", _RIGHT_ANGLES, None), (_AT_0,)),
    "neither form, no spacing": (lambda p: nifti(p / "ct.nii", None, None, pixdim=[1, 1, 1, 1.0]), (_CUBES,)),
    "a scan": (lambda p: nifti(p / "ct.nii", AXIAL, None), ()),
    "a scan in cubes of 1 mm": (lambda p: nifti(p / "ct.nii", moved(np.eye(4), 50), None), ()),
    "a turned scan at 0": (
        lambda p: nrrd(p / "ct.nrrd", directions="(0.6,0.8,0) (-0.8,0.6,0) (0,0,1)", origin="(0,0,0)"),
        (),
    ),
}


@pytest.mark.parametrize("what", NOT_SET)
def test_a_grid_that_no_program_was_told_is_warned_of(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    """Libraries write an array without its grid so: cubes of 1 mm from 0, 0, 0."""
    write, said = NOT_SET[what]
    warnings = read_by_segment(write(tmp_path), capfd).warnings
    assert [word for word in (_AT_0, _CUBES) if any(word in one for one in warnings)] == list(said)


@pytest.mark.parametrize(
    ("directions", "named", "told"),
    [
        ("1 0 0 0 1 0 0 0 1", "RAS", True),
        ("1 0 0 0 1 0 0 0 1", "LPI", True),
        ("", "LAI", True),
        ("-1 0 0 0 -1 0 0 0 1", "RPI", True),
        ("1 0 0 0 1 0 0 0 1", "RAI", False),
        ("1 0 0 0 1 0 0 0 1", "LPS", False),
        ("-1 0 0 0 -1 0 0 0 1", "LPI", False),
        ("0 1 0 0 0 1 1 0 0", "AIR", False),
        ("-1 0 0 0 -1 0 0 0 1", "RAI", False),
        ("1 0 0 0 1 0 0 0 1", "???", False),
    ],
)
def test_a_meta_image_that_names_another_orientation_than_its_axes_have_is_warned_of(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], directions: str, named: str, told: bool
) -> None:
    path = meta_image(tmp_path / "ct.mha", TransformMatrix=directions, AnatomicalOrientation=named)
    warnings = read_by_segment(path, capfd).warnings
    assert any("in two ways (TransformMatrix and AnatomicalOrientation)" in one for one in warnings) == told


# ---------------------------------------------------------------- units


@pytest.mark.parametrize(("unit", "factor"), [(0, 1.0), (1, 1e-3), (2, 1.0), (3, 1e3)])
@pytest.mark.parametrize("which", ["sform", "qform", "both"])
def test_the_unit_of_a_nifti_file_is_heeded(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], unit: int, factor: float, which: str
) -> None:
    grid = scaled(AXIAL, factor)
    nifti(tmp_path / "ct.nii", grid if which != "qform" else None, grid if which != "sform" else None, unit)
    np.testing.assert_allclose(read_by_segment(tmp_path / "ct.nii", capfd).ijk_to_ras, AXIAL, atol=1e-3)


def test_a_unit_that_nifti_does_not_know_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    refused(nifti(tmp_path / "ct.nii", AXIAL, None, unit=5), capfd, "unknown unit 5")


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1.0), ("cm", 0.1), ("m", 1e-3), ("um", 1e3), ("", 1.0)])
def test_the_units_of_a_nrrd_file_are_heeded(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], unit: str, factor: float
) -> None:
    directions = f"({0.7 * factor},0,0) (0,{0.8 * factor},0) (0,0,{2.5 * factor})"
    origin = f"({-90 * factor},{-60.5 * factor},{-300 * factor})"
    path = nrrd(tmp_path / "ct.nrrd", f'space units: "{unit}" "{unit}" "{unit}"', directions=directions, origin=origin)
    np.testing.assert_allclose(read_by_segment(path, capfd).ijk_to_ras, AXIAL, atol=1e-6)


@pytest.mark.parametrize("unit", ["inch", "px", "furlong"])
def test_units_that_are_not_known_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str], unit: str) -> None:
    refused(nrrd(tmp_path / "ct.nrrd", f'space units: "{unit}" "{unit}" "{unit}"'), capfd, unit, "in mm")
    refused(meta_image(tmp_path / "ct.mha", DistanceUnits=unit), capfd, unit, "in mm")


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1.0), ("cm", 0.1), ("um", 1e3), ("?", 1.0)])
def test_the_unit_of_a_meta_image_is_heeded(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], unit: str, factor: float
) -> None:
    texts = {"Offset": (-90, -60.5, -300), "ElementSpacing": (0.7, 0.8, 2.5)}
    fields = {name: " ".join(str(value * factor) for value in values) for name, values in texts.items()}
    np.testing.assert_allclose(
        read_by_segment(meta_image(tmp_path / "ct.mha", DistanceUnits=unit, **fields), capfd).ijk_to_ras,
        AXIAL,
        atol=1e-6,
    )


CENTIMETRES = {
    "ct.nii": lambda path: nifti(path, scaled(AXIAL, 1e-3), None, unit=2),
    "ct.nrrd": lambda path: nrrd(path, 'space units: "cm" "cm" "cm"'),
    "ct.mha": lambda path: meta_image(path, DistanceUnits="cm"),
}


@pytest.mark.parametrize("name", CENTIMETRES)
def test_lengths_that_contradict_their_unit_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    refused(CENTIMETRES[name](tmp_path / name), capfd, "no scanner makes them under 0.1 or over 20 mm")


@pytest.mark.parametrize("drop", ["ct.nrrd", "ct.nhdr", "ct.mha"])
def test_a_file_that_does_not_say_how_large_its_voxels_are_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], drop: str
) -> None:
    if drop == "ct.mha":
        path = meta_image(tmp_path / drop, ElementSpacing="")
    else:
        path = nrrd(tmp_path / drop)
        path.write_bytes(path.read_bytes().replace(b"space directions: (0.7,0,0) (0,0.8,0) (0,0,2.5)\n", b""))
    refused(path, capfd, "does not say how large its voxels are")


# ---------------------------------------------------------------- two grids in one NIfTI file


WRONG = {"identity": np.eye(4), "thrice as large": scaled(AXIAL, 3), "another order": AXIAL[:, [1, 2, 0, 3]]}


@pytest.mark.parametrize("good", [True, False], ids=["beside a good qform", "alone"])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_grid_that_contradicts_the_size_of_the_voxels_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], wrong: str, good: bool
) -> None:
    path = nifti(tmp_path / "ct.nii", WRONG[wrong], AXIAL if good else None, pixdim=[1, 0.7, 0.8, 2.5, 1, 1, 1, 1])
    refused(path, capfd, "ct.nii", "sform", "pixdim", "disagree")


@pytest.mark.parametrize(
    "other", [AXIAL @ np.diag([-1.0, 1, 1, 1]), TURNED, moved(AXIAL, 5.0)], ids=["mirrored", "turned", "moved"]
)
def test_two_grids_of_the_same_voxels_at_different_places_are_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], other: np.ndarray
) -> None:
    ct = read_by_segment(nifti(tmp_path / "ct.nii", AXIAL, other), capfd)
    np.testing.assert_allclose(ct.ijk_to_ras, AXIAL, atol=1e-3)
    np.testing.assert_allclose(grid_of(sitk.ReadImage(tmp_path / "ct.nii")), AXIAL, atol=1e-3)
    assert any("in two ways" in warning for warning in ct.warnings)


def test_two_grids_that_agree_are_no_news(tmp_path: Path) -> None:
    ct = read_ct(nifti(tmp_path / "ct.nii", TURNED, TURNED))
    assert not any("in two ways" in warning for warning in ct.warnings)


# ---------------------------------------------------------------- orientation and spacing of DICOM


ORIENTATIONS = {
    "twice as long": [2, 0, 0, 0, 2, 0],
    "not of length one": [0.9, 0, 0, 0, 1, 0],
    "not at right angles": [1, 0, 0, 0.5, 0.866, 0],
    "the same way": [1, 0, 0, 1, 0, 0],
    "zero": [0, 0, 0, 0, 0, 0],
    "slightly askew": [1, 0.02, 0, 0, 1, 0],
}


@pytest.mark.parametrize("what", ORIENTATIONS)
def test_directions_that_are_no_unit_vectors_at_right_angles_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    write_series(tmp_path / "ct", HU, AXIAL, ImageOrientationPatient=ORIENTATIONS[what])
    refused(tmp_path / "ct", capfd, "ImageOrientationPatient")


@pytest.mark.parametrize("values", [[0.999, 0, 0.0447, 0, 1, 0], ["1", "0", "0", "0", "0.9986", "0.0523"]])
def test_directions_that_are_rounded_are_read(tmp_path: Path, values: list[object]) -> None:
    write_series(tmp_path, HU, AXIAL, ImageOrientationPatient=values)
    assert read_ct(tmp_path).hu.shape == HU.shape


SPACINGS = {
    "negative": ([-0.7, 0.7], "PixelSpacing is negative"),
    "one negative": ([0.7, -0.7], "PixelSpacing is negative"),
    "both negative": ([-0.7, -0.7], "PixelSpacing is negative"),
    "hundredths": ([0.007, 0.007], "under 0.1 or over 20 mm"),
    "just too small": ([0.099, 0.7], "under 0.1 or over 20 mm"),
    "metres": ([700, 700], "under 0.1 or over 20 mm"),
    "just too large": ([20.1, 20.1], "under 0.1 or over 20 mm"),
    "zero": ([0, 0], "no volume"),
}


@pytest.mark.parametrize("what", SPACINGS)
def test_spacings_that_no_scanner_has_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str], what: str) -> None:
    spacing, word = SPACINGS[what]
    write_series(tmp_path / "ct", HU, AXIAL, PixelSpacing=spacing)
    refused(tmp_path / "ct", capfd, word)


@pytest.mark.parametrize("step", [0.05, 25.0, 400.0])
def test_slices_so_close_or_far_as_no_scanner_makes_them_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], step: float
) -> None:
    write_series(tmp_path / "ct", HU, AXIAL @ np.diag([1, 1, step / 2.5, 1]))
    refused(tmp_path / "ct", capfd, "under 0.1 or over 20 mm")


FILES = {
    "ct.nrrd": lambda path, size: nrrd(path, directions=f"({size},0,0) (0,{size},0) (0,0,{size})"),
    "ct.mha": lambda path, size: meta_image(path, ElementSpacing=f"{size} {size} {size}"),
    "ct.nii": lambda path, size: nifti(path, np.diag([size, size, size, 1.0]), None),
}


@pytest.mark.parametrize("size", [1e-30, 0.09, 30.0, 703.0, 1e30])
@pytest.mark.parametrize("name", FILES)
def test_image_files_with_spacings_that_no_scanner_has_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, size: float
) -> None:
    said = refused(FILES[name](tmp_path / name, size), capfd)
    assert "under 0.1 or over 20 mm" in said or "no volume" in said


def _nrrd_of_spacings(path: Path, spacings: str) -> Path:
    directions = b"space directions: (0.7,0,0) (0,0.8,0) (0,0,2.5)"
    path.write_bytes(nrrd(path).read_bytes().replace(directions, f"spacings: {spacings}".encode()))
    return path


NEGATIVE = {
    "ct.nrrd": lambda path: _nrrd_of_spacings(path, "-0.7 0.8 2.5"),
    "ct.mha": lambda path: meta_image(path, ElementSpacing="0.7 0.8 -2.5"),
    "ct.mhd": lambda path: meta_image(path, ElementSpacing="-0.7 -0.8 -2.5"),
    "ct.nii": lambda path: nifti(path, None, AXIAL, qform_code=0, pixdim=[1, -0.7, 0.8, 2.5]),
}


@pytest.mark.parametrize("name", NEGATIVE)
def test_image_files_with_voxels_of_negative_size_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    refused(NEGATIVE[name](tmp_path / name), capfd, "voxels have a negative size")


@pytest.mark.parametrize("far", [1e5, 1e30, -1e30])
def test_places_where_no_patient_lies_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], far: float
) -> None:
    grid = AXIAL.copy()
    grid[1, 3] = far
    refused(nrrd(tmp_path / "ct.nrrd", origin=f"(0,{far},0)"), capfd, "as no patient does")
    refused(meta_image(tmp_path / "ct.mha", Offset=f"0 {far} 0"), capfd, "as no patient does")
    refused(nifti(tmp_path / "ct.nii", grid, None), capfd, "as no patient does")
    write_series(tmp_path / "ct", HU, AXIAL, ImagePositionPatient=["0", f"{far:g}", "0"])
    refused(tmp_path / "ct" / next((tmp_path / "ct").iterdir()).name, capfd, "as no patient does")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e400"])
def test_grids_of_no_numbers_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str], value: str) -> None:
    refused(
        nrrd(tmp_path / "ct.nrrd", directions=f"({value},0,0) (0,0.8,0) (0,0,2.5)"),
        capfd,
        "ct.nrrd" if value == "x" else "",
    )
    refused(meta_image(tmp_path / "ct.mha", ElementSpacing=f"{value} 0.8 2.5"), capfd, "ElementSpacing")
    refused(meta_image(tmp_path / "t.mha", TransformMatrix=f"{value} 0 0 0 1 0 0 0 1"), capfd, "t.mha")
    refused(nifti(tmp_path / "ct.nii", AXIAL, AXIAL, srow_x=[float(value), 0, 0, 0]), capfd, "disagree")


def test_a_ct_made_in_a_program_is_held_to_the_same() -> None:
    for grid in (np.diag([30.0, 30, 30, 1]), np.diag([0.7, 0.7, np.inf, 1]), np.diag([1.0, 1, 0, 1])):
        with pytest.raises(InputError, match="export the CT again"):
            CT(HU, grid)


# ---------------------------------------------------------------- as ITK reads them


@pytest.mark.parametrize("kind", [np.int16, np.uint8, np.int32, np.float32, np.float64, np.int8])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", ["ct.nrrd", "ct.mha", "ct.nhdr", "ct.mhd", "ct.nii", "ct.nii.gz"])
def test_what_itk_writes_is_read_as_itk_reads_it(tmp_path: Path, name: str, packed: bool, kind: type) -> None:
    values = np.clip(HU, 0, 100).astype(kind) if kind in (np.uint8, np.int8) else HU.astype(kind)
    image = sitk.GetImageFromArray(values)
    lps = np.diag([-1.0, -1, 1, 1]) @ TURNED
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing)
    image.SetOrigin(lps[:3, 3])
    image.SetDirection((lps[:3, :3] / spacing).ravel())
    sitk.WriteImage(image, tmp_path / name, useCompression=packed)
    volume, again = read_volume(tmp_path / name), sitk.ReadImage(tmp_path / name)
    np.testing.assert_array_equal(volume.values, sitk.GetArrayFromImage(again))
    np.testing.assert_allclose(volume.ijk_to_ras, grid_of(again), atol=1e-4)


@pytest.mark.parametrize("order", ["little", "big"])
def test_words_of_either_order_are_read(tmp_path: Path, order: str) -> None:
    words = HU.astype("<i2" if order == "little" else ">i2").tobytes()
    head = (
        nrrd(tmp_path / "ct.nrrd")
        .read_bytes()
        .partition(b"\n\n")[0]
        .replace(b"endian: little", f"endian: {order}".encode())
    )
    (tmp_path / "ct.nrrd").write_bytes(head + b"\n\n" + words)
    path = meta_image(tmp_path / "ct.mha", BinaryDataByteOrderMSB=str(order == "big"))
    path.write_bytes(path.read_bytes()[: -HU.nbytes] + words)
    nibabel.Nifti1Image(HU.T, AXIAL, nibabel.Nifti1Header(endianness="<" if order == "little" else ">")).to_filename(
        tmp_path / "ct.nii"
    )
    for name in ("ct.nrrd", "ct.mha", "ct.nii"):
        np.testing.assert_array_equal(read_ct(tmp_path / name).hu, HU)


def test_text_and_bzip2_are_read(tmp_path: Path) -> None:
    import bz2

    head = nrrd(tmp_path / "ct.nrrd").read_bytes().partition(b"\n\n")[0]
    texts = " ".join(str(value) for value in HU.ravel()).encode()
    (tmp_path / "text.nrrd").write_bytes(head.replace(b"encoding: raw", b"encoding: ascii") + b"\n\n" + texts)
    (tmp_path / "bz.nrrd").write_bytes(
        head.replace(b"encoding: raw", b"encoding: bzip2") + b"\n\n" + bz2.compress(HU.tobytes())
    )
    path = meta_image(tmp_path / "ct.mha", BinaryData="False")
    path.write_bytes(path.read_bytes()[: -HU.nbytes] + texts)
    for name in ("text.nrrd", "bz.nrrd", "ct.mha"):
        np.testing.assert_array_equal(read_ct(tmp_path / name).hu, HU)


def test_own_nrrd_files_are_read(tmp_path: Path) -> None:
    write_nrrd(tmp_path / "ct.nrrd", HU, TURNED)
    np.testing.assert_allclose(read_ct(tmp_path / "ct.nrrd").ijk_to_ras, TURNED, atol=1e-9)


def test_an_element_of_dicom_with_several_values_is_refused_with_its_name(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"SliceThickness": ["1", "2"], "RescaleSlope": ["1", "1"], "InstanceNumber": ["1", "2"]}.items():
        for path in write_series(tmp_path / name, HU, AXIAL):
            dataset = pydicom.dcmread(path)
            setattr(dataset, name, value)
            dataset.save_as(path)
        refused(tmp_path / name, capfd, f"its {name} has 2 values in place of 1")


@pytest.mark.parametrize("sform", [None, AXIAL], ids=["alone", "beside an sform"])
@pytest.mark.parametrize(
    "fields", [{"pixdim": 0.0}, {"quatern_d": 1.0002}], ids=["no handedness", "rounded beyond one"]
)
def test_a_qform_that_only_the_strict_cannot_read_is_read(
    tmp_path: Path, sform: np.ndarray | None, fields: dict[str, float]
) -> None:
    grid = np.array([[-0.7, 0, 0, 90], [0, -0.8, 0, 60.5], [0, 0, 2.5, -300], [0, 0, 0, 1.0]])
    nifti(tmp_path / "ct.nii", sform, grid, **fields)
    np.testing.assert_allclose(read_ct(tmp_path / "ct.nii").ijk_to_ras, grid, atol=0.01)
