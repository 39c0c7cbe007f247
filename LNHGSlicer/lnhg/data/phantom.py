"""A synthetic chest CT with planted nodules: the sample for demonstrations and tests.

Anatomy is drawn in LPS millimetres around the isocentre (x to the left, y to the back, z to the head). Large organs are
signed distances on a coarse grid (negative inside), warped by a smooth random field and rendered as layers, one over
the other, at several heights within each slice. Vessels, airways and nodules are too fine for that grid and are drawn
on the CT grid itself. A point spread and the noise of a reconstruction come last.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import numpy as np
from scipy import fft, ndimage
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from ..ct import CT
from ..errors import InputError
from ..geometry import equivalent_diameter
from ..nrrd_file import write_nrrd

KINDS = ("solid", "cavitary", "ground glass", "juxta-vascular", "juxta-pleural")

_FIELD_MM = 360.0  # width and height of the field of view
_LENGTH_MM = 300.0  # length of the chest, feet to head
_STEP = 3.0  # cell of the coarse grid, mm
_FAR = 30.0  # distance given to cells that no shape reaches, mm
_PSF_SIGMA_MM = 0.45
_LAYER_HEIGHTS, _SUBSLICES = 2, 3  # heights within a slice at which layers and fine structures are drawn
_AIR, _LUNG, _FAT, _BLOOD, _SOFT = -1000.0, -865.0, -103.0, 150.0, 45.0

Array = np.ndarray
Point = tuple[float, float, float]
Placed = list[tuple[Array, float]]  # centres and radii


@dataclass(frozen=True, eq=False)
class Phantom:
    """A synthetic CT and its truth.

    Attributes:
        ct: the CT, in the axial view (columns to the left, rows to the back, slices to the head).
        labels: uint16 `[slice, row, column]` on the CT's grid: 0, and n where nodule n fills at least half of
            the voxel (its fullest voxel, on a grid too coarse for that); a cavity belongs to its nodule, the chest
            wall does not.
        kinds: kind of nodule n at `kinds[n - 1]`, one of `KINDS`.
    """

    ct: CT
    labels: Array
    kinds: tuple[str, ...]


def chest_phantom(seed: int = 0, shape: tuple[int, int, int] = (120, 512, 512)) -> Phantom:
    """Draw a chest CT of about 360 x 360 x 300 mm on a grid of `shape` (slices, rows, columns); same seed, same bytes.

    Raises:
        InputError: for a negative seed, or fewer than 24 slices or 96 rows or columns, which cannot show the nodules.
    """
    if seed < 0:
        raise InputError(f"Seed {seed} is negative; give 0 or more.")
    if shape[0] < 24 or min(shape[1:]) < 96:
        raise InputError(f"A sample of {shape} voxels is too coarse; ask for at least 24 x 96 x 96.")
    rng = np.random.default_rng(seed)
    grid = _Grid.over_chest(shape)
    chest = _chest(rng)
    vessels = _vessels(chest, rng)
    nodules = _plan_nodules(chest, vessels, rng)

    hu = _render(chest.layers, grid)
    _draw_vessels(hu, grid, chest, vessels)
    labels = np.zeros(shape, np.uint16)
    for label, nodule in enumerate(nodules, 1):
        _draw_nodule(hu, labels, label, grid, chest, nodule)
    _blur(hu, grid)
    _add_noise(hu, grid, rng)
    ct = CT(
        np.clip(np.rint(hu, out=hu), -1024, 3071, out=hu).astype(np.int16),
        grid.ijk_to_ras,
        source=MappingProxyType({"format": "synthetic", "series": f"chest phantom, seed {seed}"}),
    )
    return Phantom(ct, labels, tuple(nodule.kind for nodule in nodules))


def write_sample(folder: Path, seed: int = 0, shape: tuple[int, int, int] = (120, 512, 512)) -> dict[str, Path]:
    """Write `ct.nrrd` (int16 HU), `labels.nrrd` and `nodules.csv` of a phantom into `folder`; returns name -> path.

    Columns of the table: label, kind, centre (RAS mm), diameter of the sphere of equal volume (mm), mean HU.
    The files are written beside the folder's own and moved into place when all three are complete.
    """
    phantom = chest_phantom(seed, shape)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / name for name in ("ct.nrrd", "labels.nrrd", "nodules.csv")}
    with tempfile.TemporaryDirectory(dir=folder, prefix=".sample-") as temporary:
        write_nrrd(Path(temporary) / "ct.nrrd", phantom.ct.hu, phantom.ct.ijk_to_ras)
        write_nrrd(Path(temporary) / "labels.nrrd", phantom.labels, phantom.ct.ijk_to_ras)
        _write_table(phantom, Path(temporary) / "nodules.csv")
        for name, path in paths.items():
            (Path(temporary) / name).replace(path)
    return paths


def _write_table(phantom: Phantom, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "kind", "r_mm", "a_mm", "s_mm", "diameter_mm", "mean_hu"])
        for label, kind in enumerate(phantom.kinds, 1):
            voxels = np.argwhere(phantom.labels == label)
            centre = phantom.ct.to_ras(voxels.mean(0)[::-1])
            diameter = equivalent_diameter(len(voxels) * phantom.ct.voxel_volume)
            mean = phantom.ct.hu[tuple(voxels.T)].mean()
            writer.writerow([label, kind, *(f"{value:.1f}" for value in (*centre, diameter, mean))])


# --- grids and shapes ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Grid:
    """Voxel centres along z, y and x (LPS mm) and the voxel's size (z, y, x)."""

    z: Array
    y: Array
    x: Array
    step: tuple[float, float, float]

    @classmethod
    def over_chest(cls, shape: Sequence[int]) -> _Grid:
        lengths = (_LENGTH_MM, _FIELD_MM, _FIELD_MM)
        step = tuple(length / size for length, size in zip(lengths, shape, strict=True))
        axes = [(np.arange(n) + 0.5) * h - n * h / 2 for n, h in zip(shape, step, strict=True)]
        z, y, x = (axis.astype(np.float32) for axis in axes)
        return cls(z, y, x, (step[0], step[1], step[2]))

    @property
    def ijk_to_ras(self) -> Array:
        matrix = np.diag([-self.step[2], -self.step[1], self.step[0], 1.0])
        matrix[:3, 3] = -self.x[0], -self.y[0], self.z[0]
        return matrix

    def ranges(self, low: Array, high: Array) -> tuple[Array, Array]:
        """First voxels, and those after the last (z, y, x), between points `[..., (x, y, z)]`; equal outside of the grid."""
        first = np.array([self.z[0], self.y[0], self.x[0]], float)
        size = (len(self.z), len(self.y), len(self.x))
        starts = np.ceil((low[..., ::-1] - first) / self.step).astype(int)
        stops = np.floor((high[..., ::-1] - first) / self.step).astype(int) + 1
        return np.clip(starts, 0, size), np.clip(stops, 0, size)

    def box(self, low: Array, high: Array) -> tuple[slice, slice, slice]:
        """The same for one pair of points, as slices."""
        (k0, j0, i0), (k1, j1, i1) = (ends.tolist() for ends in self.ranges(low, high))
        return slice(k0, k1), slice(j0, j1), slice(i0, i1)


class _Space:
    """The coarse grid with warped coordinates, so that no shape drawn in them is quite regular."""

    def __init__(self, rng: np.random.Generator, warp_mm: float = 2.2) -> None:
        shape = (round(_LENGTH_MM / _STEP), round(_FIELD_MM / _STEP), round(_FIELD_MM / _STEP))
        self.grid = _Grid.over_chest(shape)
        self.shape = shape
        grid = self.grid
        self.grain = self.noise(rng, 7)  # the texture of tissues
        self.x, self.y, self.z = (
            np.broadcast_to(axis, shape) + self.noise(rng, 40) * np.float32(warp_mm)
            for axis in (grid.x, grid.y[:, None], grid.z[:, None, None])
        )

    def noise(self, rng: np.random.Generator, size_mm: float) -> Array:
        """A smooth random field of unit deviation whose blobs are about `size_mm` wide."""
        stride = max(1, round(size_mm / _STEP / 3))
        small = [n // stride + 4 for n in self.shape]
        field = ndimage.gaussian_filter(rng.standard_normal(small, np.float32), size_mm / _STEP / stride / 2)
        field = (field - field.mean()) / field.std()
        if stride == 1:
            return np.ascontiguousarray(field[: self.shape[0], : self.shape[1], : self.shape[2]])
        for axis, n in enumerate(self.shape):
            weights = _cubic_weights(np.arange(n) / stride + 1, small[axis])
            field = np.moveaxis(np.tensordot(weights, field, (1, axis)), 0, axis)
        return np.ascontiguousarray(field, np.float32)

    def knots(self, heights: Sequence[float], values: Sequence[float]) -> Array:
        """A figure that changes with height, given at some heights (ascending), at every cell."""
        fine = np.linspace(-170, 170, 341)
        curve = ndimage.gaussian_filter1d(np.interp(fine, heights, values), 8, mode="nearest")
        return np.interp(self.z, fine, curve).astype(np.float32)

    def sample(self, field: Array, points: Array) -> Array:
        """Values of a coarse field at points `[n, (x, y, z)]`."""
        grid = self.grid
        first = np.array([grid.x[0], grid.y[0], grid.z[0]], float)
        return ndimage.map_coordinates(field, ((points - first) / _STEP).T[::-1], order=1, mode="nearest")


def _smooth_min(a: Array, b: Array, k: float) -> Array:
    """The union of two shapes with a fillet of about `k` mm (polynomial smooth minimum)."""
    if k == 0:
        return np.minimum(a, b)
    share = np.maximum(k - np.abs(a - b), 0) / k
    return np.minimum(a, b) - share * share * (k / 4)


def _smooth_max(a: Array, b: Array, k: float) -> Array:
    """The intersection of two shapes with a rounded edge of about `k` mm."""
    return -_smooth_min(-a, -b, k)


def _cone_distance(x: Array, y: Array, z: Array, a: Array, b: Array, ra: float, rb: float) -> Array:
    """Distance to a round cone from `a` (radius `ra`) to `b` (radius `rb`)."""
    axis = np.asarray(b, np.float32) - np.asarray(a, np.float32)
    length2 = float(axis @ axis) + 1e-6
    px, py, pz = x - np.float32(a[0]), y - np.float32(a[1]), z - np.float32(a[2])
    t = px * (axis[0] / length2) + py * (axis[1] / length2) + pz * (axis[2] / length2)
    np.clip(t, 0, 1, out=t)
    qx, qy, qz = px - t * axis[0], py - t * axis[1], pz - t * axis[2]
    return np.sqrt(qx * qx + qy * qy + qz * qz) - (np.float32(ra) + t * np.float32(rb - ra))


def _superellipse(x: Array, y: Array, a: Array, b: Array) -> Array:
    """Distance, to first order, to the curve (|x| / a)^2.5 + (|y| / b)^2.5 = 1 in each plane."""
    u, v = np.abs(x) / a + 1e-4, np.abs(y) / b + 1e-4
    up, vp = u * np.sqrt(u), v * np.sqrt(v)
    total = u * up + v * vp
    norm = total**0.4
    gradient = np.sqrt((up / a) ** 2 + (vp / b) ** 2) * norm / total
    return ((norm - 1) / np.maximum(gradient, 1e-3)).astype(np.float32)


class _Body:
    """A union of simple shapes on the coarse grid; `blend` is the fillet, mm, where a shape joins what is there."""

    def __init__(self, space: _Space) -> None:
        self.space = space
        self.distance = np.full(space.shape, _FAR, np.float32)

    def _add(self, low: Array, high: Array, blend: float, distance: Callable[..., Array]) -> None:
        reach = 12.0 + blend
        box = self.space.grid.box(low - reach, high + reach)
        here = self.distance[box]
        if here.size:
            space = self.space
            here[...] = _smooth_min(here, distance(space.x[box], space.y[box], space.z[box]), blend)

    def ball(self, centre: Point, radii: Point, frame: Array | None = None, blend: float = 0) -> _Body:
        """An ellipsoid; rows of `frame` are the directions of its radii."""
        middle, size = np.array(centre, np.float32), np.array(radii, np.float32)
        turn = np.eye(3, dtype=np.float32) if frame is None else np.asarray(frame, np.float32)

        def distance(x: Array, y: Array, z: Array) -> Array:
            px, py, pz = x - middle[0], y - middle[1], z - middle[2]
            q = [px * u[0] + py * u[1] + pz * u[2] for u in turn]
            near = np.sqrt(sum((c / r) ** 2 for c, r in zip(q, size, strict=True))) + 1e-4
            far = np.sqrt(sum((c / (r * r)) ** 2 for c, r in zip(q, size, strict=True))) + 1e-4
            return near * (near - 1) / far

        # The span of a turned ellipsoid along each axis.
        span = np.sqrt(((turn * size[:, None]) ** 2).sum(0))
        self._add(middle - span, middle + span, blend, distance)
        return self

    def tube(self, points: Sequence[Point], radii: Sequence[float] | float, blend: float = 0) -> _Body:
        """A smooth tube through `points`, with the radius at each."""
        size = np.broadcast_to(np.asarray(radii, float), len(points))
        path = _spline(np.array(points, float), size)
        for start, end in pairwise(path):
            a, b, reach = start[:3], end[:3], max(start[3], end[3])

            def distance(x: Array, y: Array, z: Array, a: Array = start, b: Array = end) -> Array:
                return _cone_distance(x, y, z, a[:3], b[:3], a[3], b[3])

            self._add(np.minimum(a, b) - reach, np.maximum(a, b) + reach, blend, distance)
        return self


def _spline(points: Array, radii: Array, spacing: float = 7.0) -> Array:
    """A Catmull-Rom curve through `points`: rows (x, y, z, radius), about `spacing` mm apart."""
    rows = np.column_stack([points, radii])
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    counts = np.maximum(1, np.ceil(lengths / spacing)).astype(int)
    places = np.concatenate([k + np.arange(n) / n for k, n in enumerate(counts)] + [[len(points) - 1.0]])
    padded = np.vstack([2 * rows[0] - rows[1], rows, 2 * rows[-1] - rows[-2]])
    return _cubic_weights(places + 1, len(padded)) @ padded


def _cubic_weights(places: Array, n: int) -> Array:
    """Catmull-Rom weights `[place, node]` to interpolate at fractional node numbers; ends are repeated."""
    base = np.floor(places).astype(int)
    t = places - base
    parts = (
        -0.5 * t + t**2 - 0.5 * t**3,
        1 - 2.5 * t**2 + 1.5 * t**3,
        0.5 * t + 2 * t**2 - 1.5 * t**3,
        -0.5 * t**2 + 0.5 * t**3,
    )
    weights = np.zeros((len(places), n), np.float32)
    for offset, part in enumerate(parts, -1):
        np.add.at(weights, (np.arange(len(places)), np.clip(base + offset, 0, n - 1)), part)
    return weights


# --- anatomy ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Layer:
    """A structure painted over those before it.

    Attributes:
        distance: signed distance on a crop of the coarse grid, mm.
        corner: where the crop starts on the coarse grid (z, y, x).
        hu: its HU, or a field of HU on the same crop.
        sheet: half thickness, mm, if the structure is the sheet around distance 0 and not the inside.
        within: painted only inside this distance (same crop).
    """

    distance: Array
    corner: tuple[int, int, int]
    hu: float | Array
    sheet: float | None = None
    within: Array | None = None


def _layer(distance: Array, hu: float | Array, sheet: float | None = None, within: Array | None = None) -> _Layer:
    """A layer cropped to where the structure is."""
    solid = distance if within is None else within
    near = solid < 2 * _STEP
    box = []
    for axis in range(3):
        hits = np.flatnonzero(near.any(tuple(other for other in range(3) if other != axis)))
        start, stop = (hits[0], hits[-1] + 1) if len(hits) else (0, 1)
        box.append(slice(max(0, int(start) - 2), int(stop) + 2))
    crop = tuple(box)
    return _Layer(
        np.ascontiguousarray(distance[crop]),
        (box[0].start, box[1].start, box[2].start),
        np.ascontiguousarray(hu[crop]) if isinstance(hu, np.ndarray) else hu,
        sheet,
        None if within is None else np.ascontiguousarray(within[crop]),
    )


@dataclass(frozen=True, eq=False)
class _Chest:
    """The drawn chest: layers to render and the fields that vessels and nodules are placed by."""

    space: _Space
    layers: list[_Layer]
    lung: Array  # distance to the lungs
    cage: Array  # distance to the inner face of the chest wall
    diaphragm: Array  # distance to the diaphragm, negative above it
    oblique: Array  # distance to the oblique fissures, positive above
    horizontal: Array  # distance to the horizontal fissure of the right lung, positive above


_HEIGHTS = (-150, -110, -60, 0, 50, 90, 118, 150)
_CAGE_HALF = (127, 130, 130, 124, 111, 90, 66, 56)
_CAGE_FRONT = (-90, -91, -90, -83, -70, -54, -42, -36)
_CAGE_BACK = (78, 84, 89, 92, 88, 79, 67, 60)
_BODY_HALF = (156, 158, 160, 165, 171, 175, 176, 172)
_BODY_FRONT = (-113, -114, -114, -110, -99, -84, -70, -60)
_BODY_BACK = (119, 120, 121, 122, 121, 118, 111, 102)
_EGG = 0.12
_TABLE_Y = 118.5
_VERTEBRA_PITCH, _FIRST_VERTEBRA_Z = 23.5, 135.0


def _at(z: float, values: Sequence[float]) -> float:
    return float(np.interp(z, _HEIGHTS, values))


def _spine_y(z: float) -> float:
    """The middle of the vertebral body at height z: the curve of the thoracic spine."""
    return float(np.interp(z, (-150, -60, 0, 50, 100, 150), (42, 52, 54, 50, 41, 31)))


def _chest(rng: np.random.Generator) -> _Chest:
    space = _Space(rng)
    middle = (space.knots(_HEIGHTS, _CAGE_FRONT) + space.knots(_HEIGHTS, _CAGE_BACK)) / 2
    depth = (space.knots(_HEIGHTS, _CAGE_BACK) - space.knots(_HEIGHTS, _CAGE_FRONT)) / 2
    # The chest is narrower in front than behind.
    egg = 1 + _EGG * np.clip((space.y - middle) / depth, -1, 1)
    cage = _superellipse(space.x / egg, space.y - middle, space.knots(_HEIGHTS, _CAGE_HALF), depth)
    bones = _bones(space)
    organs = _mediastinum(space)
    diaphragm = _diaphragm(space)
    lung = _lungs(space, cage, diaphragm, bones, organs)
    oblique, horizontal = _fissures(space)
    layers = [
        *_wall_layers(space, cage, lung, bones.back, rng),
        *_abdomen_layers(space, cage, diaphragm),
        *_mediastinum_layers(space, organs),
        *_bone_layers(space, bones),
        *_lung_layers(space, lung, oblique, horizontal, rng),
        _airway_lumen(organs),
    ]
    return _Chest(space, layers, lung, cage, diaphragm, oblique, horizontal)


def _wall_layers(space: _Space, cage: Array, lung: Array, back: Array, rng: np.random.Generator) -> list[_Layer]:
    """Table, skin, fat, muscles parted by fat planes, and the fat that fills the inside of the chest."""
    body_middle = (space.knots(_HEIGHTS, _BODY_FRONT) + space.knots(_HEIGHTS, _BODY_BACK)) / 2
    body_depth = (space.knots(_HEIGHTS, _BODY_BACK) - space.knots(_HEIGHTS, _BODY_FRONT)) / 2
    body = _superellipse(space.x, space.y - body_middle, space.knots(_HEIGHTS, _BODY_HALF), body_depth)
    body = _smooth_max(body, space.y - _TABLE_Y, 14)
    thickness = space.knots((-150, -60, 40, 100, 150), (17, 13, 11, 12, 9)) + 2.2 * space.noise(rng, 60)
    muscle = body + thickness
    # Fat lies between muscles along level sheets of a smooth field, and deep in the armpits.
    planes = space.noise(rng, 34) * 17
    layering = np.abs(cage - 14 + 0.3 * planes)
    armpits = _Body(space)
    for side in (-1.0, 1.0):
        armpits.ball((side * 124, -18, 62), (20, 26, 40)).ball((side * 142, 12, 20), (8, 34, 44))
    muscle = np.maximum(muscle, 1.3 - np.minimum(np.abs(planes), layering))
    muscle = _smooth_max(muscle, -armpits.distance - 1.5 * space.noise(rng, 12), 4)
    muscle = np.where(cage < 9, np.minimum(muscle, np.abs(cage - 4) - 4.5), muscle)
    vessels = _Body(space)
    for side in (-1.0, 1.0):
        artery = [(side * 32, 8, 118), (side * 75, -22, 118), (side * 118, -22, 96), (side * 134, -14, 60)]
        vein = [(side * 40, -14, 112), (side * 84, -36, 112), (side * 126, -30, 84), (side * 138, -22, 50)]
        vessels.tube(artery, [5, 5, 4, 3]).tube(vein, [6, 6, 5, 3])
        for z, y in ((70, -10), (52, -26), (38, 0)):
            vessels.ball((side * 126, y, z), (5, 8, 5))
    inside = cage + 0.5
    # Above the lungs the ring of the first ribs holds the muscles and vessels of the neck.
    neck = np.maximum(inside, 105 + 0.35 * space.y + 0.3 * planes - space.z)
    neck = np.maximum(neck, 4 - lung)
    beside_spine = np.maximum(np.maximum(back + 1.5, inside), body + thickness)
    return [
        *_table_layers(space),
        _layer(body, 15.0),
        _layer(body + 2.0, _FAT + 5 * space.grain),
        _layer(muscle, 54 + 5 * space.grain),
        _layer(vessels.distance, 120.0),
        _layer(inside, _FAT + 6 * space.grain),
        _layer(np.maximum(np.minimum(neck, beside_spine), 1.2 - np.abs(planes)), 54 + 5 * space.grain),
    ]


def _table_layers(space: _Space) -> list[_Layer]:
    """The two shells of the table under the back."""
    under = space.grid.y[:, None] - (_TABLE_Y + 4.5 - 17 * (space.grid.x / 170) ** 2)
    under = np.ascontiguousarray(np.broadcast_to(under, space.shape), np.float32)
    width = np.broadcast_to(np.abs(space.grid.x) - 168, space.shape)
    within = np.maximum(np.maximum(width, -under - 4), under - 34)
    return [_layer(under, -620.0, 0.7, within), _layer(under - 26, -120.0, 0.9, within)]


@dataclass(frozen=True, eq=False)
class _Bones:
    hard: Array  # ribs, spine, sternum, shoulder: distance to their surface
    spine: Array  # the vertebral column alone, with its discs
    back: Array  # canal, arches and the muscles beside them
    gristle: Array  # discs and the cartilages of the ribs
    canal: Array


def _bones(space: _Space) -> _Bones:
    hard, gristle = _Body(space), _Body(space)
    spine, back, canal = _spine(space, hard, gristle)
    hard.distance = np.maximum(hard.distance, -canal)
    for number in range(1, 13):
        for side in (-1.0, 1.0):
            _rib(hard, gristle, number, side)
    _sternum(space, hard)
    for side in (-1.0, 1.0):
        _shoulder(hard, side)
    return _Bones(hard.distance, spine, back, gristle.distance, canal)


def _spine(space: _Space, hard: _Body, gristle: _Body) -> tuple[Array, Array, Array]:
    """Draw vertebrae and discs; returns the distances to the column, to all that lies behind it, and to the canal."""
    heights = np.arange(-170, 171, 10)
    middle = np.interp(space.z, heights, [_spine_y(float(z)) for z in heights]).astype(np.float32)
    size = space.knots((-150, 150), (1.12, 0.86))
    phase = (space.z - _FIRST_VERTEBRA_Z + _VERTEBRA_PITCH / 2) % _VERTEBRA_PITCH - _VERTEBRA_PITCH / 2
    waist = 1 - 0.09 * np.cos(phase * (np.pi / 20))
    column = _superellipse(space.x, space.y - middle, 19.5 * size, 15.5 * size)
    body = _superellipse(space.x, space.y - middle, 19.5 * size * waist, 15.5 * size * waist)
    hard.distance = _smooth_max(body, np.abs(phase) - 9.2, 2.5)
    gristle.distance = np.maximum(column + 1.0, 9.6 - np.abs(phase))
    for number in range(14):
        _vertebral_arch(hard, _FIRST_VERTEBRA_Z + _VERTEBRA_PITCH * (1 - number))
    canal = np.sqrt((space.x / 1.15) ** 2 + (space.y - middle - 23.5) ** 2) - 7.6
    back = _superellipse(space.x, space.y - middle - 47, np.full_like(size, 60), np.full_like(size, 26))
    return column, back, canal


def _vertebral_arch(hard: _Body, z: float) -> None:
    y = _spine_y(z)
    tip = min(y + 58, 107.0)
    hard.tube([(0, y + 34, z - 2), (0, (y + 34 + tip) / 2, z - 12), (0, tip, z - 24)], [3.6, 3.0, 3.4], 2)
    for side in (-1.0, 1.0):
        hard.tube([(side * 12, y + 10, z + 3), (side * 13, y + 25, z + 2)], [4.6, 4.4], 3)
        hard.tube([(side * 13, y + 25, z), (side * 7, y + 31, z - 3), (0, y + 35, z - 5)], [4.0, 3.4, 3.6], 3)
        transverse = [(side * 13, y + 26, z + 1), (side * 24, y + 32, z + 3), (side * 32, y + 35, z + 4)]
        hard.tube(transverse, [4.4, 3.8, 4.6], 3)
        hard.ball((side * 14, y + 27, z - 10), (4.5, 4, 7), blend=2)


def _on_cage(angle_degrees: float, z: float, side: float, out: float) -> Point:
    """The point `out` mm outside the chest's inner face, at an angle from the back midline."""
    angle = np.deg2rad(angle_degrees)
    a = _at(z, _CAGE_HALF) + out
    front, back = _at(z, _CAGE_FRONT) - out, _at(z, _CAGE_BACK) + out
    behind = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.8
    x = a * np.sin(angle) ** 0.8 * (1 + _EGG * behind)
    y = (back - front) / 2 * behind
    return side * float(x), float((back + front) / 2 + y), z


_RIB_DROP = (36, 58, 74, 86, 94, 98, 100, 100, 98, 90, 55, 25)
_RIB_END = (146, 146, 146, 145, 143, 140, 136, 130, 122, 112, 88, 58)
_CARTILAGE_Z = (96, 70, 42, 16, -8, -26, -38)


def _rib(hard: _Body, gristle: _Body, number: int, side: float) -> None:
    """Rib `number` (1 to 12) from its vertebra down and round to the front, and its cartilage to the sternum."""
    z = _FIRST_VERTEBRA_Z - _VERTEBRA_PITCH * (number - 1) + 8
    y = _spine_y(z)
    angles = np.linspace(30, _RIB_END[number - 1], 32)
    share = (angles - 30) / (146 - 30)
    heights = z - 4 - _RIB_DROP[number - 1] * (share / share[-1]) ** 1.15
    path = [_on_cage(angle, height, side, 5.2) for angle, height in zip(angles, heights, strict=True)]
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
            _on_cage(angles[-1] + (angle_end - angles[-1]) * t, heights[-1] + (target - heights[-1]) * t**1.6, side, 6)
            for t in bend
        ]
        gristle.tube(curve, 5.2, 1)


def _sternum(space: _Space, hard: _Body) -> None:
    width = space.knots((-62, -50, -30, 20, 60, 72, 90, 104), (5, 8, 15, 16, 13, 15, 27, 23))
    front = space.knots(_HEIGHTS, _CAGE_FRONT) - 7.5
    plate = _superellipse(space.x, space.y - front, width, np.full_like(width, 5.6))
    ends = np.maximum(space.z - 104, -60 - space.z)
    joint = 1.2 - np.abs(space.z - 68)  # the gap between manubrium and body
    hard.distance = np.minimum(hard.distance, np.maximum(_smooth_max(plate, ends, 4), joint))


def _shoulder(hard: _Body, side: float) -> None:
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


@dataclass(frozen=True, eq=False)
class _Mediastinum:
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


# Where the vessels and main bronchi reach the right (-1) and left (1) lung.
_ARTERY_END = {-1: (-44.0, 7.0, 8.0), 1: (46.0, 14.0, 20.0)}
_BRONCHUS_END = {-1: (-40.0, 17.0, 12.0), 1: (46.0, 22.0, 6.0)}
_UPPER_VEIN_END = {-1: (-46.0, -6.0, 2.0), 1: (48.0, -4.0, 4.0)}
_LOWER_VEIN_END = {-1: (-40.0, 22.0, -18.0), 1: (46.0, 26.0, -16.0)}


def _mediastinum(space: _Space) -> _Mediastinum:
    aorta = _Body(space)
    aorta.tube(
        [(2, -14, -8), (-12, -24, 14), (-17, -23, 38), (-11, -13, 60), (6, 4, 69), (21, 24, 60), (26, 38, 36)],
        [15, 16.5, 16, 15, 13.5, 12.5, 12.5],
    )
    aorta.tube([(26, 38, 36), (25, 41, 0), (20, 42, -50), (9, 30, -105), (4, 24, -150)], [12.5, 12, 11.5, 11, 10.5])
    aorta.tube([(-8, -11, 66), (-16, -12, 92), (-27, -8, 112), (-29, -12, 150)], [6.5, 6, 5, 4], 3)
    aorta.tube([(5, 2, 72), (11, -2, 95), (20, -6, 120), (25, -10, 150)], [4.5, 4, 4, 4], 3)
    aorta.tube([(16, 16, 68), (25, 12, 95), (32, 6, 116), (58, -10, 124)], [5.5, 5, 5, 4.5], 3)
    pulmonary = _Body(space)
    pulmonary.tube([(14, -44, -8), (20, -34, 12), (24, -16, 24), (33, 4, 27), _ARTERY_END[1]], [14, 14, 13.5, 11.5, 9])
    pulmonary.tube([(20, -20, 21), (-2, -4, 20), (-26, 4, 16), _ARTERY_END[-1]], [11, 11, 10, 8.5], 4)
    veins = _Body(space)
    veins.tube([(-30, -10, -16), (-30, -15, 20), (-29, -17, 50), (-27, -20, 74)], [10.5, 9, 8.5, 8])
    veins.tube([(-27, -20, 72), (-6, -33, 80), (20, -32, 92), (40, -24, 108)], [6.5, 6, 6, 6], 3)
    veins.tube([(-28, -20, 74), (-36, -22, 96), (-42, -22, 112), (-40, -18, 150)], [7.5, 7, 7, 6], 3)
    veins.tube([(40, -24, 108), (42, -18, 150)], 6)
    veins.tube([(-26, -6, -44), (-24, 4, -80), (-20, 10, -150)], [12.5, 12, 11.5])
    azygos = [(-29, -8, 44), (-24, 12, 50), (-10, 30, 44), (-8, 38, 20), (-7, 40, -60), (-6, 28, -150)]
    veins.tube(azygos, [4.5, 4.5, 4, 3.6, 3.3, 3])
    for side in (-1, 1):
        veins.tube([(side * 20, 6, -4), _UPPER_VEIN_END[side]], [7.5, 6], 3)
        veins.tube([(side * 20, 13, -12), _LOWER_VEIN_END[side]], [7.5, 6], 3)
    gullet = _Body(space)
    course = [(5 + z * 0.02, _spine_y(z) - 22.7 + z / 60, z) for z in (150.0, 110.0, 70.0, 30.0, -10.0, -50.0, -80.0)]
    gullet.tube([*course, (16, 22, -100), (34, 8, -112)], 6.2)
    airway = _Body(space)
    airway.tube([(0, -4, 155), (-1, 4, 110), (-2, 10, 70), (-2, 14, 40)], [9.6, 9.6, 9.8, 10.2])
    airway.tube([(-2, 13, 42), (-18, 16, 26), _BRONCHUS_END[-1]], [8.4, 8.0, 6.8], 3)
    airway.tube([(-2, 13, 42), (20, 19, 24), _BRONCHUS_END[1]], [8.0, 7.4, 6.4], 3)
    nodes = _Body(space)
    for centre, radii in (
        ((-16, 4, 50), (5, 4, 7)),
        ((12, 8, 38), (4, 3.5, 5)),
        ((2, 22, 22), (9, 4, 6)),
        ((-12, -30, 72), (4, 3, 5)),
        ((22, -34, 44), (4, 3, 5)),
        ((-34, 14, 26), (4, 5, 5)),
        ((36, 18, 14), (4, 4, 5)),
    ):
        nodes.ball(centre, radii)
    thyroid = _Body(space)
    for side in (-1, 1):
        thyroid.ball((side * 15, -6, 146), (8, 10, 20))
    heart, chambers = _heart(space)
    return _Mediastinum(
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


def _heart(space: _Space) -> tuple[Array, Array]:
    """The heart with its muscle, and the blood in its four chambers."""
    axis = np.array([0.76, -0.47, -0.45])
    axis /= np.linalg.norm(axis)
    across = np.cross(axis, [0, 0, 1.0])
    across /= np.linalg.norm(across)
    frame = np.stack([axis, across, np.cross(axis, across)])
    left, right = (30, -18, -38), (4, -42, -36)
    heart, chambers = _Body(space), _Body(space)
    heart.ball(left, (52, 33, 34), frame)
    heart.ball(right, (38, 25, 34), blend=8)
    heart.ball((-34, -12, -26), (25, 26, 33), blend=8)  # right atrium
    heart.ball((2, 9, -8), (31, 17, 22), blend=8)  # left atrium
    chambers.ball((27, -16, -37), (41, 21, 22), frame)
    cavity = _Body(space).ball(right, (34, 21, 30)).distance
    wall = _Body(space).ball(left, (52, 32, 33), frame).distance
    chambers.distance = np.minimum(chambers.distance, np.maximum(cavity, 0.5 - wall))
    chambers.ball((-34, -12, -26), (22.5, 23.5, 30))
    chambers.ball((2, 9, -8), (28, 14.5, 19.5))
    # The septum between the atria and the plane of the valves.
    septum = np.abs(space.x + 16 + 0.5 * (space.y + 4)) + 0.6 * np.maximum(0, -24 - space.y)
    chambers.distance = np.maximum(chambers.distance, 1.6 - septum)
    return heart.distance, chambers.distance


def _dome(space: _Space, side: float, top: float) -> Array:
    """Height of a dome of the diaphragm above each point of the plane, `[1, row, column]`."""
    x, y = space.grid.x - side * 66, space.grid.y[:, None] + 6
    out = np.sqrt((x / 63) ** 2 + (y / 88) ** 2)
    drop = 52 + 24 * np.tanh(y / 40)
    return (top - drop * np.minimum(out, 1.25) ** 2.3)[None].astype(np.float32)


def _diaphragm(space: _Space) -> Array:
    x, y = space.grid.x - 10, space.grid.y[:, None] + 35
    middle = (-90 - 22 * ((x / 52) ** 2 + (y / 45) ** 2) ** 1.2)[None].astype(np.float32)
    height = np.maximum(np.maximum(_dome(space, -1, -60), _dome(space, 1, -72)), middle)
    steep = np.sqrt(1 + sum(slope**2 for slope in np.gradient(height[0], _STEP)))
    return ((height - space.z) / steep).astype(np.float32)


def _lungs(space: _Space, cage: Array, diaphragm: Array, bones: _Bones, organs: _Mediastinum) -> Array:
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
        core = _smooth_min(core, organ - fat, 9)
    front = space.knots(_HEIGHTS, _CAGE_FRONT)
    seam = np.abs(space.x - 3) - 2.6 - 0.55 * np.maximum(0, 16 - (space.y - front))
    seam -= 7 * np.clip((-space.z - 20) / 60, 0, 1)
    core = _smooth_min(core, np.maximum(seam, space.y - 48), 9)
    # The domes lean forward and down with the first ribs.
    x, y = np.abs(space.x) - 44, space.y - 24
    apex = space.z - (121 + 0.22 * y - 12 * (x / 36) ** 2 - 14 * (y / 58) ** 2)
    slope = np.sqrt(1 + (x / 54) ** 2 + (y / 120) ** 2)
    lung = _smooth_max(cage + 0.9, (apex / slope).astype(np.float32), 8)
    lung = _smooth_max(lung, diaphragm + 1.5, 2.5)
    lung = _smooth_max(lung, 1.0 - (bones.hard - 0.5), 2)
    return _smooth_max(lung, -core, 5)


def _fissures(space: _Space) -> tuple[Array, Array]:
    bend = 7 * np.cos(space.x / 38) + 4 * np.sin(space.y / 45)
    oblique = ((space.z - 44) - 1.02 * (space.y - 85) + bend) / 1.43
    horizontal = space.z + 2 + 0.10 * space.y + 6 * np.cos((space.x + 80) / 40)
    return oblique.astype(np.float32), horizontal.astype(np.float32)


def _abdomen_layers(space: _Space, cage: Array, diaphragm: Array) -> list[_Layer]:
    below = -diaphragm  # negative below the diaphragm
    inside = _smooth_max(cage + 3.0, below + 2.6, 4)
    edge = (space.x - 22 + 0.45 * (space.y + 20) + 8 * np.sin(space.z / 14)) / 1.1
    liver = _smooth_max(inside, edge, 14)
    liver = _smooth_max(liver, -(np.sqrt(space.x**2 + (space.y - 52) ** 2) - 42), 10)
    vessels = _Body(space)
    vessels.tube([(-22, 8, -92), (-52, -4, -86), (-88, 6, -96)], [5, 4, 2])
    vessels.tube([(-22, 6, -92), (-44, -36, -92), (-62, -58, -104)], [5, 3.5, 2])
    vessels.tube([(-20, 4, -140), (-48, 4, -128), (-78, 22, -130), (-98, 30, -122)], [6, 5, 3.5, 2])
    spleen = _Body(space).ball((88, 42, -112), (27, 42, 44)).distance
    spleen = _smooth_max(_smooth_max(spleen, inside, 4), -(np.sqrt((space.x - 50) ** 2 + (space.y - 20) ** 2) - 26), 8)
    stomach = _Body(space).ball((62, -18, -116), (36, 40, 34)).distance
    stomach = _smooth_max(_smooth_max(stomach, inside + 1, 6), 4 - liver, 6)
    content = stomach + 4
    gas = np.maximum(content, space.y + 34)
    leaf = np.maximum(np.abs(diaphragm - 1.2) - 2.4, cage + 0.5)
    return [
        _layer(np.maximum(leaf, -140 - space.z), _SOFT),
        _layer(liver, 98 + 4 * space.grain),
        _layer(np.maximum(vessels.distance, liver), 135.0),
        _layer(spleen, 112 + 4 * space.grain),
        _layer(stomach, 70.0),
        _layer(content, 18 + 12 * space.grain),
        _layer(gas, -985.0),
    ]


def _mediastinum_layers(space: _Space, organs: _Mediastinum) -> list[_Layer]:
    flow = 5 * space.grain
    return [
        _layer(organs.nodes, 50.0),
        _layer(organs.thyroid, 125.0),
        _layer(organs.heart, 92 + flow),
        _layer(organs.chambers, 158 + flow),
        _layer(organs.veins, 148 + 2 * flow),
        _layer(organs.pulmonary, 172 + flow),
        _layer(organs.aorta, 158 + flow),
        _layer(organs.gullet, 42.0),
        _layer(np.maximum(organs.gullet + 4.2, np.abs(space.grain) * 4 - 2), -650.0),
        _layer(organs.airway, 45.0),
    ]


def _airway_lumen(organs: _Mediastinum) -> _Layer:
    return _layer(organs.airway + 1.7, -995.0)


def _bone_layers(space: _Space, bones: _Bones) -> list[_Layer]:
    return [
        _layer(bones.gristle, 95 + 10 * space.grain),
        _layer(np.maximum(bones.canal, -150 - space.z), 22.0),
        _layer(bones.canal + 3.4, 44.0),
        _layer(bones.hard, 720 + 60 * space.grain),
        _layer(bones.hard + 1.5, 165 + 45 * space.grain),
    ]


def _lung_layers(space: _Space, lung: Array, oblique: Array, horizontal: Array, rng: np.random.Generator) -> list[_Layer]:
    """Parenchyma, denser towards the back, and the thin sheets of the fissures."""
    gravity = 0.22 * (space.y + 10)
    texture = 9 * space.noise(rng, 30) + 13 * space.noise(rng, 6)
    right = np.maximum(lung, space.x)
    return [
        _layer(lung, _LUNG + gravity + texture),
        _layer(oblique, -690.0, 0.35, lung + 0.5),
        _layer(horizontal, -700.0, 0.3, np.maximum(right, -oblique) + 0.5),
    ]


# --- vessels and airways ------------------------------------------------------------------------------------------

_TIP_RADIUS_MM, _MURRAY = 0.7, 2.8  # radius of a last branch; r^2.8 of a parent is the sum over its children
_ARTERY_CELL_MM, _VEIN_CELL_MM = 11.5, 13.5  # one last branch in a cube of this side
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
class _Vessels:
    """Short straight pieces, rows (ax, ay, az, bx, by, bz, radius at a, radius at b), mm."""

    blood: Array
    airway: Array


def _vessels(chest: _Chest, rng: np.random.Generator) -> _Vessels:
    blood, airway = [], []
    for side in (-1, 1):
        lobes = _lobe_points(chest, side, _ARTERY_CELL_MM, rng)
        arteries = _grow(chest, _ARTERY_END[side], lobes, rng)
        blood.append(_pieces(arteries, arteries.radii))
        airway.append(_airway_pieces(arteries, _BRONCHUS_END[side], side))
        lobes = _lobe_points(chest, side, _VEIN_CELL_MM, rng)
        for root, drained in ((_UPPER_VEIN_END[side], lobes[1:]), (_LOWER_VEIN_END[side], lobes[:1])):
            veins = _grow(chest, root, drained, rng)
            blood.append(_pieces(veins, veins.radii))
    return _Vessels(_inside(chest, np.vstack(blood)), _inside(chest, np.vstack(airway)))


def _lobe_points(chest: _Chest, side: int, cell_mm: float, rng: np.random.Generator) -> list[Array]:
    """Places of the tips in each lobe of a lung (lower lobe first): a jittered lattice 7 mm off pleura and fissures."""
    axes = [np.arange(-length / 2, length / 2, cell_mm) for length in (_FIELD_MM, _FIELD_MM, _LENGTH_MM)]
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


def _grow(chest: _Chest, root: Point, groups: Sequence[Array], rng: np.random.Generator) -> _Tree:
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


def _kept_in_lung(chest: _Chest, points: Array) -> Array:
    """Nodes that strayed out of the lung, moved back in; those near the root stay."""
    slopes = np.gradient(chest.lung, _STEP)
    moved = points.copy()
    free = np.linalg.norm(points - points[0], axis=1) > 22
    for _ in range(3):
        excess = np.maximum(chest.space.sample(chest.lung, moved) + 4.5, 0) * free
        pull = np.stack([chest.space.sample(slopes[axis], moved) for axis in (2, 1, 0)], 1)
        moved -= pull * (excess / np.maximum((pull**2).sum(1), 0.25))[:, None]
    return moved


def _pieces(tree: _Tree, radii: Array, used: Array | None = None) -> Array:
    """The tree's branches as bent chains of short cones (rows of `_Vessels`), each leaving along its parent's way."""
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


def _inside(chest: _Chest, pieces: Array) -> Array:
    """Without the pieces that would run outside of the lungs; the hila lie just outside and stay."""
    distance = chest.space.sample(chest.lung, (pieces[:, :3] + pieces[:, 3:6]) / 2)
    return pieces[(distance < 0) | ((distance < 14) & (pieces[:, 6] > 1.8))].astype(np.float32)


def _draw_vessels(hu: Array, grid: _Grid, chest: _Chest, vessels: _Vessels) -> None:
    walls = vessels.airway.copy()
    walls[:, 6:] += _wall(walls[:, 6:])
    for box, share in _cone_shares(grid, vessels.blood):
        np.maximum(hu[box], _LUNG + share * (_BLOOD - _LUNG), out=hu[box])
    for box, share in _cone_shares(grid, walls):
        np.maximum(hu[box], _LUNG + share * (_SOFT - _LUNG), out=hu[box])
    for box, share in _cone_shares(grid, vessels.airway):
        hu[box] += share * (_AIR - hu[box])


def _cone_shares(grid: _Grid, pieces: Array) -> Iterator[tuple[tuple[slice, slice, slice], Array]]:
    """Each cone's box on the grid and the share of each voxel that it fills."""
    heights, half = _heights(grid.z, grid.step[0], _SUBSLICES), grid.step[2] / 2
    reach = pieces[:, 6:].max(1, keepdims=True) + np.array(grid.step[::-1], np.float32)
    starts, stops = grid.ranges(
        np.minimum(pieces[:, :3], pieces[:, 3:6]) - reach, np.maximum(pieces[:, :3], pieces[:, 3:6]) + reach
    )
    for piece, (k0, j0, i0), (k1, j1, i1) in zip(pieces, starts.tolist(), stops.tolist(), strict=True):
        if k1 <= k0 or j1 <= j0 or i1 <= i0:
            continue
        z = heights[k0 * _SUBSLICES : k1 * _SUBSLICES, None, None]
        radius = float(piece[6])
        depth = _cone_distance(grid.x[i0:i1], grid.y[j0:j1, None], z, piece[:3], piece[3:6], radius, float(piece[7])) + radius
        # A vessel thinner than a voxel fills only its diameter's part of it.
        share = (np.minimum(radius - depth, half) + np.minimum(radius + depth, half)) / (2 * half)
        share = np.maximum(share, 0).reshape(k1 - k0, _SUBSLICES, j1 - j0, i1 - i0).sum(1) / _SUBSLICES
        yield (slice(k0, k1), slice(j0, j1), slice(i0, i1)), share


# --- nodules ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Nodule:
    """A planted nodule: radius(u) = mean radius * (1 + sum of surface harmonics), and spikes.

    Attributes:
        centre: LPS mm.
        radius: mean radius, mm.
        poles: axes of the harmonics, unit vectors `[m, 3]`; degree m + 2 about each, with its amplitude.
        spikes: directions of spicules, unit vectors `[n, 3]`.
        hu: mean HU of its tissue.
        lattice: random field for its uneven inside, unit deviation, one node each 1.6 mm.
        cavity: radius of the air inside as a share of the radius; 0 for none.
    """

    kind: str
    centre: Array
    radius: float
    poles: Array
    amplitudes: Array
    spikes: Array
    hu: float
    lattice: Array
    cavity: float

    def reach(self, directions: Array) -> Array:
        """Radius along unit vectors `[..., 3]`, mm."""
        shape = np.ones(directions.shape[:-1], np.float32)
        for degree, (pole, amplitude) in enumerate(zip(self.poles, self.amplitudes, strict=True), 2):
            shape += amplitude * np.polynomial.legendre.legval(directions @ pole, np.eye(degree + 1)[degree])
        for number, spike in enumerate(self.spikes):
            shape += (0.35 + 0.13 * (number % 5)) * np.exp(60 * (directions @ spike - 1))
        return self.radius * shape


_DIAMETERS = {
    "solid": (9, 14),
    "cavitary": (17, 22),
    "ground glass": (13, 19),
    "juxta-vascular": (8, 12),
    "juxta-pleural": (11, 16),
}


def _plan_nodules(chest: _Chest, vessels: _Vessels, rng: np.random.Generator) -> tuple[_Nodule, ...]:
    """One nodule of each kind in the order of `KINDS`, then up to two small ones; the largest are placed first."""
    small = rng.permutation(["solid", "juxta-vascular", "juxta-pleural"])[: rng.integers(0, 3)].tolist()
    diameters = [rng.uniform(*_DIAMETERS[kind]) for kind in KINDS] + [rng.uniform(5.5, 7) for _ in small]
    kinds = [*KINDS, *small]
    placed: Placed = []
    nodules: dict[int, _Nodule] = {}
    for number in sorted(range(len(kinds)), key=lambda n: -diameters[n]):
        radius = diameters[number] / 2
        centre = _place(chest, vessels, kinds[number], radius, placed, rng)
        placed.append((centre, radius))
        nodules[number] = _nodule(kinds[number], centre, radius, number == 0, rng)
    return tuple(nodules[number] for number in range(len(kinds)))


def _place(chest: _Chest, vessels: _Vessels, kind: str, radius: float, placed: Placed, rng: np.random.Generator) -> Array:
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


def _candidates(chest: _Chest, vessels: _Vessels, kind: str, radius: float, rng: np.random.Generator) -> Array:
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


def _nodule(kind: str, centre: Array, radius: float, spiculated: bool, rng: np.random.Generator) -> _Nodule:
    poles = _unit(rng.standard_normal((5, 3)))
    amplitudes = rng.uniform(0.5, 1.0, 5) * (0.17, 0.13, 0.10, 0.06, 0.04)
    spikes = _unit(rng.standard_normal((24 if spiculated else 0, 3)))
    lattice = ndimage.gaussian_filter(rng.standard_normal((24, 24, 24)), 0.8, mode="wrap")
    hu = rng.uniform(-620, -570) if kind == "ground glass" else rng.uniform(28, 50)
    cavity = rng.uniform(0.52, 0.6) if kind == "cavitary" else 0.0
    return _Nodule(kind, centre, radius, poles, amplitudes, spikes, hu, lattice / lattice.std(), cavity)


def _unit(vectors: Array) -> Array:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _draw_nodule(hu: Array, labels: Array, label: int, grid: _Grid, chest: _Chest, nodule: _Nodule) -> None:
    span = 2.3 * nodule.radius + np.array(grid.step[::-1])
    box = grid.box(nodule.centre - span, nodule.centre + span)
    z = _heights(grid.z[box[0]], grid.step[0], _SUBSLICES)
    x, y, z = grid.x[box[2]], grid.y[box[1], None], z[:, None, None]
    points = np.stack(np.broadcast_arrays(x, y, z), -1).astype(np.float64)
    offset = points - nodule.centre
    distance = np.linalg.norm(offset, axis=-1)
    directions = offset / (distance[..., None] + 1e-6)
    depth = nodule.reach(directions) - distance  # positive inside

    edge = max(grid.step[2], 2.0 if nodule.kind == "ground glass" else 0.8)
    share = np.clip(0.5 + depth / edge, 0, 1)
    share *= np.clip(0.5 - chest.space.sample(chest.lung, points.reshape(-1, 3)).reshape(share.shape) / edge, 0, 1)
    texture = ndimage.map_coordinates(nodule.lattice, np.moveaxis(offset / 1.6, -1, 0), order=1, mode="grid-wrap")
    tissue = nodule.hu + texture * (32 if nodule.kind == "ground glass" else 11)
    if nodule.cavity:
        # The cavity's wall is uneven: its outline leans towards one side and has its own lobes.
        off_centre = np.linalg.norm(offset - 0.12 * nodule.radius, axis=-1)
        hole = nodule.cavity * nodule.reach(-directions[..., ::-1]) - off_centre
        tissue = tissue + np.clip(0.5 + hole / edge, 0, 1) * (_AIR + 30 - tissue)

    def per_slice(values: Array) -> Array:
        return values.reshape(len(z) // _SUBSLICES, _SUBSLICES, *values.shape[1:]).mean(1)

    whole, here = per_slice(share), hu[box]
    painted = here + per_slice(share * tissue) - whole * here
    # Vessels show through ground glass, and the one that a nodule hangs on runs past it; others end at the nodule.
    hu[box] = np.maximum(here, painted) if nodule.kind in ("ground glass", "juxta-vascular") else painted
    labels[box][whole >= min(0.5, whole.max())] = label


# --- from anatomy to an image -------------------------------------------------------------------------------------


class _Painter:
    """Interpolates one layer to the CT grid and paints it over a slice."""

    def __init__(self, layer: _Layer, coarse: _Grid, grid: _Grid, heights: Array) -> None:
        self.layer = layer
        self.solid = layer.distance if layer.within is None else layer.within
        self.pixel = grid.step[2]
        n = len(self.solid)
        places = np.clip((heights - coarse.z[0]) / _STEP, 0, len(coarse.z) - 1) - layer.corner[0]
        self.reached = (places >= 0) & (places <= n - 1)
        self.heights = _cubic_weights(np.clip(places, 0, n - 1), n)
        self.cuts: dict[tuple[int, int, int], csr_matrix] = {}
        self.box, self.weights, self.coarse_to_fine = [], [], []
        axes = ((grid.y, coarse.y), (grid.x, coarse.x))
        for (fine, origin), first, n in zip(axes, layer.corner[1:], layer.distance.shape[1:], strict=True):
            place = (fine - origin[0]) / _STEP - first
            start, stop = np.searchsorted(place, (0, n - 1))
            self.box.append(slice(int(start), int(stop)))
            self.weights.append(csr_matrix(_cubic_weights(place[start:stop], n)))
            self.coarse_to_fine.append(np.searchsorted(place[start:stop], np.arange(-2, n + 3)))

    def paint(self, plane: Array, number: int) -> None:
        """Paint over `plane` `[row, column]` at height `number`."""
        if not self.reached[number]:
            return
        layer, heights = self.layer, self.heights[number]
        field = _weighted(self.solid, heights)
        hits = field < 1.5 * _STEP
        if not hits.any():
            return
        rows, columns = self._span(np.any(hits, 1), 0), self._span(np.any(hits, 0), 1)
        along, across = self._cut(0, rows), self._cut(1, columns)

        def fine(coarse: Array) -> Array:
            return along @ np.ascontiguousarray((across @ np.ascontiguousarray(coarse.T)).T)

        share = self._share(fine(field))
        if layer.sheet is not None:
            share *= self._share(np.abs(fine(_weighted(layer.distance, heights))) - layer.sheet)
        here = plane[self.box[0], self.box[1]][rows, columns]
        value = fine(_weighted(layer.hu, heights)) if isinstance(layer.hu, np.ndarray) else np.float32(layer.hu)
        here += share * (value - here)

    def _share(self, distance: Array) -> Array:
        """Share of each pixel inside: an edge one pixel wide."""
        distance *= -1 / self.pixel
        distance += 0.5
        return np.clip(distance, 0, 1, out=distance)

    def _cut(self, axis: int, span: slice) -> csr_matrix:
        """The weights of these rows or columns; neighbouring heights mostly ask for the same."""
        key = (axis, span.start, span.stop)
        if key not in self.cuts:
            self.cuts[key] = self.weights[axis][span]
        return self.cuts[key]

    def _span(self, hits: Array, axis: int) -> slice:
        """Fine rows or columns from one cell before the first hit to one cell after the last."""
        found = np.flatnonzero(hits)
        edges = self.coarse_to_fine[axis]
        return slice(int(edges[found[0] + 1]), int(edges[found[-1] + 3]))


def _weighted(field: Array, weights: Array) -> Array:
    """The weighted sum of a field's slices."""
    used = np.flatnonzero(weights)
    total = field[used[0]] * weights[used[0]]
    for k in used[1:]:
        total += field[k] * weights[k]
    return total


def _render(layers: Sequence[_Layer], grid: _Grid) -> Array:
    """All layers on the CT grid, float32 HU `[slice, row, column]`: the mean over heights within each slice."""
    coarse = _Grid.over_chest((round(_LENGTH_MM / _STEP), round(_FIELD_MM / _STEP), round(_FIELD_MM / _STEP)))
    heights = _heights(grid.z, grid.step[0], _LAYER_HEIGHTS)
    painters = [_Painter(layer, coarse, grid, heights) for layer in layers]
    hu = np.zeros((len(grid.z), len(grid.y), len(grid.x)), np.float32)
    for k, total in enumerate(hu):
        for number in range(k * _LAYER_HEIGHTS, (k + 1) * _LAYER_HEIGHTS):
            plane = np.full_like(total, _AIR)
            for painter in painters:
                painter.paint(plane, number)
            total += plane
        total /= _LAYER_HEIGHTS
    return hu


def _heights(z: Array, thickness: float, count: int) -> Array:
    """`count` heights evenly within each slice, in order."""
    offsets = ((np.arange(count) + 0.5) / count - 0.5).astype(np.float32) * np.float32(thickness)
    return (z[:, None] + offsets).ravel()


def _blur(hu: Array, grid: _Grid) -> None:
    """The point spread of the scanner in the plane of each slice."""
    for plane in hu:
        ndimage.gaussian_filter(plane, _PSF_SIGMA_MM / grid.step[2], output=plane, truncate=3, mode="nearest")


def _add_noise(hu: Array, grid: _Grid, rng: np.random.Generator) -> None:
    """Noise as filtered back projection leaves it: its power rises with frequency until the kernel cuts it off.

    Rays along x and along y each give streaks of their own direction; a ray's variance grows with what it crosses.
    """
    rows, columns = hu.shape[1:]
    fy = np.abs(fft.fftfreq(rows, grid.step[1]))[:, None]
    fx = fft.rfftfreq(columns, grid.step[2])
    f = np.sqrt(fy**2 + fx**2) + 1e-6
    ramp = np.sqrt(f) * np.exp(-((f / 0.42) ** 2))
    filters = [(ramp * part / f).astype(np.float32) for part in (fy, fx)]
    filters = [weights / _deviation(weights, columns) for weights in filters]
    for plane in hu:
        dense = np.clip(plane + 1000, 0, 1500) / 1000
        along_x = ndimage.gaussian_filter1d(dense.sum(1) * grid.step[2], 6)[:, None]
        along_y = ndimage.gaussian_filter1d(dense.sum(0) * grid.step[1], 6)
        spectrum = rng.standard_normal((rows, columns // 2 + 1, 2), np.float32).view(np.complex64)[..., 0]
        for weights, path in zip(filters, (along_x, along_y), strict=True):
            plane += fft.irfft2(spectrum * weights, (rows, columns)) * (3.4 * np.exp(0.0063 * path))


def _deviation(weights: Array, columns: int) -> float:
    """Deviation of the inverse transform of unit complex noise times `weights`."""
    twice = np.full(weights.shape[1], 2.0)
    twice[0] = 1
    if columns % 2 == 0:
        twice[-1] = 1
    # Each complex number has variance 2; the columns kept once stand for two.
    return float(np.sqrt(2 * (weights.astype(float) ** 2 * twice).sum()) / (weights.shape[0] * columns))
