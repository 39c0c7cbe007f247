"""How even the raw CT is in a region: first-order figures and those of grey-level co-occurrence (Haralick, 1973)."""

from __future__ import annotations

import numpy as np
from skimage.feature import graycomatrix, graycoprops

# Grey levels: HU -1000..600 in steps of 50; values outside are clipped.
_LOWEST_HU, _STEP_HU, _LEVELS = -1000.0, 50.0, 32
_ANGLES = (0.0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
_CO_OCCURRENCE = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation")


def first_order(hu: np.ndarray) -> dict[str, float]:
    """Mean and standard deviation (HU) and entropy (bits, steps of 50 HU) of a region's voxels, any shape; NaN if
    empty.
    """
    if not hu.size:
        return dict.fromkeys(("mean", "deviation", "entropy"), float("nan"))
    shares = np.bincount(_levels(hu).ravel()) / hu.size
    shares = shares[shares > 0]
    exact = hu.astype(float)
    return {
        "mean": float(exact.mean()),
        "deviation": float(exact.std()),
        "entropy": float(-(shares * np.log2(shares)).sum()),
    }


def co_occurrence(hu: np.ndarray, region: np.ndarray) -> dict[str, float]:
    """Co-occurrence features of neighbouring voxels that both lie in the region; scikit-image's names and definitions.

    Pairs one pixel apart in the slice, in four directions and both ways, are pooled over slices and directions into one
    matrix, so that nodules of any size have one figure each.

    Args:
        hu: HU `[slice, row, column]`.
        region: bool, same shape.

    Returns: name -> value, NaN where no two voxels of the region lie side by side.
    """
    levels = np.where(region, _levels(hu) + 1, 0).astype(np.uint8)
    counts = np.zeros((_LEVELS, _LEVELS))
    for one in levels[region.any((1, 2))]:
        matrix = graycomatrix(one, [1], _ANGLES, _LEVELS + 1, symmetric=True)
        counts += matrix[1:, 1:, 0].sum(-1)  # level 0 is outside
    if not counts.any():
        return dict.fromkeys(_CO_OCCURRENCE, float("nan"))
    pooled = (counts / counts.sum())[..., None, None]
    return {name: float(graycoprops(pooled, name)[0, 0]) for name in _CO_OCCURRENCE}


def _levels(hu: np.ndarray) -> np.ndarray:
    return np.clip((hu.astype(float) - _LOWEST_HU) // _STEP_HU, 0, _LEVELS - 1).astype(np.intp)
