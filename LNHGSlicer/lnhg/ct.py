"""Chest CT: the value that every stage starts from, and how it is read from disk."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from .errors import InputError
from .geometry import spacing_of, voxel_volume_of

#: A box of a CT's voxels: slice or slices, rows, columns.
Region = tuple[int | slice, slice, slice]

AIR_HU = -1024
_MOST_HU = 32767

# Values that span less are not HU: air and tissue lie 1000 apart, even fat and muscle 100.
_LEAST_SPAN_HU = 100
_LUNG_HU = -200

_TILT_DEGREES = 1.0
_THICK_MM = 5.0


@dataclass(frozen=True, eq=False)
class CT:
    """A chest CT on its own grid.

    Attributes:
        hu: HU, int16, `[slice, row, column]` (k, j, i). Padding is air (-1024).
        ijk_to_ras: 4 x 4, maps voxel `(i, j, k, 1)` = (column, row, slice) to RAS millimetres; may be oblique or sheared.
        instance_numbers: DICOM instance number of each slice k, where the CT came from DICOM.
        warnings: sentences on what a reader should know of this CT (gantry tilt, thick slices, ...).
        source: where it came from; free of a person's identity (format, scanner, contrast, SHA-256 of voxels and grid).
        identity: what may name a person (path, UIDs, patient); written to results only on request.
    """

    hu: np.ndarray
    ijk_to_ras: np.ndarray
    instance_numbers: tuple[int, ...] | None = None
    warnings: tuple[str, ...] = ()
    source: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    identity: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if self.hu.ndim != 3 or not self.hu.size:
            raise InputError(f"A CT needs three axes with voxels; this one has the shape {self.hu.shape}.")
        if self.ijk_to_ras.shape != (4, 4) or not abs(np.linalg.det(self.ijk_to_ras[:3, :3])) > 0:
            raise InputError("The CT's grid has no volume: two of its axes run the same way; export the CT again.")

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance of neighbouring voxels along (i, j, k) = (column, row, slice), mm."""
        return spacing_of(self.ijk_to_ras)

    @property
    def voxel_volume(self) -> float:
        """Volume of one voxel, mm3; right for sheared grids too."""
        return voxel_volume_of(self.ijk_to_ras)

    def to_ras(self, ijk: np.ndarray) -> np.ndarray:
        """Voxel positions `(..., 3)` as (i, j, k) to RAS millimetres."""
        return np.asarray(ijk, float) @ self.ijk_to_ras[:3, :3].T + self.ijk_to_ras[:3, 3]

    def to_ijk(self, ras: np.ndarray) -> np.ndarray:
        """RAS millimetres `(..., 3)` to (fractional) voxel positions (i, j, k)."""
        return (np.asarray(ras, float) - self.ijk_to_ras[:3, 3]) @ np.linalg.inv(self.ijk_to_ras[:3, :3]).T


def read_ct(path: str | Path, series: str | None = None) -> CT:
    """Read a chest CT from a folder of DICOM files, or from one DICOM, NRRD, MHA or NIfTI file.

    Args:
        path: the folder or file.
        series: which DICOM series, where there are several: its UID, its number, or part of its description. Without it
            the thin axial CT is taken and named in the warnings.

    Raises InputError, with a sentence on what to do, for anything that is no CT in HU on one regular grid.
    """
    from . import dicom_headers, dicom_series, image_file

    path = Path(path)
    try:
        if path.is_dir():
            return dicom_series.read(sorted(file for file in path.rglob("*") if file.is_file()), path, series)
        return dicom_series.read([path], path, series) if dicom_headers.is_dicom(path) else image_file.read(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{path} does not exist; give a DICOM folder or an image file.") from error
    except PermissionError as error:
        raise InputError(f"{error.filename} may not be read; ask for the right to read it.") from error


def in_hu(values: np.ndarray, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Values `[slice, row, column]` of a stored image as HU (int16, padding below -1024 made air), and warnings.

    Raises InputError where the values cannot be HU: not real numbers, not finite, none but padding below 0 (MR, PET,
    photographs, CT without its rescale), or spanning less than 100.
    """
    if values.dtype.kind not in "iuf":
        raise InputError(f"{name} holds no plain numbers ({values.dtype}); give a CT with one HU value a voxel.")
    if not np.isfinite(values).all():
        raise InputError(f"{name} holds values that are not finite numbers; export the CT again.")
    high = values.max()
    low = values.min(where=values >= AIR_HU, initial=high)
    if low >= 0 or float(high) - float(low) < _LEAST_SPAN_HU:
        raise InputError(
            f"{name} is not in HU (its values run from {values.min():g} to {high:g}); give a CT with its rescale applied."
        )
    hu = np.empty(values.shape, np.int16)
    for one, stored in zip(hu, values, strict=True):  # slice by slice: large CTs do not fit into memory thrice
        one[:] = np.clip(np.rint(stored), AIR_HU, _MOST_HU)
    warnings = () if low < _LUNG_HU else (f"No voxel lies below {_LUNG_HU} HU: there is no lung in this image.",)
    return hu, warnings


def grid_warnings(ijk_to_ras: np.ndarray, thickness: float = 0.0) -> tuple[str, ...]:
    """What a reader should know of a grid: sheared by a tilted gantry, slices thick (`thickness` mm, 0: unknown) or apart."""
    lengths = np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    directions = ijk_to_ras[:3, :3] / lengths
    cosines = np.abs(directions.T @ directions)[np.triu_indices(3, 1)]
    tilt = float(np.degrees(np.arcsin(np.clip(cosines.max(), 0, 1))))
    thick = max(float(lengths.max()), thickness)
    warnings = []
    if tilt > _TILT_DEGREES:
        warnings.append(f"The gantry was tilted by {tilt:.1f} degrees; results keep the tilted grid.")
    if thick > _THICK_MM + 1e-3:
        warnings.append(f"Slices are {thick:.3g} mm thick or apart: small nodules can be missed and volumes are rough.")
    return tuple(warnings)


def fingerprint(hu: np.ndarray, ijk_to_ras: np.ndarray) -> str:
    """SHA-256 of voxels and grid: tells whether two inputs are the same without naming anybody."""
    digest = hashlib.sha256(np.ascontiguousarray(hu).data)
    digest.update(np.round(ijk_to_ras, 6).astype("<f8").tobytes())
    return digest.hexdigest()
