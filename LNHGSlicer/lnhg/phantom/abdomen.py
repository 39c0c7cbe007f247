"""The diaphragm and the organs below it."""

from __future__ import annotations

import numpy as np

from .grids import STEP, Array, Space
from .layers import SOFT, Layer, layer
from .shapes import Body, smooth_max


def diaphragm_distance(space: Space) -> Array:
    x, y = space.grid.x - 10, space.grid.y[:, None] + 35
    middle = (-90 - 22 * ((x / 52) ** 2 + (y / 45) ** 2) ** 1.2)[None].astype(np.float32)
    height = np.maximum(np.maximum(_dome(space, -1, -60), _dome(space, 1, -72)), middle)
    steep = np.sqrt(1 + sum(slope**2 for slope in np.gradient(height[0], STEP)))
    return ((height - space.z) / steep).astype(np.float32)


def _dome(space: Space, side: float, top: float) -> Array:
    """Height of a dome of the diaphragm above each point of the plane, `[1, row, column]`."""
    x, y = space.grid.x - side * 66, space.grid.y[:, None] + 6
    out = np.sqrt((x / 63) ** 2 + (y / 88) ** 2)
    drop = 52 + 24 * np.tanh(y / 40)
    return (top - drop * np.minimum(out, 1.25) ** 2.3)[None].astype(np.float32)


def abdomen_layers(space: Space, cage: Array, diaphragm: Array) -> list[Layer]:
    below = -diaphragm  # negative below the diaphragm
    inside = smooth_max(cage + 3.0, below + 2.6, 4)
    edge = (space.x - 22 + 0.45 * (space.y + 20) + 8 * np.sin(space.z / 14)) / 1.1
    liver = smooth_max(inside, edge, 14)
    liver = smooth_max(liver, -(np.sqrt(space.x**2 + (space.y - 52) ** 2) - 42), 10)
    vessels = Body(space)
    vessels.tube([(-22, 8, -92), (-52, -4, -86), (-88, 6, -96)], [5, 4, 2])
    vessels.tube([(-22, 6, -92), (-44, -36, -92), (-62, -58, -104)], [5, 3.5, 2])
    vessels.tube([(-20, 4, -140), (-48, 4, -128), (-78, 22, -130), (-98, 30, -122)], [6, 5, 3.5, 2])
    spleen = Body(space).ball((88, 42, -112), (27, 42, 44)).distance
    spleen = smooth_max(smooth_max(spleen, inside, 4), -(np.sqrt((space.x - 50) ** 2 + (space.y - 20) ** 2) - 26), 8)
    stomach = Body(space).ball((62, -18, -116), (36, 40, 34)).distance
    stomach = smooth_max(smooth_max(stomach, inside + 1, 6), 4 - liver, 6)
    content = stomach + 4
    gas = np.maximum(content, space.y + 34)
    leaf = np.maximum(np.abs(diaphragm - 1.2) - 2.4, cage + 0.5)
    return [
        layer(np.maximum(leaf, -140 - space.z), SOFT),
        layer(liver, 98 + 4 * space.grain),
        layer(np.maximum(vessels.distance, liver), 135.0),
        layer(spleen, 112 + 4 * space.grain),
        layer(stomach, 70.0),
        layer(content, 18 + 12 * space.grain),
        layer(gas, -985.0),
    ]
