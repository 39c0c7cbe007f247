"""Reading a CT from DICOM files: choosing the series, checking and sorting its slices."""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from ..core.ct import CT, fingerprint
from ..errors import InputError
from .checks import grid_warnings, in_hu
from .dicom_headers import PERSON, SERIES, defect, kind, read_header
from .dicom_pixels import decoded

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
# Slices are axial when their normal lies this close to head-foot (cosine).
_AXIAL_COSINE = 0.8
# A series of fewer slices comes after longer ones, however thin.
_FEW = 10
# Orientation (cosines) and pixel spacing (mm) within one series may differ by rounding.
_SAME_PLANE = 1e-3
# Slices closer than this are the same slice twice.
_SAME_MM = 0.01
# Slice distances may stray by this share, and by the rounding of positions to a tenth of a millimetre.
_UNEVEN, _ROUNDING_MM = 0.1, 0.11
# A slice's corner may lie this far from the straight stack.
_ASTRAY_MM = 1.0


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
    def upward(self) -> np.ndarray:
        """Unit normal of the slices (LPS), along the patient axis it lies closest to: to the head where axial."""
        along = np.array(self.first.ImageOrientationPatient, float)
        normal = np.cross(along[:3], along[3:])
        return normal * np.sign(normal[np.argmax(np.abs(normal))])

    @property
    def axial(self) -> bool:
        return bool(abs(self.upward[2]) > _AXIAL_COSINE)

    @property
    def thickness(self) -> float | None:
        """Slice thickness in mm; None where the header does not say."""
        value = self.first.get("SliceThickness")
        return float(value) if value else None


def read(files: Sequence[Path], place: Path, wanted: str | None) -> CT:
    """The CT in these files; `place` is the folder or file that a person gave, `wanted` the series as `read_ct` says."""
    place = place.absolute()
    # Odd values that can be read all the same are no news to a reader of the CT.
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        series = _chosen(_by_series(files, place), place, wanted)
        ordered, corners = _sorted(series[0])
        values = decoded(ordered.files, ordered.headers)
    first, ijk_to_ras = ordered.first, _matrix(ordered, corners)
    hu, remarks = in_hu(values, place.name)
    if len(series) > 1:
        remarks = (f"Of {len(series)} CT series {ordered.name} was taken; choose another with its number.", *remarks)
    ct = CT(hu, ijk_to_ras, _instance_numbers(ordered), source=_source(first, hu, ijk_to_ras), identity=_identity(first, place))
    if _contrast(first) == "unknown":
        remarks = (*remarks, "Whether contrast was given is unknown: the header does not say.")
    if len(ordered.files) == 1 and ordered.thickness is None:
        remarks = (*remarks, "The thickness of the only slice is unknown: volumes take it for 1 mm.")
    return replace(ct, warnings=(*remarks, *grid_warnings(ijk_to_ras, ordered.thickness or 0.0)))


def _by_series(files: Sequence[Path], place: Path) -> list[_Series]:
    """CT series with image planes; refuses a folder that holds none, saying what it holds."""
    headers = [(file, header) for file in files if (header := read_header(file)) is not None]
    if not headers:
        raise InputError(f"{place.name} holds no DICOM file; give a folder with a CT series, or an image file.")
    slices = [(file, header) for file, header in headers if not kind(header)]
    whole = [(file, header) for file, header in slices if not defect(header)]
    if not whole:
        problems = ", ".join(dict.fromkeys(kind(header) or defect(header) for _, header in headers))
        raise InputError(f"{place.name} holds no CT that can be used ({problems}); give a CT series in HU.")
    uids = {header.SeriesInstanceUID for _, header in whole}
    for file, header in slices:
        if defect(header) and header.SeriesInstanceUID in uids:
            raise InputError(f"{file.name} is damaged or cut off ({defect(header)}); copy the series again.")
    groups: list[list[tuple[Path, pydicom.Dataset]]] = []
    for one in whole:
        group = next((group for group in groups if _same_plane(group[0][1], one[1])), None)
        if group is None:
            groups.append(group := [])
        group.append(one)
    return [_Series(*(tuple(part) for part in zip(*group, strict=True))) for group in groups]


def _same_plane(one: pydicom.Dataset, other: pydicom.Dataset) -> bool:
    """Whether two slices can belong to one stack: same series, matrix, orientation and pixel spacing."""
    names = ("SeriesInstanceUID", "Rows", "Columns")
    vectors = ("ImageOrientationPatient", "PixelSpacing")
    return all(one[name].value == other[name].value for name in names) and all(
        np.allclose(one[name].value, other[name].value, rtol=0, atol=_SAME_PLANE) for name in vectors
    )


def _chosen(series: list[_Series], place: Path, wanted: str | None) -> list[_Series]:
    """The CT series that fit, the one to read first: axial, not just a few slices, thin."""
    if wanted is not None:
        fitting = [one for one in series if _is(one, wanted)] or [one for one in series if _describes(one, wanted)]
        if not fitting:
            listed = "; ".join(one.name for one in series)
            raise InputError(f"No CT series in {place.name} fits {wanted!r}; give one of these: {listed}.")
        if len({one.first.SeriesInstanceUID for one in fitting}) > 1:
            listed = "; ".join(f"{one.name}, UID {one.first.SeriesInstanceUID}" for one in fitting)
            raise InputError(f"More than one CT series in {place.name} fits {wanted!r}; give the UID of one: {listed}.")
        series = fitting
    return sorted(series, key=lambda one: (not one.axial, len(one.files) < _FEW, one.thickness or np.inf, -len(one.files)))


def _is(series: _Series, wanted: str) -> bool:
    return wanted in (str(series.first.get(name, "")).strip() for name in SERIES)


def _describes(series: _Series, wanted: str) -> bool:
    return not wanted.isdigit() and wanted.lower() in str(series.first.get("SeriesDescription", "")).lower()


def _sorted(series: _Series) -> tuple[_Series, np.ndarray]:
    """The series from foot to head (where axial), and the corner of each slice as LPS mm `[slice, 3]`."""
    corners = np.array([header.ImagePositionPatient for header in series.headers], float)
    positions = corners @ series.upward
    order = np.argsort(positions, kind="stable")
    _check_even(positions[order])
    _check_straight(corners[order])
    return _Series(tuple(series.files[i] for i in order), tuple(series.headers[i] for i in order)), corners[order]


def _check_even(positions: np.ndarray) -> None:
    """Refuse duplicate, missing and unevenly placed slices, given their rising positions along the normal in mm."""
    gaps = np.diff(positions)
    if not len(gaps):
        return
    if (gaps < _SAME_MM).any():
        same = _few([f"{position:.1f}" for position in np.unique(positions[1:][gaps < _SAME_MM])])
        raise InputError(f"The CT has more than one slice at {same} mm; remove the duplicates or choose a series.")
    usual = float(np.quantile(gaps, 0.5, method="lower"))
    spans = [f"{a:.1f} and {b:.1f}" for a, b in itertools.pairwise(positions)]
    wide = [span for span, gap in zip(spans, gaps, strict=True) if gap > 1.5 * usual]
    if wide:
        raise InputError(f"Slices of the CT are missing between {_few(wide)} mm; export the whole series again.")
    allowed = max(_UNEVEN * usual, _ROUNDING_MM)
    uneven = [span for span, gap in zip(spans, gaps, strict=True) if abs(gap - usual) > allowed]
    if uneven:
        raise InputError(
            f"The CT's slices lie {usual:.2f} mm apart, but not between {_few(uneven)} mm; export them evenly spaced."
        )


def _check_straight(corners: np.ndarray) -> None:
    even = np.linspace(corners[0], corners[-1], len(corners))
    astray = float(np.linalg.norm(corners - even, axis=1).max())
    if astray > _ASTRAY_MM:
        raise InputError(f"The CT's slices lie up to {astray:.1f} mm off a straight stack; export them as one straight series.")


def _few(texts: list[str]) -> str:
    return ", ".join(texts[:5]) + (f" and {len(texts) - 5} more" if len(texts) > 5 else "")


def _matrix(series: _Series, corners: np.ndarray) -> np.ndarray:
    """Voxel (column, row, slice) to RAS; the slice step runs from the first slice's corner to the last's, tilt included."""
    along = np.array(series.first.ImageOrientationPatient, float)
    down, across = (float(value) for value in series.first.PixelSpacing)
    step = (corners[-1] - corners[0]) / (len(corners) - 1) if len(corners) > 1 else series.upward * (series.thickness or 1.0)
    lps = np.eye(4)
    lps[:3, :3] = np.column_stack([along[:3] * across, along[3:] * down, step])
    lps[:3, 3] = corners[0]
    return _LPS_TO_RAS @ lps


def _instance_numbers(series: _Series) -> tuple[int, ...] | None:
    numbers = [header.get("InstanceNumber") for header in series.headers]
    return None if None in numbers else tuple(int(number) for number in numbers)


def _contrast(header: pydicom.Dataset) -> str:
    agent = str(header.get("ContrastBolusAgent") or "").strip().lower()
    return "unknown" if not agent else "no" if agent in ("none", "no") else "yes"


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
    return {"path": str(place), **{name: str(first.get(name, "")) for name in (*PERSON, *SERIES)}}
