"""The lungs and their fissures."""

from __future__ import annotations

import numpy as np

from .bones import Bones
from .cage import CAGE_FRONT, HEIGHTS
from .grids import Array, Space
from .layers import LUNG, Layer, layer
from .mediastinum import Mediastinum
from .shapes import smooth_max, smooth_min


def lung_distance(space: Space, cage: Array, diaphragm: Array, bones: Bones, organs: Mediastinum) -> Array:
    """Inside the cage, above the diaphragm, below the apical domes, and outside of the mediastinum and its fat."""
    core = organs.heart - 3.5
    for organ, fat in (
        (organs.aorta, 2.2),
        (organs.pulmonary, 1.8),
        (organs.veins, 2.2),
        (organs.gullet, 2.0),
        (organs.airway, 2.0),
        (organs.nodes, 2.0),
        (bones.spine, 3.0),
        (bones.back, 1.0),
    ):
        core = smooth_min(core, organ - fat, 9)
    front = space.knots(HEIGHTS, CAGE_FRONT)
    seam = np.abs(space.x - 3) - 2.6 - 0.55 * np.maximum(0, 16 - (space.y - front))
    seam -= 7 * np.clip((-space.z - 20) / 60, 0, 1)
    core = smooth_min(core, np.maximum(seam, space.y - 48), 9)
    # The domes lean forward and down with the first ribs.
    x, y = np.abs(space.x) - 44, space.y - 24
    apex = space.z - (121 + 0.22 * y - 12 * (x / 36) ** 2 - 14 * (y / 58) ** 2)
    slope = np.sqrt(1 + (x / 54) ** 2 + (y / 120) ** 2)
    lung = smooth_max(cage + 0.9, (apex / slope).astype(np.float32), 8)
    lung = smooth_max(lung, diaphragm + 1.5, 2.5)
    lung = smooth_max(lung, 1.0 - (bones.hard - 0.5), 2)
    return smooth_max(lung, -core, 5)


def fissure_distances(space: Space) -> tuple[Array, Array]:
    bend = 7 * np.cos(space.x / 38) + 4 * np.sin(space.y / 45)
    oblique = ((space.z - 44) - 1.02 * (space.y - 85) + bend) / 1.43
    horizontal = space.z + 2 + 0.10 * space.y + 6 * np.cos((space.x + 80) / 40)
    return oblique.astype(np.float32), horizontal.astype(np.float32)


def lung_layers(space: Space, lung: Array, oblique: Array, horizontal: Array, rng: np.random.Generator) -> list[Layer]:
    """Parenchyma, denser towards the back, and the thin sheets of the fissures."""
    gravity = 0.22 * (space.y + 10)
    texture = 9 * space.noise(rng, 30) + 13 * space.noise(rng, 6)
    right = np.maximum(lung, space.x)
    return [
        layer(lung, LUNG + gravity + texture),
        layer(oblique, -690.0, 0.35, lung + 0.5),
        layer(horizontal, -700.0, 0.3, np.maximum(right, -oblique) + 0.5),
    ]
