"""Simulated nodules: bodies of random shape and tissue, for the synthetic chest and for pasting into real scans."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

Array = np.ndarray

_CAVITY_HU = -970.0
_SOLID_HU = 28.0, 50.0
_GLASS_HU = -620.0, -570.0
# Diameters of pasted ones, mm; the small ones are the most frequent.
_DIAMETERS_MM = 4.0, 30.0
_CAVITARY_FROM_MM = 12.0


@dataclass(frozen=True, eq=False)
class SimulatedNodule:
    """A body about a centre: radius(u) = mean radius * (1 + sum of surface harmonics), and spikes.

    Attributes:
        radius: mean radius, mm.
        poles: axes of the harmonics, unit vectors `[m, 3]`; degree m + 2 about each, with its amplitude.
        spikes: directions of spicules, unit vectors `[n, 3]`.
        hu: mean HU of its tissue.
        unevenness: standard deviation of its tissue, HU.
        softness: width of its edge, mm.
        lattice: random field for its uneven inside, unit deviation, one node each 1.6 mm.
        inside: radius of another tissue within (a cavity, or the solid core of ground glass) as a share; 0 for none.
        inside_hu: HU of that tissue.
    """

    radius: float
    poles: Array
    amplitudes: Array
    spikes: Array
    hu: float
    unevenness: float
    softness: float
    lattice: Array
    inside: float
    inside_hu: float

    def reach(self, directions: Array) -> Array:
        """Radius along unit vectors `[..., 3]`, mm."""
        shape = np.ones(directions.shape[:-1], np.float32)
        for degree, (pole, amplitude) in enumerate(zip(self.poles, self.amplitudes, strict=True), 2):
            shape += amplitude * np.polynomial.legendre.legval(directions @ pole, np.eye(degree + 1)[degree])
        for number, spike in enumerate(self.spikes):
            shape += (0.35 + 0.13 * (number % 5)) * np.exp(60 * (directions @ spike - 1))
        return self.radius * shape

    def at(self, offset: Array, edge: float) -> tuple[Array, Array]:
        """How far points `[..., 3]` (mm from the centre) are filled, 0 to 1 over an `edge` in mm, and by what HU."""
        distance = np.linalg.norm(offset, axis=-1)
        directions = offset / (distance[..., None] + 1e-6)
        share = np.clip(0.5 + (self.reach(directions) - distance) / edge, 0, 1)
        texture = ndimage.map_coordinates(self.lattice, np.moveaxis(offset / 1.6, -1, 0), order=1, mode="grid-wrap")
        tissue = self.hu + texture * self.unevenness
        if self.inside:
            # The wall is uneven: the inside's outline leans towards one side and has its own lobes.
            off_centre = np.linalg.norm(offset - 0.12 * self.radius, axis=-1)
            depth = self.inside * self.reach(-directions[..., ::-1]) - off_centre
            tissue = tissue + np.clip(0.5 + depth / edge, 0, 1) * (self.inside_hu - tissue)
        return share, tissue


def simulate(
    radius: float,
    rng: np.random.Generator,
    *,
    spiculated: bool = False,
    ground_glass: bool = False,
    cavitary: bool = False,
    solid_core: bool = False,
) -> SimulatedNodule:
    """A nodule of `radius` mm, solid unless it is `ground_glass`."""
    poles = _unit(rng.standard_normal((5, 3)))
    amplitudes = rng.uniform(0.5, 1.0, 5) * (0.17, 0.13, 0.10, 0.06, 0.04)
    spikes = _unit(rng.standard_normal((24 if spiculated else 0, 3)))
    lattice = ndimage.gaussian_filter(rng.standard_normal((24, 24, 24)), 0.8, mode="wrap")
    hu = rng.uniform(*(_GLASS_HU if ground_glass else _SOLID_HU))
    inside, inside_hu = 0.0, 0.0
    if cavitary:
        inside, inside_hu = rng.uniform(0.52, 0.6), _CAVITY_HU
    elif solid_core:
        inside, inside_hu = rng.uniform(0.25, 0.6), rng.uniform(*_SOLID_HU)
    unevenness, softness = (32.0, 2.0) if ground_glass else (11.0, 0.8)
    lattice /= lattice.std()
    return SimulatedNodule(radius, poles, amplitudes, spikes, hu, unevenness, softness, lattice, inside, inside_hu)


def any_nodule(rng: np.random.Generator) -> SimulatedNodule:
    """A nodule of any size and kind: 6 in 10 solid, 2 in 10 ground glass, 2 in 10 with a solid core in ground glass."""
    diameter = float(np.exp(rng.uniform(*np.log(_DIAMETERS_MM))))
    glass, core = rng.random() < 0.4, rng.random() < 0.5
    cavitary = not glass and diameter >= _CAVITARY_FROM_MM and rng.random() < 0.25
    spiculated = not glass and rng.random() < 0.25
    return simulate(
        diameter / 2, rng, spiculated=spiculated, ground_glass=glass, cavitary=cavitary, solid_core=glass and core
    )


def sections(nodule: SimulatedNodule, heights: Array, thickness: float, pixel_mm: float) -> tuple[Array, Array]:
    """Slices of `thickness` mm through a nodule at `heights` (mm from its centre, `[n]`) on square pixels about its
    centre.

    Returns the share of each pixel that the nodule fills, and the HU of what fills it, float32 `[n, y, x]`.
    """
    edge = max(pixel_mm, nodule.softness)
    half = int(np.ceil((2 * nodule.radius + edge) / pixel_mm))
    axis = np.arange(-half, half + 1) * pixel_mm
    parts = max(1, round(thickness))
    z = heights[:, None] + ((np.arange(parts) + 0.5) / parts - 0.5) * thickness
    offset = np.stack(np.broadcast_arrays(axis, axis[:, None], z[..., None, None]), -1)
    share, tissue = nodule.at(offset, edge)
    whole = share.mean(1)
    hu = np.divide((share * tissue).mean(1), whole, out=np.full(whole.shape, nodule.hu), where=whole > 0)
    return whole.astype(np.float32), hu.astype(np.float32)


def _unit(vectors: Array) -> Array:
    """Vectors `[..., 3]` brought to length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
