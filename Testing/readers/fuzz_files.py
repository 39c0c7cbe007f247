"""Small whole files of all formats that are read, and of many forms of each, for `fuzz.py` to damage."""

from __future__ import annotations

import bz2
import gzip
import shutil
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

#: Writes the files of one input into a folder; returns what to read.
Writer = Callable[[Path], Path]

_HU = np.random.default_rng(5).integers(-1000, 400, (4, 12, 12)).astype("<i2")
_GRID = np.array([[-0.7, 0, 0, 90], [0, -0.8, 0, 60.5], [0, 0, 2.5, -300], [0, 0, 0, 1.0]])
# As wide as a chest, in pixels of 14 mm, so that what is asked of whole chests is asked.
_WIDE = _GRID @ np.diag([20, 17.5, 1, 1.0])
_CHEST = np.where(np.hypot(*np.mgrid[-5.5:6, -5.5:6]) < 3.5, -860, 30) + (_HU % 40)


# ---------------------------------------------------------------- image files


def _nrrd(name: str, encoding: str, pack: Callable[[bytes], bytes], *more: str, kind: str = "<i2") -> Writer:
    """A NRRD file; with a second name in `more`, a header and its voxels in a file of that name."""

    def write(folder: Path) -> Path:
        voxels = pack(_HU.astype(kind).tobytes())
        head = (
            f"NRRD0004\ntype: {'float' if 'f' in kind else 'short'}\ndimension: 3\nspace: left-posterior-superior\n"
            "sizes: 12 12 4\nspace directions: (0.7,0,0) (0,0.8,0) (0,0,2.5)\nkinds: domain domain domain\n"
            f"endian: {'big' if '>' in kind else 'little'}\nencoding: {encoding}\nspace origin: (-90,-60.5,-300)\n"
        ).encode()
        if more:
            (folder / more[0]).write_bytes(voxels)
            (folder / name).write_bytes(head + b"data file: " + more[0].encode() + b"\n")
        else:
            (folder / name).write_bytes(head + b"\n" + voxels)
        return folder / name

    return write


def _as_text(voxels: bytes) -> bytes:
    return " ".join(map(str, np.frombuffer(voxels, "<i2"))).encode()


def _nrrd_of_spacings(folder: Path) -> Path:
    head = (
        'NRRD0002\ntype: int16\ndimension: 3\nsizes: 12 12 4\nspacings: 0.7 0.8 2.5\nunits: "mm" "mm" "mm"\n'
        "content: a chest\nendian: little\nline skip: 1\nbyte skip: 2\nencoding: raw\nkey:=value\n\n"
    )
    (folder / "ct.nrrd").write_bytes(head.encode() + b"skipped\n  " + _HU.tobytes())
    return folder / "ct.nrrd"


def _meta_image(name: str, voxels: str, packed: bool = False, text: bool = False) -> Writer:
    def write(folder: Path) -> Path:
        content = _as_text(_HU.tobytes()) if text else zlib.compress(_HU.tobytes()) if packed else _HU.tobytes()
        head = (
            f"ObjectType = Image\nNDims = 3\nBinaryData = {not text}\nBinaryDataByteOrderMSB = False\n"
            f"CompressedData = {packed}\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = -90 -60.5 -300\n"
            "CenterOfRotation = 0 0 0\nAnatomicalOrientation = RAI\nElementSpacing = 0.7 0.8 2.5\nDimSize = 12 12 4\n"
            + (f"CompressedDataSize = {len(content)}\n" if packed else "")
            + f"ElementType = MET_SHORT\nElementDataFile = {voxels}\n"
        ).encode()
        if voxels != "LOCAL":
            (folder / voxels).write_bytes(content)
        (folder / name).write_bytes(head if voxels != "LOCAL" else head + content)
        return folder / name

    return write


def _nifti(name: str, version: int = 1, **fields: Any) -> Writer:
    def write(folder: Path) -> Path:
        import nibabel

        made = {1: nibabel.Nifti1Image, 2: nibabel.Nifti2Image}[version]
        wide = fields.get("wide", False)
        image = made((_CHEST if wide else _HU).T.astype(fields.get("kind", "<i2")), _WIDE if wide else _GRID)
        image.set_qform(image.affine, fields.get("qform", 1))
        image.set_sform(image.affine, fields.get("sform", 2))
        image.header.set_xyzt_units(fields.get("unit", "mm"), "sec")
        image.to_filename(folder / name)
        return folder / name

    return write


# ---------------------------------------------------------------- DICOM


def _dicom(syntax: str = "ExplicitVRLittleEndian", wide: bool = False, **tags: object) -> Writer:
    """Slices in a transfer syntax of pydicom's name."""

    def write(folder: Path) -> Path:
        from pydicom import uid

        from dicom_files import write_series

        (folder / "ct").mkdir()
        of_file = {"AcquisitionNumber": 1, "PixelPaddingValue": 0, "FrameOfReferenceUID": "1.2.3", **tags}
        hu, grid = (_CHEST, _WIDE) if wide else (_HU, _GRID)
        write_series(folder / "ct", hu[:3], grid, getattr(uid, syntax), **of_file)
        return folder / "ct"

    return write


def _bare_dicom(folder: Path) -> Path:
    """Slices without preamble and meta header, as old archives hold them: implicit, little endian."""
    import pydicom

    place = _dicom()(folder)
    for path in place.iterdir():
        dataset = pydicom.dcmread(path)
        with path.open("wb") as file:
            bare = pydicom.filebase.DicomFileLike(file)
            bare.is_little_endian, bare.is_implicit_VR = True, True
            pydicom.filewriter.write_dataset(bare, dataset)
    return place


def _packed_dicom(syntax: str) -> Writer:
    def write(folder: Path) -> Path:
        from pydicom import uid

        from dicom_files import write_series

        (folder / "ct").mkdir()
        wide = np.tile(_HU[:2], (1, 3, 3))  # JPEG 2000 packs no smaller ones
        write_series(folder / "ct", wide, _GRID, getattr(uid, syntax))
        return folder / "ct"

    return write


def _enhanced_dicom(syntax: str, measured: bool = True) -> Writer:
    """A multi-frame file; its sequences of a length that is told, or not `measured`: that run to their ends."""

    def write(folder: Path) -> Path:
        import pydicom

        from dicom_files import write_enhanced

        (folder / "ct").mkdir()
        write_enhanced(folder / "ct" / "0.dcm", _HU, _GRID, getattr(pydicom.uid, syntax))
        if not measured:
            dataset = pydicom.dcmread(folder / "ct" / "0.dcm")
            for holder, element in _sequences(dataset):
                holder[element.tag].is_undefined_length = True
                for item in element.value:
                    item.is_undefined_length_sequence_item = True
            dataset.save_as(folder / "ct" / "0.dcm")
        return folder / "ct"

    return write


def _sequences(dataset: Any) -> list[tuple[Any, Any]]:
    found = []
    for element in dataset:
        if element.VR == "SQ":
            found.append((dataset, element))
            found += [inside for item in element.value for inside in _sequences(item)]
    return found


def _joined_dicom(folder: Path) -> Path:
    """The slices one after another in one file, as a broken transfer leaves them."""
    parts = sorted(_dicom()(folder).iterdir())
    content = b"".join(part.read_bytes() for part in parts)
    for part in parts:
        part.unlink()
    (folder / "ct" / "0.dcm").write_bytes(content)
    return folder / "ct"


def _zipped_dicom(folder: Path) -> Path:
    """The slices in a zip that lies in the folder in their place."""
    parts = sorted(_dicom()(folder).iterdir())
    with zipfile.ZipFile(folder / "ct" / "0.dcm", "w", zipfile.ZIP_DEFLATED) as packed:
        for part in parts:
            packed.write(part, part.name)
            part.unlink()
    return folder / "ct"


def _scene(folder: Path) -> Path:
    from made_before import RESULT

    return Path(shutil.copy(RESULT / "scene.mrb", folder / "ct.mrb"))


#: What is damaged, by format; an input begins with one of its forms.
FORMATS: dict[str, tuple[Writer, ...]] = {
    "nrrd": (
        _nrrd("ct.nrrd", "raw", bytes),
        _nrrd("ct.nrrd", "raw", bytes, kind=">f4"),
        _nrrd("ct.nrrd", "gzip", gzip.compress),
        _nrrd("ct.nrrd", "bzip2", bz2.compress),
        _nrrd("ct.nrrd", "ascii", _as_text),
        _nrrd("ct.nhdr", "raw", bytes, "ct.raw"),
        _nrrd("ct.nhdr", "gzip", gzip.compress, "ct.raw.gz"),
        _nrrd_of_spacings,
    ),
    "meta_image": (
        _meta_image("ct.mha", "LOCAL"),
        _meta_image("ct.mha", "LOCAL", packed=True),
        _meta_image("ct.mha", "LOCAL", text=True),
        _meta_image("ct.mhd", "ct.raw"),
        _meta_image("ct.mhd", "ct.zraw", packed=True),
    ),
    "nifti": (
        _nifti("ct.nii"),
        _nifti("ct.nii.gz"),
        _nifti("ct.nii", 2),
        _nifti("ct.nii.gz", 2, qform=0),
        _nifti("ct.nii", kind="<f4", sform=0),
        _nifti("ct.nii", wide=True, sform=0, qform=1),
        _nifti("ct.nii", wide=True, kind="<f8"),
    ),
    "dicom": (
        _dicom(),
        _dicom(SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="Yamada^Taro=山田^太郎"),
        _dicom(wide=True, PatientName="Kim^Minsu", SpecificCharacterSet="ISO_IR 192"),
        _dicom("ImplicitVRLittleEndian"),
        _dicom("ExplicitVRBigEndian"),
        _dicom("DeflatedExplicitVRLittleEndian"),
        _bare_dicom,
    ),
    "enhanced_dicom": (
        _enhanced_dicom("ExplicitVRLittleEndian"),
        _enhanced_dicom("ExplicitVRLittleEndian", measured=False),
        _enhanced_dicom("ImplicitVRLittleEndian", measured=False),
    ),
    "packed_dicom": (_packed_dicom("RLELossless"),),
    "jpeg_ls_dicom": (_packed_dicom("JPEGLSLossless"),),
    "jpeg_2000_dicom": (_packed_dicom("JPEG2000Lossless"),),
    "packed_enhanced_dicom": (_enhanced_dicom("RLELossless"),),
    "joined_dicom": (_joined_dicom,),
    "zipped_dicom": (_zipped_dicom,),
    "scene": (_scene,),
}
