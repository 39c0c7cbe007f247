"""What a nodule touches, pleura and vessels: one rule for the table of a run and for the groups of the studies.

Tissue is denser than -500 HU and no part of the nodule. Of it, what lies outside of the lungs is wall: chest wall,
diaphragm or mediastinum, whose border is the pleura. Fissures are not seen.

- The pleura is touched where wall lies within 2 mm of the nodule's surface.
- A vessel is touched where a strand of tissue, clear of the wall by more than 2 mm, begins within 1 mm of the nodule's
  surface and reaches 5 mm away. Walls of airways and scars count too.

All arrays are bool `[slice, row, column]` on one grid, with 10 mm around the nodule; `spacing` is of (i, j, k), mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.boxes import Box, grown_box, label_boxes
from ..core.masks import grown

#: HU above which a voxel is tissue.
TISSUE_HU = -500
#: As far around a nodule strands are looked at, mm.
AROUND_MM = 10.0
JUXTA_PLEURAL, JUXTA_VASCULAR, FREE = "juxta-pleural", "juxta-vascular", "free"

# About one cell of the lung mask.
_PLEURA_MM = 2.0
_VESSEL_START_MM, _VESSEL_REACH_MM = 1.0, 5.0
# A ball of this radius, mm, fits into the wall and into no vessel but those of the hilum.
_WALL_RADIUS_MM = 4.0


@dataclass(frozen=True)
class Contacts:
    """Whether a nodule touches the pleura, and whether a vessel."""

    pleura: bool
    vessel: bool

    @property
    def place(self) -> str:
        """The place that papers group by; one that touches both is juxta-pleural."""
        return JUXTA_PLEURAL if self.pleura else JUXTA_VASCULAR if self.vessel else FREE


def contacts(nodule: np.ndarray, tissue: np.ndarray, wall: np.ndarray, spacing: tuple[float, float, float]) -> Contacts:
    """What a nodule touches.

    Args:
        nodule: its voxels.
        tissue: from `tissue_beside`.
        wall: tissue outside of the lungs; where these are not known, from `wall_by_thickness`.
    """
    pleura = bool((grown(nodule, spacing, _PLEURA_MM) & wall).any())
    return Contacts(pleura, bool(vessels_at(nodule, tissue, wall, spacing).any()))


def tissue_beside(hu: np.ndarray, nodule: np.ndarray) -> np.ndarray:
    """Tissue that is no part of the nodule, from HU."""
    return (hu > TISSUE_HU) & ~nodule


def vessels_at(
    nodule: np.ndarray, tissue: np.ndarray, wall: np.ndarray, spacing: tuple[float, float, float]
) -> np.ndarray:
    """The strands that touch a nodule and lead away from it; arguments as for `contacts`."""
    strands, _ = ndimage.label(tissue & ~grown(wall, spacing, _PLEURA_MM), np.ones((3, 3, 3)))
    near = grown(nodule, spacing, _VESSEL_START_MM)
    far = ndimage.distance_transform_edt(~nodule, spacing[::-1]) >= _VESSEL_REACH_MM
    return np.isin(strands, np.setdiff1d(np.intersect1d(strands[near], strands[far]), 0))


def wall_by_thickness(tissue: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """The wall in a piece of CT too small for lungs to be found in: tissue into which a ball of 4 mm radius fits.

    Tissue goes on beyond the piece as it ends there.
    """
    voxel = spacing[::-1]
    margin = [int(np.ceil(_WALL_RADIUS_MM / size)) + 1 for size in voxel]
    padded = np.pad(tissue, [(wide, wide) for wide in margin], mode="edge")
    core = ndimage.distance_transform_edt(padded, voxel) > _WALL_RADIUS_MM
    if not core.any():
        return np.zeros(tissue.shape, bool)
    # One voxel wider than the ball, for the corners that it leaves out.
    wall = padded & (ndimage.distance_transform_edt(~core, voxel) <= _WALL_RADIUS_MM + voxel[-1])
    return wall[tuple(slice(wide, -wide) for wide in margin)]


def surroundings(nodule: np.ndarray, spacing: tuple[float, float, float]) -> Box:
    """The part of the array in which contacts of a nodule are looked for."""
    return grown_box(
        label_boxes(nodule.view(np.uint8))[1], np.ceil(AROUND_MM / np.array(spacing[::-1])).astype(int).tolist()
    )
