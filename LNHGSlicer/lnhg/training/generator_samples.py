"""Training samples of the generator: triplets of slices O(x) with their target R(x), cut and augmented on the fly.

Each sample depends on nothing but the seed and its number, so a run that is cut off goes on with the same samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import ndimage

from ..core.ct import CT
from ..core.geometry import equivalent_diameter
from ..data.cutouts import Cutout
from ..data.rounding import Rounding, far_from_lungs, far_in
from ..data.scans import LabelledScan
from ..errors import InputError
from ..networks.grid import NetworkGrid, between, resize

# Cubes are shown in slices of up to so many mm, means of their own.
_CUBE_SLICES_MM = 4.0
# Slices before and after a cube's nodule that are shown as often as its own, mm; of the others every so many-th.
_CUBE_MARGIN_MM, _CUBE_RARER = 4.0, 4
_PAD = 64  # voxels mirrored around a cut-out, so that a rotated patch never leaves it


@dataclass(frozen=True)
class Augmentation:
    """How a nodule is varied; all its slices alike. Flip, rotation and translation are the paper's.

    Attributes:
        rotation: largest turn in the slice, degrees.
        translation: largest shift, share of the patch width.
        scale: largest magnification (and 1 / it the smallest).
        hu_shift, hu_scale: largest change of HU by adding, and by a factor 1 +- hu_scale around -1000 HU.
        noise: largest standard deviation of added white noise, HU.
        sharpness: largest share of (image - smoothed image) added or removed, for other kernels.
        thickness: half of the samples show slices of up to so many mm, means of thinner ones; 0: slices as they are
            (cubes are always shown in slices of 1 to 4 mm).
        rounding: share of the samples whose HU come in steps, as some scans' do.
    """

    rotation: float = 30.0
    translation: float = 0.2
    scale: float = 1.2
    hu_shift: float = 30.0
    hu_scale: float = 0.05
    noise: float = 25.0
    sharpness: float = 0.5
    thickness: float = 0.0
    rounding: float = 0.0


@dataclass(frozen=True, eq=False)
class Place:
    """One place to train on: a small volume around a nodule, or around a point without one.

    Attributes:
        hu: int16 `[slice, row, column]`.
        target: bool or float32 of the same shape, 0..1; R(x) on the CT's own grid.
        spacing: (column, row, slice) in mm.
        slices: slices that may be the middle of a triplet.
        centre: (row, column) of the nodule, where patches are centred.
        subsolid: whether readers rate the nodule ground glass or part-solid.
        cube: whether it is a nodule's true surroundings in thin slices.
        mass: whether it is a mass on a coarser grid.
        far: how many times as wide the network's pixels are as usual here.
        off_lungs: of a whole scan, bool as `hu`: what lies far from the lungs, where rounding is coarse.
    """

    hu: np.ndarray
    target: np.ndarray
    spacing: tuple[float, float, float]
    slices: Sequence[int]
    centre: tuple[float, float]
    subsolid: bool = False
    cube: bool = False
    mass: bool = False
    far: float = 1.0
    off_lungs: np.ndarray | None = None


def batch(
    places: Sequence[Place],
    grid: NetworkGrid,
    size: int,
    augmentation: Augmentation,
    picks: Sequence[int],
    seed: Sequence[int],
) -> tuple[torch.Tensor, torch.Tensor]:
    """O(x) and R(x), both `[n, 1, 3, size, size]` float32, of the places numbered `picks`."""
    generator = np.random.default_rng(seed)
    samples = [_sample(places[pick], grid, size, augmentation, generator) for pick in picks]
    images, targets = zip(*samples, strict=True)
    return torch.stack(images)[:, None], torch.stack(targets)[:, None]


def _sample(
    place: Place, grid: NetworkGrid, size: int, augmentation: Augmentation, generator: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    middle = int(generator.choice(np.asarray(place.slices)))
    thick = _slices_in_one(place, augmentation.thickness, generator)
    apart = max(thick, grid.slices_apart(place.spacing[2])) * (-1 if generator.random() < 0.5 else 1)
    slices = _triplet(middle, thick, apart, len(place.hu))
    used = np.flatnonzero(slices.any(0))
    pixel = grid.pixel(place.hu.shape[1:], place.spacing[:2]) * place.far
    volumes = np.stack([_rounded(place, used, augmentation.rounding, generator), place.target[used]]).astype(np.float32)
    both = torch.from_numpy(np.einsum("sk,vkyx->vsyx", slices[:, used], volumes))
    turned = _turned(both, place, pixel, size, augmentation, generator)
    hu = other_scanner(turned[0], augmentation, generator)
    return grid.normalise(hu), turned[1].clamp(0, 1)


def _rounded(place: Place, slices: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """The HU of some slices, rounded in this share of the cases."""
    hu = place.hu[slices]
    rounding = Rounding.random(share, generator)
    if rounding is None:
        return hu
    return rounding.apply(hu, None if place.off_lungs is None else place.off_lungs[slices])


def _slices_in_one(place: Place, thickness: float, generator: np.random.Generator) -> int:
    """How many slices are averaged to one: a triplet of such is no thicker than the place."""
    if place.cube:
        return int(generator.integers(1, round(_CUBE_SLICES_MM / place.spacing[2]) + 1))
    most = min(int(thickness / place.spacing[2] + 1e-6), len(place.hu) // 3)
    return int(generator.integers(2, most + 1)) if most > 1 and generator.random() < 0.5 else 1


def _triplet(middle: int, thick: int, apart: float, count: int) -> np.ndarray:
    """The weights of a place's slices in the means of three slabs of `thick`, `apart` from one to the next, `[3,
    count]`.

    Between slices they are interpolated; the end slices go on for ever.
    """
    weights = np.zeros((3, count), np.float32)
    for number, slab in enumerate(weights):
        for inner in range(thick):
            for k, weight in between(middle + (number - 1) * apart + inner - thick // 2, count):
                slab[k] += weight / thick
    return weights


def _turned(
    volumes: torch.Tensor,
    place: Place,
    pixel: float,
    size: int,
    augmentation: Augmentation,
    generator: np.random.Generator,
) -> torch.Tensor:
    """HU and target `[2, 3, row, column]` flipped, turned, scaled, shifted, and brought to `size` network pixels.

    The affine step stays on the CT's pixel width; shrinking to the network's is done by `grid.resize`, as in inference.
    """
    width, height, _ = place.spacing
    steps = pixel / height, pixel / width
    fine = int(np.ceil(size * steps[0])) + 1, int(np.ceil(size * steps[1])) + 1
    angle = np.deg2rad(generator.uniform(-augmentation.rotation, augmentation.rotation))
    zoom = augmentation.scale ** generator.uniform(-1, 1)
    flip = generator.choice([-1.0, 1.0])
    shift = generator.uniform(-augmentation.translation, augmentation.translation, 2) * size * pixel
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag([1.0, flip]) / zoom

    rows, columns = np.meshgrid(
        *(np.arange(n) - (size * s - 1) / 2 for n, s in zip(fine, steps, strict=True)), indexing="ij"
    )
    offsets = np.stack([rows * height, columns * width], -1) + shift  # mm from the nodule's centre
    source = offsets @ turn.T / (height, width) + place.centre
    # numpy mirrors as often as needed; torch's reflection stops at the image's width.
    padded = torch.from_numpy(np.pad(volumes.numpy(), [(0, 0), (0, 0), (_PAD, _PAD), (_PAD, _PAD)], mode="symmetric"))
    extent = np.array(padded.shape[-2:], float)
    normalised = (2 * (source + _PAD) + 1) / extent - 1
    points = torch.from_numpy(np.ascontiguousarray(normalised[..., ::-1], dtype=np.float32))[None]
    sampled = torch.nn.functional.grid_sample(
        padded.flatten(0, 1)[None], points, mode="bilinear", padding_mode="border", align_corners=False
    )[0]
    small = resize(sampled.numpy(), (1 / steps[0], 1 / steps[1]))[:, :size, :size]
    return torch.from_numpy(small).unflatten(0, (2, 3))


def other_scanner(hu: torch.Tensor, augmentation: Augmentation, generator: np.random.Generator) -> torch.Tensor:
    """The same tissue as another scanner, dose or kernel might show it."""
    factor = 1 + generator.uniform(-augmentation.hu_scale, augmentation.hu_scale)
    hu = (hu + 1000) * factor - 1000 + generator.uniform(-augmentation.hu_shift, augmentation.hu_shift)
    smooth = torch.nn.functional.avg_pool2d(hu, 3, stride=1, padding=1, count_include_pad=False)
    hu = hu + generator.uniform(-augmentation.sharpness, augmentation.sharpness) * (hu - smooth)
    deviation = generator.uniform(0, augmentation.noise)
    noise = generator.standard_normal(hu.shape, dtype=np.float32) * deviation
    return hu + torch.from_numpy(noise)


def cutout_places(cutouts: Sequence[Cutout], target: str) -> list[Place]:
    """A place for each cut-out. `target` is R(x): `binary` (50% consensus, the paper's), `share` of readers, or
    `intensity` (normalised HU inside the consensus)."""
    return [_place(cutout, target) for cutout in cutouts]


def _target(cutout: Cutout, kind: str) -> np.ndarray:
    if kind == "share":
        return cutout.share
    mask = cutout.consensus.astype(np.float32)
    if kind == "binary":
        return mask
    if kind != "intensity":
        raise InputError(f"The target {kind!r} is not known; choose binary, share or intensity.")
    return mask * NetworkGrid().normalise(cutout.ct.hu.astype(np.float32))


def _place(cutout: Cutout, target: str) -> Place:
    ct, (_, row, column) = cutout.ct, np.argwhere(cutout.consensus).mean(0).tolist()
    slices = _slices_of_cube(cutout) if cutout.cube else range(len(ct.hu))
    return Place(ct.hu, _target(cutout, target), ct.spacing, slices, (row, column), cutout.subsolid, cutout.cube)


def _slices_of_cube(cutout: Cutout) -> Sequence[int]:
    """Those of the nodule and just around it, and a few of the others: of a cube most show no nodule."""
    nodule = np.flatnonzero(cutout.consensus.any((1, 2)))
    margin = round(_CUBE_MARGIN_MM / cutout.ct.spacing[2])
    near = range(max(0, int(nodule[0]) - margin), min(len(cutout.consensus), int(nodule[-1]) + margin + 1))
    return [k for k in range(len(cutout.consensus)) if k in near or k % _CUBE_RARER == 0]


_WINDOW = 40  # half width, in CT pixels, of the window cut from a whole scan
_FAR = 1.3, 4.0  # how many times as wide the pixels are of a place on a coarser grid


def scan_places(
    ct: CT,
    lungs: np.ndarray,
    consensus: np.ndarray,
    doubtful: np.ndarray,
    count: int,
    seed: int,
    grid: NetworkGrid,
    *,
    coarse: bool = False,
    thickness: float = 0.0,
) -> list[Place]:
    """`count` places of a whole scan in the axial view, drawn in and just around the lungs: vessels, hilum, chest wall.

    `consensus` (bool) is R(x), `doubtful` marks voxels that only one or two readers outlined; no place shows any of
    those. With `coarse` they are seen on pixels 1.3 to 4 times as wide, as masses are: heart, diaphragm and great
    vessels. They have room for triplets of slices of `thickness` mm, as far apart as `grid` says.
    """
    generator = np.random.default_rng(seed)
    off_lungs = far_from_lungs(lungs, ct.spacing)
    thick = thickness / ct.spacing[2]
    reach = math.ceil(max(thick, grid.slices_apart(ct.spacing[2])) + thick / 2)
    near = ndimage.binary_dilation(lungs[:, ::4, ::4] > 0, iterations=2)
    points = np.argwhere(near) * (1, 4, 4)
    places: list[Place] = []
    while len(places) < count:
        slice_, row, column = points[generator.integers(len(points))]
        far = float(np.exp(generator.uniform(*np.log(_FAR)))) if coarse else 1.0
        half = round(_WINDOW * far)
        window = (
            slice(max(slice_ - reach, 0), slice_ + reach + 1),
            slice(max(row - half, 0), row + half),
            slice(max(column - half, 0), column + half),
        )
        if doubtful[window].any():
            continue
        middle = (int(slice_ - window[0].start),)
        centre = (float(row - window[1].start), float(column - window[2].start))
        hu = ct.hu[window]
        steps = far_in(off_lungs, window, hu.shape)
        places.append(Place(hu, consensus[window], ct.spacing, middle, centre, far=far, off_lungs=steps))
    return places


# A nodule this wide (diameter of the sphere of equal volume) is a mass; on a coarser grid it looks about as wide as
# this, mm.
_MASS_MM, _LOG_SEEN_MM = 20.0, (math.log(11.0), math.log(20.0))
# A cube is not wide enough for masses on a coarser grid.
_FAR_IN_CUBES = 1.1, 1.6


def masses_in_cubes(cutouts: Sequence[Cutout], target: str, seed: int, views: int) -> list[Place]:
    """Each of the cubes' masses seen in so many views, from so far that a cube fills them; `target` as of
    `cutout_places`.
    """
    places: list[Place] = []
    for number, cutout in enumerate(cutouts):
        if cutout.cube and cutout.diameter >= _MASS_MM:
            distances = np.random.default_rng((seed, number, 1)).uniform(*_FAR_IN_CUBES, views)
            places += [replace(_place(cutout, target), mass=True, far=far) for far in distances.tolist()]
    return places


def mass_places(scan: LabelledScan, lungs: np.ndarray, seed: int, views: int) -> list[Place]:
    """Each mass of a whole scan in so many views on a coarser grid, as the generator looks at candidates that are
    wide.
    """
    ct, off_lungs = scan.ct, far_from_lungs(lungs, scan.ct.spacing)
    places: list[Place] = []
    for number, box in enumerate(ndimage.find_objects(scan.reference), 1):
        if box is None:
            continue
        voxels = np.argwhere(scan.reference[box] == number)
        diameter = equivalent_diameter(len(voxels) * ct.voxel_volume)
        if diameter >= _MASS_MM:
            middle = voxels.mean(0) + [part.start for part in box]
            seen = np.exp(np.random.default_rng((seed, number)).uniform(*_LOG_SEEN_MM, views))
            distances = np.maximum(diameter / seen, 1.0).tolist()
            mass = scan.reference == number
            places += [_view_of_mass(ct, mass, box[0], middle, off_lungs, far) for far in distances]
    return places


def _view_of_mass(
    ct: CT, mass: np.ndarray, slices: slice, middle: np.ndarray, off_lungs: np.ndarray, far: float
) -> Place:
    """A mass in these slices about its `middle` (slice, row, column), on pixels `far` times as wide as usual."""
    half, reach = round(_WINDOW * far), max(1, round(_CUBE_MARGIN_MM / ct.spacing[2]))
    row, column = round(middle[1]), round(middle[2])
    window = (
        slice(max(slices.start - reach, 0), slices.stop + reach),
        slice(max(row - half, 0), row + half),
        slice(max(column - half, 0), column + half),
    )
    hu = ct.hu[window]
    centre = (float(middle[1] - window[1].start), float(middle[2] - window[2].start))
    steps = far_in(off_lungs, window, hu.shape)
    return Place(hu, mass[window], ct.spacing, range(len(hu)), centre, mass=True, far=far, off_lungs=steps)
