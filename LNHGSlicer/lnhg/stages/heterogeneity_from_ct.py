"""How far each voxel of a nodule lies from the nodule's own typical tissue, from the CT alone, without any network.

An even nodule of the same outline is thought of as the scanner would show it: its typical HU (the median in the core)
inside, what lies around it outside, blurred at its surface. The difference of the CT from it, averaged over about half
a millimetre inside the outline, is set against what noise and an outline that is a little off would make of an even
nodule there. What these two explain is taken away.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ..core.boxes import Box, grown_box
from ..core.masks import depth_in
from .components import AIR_BELOW_HU
from .heterogeneity_figures import core_of
from .nodule_map import Indexed
from .scan_noise import noise_level

#: HU of deviation that have full scale in the map.
FULL_SCALE_HU = 150.0
# Blur of a scanner, mm (standard deviation); how far around a nodule is looked, mm.
_BLUR_MM, _AROUND_MM = 0.6, 5.0
# Width of the average, mm (standard deviation): in slices thicker than that it stays within the slice.
_AVERAGE_MM = 0.6
_BACKGROUND_MM = 1.2
# An outline is off by so much, mm, or by so much of a slice where slices are thick.
_OFF_MM, _OFF_SLICES = 0.45, 0.3
# Grain of the noise of usual kernels in the slice, mm (standard deviation).
_GRAIN_MM = 0.6
# A deviation of so many times of what an even nodule shows counts half.
_HALF = 2.5
# The core is what lies deeper than this, mm; with fewer voxels it is the deepest third.
CORE_MM, _CORE_VOXELS = 1.0, 10
# A nodule is hollow if so much of its core is air.
_HOLLOW = 0.25
# HU above which noise is measured (padding has none), and the least noise of any scan, HU.
_MEASURED_HU, _LEAST_NOISE_HU = -1000, 3.0


def strength_hu(hu: Indexed, box: Box, nodule: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """The deviation of one nodule, HU without sign, in its box: float32, 0 outside the nodule.

    Args:
        hu: HU of the whole CT `[slice, row, column]`.
        box: of the nodule.
        nodule: bool, which voxels in the box belong to it.
        spacing: of (i, j, k), mm.
    """
    margin = np.ceil(_AROUND_MM / np.array(spacing[::-1])).astype(int).tolist()
    around = grown_box(box, margin)
    values = hu[around].astype(np.float32)
    here = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(box, around, strict=True))
    inside = np.zeros(values.shape, bool)
    inside[here] = nodule
    noise = max(noise_level(values, values > _MEASURED_HU), _LEAST_NOISE_HU)
    even = _even_nodule(values, inside, spacing)
    doubt = _doubt(even, noise, spacing)
    weight = inside / doubt**2
    width = _voxels(_AVERAGE_MM, spacing)
    averaged = _smooth((values - even) * weight, width) / np.maximum(_smooth(weight, width), 1e-12)
    expected = doubt * _noise_left(spacing[2])
    strength = np.abs(averaged) * averaged**2 / (averaged**2 + (_HALF * expected) ** 2)
    return np.where(inside, strength, 0).astype(np.float32)[here]


def unevenness(hu: Indexed, box: Box, nodule: np.ndarray, spacing: tuple[float, float, float]) -> float:
    """One number for a nodule: the mean of `strength_hu` over it, each voxel weighted by its depth, HU.

    Weighted by depth, a nodule too small for a core has it too, and an outline drawn a little wider or narrower changes
    it least. Arguments as of `strength_hu`.
    """
    return float(np.average(strength_hu(hu, box, nodule, spacing), weights=depth_in(nodule, spacing)))


def typical_hu(hu: np.ndarray, nodule: np.ndarray, spacing: tuple[float, float, float]) -> float:
    """The median HU in the core; of a hollow nodule, of what is denser than air in there: its wall is its tissue."""
    core = hu[core_of(nodule, spacing, CORE_MM, _CORE_VOXELS)]
    tissue = core[core >= AIR_BELOW_HU]
    hollow = 0 < tissue.size < (1 - _HOLLOW) * core.size
    return float(np.median(tissue if hollow else core))


def _even_nodule(hu: np.ndarray, inside: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """The CT with a nodule of even tissue in place of this one, without noise near it."""
    share = _smooth(inside.astype(np.float32), _voxels(_BLUR_MM, spacing))
    outside, width = (~inside).astype(np.float32), _voxels(_BACKGROUND_MM, spacing)
    around = _smooth(hu * outside, width) / np.maximum(_smooth(outside, width), 1e-3)
    return share * typical_hu(hu, inside, spacing) + np.maximum(1 - share, 0) * around


def _doubt(even: np.ndarray, noise: float, spacing: tuple[float, float, float]) -> np.ndarray:
    """Standard deviation of an even nodule in each voxel, HU: of noise, and of an outline that is a little off."""
    variance = np.full(even.shape, noise**2, np.float32)
    for axis, step in enumerate(spacing[::-1]):
        off = max(_OFF_MM, _OFF_SLICES * step) if axis == 0 else _OFF_MM
        slope = np.abs(np.diff(even, axis=axis)) / step
        ends = [(0, 0)] * even.ndim
        ends[axis] = (1, 1)
        both = np.pad(slope, ends)
        steeper = np.maximum(both.take(range(even.shape[axis]), axis), both.take(range(1, even.shape[axis] + 1), axis))
        variance += (off * steeper) ** 2
    return np.sqrt(variance)


def _noise_left(step_mm: float) -> float:
    """Share of a voxel's noise that the average leaves: noise has a grain in the slice and none across slices."""
    in_slice = _GRAIN_MM**2 / (_GRAIN_MM**2 + _AVERAGE_MM**2)
    weights = np.exp(-0.5 * (np.arange(-5, 6) * step_mm / _AVERAGE_MM) ** 2)
    return float(np.sqrt(in_slice) * np.linalg.norm(weights / weights.sum()))


def _voxels(mm: float, spacing: tuple[float, float, float]) -> list[float]:
    return [mm / step for step in spacing[::-1]]


def _smooth(values: np.ndarray, width: Sequence[float]) -> np.ndarray:
    return ndimage.gaussian_filter(values, width, mode="nearest", truncate=3.0)
