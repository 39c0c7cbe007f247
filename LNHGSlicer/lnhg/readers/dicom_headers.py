"""Headers of DICOM files: which are slices of a CT, and whether they are whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom

from ..errors import InputError

_CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
_ENHANCED_CLASSES = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")

# What every slice needs, and how many values of it.
_NEEDED = {"ImageOrientationPatient": 6, "ImagePositionPatient": 3, "PixelSpacing": 2, "Rows": 1, "Columns": 1}
_NUMBERS = (*_NEEDED, "RescaleSlope", "RescaleIntercept", "SliceThickness", "InstanceNumber", "NumberOfFrames")
_HU_SCALE = ("RescaleSlope", "RescaleIntercept", "RescaleType")
_PADDING = ("PixelPaddingValue", "PixelPaddingRangeLimit", "PixelRepresentation", "BitsAllocated")
_IMAGE = ("SOPClassUID", "Modality", "ImageType", "NumberOfFrames", "PhotometricInterpretation", "InstanceNumber")
SERIES = ("SeriesInstanceUID", "SeriesNumber", "SeriesDescription")
_SCANNER = ("Manufacturer", "ConvolutionKernel", "SliceThickness", "KVP", "ContrastBolusAgent")
PERSON = ("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "StudyInstanceUID", "AccessionNumber")
_TAGS = [*_NEEDED, *_HU_SCALE, *_PADDING, *_IMAGE, *SERIES, *_SCANNER, *PERSON]

# Image types that are no slices though they are stored as CT.
_NOT_SLICES = ("LOCALIZER", "PROJECTION IMAGE", "MIP", "MINIP", "MAX_IP", "MIN_IP", "SCREEN SAVE", "DOSE_INFO")
# First bytes of DICOM files that lack the preamble.
_BARE = (b"\x08\x00\x00\x00", b"\x08\x00\x05\x00", b"\x08\x00\x08\x00", b"\x02\x00\x00\x00")


def is_dicom(path: Path) -> bool:
    """Whether a file starts as DICOM files do, with or without preamble; raises OSError where it cannot be read."""
    with path.open("rb") as file:
        start = file.read(132)
    return start[128:] == b"DICM" or start[:4] in _BARE


def read_header(file: Path) -> pydicom.Dataset | None:
    """The header of a DICOM image or other instance, its numbers readable; None for files that are no DICOM."""
    if file.name.upper() == "DICOMDIR" or file.name.startswith("."):
        return None
    if not is_dicom(file):
        return _unreadable(file) if file.suffix.lower() in (".dcm", ".dicom", ".ima") else None
    try:
        header = pydicom.dcmread(file, defer_size=1024, force=True, specific_tags=[*_TAGS, "PixelData"])
        for name in _NUMBERS:
            np.array(header.get(name) or 0, float)
    except Exception:  # pydicom raises many kinds on damaged files
        return _unreadable(file)
    # pydicom takes a cut off header, even a cut off value, for a whole one: the pixels that follow are the proof.
    cut_off = not header.get("SeriesInstanceUID") or (header.get("SOPClassUID") == _CT_CLASS and "PixelData" not in header)
    return _unreadable(file) if cut_off else header


def _unreadable(file: Path) -> pydicom.Dataset:
    raise InputError(f"{file.name} is damaged or cut off; copy the series again.")


def kind(header: pydicom.Dataset) -> str:
    """What an instance is, if no slice of a CT; empty if it is one."""
    modality = header.get("Modality")
    if modality != "CT":
        return f"its modality is {modality or 'not given'}, not CT"
    if header.get("SOPClassUID") in _ENHANCED_CLASSES or int(header.get("NumberOfFrames") or 1) > 1:
        return "it is a multi-frame CT, which must be converted to single slices first"
    if header.get("SOPClassUID") != _CT_CLASS:
        return "it is a secondary capture or other derived object, not CT slices"
    if not header.get("PhotometricInterpretation", "MONOCHROME").startswith("MONOCHROME"):
        return "its pictures are in colour"
    types = str(header.get("ImageType") or "").upper()
    return next((f"its images are {name.lower()}, not slices" for name in _NOT_SLICES if name in types), "")


def defect(header: pydicom.Dataset) -> str:
    """What a slice of a CT lacks; empty if nothing."""
    for name, count in _NEEDED.items():
        if np.size(header.get(name) or ()) != count:
            return f"its slices have no {name}"
    if not header.get("RescaleSlope") or header.get("RescaleIntercept") is None:
        return "it has no HU scale, rescale slope and intercept"
    if (header.get("RescaleType") or "HU") not in ("HU", "US"):
        return f"its values are in {header.RescaleType}, not HU"
    return ""
