"""Signed distances to simple shapes, and their unions and intersections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from .grids import Array, Point, Space, cubic_weights

_FAR = 30.0  # distance given to cells that no shape reaches, mm


def smooth_min(a: Array, b: Array, k: float) -> Array:
    """The union of two shapes with a fillet of about `k` mm (polynomial smooth minimum)."""
    if k == 0:
        return np.minimum(a, b)
    share = np.maximum(k - np.abs(a - b), 0) / k
    return np.minimum(a, b) - share * share * (k / 4)


def smooth_max(a: Array, b: Array, k: float) -> Array:
    """The intersection of two shapes with a rounded edge of about `k` mm."""
    return -smooth_min(-a, -b, k)


def cone_distance(x: Array, y: Array, z: Array, a: Array, b: Array, ra: float, rb: float) -> Array:
    """Distance to a round cone from `a` (radius `ra`) to `b` (radius `rb`)."""
    axis = np.asarray(b, np.float32) - np.asarray(a, np.float32)
    length2 = float(axis @ axis) + 1e-6
    px, py, pz = x - np.float32(a[0]), y - np.float32(a[1]), z - np.float32(a[2])
    t = px * (axis[0] / length2) + py * (axis[1] / length2) + pz * (axis[2] / length2)
    np.clip(t, 0, 1, out=t)
    qx, qy, qz = px - t * axis[0], py - t * axis[1], pz - t * axis[2]
    return np.sqrt(qx * qx + qy * qy + qz * qz) - (np.float32(ra) + t * np.float32(rb - ra))


def superellipse(x: Array, y: Array, a: Array, b: Array) -> Array:
    """Distance, to first order, to the curve (|x| / a)^2.5 + (|y| / b)^2.5 = 1 in each plane."""
    u, v = np.abs(x) / a + 1e-4, np.abs(y) / b + 1e-4
    up, vp = u * np.sqrt(u), v * np.sqrt(v)
    total = u * up + v * vp
    norm = total**0.4
    gradient = np.sqrt((up / a) ** 2 + (vp / b) ** 2) * norm / total
    return ((norm - 1) / np.maximum(gradient, 1e-3)).astype(np.float32)


class Body:
    """A union of simple shapes on the coarse grid; `blend` is the fillet, mm, where a shape joins what is there."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.distance = np.full(space.shape, _FAR, np.float32)

    def _add(self, low: Array, high: Array, blend: float, distance: Callable[..., Array]) -> None:
        reach = 12.0 + blend
        box = self.space.grid.box(low - reach, high + reach)
        here = self.distance[box]
        if here.size:
            space = self.space
            here[...] = smooth_min(here, distance(space.x[box], space.y[box], space.z[box]), blend)

    def ball(self, centre: Point, radii: Point, frame: Array | None = None, blend: float = 0) -> Body:
        """An ellipsoid; rows of `frame` are the directions of its radii."""
        middle, size = np.array(centre, np.float32), np.array(radii, np.float32)
        turn = np.eye(3, dtype=np.float32) if frame is None else np.asarray(frame, np.float32)

        def distance(x: Array, y: Array, z: Array) -> Array:
            px, py, pz = x - middle[0], y - middle[1], z - middle[2]
            q = [px * u[0] + py * u[1] + pz * u[2] for u in turn]
            near = np.sqrt(sum((c / r) ** 2 for c, r in zip(q, size, strict=True))) + 1e-4
            far = np.sqrt(sum((c / (r * r)) ** 2 for c, r in zip(q, size, strict=True))) + 1e-4
            return near * (near - 1) / far

        # The span of a turned ellipsoid along each axis.
        span = np.sqrt(((turn * size[:, None]) ** 2).sum(0))
        self._add(middle - span, middle + span, blend, distance)
        return self

    def tube(self, points: Sequence[Point], radii: Sequence[float] | float, blend: float = 0) -> Body:
        """A smooth tube through `points`, with the radius at each."""
        size = np.broadcast_to(np.asarray(radii, float), len(points))
        path = _spline(np.array(points, float), size)
        for start, end in pairwise(path):
            a, b, reach = start[:3], end[:3], max(start[3], end[3])

            def distance(x: Array, y: Array, z: Array, a: Array = start, b: Array = end) -> Array:
                return cone_distance(x, y, z, a[:3], b[:3], a[3], b[3])

            self._add(np.minimum(a, b) - reach, np.maximum(a, b) + reach, blend, distance)
        return self


def _spline(points: Array, radii: Array, spacing: float = 7.0) -> Array:
    """A Catmull-Rom curve through `points`: rows (x, y, z, radius), about `spacing` mm apart."""
    rows = np.column_stack([points, radii])
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    counts = np.maximum(1, np.ceil(lengths / spacing)).astype(int)
    places = np.concatenate([k + np.arange(n) / n for k, n in enumerate(counts)] + [[len(points) - 1.0]])
    padded = np.vstack([2 * rows[0] - rows[1], rows, 2 * rows[-1] - rows[-2]])
    return cubic_weights(places + 1, len(padded)) @ padded
