"""Chest CT: the value that every stage starts from, and how it is read from disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np


@dataclass(frozen=True, eq=False)
class CT:
    """A chest CT on its own grid.

    Attributes:
        hu: HU, int16, `[slice, row, column]` (k, j, i). Padding is air (-1024).
        ijk_to_ras: 4 x 4, maps voxel `(i, j, k, 1)` = (column, row, slice) to RAS millimetres; may be oblique or sheared.
        instance_numbers: DICOM instance number of each slice k, where the CT came from DICOM.
        warnings: sentences on what a reader should know of this CT (gantry tilt, thick slices, ...).
        source: where it came from; free of a person's identity (format, series description, contrast, SHA-256 of voxels).
        identity: what may name a person (path, UIDs, patient); written to results only on request.
    """

    hu: np.ndarray
    ijk_to_ras: np.ndarray
    instance_numbers: tuple[int, ...] | None = None
    warnings: tuple[str, ...] = ()
    source: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    identity: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance of neighbouring voxels along (i, j, k) = (column, row, slice), mm."""
        i, j, k = np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)
        return float(i), float(j), float(k)

    @property
    def voxel_volume(self) -> float:
        """Volume of one voxel, mm3; right for sheared grids too."""
        return float(abs(np.linalg.det(self.ijk_to_ras[:3, :3])))

    def to_ras(self, ijk: np.ndarray) -> np.ndarray:
        """Voxel positions `(..., 3)` as (i, j, k) to RAS millimetres."""
        return np.asarray(ijk, float) @ self.ijk_to_ras[:3, :3].T + self.ijk_to_ras[:3, 3]

    def to_ijk(self, ras: np.ndarray) -> np.ndarray:
        """RAS millimetres `(..., 3)` to (fractional) voxel positions (i, j, k)."""
        return (np.asarray(ras, float) - self.ijk_to_ras[:3, 3]) @ np.linalg.inv(self.ijk_to_ras[:3, :3]).T
