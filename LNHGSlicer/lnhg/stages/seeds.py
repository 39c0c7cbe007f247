"""Seeds: points at which a person wants a nodule segmented, as candidates."""

from __future__ import annotations

import numpy as np

from ..core.candidate import Candidate
from ..core.ct import CT
from ..errors import InputError

# A seed's boxes: within this distance, mm, the generator is run for it.
_SEED_MM = 5.0
# Places beyond are told by their size alone, mm.
_FAR_MM = 1e6


def seed_candidate(ct: CT, ras: np.ndarray) -> Candidate:
    """The candidate at a RAS point (mm) of a CT in the axial view.

    Raises InputError for what is no point, or lies outside the CT.
    """
    if ras.shape != (3,) or not np.isfinite(ras).all():
        raise InputError(f"Seed {ras.tolist()} is no point; give three numbers R,A,S in mm.")
    ijk = np.round(ct.to_ijk(ras))
    if (ijk < 0).any() or (ijk >= ct.hu.shape[::-1]).any():
        raise InputError(f"Seed {point_text(ras)} lies outside the CT; give RAS millimetres inside it.")
    i, j, k = (int(index) for index in ijk)
    x, y, z = (_SEED_MM / spacing for spacing in ct.spacing)
    slices = range(max(0, int(np.ceil(k - z))), min(len(ct.hu) - 1, int(k + z)) + 1)
    return Candidate(dict.fromkeys(slices, (i + 0.5 - x, j + 0.5 - y, i + 0.5 + x, j + 0.5 + y)), 1.0, (i, j, k))


def point_text(ras: np.ndarray) -> str:
    """A RAS point as a person reads it."""
    return ",".join(f"{value:.1f}" if abs(value) < _FAR_MM else f"{value:g}" for value in ras)
