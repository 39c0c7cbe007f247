"""Nodule cut-outs: a small CT around each nodule with every reader's outline, as a folder of NRRD pairs and a CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..ct import CT
from ..errors import InputError
from .images import read_ct_image, read_label_image

#: Two nodules lie so close that their readers were counted together: more than four "readers".
MOST_READERS = 4


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
        return np.unpackbits(self.readers[..., None], axis=-1).sum(-1, dtype=np.float32) / self.reader_count

    @property
    def consensus(self) -> np.ndarray:
        """Voxels outlined by at least half of the readers."""
        return self.share >= 0.5


def read_cutouts(folder: Path) -> list[Cutout]:
    """All cut-outs of a folder (`nodules.csv`, `NAME.ct.nrrd`, `NAME.readers.nrrd`) but those with merged readers."""
    table = folder / "nodules.csv"
    if not table.is_file():
        raise InputError(f"There is no nodules.csv in {folder}; give the folder of the nodule cut-outs.")
    with table.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["readers"]) <= MOST_READERS]
    return [read_cutout(folder, row) for row in rows]


_RATINGS = (
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


def read_cutout(folder: Path, row: Mapping[str, str]) -> Cutout:
    ct = read_ct_image(folder / f"{row['nodule']}.ct.nrrd")
    readers = read_label_image(folder / f"{row['nodule']}.readers.nrrd", ct)
    ratings = {name: float(row.get(name) or "nan") for name in _RATINGS}
    return Cutout(row["nodule"], row["patient"], ct, readers, int(row["readers"]), ratings)
