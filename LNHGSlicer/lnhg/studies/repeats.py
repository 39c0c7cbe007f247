"""Repeated scans: how much the sizes of a nodule change when it is scanned again, and how far they are from the truth.

Known solids are drawn into the synthetic chest, real nodules come from cut-outs; each is scanned several times,
shifted, turned, with new noise, with each of four protocols.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations

import numpy as np
from scipy import ndimage
from scipy.optimize import linprog

from ..core.ct import CT
from ..data.cutouts import Cutout
from ..errors import InputError
from ..evaluation.seeded import centre_of
from ..networks.models import Models
from ..options import Options
from ..phantom.chest import Chest, build_chest
from ..phantom.grids import Grid
from ..phantom.nodules import Nodule as PlantedNodule
from ..phantom.nodules import draw_nodule, place_in_chest
from ..phantom.painting import render
from ..phantom.simulated_nodules import SimulatedNodule, simulate
from ..phantom.vessels import Vessels, draw_vessels, grow_vessels
from ..pipeline import segment
from ..stages.measurement import measure_nodules
from ..stages.place import LungShape
from ..stages.size_intervals import PROTOCOLS, SIZES, Conditions, SizeUncertainty

KINDS = ("solid", "juxta-vascular", "juxta-pleural", "ground glass")
_SEEDS_ONLY = Options(seeds_only=True)
_PIXEL_MM = 0.7
# What is drawn around a solid on each side, mm: what the networks and the measures look at.
_AROUND_MM = 22.0
_TRUTH_STEP_MM = 0.2
# A repeat is turned by up to this, degrees.
_TURN = 4.0


@dataclass(frozen=True)
class Protocol:
    """How a scan is made.

    Attributes:
        slice_mm: thickness and distance of the slices; a cut-out keeps its own where that is more.
        blur_mm: standard deviation of the kernel's blur in the slice.
        noise_hu: standard deviation of the noise.
    """

    name: str
    slice_mm: float
    blur_mm: float
    noise_hu: float


PROTOCOL_LIST = (
    Protocol("thin", 1.0, 0.45, 22.0),
    Protocol("smooth", 1.25, 0.75, 12.0),
    Protocol("sharp, low dose", 1.0, 0.35, 45.0),
    Protocol("thick", 2.5, 0.45, 15.0),
)


@dataclass(frozen=True, eq=False)
class Scanned:
    """One scan of a nodule: the CT, a point in the nodule (RAS mm), and the voxels that it fills at least half."""

    ct: CT
    seed: np.ndarray
    filled: np.ndarray


@dataclass(frozen=True)
class Repeat:
    """What was measured in one scan of one nodule. NaN where the nodule was not outlined.

    Attributes:
        nodule: its number.
        protocol: the protocol's name.
        truth: its volume, mm3; NaN of real nodules.
        conditions: as the outline tells them.
        sizes: by the names of `SIZES`; besides `soft_volume`, the volume to the edge of G(x) between voxels.
    """

    nodule: int
    kind: str
    protocol: str
    truth: float
    conditions: Conditions
    sizes: dict[str, float]


# ---------------------------------------------------------------- nodules


@dataclass(frozen=True, eq=False)
class KnownSolid:
    """A body of known shape in the synthetic chest."""

    chest: Chest
    vessels: Vessels
    planted: PlantedNodule

    @property
    def kind(self) -> str:
        return self.planted.kind

    @cached_property
    def truth(self) -> float:
        """Volume of the body inside the lung, counted on a grid of 0.2 mm; mm3."""
        reach = 2.3 * self.planted.body.radius
        steps = np.arange(-reach, reach + _TRUTH_STEP_MM, _TRUTH_STEP_MM)
        count = 0
        for z in steps:
            points = np.stack(np.broadcast_arrays(steps, steps[:, None], z), -1)
            distance = np.linalg.norm(points, axis=-1)
            inside = self.planted.body.reach(points / (distance[..., None] + 1e-6)) > distance
            if inside.any():
                count += int((self.chest.space.sample(self.chest.lung, points[inside] + self.planted.centre) < 0).sum())
        return count * _TRUTH_STEP_MM**3

    def scan(self, protocol: Protocol, rng: np.random.Generator) -> Scanned:
        """Drawn anew on a grid that lies anywhere; the body is turned a little."""
        step = (protocol.slice_mm, _PIXEL_MM, _PIXEL_MM)
        half = _AROUND_MM + self.planted.body.radius
        middle = self.planted.centre[::-1] + rng.uniform(-0.5, 0.5, 3) * step
        axes = [(np.arange(-round(half / h), round(half / h) + 1) * h + m) for h, m in zip(step, middle, strict=True)]
        z, y, x = (axis.astype(np.float32) for axis in axes)
        grid = Grid(z, y, x, step)
        hu = render(self.chest.layers, grid)
        draw_vessels(hu, grid, self.chest, self.vessels)
        labels = np.zeros(hu.shape, np.uint16)
        draw_nodule(hu, labels, 1, grid, self.chest, replace(self.planted, body=_turned(self.planted.body, rng)))
        ndimage.gaussian_filter(hu, (0, protocol.blur_mm / _PIXEL_MM, protocol.blur_mm / _PIXEL_MM), output=hu)
        ct = CT(_with_noise(hu, protocol, rng), grid.ijk_to_ras)
        return Scanned(ct, self.planted.centre * (-1, -1, 1), labels > 0)


@dataclass(frozen=True, eq=False)
class RealNodule:
    """A nodule of a cut-out, with the readers' consensus as its outline."""

    cutout: Cutout
    kind: str = "real"
    truth: float = float("nan")

    def scan(self, protocol: Protocol, rng: np.random.Generator) -> Scanned:
        """Sampled anew on a grid that is shifted and turned, breathed in a little more or less, with new noise."""
        ct = self.cutout.ct
        step = np.array([max(ct.spacing[2], protocol.slice_mm), ct.spacing[1], ct.spacing[0]])
        old = np.array(ct.spacing[::-1])
        shape = np.maximum(3, np.floor(np.array(ct.hu.shape) * old / step)).astype(int)
        turn = _rotation(rng) @ np.diag(1 + rng.normal(0, 0.01, 3))
        turn /= np.cbrt(np.linalg.det(turn))  # breathing stretches one way and presses the other
        matrix = np.linalg.inv(np.diag(old)) @ turn @ np.diag(step)
        middle = (np.array(ct.hu.shape) - 1) / 2
        offset = middle - matrix @ ((shape - 1) / 2 + rng.uniform(-0.5, 0.5, 3))
        blur = np.sqrt(np.maximum(0, step**2 - old**2) / 12) / old
        hu = ndimage.gaussian_filter(ct.hu.astype(np.float32), blur)
        hu = ndimage.affine_transform(hu, matrix, offset, tuple(shape), order=3, mode="nearest")
        share = ndimage.affine_transform(self.cutout.share, matrix, offset, tuple(shape), order=1)
        ndimage.gaussian_filter(hu, (0, *(protocol.blur_mm / 2 / step[1:])), output=hu)
        turned = CT(_with_noise(hu, protocol, rng), np.diag([-step[2], -step[1], step[0], 1.0]))
        filled = share >= 0.5
        return Scanned(turned, turned.to_ras(np.array(centre_of(filled))), filled)


def known_solids(count: int, seed: int) -> Iterator[KnownSolid]:
    """Bodies of 4 to 20 mm: every fourth a sphere, the others irregular; free, at vessels, at the pleura, or faint,
    of which half have a solid core."""
    rng = np.random.default_rng(seed)
    chest = build_chest(rng)
    vessels = grow_vessels(chest, rng)
    for number in range(count):
        kind = KINDS[rng.choice(len(KINDS), p=(0.4, 0.2, 0.2, 0.2))]
        most = 6.0 if kind == "juxta-vascular" else 10.0  # vessels wide enough for larger ones lie too near the hilum
        radius = float(np.exp(rng.uniform(*np.log((2.0, most)))))
        glass = kind == "ground glass"
        body = simulate(radius, rng, ground_glass=glass, solid_core=glass and number % 2 == 0)
        if number % 4 == 0:
            body = replace(body, amplitudes=np.zeros_like(body.amplitudes))
        centre = place_in_chest(chest, vessels, kind, radius, [], rng)
        yield KnownSolid(chest, vessels, PlantedNodule(kind, centre, body))


def _turned(body: SimulatedNodule, rng: np.random.Generator) -> SimulatedNodule:
    turn = _rotation(rng)
    return replace(body, poles=body.poles @ turn, spikes=body.spikes @ turn)


def _rotation(rng: np.random.Generator) -> np.ndarray:
    """A turn by up to 4 degrees about any axis."""
    x, y, z = rng.uniform(-1, 1, 3) * np.radians(_TURN)
    turn, _ = np.linalg.qr(np.array([[1, -z, y], [z, 1, -x], [-y, x, 1]]))
    return np.asarray(turn * np.sign(np.diag(turn)))


def _with_noise(hu: np.ndarray, protocol: Protocol, rng: np.random.Generator) -> np.ndarray:
    """HU with noise whose grain is that of the protocol's kernel, int16."""
    grain = ndimage.gaussian_filter(rng.standard_normal(hu.shape, np.float32), (0, *[protocol.blur_mm] * 2))
    return np.clip(np.rint(hu + grain * (protocol.noise_hu / grain.std())), -1024, 3071).astype(np.int16)


# ---------------------------------------------------------------- measuring


def measured_repeats(
    nodules: Sequence[KnownSolid | RealNodule],
    repeats: int,
    models: Models | None,
    seed: int = 0,
    report: Callable[[float], None] = lambda fraction: None,
) -> list[Repeat]:
    """Each nodule scanned `repeats` times with each protocol.

    `models` None: outlines are the voxels that the nodule fills at least half, for what hangs on no network.
    """
    rows = []
    for number, nodule in enumerate(nodules):
        rng = np.random.default_rng((seed, number))
        for protocol in PROTOCOL_LIST:
            for _ in range(repeats):
                rows.append(_measured(number, nodule, protocol, nodule.scan(protocol, rng), models))
        report((number + 1) / len(nodules))
    return rows


def _measured(
    number: int, nodule: KnownSolid | RealNodule, protocol: Protocol, scanned: Scanned, models: Models | None
) -> Repeat:
    outline, soft = (scanned.filled, np.nan) if models is None else _outlined(scanned, models)
    ct = scanned.ct
    if not outline.any():
        unknown = Conditions(np.nan, ct.spacing[2], np.nan, subsolid=False)
        nothing = dict.fromkeys((*SIZES, "soft_volume"), np.nan)
        return Repeat(number, nodule.kind, protocol.name, nodule.truth, unknown, nothing)
    flat, lungs = np.zeros(outline.shape, np.float32), LungShape(ct, np.ones(outline.shape, np.uint8))
    (row,) = measure_nodules(
        ct, outline.astype(np.uint8), flat, flat, lungs, statuses=["seeded"], scores=[None], rim_mm=1.0
    )
    subsolid = row.type in ("part-solid", "ground glass")
    conditions = Conditions(row.equivalent_diameter, ct.spacing[2], row.attached, subsolid)
    sizes = {name: getattr(row, name) for name in SIZES}
    return Repeat(number, nodule.kind, protocol.name, nodule.truth, conditions, sizes | {"soft_volume": soft})


def _outlined(scanned: Scanned, models: Models) -> tuple[np.ndarray, float]:
    """The method's own outline from a seed, and its volume to the edge of G(x) between the voxels, mm3."""
    result = segment(scanned.ct, _SEEDS_ONLY, [scanned.seed.tolist()], models=models)
    outline = result.labels > 0
    if not outline.any():
        return outline, np.nan
    box = tuple(slice(max(0, one.start - 2), one.stop + 2) for one in ndimage.find_objects(outline.astype(np.uint8))[0])
    inside, image = outline[box], result.image[box]
    edge = min(1.0, float(image[inside].max())) * models.threshold("generator", None)
    near = ndimage.binary_dilation(inside)
    fine = ndimage.zoom(np.where(near, image, 0), 3, order=1, grid_mode=True, mode="nearest")
    return outline, float((fine > edge).sum()) / 27 * scanned.ct.voxel_volume


# ---------------------------------------------------------------- uncertainties


@dataclass(frozen=True)
class Pair:
    """Two scans of one nodule: a size in each, and the conditions of the first."""

    nodule: int
    conditions: Conditions
    first: float
    second: float


def pairs(rows: Sequence[Repeat], size: str, protocol: str) -> list[Pair]:
    """All pairs of scans of one nodule, either first: with the `same` protocol, or each with an `other` one."""
    by_nodule: dict[int, list[Repeat]] = {}
    for row in rows:
        if row.sizes[size] > 0:
            by_nodule.setdefault(row.nodule, []).append(row)
    return [
        Pair(one.nodule, one.conditions, one.sizes[size], two.sizes[size])
        for some in by_nodule.values()
        for one, two in permutations(some, 2)
        if (one.protocol == two.protocol) == (protocol == "same")
    ]


def moved_mm(size: str, pair: Pair) -> float:
    """How far the edge moved from the first scan to the second, as `SizeUncertainty` counts it, mm."""
    if SIZES[size]:
        return abs(float(np.log(pair.second / pair.first))) * pair.conditions.diameter / 6
    return abs(pair.second - pair.first)


def fitted_weights(size: str, some: Sequence[Pair], share: float = 0.95) -> tuple[float, ...]:
    """The four weights, none below 0, for which `share` of the pairs lie within: quantile regression as a linear
    program.
    """
    if not some:
        raise InputError(f"No nodule has two scans with {size}; measure more nodules or repeats.")
    terms = np.array([pair.conditions.terms() for pair in some])
    moved = np.array([moved_mm(size, pair) for pair in some])
    n, m = terms.shape
    cost = np.concatenate([np.zeros(m), np.full(n, share), np.full(n, 1 - share)])
    equal = np.hstack([terms, np.eye(n), -np.eye(n)])
    solved = linprog(cost, A_eq=equal, b_eq=moved, bounds=(0, None), method="highs")
    return tuple(round(float(one), 4) for one in solved.x[:m])


def uncertainty(rows: Sequence[Repeat], generator: str, sizes: Sequence[str] = tuple(SIZES)) -> SizeUncertainty:
    """Fitted to all pairs of scans of these nodules."""
    weights = {
        size: {protocol: fitted_weights(size, pairs(rows, size, protocol)) for protocol in PROTOCOLS} for size in sizes
    }
    return SizeUncertainty(weights, generator, {})


def coverage(rows: Sequence[Repeat], size: str, protocol: str, known: SizeUncertainty) -> list[tuple[float, bool]]:
    """For each pair the diameter of the first scan, and whether the second lies in the interval of the first."""
    return [
        (
            pair.conditions.diameter,
            known.interval(size, protocol, pair.first, pair.conditions).holds(pair.second),
        )
        for pair in pairs(rows, size, protocol)
    ]
