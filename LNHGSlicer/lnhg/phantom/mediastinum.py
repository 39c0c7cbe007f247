"""The organs between the lungs: heart, great vessels, windpipe, gullet, nodes; and the thyroid above."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .bones import spine_y
from .grids import Array, Space
from .layers import Layer, layer
from .shapes import Body

# Where the vessels and main bronchi reach the right (-1) and left (1) lung.
ARTERY_END = {-1: (-44.0, 7.0, 8.0), 1: (46.0, 14.0, 20.0)}
BRONCHUS_END = {-1: (-40.0, 17.0, 12.0), 1: (46.0, 22.0, 6.0)}
UPPER_VEIN_END = {-1: (-46.0, -6.0, 2.0), 1: (48.0, -4.0, 4.0)}
LOWER_VEIN_END = {-1: (-40.0, 22.0, -18.0), 1: (46.0, 26.0, -16.0)}


@dataclass(frozen=True, eq=False)
class Mediastinum:
    """Distances to the organs between the lungs."""

    heart: Array
    chambers: Array
    aorta: Array
    pulmonary: Array
    veins: Array
    gullet: Array
    airway: Array  # outer face of the windpipe and main bronchi
    nodes: Array
    thyroid: Array


def build_mediastinum(space: Space) -> Mediastinum:
    aorta = Body(space)
    aorta.tube(
        [(2, -14, -8), (-12, -24, 14), (-17, -23, 38), (-11, -13, 60), (6, 4, 69), (21, 24, 60), (26, 38, 36)],
        [15, 16.5, 16, 15, 13.5, 12.5, 12.5],
    )
    aorta.tube([(26, 38, 36), (25, 41, 0), (20, 42, -50), (9, 30, -105), (4, 24, -150)], [12.5, 12, 11.5, 11, 10.5])
    aorta.tube([(-8, -11, 66), (-16, -12, 92), (-27, -8, 112), (-29, -12, 150)], [6.5, 6, 5, 4], 3)
    aorta.tube([(5, 2, 72), (11, -2, 95), (20, -6, 120), (25, -10, 150)], [4.5, 4, 4, 4], 3)
    aorta.tube([(16, 16, 68), (19, 11, 95), (27, 5, 116), (58, -10, 124)], [5.5, 5, 5, 4.5], 3)
    pulmonary = Body(space)
    pulmonary.tube([(14, -44, -8), (20, -34, 12), (24, -16, 24), (33, 4, 27), ARTERY_END[1]], [14, 14, 13.5, 11.5, 9])
    pulmonary.tube([(20, -20, 21), (-2, -4, 20), (-26, 4, 16), ARTERY_END[-1]], [11, 11, 10, 8.5], 4)
    veins = Body(space)
    veins.tube([(-30, -10, -16), (-30, -15, 20), (-29, -17, 50), (-27, -20, 74)], [10.5, 9, 8.5, 8])
    veins.tube([(-27, -20, 72), (-6, -33, 80), (20, -32, 92), (40, -24, 108)], [6.5, 6, 6, 6], 3)
    veins.tube([(-28, -20, 74), (-36, -22, 96), (-42, -22, 112), (-40, -18, 150)], [7.5, 7, 7, 6], 3)
    veins.tube([(40, -24, 108), (42, -18, 150)], 6)
    veins.tube([(-26, -6, -44), (-24, 4, -80), (-20, 10, -150)], [12.5, 12, 11.5])
    azygos = [(-29, -8, 44), (-24, 12, 50), (-10, 30, 44), (-8, 38, 20), (-7, 40, -60), (-6, 28, -150)]
    veins.tube(azygos, [4.5, 4.5, 4, 3.6, 3.3, 3])
    for side in (-1, 1):
        veins.tube([(side * 20, 6, -4), UPPER_VEIN_END[side]], [7.5, 6], 3)
        veins.tube([(side * 20, 13, -12), LOWER_VEIN_END[side]], [7.5, 6], 3)
    gullet = Body(space)
    course = [(5 + z * 0.02, spine_y(z) - 22.7 + z / 60, z) for z in (150.0, 110.0, 70.0, 30.0, -10.0, -50.0, -80.0)]
    gullet.tube([*course, (16, 22, -100), (34, 8, -112)], 6.2)
    airway = Body(space)
    airway.tube([(0, -4, 155), (-1, 4, 110), (-2, 10, 70), (-2, 14, 40)], [9.6, 9.6, 9.8, 10.2])
    airway.tube([(-2, 13, 42), (-18, 16, 26), BRONCHUS_END[-1]], [8.4, 8.0, 6.8], 3)
    airway.tube([(-2, 13, 42), (20, 19, 24), BRONCHUS_END[1]], [8.0, 7.4, 6.4], 3)
    nodes = Body(space)
    for centre, radii in (
        ((-16, 4, 50), (5, 4, 7)),
        ((12, 8, 38), (4, 3.5, 5)),
        ((2, 22, 22), (9, 4, 6)),
        ((-12, -30, 72), (4, 3, 5)),
        ((-3, -34, 46), (3, 3, 5)),
        ((-34, 14, 26), (4, 5, 5)),
        ((36, 18, 14), (4, 4, 5)),
    ):
        nodes.ball(centre, radii)
    thyroid = Body(space)
    for side in (-1, 1):
        thyroid.ball((side * 15, -6, 146), (8, 10, 20))
    heart, chambers = _heart(space)
    return Mediastinum(
        heart,
        chambers,
        aorta.distance,
        pulmonary.distance,
        veins.distance,
        gullet.distance,
        airway.distance,
        nodes.distance,
        thyroid.distance,
    )


def _heart(space: Space) -> tuple[Array, Array]:
    """The heart with its muscle, and the blood in its four chambers."""
    axis = np.array([0.76, -0.47, -0.45])
    axis /= np.linalg.norm(axis)
    across = np.cross(axis, [0, 0, 1.0])
    across /= np.linalg.norm(across)
    frame = np.stack([axis, across, np.cross(axis, across)])
    left, right = (30, -18, -38), (4, -42, -36)
    heart, chambers = Body(space), Body(space)
    heart.ball(left, (52, 33, 34), frame)
    heart.ball(right, (38, 25, 34), blend=8)
    heart.ball((-34, -12, -26), (25, 26, 33), blend=8)  # right atrium
    heart.ball((2, 9, -8), (31, 17, 22), blend=8)  # left atrium
    chambers.ball((27, -16, -37), (41, 21, 22), frame)
    cavity = Body(space).ball(right, (34, 21, 30)).distance
    wall = Body(space).ball(left, (52, 32, 33), frame).distance
    chambers.distance = np.minimum(chambers.distance, np.maximum(cavity, 0.5 - wall))
    chambers.ball((-34, -12, -26), (22.5, 23.5, 30))
    chambers.ball((2, 9, -8), (28, 14.5, 19.5))
    # The septum between the atria and the plane of the valves.
    septum = np.abs(space.x + 16 + 0.5 * (space.y + 4)) + 0.6 * np.maximum(0, -24 - space.y)
    chambers.distance = np.maximum(chambers.distance, 1.6 - septum)
    return heart.distance, chambers.distance


def mediastinum_layers(space: Space, organs: Mediastinum) -> list[Layer]:
    flow = 5 * space.grain
    return [
        layer(organs.nodes, 50.0),
        layer(organs.thyroid, 125.0),
        layer(organs.heart, 92 + flow),
        layer(organs.chambers, 158 + flow),
        layer(organs.veins, 148 + 2 * flow),
        layer(organs.pulmonary, 172 + flow),
        layer(organs.aorta, 158 + flow),
        layer(organs.gullet, 42.0),
        layer(np.maximum(organs.gullet + 4.2, np.abs(space.grain) * 4 - 2), -650.0),
        layer(organs.airway, 45.0),
    ]


def airway_lumen(organs: Mediastinum) -> Layer:
    return layer(organs.airway + 1.7, -995.0)
