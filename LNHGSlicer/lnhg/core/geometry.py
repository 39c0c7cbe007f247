"""What follows from a grid (4 x 4, voxel (i, j, k) to RAS mm) or a volume alone."""

from __future__ import annotations

import numpy as np


def spacing_of(ijk_to_ras: np.ndarray) -> tuple[float, float, float]:
    """Distance of neighbouring voxels along (i, j, k) = (column, row, slice), mm."""
    i, j, k = np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    return float(i), float(j), float(k)


def voxel_volume_of(ijk_to_ras: np.ndarray) -> float:
    """Volume of one voxel, mm3; right for sheared grids too."""
    return float(abs(np.linalg.det(ijk_to_ras[:3, :3])))


def corners_apart(one: np.ndarray, other: np.ndarray, shape: tuple[int, ...]) -> float:
    """How far two grids of one `shape` (slice, row, column) lie apart, mm: largest distance of their corners."""
    k, j, i = (np.array([0, size - 1]) for size in shape)
    corners = np.stack([*(axis.ravel() for axis in np.meshgrid(i, j, k)), np.ones(8)])
    return float(np.linalg.norm((one - other) @ corners, axis=0).max())


def equivalent_diameter(volume: float) -> float:
    """Diameter of the sphere of a volume; mm from mm3."""
    return float(np.cbrt(6 * volume / np.pi))


def slice_axes(ijk_to_ras: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors in the plane of the slices, at right angles in a sheared grid too: along a row, and down it
    (RAS).
    """
    column, row = ijk_to_ras[:3, 0], ijk_to_ras[:3, 1]
    along = column / np.linalg.norm(column)
    down = row - (row @ along) * along
    return along, down / np.linalg.norm(down)
