"""The vessels and airways inside the lungs: trees that grow to every part of a lobe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .chest import Chest
from .grids import FIELD_MM, LENGTH_MM, STEP, SUBSLICES, Array, Grid, Point, heights_within
from .layers import AIR, LUNG, SOFT
from .mediastinum import ARTERY_END, BRONCHUS_END, LOWER_VEIN_END, UPPER_VEIN_END
from .shapes import cone_distance

_BLOOD = 150.0  # HU
_TIP_RADIUS_MM, _MURRAY = 0.6, 2.8  # radius of a last branch; r^2.8 of a parent is the sum over its children
_ARTERY_CELL_MM, _VEIN_CELL_MM = 14.5, 17.0  # one last branch in a cube of this side
_AIRWAY_LEAVES = 8  # an airway is drawn down to branches that feed this many tips


@dataclass(frozen=True, eq=False)
class _Tree:
    """Nodes of a branching tree, parents before children; the first node is the root.

    Attributes:
        points: `[n, 3]`, LPS mm.
        parents: index of each node's parent; -1 for the root.
        leaves: number of tips that each node's branch feeds.
    """

    points: Array
    parents: Array
    leaves: Array

    @property
    def radii(self) -> Array:
        """Murray's law with a low exponent: r = tip * leaves^(1 / 2.8)."""
        return _TIP_RADIUS_MM * self.leaves ** (1 / _MURRAY)


@dataclass(frozen=True, eq=False)
class Vessels:
    """Short straight pieces, rows (ax, ay, az, bx, by, bz, radius at a, radius at b), mm."""

    blood: Array
    airway: Array


def grow_vessels(chest: Chest, rng: np.random.Generator) -> Vessels:
    blood, airway = [], []
    for side in (-1, 1):
        lobes = _lobe_points(chest, side, _ARTERY_CELL_MM, rng)
        arteries = _grow(chest, ARTERY_END[side], lobes, rng)
        blood.append(_pieces(arteries, arteries.radii))
        airway.append(_airway_pieces(arteries, BRONCHUS_END[side], side))
        lobes = _lobe_points(chest, side, _VEIN_CELL_MM, rng)
        for root, drained in ((UPPER_VEIN_END[side], lobes[1:]), (LOWER_VEIN_END[side], lobes[:1])):
            veins = _grow(chest, root, drained, rng)
            blood.append(_pieces(veins, veins.radii))
    return Vessels(_inside(chest, np.vstack(blood)), _inside(chest, np.vstack(airway)))


def _lobe_points(chest: Chest, side: int, cell_mm: float, rng: np.random.Generator) -> list[Array]:
    """Places of the tips in each lobe of a lung (lower lobe first): a jittered lattice 7 mm off pleura and fissures."""
    axes = [np.arange(-length / 2, length / 2, cell_mm) for length in (FIELD_MM, FIELD_MM, LENGTH_MM)]
    lattice = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    points = lattice + rng.uniform(-0.45, 0.45, lattice.shape) * cell_mm
    points = points[points[:, 0] * side > 0]
    points = points[chest.space.sample(chest.lung, points) < -7]
    oblique = chest.space.sample(chest.oblique, points)
    lower, rest = points[oblique < -4], points[oblique > 4]
    if side > 0:
        return [lower, rest]
    horizontal = chest.space.sample(chest.horizontal, rest)
    return [lower, rest[horizontal > 4], rest[horizontal < -4]]


def _grow(chest: Chest, root: Point, groups: Sequence[Array], rng: np.random.Generator) -> _Tree:
    """A tree that reaches every point: each branch heads for the middle of its points, then shares them out in two."""
    nodes, parents = [np.array(root)], [-1]
    leaves = [sum(len(group) for group in groups)]
    stack = [(0, np.zeros(3), group) for group in groups if len(group)]
    while stack:
        parent, heading, points = stack.pop()
        start = nodes[parent]
        way = points.mean(0) - start
        if len(points) == 1:
            end = points[0]
        else:
            length = float(np.linalg.norm(way))
            direction = way / (length + 1e-6) + 0.6 * heading + 0.07 * rng.standard_normal(3)
            direction /= np.linalg.norm(direction)
            end = start + direction * max(2.5, length * rng.uniform(0.32, 0.5))
        nodes.append(end)
        parents.append(parent)
        leaves.append(len(points))
        if len(points) > 1:
            step = (end - start) / (np.linalg.norm(end - start) + 1e-6)
            spread = points - points.mean(0)
            spread -= np.outer(spread @ step, step)
            axis = np.linalg.eigh(spread.T @ spread)[1][:, -1]
            order = np.argsort(spread @ axis)
            cut = int(np.clip(round(len(points) * rng.uniform(0.3, 0.7)), 1, len(points) - 1))
            for half in (order[:cut], order[cut:]):
                stack.append((len(nodes) - 1, step, points[half]))
    return _Tree(_kept_in_lung(chest, np.array(nodes)), np.array(parents), np.array(leaves))


def _kept_in_lung(chest: Chest, points: Array) -> Array:
    """Nodes that strayed out of the lung, moved back in; those near the root stay."""
    slopes = np.gradient(chest.lung, STEP)
    moved = points.copy()
    free = np.linalg.norm(points - points[0], axis=1) > 22
    for _ in range(3):
        excess = np.maximum(chest.space.sample(chest.lung, moved) + 4.5, 0) * free
        pull = np.stack([chest.space.sample(slopes[axis], moved) for axis in (2, 1, 0)], 1)
        moved -= pull * (excess / np.maximum((pull**2).sum(1), 0.25))[:, None]
    return moved


def _pieces(tree: _Tree, radii: Array, used: Array | None = None) -> Array:
    """The tree's branches as bent chains of short cones (rows of `Vessels`), each leaving along its parent's way."""
    rows = []
    for node in range(1, len(tree.points)):
        if used is not None and not used[node]:
            continue
        parent = tree.parents[node]
        start, end = tree.points[parent], tree.points[node]
        length = float(np.linalg.norm(end - start))
        bend = np.zeros(3)
        if parent > 0:
            incoming = start - tree.points[tree.parents[parent]]
            bend = incoming / (np.linalg.norm(incoming) + 1e-6) * length * 0.35
        else:
            bend = (end - start) * 0.35
        count = max(1, round(length / 6))
        t = np.linspace(0, 1, count + 1)[:, None]
        curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * (start + bend) + t**2 * end
        wide = min(radii[parent], 1.25 * radii[node])
        size = wide + (radii[node] - wide) * t
        rows.append(np.hstack([curve[:-1], curve[1:], size[:-1], size[1:]]))
    return np.vstack(rows)


def _airway_pieces(arteries: _Tree, root: Point, side: int) -> Array:
    """Airways beside the arteries: the same branching, shifted sideways by both radii; the lumen's radius."""
    radii = 0.82 * arteries.radii
    radii[0] = 4.8
    steps = arteries.points - arteries.points[np.maximum(arteries.parents, 0)]
    steps /= np.linalg.norm(steps, axis=1, keepdims=True) + 1e-6
    toward = np.array([-0.35 * side, 0.35, 0.87])
    across = toward - (steps @ toward)[:, None] * steps
    across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-6
    points = arteries.points + across * (arteries.radii + radii + _wall(radii) + 0.2)[:, None]
    points[0] = root
    return _pieces(_Tree(points, arteries.parents, arteries.leaves), radii, arteries.leaves >= _AIRWAY_LEAVES)


def _wall(lumen_radius: Array) -> Array:
    """Thickness of an airway's wall, mm."""
    return 0.35 + 0.12 * lumen_radius


def _inside(chest: Chest, pieces: Array) -> Array:
    """Without the pieces that would run outside of the lungs; the hila lie just outside and stay."""
    distance = chest.space.sample(chest.lung, (pieces[:, :3] + pieces[:, 3:6]) / 2)
    return pieces[(distance < 0) | ((distance < 14) & (pieces[:, 6] > 1.8))].astype(np.float32)


def draw_vessels(hu: Array, grid: Grid, chest: Chest, vessels: Vessels) -> None:
    walls = vessels.airway.copy()
    walls[:, 6:] += _wall(walls[:, 6:])
    for box, share in _cone_shares(grid, vessels.blood):
        np.maximum(hu[box], LUNG + share * (_BLOOD - LUNG), out=hu[box])
    for box, share in _cone_shares(grid, walls):
        np.maximum(hu[box], LUNG + share * (SOFT - LUNG), out=hu[box])
    for box, share in _cone_shares(grid, vessels.airway):
        hu[box] += share * (AIR - hu[box])


def _cone_shares(grid: Grid, pieces: Array) -> Iterator[tuple[tuple[slice, slice, slice], Array]]:
    """Each cone's box on the grid and the share of each voxel that it fills."""
    heights, half = heights_within(grid.z, grid.step[0], SUBSLICES), grid.step[2] / 2
    reach = pieces[:, 6:].max(1, keepdims=True) + np.array(grid.step[::-1], np.float32)
    starts, stops = grid.ranges(
        np.minimum(pieces[:, :3], pieces[:, 3:6]) - reach, np.maximum(pieces[:, :3], pieces[:, 3:6]) + reach
    )
    for piece, (k0, j0, i0), (k1, j1, i1) in zip(pieces, starts.tolist(), stops.tolist(), strict=True):
        if k1 <= k0 or j1 <= j0 or i1 <= i0:
            continue
        z = heights[k0 * SUBSLICES : k1 * SUBSLICES, None, None]
        radius = float(piece[6])
        depth = (
            cone_distance(grid.x[i0:i1], grid.y[j0:j1, None], z, piece[:3], piece[3:6], radius, float(piece[7]))
            + radius
        )
        # A vessel thinner than a voxel fills only its diameter's part of it.
        share = (np.minimum(radius - depth, half) + np.minimum(radius + depth, half)) / (2 * half)
        share = np.maximum(share, 0).reshape(k1 - k0, SUBSLICES, j1 - j0, i1 - i0).sum(1) / SUBSLICES
        yield (slice(k0, k1), slice(j0, j1), slice(i0, i1)), share
