"""Whole chest scans in which no readers looked for nodules: a folder each with `ct.nrrd` and, where known, `tumour.nrrd`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..ct import CT
from .images import read_ct_image, read_label_image
from .scans import LabelledScan
from .splits import list_of

# Finds in these scans that look like nodules: voxel (i, j, k) and radius in mm. Never shown as background.
_LOOKED_LIKE_NODULES = {
    "LungFCP-01-0001": (((183, 286, 61), 15.0), ((344, 283, 66), 18.0)),
    "4D-Lung-113_HM10395": (((366, 300, 59), 8.0), ((188, 311, 43), 15.0)),
}


def unread_scans_of(data: Path, patients: str) -> Iterator[LabelledScan]:
    """The scans in `chest_scans` of one list of patients, read one after the other; none where there is no such folder."""
    for folder in sorted(data.glob("chest_scans/*")):
        if (folder / "ct.nrrd").is_file() and list_of(folder.name) == patients:
            yield _read_scan(folder)


def _read_scan(folder: Path) -> LabelledScan:
    """No reference; a tumour outlined for radiotherapy takes in more than itself, so it is doubtful."""
    ct = read_ct_image(folder / "ct.nrrd")
    tumour = folder / "tumour.nrrd"
    doubtful = read_label_image(tumour, ct) > 0 if tumour.is_file() else np.zeros(ct.hu.shape, bool)
    for voxel, radius in _LOOKED_LIKE_NODULES.get(folder.name, ()):
        doubtful |= _ball(ct, voxel, radius)
    return LabelledScan(folder.name, ct, np.zeros(ct.hu.shape, np.uint8), doubtful)


def _ball(ct: CT, voxel: tuple[int, int, int], radius_mm: float) -> np.ndarray:
    """The voxels within `radius_mm` of a voxel (i, j, k)."""
    axes = ((np.arange(size) - place) * mm for size, place, mm in zip(ct.hu.shape, voxel[::-1], ct.spacing[::-1], strict=True))
    k, j, i = np.meshgrid(*axes, indexing="ij", sparse=True)
    return k**2 + j**2 + i**2 <= radius_mm**2
