"""Where a nodule lies: at the pleura, at a vessel, or free in the lung.

The data has no label for it, so a rule stands in, from HU alone. Tissue is what is denser than lung and no part of the
nodule (of any reader's outline). Where a ball of 4 mm radius fits into it, it is chest wall, diaphragm or mediastinum,
whose border is the pleura; the rest, down to the density that thin vessels have by partial volume, are vessels and
walls of airways.

- juxta-pleural: the consensus comes within 2 mm of that border.
- juxta-vascular: else, and a vessel within 1.5 mm of the nodule goes on from there by at least 6 mm.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..data.cutouts import Cutout

JUXTA_PLEURAL, JUXTA_VASCULAR, FREE = "juxta-pleural", "juxta-vascular", "free"
PLACES = (JUXTA_PLEURAL, JUXTA_VASCULAR, FREE)

# Denser than lung, by half of the step from lung (-850 HU) to soft tissue (50 HU).
_TISSUE_HU = -400
# A vessel thinner than a voxel and its lung share the voxel.
_VESSEL_HU = -600
# A ball of this radius fits into the chest wall and into no vessel but those of the hilum.
_WALL_RADIUS_MM = 4.0
_PLEURA_MM = 2.0
_TOUCH_MM, _VESSEL_LENGTH_MM = 1.5, 6.0


def place_of(cutout: Cutout) -> str:
    """`juxta-pleural`, `juxta-vascular` or `free`, by the rule above."""
    wall = wall_of(cutout)
    if _nearest(cutout.consensus, wall, cutout.ct.spacing[::-1]) <= _PLEURA_MM:
        return JUXTA_PLEURAL
    return JUXTA_VASCULAR if vessels_at(cutout, wall).any() else FREE


def wall_of(cutout: Cutout) -> np.ndarray:
    """Chest wall, diaphragm and mediastinum, bool `[slice, row, column]`: the tissue opened by a ball."""
    tissue, voxel = _denser(cutout, _TISSUE_HU), cutout.ct.spacing[::-1]
    # The tissue goes on beyond the cut-out as it ends there.
    margin = [int(np.ceil(_WALL_RADIUS_MM / size)) + 1 for size in voxel]
    padded = np.pad(tissue, [(wide, wide) for wide in margin], mode="edge")
    core = ndimage.distance_transform_edt(padded, voxel) > _WALL_RADIUS_MM
    if not core.any():
        return np.zeros(tissue.shape, bool)
    # One voxel wider than the ball, for the corners that it leaves out.
    wall = padded & (ndimage.distance_transform_edt(~core, voxel) <= _WALL_RADIUS_MM + voxel[-1])
    return wall[tuple(slice(wide, -wide) for wide in margin)]


def vessels_at(cutout: Cutout, wall: np.ndarray) -> np.ndarray:
    """Vessels that touch the nodule and lead away from it, bool `[slice, row, column]`; `wall` as of `wall_of`."""
    away = ndimage.distance_transform_edt(cutout.readers == 0, cutout.ct.spacing[::-1])
    components, count = ndimage.label(_denser(cutout, _VESSEL_HU) & ~ndimage.binary_dilation(wall), np.ones((3, 3, 3)))
    numbers = np.arange(1, count + 1)
    nearest, farthest = (np.reshape(of(away, components, numbers), -1) for of in (ndimage.minimum, ndimage.maximum))
    return np.isin(components, numbers[(nearest <= _TOUCH_MM) & (farthest >= _VESSEL_LENGTH_MM)])


def _denser(cutout: Cutout, hu: float) -> np.ndarray:
    """What is denser than `hu` outside of every reader's outline."""
    return (cutout.ct.hu > hu) & (cutout.readers == 0)


def _nearest(nodule: np.ndarray, other: np.ndarray, voxel: tuple[float, ...]) -> float:
    """Smallest distance between the centres of voxels of two masks, mm; infinite where `other` is empty."""
    if not other.any():
        return np.inf
    return float(ndimage.distance_transform_edt(~other, voxel)[nodule].min())
