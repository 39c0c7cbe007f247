"""Whole scans with radiologists' outlines: a folder each with `ct.nrrd`, `readers.nrrd`, `consensus.nrrd`, `nodules.csv`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..ct import CT
from .images import read_ct_image, read_label_image
from .tables import read_rows

#: Nodules of fewer readers are neither right nor wrong.
REFERENCE_READERS = 3


@dataclass(frozen=True, eq=False)
class LabelledScan:
    """A whole CT in the axial view and its nodules.

    Attributes:
        reference: uint8 `[slice, row, column]`, the 50% consensus of nodules that at least three readers outlined, 1..N.
        doubtful: bool, voxels outlined by any reader outside those.
    """

    patient: str
    ct: CT
    reference: np.ndarray
    doubtful: np.ndarray


def read_scan(folder: Path) -> LabelledScan:
    """One scan; without outlines it has no nodule for any reader."""
    rows = read_rows(folder / "nodules.csv", "a labelled scan")
    ct = read_ct_image(folder / "ct.nrrd")
    if not rows:
        return LabelledScan(folder.name, ct, np.zeros(ct.hu.shape, np.uint8), np.zeros(ct.hu.shape, bool))
    consensus = read_label_image(folder / "consensus.nrrd", ct)
    sure = [int(row["label"]) for row in rows if int(row["readers"]) >= REFERENCE_READERS]
    reference = np.where(np.isin(consensus, sure), consensus, 0).astype(np.uint8)
    doubtful = (read_label_image(folder / "readers.nrrd", ct) > 0) & (reference == 0)
    return LabelledScan(folder.name, ct, reference, doubtful & ~near_reference(reference))


def near_reference(reference: np.ndarray) -> np.ndarray:
    """Within a few voxels of a reference nodule, where single readers drew their outline wider."""
    near = np.zeros(reference.shape, bool)
    for k, j, i in np.argwhere(reference > 0):
        near[max(k - 1, 0) : k + 2, max(j - 5, 0) : j + 6, max(i - 5, 0) : i + 6] = True
    return near
