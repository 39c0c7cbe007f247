"""Whole scans with outlined nodules: a folder each with `ct.nrrd`, `nodules.csv` and, where there is a nodule,
outlines.

Of radiologists (`readers.nrrd` and `consensus.nrrd`; the table counts `readers`), who marked every nodule; or of
algorithms (`algorithms.nrrd`, `consensus.nrrd`; the table counts `segmentations`) that outlined one cancer, so that
others may be in view.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.ct import CT
from ..errors import InputError
from .images import read_ct_image, read_label_image
from .likely_nodules import likely_nodules
from .tables import read_columns, read_rows

#: Nodules of fewer readers are neither right nor wrong.
REFERENCE_READERS = 3
#: Outlines of so many of the nine algorithms make a nodule certain.
REFERENCE_ALGORITHMS = 5


@dataclass(frozen=True, eq=False)
class LabelledScan:
    """A whole CT in the axial view and its nodules.

    Attributes:
        reference: uint8 `[slice, row, column]`, the 50% consensus of nodules that at least three readers (five
            algorithms) outlined, 1..N.
        doubtful: bool, voxels outlined by any reader outside those, and places that look like nodules nobody marked.
        complete: whether readers marked every nodule; else a detection elsewhere is neither right nor wrong.
    """

    patient: str
    ct: CT
    reference: np.ndarray
    doubtful: np.ndarray
    complete: bool = True


def read_scan(folder: Path) -> LabelledScan:
    """One scan; without outlines it has no nodule that is known."""
    by = outliners_of(folder)
    rows = read_rows(folder / "nodules.csv", "a labelled scan")
    ct = read_ct_image(folder / "ct.nrrd")
    reference, doubtful = np.zeros(ct.hu.shape, np.uint8), np.zeros(ct.hu.shape, bool)
    if rows:
        consensus = read_label_image(folder / "consensus.nrrd", ct)
        sure = [int(row["label"]) for row in rows if int(row[by.counted]) >= by.enough]
        reference[:] = np.where(np.isin(consensus, sure), consensus, 0)
        if by.complete:
            doubtful = (read_label_image(folder / by.file, ct) > 0) & (reference == 0)
            doubtful &= ~near_reference(reference)
    if not by.complete:  # algorithms outlined one nodule: where they differ is its margin
        doubtful = likely_nodules(folder.name, ct)
    return LabelledScan(folder.name, ct, reference, doubtful, by.complete)


@dataclass(frozen=True)
class Outliners:
    """Who outlined the nodules of a scan.

    Attributes:
        file: of their outlines, bit n set where the nth outlined the voxel.
        counted: the table's column that says how many outlined a nodule.
        enough: so many make it certain.
        complete: whether they looked for every nodule.
    """

    file: str
    counted: str
    enough: int
    complete: bool


READERS = Outliners("readers.nrrd", "readers", REFERENCE_READERS, complete=True)
ALGORITHMS = Outliners("algorithms.nrrd", "segmentations", REFERENCE_ALGORITHMS, complete=False)


def outliners_of(folder: Path) -> Outliners:
    """Who outlined the nodules of the labelled scan in a folder, by the columns of its table."""
    columns = read_columns(folder / "nodules.csv", "a labelled scan")
    for one in (READERS, ALGORITHMS):
        if one.counted in columns:
            return one
    raise InputError(
        f"nodules.csv in {folder.name} does not say how many outlined a nodule; add a column readers or segmentations."
    )


def near_reference(reference: np.ndarray) -> np.ndarray:
    """Within a few voxels of a reference nodule, where single readers drew their outline wider."""
    near = np.zeros(reference.shape, bool)
    for k, j, i in np.argwhere(reference > 0):
        near[max(k - 1, 0) : k + 2, max(j - 5, 0) : j + 6, max(i - 5, 0) : i + 6] = True
    return near
