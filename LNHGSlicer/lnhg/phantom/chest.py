"""The large organs of the chest, drawn together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .abdomen import abdomen_layers, diaphragm_distance
from .bones import bone_layers, build_bones
from .cage import cage_distance
from .grids import Array, Space
from .layers import Layer
from .lungs import fissure_distances, lung_distance, lung_layers
from .mediastinum import airway_lumen, build_mediastinum, mediastinum_layers
from .wall import wall_layers


@dataclass(frozen=True, eq=False)
class Chest:
    """The drawn chest: layers to render and the fields that vessels and nodules are placed by."""

    space: Space
    layers: list[Layer]
    lung: Array  # distance to the lungs
    cage: Array  # distance to the inner face of the chest wall
    diaphragm: Array  # distance to the diaphragm, negative above it
    oblique: Array  # distance to the oblique fissures, positive above
    horizontal: Array  # distance to the horizontal fissure of the right lung, positive above


def build_chest(rng: np.random.Generator) -> Chest:
    space = Space(rng)
    cage = cage_distance(space)
    bones = build_bones(space)
    organs = build_mediastinum(space)
    diaphragm = diaphragm_distance(space)
    lung = lung_distance(space, cage, diaphragm, bones, organs)
    oblique, horizontal = fissure_distances(space)
    layers = [
        *wall_layers(space, cage, lung, bones.back, rng),
        *abdomen_layers(space, cage, diaphragm),
        *mediastinum_layers(space, organs),
        *bone_layers(space, bones),
        *lung_layers(space, lung, oblique, horizontal, rng),
        airway_lumen(organs),
    ]
    return Chest(space, layers, lung, cage, diaphragm, oblique, horizontal)
