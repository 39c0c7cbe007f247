"""Whether values are HU by where air, lung and soft tissue lie: a rescale applied twice or an offset lost shows
there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from ..core.ct import AIR_HU

#: Values that lie so far off, less what the estimate may err, are no HU.
MOST_OFF_HU = 660.0
# Middle values of what is air or lung, and of what is fat, muscle or blood, in a chest CT.
_LUNG_HU, _TISSUE_HU = -870, 10
# Offsets that both show: in a whole chest, and in a small part of one, whose tissue may be all nodule or all bone.
_SEEN_HU, _SEEN_IN_PART_HU = 100, 200
# In a whole chest muscle is a peak, the brightest of those that are at least this share of the highest and no further
# above it, once blurred so that rounded values are no peaks. Fat lies below it, so far and at least so much of it, and
# at most so much as far above it.
_MUSCLE_HU, _BLUR_HU, _PROMINENT, _PEAK_SHARE, _ABOVE_HIGHEST_HU = 42, 30, 0.05, 0.4, 200
_BESIDE_HU, _MUSCLE_WIDE_HU, _FAT_SHARE, _ABOVE_SHARE = (90, 190), 50, 0.25, 0.85
# What is darker is lung whatever the offset.
_DARKEST_MUSCLE_HU = -700
# So far off muscle shows an offset, where all tissue and lung lie off on the same side, if less; and so far below and
# above its place alone: fat can be taken for muscle.
_MUSCLE_SEEN_HU, _TISSUE_SEEN_HU, _LUNG_SEEN_HU, _MUSCLE_SEEN_ALONE_HU = 70, 40, 20, (-150, 100)
# In a whole chest tissue alone shows an offset, where this share of the voxels is the brighter part: all darker may be
# cut off.
_SEEN_ALONE_HU, _TISSUE_SHARE = 220, 0.15
# Noise does not put this share of the voxels below this value; what lies there is no padding, which is one value.
_LOWEST_HU, _LOW_SHARE = -1250, 0.1
# Lung and tissue lie so far apart, and may differ so much in the offset that they show.
_APART_HU, _AGREE_HU = (600, 1100), 200
# A whole chest is so wide along two axes, mm.
_CHEST_MM = 150.0
# Of a whole chest, at least this share of what is no padding is fat or soft tissue.
_SOFT_HU, _SOFT_SHARE = 250, 0.05
_EDGE_HU = 6000
# A value that more than half of all voxels within 50 HU have is padding, or the end of the scale.
_NEAR_HU, _SPIKE = 50, 0.5
_FEWEST, _ENOUGH_VOXELS, _ENOUGH_IN_SLICE = 500, 4_000_000, 16_000
# Between neighbouring slices half of all voxels never change by more, whatever the anatomy.
_SEEN_BETWEEN_HU = 80
# Air and lung are at least this share of a chest, and darker than this; below their darkest lies this share of all.
_DARK_SHARE, _DARK_HU, _NEXT_TO_NOTHING = 0.02, -200, 0.001


def is_chest(extent: np.ndarray) -> bool:
    """Whether an image of this size along (column, row, slice), mm, shows a whole chest rather than a part of one."""
    return bool((extent >= _CHEST_MM).sum() >= 2)


def offsets_of_slices(values: np.ndarray) -> dict[int, float]:
    """Slices k from which to the next all values `[slice, row, column]` change at once, and by how much (HU)."""
    stride = max(1, round((values[0].size / _ENOUGH_IN_SLICE) ** 0.5))
    some = values[:, ::stride, ::stride].reshape(len(values), -1)
    offsets: dict[int, float] = {}
    for k in range(len(some) - 1):
        one, other = some[k].astype(float), some[k + 1].astype(float)
        shown = (one > AIR_HU) & (other > AIR_HU)
        if shown.sum() < _FEWEST or not np.ptp(one) or not np.ptp(other):
            continue
        change = (other - one)[shown]
        middle = float(np.median(change))
        # Of noise alone, or of voxels that have nothing in common, the median strays by its own error.
        error = 1.25 * float(change.std()) / np.sqrt(change.size)
        if abs(middle) > max(_SEEN_BETWEEN_HU, 6 * error):
            offsets[k] = middle
    return offsets


def _peaks(curve: np.ndarray, prominent: float) -> np.ndarray:
    """Where a curve has peaks that rise by this share of their height from the higher of the valleys beside them.

    As scipy.signal tells them, which takes half a second to be imported.
    """
    peaks = np.flatnonzero((curve[1:-1] > curve[:-2]) & (curve[1:-1] >= curve[2:])) + 1
    found = []
    for peak in peaks:
        valleys = [side[: _until_higher(side, curve[peak])].min() for side in (curve[peak::-1], curve[peak:])]
        if curve[peak] - max(valleys) >= prominent * curve[peak]:
            found.append(peak)
    return np.array(found, int)


def _until_higher(side: np.ndarray, height: float) -> int:
    higher = side > height
    return int(np.argmax(higher)) if higher.any() else len(side)


def _shown(by_muscle: float, by_tissue: float, by_lung: float) -> bool:
    """Whether an offset of muscle is one of the whole image: tissue and lung lie off on the same side."""
    side, least = np.sign(by_muscle), (_MUSCLE_SEEN_HU, _TISSUE_SEEN_HU, _LUNG_SEEN_HU)
    return all(side * off >= seen for off, seen in zip((by_muscle, by_tissue, by_lung), least, strict=True))


@dataclass(frozen=True, eq=False)
class Spread:
    """Which values an image has, and what they show: `counts` from -6000 to 6000, padding left out; `chest`: it is as
    wide.
    """

    counts: np.ndarray
    chest: bool

    @classmethod
    def of(cls, values: np.ndarray, extent: np.ndarray) -> Spread:
        """The spread of values `[slice, row, column]`; `extent`: size of the image along (column, row, slice), mm."""
        return cls(_counts(values), is_chest(extent))

    @cached_property
    def offset(self) -> float | None:
        """How far (lung and) tissue lie above (below: negative) their HU where both show it; None where they do not."""
        lung, tissue, _ = self._middles
        by_lung, by_tissue = lung - _LUNG_HU, tissue - _TISSUE_HU
        if self._parted and self._by_muscle is not None:  # where there is much fat, all tissue lies lower
            return self._by_muscle if _shown(self._by_muscle, by_tissue, by_lung) else None
        alike = by_lung * by_tissue > 0 and abs(by_lung - by_tissue) <= _AGREE_HU
        seen = min(abs(by_lung), abs(by_tissue)) >= (_SEEN_HU if self.chest else _SEEN_IN_PART_HU)
        return float(by_tissue) if self._parted and alike and seen else None

    @cached_property
    def _parted(self) -> bool:
        """Whether the darker and the brighter part lie as far apart as lung and tissue do."""
        lung, tissue, share = self._middles
        return 0.02 < share < 0.98 and _APART_HU[0] < tissue - lung < _APART_HU[1]

    @cached_property
    def _by_muscle(self) -> float | None:
        """How far the peak of muscle in a whole chest lies above its HU; None where no peak has fat below it."""
        blurred = ndimage.gaussian_filter1d(self.counts.astype(float), _BLUR_HU)
        peaks = _peaks(blurred, _PROMINENT)
        # Where nothing is parted, what is darker was cut off, or nothing is brighter.
        darkest = sum(self._middles[:2]) / 2 if self._parted else _DARKEST_MUSCLE_HU
        peaks = peaks[peaks > _EDGE_HU + darkest]
        if not (self.chest and len(peaks)):
            return None
        highest = peaks[np.argmax(blurred[peaks])]
        of_muscle = peaks[(blurred[peaks] >= _PEAK_SHARE * blurred[highest]) & (peaks <= highest + _ABOVE_HIGHEST_HU)]
        peak = int(of_muscle[-1])
        nearest, farthest = _BESIDE_HU
        fat = self.counts[peak - farthest : peak - nearest].sum()
        above = self.counts[peak + nearest : peak + farthest].sum()
        muscle = self.counts[peak - _MUSCLE_WIDE_HU : peak + _MUSCLE_WIDE_HU + 1].sum()
        is_muscle = fat >= _FAT_SHARE * muscle and above <= _ABOVE_SHARE * muscle
        return float(peak - _EDGE_HU - _MUSCLE_HU) if is_muscle else None

    @property
    def offset_of_one(self) -> float | None:
        """How far tissue alone, in a whole chest, or what is darker than any air lies off; None where nothing shows
        it.
        """
        lung, tissue, share = self._middles
        below, above = _MUSCLE_SEEN_ALONE_HU
        if self._by_muscle is not None and not below < self._by_muscle < above:
            return self._by_muscle
        if self.chest and 1 - share > _TISSUE_SHARE and abs(tissue - _TISSUE_HU) >= _SEEN_ALONE_HU:
            return float(tissue - _TISSUE_HU)
        too_dark = self.counts[: _EDGE_HU + _LOWEST_HU].sum() > _LOW_SHARE * max(1, self.counts.sum())
        return float(lung - _LUNG_HU) if too_dark else None

    @property
    def darkest(self) -> float | None:
        """The value below which next to nothing lies, HU; None where there is no darker part, as of air and lung."""
        if self._middles[2] < _DARK_SHARE or self._middles[0] > _DARK_HU:
            return None
        return float(np.searchsorted(np.cumsum(self.counts), _NEXT_TO_NOTHING * self.counts.sum()) - _EDGE_HU)

    @property
    def has_tissue(self) -> bool:
        """Whether anything lies where fat and soft tissue do, as it must in an image as wide as a chest."""
        soft = self.counts[_EDGE_HU - _SOFT_HU : _EDGE_HU + _SOFT_HU + 1].sum()
        return not self.chest or bool(soft >= _SOFT_SHARE * self.counts.sum())

    @cached_property
    def _middles(self) -> tuple[int, int, float]:
        return _middles(self.counts) if self.counts.sum() >= _FEWEST else (_LUNG_HU, _TISSUE_HU, 0.5)


def _counts(values: np.ndarray) -> np.ndarray:
    """How many voxels have each value from -6000 to 6000 HU, padding and the ends of the scale left out."""
    stride = max(1, round((values.size / _ENOUGH_VOXELS) ** 0.5))
    some = values[:, ::stride, ::stride]
    counts = np.bincount(
        (np.clip(np.rint(some), -_EDGE_HU, _EDGE_HU).astype(np.int64) + _EDGE_HU).ravel(), minlength=2 * _EDGE_HU + 1
    )
    sums = np.concatenate([[0], np.cumsum(counts)])
    at = np.arange(len(counts))
    near = sums[np.minimum(at + _NEAR_HU + 1, len(counts))] - sums[np.maximum(at - _NEAR_HU, 0)]
    counts[counts > _SPIKE * near] = 0
    counts[[0, -1]] = 0
    return counts


def _middles(counts: np.ndarray) -> tuple[int, int, float]:
    """Medians of the darker and the brighter voxels, parted where both are most alike (Otsu), and the share of the
    darker.
    """
    hu = np.arange(len(counts), dtype=float) - _EDGE_HU
    below = np.cumsum(counts).astype(float)
    total, sums = below[-1], np.cumsum(counts * hu)
    inside = (below > 0) & (below < total)
    between = np.zeros(len(counts))
    np.divide((sums[-1] * below / total - sums) ** 2, below * (total - below), out=between, where=inside)
    cut = int(np.argmax(between))
    darker, brighter = int(below[cut]), int(total - below[cut])
    lung, tissue = np.searchsorted(below, (darker / 2, darker + brighter / 2))
    return int(lung) - _EDGE_HU, int(tissue) - _EDGE_HU, darker / total
