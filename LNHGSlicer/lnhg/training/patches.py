"""Patches: cut out of nodules and put into slices of whole scans, and decoys that look pasted but hold no nodule.

A network can learn the seam of a paste in place of the nodule. So every kind of paste also comes as a decoy: random
shapes and squares of plain tissue of a scan, and the surroundings of a cut-out without its nodule.

All images here are stacks of three slices `[3, y, x]` in HU on the detector's grid (see `detector_samples`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import ndimage

from ..data.volumes import Volume
from ..stages.scan_noise import noise_level

# A cut-out holds chest wall when at least this share of its square is denser than -300 HU outside the nodule.
_WALL_SHARE, _WALL_HU = 0.08, -300.0


@dataclass(frozen=True, eq=False)
class Patch:
    """Three slices of a cut-out on the detector's grid, float32 `[3, y, x]`: HU and nodule (0..1, in the middle)."""

    hu: np.ndarray
    nodule: np.ndarray


@dataclass(frozen=True)
class Pose:
    """How a stack is seen: turned by `angle` (radians), magnified by `zoom`, mirrored sideways, slices reversed."""

    angle: float = 0.0
    zoom: float = 1.0
    mirrored: bool = False
    reversed: bool = False

    @classmethod
    def random(cls, generator: np.random.Generator, largest_angle: float) -> Pose:
        """Turned by up to `largest_angle` degrees, magnified by 0.8 to 1.25."""
        angle = np.deg2rad(generator.uniform(-largest_angle, largest_angle))
        zoom = 1.25 ** generator.uniform(-1, 1)
        return cls(float(angle), float(zoom), bool(generator.random() < 0.5), bool(generator.random() < 0.5))


def cut(
    volume: Volume,
    middle: float,
    distance_mm: float,
    thickness_mm: float,
    pixel_mm: float,
    size: int,
    view: Pose,
    centre: tuple[float, float] | None = None,
) -> Patch:
    """Three planes of a volume, `distance_mm` apart around slice `middle`, sampled to `size` pixels of `pixel_mm`.

    `centre` (row, column; default: the nodule's) falls on the centre of the patch. Thin slices are averaged to
    `thickness_mm`. In the slice the volume is mirrored at its border.
    """
    planes = _plane_weights(volume, middle, distance_mm, thickness_mm)
    if view.reversed:
        planes = planes[::-1]
    first, last = np.flatnonzero(planes.any(0))[[0, -1]]
    weights = planes[:, first : last + 1]
    both = np.stack([np.tensordot(weights, part[first : last + 1], 1) for part in (volume.hu, volume.nodule)])
    hu, nodule = sample_stack(
        both.astype(np.float32), volume.spacing[:2], centre or volume.centre, pixel_mm, size, view
    )
    return Patch(hu, nodule)


def middle_one(patch: Patch) -> Patch:
    """The patch with the nodule in its middle alone, without the copies of it that mirroring at the border makes."""
    labels, count = ndimage.label(patch.nodule > 0, np.ones((3, 3, 3)))
    middle = (patch.nodule.shape[-1] - 1) / 2
    away = [np.hypot(*(np.argwhere(labels == number)[:, 1:] - middle).T).min() for number in range(1, count + 1)]
    return replace(patch, nodule=patch.nodule * (labels == 1 + int(np.argmin(away)))) if count else patch


def _plane_weights(volume: Volume, middle: float, distance_mm: float, thickness_mm: float) -> np.ndarray:
    """How much each slice counts for each of the three planes, `[3, slice]`; the end slices go on for ever."""
    own = volume.spacing[2]
    parts = max(1, round(thickness_mm / own))
    weights = np.zeros((3, len(volume.hu)), np.float32)
    for plane in range(3):
        height = middle + (plane - 1) * distance_mm / own
        for part in range(parts):
            position = np.clip(height + part - (parts - 1) / 2, 0, len(volume.hu) - 1)
            below = int(position)
            weights[plane, below] += (1 - (position - below)) / parts
            weights[plane, min(below + 1, len(volume.hu) - 1)] += (position - below) / parts
    return weights


def sample_stack(
    images: np.ndarray,
    spacing: tuple[float, float],
    centre: tuple[float, float],
    pixel_mm: float,
    size: int,
    view: Pose,
) -> np.ndarray:
    """Images `[..., row, column]` linearly sampled to `[..., size, size]` pixels of `pixel_mm` about `centre`."""
    offsets = (np.arange(size, dtype=np.float32) - (size - 1) / 2) * pixel_mm / view.zoom
    y, x = np.meshgrid(offsets, offsets, indexing="ij")
    sine, cosine = np.sin(view.angle), np.cos(view.angle)
    across = (cosine * x + sine * y) * (-1 if view.mirrored else 1)
    rows = (-sine * x + cosine * y) / spacing[1] + centre[0]
    columns = across / spacing[0] + centre[1]
    height, width = images.shape[-2:]
    points = np.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], -1).astype(np.float32)
    flat = torch.from_numpy(np.ascontiguousarray(images.reshape(1, -1, height, width)))
    sampled = torch.nn.functional.grid_sample(
        flat, torch.from_numpy(points)[None], mode="bilinear", padding_mode="reflection", align_corners=False
    )
    return sampled.numpy().reshape(*images.shape[:-2], size, size)


def wall_direction(volume: Volume) -> tuple[float, float] | None:
    """Where the chest wall lies from the nodule: angle of (row, column) and distance in mm; None if none is near."""
    middle = int(np.median(volume.slices))
    dense = (volume.hu[middle] > _WALL_HU) & (volume.nodule.max(0) == 0)
    bodies, count = ndimage.label(dense)
    if count == 0:
        return None
    largest = bodies == 1 + int(np.argmax(np.bincount(bodies.ravel())[1:]))
    if largest.mean() < _WALL_SHARE:
        return None
    offsets = (np.argwhere(largest) - volume.centre) * volume.spacing[1::-1]
    towards = offsets.mean(0)
    return float(np.arctan2(towards[0], towards[1])), float(np.linalg.norm(offsets, axis=1).min())


def soft(mask: np.ndarray, grow: float, edge: float) -> np.ndarray:
    """Weights 0..1 `[3, y, x]`: 1 up to `grow` pixels around a mask, then down to 0 over `edge` pixels, by slice."""
    outside = np.stack(
        [ndimage.distance_transform_edt(one < 0.5) if (one >= 0.5).any() else np.full(one.shape, 1e3) for one in mask]
    )
    return np.clip((grow + edge - outside) / edge, 0, 1).astype(np.float32)


def soft_square(size: int, side: float, edge: float) -> np.ndarray:
    """Weights `[size, size]`: a square with round corners in the middle that fades over `edge` pixels."""
    away = np.maximum(np.abs(np.arange(size) - (size - 1) / 2) - (side / 2 - edge), 0)
    return np.clip(1 - np.hypot(away[:, None], away[None]) / edge, 0, 1).astype(np.float32)


def blob(generator: np.random.Generator, size: int, width: float) -> np.ndarray:
    """A random shape about `width` pixels wide in the middle of `[3, size, size]`; it may end in the outer slices."""
    axis = np.arange(size) - (size - 1) / 2
    y, x = np.meshgrid(axis, axis, indexing="ij")
    rough = ndimage.gaussian_filter(generator.standard_normal((3, size, size)), (1, width / 4, width / 4), mode="wrap")
    rough *= 0.35 / max(float(rough.std()), 1e-9)
    heights = np.array([generator.uniform(0, 1), 1, generator.uniform(0, 1)])[:, None, None]
    stretch = generator.uniform(0.7, 1.4)
    return (np.hypot(y * stretch, x / stretch) / (width / 2) + rough < heights).astype(np.float32)


def paste(stack: np.ndarray, hu: np.ndarray, weight: np.ndarray, row: int, column: int) -> None:
    """Blend `hu` into `stack` in place, both `[3, y, x]`: centred at (row, column), cut at the stack's border."""
    size = hu.shape[-1]
    top, left = row - size // 2, column - size // 2
    rows, columns = slice(max(0, top), top + size), slice(max(0, left), left + size)
    target = stack[:, rows, columns]
    inner = (
        slice(None),
        slice(rows.start - top, rows.start - top + target.shape[1]),
        slice(columns.start - left, columns.start - left + target.shape[2]),
    )
    target += weight[inner] * (hu[inner] - target)


def match_noise(hu: np.ndarray, training_scan: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A patch with as much noise as what surrounds it where it has less; a noisier one is smoothed a little."""
    own, wanted = noise_level(hu), noise_level(training_scan)
    if own < wanted:
        return hu + generator.standard_normal(hu.shape, np.float32) * np.float32(np.sqrt(wanted**2 - own**2))
    width = 0.5 * min(1.0, own / max(wanted, 1.0) - 1)
    return ndimage.gaussian_filter(hu, (0, width, width)) if width > 0.1 else hu
