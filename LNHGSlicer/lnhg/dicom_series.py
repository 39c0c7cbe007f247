"""Reading a CT from DICOM files: choosing the series, checking its slices, decoding them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.errors import InvalidDicomError

from .ct import AIR_HU, CT, fingerprint, in_hu
from .errors import InputError

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_CT_CLASSES = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.2")
_ENHANCED_CLASSES = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
_NEEDED = ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "Rows", "Columns")

# Slices are axial when their normal lies this close to head-foot (cosine).
_AXIAL_COSINE = 0.8
_TILT_DEGREES = 1.0
_THICK_MM = 5.0
# Positions may stray from even spacing by this share of it; more is a missing slice or one too many.
_UNEVEN = 0.1


@dataclass(frozen=True, eq=False)
class _Series:
    """Files of one series on one plane, size and orientation, with their headers."""

    files: tuple[Path, ...]
    headers: tuple[pydicom.Dataset, ...]

    @property
    def first(self) -> pydicom.Dataset:
        return self.headers[0]

    @property
    def name(self) -> str:
        number, text = self.first.get("SeriesNumber"), str(self.first.get("SeriesDescription", "")).strip()
        return f"series {number} ({text or 'no description'}, {len(self.files)} slices)"

    @property
    def normal(self) -> np.ndarray:
        along = np.array(self.first.ImageOrientationPatient, float)
        return np.cross(along[:3], along[3:])

    @property
    def axial(self) -> bool:
        return bool(abs(self.normal[2]) > _AXIAL_COSINE)

    @property
    def thickness(self) -> float:
        return float(self.first.get("SliceThickness") or np.inf)


def is_dicom(path: Path) -> bool:
    """Whether a file starts as DICOM files do."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def read(files: Sequence[Path], place: Path, wanted: str | None) -> CT:
    """The CT in these files; `place` is the folder or file that a person gave."""
    series = _chosen(_by_series(files, place), place, wanted)
    chosen, others = series[0], series[1:]
    ordered, positions = _sorted(chosen)
    ijk_to_ras = _matrix(ordered, positions)
    hu, warnings = in_hu(_decoded(ordered), place.name)
    if others:
        warnings = (f"Of {len(series)} CT series {chosen.name} was taken; choose another with its number.", *warnings)
    return CT(
        hu,
        ijk_to_ras,
        tuple(int(header.get("InstanceNumber") or 0) for header in ordered.headers),
        (*warnings, *_warnings(ordered.first, ijk_to_ras)),
        _source(ordered.first, hu, ijk_to_ras),
        _identity(ordered.first, place),
    )


def _by_series(files: Sequence[Path], place: Path) -> list[_Series]:
    """CT series with image planes; refuses a folder that holds none, saying what it holds."""
    groups: dict[tuple, list[tuple[Path, pydicom.Dataset]]] = {}
    refused: list[str] = []
    seen = False
    for file in files:
        header = _header(file)
        if header is None:
            continue
        seen = True
        problem = _problem(header)
        if problem:
            refused.append(problem)
            continue
        orientation = tuple(np.round(np.array(header.ImageOrientationPatient, float), 3))
        key = (header.SeriesInstanceUID, orientation, header.Rows, header.Columns)
        groups.setdefault(key, []).append((file, header))
    if not seen:
        raise InputError(f"{place.name} holds no DICOM file; give a folder with a CT series, or an image file.")
    if not groups:
        raise InputError(f"{place.name} holds no CT that can be used: {refused[0]}; give a CT series in HU.")
    return [_Series(*(tuple(part) for part in zip(*group, strict=True))) for group in groups.values()]


def _header(file: Path) -> pydicom.Dataset | None:
    """The header of a DICOM image or other instance; None for files that are no DICOM."""
    if file.name == "DICOMDIR" or not is_dicom(file):
        return None
    try:
        header = pydicom.dcmread(file, stop_before_pixels=True)
        return header if "SeriesInstanceUID" in header else _unreadable(file)
    except (InvalidDicomError, OSError, EOFError, ValueError, AttributeError):
        return _unreadable(file)


def _unreadable(file: Path) -> pydicom.Dataset:
    raise InputError(f"{file.name} is damaged or cut off; copy the series again.")


def _problem(header: pydicom.Dataset) -> str:
    """Why an instance is no slice of a CT; empty if it is one."""
    modality = header.get("Modality", "")
    if modality != "CT":
        return f"its modality is {modality or 'not given'}, not CT"
    if header.SOPClassUID in _ENHANCED_CLASSES or int(header.get("NumberOfFrames") or 1) > 1:
        return "it is a multi-frame CT, which is not supported (convert it to single slices)"
    if header.SOPClassUID not in _CT_CLASSES:
        return "it is a secondary capture or other derived object, not CT slices"
    if not str(header.get("PhotometricInterpretation", "")).startswith("MONOCHROME"):
        return "its pictures are in colour"
    if "LOCALIZER" in header.get("ImageType", []):
        return "it is a localizer"
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        return f"its slices have no {missing[0]}"
    if "RescaleSlope" not in header or "RescaleIntercept" not in header:
        return "it has no HU scale (rescale slope and intercept)"
    if header.get("RescaleType", "HU") not in ("HU", "US", ""):
        return f"its values are in {header.RescaleType}, not HU"
    return ""


def _chosen(series: list[_Series], place: Path, wanted: str | None) -> list[_Series]:
    """All CT series, the one to read first."""
    listed = "; ".join(one.name for one in series)
    if wanted is not None:
        matching = [one for one in series if _matches(one, wanted)]
        if len({one.first.SeriesInstanceUID for one in matching}) != 1:
            count = "No" if not matching else "More than one"
            raise InputError(f"{count} CT series in {place.name} fits {wanted!r}; there are: {listed}.")
        return [max(matching, key=lambda one: len(one.files))]
    return sorted(series, key=lambda one: (not one.axial, len(one.files) < 10, one.thickness, -len(one.files)))


def _matches(series: _Series, wanted: str) -> bool:
    first = series.first
    exact = wanted in (str(first.SeriesInstanceUID), str(first.get("SeriesNumber")))
    return exact or (not wanted.isdigit() and wanted.lower() in str(first.get("SeriesDescription", "")).lower())


def _sorted(series: _Series) -> tuple[_Series, np.ndarray]:
    """The series by position along its normal, from foot to head where axial, and the positions in mm."""
    normal = series.normal
    up = normal * (np.sign(normal[np.argmax(np.abs(normal))]) or 1)
    positions = np.array([np.dot(up, np.array(header.ImagePositionPatient, float)) for header in series.headers])
    order = np.argsort(positions, kind="stable")
    positions = positions[order]
    gaps = np.diff(positions)
    if len(gaps):
        usual = float(np.median(gaps))
        same = positions[:-1][gaps < max(1e-3, _UNEVEN * usual)]
        if len(same):
            raise InputError(f"The CT has more than one slice at {_mm(same)}; remove the duplicates or choose a series.")
        wide = [f"between {a:.1f} and {b:.1f} mm" for a, b, gap in zip(positions, positions[1:], gaps, strict=False)
                if gap > (1 + _UNEVEN) * usual]
        if wide:
            raise InputError(f"Slices of the CT are missing {', '.join(wide[:5])}; export the whole series again.")
    return _Series(tuple(series.files[i] for i in order), tuple(series.headers[i] for i in order)), positions


def _mm(positions: np.ndarray) -> str:
    return ", ".join(f"{position:.1f} mm" for position in positions[:5])


def _matrix(series: _Series, positions: np.ndarray) -> np.ndarray:
    """Voxel (column, row, slice) to RAS; the slice step runs from the first slice's corner to the last's, tilt included."""
    first, last = series.headers[0], series.headers[-1]
    along = np.array(first.ImageOrientationPatient, float)
    down, across = (float(value) for value in first.PixelSpacing)
    origin = np.array(first.ImagePositionPatient, float)
    if len(positions) > 1:
        step = (np.array(last.ImagePositionPatient, float) - origin) / (len(positions) - 1)
    else:
        thickness = float(first.get("SliceThickness") or 1.0)
        step = series.normal * (np.sign(series.normal[np.argmax(np.abs(series.normal))]) or 1) * thickness
    lps = np.eye(4)
    lps[:3, :3] = np.column_stack([along[:3] * across, along[3:] * down, step])
    lps[:3, 3] = origin
    return _LPS_TO_RAS @ lps


def _decoded(series: _Series) -> np.ndarray:
    """Slices `[slice, row, column]` with rescale applied; padding is air. Every transfer syntax that GDCM or pydicom decodes."""
    slices = np.empty((len(series.files), series.first.Rows, series.first.Columns), np.float32)
    for image, file, header in zip(slices, series.files, series.headers, strict=True):
        stored = _stored_values(file)
        if stored.shape != image.shape:
            raise InputError(f"{file.name} is damaged or cut off; copy the series again.")
        image[:] = stored * float(header.RescaleSlope) + float(header.RescaleIntercept)
        padding = _padding(header, stored)
        if padding is not None:
            image[padding] = AIR_HU
    return slices


def _stored_values(file: Path) -> np.ndarray:
    try:
        return pydicom.dcmread(file).pixel_array
    except Exception:
        return _through_gdcm(file)


def _through_gdcm(file: Path) -> np.ndarray:
    """Stored values of a syntax that pydicom has no decoder for here; the rescale that GDCM applies is taken back."""
    header = pydicom.dcmread(file, stop_before_pixels=True)
    try:
        values = sitk.GetArrayFromImage(sitk.ReadImage(str(file), sitk.sitkFloat64, "GDCMImageIO"))[0]
    except RuntimeError as error:
        raise InputError(f"{file.name} is damaged, cut off or in an unknown compression; copy the series again.") from error
    return np.rint((values - float(header.RescaleIntercept)) / float(header.RescaleSlope))


def _padding(header: pydicom.Dataset, stored: np.ndarray) -> np.ndarray | None:
    """Pixels that the header names as padding, by a value or a range."""
    value = header.get("PixelPaddingValue")
    if value is None:
        return None
    limit = header.get("PixelPaddingRangeLimit", value)
    return (stored >= min(value, limit)) & (stored <= max(value, limit))


def _warnings(first: pydicom.Dataset, ijk_to_ras: np.ndarray) -> list[str]:
    warnings = []
    i, j, k = (ijk_to_ras[:3, axis] / np.linalg.norm(ijk_to_ras[:3, axis]) for axis in range(3))
    tilt = float(np.degrees(np.arccos(np.clip(abs(np.dot(np.cross(i, j), k)), 0, 1))))
    if tilt > _TILT_DEGREES:
        warnings.append(f"The gantry was tilted by {tilt:.1f} degrees; results keep the tilted grid.")
    spacing = float(np.linalg.norm(ijk_to_ras[:3, 2]))
    thick = max(spacing, float(first.get("SliceThickness") or 0))
    if thick > _THICK_MM:
        warnings.append(f"Slices are {thick:g} mm thick or apart: small nodules can be missed and volumes are rough.")
    if _contrast(first) == "unknown":
        warnings.append("Whether contrast was given is unknown: the header does not say.")
    return warnings


def _contrast(header: pydicom.Dataset) -> str:
    if "ContrastBolusAgent" not in header:
        return "unknown"
    return "yes" if str(header.ContrastBolusAgent).strip().lower() not in ("", "none", "no") else "no"


def _source(first: pydicom.Dataset, hu: np.ndarray, ijk_to_ras: np.ndarray) -> dict[str, Any]:
    def text(name: str) -> str:
        return str(first.get(name, "")).strip()

    return {
        "format": "dicom",
        "matrix": list(hu.shape[::-1]),
        "manufacturer": text("Manufacturer"),
        "kernel": re.sub(r"[\[\]']", "", text("ConvolutionKernel")),
        "slice_thickness_mm": text("SliceThickness"),
        "kvp": text("KVP"),
        "contrast": _contrast(first),
        "sha256": fingerprint(hu, ijk_to_ras),
    }


def _identity(first: pydicom.Dataset, place: Path) -> dict[str, str]:
    names = (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "StudyDate",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "SeriesDescription",
        "AccessionNumber",
    )
    return {"path": str(place.absolute()), **{name: str(first.get(name, "")) for name in names}}
