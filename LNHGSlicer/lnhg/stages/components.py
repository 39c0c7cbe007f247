"""What a nodule consists of: solid tissue, ground glass, air, calcium and fat, by rules of HU.

Rules, on the median of each voxel and its eight neighbours in the slice, which takes single voxels of noise away:
    solid: above -300 HU; calcium above 200 HU, fat from -120 to -40 HU are parts of it;
    air: below -850 HU, where it reaches deeper than 1 mm into the nodule (a cavity, a bronchogram);
    ground glass: the rest.
Partial volume: at every edge of solid tissue lies a layer whose HU are those of ground glass. A layer thinner than
about 2 mm is such an edge, so a thinner halo is not seen: beside air it is air below -475 HU, half-way to solid tissue,
and what is left belongs to what it lies nearest to. Fat and calcium count from 10 and 5 mm3 on, fat only deeper than
2 mm and in no such layer. Vessels in a nodule count as solid, contrast medium above 200 HU as calcium.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from scipy import ndimage

from ..core.masks import reach
from ..core.nodule import ComponentVolumes

#: HU above which tissue is solid.
SOLID_HU = -300
#: HU below which it is air.
AIR_BELOW_HU = -850
_AIR_EDGE_HU, _CALCIUM_HU, _FAT_HU = -475, 200, (-120, -40)
# Depths in mm; half the thickness below which a layer is partial volume, mm; smallest parts, mm3.
_AIR_DEPTH_MM, _FAT_DEPTH_MM, _LAYER_MM = 1.0, 2.0, 0.7
_LEAST_CALCIUM_MM3, _LEAST_FAT_MM3 = 5.0, 10.0
_FACES = ndimage.generate_binary_structure(3, 1)


class Component(IntEnum):
    """Values of a map of components; 0 is outside the nodule."""

    SOLID = 1
    GROUND_GLASS = 2
    AIR = 3
    CALCIUM = 4
    FAT = 5


#: What the solid part consists of.
DENSE = (Component.SOLID, Component.CALCIUM, Component.FAT)


def components(hu: np.ndarray, nodule: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """The component of each voxel of a nodule: uint8 of `Component`, 0 outside.

    Args:
        hu: HU `[slice, row, column]`, with a few mm around the nodule where the CT has them.
        nodule: bool, same shape.
        spacing: of (i, j, k) = (column, row, slice), mm.
    """
    found = np.zeros(nodule.shape, np.uint8)
    if not nodule.any():
        return found
    smooth = ndimage.median_filter(hu, (1, 3, 3), mode="nearest")
    dense = nodule & (smooth > SOLID_HU)
    deep = _depth(nodule, spacing) > _AIR_DEPTH_MM
    air = _parts(nodule & (smooth < AIR_BELOW_HU), deep)
    thick = _thick(nodule & ~dense & ~air, spacing)
    air = _parts(air | (deep & ~thick & (smooth < _AIR_EDGE_HU)), air)
    found[thick], found[dense], found[air] = Component.GROUND_GLASS, Component.SOLID, Component.AIR
    found[nodule & (found == 0)] = Component.GROUND_GLASS if not found.any() else 0
    nearest = ndimage.distance_transform_edt(found == 0, spacing[::-1], return_distances=False, return_indices=True)
    found = np.where(nodule, found[tuple(nearest)], 0).astype(np.uint8)
    voxel = float(np.prod(spacing))
    found[_large(dense & (smooth > _CALCIUM_HU), _LEAST_CALCIUM_MM3 / voxel)] = Component.CALCIUM
    found[_fat(smooth, dense, spacing, _LEAST_FAT_MM3 / voxel)] = Component.FAT
    return found


def solid_part(hu: np.ndarray, nodule: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """The solid part of a nodule, bool: solid tissue with its calcium and fat. Arguments as for `components`."""
    return np.isin(components(hu, nodule, spacing), DENSE)


def largest_part(mask: np.ndarray) -> np.ndarray:
    """The connected part (by faces) of a mask with most voxels; an empty mask stays empty."""
    parts, count = ndimage.label(mask, _FACES)
    return parts == 1 + np.argmax(np.bincount(parts.ravel())[1:]) if count else mask


def component_volumes(found: np.ndarray, voxel_volume: float) -> ComponentVolumes:
    """The volumes in mm3 of a map that `components` made."""
    counts = np.bincount(found.ravel(), minlength=len(Component) + 1)[1:] * voxel_volume
    return ComponentVolumes(*counts.tolist())


def _depth(mask: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Distance of each voxel's centre from the nearest face outside, mm; the end of the array is no outside."""
    return ndimage.distance_transform_edt(mask, spacing[::-1]) - min(spacing[:2]) / 2


def _thick(mask: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """The mask without layers thinner than three voxels or about 2 mm."""
    return mask & ndimage.binary_opening(mask, reach(spacing, _LAYER_MM))


def _parts(mask: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The connected parts of a mask that reach into `where`."""
    parts, _ = ndimage.label(mask, _FACES)
    return mask & np.isin(parts, np.setdiff1d(parts[where & mask], 0))


def _large(mask: np.ndarray, least: float) -> np.ndarray:
    """The connected parts of a mask with at least so many voxels."""
    parts, _ = ndimage.label(mask, _FACES)
    return mask & (np.bincount(parts.ravel()) >= least)[parts]


def _fat(smooth: np.ndarray, dense: np.ndarray, spacing: tuple[float, float, float], least: float) -> np.ndarray:
    low, high = _FAT_HU
    deep = dense & (_depth(dense, spacing) > _FAT_DEPTH_MM)
    return _large(_thick(deep & (smooth >= low) & (smooth <= high), spacing), least)
