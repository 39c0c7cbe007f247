"""Nodules with planted unevenness: cases for which it is known where a nodule is uneven, and by how many HU.

A case is a small CT, a nodule's outline on it, and the planted HU, as a scanner shows them: partial volume, the blur of
the scanner, slices of 1 to 5 mm, and noise with the grain of a kernel. Three sources:
    synthetic: a simulated nodule of even tissue in simulated lung;
    evened: a real nodule, the inside of which (beyond the outer millimetre) is set to its own median;
    as it is: a real nodule with its own unevenness, which counts as even: a clutter that no map can tell apart.
A case depends on the seed, its number and the cut-outs alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..core.ct import AIR_HU, CT
from ..core.geometry import equivalent_diameter
from ..data.cutouts import Cutout
from ..phantom.simulated_nodules import sections, simulate
from ..stages.heterogeneity_figures import rim_mask
from ..stages.scan_noise import noise_level

SYNTHETIC, EVENED, AS_IT_IS = "synthetic", "evened", "as it is"
DARK_BALL, BRIGHT_BALL, EVEN = "darker ball", "brighter ball", "even"
HALO, SOLID_PART, CAVITY = "ground-glass halo", "solid part", "cavity"
CALCIUM, NECROSIS, TEXTURE = "calcification", "necrotic centre", "texture"

#: The outer layer that is not scored, mm: partial volume hides what lies there.
RIM_MM = 1.0
_AIR_HU, _LUNG_HU, _WALL_HU = -950.0, -860.0, 40.0
_SLICES_MM = (1.0, 1.25, 2.0, 2.5, 3.0, 5.0)
_PIXELS_MM, _DIAMETERS_MM, _NOISE_HU, _GRAIN_MM, _BLUR_MM = (0.55, 0.85), (4.0, 40.0), (10.0, 60.0), (0.3, 0.7), 0.5
_BALLS_MM, _BALLS_HU = (2.0, 3.0, 4.0, 6.0, 8.0), (50.0, 100.0, 150.0, 300.0)
_GRAINS_MM, _TEXTURE_HU = (1.0, 2.0, 4.0), (30.0, 60.0, 120.0)
# A nodule with fewer voxels in its core cannot be made even.
_LEAST_CORE = 10
# No object is wider than this share of the nodule.
_WIDEST = 0.6
_KINDS = {
    DARK_BALL: 0.2,
    BRIGHT_BALL: 0.2,
    EVEN: 0.25,
    HALO: 0.05,
    SOLID_PART: 0.05,
    CAVITY: 0.05,
    CALCIUM: 0.05,
    NECROSIS: 0.05,
    TEXTURE: 0.1,
}
_SOURCES = {SYNTHETIC: 0.4, EVENED: 0.4, AS_IT_IS: 0.2}


@dataclass(frozen=True, eq=False)
class PlantedCase:
    """One nodule with what was planted in it; arrays are `[slice, row, column]`.

    Attributes:
        name: the number of the case in its sample, five digits.
        nodule_name, patient: of a real nodule; synthetic ones are each a patient of their own.
        source, kind: see above.
        ct: the CT, with the planted HU.
        nodule: bool, the outline.
        planted: float32, HU that were added, as scanned and without noise; 0 where nothing was.
        uneven: float32, distance of the planted nodule from its own typical tissue (the median in the core) in HU,
            without noise and, in a real nodule, without its own unevenness: what a map should show.
        size_mm: diameter of what was planted, or grain of the texture; NaN for even nodules.
        contrast_hu: HU of what was planted, with its sign; 0 for even nodules.
        noise_hu: standard deviation of the noise.
        depth_mm: of the middle of what was planted below the surface; NaN where that says nothing.
        ground_glass: whether the nodule is of ground glass.
    """

    name: str
    nodule_name: str
    patient: str
    source: str
    kind: str
    ct: CT
    nodule: np.ndarray
    planted: np.ndarray
    uneven: np.ndarray
    size_mm: float
    contrast_hu: float
    noise_hu: float
    depth_mm: float
    ground_glass: bool

    @property
    def diameter(self) -> float:
        """Of the sphere of the nodule's volume, mm."""
        return equivalent_diameter(np.count_nonzero(self.nodule) * self.ct.voxel_volume)

    @property
    def core(self) -> np.ndarray:
        """The nodule without its outer layer."""
        return self.nodule & ~rim_mask(self.nodule.astype(np.uint8), self.ct.spacing, RIM_MM)


@dataclass(frozen=True, eq=False)
class _Base:
    """A nodule before anything is planted: HU without noise inside, its outline, and how much noise it needs.

    Attributes:
        own_noise: HU of noise that each voxel has already.
    """

    name: str
    patient: str
    source: str
    hu: np.ndarray
    nodule: np.ndarray
    ijk_to_ras: np.ndarray
    own_noise: np.ndarray
    ground_glass: bool

    @property
    def spacing(self) -> tuple[float, float, float]:
        column, row, step = np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0).tolist()
        return column, row, step

    @property
    def diameter(self) -> float:
        return equivalent_diameter(np.count_nonzero(self.nodule) * float(np.prod(self.spacing)))


@dataclass(frozen=True, eq=False)
class _Planted:
    field: np.ndarray
    size_mm: float
    contrast_hu: float
    depth_mm: float = float("nan")


_NOTHING: Callable[[_Base], _Planted] = lambda base: _Planted(  # noqa: E731 - one line says it
    np.zeros(base.hu.shape, np.float32), float("nan"), 0.0
)


class PlantedCases(Sequence[PlantedCase]):
    """`count` cases, each made when it is asked for, from the seed and its number alone.

    Real nodules are drawn from `cutouts` evenly over their diameters.
    """

    def __init__(self, cutouts: Sequence[Cutout], count: int, seed: int) -> None:
        self._by_size = sorted(
            (one for one in cutouts if one.consensus.any()), key=lambda one: (one.diameter, one.name)
        )
        self._diameters = [one.diameter for one in self._by_size]
        self._count, self._seed = count, seed

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> PlantedCase:  # type: ignore[override]
        if number >= self._count:
            raise IndexError(number)
        return _case(number, np.random.default_rng([self._seed, number]), self._by_size, self._diameters)


def _case(
    number: int, random: np.random.Generator, cutouts: Sequence[Cutout], diameters: Sequence[float]
) -> PlantedCase:
    source = str(random.choice(list(_SOURCES), p=list(_SOURCES.values()))) if cutouts else SYNTHETIC
    kind = str(random.choice(list(_KINDS), p=list(_KINDS.values())))
    if kind == EVEN and source == AS_IT_IS:
        source = EVENED  # nobody knows how even a real nodule is
    noise = float(random.uniform(*_NOISE_HU))
    if source == SYNTHETIC:
        base = _synthetic(f"synthetic-{number:05d}", kind, random)
    else:
        # Nodules of all sizes alike: most are small, and nothing fits in those.
        largest = diameters[-1]
        wanted = float(np.exp(random.uniform(*np.log([_DIAMETERS_MM[0], min(largest, _DIAMETERS_MM[1])]))))
        place = int(np.searchsorted(diameters, wanted))
        drawn = int(np.clip(place + random.integers(-6, 7), 0, len(cutouts) - 1))
        base = _real(cutouts[drawn], source, random) or _synthetic(f"synthetic-{number:05d}", kind, random)
    planted = _plant(kind, base, random)
    if not planted.field.any():
        kind = EVEN if base.source != AS_IT_IS else kind
    clean = base.hu + planted.field
    # The scan's own noise cannot be taken away.
    more = np.sqrt(np.maximum(noise**2 - base.own_noise**2, 0))
    hu = clean + more * _noise(base.hu.shape, base.spacing, random)
    ct = CT(np.clip(np.rint(hu), AIR_HU, 3071).astype(np.int16), base.ijk_to_ras)
    case = PlantedCase(
        f"{number:05d}", base.name, base.patient, base.source, kind, ct, base.nodule, planted.field, planted.field,
        planted.size_mm, planted.contrast_hu, max(noise, float(base.own_noise.max())), planted.depth_mm,
        base.ground_glass,
    )  # fmt: skip
    core = case.core if case.core.any() else case.nodule
    return replace(case, uneven=np.abs(planted.field - np.median(planted.field[core])).astype(np.float32))


# ---------------------------------------------------------------- nodules


def _synthetic(name: str, kind: str, random: np.random.Generator) -> _Base:
    """A simulated nodule of even tissue between simulated vessels, one in four at a chest wall."""
    glass = kind == SOLID_PART or (kind != HALO and random.random() < 0.25)
    least = 12.0 if kind in (HALO, SOLID_PART, CAVITY, NECROSIS) else 7.0 if kind != EVEN else _DIAMETERS_MM[0]
    diameter = float(np.exp(random.uniform(*np.log([least, _DIAMETERS_MM[1]]))))
    pixel, step = float(random.uniform(*_PIXELS_MM)), float(random.choice(_SLICES_MM))
    body = replace(simulate(diameter / 2, random, spiculated=random.random() < 0.2, ground_glass=glass), unevenness=0.0)
    half = diameter / 2 * 1.5 + 6
    heights = np.arange(-np.ceil(half / step), np.ceil(half / step) + 1) * step + random.uniform(-step / 2, step / 2)
    share, _ = sections(body, heights, step, pixel)
    short = int(max(0, np.ceil(half / pixel) - share.shape[1] // 2))
    share = np.pad(share, [(0, 0), (short, short), (short, short)])
    spacing = (pixel, pixel, step)
    around = _surroundings(share.shape, spacing, diameter, random)
    hu = _blurred(around + share * (body.hu - around), spacing)
    nodule = ndimage.gaussian_filter(share, _widths(spacing)) > random.uniform(0.35, 0.65)  # as readers differ
    parts, _ = ndimage.label(nodule)
    nodule = parts == np.argmax(np.bincount(parts.ravel())[1:]) + 1
    grid = np.diag([-pixel, -pixel, step, 1.0])
    return _Base(name, name, SYNTHETIC, hu, nodule, grid, np.zeros(hu.shape), glass)


def _surroundings(
    shape: tuple[int, ...], spacing: tuple[float, float, float], diameter: float, random: np.random.Generator
) -> np.ndarray:
    """Lung with straight vessels beside the middle, and now and then a wall."""
    axes = [((np.arange(n) - n // 2) * step).astype(np.float32) for n, step in zip(shape, spacing[::-1], strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    hu = np.full(shape, _LUNG_HU, np.float32)
    for _ in range(4):
        along = random.normal(size=3)
        along /= np.linalg.norm(along)
        across = np.cross(along, random.normal(size=3))
        middle = across / np.linalg.norm(across) * (diameter / 2 + random.uniform(0.5, 6))
        offset = points - middle.astype(np.float32)
        far = offset @ along.astype(np.float32)
        apart = np.sqrt(np.maximum(np.einsum("...i,...i", offset, offset) - far**2, 0))
        radius = random.uniform(0.6, 1.6)
        hu += np.clip(0.5 + (radius - apart) / spacing[0], 0, 1) * (_WALL_HU - hu)
    if random.random() < 0.25:
        outwards = random.normal(size=3) * (0.3, 1, 1)
        outwards /= np.linalg.norm(outwards)
        hu += np.clip(0.5 + (points @ outwards - diameter * 0.45) / spacing[0], 0, 1) * (_WALL_HU - hu)
    return hu


def _real(cutout: Cutout, source: str, random: np.random.Generator) -> _Base | None:
    """A cut-out's nodule in its consensus, its inside made even or left; one in three in thicker slices.

    None where it is to be made even and is hardly more than its outer millimetre.
    """
    hu, nodule, grid = cutout.ct.hu.astype(float), cutout.consensus, cutout.ct.ijk_to_ras.copy()
    step, slices = cutout.ct.spacing[2], len(hu)
    together = int(random.integers(2, 4)) if random.random() < 1 / 3 else 1
    if together > 1 and step * together <= _SLICES_MM[-1] and slices >= 3 * together:
        used = slices // together * together
        hu = hu[:used].reshape(-1, together, *hu.shape[1:]).mean(1)
        thick = nodule[:used].reshape(-1, together, *nodule.shape[1:]).mean(1) >= 0.5
        if thick.any():
            nodule = thick
            grid[:3, 3] += grid[:3, 2] * (together - 1) / 2
            grid[:3, 2] *= together
        else:
            hu = cutout.ct.hu.astype(float)
    spacing = tuple(np.linalg.norm(grid[:3, :3], axis=0).tolist())
    glass = bool(cutout.ratings.get("texture", 5.0) < 3)
    own = np.full(hu.shape, noise_level(hu))
    base = _Base(cutout.name, cutout.patient, source, hu, nodule, grid, own, glass)
    if source == AS_IT_IS:
        return base
    core = nodule & ~rim_mask(nodule.astype(np.uint8), spacing, RIM_MM)
    if np.count_nonzero(core) < _LEAST_CORE:
        return None
    inside = np.clip(depth_of(nodule, spacing) / RIM_MM, 0, 1)
    even = hu + inside * (np.median(hu[core]) - hu)
    return replace(base, hu=even, own_noise=own * (1 - inside))


# ---------------------------------------------------------------- what is planted


def _plant(kind: str, base: _Base, random: np.random.Generator) -> _Planted:
    wide = base.diameter
    sign = -1.0 if kind == DARK_BALL else 1.0
    if kind in (DARK_BALL, BRIGHT_BALL):
        sizes = [one for one in _BALLS_MM if one <= _WIDEST * wide]
        if not sizes:
            return _NOTHING(base)
        return _ball(base, float(random.choice(sizes)), sign * float(random.choice(_BALLS_HU)), random)
    if kind == CALCIUM:
        return _ball(base, min(float(random.uniform(2, 4)), _WIDEST * wide), float(random.uniform(300, 600)), random)
    if kind == SOLID_PART:
        hu = float(random.uniform(450, 600)) if base.ground_glass else float(random.uniform(100, 200))
        return _ball(base, float(random.uniform(0.3, 0.6)) * wide, hu, random)
    if kind == CAVITY:
        return _ball(
            base, float(random.uniform(0.2, 0.5)) * wide, -950.0 - float(np.median(base.hu[base.nodule])), random
        )
    if kind == NECROSIS:
        return _ball(base, float(random.uniform(0.4, 0.6)) * wide, float(random.uniform(-60, -30)), random, soft_mm=1.5)
    if kind == HALO:
        return _halo(base, float(random.uniform(2, 0.25 * wide)) if wide > 9 else 0.0)
    if kind == TEXTURE:
        return _texture(base, float(random.choice(_GRAINS_MM)), float(random.choice(_TEXTURE_HU)), random)
    return _NOTHING(base)


def _ball(base: _Base, size_mm: float, hu: float, random: np.random.Generator, *, soft_mm: float = 0.0) -> _Planted:
    """A ball that lies wholly in the nodule, at a random depth; nothing where it does not fit."""
    depth = depth_of(base.nodule, base.spacing)
    room = np.argwhere(depth >= size_mm / 2)
    if not len(room):
        return _NOTHING(base)
    # Depths alike, not places: most places of a nodule lie near its surface.
    depths = depth[tuple(room.T)]
    wanted = random.uniform(depths.min(), depths.max())
    at = room[random.choice(np.argsort(np.abs(depths - wanted))[: max(1, len(room) // 20)])]
    field = hu * _share_of_ball(base, at, size_mm / 2)
    field = _blurred(field, base.spacing, soft_mm)
    return _Planted((field * base.nodule).astype(np.float32), size_mm, hu, float(depth[tuple(at)]))


def _share_of_ball(base: _Base, at: np.ndarray, radius: float, parts: int = 4) -> np.ndarray:
    """Share of each voxel that a ball about the middle of voxel `at` fills."""
    share = np.zeros(base.hu.shape)
    steps = base.spacing[::-1]
    box = tuple(
        slice(max(0, int(place - radius / step) - 1), int(place + radius / step) + 2)
        for place, step in zip(at, steps, strict=True)
    )
    z, y, x = (
        ((np.arange(one.start * parts, min(one.stop, size) * parts) + 0.5) / parts - 0.5 - place) * step
        for one, size, place, step in zip(box, base.hu.shape, at, steps, strict=True)
    )
    inside = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= radius**2
    k, j, i = share[box].shape
    share[box] = inside.reshape(k, parts, j, parts, i, parts).mean((1, 3, 5))
    return share


def _halo(base: _Base, thickness: float) -> _Planted:
    """An outer layer of ground glass of so many mm."""
    if thickness <= 0 or base.ground_glass:
        return _NOTHING(base)
    depth = depth_of(base.nodule, base.spacing)
    share = np.clip(0.5 + (thickness - depth) / max(base.spacing[0], 0.7), 0, 1)
    field = _blurred(-550.0 * share * base.nodule, base.spacing)
    return _Planted((field * base.nodule).astype(np.float32), thickness, -550.0)


def _texture(base: _Base, grain_mm: float, hu: float, random: np.random.Generator) -> _Planted:
    """A random field with a grain (full width at half maximum) and a standard deviation."""
    sigma = [grain_mm / 2.355 / step for step in base.spacing[::-1]]
    field = ndimage.gaussian_filter(random.normal(size=base.hu.shape), sigma)
    field *= hu / max(float(field[base.nodule].std()), 1e-9)
    return _Planted((_blurred(field, base.spacing) * base.nodule).astype(np.float32), grain_mm, hu)


# ---------------------------------------------------------------- the scanner


def depth_of(nodule: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Depth of each voxel's middle below the faces of the outline, mm; 0 outside."""
    return np.maximum(ndimage.distance_transform_edt(nodule, spacing[::-1]) - min(spacing[:2]) / 2, 0)


def _widths(spacing: Sequence[float], mm: float = _BLUR_MM) -> list[float]:
    """Widths of the scanner's blur, in voxels; thick slices hold theirs already."""
    return [min(mm, spacing[2] / 4) / spacing[2], mm / spacing[1], mm / spacing[0]]


def _blurred(hu: np.ndarray, spacing: Sequence[float], soft_mm: float = 0.0) -> np.ndarray:
    return ndimage.gaussian_filter(hu, _widths(spacing, float(np.hypot(_BLUR_MM, soft_mm))), mode="nearest")


def _noise(shape: tuple[int, ...], spacing: Sequence[float], random: np.random.Generator) -> np.ndarray:
    """Noise of unit deviation with the grain of a kernel, smooth or sharp."""
    grain = float(random.uniform(*_GRAIN_MM))
    field = ndimage.gaussian_filter(random.normal(size=shape), [0.3, grain / spacing[1], grain / spacing[0]])
    if random.random() < 0.5:  # a sharp kernel has little noise of coarse grain
        field -= 0.7 * ndimage.gaussian_filter(field, [0, 2.0 / spacing[1], 2.0 / spacing[0]])
    return field / field.std()
