"""Spine, ribs, sternum and shoulders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .cage import CAGE_FRONT, HEIGHTS, on_cage
from .grids import Array, Space
from .layers import Layer, layer
from .shapes import Body, smooth_max, superellipse

_VERTEBRA_PITCH, _FIRST_VERTEBRA_Z = 23.5, 135.0
_RIB_DROP = (36, 58, 74, 86, 94, 98, 100, 100, 98, 90, 55, 25)
_RIB_END = (146, 146, 146, 145, 143, 140, 136, 130, 122, 112, 88, 58)
_CARTILAGE_Z = (96, 70, 42, 16, -8, -26, -38)


@dataclass(frozen=True, eq=False)
class Bones:
    hard: Array  # ribs, spine, sternum, shoulder: distance to their surface
    spine: Array  # the vertebral column alone, with its discs
    back: Array  # canal, arches and the muscles beside them
    gristle: Array  # discs and the cartilages of the ribs
    canal: Array


def build_bones(space: Space) -> Bones:
    hard, gristle = Body(space), Body(space)
    spine, back, canal = _spine(space, hard, gristle)
    hard.distance = np.maximum(hard.distance, -canal)
    for number in range(1, 13):
        for side in (-1.0, 1.0):
            _rib(hard, gristle, number, side)
    _sternum(space, hard)
    for side in (-1.0, 1.0):
        _shoulder(hard, side)
    return Bones(hard.distance, spine, back, gristle.distance, canal)


def bone_layers(space: Space, bones: Bones) -> list[Layer]:
    return [
        layer(bones.gristle, 95 + 10 * space.grain),
        layer(np.maximum(bones.canal, -150 - space.z), 22.0),
        layer(bones.canal + 3.4, 44.0),
        layer(bones.hard, 720 + 60 * space.grain),
        layer(bones.hard + 1.5, 165 + 45 * space.grain),
    ]


def spine_y(z: float) -> float:
    """The middle of the vertebral body at height z: the curve of the thoracic spine."""
    return float(np.interp(z, (-150, -60, 0, 50, 100, 150), (42, 52, 54, 50, 41, 31)))


def _spine(space: Space, hard: Body, gristle: Body) -> tuple[Array, Array, Array]:
    """Draw vertebrae and discs; returns the distances to the column, to all that lies behind it, and to the canal."""
    heights = np.arange(-170, 171, 10)
    middle = np.interp(space.z, heights, [spine_y(float(z)) for z in heights]).astype(np.float32)
    size = space.knots((-150, 150), (1.12, 0.86))
    phase = (space.z - _FIRST_VERTEBRA_Z + _VERTEBRA_PITCH / 2) % _VERTEBRA_PITCH - _VERTEBRA_PITCH / 2
    waist = 1 - 0.09 * np.cos(phase * (np.pi / 20))
    column = superellipse(space.x, space.y - middle, 19.5 * size, 15.5 * size)
    body = superellipse(space.x, space.y - middle, 19.5 * size * waist, 15.5 * size * waist)
    hard.distance = smooth_max(body, np.abs(phase) - 9.2, 2.5)
    gristle.distance = np.maximum(column + 1.0, 9.6 - np.abs(phase))
    for number in range(14):
        _vertebral_arch(hard, _FIRST_VERTEBRA_Z + _VERTEBRA_PITCH * (1 - number))
    canal = np.sqrt((space.x / 1.15) ** 2 + (space.y - middle - 23.5) ** 2) - 7.6
    back = superellipse(space.x, space.y - middle - 47, np.full_like(size, 60), np.full_like(size, 26))
    return column, back, canal


def _vertebral_arch(hard: Body, z: float) -> None:
    y = spine_y(z)
    tip = min(y + 58, 107.0)
    hard.tube([(0, y + 34, z - 2), (0, (y + 34 + tip) / 2, z - 12), (0, tip, z - 24)], [3.6, 3.0, 3.4], 2)
    for side in (-1.0, 1.0):
        hard.tube([(side * 12, y + 10, z + 3), (side * 13, y + 25, z + 2)], [4.6, 4.4], 3)
        hard.tube([(side * 13, y + 25, z), (side * 7, y + 31, z - 3), (0, y + 35, z - 5)], [4.0, 3.4, 3.6], 3)
        transverse = [(side * 13, y + 26, z + 1), (side * 24, y + 32, z + 3), (side * 32, y + 35, z + 4)]
        hard.tube(transverse, [4.4, 3.8, 4.6], 3)
        hard.ball((side * 14, y + 27, z - 10), (4.5, 4, 7), blend=2)


def _rib(hard: Body, gristle: Body, number: int, side: float) -> None:
    """Rib `number` (1 to 12) from its vertebra down and round to the front, and its cartilage to the sternum."""
    z = _FIRST_VERTEBRA_Z - _VERTEBRA_PITCH * (number - 1) + 8
    y = spine_y(z)
    angles = np.linspace(30, _RIB_END[number - 1], 32)
    share = (angles - 30) / (146 - 30)
    heights = z - 4 - _RIB_DROP[number - 1] * (share / share[-1]) ** 1.15
    path = [on_cage(angle, height, side, 5.2) for angle, height in zip(angles, heights, strict=True)]
    hard.tube([(side * 19, y + 6, z), (side * 28, y + 20, z), path[0], path[2]], [4.6, 3.6, 4.0, 4.0], 1)
    points = np.array(path)
    along = np.gradient(points, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    outward = points * (1, 1, 0) - (0, 10, 0)
    outward -= (outward * along).sum(1, keepdims=True) * along
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    for point, forward, normal in zip(points, along, outward, strict=True):
        frame = np.stack([normal, forward, np.cross(normal, forward)])
        hard.ball(tuple(point), (3.7, 13.0, 6.6), frame)
    if number <= len(_CARTILAGE_Z):
        bend = np.linspace(0, 1, 6)
        target = _CARTILAGE_Z[number - 1]
        angle_end = 172 if number > 1 else 165
        curve = [
            on_cage(angles[-1] + (angle_end - angles[-1]) * t, heights[-1] + (target - heights[-1]) * t**1.6, side, 6)
            for t in bend
        ]
        gristle.tube(curve, 5.2, 1)


def _sternum(space: Space, hard: Body) -> None:
    width = space.knots((-62, -50, -30, 20, 60, 72, 90, 104), (5, 8, 15, 16, 13, 15, 27, 23))
    front = space.knots(HEIGHTS, CAGE_FRONT) - 7.5
    plate = superellipse(space.x, space.y - front, width, np.full_like(width, 5.6))
    ends = np.maximum(space.z - 104, -60 - space.z)
    joint = 1.2 - np.abs(space.z - 68)  # the gap between manubrium and body
    hard.distance = np.minimum(hard.distance, np.maximum(smooth_max(plate, ends, 4), joint))


def _shoulder(hard: Body, side: float) -> None:
    """Clavicle, scapula and the head of the humerus, arms raised."""
    clavicle = [(side * 21, -58, 103), (side * 60, -62, 114), (side * 105, -40, 128), (side * 148, -14, 138)]
    hard.tube(clavicle, [8, 5.5, 5.5, 6.5])
    lower, inner, socket = (np.array(p, float) for p in ((122, 70, 12), (74, 91, 106), (146, 20, 122)))
    normal = np.cross(inner - lower, socket - lower)
    normal /= np.linalg.norm(normal)
    for u in np.linspace(0, 1, 13):
        for v in np.linspace(0, 1, 13):
            if u + v <= 1:
                point = lower + u * (inner - lower) + v * (socket - lower)
                bulge = 7 * 4 * u * v + 3 * (1 - u - v)
                point = point - np.sign(normal[1]) * normal * bulge * -1
                first = np.array([0, 0, 1.0]) - normal[2] * normal
                first /= np.linalg.norm(first)
                frame = np.stack([normal, first, np.cross(normal, first)]) * (side, 1, 1)
                hard.ball((side * point[0], point[1], point[2]), (2.3, 9, 9), frame, 1)
    edge = [tuple(p * (side, 1, 1)) for p in (lower, lower * 0.5 + socket * 0.5 + (0, 3, 0), socket)]
    hard.tube(edge, [4, 4.5, 8], 2)
    hard.tube([(side * 84, 94, 92), (side * 118, 76, 118), (side * 152, 44, 138)], [3.5, 5, 6], 2)
    hard.ball((side * 150, 6, 146), (21, 21, 22))
