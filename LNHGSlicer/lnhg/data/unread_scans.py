"""Whole chest scans in which no readers looked for nodules: a folder each with `ct.nrrd` and, where known,
`tumour.nrrd`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .images import read_ct_image, read_label_image
from .likely_nodules import likely_nodules
from .scans import LabelledScan
from .splits import list_of


def unread_scans_of(data: Path, patients: str) -> Iterator[LabelledScan]:
    """The scans in `chest_scans` of one list of patients, read one after the other; none where there is no such
    folder.
    """
    for patient in unread_patients(data):
        if list_of(patient) == patients:
            yield _read_scan(data / "chest_scans" / patient)


def unread_patients(data: Path) -> list[str]:
    """Of each scan in `chest_scans` its patient, after whom its folder is named."""
    return [ct.parent.name for ct in sorted(data.glob("chest_scans/*/ct.nrrd"))]


def _read_scan(folder: Path) -> LabelledScan:
    """No reference; a tumour outlined for radiotherapy takes in more than itself, so it is doubtful."""
    ct = read_ct_image(folder / "ct.nrrd")
    tumour = folder / "tumour.nrrd"
    doubtful = read_label_image(tumour, ct) > 0 if tumour.is_file() else np.zeros(ct.hu.shape, bool)
    doubtful |= likely_nodules(folder.name, ct)
    return LabelledScan(folder.name, ct, np.zeros(ct.hu.shape, np.uint8), doubtful, complete=False)
