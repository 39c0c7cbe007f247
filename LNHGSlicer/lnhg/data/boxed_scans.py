"""Whole scans whose tumours one radiologist marked with a box in each slice: a folder each with `ct.nrrd` and
`boxes.csv`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.ct import CT
from .images import read_ct_image
from .tables import read_rows

_COLUMNS = ("slice", "xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, eq=False)
class BoxedScan:
    """A CT in the axial view and its boxes: (slice, first column, first row, last column, last row)."""

    patient: str
    ct: CT
    boxes: tuple[tuple[float, ...], ...]

    def holds(self, ijk: np.ndarray) -> bool:
        """Whether a fractional voxel (i, j, k) lies in the box of its slice."""
        i, j, k = ijk
        return any(slice_ == round(k) and x0 <= i <= x1 and y0 <= j <= y1 for slice_, x0, y0, x1, y1 in self.boxes)


def read_boxed_scan(folder: Path) -> BoxedScan:
    """One scan with its boxes (columns slice, xmin, ymin, xmax, ymax; pixels from 0)."""
    rows = read_rows(folder / "boxes.csv", "a scan with boxes")
    boxes = tuple(tuple(float(row[name]) for name in _COLUMNS) for row in rows)
    return BoxedScan(folder.name, read_ct_image(folder / "ct.nrrd"), boxes)


def boxed_patients(data: Path) -> list[str]:
    """Of each scan in `lung_pet_ct_dx` its patient, after whom its folder is named."""
    return [table.parent.name for table in sorted(data.glob("lung_pet_ct_dx/*/boxes.csv"))]
