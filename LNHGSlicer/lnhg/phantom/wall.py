"""The chest wall: skin, fat, muscles and the vessels of the armpits; and the table under it."""

from __future__ import annotations

import numpy as np

from .cage import HEIGHTS
from .grids import Array, Space
from .layers import Layer, layer
from .shapes import Body, smooth_max, superellipse

_FAT = -103.0  # HU
_BODY_HALF = (156, 158, 160, 165, 171, 175, 176, 172)
_BODY_FRONT = (-113, -114, -114, -110, -99, -84, -70, -60)
_BODY_BACK = (119, 120, 121, 122, 121, 118, 111, 102)
_TABLE_Y = 118.5


def wall_layers(space: Space, cage: Array, lung: Array, back: Array, rng: np.random.Generator) -> list[Layer]:
    """Table, skin, fat, muscles parted by fat planes, and the fat that fills the inside of the chest."""
    body_middle = (space.knots(HEIGHTS, _BODY_FRONT) + space.knots(HEIGHTS, _BODY_BACK)) / 2
    body_depth = (space.knots(HEIGHTS, _BODY_BACK) - space.knots(HEIGHTS, _BODY_FRONT)) / 2
    body = superellipse(space.x, space.y - body_middle, space.knots(HEIGHTS, _BODY_HALF), body_depth)
    body = smooth_max(body, space.y - _TABLE_Y, 14)
    thickness = space.knots((-150, -60, 40, 100, 150), (17, 13, 11, 12, 9)) + 2.2 * space.noise(rng, 60)
    muscle = body + thickness
    # Fat lies between muscles along level sheets of a smooth field, and deep in the armpits.
    planes = space.noise(rng, 34) * 17
    layering = np.abs(cage - 14 + 0.3 * planes)
    armpits = Body(space)
    for side in (-1.0, 1.0):
        armpits.ball((side * 124, -18, 62), (20, 26, 40)).ball((side * 142, 12, 20), (8, 34, 44))
    muscle = np.maximum(muscle, 1.3 - np.minimum(np.abs(planes), layering))
    muscle = smooth_max(muscle, -armpits.distance - 1.5 * space.noise(rng, 12), 4)
    muscle = np.where(cage < 9, np.minimum(muscle, np.abs(cage - 4) - 4.5), muscle)
    vessels = Body(space)
    for side in (-1.0, 1.0):
        artery = [(side * 32, 8, 118), (side * 75, -22, 118), (side * 118, -22, 96), (side * 134, -14, 60)]
        vein = [(side * 40, -14, 112), (side * 84, -36, 112), (side * 126, -30, 84), (side * 138, -22, 50)]
        vessels.tube(artery, [5, 5, 4, 3]).tube(vein, [6, 6, 5, 3])
        for z, y in ((70, -10), (52, -26), (38, 0)):
            vessels.ball((side * 126, y, z), (5, 8, 5))
    inside = cage + 0.5
    # Above the lungs the ring of the first ribs holds the muscles and vessels of the neck.
    neck = np.maximum(inside, 105 + 0.35 * space.y + 0.3 * planes - space.z)
    neck = np.maximum(neck, 4 - lung)
    beside_spine = np.maximum(np.maximum(back + 1.5, inside), body + thickness)
    return [
        *_table_layers(space),
        layer(body, 15.0),
        layer(body + 2.0, _FAT + 5 * space.grain),
        layer(muscle, 54 + 5 * space.grain),
        layer(vessels.distance, 120.0),
        layer(inside, _FAT + 6 * space.grain),
        layer(np.maximum(np.minimum(neck, beside_spine), 1.2 - np.abs(planes)), 54 + 5 * space.grain),
    ]


def _table_layers(space: Space) -> list[Layer]:
    """The two shells of the table under the back."""
    under = space.grid.y[:, None] - (_TABLE_Y + 4.5 - 17 * (space.grid.x / 170) ** 2)
    under = np.ascontiguousarray(np.broadcast_to(under, space.shape), np.float32)
    width = np.broadcast_to(np.abs(space.grid.x) - 168, space.shape)
    within = np.maximum(np.maximum(width, -under - 4), under - 34)
    return [layer(under, -620.0, 0.7, within), layer(under - 26, -120.0, 0.9, within)]
