"""The inner face of the chest wall: the lungs lie inside, the ribs on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .grids import Array, Point, Space
from .shapes import superellipse

HEIGHTS = (-150, -110, -60, 0, 50, 90, 118, 150)  # mm; outlines are given at these
_CAGE_HALF = (127, 130, 130, 124, 111, 90, 66, 56)
CAGE_FRONT = (-90, -91, -90, -83, -70, -54, -42, -36)
_CAGE_BACK = (78, 84, 89, 92, 88, 79, 67, 60)
_EGG = 0.12


def cage_distance(space: Space) -> Array:
    """Distance to the inner face, mm, negative inside."""
    middle = (space.knots(HEIGHTS, CAGE_FRONT) + space.knots(HEIGHTS, _CAGE_BACK)) / 2
    depth = (space.knots(HEIGHTS, _CAGE_BACK) - space.knots(HEIGHTS, CAGE_FRONT)) / 2
    # The chest is narrower in front than behind.
    egg = 1 + _EGG * np.clip((space.y - middle) / depth, -1, 1)
    return superellipse(space.x / egg, space.y - middle, space.knots(HEIGHTS, _CAGE_HALF), depth)


def on_cage(angle_degrees: float, z: float, side: float, out: float) -> Point:
    """The point `out` mm outside the chest's inner face, at an angle from the back midline."""
    angle = np.deg2rad(angle_degrees)
    a = _at(z, _CAGE_HALF) + out
    front, back = _at(z, CAGE_FRONT) - out, _at(z, _CAGE_BACK) + out
    behind = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.8
    x = a * np.sin(angle) ** 0.8 * (1 + _EGG * behind)
    y = (back - front) / 2 * behind
    return side * float(x), float((back + front) / 2 + y), z


def _at(z: float, values: Sequence[float]) -> float:
    return float(np.interp(z, HEIGHTS, values))
