"""The CT's grid and the coarse grid that organs are drawn on, both around the isocentre."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

FIELD_MM = 360.0  # width and height of the field of view
LENGTH_MM = 300.0  # length of the chest, feet to head
STEP = 3.0  # cell of the coarse grid, mm
SUBSLICES = 3  # heights within a slice at which fine structures are drawn

Array = np.ndarray
Point = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Grid:
    """Voxel centres along z, y and x (LPS mm) and the voxel's size (z, y, x)."""

    z: Array
    y: Array
    x: Array
    step: tuple[float, float, float]

    @classmethod
    def over_chest(cls, shape: Sequence[int]) -> Grid:
        lengths = (LENGTH_MM, FIELD_MM, FIELD_MM)
        step = tuple(length / size for length, size in zip(lengths, shape, strict=True))
        axes = [(np.arange(n) + 0.5) * h - n * h / 2 for n, h in zip(shape, step, strict=True)]
        z, y, x = (axis.astype(np.float32) for axis in axes)
        return cls(z, y, x, (step[0], step[1], step[2]))

    @classmethod
    def coarse(cls) -> Grid:
        """The grid of cells that organs are drawn on."""
        return cls.over_chest((round(LENGTH_MM / STEP), round(FIELD_MM / STEP), round(FIELD_MM / STEP)))

    @property
    def ijk_to_ras(self) -> Array:
        matrix = np.diag([-self.step[2], -self.step[1], self.step[0], 1.0])
        matrix[:3, 3] = -self.x[0], -self.y[0], self.z[0]
        return matrix

    def ranges(self, low: Array, high: Array) -> tuple[Array, Array]:
        """First voxels, and those after the last (z, y, x), between points `[..., (x, y, z)]`; equal outside of the
        grid.
        """
        first = np.array([self.z[0], self.y[0], self.x[0]], float)
        size = (len(self.z), len(self.y), len(self.x))
        starts = np.ceil((low[..., ::-1] - first) / self.step).astype(int)
        stops = np.floor((high[..., ::-1] - first) / self.step).astype(int) + 1
        return np.clip(starts, 0, size), np.clip(stops, 0, size)

    def box(self, low: Array, high: Array) -> tuple[slice, slice, slice]:
        """The same for one pair of points, as slices."""
        (k0, j0, i0), (k1, j1, i1) = (ends.tolist() for ends in self.ranges(low, high))
        return slice(k0, k1), slice(j0, j1), slice(i0, i1)


class Space:
    """The coarse grid with warped coordinates, so that no shape drawn in them is quite regular."""

    def __init__(self, rng: np.random.Generator, warp_mm: float = 2.2) -> None:
        self.grid = grid = Grid.coarse()
        self.shape = shape = (len(grid.z), len(grid.y), len(grid.x))
        self.grain = self.noise(rng, 7)  # the texture of tissues
        self.x, self.y, self.z = (
            np.broadcast_to(axis, shape) + self.noise(rng, 40) * np.float32(warp_mm)
            for axis in (grid.x, grid.y[:, None], grid.z[:, None, None])
        )

    def noise(self, rng: np.random.Generator, size_mm: float) -> Array:
        """A smooth random field of unit deviation whose blobs are about `size_mm` wide."""
        stride = max(1, round(size_mm / STEP / 3))
        small = [n // stride + 4 for n in self.shape]
        field = ndimage.gaussian_filter(rng.standard_normal(small, np.float32), size_mm / STEP / stride / 2)
        field = (field - field.mean()) / field.std()
        if stride == 1:
            return np.ascontiguousarray(field[: self.shape[0], : self.shape[1], : self.shape[2]])
        for axis, n in enumerate(self.shape):
            weights = cubic_weights(np.arange(n) / stride + 1, small[axis])
            field = np.moveaxis(np.tensordot(weights, field, (1, axis)), 0, axis)
        return np.ascontiguousarray(field, np.float32)

    def knots(self, heights: Sequence[float], values: Sequence[float]) -> Array:
        """A figure that changes with height, given at some heights (ascending), at every cell."""
        fine = np.linspace(-170, 170, 341)
        curve = ndimage.gaussian_filter1d(np.interp(fine, heights, values), 8, mode="nearest")
        return np.interp(self.z, fine, curve).astype(np.float32)

    def sample(self, field: Array, points: Array) -> Array:
        """Values of a coarse field at points `[n, (x, y, z)]`."""
        grid = self.grid
        first = np.array([grid.x[0], grid.y[0], grid.z[0]], float)
        return ndimage.map_coordinates(field, ((points - first) / STEP).T[::-1], order=1, mode="nearest")


def heights_within(z: Array, thickness: float, count: int) -> Array:
    """`count` heights evenly within each slice, in order."""
    offsets = ((np.arange(count) + 0.5) / count - 0.5).astype(np.float32) * np.float32(thickness)
    return (z[:, None] + offsets).ravel()


def cubic_weights(places: Array, n: int) -> Array:
    """Catmull-Rom weights `[place, node]` to interpolate at fractional node numbers; ends are repeated."""
    base = np.floor(places).astype(int)
    t = places - base
    parts = (
        -0.5 * t + t**2 - 0.5 * t**3,
        1 - 2.5 * t**2 + 1.5 * t**3,
        0.5 * t + 2 * t**2 - 1.5 * t**3,
        -0.5 * t**2 + 0.5 * t**3,
    )
    weights = np.zeros((len(places), n), np.float32)
    for offset, part in enumerate(parts, -1):
        np.add.at(weights, (np.arange(len(places)), np.clip(base + offset, 0, n - 1)), part)
    return weights
