"""Cut-outs as volumes that go on beyond the nodule, so that planes at any height can be read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .cutouts import Cutout


@dataclass(frozen=True, eq=False)
class Volume:
    """A CT volume with its nodule, made so that planes at any height can be read.

    Attributes:
        hu: float32 `[slice, row, column]`.
        nodule: float32, same shape, 1 inside the nodule.
        spacing: (column, row, slice) mm.
        slices: slices whose section of the nodule is a fair one.
        centre: (row, column) of the nodule.
        width: of the nodule in the slice, mm.
        subsolid: whether readers rate it ground glass or part-solid.
        cube: whether it shows the nodule's true surroundings in thin slices.
    """

    hu: np.ndarray
    nodule: np.ndarray
    spacing: tuple[float, float, float]
    slices: np.ndarray
    centre: tuple[float, float]
    width: float
    subsolid: bool
    cube: bool = False


def volume_of(cutout: Cutout, margin_mm: float = 6.0) -> Volume:
    """A cut-out with slices added at both ends, in which the nodule has ended.

    Many cut-outs end with the nodule's last slice. There the surroundings go on, and the nodule is filled with them.
    """
    nodule, outlined = cutout.consensus.astype(np.float32), cutout.readers > 0
    hu = cutout.ct.hu.astype(np.float32)
    extra = int(np.ceil(margin_mm / cutout.ct.spacing[2]))
    first, last = (without_nodule(hu[end], outlined[end]) for end in (0, -1))
    hu = np.concatenate([[first] * extra, hu, [last] * extra])
    nodule = np.pad(nodule, [(extra, extra), (0, 0), (0, 0)])
    area = nodule.sum((1, 2))
    centre = np.argwhere(nodule).mean(0)
    width = float(np.max((np.ptp(np.argwhere(nodule.any(0)), axis=0) + 1) * cutout.ct.spacing[1::-1]))
    fair = np.flatnonzero(area >= 0.3 * area.max())
    return Volume(hu, nodule, cutout.ct.spacing, fair, (centre[1], centre[2]), width, cutout.subsolid, cutout.cube)


def without_nodule(hu: np.ndarray, nodule: np.ndarray) -> np.ndarray:
    """A slice whose nodule, and one pixel around it, is filled with the weighted mean of what lies around."""
    hole = ndimage.binary_dilation(nodule)
    if not hole.any() or hole.all():
        return hu
    known = (~hole).astype(np.float32)
    filled = ndimage.gaussian_filter(hu * known, 3) / np.maximum(ndimage.gaussian_filter(known, 3), 1e-6)
    return np.where(hole, filled, hu).astype(np.float32)
