"""Figures of a heterogeneity map of any kind, and rim and core of a nodule, of which they are taken.

Every nodule has a rim of strong values from partial volume alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from ..core.boxes import grown_box, label_boxes
from ..core.masks import depth_in, reach
from ..core.nodule import HeterogeneityFigures

_ENTROPY_BINS = 32


def rim_mask(labels: np.ndarray, spacing: tuple[float, float, float], rim_mm: float) -> np.ndarray:
    """The outer layer of each nodule: voxels whose centre lies within `rim_mm` of another label or the outside.

    The distance is to the nearest face, so that the outermost voxels lie half a voxel deep; slices thicker than twice
    `rim_mm` have no rim at top and bottom. A thin nodule may be all rim. The end of the array is no surface.

    Args:
        labels: integer `[slice, row, column]`, 0 outside.
        spacing: of (i, j, k) = (column, row, slice), mm.
    """
    rim = np.zeros(labels.shape, bool)
    ball = reach(spacing, rim_mm)
    margin = [size // 2 for size in ball.shape]
    for number, box in label_boxes(labels).items():
        around = grown_box(box, margin)
        nodule = labels[around] == number
        rim[around] |= nodule & ndimage.binary_dilation(~nodule, ball)
    return rim


def core_of(nodule: np.ndarray, spacing: tuple[float, float, float], rim_mm: float, fewest: int) -> np.ndarray:
    """A nodule without its rim; where that leaves fewer than `fewest` voxels the deepest third of it. Bool."""
    core = nodule & ~rim_mask(nodule.astype(np.uint8), spacing, rim_mm)
    if np.count_nonzero(core) >= fewest or not nodule.any():
        return core
    depth = depth_in(nodule, spacing)
    return nodule & (depth >= np.quantile(depth[nodule], 2 / 3))


def figures(values: np.ndarray) -> HeterogeneityFigures:
    """Figures of map values 0..1 (any shape)."""
    if values.size == 0:
        return HeterogeneityFigures(*[float("nan")] * 5)
    mean, deviation = _mean_and_deviation(values)
    counts, _ = np.histogram(values, _ENTROPY_BINS, (0, 1))
    shares = counts[counts > 0] / values.size
    return HeterogeneityFigures(
        mean,
        deviation,
        deviation / mean if mean > 0 else float("nan"),
        float(-(shares * np.log2(shares)).sum()) + 0.0,
        float((values > 0.5).mean()),
    )


def raw_ct_figures(hu: np.ndarray, raw_ct: np.ndarray) -> HeterogeneityFigures:
    """The same figures of the raw CT in one region.

    Mean and deviation are in HU. The coefficient of variation is that of HU + 1000, which is proportional to the
    attenuation (HU itself crosses 0). Entropy and the share above 0.5 are those of `raw_ct`, the map that
    `raw_ct_in_same_colours` makes from the HU, so that they can be set beside those of h(x).

    Args:
        hu: HU of the region's voxels.
        raw_ct: values of `raw_ct_in_same_colours` at the same voxels.
    """
    if hu.size == 0:
        return figures(raw_ct)
    mean, deviation = _mean_and_deviation(hu)
    variation = deviation / (mean + 1000) if mean > -1000 else float("nan")
    return replace(figures(raw_ct), mean=mean, deviation=deviation, variation=variation)


def _mean_and_deviation(values: np.ndarray) -> tuple[float, float]:
    exact = values.astype(np.float64)
    return float(exact.mean()), float(exact.std())
