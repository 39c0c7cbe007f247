"""Headers of DICOM files as typed values: which images are slices of a CT, and whether they are whole."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
import pydicom
from pydicom.uid import UID, AllTransferSyntaxes, DeflatedExplicitVRLittleEndian, MediaStorageDirectoryStorage

from ..errors import InputError
from .files import DICOM_ENDINGS, check_regular

_CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
_ENHANCED_CLASSES = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
# Image types that are no slices though they are stored as CT.
_NOT_SLICES = ("LOCALIZER", "PROJECTION IMAGE", "MIP", "MINIP", "MAX_IP", "MIN_IP", "SCREEN SAVE", "DOSE_INFO")
# Image types of maps of a material, a number or a flow, whose values are no HU though they may be told to be.
_MAPS = (
    *("IODINE", "PBV", "PERFUSION", "MAT_SPECIFIC", "MAT_FRACTIONAL", "MAT_VALUE_BASED", "MD_"),
    *("EFF_ATOMIC_NUM", "Z_EFF", "ELECTRON_DENSITY", "UNCERTAINTY", "SUBTRACTION"),
)
_COLOURS = ("RGB", "PALETTE", "YBR", "HSV", "ARGB", "CMYK")
# Units of the values, in capitals, that are HU; US: unspecified, as many scanners write.
_IN_HU = ("", "HU", "US", "HOUNSFIELD", "HOUNSFIELD UNIT", "HOUNSFIELD UNITS", "UNSPECIFIED")

#: What names a person or a series, kept as text.
PERSON = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyInstanceUID",
    "AccessionNumber",
)
SERIES = ("SeriesInstanceUID", "SeriesNumber", "SeriesDescription")
_SCANNER = ("Manufacturer", "ConvolutionKernel", "SliceThickness", "KVP", "ContrastBolusAgent", "ImagesInAcquisition")
_LOSS = ("LossyImageCompression", "LossyImageCompressionRatio")
#: Tells the scans of one series apart, where their slices would lie between or upon one another.
APART = (
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "NominalPercentageOfCardiacPhase",
    "TriggerTime",
    "StackID",
    "ConvolutionKernel",
    "KVP",
    "SliceThickness",
    "ReconstructionDiameter",
    "ContrastBolusAgent",
    "SeriesDescription",
    "ProtocolName",
    "AcquisitionDateTime",
    "AcquisitionTime",
)
_TEXTS = tuple(dict.fromkeys((*PERSON, *SERIES, *_SCANNER, *_LOSS, *APART, "FrameOfReferenceUID", "SOPInstanceUID")))
_PLACE = ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "Rows", "Columns")
_HU_SCALE = ("RescaleSlope", "RescaleIntercept", "RescaleType")
_STORED = ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel", "PixelPaddingValue")
_IMAGE = ("SOPClassUID", "Modality", "ImageType", "NumberOfFrames", "PhotometricInterpretation", "InstanceNumber")
# Of an enhanced CT, these are told for each frame, or for all, in a sequence of their own.
_GROUPS = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "SliceThickness": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "RescaleType": "PixelValueTransformationSequence",
    "FrameAcquisitionNumber": "FrameContentSequence",
    "TemporalPositionIndex": "FrameContentSequence",
    "StackID": "FrameContentSequence",
    "NominalPercentageOfCardiacPhase": "CardiacSynchronizationSequence",
    "FrameType": "CTImageFrameTypeSequence",
    "ConvolutionKernel": "CTReconstructionSequence",
    "KVP": "CTXRayDetailsSequence",
}
_RENAMED = {"AcquisitionNumber": "FrameAcquisitionNumber", "ImageType": "FrameType"}
_FOR_ALL, _PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
_TAGS = [*_TEXTS, *_PLACE, *_HU_SCALE, *_STORED, *_IMAGE, "PixelPaddingRangeLimit", _FOR_ALL, _PER_FRAME, "PixelData"]

# The largest matrix of any CT is 2048 x 2048; the largest scan has some thousand slices.
_MOST_PIXELS, _MOST_FRAMES = 4096, 20_000
# A deflated header could unpack to anything.
_MOST_INFLATED, _CHUNK = 1 << 30, 1 << 20
_ORDERS: tuple[Literal["little", "big"], ...] = ("little", "big")
#: How many bytes at its start tell a DICOM file.
START = 132
# The transfer syntax stands within so many bytes of the start.
_META = 2048
# Lengths and angles of the directions of rows and columns may be off by rounding.
_UNIT = 5e-3


@dataclass(frozen=True, eq=False)
class Slice:
    """One slice of a CT, in a file of its own or a frame of an enhanced CT; its header holds all that is needed.

    Attributes:
        file, frame: where its pixels are; `frame` counts from 0, None for a file of one slice; `frames`: how many the
            file has.
        texts: `PERSON`, `SERIES`, scanner, frame of reference, and what may tell scans apart (`APART`), by keyword; "":
            absent.
        image_type: the parts of ImageType.
        rows, columns: size.
        position: of the first pixel's centre, LPS mm.
        along: unit vectors (LPS) along a row (three numbers) and down a column (three), at right angles.
        spacing: mm between rows, and between columns.
        thickness: mm; None where the header does not say.
        slope, intercept: HU = slope * stored + intercept.
        allocated, stored, signed: bits of a pixel, bits that are used (the lowest), and whether they are signed.
        padding: stored values (lowest, highest) that are no part of the image; None where none are named.
        syntax: transfer syntax; "" where the file does not say.
        little: whether pixels that are not compressed are little endian.
        instance: the number of the image in its series.
    """

    file: Path
    frame: int | None
    frames: int
    texts: Mapping[str, str]
    image_type: tuple[str, ...]
    rows: int
    columns: int
    position: tuple[float, ...]
    along: tuple[float, ...]
    spacing: tuple[float, ...]
    thickness: float | None
    slope: float
    intercept: float
    allocated: int
    stored: int
    signed: bool
    padding: tuple[int, int] | None
    syntax: str
    little: bool
    instance: int | None


@dataclass(frozen=True)
class Other:
    """An image or other object that is no slice of a CT, or one that lacks what a slice needs (`defective`), and
    why.
    """

    file: Path
    series: str
    instance: int | None
    reason: str
    defective: bool


class _Defect(ValueError):
    """What a header lacks, or holds in its place."""


class _NoSlice(ValueError):
    """What an image is instead of a slice of a CT."""


def is_dicom(path: Path) -> bool:
    """Whether a file starts as DICOM files do, with or without preamble; raises OSError where it cannot be read."""
    with path.open("rb") as file:
        return starts_as_dicom(file.read(START))


def starts_as_dicom(start: bytes) -> bool:
    """Whether these are the first `START` bytes of a DICOM file, with or without preamble."""
    return start[128:] == b"DICM" or _is_bare(start)


def _is_bare(start: bytes) -> bool:
    """Whether these are the first bytes of a data set without preamble: an element of group 2 or 8, short as these
    are.
    """
    for order in _ORDERS:
        group, element = int.from_bytes(start[:2], order), int.from_bytes(start[2:4], order)
        if group in (2, 8) and element < 0x100 and len(start) > 8:
            explicit, implicit = start[4:6], int.from_bytes(start[4:8], order)
            return explicit in (b"UL", b"CS", b"UI", b"DA", b"TM", b"OB", b"SH", b"LO") or implicit < 0x400
    return False


def read_slices(file: Path) -> tuple[Slice | Other, ...]:
    """What a DICOM file holds, a value for each frame; nothing for files that are no DICOM.

    Raises InputError for a file that is named as DICOM but cannot be read as such.
    """
    if file.name.upper() == "DICOMDIR" or file.name.startswith("."):
        return ()
    check_regular(file)
    if not is_dicom(file):
        return _damaged(file, "it does not start as DICOM does") if file.suffix.lower() in DICOM_ENDINGS else ()
    try:
        _check_deflated(file)
        header = pydicom.dcmread(file, defer_size=1024, force=True, specific_tags=_TAGS)
        if header.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
            return ()
        found, named = slices_of(header, file), bool(header.get("Modality")) or _is_of_another_class(header)
    except (InputError, MemoryError, PermissionError):
        raise
    except Exception as error:  # pydicom raises many kinds on damaged files
        _damaged(file, f"its header cannot be read: {type(error).__name__}", error)
    # pydicom takes a cut off header, even a cut off value, for a whole one: the pixels that follow are the proof.
    if "PixelData" not in header and (isinstance(found[0], Slice) or found[0].defective or not named):
        _damaged(file, "its pixels are missing")
    return found


def _is_of_another_class(header: pydicom.Dataset) -> bool:
    """Whether a header without a modality is that of a protocol, raw data or the like: its class is read to the end."""
    of_class = _class_of(header) if "SOPInstanceUID" in header else ""
    return of_class not in ("", _CT_CLASS, *_ENHANCED_CLASSES)


def _class_of(header: Any) -> str:
    """The SOP class; where the elements do not tell it, as the meta header before them does."""
    return _text(header, "SOPClassUID") or _text(getattr(header, "file_meta", None) or {}, "MediaStorageSOPClassUID")


def _damaged(file: Path, why: str, cause: BaseException | None = None) -> NoReturn:
    raise InputError(f"{file.name} is damaged or cut off ({why}); copy the series again.") from cause


def _check_deflated(file: Path) -> None:
    """Refuse a deflated file that would unpack to more than any CT; pydicom unpacks whatever comes."""
    with file.open("rb") as opened:
        if DeflatedExplicitVRLittleEndian.encode() not in opened.read(_META):
            return
        meta = pydicom.filereader.read_file_meta_info(file)
        opened.seek(132 + 12 + int(meta.FileMetaInformationGroupLength))
        inflater, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while content := opened.read(_CHUNK):
            while content:
                size += len(inflater.decompress(content, _CHUNK))
                content = inflater.unconsumed_tail
                if size > _MOST_INFLATED:
                    raise InputError(
                        f"{file.name} unpacks to more than {_MOST_INFLATED >> 20} MB; no CT slice does, leave it out."
                    )


def slices_of(header: pydicom.Dataset, file: Path) -> tuple[Slice | Other, ...]:
    """What a header describes, a value for each frame; what one of several frames lacks makes a defect of the whole
    file.
    """
    frames = [_described(view, file, frame) for frame, view in _views(header)]
    broken = next((one for one in frames if isinstance(one, Other) and one.defective), None)
    return (broken,) if broken else tuple(frames)


def _views(header: pydicom.Dataset) -> Iterator[tuple[int | None, Any]]:
    if _class_of(header) not in _ENHANCED_CLASSES:
        yield None, header
        return
    shared, frames = header.get(_FOR_ALL) or [pydicom.Dataset()], header.get(_PER_FRAME) or []
    for number, own in enumerate(frames[:_MOST_FRAMES]):
        yield number, _Frame(header, shared[0], own)
    if not frames:
        yield 0, header


class _Frame:
    """The header of one frame of an enhanced CT, as if it had a file of its own."""

    def __init__(self, header: pydicom.Dataset, shared: pydicom.Dataset, own: pydicom.Dataset) -> None:
        self.header, self.groups = header, (own, shared)
        self.file_meta, self.original_encoding = getattr(header, "file_meta", None), header.original_encoding

    def get(self, name: str, default: object = None) -> Any:
        name = _RENAMED.get(name, name)
        for group in self.groups if name in _GROUPS else ():
            items = group.get(_GROUPS[name])
            if items and name in items[0]:
                return items[0].get(name)
        return self.header.get(name, default)


def _described(header: Any, file: Path, frame: int | None) -> Slice | Other:
    series, instance = _text(header, "SeriesInstanceUID"), None
    try:
        instance = _whole(header, "InstanceNumber")
        _check_kind(header)
        return _slice(header, file, frame, instance)
    except _NoSlice as kind:
        return Other(file, series, instance, str(kind), defective=False)
    except _Defect as defect:
        return Other(file, series, instance, str(defect), defective=True)


def _check_kind(header: Any) -> None:
    modality, of_class = _text(header, "Modality"), _class_of(header)
    if modality.upper() != "CT":
        why = f"its modality is {modality}, not CT" if modality else "its modality is not given"
        raise _Defect(why) if of_class == _CT_CLASS else _NoSlice(why)
    if not of_class:
        raise _Defect("it does not say what it is, by a SOPClassUID")
    if of_class not in (_CT_CLASS, *_ENHANCED_CLASSES):
        raise _NoSlice("it is a secondary capture or other derived object, not CT slices")
    if of_class == _CT_CLASS and (_whole(header, "NumberOfFrames") or 1) > 1:
        raise _NoSlice(
            "it is a multi-frame image of a class that has one frame, which must be converted to single slices first"
        )
    picture = _text(header, "PhotometricInterpretation") or "MONOCHROME2"
    if picture.startswith(_COLOURS):
        raise _NoSlice("its pictures are in colour")
    if picture not in ("MONOCHROME1", "MONOCHROME2"):
        raise _Defect(f"its PhotometricInterpretation is {picture[:20]}")
    types = " ".join(part.upper() for part in _parts(header, "ImageType"))
    for name in _NOT_SLICES:
        if name in types:
            raise _NoSlice(f"its images are {name.lower()}, not slices")
    for name in _MAPS:
        if name in types:
            raise _NoSlice(f"its images are maps ({name.lower().strip('_')}), not HU")
    placed = any(_text(header, name) for name in ("ImagePositionPatient", "ImageOrientationPatient"))
    if not placed and types.startswith("DERIVED"):
        raise _NoSlice("its images were derived, as sheets of doses are, and have no place in the patient")


def _slice(header: Any, file: Path, frame: int | None, instance: int | None) -> Slice:
    rows, columns = (_bounded(header, name, 1, _MOST_PIXELS) for name in ("Rows", "Columns"))
    frames = 1 if frame is None else _whole(header, "NumberOfFrames") or 0
    if frame is not None and not 1 <= frames == len(header.get(_PER_FRAME) or ()) <= _MOST_FRAMES:
        raise _Defect("it is a multi-frame CT that does not describe each of its frames")
    down, across = _numbers(header, "PixelSpacing", 2)
    if min(down, across) < 0:
        raise _Defect(f"its PixelSpacing is negative ({down:g}, {across:g})")
    allocated, stored = _bits(header)
    syntax = str((getattr(header, "file_meta", None) or {}).get("TransferSyntaxUID") or "")
    if syntax and UID(syntax) not in AllTransferSyntaxes:
        raise _Defect(f"its transfer syntax is unknown: {syntax[:64]!r}")
    thickness = _number(header, "SliceThickness") or 0.0
    return Slice(
        file,
        frame,
        frames,
        {name: _text(header, name) for name in _TEXTS},
        tuple(part.upper() for part in _parts(header, "ImageType")),
        rows,
        columns,
        _numbers(header, "ImagePositionPatient", 3),
        _directions(header),
        (down, across),
        thickness if thickness > 0 else None,
        *_hu_scale(header),
        allocated,
        stored,
        _bounded(header, "PixelRepresentation", 0, 1) == 1,
        _padding(header, allocated, stored),
        syntax,
        header.original_encoding[1] is not False,
        instance,
    )


def _directions(header: Any) -> tuple[float, ...]:
    values = _numbers(header, "ImageOrientationPatient", 6)
    along = np.reshape(values, (2, 3))
    if np.abs(np.linalg.norm(along, axis=1) - 1).max() > _UNIT or abs(along[0] @ along[1]) > _UNIT:
        raise _Defect("its ImageOrientationPatient is not two unit vectors at right angles")
    return values


def _hu_scale(header: Any) -> tuple[float, float]:
    slope, intercept = _number(header, "RescaleSlope"), _number(header, "RescaleIntercept")
    if not slope or intercept is None:
        raise _Defect("it has no HU scale, rescale slope and intercept")
    unit = _text(header, "RescaleType")
    if unit.upper() not in _IN_HU:
        raise _Defect(f"its values are in {unit}, not HU")
    return slope, intercept


def _bits(header: Any) -> tuple[int, int]:
    """Bits of a pixel and how many of them, the lowest, are used."""
    allocated = _bounded(header, "BitsAllocated", 8, 32)
    if allocated not in (8, 16, 32):
        raise _Defect(f"its pixels have {allocated} bits; 8, 16 and 32 can be read")
    stored, high = _whole(header, "BitsStored"), _whole(header, "HighBit")
    stored = allocated if stored is None else stored
    if not 1 <= stored <= allocated or (high is not None and high != stored - 1):
        raise _Defect(f"its BitsStored {stored} and HighBit {high} do not fit together in {allocated} bits")
    if (_whole(header, "SamplesPerPixel") or 1) != 1:
        raise _Defect("its pixels have several samples")
    return allocated, stored


def _padding(header: Any, allocated: int, stored: int) -> tuple[int, int] | None:
    value, limit = _whole(header, "PixelPaddingValue"), _whole(header, "PixelPaddingRangeLimit")
    if value is None:
        return None
    ends = [value, value if limit is None else limit]
    if not all(-(1 << 31) <= end < 1 << 32 for end in ends):
        raise _Defect("its PixelPaddingValue is no value of a pixel")
    return min(ends), max(ends)


# ---------------------------------------------------------------- values of elements


def _items(header: Any, name: str) -> list[Any]:
    value = header.get(name)
    if value is None or (isinstance(value, (str, bytes)) and not value):
        return []
    return list(value) if isinstance(value, (list, tuple, pydicom.multival.MultiValue)) else [value]


def _parts(header: Any, name: str) -> list[str]:
    """The values of an element as text without anything that a terminal would obey."""
    texts = [item.decode("ascii", "replace") if isinstance(item, bytes) else str(item) for item in _items(header, name)]
    return ["".join(sign if sign.isprintable() else " " for sign in text).strip() for text in texts]


def _text(header: Any, name: str) -> str:
    return ", ".join(_parts(header, name))


def _numbers(header: Any, name: str, count: int) -> tuple[float, ...]:
    texts = [part for part in _parts(header, name) if part]
    if not texts:
        raise _Defect(f"its slices have no {name}")
    if len(texts) != count:
        raise _Defect(f"its {name} has {len(texts)} values in place of {count}")
    return tuple(_float(text, name) for text in texts)


def _float(text: str, name: str) -> float:
    try:
        # A comma alone can only be a decimal one: DICOM parts values with a backslash.
        value = float(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise _Defect(f"its {name} is no number ({text[:20]})")
    return value


def _number(header: Any, name: str) -> float | None:
    """The number in an element; None if it has none."""
    return _numbers(header, name, 1)[0] if any(_parts(header, name)) else None


def _whole(header: Any, name: str) -> int | None:
    value = _number(header, name)
    if value is not None and not value.is_integer():
        raise _Defect(f"its {name} is no whole number ({value:g})")
    return None if value is None else int(value)


def _bounded(header: Any, name: str, least: int, most: int) -> int:
    value = _whole(header, name)
    if value is None:
        raise _Defect(f"its slices have no {name}")
    if not least <= value <= most:
        raise _Defect(f"its {name} is {value}, which no CT has")
    return value
