"""Hints for benign kinds of nodules, as flags that a reader can filter by: calcification, fat, perifissural shape.

They are hints, not findings. Only that of calcification was measured, against readers' ratings
(`Testing/benchmarks/calcification.py`); the others were not measured.
"""

from __future__ import annotations

import numpy as np

from ..core.lobes import AT_FISSURE
from ..core.masks import depth_in
from ..core.nodule import NO_CALCIUM

#: A nodule is called calcified from this 95th percentile of its HU on.
CALCIFIED_HU = 200
# Calcium is complete from this share of the core on; central if it lies this deep (share of the voxels that lie less
# deep, in the mean), at the edge if it lies no deeper than the second value.
_COMPLETE, _CENTRAL, _AT_EDGE = 0.5, 0.65, 0.4
# A perifissural nodule is solid, smaller than this (mean of both axes, mm), and at least this smooth.
_PERIFISSURAL_MM, _SMOOTH = 10.0, 0.8


def dense_hu(hu: np.ndarray) -> float:
    """The 95th percentile of a nodule's HU: what calcification is told by."""
    return float(np.percentile(hu, 95))


def calcification(hu: np.ndarray, mask: np.ndarray, spacing: tuple[float, float, float]) -> str:
    """`none`, or where the calcium of a nodule lies: `complete`, `central`, `at the edge` or `elsewhere`.

    Args:
        hu: HU `[slice, row, column]`.
        mask: the nodule, same shape, with a border of voxels outside.
        spacing: of (column, row, slice), mm.
    """
    if not mask.any() or dense_hu(hu[mask]) < CALCIFIED_HU:
        return NO_CALCIUM
    depth = depth_in(mask, spacing)[mask]
    calcium = hu[mask] >= CALCIFIED_HU
    core = depth >= np.median(depth)
    if calcium[core].mean() >= _COMPLETE:
        return "complete"
    ranks = np.searchsorted(np.sort(depth), depth, side="left") / len(depth)
    at = float(ranks[calcium].mean())
    return "central" if at >= _CENTRAL else "at the edge" if at <= _AT_EDGE else "elsewhere"


def looks_perifissural(kind: str, mean_axis: float, sphericity: float, lobe: str, known: bool) -> bool | None:
    """Whether a nodule at a fissure is solid, under 10 mm and smooth; None where no lobes were given (`known`)."""
    if not known:
        return None
    small = kind == "solid" and mean_axis < _PERIFISSURAL_MM and sphericity >= _SMOOTH
    return bool(AT_FISSURE in lobe and small)
