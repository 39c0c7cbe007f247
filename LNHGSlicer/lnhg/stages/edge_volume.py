"""The volume of a nodule to the half-height edge of the CT: apart from its outline, and without a network.

Readers' contours, and so the outlines that follow them, run just outside of a nodule. Here each voxel near the outline
counts by the share of it that the nodule fills, told from its HU between the nodule's inside and the lung around it.
The blur of a scanner spreads these shares and keeps their sum, so the volume hangs on it little.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.boxes import grown_box, label_boxes
from ..core.ct import CT

# How far from the outline, mm, voxels are partly filled: blur and an outline that runs outside or inside.
_NEAR_MM = 2.0
# The lung around is looked at from there to here, mm outside of the outline.
_AROUND_MM = (3.0, 8.0)
# The nodule's inside: its deepest voxels, this share of them.
_DEEPEST = 0.15
# Tissue of the lung's surroundings, not lung, HU; and the least contrast of a nodule to the lung around it.
_TISSUE_HU, _LEAST_CONTRAST_HU = -500.0, 80.0

# The share of the outline's volume that is no measurement any more: of the outlines of readers of 317 nodules the
# least is 0.65. Faint nodules whose border is darker than the lung around can fall below 0.
_LEAST_SHARE = 0.3


@dataclass(frozen=True)
class EdgeVolume:
    """A volume to the half-height edge.

    Attributes:
        volume: mm3; NaN where no lung lies around the nodule, the nodule is hardly denser than it, or what is found is
            under a third of the outline.
        attached: share of the nodule's surroundings that is other tissue (vessel, pleura), 0 to 1; there the outline
            stands, since the CT shows no edge. NaN as above.
    """

    volume: float
    attached: float


def edge_volume(ct: CT, mask: np.ndarray) -> EdgeVolume:
    """Measure one nodule; `mask` is bool `[slice, row, column]` on the grid of `ct`, the nodule's outline."""
    spacing = np.array(ct.spacing[::-1])
    margin = np.ceil((_AROUND_MM[1] + 1) / spacing).astype(int).tolist()
    box = grown_box(label_boxes(mask.view(np.uint8))[1], margin)
    inside, hu = mask[box], ct.hu[box].astype(np.float32)
    # Distance to the outline, mm: positive outside, from the faces of voxels.
    outside_mm = ndimage.distance_transform_edt(~inside, spacing)
    depth_mm = ndimage.distance_transform_edt(np.pad(inside, 1), spacing)[1:-1, 1:-1, 1:-1]
    tissue, lung = _levels(hu, inside, depth_mm, outside_mm)
    if math.isnan(lung) or tissue - lung < _LEAST_CONTRAST_HU:
        return EdgeVolume(math.nan, math.nan)
    near = (outside_mm <= _NEAR_MM) & (depth_mm <= _NEAR_MM)
    other = ~inside & (hu > (tissue + lung) / 2) & (outside_mm > _NEAR_MM) & (outside_mm <= _AROUND_MM[0])
    beside_other = _within(other, _NEAR_MM, spacing) & near
    filled = np.where(near, (hu - lung) / (tissue - lung), inside).clip(-0.5, 1.5)
    filled = np.where(beside_other, inside, filled)
    if filled.sum() <= _LEAST_SHARE * np.count_nonzero(inside):
        return EdgeVolume(math.nan, math.nan)
    shell = near & ~inside
    attached = float(beside_other[shell].mean()) if shell.any() else 1.0
    return EdgeVolume(float(filled.sum()) * ct.voxel_volume, attached)


def _levels(hu: np.ndarray, inside: np.ndarray, depth_mm: np.ndarray, outside_mm: np.ndarray) -> tuple[float, float]:
    """HU of the nodule's inside and of the lung around it; NaN for lung that is not seen."""
    core = depth_mm >= np.quantile(depth_mm[inside], 1 - _DEEPEST)
    shell = (outside_mm > _AROUND_MM[0]) & (outside_mm <= _AROUND_MM[1]) & (hu < _TISSUE_HU)
    lung = float(np.median(hu[shell])) if shell.any() else math.nan
    return float(np.median(hu[core & inside])), lung


def _within(mask: np.ndarray, mm: float, spacing: np.ndarray) -> np.ndarray:
    if not mask.any():
        return mask
    return np.asarray(ndimage.distance_transform_edt(~mask, spacing) <= mm)
