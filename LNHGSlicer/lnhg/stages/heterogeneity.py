"""The paper's heterogeneity map h(x), and the figures of a map of any kind.

Strong (red) is where G(x) falls far below its maximum: at sharp edges and in uneven insides; weak (blue) is where the
generator is sure. Every nodule has a rim of strong values from partial volume alone; `rim_mask` tells it from the core.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from scipy import ndimage

from ..core.boxes import box_around, grown_box, label_boxes
from ..core.masks import depth_in, reach
from ..core.nodule import HeterogeneityFigures

#: Value of a map outside the nodules.
OUTSIDE = -1.0
_ENTROPY_BINS = 32


class Indexed(Protocol):
    """Voxels `[slice, row, column]` that are read box by box: an array, or G(x) on the network grid (`NoduleImage`)."""

    def __getitem__(self, box: Any, /) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class NoduleMap:
    """A map that takes memory only where there are nodules; indexed by a box it gives the values there, -1 outside.

    Attributes:
        shape: of the whole, `(slices, rows, columns)`.
        parts: for each label its nodule's box, and the values in it: float32, 0..1 in the nodule, -1 outside.
    """

    shape: tuple[int, ...]
    parts: Mapping[int, tuple[tuple[slice, ...], np.ndarray]]

    @property
    def box(self) -> tuple[slice, ...]:
        """The smallest box with all nodules."""
        return box_around(box for box, _ in self.parts.values())

    def __getitem__(self, box: tuple[slice, ...]) -> np.ndarray:
        ranges = [range(*one.indices(size)) for one, size in zip(box, self.shape, strict=True)]
        result = np.full([len(one) for one in ranges], OUTSIDE, np.float32)
        for place, values in self.parts.values():
            ends = [(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(ranges, place, strict=True)]
            if all(first < end for first, end in ends):
                there = result[_moved(ends, [one.start for one in ranges])]
                np.maximum(there, values[_moved(ends, [one.start for one in place])], out=there)
        return result

    def whole(self) -> np.ndarray:
        """The values everywhere."""
        return self[tuple(slice(0, size) for size in self.shape)]


def _moved(ends: Sequence[tuple[int, int]], origin: Sequence[int]) -> tuple[slice, ...]:
    """A box as an index of an array that begins at `origin`."""
    return tuple(slice(first - start, end - start) for (first, end), start in zip(ends, origin, strict=True))


def heterogeneity_map(
    image: Indexed, labels: np.ndarray, kind: str = "inverse", normalisation: str = "scan"
) -> np.ndarray:
    """h(x) = 1 - (G(x) - min) / (max - min) inside the nodules, clipped to 0..1.

    Args:
        image: G(x), float `[slice, row, column]`.
        labels: fused nodules, integer, same shape; 0 outside.
        kind: `inverse`, as above, or `intensity`: the normalised G(x), not turned round.
        normalisation: where min and max are taken: `scan`: min is 0, max over the voxels of all nodules; `nodule`: over
            the voxels of each nodule; `slice`: over each whole axial slice, as in the paper.

    Returns:
        float32, same shape; -1 outside the nodules. Where max equals min it is flat: 0 (`inverse`), 1 (`intensity`).
    """
    return map_of_outlines(image, labels.shape, _outlines(labels), kind, normalisation).whole()


def raw_ct_in_same_colours(
    hu: np.ndarray, labels: np.ndarray, kind: str = "inverse", normalisation: str = "scan"
) -> NoduleMap:
    """The raw CT as if it were G(x), to compare with the map: arguments and values as for `heterogeneity_map`.

    0 HU is no natural lower end, so `scan` takes min as well as max over the voxels of all nodules.
    """
    return map_of_outlines(hu, labels.shape, _outlines(labels), kind, normalisation, raw_ct=True)


def map_of_outlines(
    image: Indexed,
    shape: tuple[int, ...],
    outlines: Mapping[int, tuple[tuple[slice, ...], np.ndarray]],
    kind: str,
    normalisation: str,
    *,
    raw_ct: bool = False,
) -> NoduleMap:
    """`heterogeneity_map` (`raw_ct`: `raw_ct_in_same_colours`) of nodules that are given one by one, not as a label
    map.

    Args:
        image: G(x), or HU.
        shape: of the whole volume.
        outlines: for each number the box of a nodule `[slice, row, column]`, and which voxels in it belong to it.
        kind, normalisation: as there.
    """
    if kind not in ("inverse", "intensity"):
        raise ValueError(f"Unknown kind of map: {kind!r}.")
    if normalisation not in ("scan", "nodule", "slice"):
        raise ValueError(f"Unknown normalisation: {normalisation!r}.")
    nodules, scan_minimum = list(outlines.values()), None if raw_ct else 0.0
    ranges = _ranges(image, shape, nodules, normalisation, scan_minimum) if nodules else []
    parts = {}
    for number, (box, nodule), (low, high) in zip(outlines, nodules, ranges, strict=True):
        flat = high <= low
        normalised = np.where(flat, 1, (image[box] - low) / np.where(flat, 1, high - low)).clip(0, 1)
        values = 1 - normalised if kind == "inverse" else normalised
        parts[number] = box, np.where(nodule, values, OUTSIDE).astype(np.float32)
    return NoduleMap(shape, parts)


def _outlines(labels: np.ndarray) -> dict[int, tuple[tuple[slice, ...], np.ndarray]]:
    return {number: (box, labels[box] == number) for number, box in label_boxes(labels).items()}


def _ranges(
    image: Indexed,
    shape: tuple[int, ...],
    nodules: Sequence[tuple[tuple[slice, ...], np.ndarray]],
    normalisation: str,
    scan_minimum: float | None,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Min and max for each nodule (its box and its mask in it), float32: one value, or one for each slice of the
    box.
    """
    if normalisation == "slice":
        slices = (
            [image[k, 0 : shape[1], 0 : shape[2]] for k in range(box[0].start, box[0].stop)] for box, _ in nodules
        )
        ends = [(np.array([one.min() for one in some]), np.array([one.max() for one in some])) for some in slices]
        return [(low[:, None, None].astype(np.float32), high[:, None, None].astype(np.float32)) for low, high in ends]
    ends = [
        (np.float32(inside.min()), np.float32(inside.max())) for inside in (image[box][mask] for box, mask in nodules)
    ]
    if normalisation == "scan":
        low = min(low for low, _ in ends) if scan_minimum is None else scan_minimum
        ends = [(np.float32(low), np.float32(max(high for _, high in ends)))] * len(ends)
    return [(np.asarray(low), np.asarray(high)) for low, high in ends]


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
