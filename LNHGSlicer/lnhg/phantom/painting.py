"""From anatomy to an image: layers rendered on the CT's grid, the scanner's point spread and noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import fft, ndimage
from scipy.sparse import csr_matrix

from .grids import STEP, Array, Grid, cubic_weights, heights_within
from .layers import AIR, Layer

_LAYER_HEIGHTS = 2  # heights within a slice at which layers are drawn
_PSF_SIGMA_MM = 0.45


def render(layers: Sequence[Layer], grid: Grid) -> Array:
    """All layers on the CT grid, float32 HU `[slice, row, column]`: the mean over heights within each slice."""
    coarse = Grid.coarse()
    heights = heights_within(grid.z, grid.step[0], _LAYER_HEIGHTS)
    painters = [_Painter(layer, coarse, grid, heights) for layer in layers]
    hu = np.zeros((len(grid.z), len(grid.y), len(grid.x)), np.float32)
    for k, total in enumerate(hu):
        for number in range(k * _LAYER_HEIGHTS, (k + 1) * _LAYER_HEIGHTS):
            plane = np.full_like(total, AIR)
            for painter in painters:
                painter.paint(plane, number)
            total += plane
        total /= _LAYER_HEIGHTS
    return hu


class _Painter:
    """Interpolates one layer to the CT grid and paints it over a slice."""

    def __init__(self, layer: Layer, coarse: Grid, grid: Grid, heights: Array) -> None:
        self.layer = layer
        self.solid = layer.distance if layer.within is None else layer.within
        self.pixel = grid.step[2]
        n = len(self.solid)
        places = np.clip((heights - coarse.z[0]) / STEP, 0, len(coarse.z) - 1) - layer.corner[0]
        self.reached = (places >= 0) & (places <= n - 1)
        self.heights = cubic_weights(np.clip(places, 0, n - 1), n)
        self.cuts: dict[tuple[int, int, int], csr_matrix] = {}
        self.box, self.weights, self.coarse_to_fine = [], [], []
        axes = ((grid.y, coarse.y), (grid.x, coarse.x))
        for (fine, origin), first, n in zip(axes, layer.corner[1:], layer.distance.shape[1:], strict=True):
            place = (fine - origin[0]) / STEP - first
            start, stop = np.searchsorted(place, (0, n - 1))
            self.box.append(slice(int(start), int(stop)))
            self.weights.append(csr_matrix(cubic_weights(place[start:stop], n)))
            self.coarse_to_fine.append(np.searchsorted(place[start:stop], np.arange(-2, n + 3)))

    def paint(self, plane: Array, number: int) -> None:
        """Paint over `plane` `[row, column]` at height `number`."""
        if not self.reached[number]:
            return
        layer, heights = self.layer, self.heights[number]
        field = _weighted(self.solid, heights)
        hits = field < 1.5 * STEP
        if not hits.any():
            return
        rows, columns = self._span(np.any(hits, 1), 0), self._span(np.any(hits, 0), 1)
        along, across = self._cut(0, rows), self._cut(1, columns)

        def fine(coarse: Array) -> Array:
            return along @ np.ascontiguousarray((across @ np.ascontiguousarray(coarse.T)).T)

        share = self._share(fine(field))
        if layer.sheet is not None:
            share *= self._share(np.abs(fine(_weighted(layer.distance, heights))) - layer.sheet)
        here = plane[self.box[0], self.box[1]][rows, columns]
        value = fine(_weighted(layer.hu, heights)) if isinstance(layer.hu, np.ndarray) else np.float32(layer.hu)
        here += share * (value - here)

    def _share(self, distance: Array) -> Array:
        """Share of each pixel inside: an edge one pixel wide."""
        distance *= -1 / self.pixel
        distance += 0.5
        return np.clip(distance, 0, 1, out=distance)

    def _cut(self, axis: int, span: slice) -> csr_matrix:
        """The weights of these rows or columns; neighbouring heights mostly ask for the same."""
        key = (axis, span.start, span.stop)
        if key not in self.cuts:
            self.cuts[key] = self.weights[axis][span]
        return self.cuts[key]

    def _span(self, hits: Array, axis: int) -> slice:
        """Fine rows or columns from one cell before the first hit to one cell after the last."""
        found = np.flatnonzero(hits)
        edges = self.coarse_to_fine[axis]
        return slice(int(edges[found[0] + 1]), int(edges[found[-1] + 3]))


def _weighted(field: Array, weights: Array) -> Array:
    """The weighted sum of a field's slices."""
    used = np.flatnonzero(weights)
    total = field[used[0]] * weights[used[0]]
    for k in used[1:]:
        total += field[k] * weights[k]
    return total


def blur(hu: Array, grid: Grid) -> None:
    """The point spread of the scanner in the plane of each slice."""
    for plane in hu:
        ndimage.gaussian_filter(plane, _PSF_SIGMA_MM / grid.step[2], output=plane, truncate=3, mode="nearest")


def add_noise(hu: Array, grid: Grid, rng: np.random.Generator) -> None:
    """Noise as filtered back projection leaves it: its power rises with frequency until the kernel cuts it off.

    Rays along x and along y each give streaks of their own direction; a ray's variance grows with what it crosses.
    """
    rows, columns = hu.shape[1:]
    fy = np.abs(fft.fftfreq(rows, grid.step[1]))[:, None]
    fx = fft.rfftfreq(columns, grid.step[2])
    f = np.sqrt(fy**2 + fx**2) + 1e-6
    ramp = np.sqrt(f) * np.exp(-((f / 0.42) ** 2))
    filters = [(ramp * part / f).astype(np.float32) for part in (fy, fx)]
    filters = [weights / _deviation(weights, columns) for weights in filters]
    for plane in hu:
        dense = np.clip(plane + 1000, 0, 1500) / 1000
        along_x = ndimage.gaussian_filter1d(dense.sum(1) * grid.step[2], 6)[:, None]
        along_y = ndimage.gaussian_filter1d(dense.sum(0) * grid.step[1], 6)
        spectrum = rng.standard_normal((rows, columns // 2 + 1, 2), np.float32).view(np.complex64)[..., 0]
        for weights, path in zip(filters, (along_x, along_y), strict=True):
            plane += fft.irfft2(spectrum * weights, (rows, columns)) * (3.4 * np.exp(0.0063 * path))


def _deviation(weights: Array, columns: int) -> float:
    """Deviation of the inverse transform of unit complex noise times `weights`."""
    twice = np.full(weights.shape[1], 2.0)
    twice[0] = 1
    if columns % 2 == 0:
        twice[-1] = 1
    # Each complex number has variance 2; the columns kept once stand for two.
    return float(np.sqrt(2 * (weights.astype(float) ** 2 * twice).sum()) / (weights.shape[0] * columns))
