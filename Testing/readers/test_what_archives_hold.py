"""What archives, scanners and other programs hold beside plain CT: read as it is meant, or refused for what it is."""

from __future__ import annotations

import bz2
import gzip
import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom import uid
from pydicom.dataset import Dataset

from dicom_files import write_enhanced, write_series, write_slice
from lnhg.readers.read_ct import read_ct
from readers.asked import AXIAL, HU, moved, refused, stack
from readers.test_hu_offset import GRID, chest

ONE = {"SeriesInstanceUID": "1.2.3", "StudyInstanceUID": "1.2", "FrameOfReferenceUID": "1.2.9"}
DERIVED = ["DERIVED", "SECONDARY", "OTHER"]
CHEST = np.maximum(chest(), -1024)


def series(place: Path, **tags: object) -> list[Path]:
    return write_series(place, HU, AXIAL, **{**ONE, **tags})


def each(place: Path, change: Callable[[Dataset], object], **tags: object) -> None:
    for path in series(place, **tags):
        dataset = pydicom.dcmread(path)
        change(dataset)
        dataset.save_as(path)


def item(**values: object) -> Dataset:
    dataset = Dataset()
    for name, value in values.items():
        setattr(dataset, name, value)
    return dataset


def beside(place: Path, name: str, change: Callable[[Dataset], object]) -> None:
    """A series, and a copy of a slice of it that is something else."""
    dataset = pydicom.dcmread(series(place)[0])
    change(dataset)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.save_as(place / name)


def without(*names: str, **values: object) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        for name in names:
            delattr(dataset, name)
        for name, value in values.items():
            setattr(dataset, name, value)

    return change


def under_other_meta(place: Path, implicit: bool) -> None:
    """Elements in the one encoding behind a meta header that names the other."""
    for path in series(place):
        dataset, meta_bytes, body = pydicom.dcmread(path), io.BytesIO(), io.BytesIO()
        meta = dataset.file_meta
        meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian if implicit else uid.ImplicitVRLittleEndian
        del dataset.file_meta
        pydicom.filewriter.write_file_meta_info(encoded(meta_bytes, False), meta)
        pydicom.filewriter.write_dataset(encoded(body, implicit), dataset)
        path.write_bytes(bytes(128) + b"DICM" + meta_bytes.getvalue() + body.getvalue())


def encoded(target: io.BytesIO, implicit: bool) -> pydicom.filebase.DicomFileLike:
    file = pydicom.filebase.DicomFileLike(target)
    file.is_little_endian, file.is_implicit_VR = True, implicit
    return file


def disc(place: Path) -> None:
    """A CD with a viewer, pictures and a directory beside the slices."""
    series(place / "IMG")
    (place / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + b"\2\0\0\0UL\4\0\0\0\0\0")
    (place / "thumb.jpg").write_bytes(b"\xff\xd8\xff" + bytes(100))
    (place / "report.pdf").write_bytes(b"%PDF-1.4")
    (place / "viewer.exe").write_bytes(b"MZ" + bytes(9000))
    with zipfile.ZipFile(place / "old.zip", "w") as packed:
        packed.writestr("1.dcm", b"x")


def slices(place: Path, change: Callable[[int], dict[str, object]]) -> None:
    """Slices in folders of their own, each with tags of its own."""
    place.mkdir(parents=True, exist_ok=True)
    for k in range(5):
        (place / f"s{k}").mkdir()
        write_slice(place / f"s{k}" / "IM0", HU[k], k, AXIAL, **{**ONE, **change(k)})


def private(group: int, creator: str, element: int, kind: str, value: object) -> Callable[[Dataset], object]:
    return lambda d: d.private_block(group, creator, create=True).add_new(element, kind, value)


def overlay(dataset: Dataset) -> None:
    for tag, kind, value in ((0x10, "US", 32), (0x11, "US", 32), (0x100, "US", 1), (0x102, "US", 0)):
        dataset.add_new(0x60000000 + tag, kind, value)
    dataset.add_new(0x60003000, "OW", bytes(128))


ICON = {"Rows": 8, "Columns": 8, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0}
OF_REAL_WORLD = {"RealWorldValueSlope": 2.0, "RealWorldValueIntercept": 0.0, "LUTLabel": "x"}

AS_WRITTEN: dict[str, Callable[[Path], object]] = {
    "private elements of GE": lambda p: each(p, private(0x43, "GEMS_PARM_01", 0x12, "SS", [99, 99, 99])),
    "a private scale of Philips": lambda p: each(p, private(0x2005, "Philips MR Imaging DD 001", 0x0E, "FL", 2.5)),
    "a private scale of Siemens": lambda p: each(p, private(0x29, "SIEMENS CSA HEADER", 0x10, "OB", bytes(64))),
    "Toshiba, values stored as HU": lambda p: series(p, RescaleIntercept=0, Manufacturer="TOSHIBA"),
    "a negative slope": lambda p: series(p, RescaleSlope=-1, RescaleIntercept=0),
    "a mapping to the real world": lambda p: each(
        p, lambda d: setattr(d, "RealWorldValueMappingSequence", [item(**OF_REAL_WORLD)])
    ),
    "several windows": lambda p: series(p, WindowCenter=[40, -600], WindowWidth=[400, 1500]),
    "an icon": lambda p: each(p, lambda d: setattr(d, "IconImageSequence", [item(**ICON, PixelData=bytes(64))])),
    "an overlay in a plane of its own": lambda p: each(p, overlay),
    "a tilt that the positions do not have": lambda p: series(p, GantryDetectorTilt=15),
    "a step between slices that is negative": lambda p: series(p, SpacingBetweenSlices=-2.5),
    "a step between slices that positions contradict": lambda p: series(p, SpacingBetweenSlices=5),
    "places of slices that run the other way": lambda p: slices(p, lambda k: {"SliceLocation": 300 - 2.5 * k}),
    "numbers that run the other way": lambda p: slices(p, lambda k: {"InstanceNumber": 9 - k}),
    "a patient on the belly, feet first": lambda p: series(p, PatientPosition="FFP"),
    "annotations that are burned in": lambda p: series(p, BurnedInAnnotation="YES"),
    "virtual images of one energy": lambda p: series(p, ImageType=["DERIVED", "PRIMARY", "AXIAL", "CT_SOM5 MONO_E"]),
    "averaged slices": lambda p: series(p, ImageType=["DERIVED", "SECONDARY", "AXIAL", "AVERAGE"]),
    "a dose sheet of the series": lambda p: beside(
        p, "dose.dcm", without("ImagePositionPatient", "ImageOrientationPatient", ImageType=DERIVED)
    ),
    "a dose sheet of another series": lambda p: beside(
        p, "dose.dcm", without("ImagePositionPatient", ImageType=[*DERIVED, "SCREEN SAVE"], SeriesInstanceUID="1.2.99")
    ),
    "a report of doses": lambda p: beside(
        p, "sr.dcm", without("PixelData", "Rows", "Columns", Modality="SR", SOPClassUID=uid.XRayRadiationDoseSRStorage)
    ),
    "contours": lambda p: beside(
        p, "rs.dcm", without("PixelData", "Rows", Modality="RTSTRUCT", SOPClassUID=uid.RTStructureSetStorage)
    ),
    "a segmentation": lambda p: beside(
        p, "seg.dcm", without(Modality="SEG", SOPClassUID=uid.SegmentationStorage, SeriesInstanceUID="9.9")
    ),
    "a PET": lambda p: beside(
        p, "pet.dcm", without(Modality="PT", SOPClassUID=uid.PositronEmissionTomographyImageStorage)
    ),
    "a secondary capture": lambda p: beside(p, "sc.dcm", without(SOPClassUID=uid.SecondaryCaptureImageStorage)),
    "a map of iodine of the same slice": lambda p: beside(
        p, "iodine.dcm", without(ImageType=["DERIVED", "PRIMARY", "AXIAL", "CT_SOM5 IODINE"])
    ),
    "implicit elements under an explicit header": lambda p: under_other_meta(p, True),
    "explicit elements under an implicit header": lambda p: under_other_meta(p, False),
    "a disc": disc,
    "a class that the meta header alone names": lambda p: each(p, without("SOPClassUID")),
    "a modality in small letters": lambda p: series(p, Modality="ct"),
    "a folder for each slice": lambda p: slices(p, lambda k: {}),
    "an enhanced CT converted from single slices": lambda p: write_enhanced(
        p / "ct.dcm", HU, AXIAL, SOPClassUID=uid.LegacyConvertedEnhancedCTImageStorage
    ),
}


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize("what", AS_WRITTEN)
def test_dicom_that_archives_hold_is_read_as_written(tmp_path: Path, what: str) -> None:
    (tmp_path / "ct").mkdir()
    AS_WRITTEN[what](tmp_path / "ct")
    ct = read_ct(tmp_path / "ct")
    np.testing.assert_array_equal(ct.hu, HU)
    np.testing.assert_allclose(ct.ijk_to_ras, AXIAL, atol=1e-6)


def exported_anew(place: Path) -> None:
    """The same slices once more, under UIDs of their own."""
    series(place / "a")
    series(place / "b")


def under_syntax(place: Path, written: str, named: str) -> None:
    for path in write_series(place, HU, AXIAL, written, **ONE):
        path.write_bytes(path.read_bytes().replace(f"{written}\0".encode(), f"{named}\0".encode()))


def of_floats(dataset: Dataset) -> None:
    values = dataset.pixel_array.astype("<f4")
    del dataset.PixelData
    dataset.BitsAllocated = 32
    dataset.add_new(0x7FE00008, "OF", values.tobytes())


def with_table(dataset: Dataset) -> None:
    del dataset.RescaleSlope, dataset.RescaleIntercept
    table = item(LUTDescriptor=[4096, 0, 16], ModalityLUTType="HU")
    table.add_new(0x00283006, "OW", bytes(8192))
    dataset.ModalityLUTSequence = [table]


def drawn_in_upper_bits(dataset: Dataset) -> None:
    values = dataset.pixel_array.astype(np.uint16)
    values[4:8, 4:8] |= 0x8000
    dataset.PixelData, dataset.BitsStored, dataset.HighBit = values.tobytes(), 12, 11


def without_class(place: Path) -> None:
    for path in series(place):
        dataset = pydicom.dcmread(path)
        del dataset.SOPClassUID, dataset.file_meta.MediaStorageSOPClassUID
        dataset.save_as(path)


def apart(place: Path, steps: list[int]) -> None:
    """Slices at so many times 2.5 mm."""
    hu, grid = stack(len(steps))
    for k, step in enumerate(steps):
        write_slice(place / f"{k}.dcm", hu[k], step, grid, **ONE)


REFUSED: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a table in place of a rescale": ("no HU scale", lambda p: each(p, with_table)),
    "pixels that are floats": ("pixels are missing", lambda p: each(p, of_floats)),
    "a map of iodine": ("maps (iodine), not HU", lambda p: series(p, ImageType=[*DERIVED, "IODINE"])),
    "a map of blood volume": ("maps (pbv), not HU", lambda p: series(p, ImageType=[*DERIVED, "CT_SOM5 PBV"])),
    "atomic numbers": ("maps (eff_atomic_num), not HU", lambda p: series(p, ImageType=[*DERIVED, "EFF_ATOMIC_NUM"])),
    "a subtraction": ("maps (subtraction), not HU", lambda p: series(p, ImageType=[*DERIVED[:2], "SUBTRACTION"])),
    "values in Z_EFF": ("values are in Z_EFF", lambda p: series(p, RescaleType="Z_EFF")),
    "derived images without a place": (
        "have no place in the patient",
        lambda p: series(p, ImagePositionPatient=None, ImageOrientationPatient=None, ImageType=DERIVED),
    ),
    "a minimum of slabs": ("minip, not slices", lambda p: series(p, ImageType=[*DERIVED, "MINIP"])),
    "each slice twice, exported anew": ("more than one slice at", exported_anew),
    "all slices at one place": (
        "more than one slice at -300.0 mm",
        lambda p: slices(p, lambda k: {"ImagePositionPatient": [-90, -60.5, -300]}),
    ),
    "places of slices alone": (
        "no ImagePositionPatient",
        lambda p: slices(p, lambda k: {"ImagePositionPatient": None, "SliceLocation": 2.5 * k}),
    ),
    "slices recentred half way": (
        "off a straight stack",
        lambda p: slices(p, lambda k: {"ImagePositionPatient": [-90 + 8 * (k > 2), -60.5, -300 + 2.5 * k]}),
    ),
    "twice the step half way": (
        "missing between",
        lambda p: slices(p, lambda k: {"ImagePositionPatient": [-90, -60.5, -300 + 2.5 * (k + (k > 3))]}),
    ),
    "bits at the top of words": (
        "do not fit together",
        lambda p: each(p, without(BitsStored=12, HighBit=15)),
    ),
    "an overlay in the upper bits": ("values beyond its 12 bits", lambda p: each(p, drawn_in_upper_bits)),
    "raw pixels named as packed": (
        "compressed pixels are in disorder",
        lambda p: under_syntax(p, uid.ExplicitVRLittleEndian, uid.RLELossless),
    ),
    "packed pixels named as raw": (
        "bytes of pixels",
        lambda p: under_syntax(p, uid.RLELossless, uid.ExplicitVRLittleEndian),
    ),
    "big endian named as little": (
        "pixels are missing",
        lambda p: under_syntax(p, uid.ExplicitVRBigEndian, uid.ExplicitVRLittleEndian),
    ),
    "slices of no class": ("does not say what it is, by a SOPClassUID", without_class),
    "slices of no modality": ("its modality is not given", lambda p: series(p, Modality=None)),
    "two distances of the slices": (
        "lie 2.50 mm apart, but 10.00 mm from -285.0 to -245.0 mm",
        lambda p: apart(p, [0, 1, 2, 3, 4, 5, 6, 10, 14, 18, 22]),
    ),
    "mostly thick slices": (
        "lie 10.00 mm apart, but not between -300.0 and -297.5, -297.5 and -295.0 mm",
        lambda p: apart(p, [0, 1, 2, 6, 10, 14, 18, 22]),
    ),
    "thick slices first": (
        "lie 2.50 mm apart, but 12.50 mm from -300.0 to -262.5 mm",
        lambda p: apart(p, [0, 5, 10, 15, 16, 17, 18, 19, 20]),
    ),
    "slices that are missing in several places": (
        "are missing between -297.5 and -292.5, -290.0 and -285.0, -282.5 and -277.5 mm",
        lambda p: apart(p, [0, 1, 3, 4, 6, 7, 9, 10, 11]),
    ),
    "an MR": ("modality is MR", lambda p: series(p, Modality="MR", SOPClassUID=uid.MRImageStorage)),
    "pictures of a cone beam": ("not CT slices", lambda p: series(p, SOPClassUID="1.2.840.10008.5.1.4.1.1.13.1.3")),
    "pictures fused in colour": (
        "in colour",
        lambda p: series(p, SamplesPerPixel=3, PhotometricInterpretation="RGB"),
    ),
}


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize("what", REFUSED)
def test_dicom_that_is_no_ct_in_hu_is_refused_for_what_it_is(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    word, write = REFUSED[what]
    (tmp_path / "ct").mkdir()
    write(tmp_path / "ct")
    refused(tmp_path / "ct", capfd, word)


@pytest.mark.parametrize("scale", [1.3, 0.8, 1.1])
@pytest.mark.parametrize("below", [4, 7])
def test_a_part_of_a_series_on_another_grid_is_told_to_be_missing(tmp_path: Path, scale: float, below: int) -> None:
    hu, grid = stack(12)
    for k in range(12):
        other = grid @ np.diag([scale, scale, 1, 1]) if k >= below else grid
        write_slice(tmp_path / f"{k}.dcm", hu[k], k, other, **ONE)
    warnings = read_ct(tmp_path).warnings
    assert any("Slices of the same series go on above or below" in warning for warning in warnings)


def test_phases_and_scans_far_apart_do_not_go_on_from_one_another(tmp_path: Path) -> None:
    hu, grid = stack(12)
    for number, up in enumerate((0.0, 1.25, 200.0)):
        write_series(tmp_path / str(number), hu, moved(grid, up), **ONE, AcquisitionNumber=number, InstanceNumber=None)
    assert not any("go on above or below" in warning for warning in read_ct(tmp_path).warnings)


WITHOUT_DICOM: dict[str, tuple[str, tuple[str, ...]]] = {
    "an image": ("holds no DICOM file but ct.nii.gz; give the path", ("ct.nii.gz", "notes.txt")),
    "two images": ("holds no DICOM file but a.mha, b.NRRD; give the path", ("a.mha", "b.NRRD")),
    "a zip": ("holds no DICOM file but study.ZIP; unpack it", ("study.ZIP", "read me.txt")),
    "packed slices": ("holds no DICOM file but 1.dcm.gz, 2.dcm.gz; unpack it", ("1.dcm.gz", "2.dcm.gz")),
    "nothing that is known": ("holds no DICOM file; give a folder with a CT series", ("notes.txt",)),
    "nothing": ("holds no DICOM file; give a folder with a CT series", ()),
}


@pytest.mark.parametrize("what", WITHOUT_DICOM)
def test_a_folder_without_dicom_is_refused_for_what_it_holds(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    word, names = WITHOUT_DICOM[what]
    (tmp_path / "ct").mkdir()
    for name in names:
        (tmp_path / "ct" / name).write_bytes(b"PK\3\4 and so on")
    refused(tmp_path / "ct", capfd, word)


def test_the_directory_of_a_disc_is_no_ct(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    disc(tmp_path / "disc")
    (tmp_path / "disc").rename(tmp_path / "in")
    refused(tmp_path / "in" / "DICOMDIR", capfd, "DICOMDIR lists images and holds none; give the folder")


# ---------------------------------------------------------------- image files


def nifti(place: Path, values: np.ndarray = CHEST, grid: np.ndarray = GRID, **forms: int) -> Path:
    image = nibabel.Nifti1Image(values.T, grid)
    image.set_qform(grid, forms.get("qform", 1))
    image.set_sform(grid, forms.get("sform", 2))
    image.to_filename(place / "ct.nii.gz")
    return place / "ct.nii.gz"


def scaled(place: Path, slope: float, intercept: float, values: np.ndarray = CHEST) -> Path:
    path = nifti(place, values)
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[112:120] = np.array([slope, intercept], "<f4").tobytes()
    path.write_bytes(gzip.compress(bytes(content), 1))
    return path


def nrrd(place: Path, body: bytes = CHEST.astype("<i2").tobytes(), more: str = "", **fields: str) -> Path:
    said = {
        "type": "short",
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": "100 100 20",
        "space directions": "(3,0,0) (0,3,0) (0,0,5)",
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": "raw",
        "space origin": "(-150,-150,-100)",
        **{name.replace("_", " "): value for name, value in fields.items()},
    }
    head = "NRRD0005\n# made by a program\n" + "".join(f"{k}: {v}\n" for k, v in said.items() if v) + more
    (place / "ct.nrrd").write_bytes(head.encode() + b"\n" + body)
    return place / "ct.nrrd"


def meta(place: Path, body: bytes = CHEST.astype("<i2").tobytes(), data: str = "LOCAL", **fields: str) -> Path:
    said = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": "-150 -150 -100",
        "AnatomicalOrientation": "RAI",
        "ElementSpacing": "3 3 5",
        "DimSize": "100 100 20",
        "ElementType": "MET_SHORT",
        **fields,
        "ElementDataFile": data,
    }
    (place / "ct.mha").write_bytes("".join(f"{k} = {v}\n" for k, v in said.items() if v).encode() + body)
    return place / "ct.mha"


def through_itk(place: Path, name: str, packed: bool) -> Path:
    image = sitk.GetImageFromArray(CHEST)
    image.SetSpacing((3, 3, 5))
    image.SetOrigin((-150, -150, -100))
    sitk.WriteImage(image, str(place / name), packed)
    return place / name


def of_one_volume(place: Path) -> Path:
    nibabel.Nifti1Image(CHEST.T[..., None], GRID).to_filename(place / "ct.nii.gz")
    return place / "ct.nii.gz"


def big_endian_nifti(place: Path) -> Path:
    header = nibabel.Nifti1Header(endianness=">")
    nibabel.Nifti1Image(CHEST.T.astype(">i2"), GRID, header).to_filename(place / "ct.nii")
    return place / "ct.nii"


IMAGES: dict[str, Callable[[Path], Path]] = {
    "dcm2niix": lambda p: nifti(p, qform=1, sform=1),
    "a qform alone": lambda p: nifti(p, sform=0),
    "a sform alone": lambda p: nifti(p, qform=0),
    "a slope of 0": lambda p: scaled(p, 0, 0),
    "a slope that is no number": lambda p: scaled(p, float("nan"), float("nan")),
    "unsigned values with their intercept": lambda p: scaled(p, 1, -1024, (CHEST + 1024).astype(np.uint16)),
    "double values": lambda p: nifti(p, CHEST.astype(float)),
    "a fourth axis of one": of_one_volume,
    "big endian NIfTI": big_endian_nifti,
    **{
        f"{name} of ITK{', packed' * packed}": lambda p, name=name, packed=packed: through_itk(p, name, packed)  # type: ignore[misc]
        for name in ("ct.mha", "ct.mhd", "ct.nrrd", "ct.nhdr")
        for packed in (False, True)
    },
    "RAS in NRRD": lambda p: nrrd(
        p, space="RAS", space_directions="(-3,0,0) (0,-3,0) (0,0,5)", space_origin="(150,150,-100)"
    ),
    "LPS in short": lambda p: nrrd(p, space="LPS"),
    "NRRD as text": lambda p: nrrd(p, " ".join(map(str, CHEST.ravel())).encode(), encoding="ascii"),
    "NRRD in bzip2": lambda p: nrrd(p, bz2.compress(CHEST.tobytes()), encoding="bz2"),
    "big endian NRRD": lambda p: nrrd(p, CHEST.astype(">i2").tobytes(), endian="big"),
    "a measurement frame": lambda p: nrrd(p, measurement_frame="(1,0,0) (0,1,0) (0,0,1)"),
    "keys with values": lambda p: nrrd(p, more="Segment0_Name:=lung\n"),
    "MetaImage with a Position": lambda p: meta(p, Offset="", Position="-150 -150 -100"),
    "MetaImage with both, alike": lambda p: meta(p, Position="-150 -150 -100"),
    "MetaImage most significant byte first": lambda p: meta(
        p, CHEST.astype(">i2").tobytes(), BinaryDataByteOrderMSB="True"
    ),
    "packed MetaImage without the packed size": lambda p: meta(
        p, zlib.compress(CHEST.tobytes()), CompressedData="True"
    ),
}


@pytest.mark.parametrize("what", IMAGES)
def test_image_files_of_other_programs_are_read_as_they_are_meant(tmp_path: Path, what: str) -> None:
    ct = read_ct(IMAGES[what](tmp_path))
    np.testing.assert_array_equal(ct.hu, CHEST)
    np.testing.assert_allclose(ct.ijk_to_ras, GRID, atol=1e-4)
    assert len(ct.warnings) == 1  # on contrast


@pytest.mark.parametrize("axes", [[2, 1, 0, 3], [0, 2, 1, 3], [1, 0, 2, 3]], ids=str)
@pytest.mark.parametrize("turned", [[1, 1, 1], [-1, 1, 1], [1, 1, -1], [-1, -1, -1]], ids=str)
def test_axes_of_any_order_and_side_keep_every_voxel_at_its_place(
    tmp_path: Path, axes: list[int], turned: list[int]
) -> None:
    grid = GRID[:, axes] @ np.diag([*turned, 1.0])
    values = np.transpose(CHEST.T, axes[:3]).T.copy()
    ct = read_ct(nifti(tmp_path, values, grid))
    np.testing.assert_array_equal(ct.hu, values)
    np.testing.assert_allclose(ct.ijk_to_ras, grid, atol=1e-3)


def of_noise(kind: str) -> np.ndarray:
    chance = np.random.default_rng(1)
    return {
        "MR": chance.gamma(2, 100, CHEST.shape).astype(np.int16),
        "PET": chance.gamma(1, 1, CHEST.shape).astype(np.float32),
        "noise": chance.integers(-32768, 32767, CHEST.shape).astype(np.int16),
        "probabilities": chance.random(CHEST.shape).astype(np.float32),
    }[kind]


def labels() -> np.ndarray:
    found = np.zeros(CHEST.shape, np.uint8)
    found[5:9, 20:30, 20:30] = 1
    found[10:12, 50:60, 50:60] = 3
    return found


def lungs_in(value: float, kind: str = "int16") -> np.ndarray:
    """The lungs of the chest alone, with a value around them."""
    across, down = (np.abs(axis * 3.0) for axis in np.mgrid[-50:50, -50:50][::-1])
    return np.where((CHEST < -600) & (across < 115) & (down < 75), CHEST, value).astype(kind)


def named(place: Path, name: str, content: bytes) -> Path:
    (place / name).write_bytes(content)
    return place / name


NO_CT: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "a label map": ("run from 0 to 3", lambda p: nifti(p, labels())),
    "a mask of whole numbers": ("run from 0 to 3", lambda p: nifti(p, labels().astype(np.int32))),
    "a segmentation as NRRD": (
        "run from 0 to 3",
        lambda p: nrrd(p, labels().tobytes(), "Segment0_Name:=lung\n", type="uchar"),
    ),
    "probabilities": ("is not in HU", lambda p: nifti(p, of_noise("probabilities"))),
    "an MR": ("is not in HU", lambda p: nifti(p, of_noise("MR"))),
    "a PET": ("is not in HU", lambda p: nifti(p, of_noise("PET"))),
    "noise": ("is not in HU", lambda p: nifti(p, of_noise("noise"))),
    "0 to 1": ("run from 0 to 1", lambda p: nifti(p, ((CHEST + 1024) / 1475).astype(np.float32))),
    "-1 to 1": ("is not in HU", lambda p: nifti(p, ((CHEST + 1024) / 737.5 - 1).astype(np.float32))),
    "less its mean, by its deviation": ("is not in HU", lambda p: nifti(p, ((CHEST + 400) / 500).astype(np.float32))),
    "0 to 255": ("run from 0 to 255", lambda p: nifti(p, ((CHEST + 1024) / 1475 * 255).astype(np.uint8))),
    "0 to 4095": ("is not in HU", lambda p: nifti(p, (CHEST + 1024).astype(np.uint16))),
    "HU + 1024, a few below 0": ("1021 HU too high", lambda p: nifti(p, chest() + np.int16(1024))),
    "HU + 8192": ("is not in HU", lambda p: nifti(p, (CHEST + 8192).astype(np.int16))),
    "thousandths of HU": ("is not in HU", lambda p: nifti(p, (CHEST / 1000).astype(np.float32))),
    "inverted": ("is not in HU", lambda p: nifti(p, (-CHEST).astype(np.int16))),
    "bytes swapped": ("is not in HU", lambda p: nifti(p, CHEST.byteswap())),
    "an intercept that its slope of 0 annuls": (
        "is not in HU",
        lambda p: scaled(p, 0, -1024, (CHEST + 1024).astype(np.int16)),
    ),
    "an infinite slope": ("scl_slope is inf", lambda p: scaled(p, float("inf"), 0)),
    "lungs in 0": ("lungs alone", lambda p: nifti(p, lungs_in(0))),
    "lungs in -2000": ("lungs alone", lambda p: nifti(p, lungs_in(-2000))),
    "lungs in 170": ("lungs alone", lambda p: nifti(p, lungs_in(170))),
    "lungs in nothing": ("not finite", lambda p: nifti(p, lungs_in(np.nan, "float32"))),
    "colours": ("colour or vector", lambda p: nrrd(p, kinds="RGB-color domain domain")),
    "two volumes": (
        "4 axes",
        lambda p: nrrd(p, dimension="4", sizes="2 100 100 10", kinds="list domain domain domain"),
    ),
    "a direction that is none": ("its grid is", lambda p: nrrd(p, space_directions="(3,0,0) (0,3,0) none")),
    "an encoding that is not read": ("encoding is 'hex'", lambda p: nrrd(p, encoding="hex")),
    "a space that NRRD does not know": ("does not know", lambda p: nrrd(p, space="left-posterior-inferior")),
    "another space of that kind": ("does not know", lambda p: nrrd(p, space="right-posterior-superior")),
    "a space in short": ("does not know", lambda p: nrrd(p, space="RPS")),
    "two origins": ("twice, and not alike (Offset and Position)", lambda p: meta(p, Position="0 0 0")),
    "two other origins": ("(Offset and Origin)", lambda p: meta(p, Origin="-150 -150 100")),
    "two directions": (
        "(TransformMatrix and Orientation)",
        lambda p: meta(p, Orientation="-1 0 0 0 1 0 0 0 1"),
    ),
    "MetaImage of several files": ("spread over several files", lambda p: meta(p, b"a.raw\n", "LIST")),
    "MetaImage of PET": ("no CT but 'PET'", lambda p: meta(p, Modality="MET_MOD_PET")),
    "MetaImage of vectors": ("colour or vector", lambda p: meta(p, ElementNumberOfChannels="3")),
    "a zip": ("is packed; unpack it", lambda p: named(p, "ct.zip", b"PK\3\4")),
    "NIfTI in zstd": ("is packed; unpack it", lambda p: named(p, "ct.nii.zst", b"\x28\xb5\x2f\xfd")),
    "a tar": ("is packed; unpack it", lambda p: named(p, "ct.tar.gz", b"\x1f\x8b")),
    "a page of the web": ("does not start as NIfTI", lambda p: named(p, "ct.nii.gz", b"<!DOCTYPE html>" + bytes(900))),
    "a picture": ("no CT that can be read", lambda p: named(p, "ct.jpg", b"\xff\xd8\xff")),
    "an array": ("no CT that can be read", lambda p: named(p, "ct.npy", b"\x93NUMPY")),
    "a header of Analyze": ("of a pair of files", lambda p: named(p, "ct.hdr", bytes(348))),
    "voxels of Analyze": ("of a pair of files", lambda p: named(p, "ct.img", bytes(348))),
    "nothing": ("does not start as NRRD", lambda p: named(p, "ct.nrrd", b"")),
}


@pytest.mark.parametrize("what", NO_CT)
def test_an_image_that_is_no_ct_in_hu_is_refused_for_what_it_is(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    word, write = NO_CT[what]
    (tmp_path / "in").mkdir()
    refused(write(tmp_path / "in"), capfd, word)


@pytest.mark.parametrize("value", [30000, 20000, 32767, 8191])
@pytest.mark.parametrize("rows", [3, 30])
def test_padding_that_is_not_declared_and_that_no_tissue_has_is_air(tmp_path: Path, value: int, rows: int) -> None:
    hu = CHEST.copy()
    hu[:, :rows] = value
    ct = read_ct(nifti(tmp_path, hu))
    assert (ct.hu[:, :rows] == -1024).all() and (ct.hu[:, rows:] == CHEST[:, rows:]).all()
    assert any(f"of the value {value}, which no tissue has, were taken for air" in said for said in ct.warnings)


@pytest.mark.parametrize("most", [3071, 9000, 30719])
def test_metal_is_no_padding(tmp_path: Path, most: int) -> None:
    hu = CHEST.copy()
    hu[9:11, 40:46, 40:46] = np.linspace(2500, most, 72).reshape(2, 6, 6)
    np.testing.assert_array_equal(read_ct(nifti(tmp_path, hu)).hu, hu)
