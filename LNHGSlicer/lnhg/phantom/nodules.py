"""The planted nodules: their kinds, places, shapes and tissue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from .chest import Chest
from .grids import SUBSLICES, Array, Grid, heights_within
from .simulated_nodules import SimulatedNodule, simulate
from .vessels import Vessels

KINDS = ("solid", "cavitary", "ground glass", "juxta-vascular", "juxta-pleural")
_DIAMETERS = {
    "solid": (9, 14),
    "cavitary": (17, 22),
    "ground glass": (13, 19),
    "juxta-vascular": (8, 12),
    "juxta-pleural": (11, 16),
}
_Placed = list[tuple[Array, float]]  # centres and radii


@dataclass(frozen=True, eq=False)
class Nodule:
    """A planted nodule: its kind, its centre (LPS mm) and its body."""

    kind: str
    centre: Array
    body: SimulatedNodule


def plan_nodules(chest: Chest, vessels: Vessels, rng: np.random.Generator) -> tuple[Nodule, ...]:
    """One nodule of each kind in the order of `KINDS`, then a small one; the largest are placed first."""
    kinds = [*KINDS, str(rng.choice(["solid", "juxta-vascular", "juxta-pleural"]))]
    diameters = [rng.uniform(*_DIAMETERS[kind]) for kind in KINDS] + [rng.uniform(5.5, 7)]
    placed: _Placed = []
    nodules: dict[int, Nodule] = {}
    for number in sorted(range(len(kinds)), key=lambda n: -diameters[n]):
        radius = diameters[number] / 2
        centre = place_in_chest(chest, vessels, kinds[number], radius, placed, rng)
        placed.append((centre, radius))
        nodules[number] = _nodule(kinds[number], centre, radius, number == 0, rng)
    return tuple(nodules[number] for number in range(len(kinds)))


def place_in_chest(
    chest: Chest, vessels: Vessels, kind: str, radius: float, placed: _Placed, rng: np.random.Generator
) -> Array:
    """A centre (LPS mm) that suits the kind, away from the other nodules and in the lung with fewer of them."""
    points = _candidates(chest, vessels, kind, radius, rng)
    keep = np.abs(points[:, 2]) < 95
    keep &= chest.space.sample(chest.diaphragm, points) < -radius - 8
    for centre, other in placed:
        keep &= np.linalg.norm(points - centre, axis=1) > radius + other + 25
    points = points[keep]
    balance = sum(np.sign(centre[0]) for centre, _ in placed)
    wanted = points[points[:, 0] * balance <= 0] if balance else points
    points = wanted if len(wanted) else points
    return points[rng.integers(len(points))]


def _candidates(chest: Chest, vessels: Vessels, kind: str, radius: float, rng: np.random.Generator) -> Array:
    starts, widths = vessels.blood[:, :3].astype(float), vessels.blood[:, 6]
    if kind == "juxta-vascular":
        fit = (widths > 1.3) & (widths < 2.4) & (chest.space.sample(chest.lung, starts) < -2 * radius - 6)
        along = vessels.blood[fit, 3:6] - vessels.blood[fit, :3]
        across = np.cross(along, rng.standard_normal(along.shape))
        across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-6
        return (vessels.blood[fit, :3] + vessels.blood[fit, 3:6]) / 2 + across * (widths[fit, None] + 0.6 * radius)
    low, high = (-140, -100, -100), (140, 110, 100)
    points = rng.uniform(low, high, (60000, 3))
    depth = -chest.space.sample(chest.lung, points)
    if kind == "juxta-pleural":
        wall = -chest.space.sample(chest.cage, points)
        return points[(depth > 0.2 * radius) & (depth < 0.45 * radius) & (np.abs(wall - depth) < 1.6)]
    points = points[depth > 1.2 * radius + 5][:4000]
    large = cKDTree(np.vstack([starts[widths > 1.3], vessels.airway[:, :3]]))
    return points[large.query(points)[0] > radius + 4]


def _nodule(kind: str, centre: Array, radius: float, spiculated: bool, rng: np.random.Generator) -> Nodule:
    glass, cavitary = kind == "ground glass", kind == "cavitary"
    return Nodule(kind, centre, simulate(radius, rng, spiculated=spiculated, ground_glass=glass, cavitary=cavitary))


def draw_nodule(hu: Array, labels: Array, label: int, grid: Grid, chest: Chest, nodule: Nodule) -> None:
    span = 2.3 * nodule.body.radius + np.array(grid.step[::-1])
    box = grid.box(nodule.centre - span, nodule.centre + span)
    z = heights_within(grid.z[box[0]], grid.step[0], SUBSLICES)
    x, y, z = grid.x[box[2]], grid.y[box[1], None], z[:, None, None]
    points = np.stack(np.broadcast_arrays(x, y, z), -1).astype(np.float64)
    edge = max(grid.step[2], nodule.body.softness)
    share, tissue = nodule.body.at(points - nodule.centre, edge)
    share *= np.clip(0.5 - chest.space.sample(chest.lung, points.reshape(-1, 3)).reshape(share.shape) / edge, 0, 1)

    def per_slice(values: Array) -> Array:
        return values.reshape(len(z) // SUBSLICES, SUBSLICES, *values.shape[1:]).mean(1)

    whole, here = per_slice(share), hu[box]
    painted = here + per_slice(share * tissue) - whole * here
    # Vessels show through ground glass, and the one that a nodule hangs on runs past it; others end at the nodule.
    hu[box] = np.maximum(here, painted) if nodule.kind in ("ground glass", "juxta-vascular") else painted
    labels[box][whole >= min(0.5, whole.max())] = label
