"""Places in scans that no reader searched for nodules and that look like one: they are never shown as background.

A detector was sure or nearly sure of them (see docs/decisions.md), and to the eye they are, or may be, nodules. In
QIN-LSC-0003 the first is the cancer, which nobody outlined.
"""

from __future__ import annotations

import numpy as np

from ..core.ct import CT

# By patient: voxel (i, j, k) and radius in mm.
_LOOKED_LIKE_NODULES = {
    "LungFCP-01-0001": (((183, 286, 61), 15.0), ((344, 283, 66), 18.0)),
    "4D-Lung-113_HM10395": (((366, 300, 59), 8.0), ((188, 311, 43), 15.0)),
    "QIN-LSC-0003": (((160, 234, 88), 18.0), ((458, 188, 40), 8.0), ((46, 157, 46), 8.0), ((52, 219, 55), 10.0)),
    "QIN-LSC-0064": (
        ((94, 325, 51), 8.0),
        ((126, 326, 33), 12.0),
        ((71, 304, 32), 12.0),
        ((107, 361, 38), 10.0),
        ((141, 377, 30), 18.0),
    ),
    "QIN-LUNG-01-0013": (((81, 229, 64), 7.0),),
}


def likely_nodules(patient: str, ct: CT) -> np.ndarray:
    """Bool `[slice, row, column]`: where a scan of this patient shows what may be a nodule that nobody labelled."""
    likely = np.zeros(ct.hu.shape, bool)
    for voxel, radius in _LOOKED_LIKE_NODULES.get(patient, ()):
        likely |= _ball(ct, voxel, radius)
    return likely


def _ball(ct: CT, voxel: tuple[int, int, int], radius_mm: float) -> np.ndarray:
    """The voxels within `radius_mm` of a voxel (i, j, k)."""
    axes = (
        (np.arange(size) - place) * mm
        for size, place, mm in zip(ct.hu.shape, voxel[::-1], ct.spacing[::-1], strict=True)
    )
    k, j, i = np.meshgrid(*axes, indexing="ij", sparse=True)
    return k**2 + j**2 + i**2 <= radius_mm**2
