"""Regions: the part of a CT in which nodules are wanted, and which nodules are centred in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ..core.ct import CT
from ..errors import InputError
from ..options import Options
from .fusion import SEEDED, Nodules, only


def wanted_region(ct: CT, options: Options) -> np.ndarray | None:
    """Voxels `[slice, row, column]` of the CT as stored inside the box and the slices asked for; None if neither was.

    Raises InputError for a region that holds no voxel of the CT.
    """
    if options.roi is None and options.slices is None:
        return None
    inside = np.ones(ct.hu.shape, bool)
    if options.slices is not None:
        first, last = options.slices
        if first >= len(inside):
            raise InputError(f"The CT has slices 0 to {len(inside) - 1}; slice range {first}-{last} lies outside.")
        inside[:first], inside[last + 1 :] = False, False
    if options.roi is not None:
        inside &= _inside_box(ct, options.roi)
        if not inside.any():
            raise InputError(
                "The region holds no voxel of the CT (or of its slices asked for); give other RAS bounds (mm)."
            )
    return inside


def holds(region: np.ndarray, kji: np.ndarray) -> bool:
    """Whether a position (slice, row, column), cut to the array, lies in the region."""
    last = np.array(region.shape) - 1
    return bool(region[tuple(np.clip(np.round(kji).astype(int), 0, last))])


def only_in(nodules: Nodules, region: np.ndarray) -> Nodules:
    """The nodules that are centred in the region, or were pointed at."""
    return only(nodules, [_wanted(nodules, label, region) for label in range(1, len(nodules.statuses) + 1)])


def _wanted(nodules: Nodules, label: int, region: np.ndarray) -> bool:
    centre = np.array(ndimage.center_of_mass(nodules.labels == label))
    return nodules.statuses[label - 1] == SEEDED or holds(region, centre)


def _inside_box(ct: CT, bounds: Sequence[float]) -> np.ndarray:
    """Voxels `[slice, row, column]` whose centre lies in the RAS box."""
    k, j, i = (np.arange(size) for size in ct.hu.shape)
    inside = np.ones(ct.hu.shape, bool)
    for axis in range(3):
        a, b, c, offset = ct.ijk_to_ras[axis]
        position = offset + c * k[:, None, None] + b * j[:, None] + a * i
        inside &= (bounds[2 * axis] <= position) & (position <= bounds[2 * axis + 1])
    return inside
