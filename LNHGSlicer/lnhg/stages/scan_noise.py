"""How noisy a scan is, from its own voxels."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

# Second derivative along rows and columns, over every other voxel: no answer to edges that run along either
# (Immerkaer, 1996), and the grain of a kernel, which is about a pixel wide, counts in full.
_SECOND = np.array((1, 0, -2, 0, 1), np.float32)


def noise_level(hu: np.ndarray, where: np.ndarray | None = None) -> float:
    """Standard deviation of the noise, HU; `hu` `[slice, row, column]`. An estimate, which edges hardly move.

    From the median size of second derivatives across rows and columns, at the voxels `where` or everywhere but for the
    border of each slice; 0 for slices of four rows or columns, which are all border.
    """
    detail = hu.astype(np.float32)
    for axis in (1, 2):
        detail = ndimage.correlate1d(detail, _SECOND, axis, mode="nearest")
    detail = np.abs(detail)
    values = detail[:, 2:-2, 2:-2] if where is None else detail[where]
    return float(np.median(values) / 0.6745 / float(_SECOND @ _SECOND)) if values.size else 0.0
