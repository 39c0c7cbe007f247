"""Chest CT: the value that every stage starts from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from ..errors import InputError
from .geometry import spacing_of, voxel_volume_of

#: A box of a CT's voxels: slice or slices, rows, columns.
Region = tuple[int | slice, slice, slice]

AIR_HU = -1024

# Voxels of any CT, from micro-CT's neighbours to thick slices far apart; and how far a table moves, mm.
_LEAST_MM, _MOST_MM, _FARTHEST_MM = 0.1, 20.0, 10_000.0
# Volume of a voxel as a share of the box that its edges would span at right angles.
_LEAST_VOLUME = 0.1


@dataclass(frozen=True, eq=False)
class CT:
    """A chest CT on its own grid.

    Attributes:
        hu: HU, int16, `[slice, row, column]` (k, j, i). Padding is air (-1024).
        ijk_to_ras: 4 x 4, maps voxel `(i, j, k, 1)` = (column, row, slice) to RAS millimetres; may be oblique or
            sheared.
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
        check_grid(self.ijk_to_ras)

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


def check_grid(ijk_to_ras: np.ndarray) -> None:
    """Raise InputError for a grid that no scanner makes."""
    if ijk_to_ras.shape != (4, 4) or not np.isfinite(ijk_to_ras).all():
        raise InputError("The CT's grid holds values that are no numbers; export the CT again.")
    spacing = np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    with np.errstate(all="ignore"):
        flat = not abs(np.linalg.det(ijk_to_ras[:3, :3] / spacing)) > _LEAST_VOLUME
    if flat:
        raise InputError("The CT's grid has no volume: two of its axes run the same way; export the CT again.")
    if spacing.min() < _LEAST_MM * (1 - 1e-6) or spacing.max() > _MOST_MM * (1 + 1e-6):
        size = " x ".join(f"{one:.4g}" for one in spacing)
        raise InputError(
            f"The CT's voxels are {size} mm, and no scanner makes them under {_LEAST_MM} or over {_MOST_MM:g} mm; "
            "export the CT again with its spacing in mm."
        )
    farthest = float(np.abs(ijk_to_ras[:3, 3]).max())
    if farthest > _FARTHEST_MM:
        raise InputError(
            f"The CT lies {farthest:.3g} mm from the scanner's zero, as no patient does; export the CT again."
        )


def fingerprint(hu: np.ndarray, ijk_to_ras: np.ndarray) -> str:
    """SHA-256 of voxels and grid: tells whether two inputs are the same without naming anybody."""
    digest = hashlib.sha256(np.ascontiguousarray(hu).data)
    digest.update(np.round(ijk_to_ras, 6).astype("<f8").tobytes())
    return digest.hexdigest()
