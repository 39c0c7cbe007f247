"""Training samples of the generator: triplets of slices O(x) with their target R(x), cut and augmented on the fly.

Each sample depends on nothing but the seed and its number, so a run that is cut off goes on with the same samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from ..ct import CT
from ..errors import InputError
from ..grid import NetworkGrid, resize
from .cutouts import Cutout

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
        thickness: half of the samples show slices of up to so many mm, means of thinner ones; 0: slices as they are.
    """

    rotation: float = 30.0
    translation: float = 0.2
    scale: float = 1.2
    hu_shift: float = 30.0
    hu_scale: float = 0.05
    noise: float = 25.0
    sharpness: float = 0.5
    thickness: float = 0.0


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
        far: how many times as wide the network's pixels are as usual here.
    """

    hu: np.ndarray
    target: np.ndarray
    spacing: tuple[float, float, float]
    slices: Sequence[int]
    centre: tuple[float, float]
    subsolid: bool = False
    far: float = 1.0


def batch(
    places: Sequence[Place], grid: NetworkGrid, size: int, augmentation: Augmentation, picks: Sequence[int], seed: Sequence[int]
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
    slices = _triplet(middle, thick, max(thick, grid.slices_apart(place.spacing[2])), len(place.hu))
    if generator.random() < 0.5:
        slices = slices[::-1]
    pixel = grid.pixel(place.hu.shape[1:], place.spacing[:2]) * place.far
    both = torch.from_numpy(np.stack([place.hu[slices].mean(1), place.target[slices].mean(1)]).astype(np.float32))
    turned = _turned(both, place, pixel, size, augmentation, generator)
    hu = other_scanner(turned[0], augmentation, generator)
    return grid.normalise(hu), turned[1].clamp(0, 1)


def _slices_in_one(place: Place, thickness: float, generator: np.random.Generator) -> int:
    """How many slices are averaged to one: a triplet of such is no thicker than the place."""
    most = min(int(thickness / place.spacing[2] + 1e-6), len(place.hu) // 3)
    return int(generator.integers(2, most + 1)) if most > 1 and generator.random() < 0.5 else 1


def _triplet(middle: int, thick: int, apart: int, count: int) -> np.ndarray:
    """The numbers of the slices in each of three slabs of `thick`, `apart` from one to the next, `[3, thick]`.

    The end slices go on for ever.
    """
    slabs = middle + apart * np.array([[-1], [0], [1]]) + np.arange(thick) - thick // 2
    return np.clip(slabs, 0, count - 1)


def _turned(
    volumes: torch.Tensor, place: Place, pixel: float, size: int, augmentation: Augmentation, generator: np.random.Generator
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

    rows, columns = np.meshgrid(*(np.arange(n) - (size * s - 1) / 2 for n, s in zip(fine, steps, strict=True)), indexing="ij")
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
    small = resize(sampled, (1 / steps[0], 1 / steps[1]))[:, :size, :size]
    return small.unflatten(0, (2, 3))


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
    return mask * NetworkGrid().normalise(torch.from_numpy(cutout.ct.hu.astype(np.float32))).numpy()


def _place(cutout: Cutout, target: str) -> Place:
    ct, (_, row, column) = cutout.ct, np.argwhere(cutout.consensus).mean(0).tolist()
    return Place(ct.hu, _target(cutout, target), ct.spacing, range(len(ct.hu)), (row, column), cutout.subsolid)


_WINDOW = 40  # half width, in CT pixels, of the window cut from a whole scan
_FAR = 1.3, 4.0  # how many times as wide the pixels are of a place seen from afar


def scan_places(
    ct: CT,
    lungs: np.ndarray,
    consensus: np.ndarray,
    doubtful: np.ndarray,
    count: int,
    seed: int,
    grid: NetworkGrid,
    *,
    afar: bool = False,
    thickness: float = 0.0,
) -> list[Place]:
    """`count` places of a whole scan in the axial view, drawn in and just around the lungs: vessels, hilum, chest wall.

    `consensus` (bool) is R(x), `doubtful` marks voxels that only one or two readers outlined; no place shows any of those.
    With `afar` they are seen on pixels 1.3 to 4 times as wide, as masses are: heart, diaphragm and great vessels.
    They have room for triplets of slices of `thickness` mm, as far apart as `grid` says.
    """
    generator = np.random.default_rng(seed)
    thick = thickness / ct.spacing[2]
    reach = int(np.ceil(max(thick, grid.slices_apart(ct.spacing[2])) + thick / 2))
    near = ndimage.binary_dilation(lungs[:, ::4, ::4] > 0, iterations=2)
    points = np.argwhere(near) * (1, 4, 4)
    places: list[Place] = []
    while len(places) < count:
        slice_, row, column = points[generator.integers(len(points))]
        far = float(np.exp(generator.uniform(*np.log(_FAR)))) if afar else 1.0
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
        places.append(Place(ct.hu[window], consensus[window], ct.spacing, middle, centre, far=far))
    return places
