"""Nodule cut-outs: a small CT around each nodule with every reader's outline, as a folder of NRRD pairs and a CSV.

Cubes are cut-outs that show a nodule's true surroundings in all three directions, in slices of about 1 mm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.ct import CT
from ..core.geometry import equivalent_diameter
from .images import read_ct_image, read_label_image
from .tables import file_name, read_rows, whole_number

#: Two nodules lie so close that their readers were counted together: more than four "readers".
MOST_READERS = 4
#: The readers' mean ratings of a nodule, and its diameter, as the table's columns and `Cutout.ratings` call them.
RATINGS = (
    "malignancy",
    "texture",
    "Calcification",
    "InternalStructure",
    "Lobulation",
    "Margin",
    "Spiculation",
    "Subtlety",
    "diameter_mm",
)


#: The readers' mean texture (1 ground glass .. 5 solid) from which on a nodule is solid.
SOLID_TEXTURE = 4.0
# A cut-out at least this wide in all three directions shows the nodule's true surroundings; a cube does in slices so
# thin, mm.
_CUBE_MM, _CUBE_SLICE_MM = 50.0, 1.0
_BITS = np.array([value.bit_count() for value in range(256)], np.float32)


@dataclass(frozen=True, eq=False)
class Cutout:
    """One nodule in its surroundings.

    Attributes:
        name, patient: as in the table.
        ct: the cut-out CT, in the axial view.
        readers: uint8 `[slice, row, column]`, bit r set where reader r outlined the voxel.
        reader_count: how many readers outlined the nodule.
        ratings: the readers' mean ratings (malignancy, texture 1 = ground glass .. 5 = solid, ...); NaN where unknown.
    """

    name: str
    patient: str
    ct: CT
    readers: np.ndarray
    reader_count: int
    ratings: Mapping[str, float]

    @property
    def share(self) -> np.ndarray:
        """Share of the readers who outlined each voxel, float32 0..1."""
        return share_of_readers(self.readers, self.reader_count)

    @property
    def consensus(self) -> np.ndarray:
        """Voxels outlined by at least half of the readers."""
        return self.share >= 0.5

    @property
    def diameter(self) -> float:
        """Of the sphere of the same volume as the consensus, mm."""
        return equivalent_diameter(np.count_nonzero(self.consensus) * self.ct.voxel_volume)

    @property
    def cube(self) -> bool:
        """Whether it shows the nodule's true surroundings, 50 mm and more in the slices and along the body, in thin
        slices.
        """
        wide = np.min(np.multiply(self.ct.hu.shape[::-1], self.ct.spacing)) >= _CUBE_MM
        return bool(wide and self.ct.spacing[2] <= _CUBE_SLICE_MM)

    @property
    def subsolid(self) -> bool:
        """Whether the readers rate the nodule ground glass or part-solid; False where they do not rate it."""
        return self.ratings.get("texture", math.nan) < SOLID_TEXTURE


def share_of_readers(readers: np.ndarray, count: int) -> np.ndarray:
    """Share of `count` readers who outlined each voxel, float32 0..1; `readers` uint8, bit r set where reader r did."""
    return _BITS[readers] / count


def read_cutouts(folder: Path) -> list[Cutout]:
    """All cut-outs of a folder (`nodules.csv`, `NAME.ct.nrrd`, `NAME.readers.nrrd`) but those with merged readers."""
    rows = read_rows(folder / "nodules.csv", "the nodule cut-outs")
    return [
        read_cutout(folder, row) for row in rows if whole_number(row, "readers", "the nodule cut-outs") <= MOST_READERS
    ]


def read_cutout(folder: Path, row: Mapping[str, str]) -> Cutout:
    """The cut-out of one row of the folder's table; the ratings' columns may be written in lower case."""
    name = file_name(row, "nodule", "the nodule cut-outs")
    ct = read_ct_image(folder / f"{name}.ct.nrrd")
    readers = read_label_image(folder / f"{name}.readers.nrrd", ct)
    columns = {name.lower(): text for name, text in row.items()}
    ratings = {rating: float(columns.get(rating.lower()) or "nan") for rating in RATINGS}
    return Cutout(name, row["patient"], ct, readers, int(row["readers"]), ratings)
