"""Mosaics: cut-outs in their own surroundings beside pieces of whole scans."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ..data.volumes import Volume, without_nodule
from ..stages.scan_noise import noise_level
from .decoys import plain_tissue
from .detector_data import DetectorData, any_of, neighbour_step
from .insertion import nodule_of
from .patches import Patch, Pose, cut
from .sampling import Sampling


def mosaic(data: DetectorData, sampling: Sampling, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Tiles side by side: cut-outs in their own surroundings (mirrored beyond) and pieces of scans, softly joined."""
    size = sampling.size
    hu, nodules = np.zeros((3, size, size), np.float32), np.zeros((3, size, size), np.float32)
    count = int(generator.choice([1, 2, 3], p=[0.1, 0.5, 0.4]))
    cuts = [_cuts(size, count, generator) for _ in range(2)]
    for top, bottom in zip(cuts[0][:-1], cuts[0][1:], strict=True):
        for left, right in zip(cuts[1][:-1], cuts[1][1:], strict=True):
            tile, mask = _tile(data, sampling, bottom - top, right - left, count, generator)
            hu[:, top:bottom, left:right], nodules[:, top:bottom, left:right] = tile, mask
    return _joined(hu, cuts), nodules


def _cuts(size: int, count: int, generator: np.random.Generator) -> list[int]:
    inner = [round(size * n / count + generator.uniform(-4, 4)) for n in range(1, count)]
    return [0, *inner, size]


def _tile(
    data: DetectorData, sampling: Sampling, height: int, width: int, count: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """HU and nodules `[3, height, width]` of one tile."""
    size = max(height, width)
    if generator.random() < 0.35 and count > 1:
        training_scan = any_of(data.training_scans, generator)
        hu, masks = plain_tissue(training_scan, data, size, generator)
        return hu[:, :height, :width], masks[0, :, :height, :width]
    cubes = [volume for volume in data.volumes if volume.cube] if generator.random() < sampling.cubes else []
    volume, view = nodule_of(data, sampling, generator, cubes), Pose.random(generator, 180.0)
    slice_mm = _slice_mm(volume, generator)
    distance = neighbour_step(data, slice_mm) * slice_mm
    middle = float(volume.slices[generator.integers(len(volume.slices))])
    room = max(2.0, size / 2 - 16) * data.grid.pixel_mm
    shift = generator.uniform(-room, room, 2) * 0.8 / np.array(volume.spacing[1::-1])
    centre = (volume.centre[0] + shift[0], volume.centre[1] + shift[1])
    patch = cut(volume, middle, distance, slice_mm, data.grid.pixel_mm, size, view, centre)
    if generator.random() < sampling.emptied:
        patch = _emptied(patch, generator)
    return patch.hu[:, :height, :width], patch.nodule[:, :height, :width]


def _slice_mm(volume: Volume, generator: np.random.Generator) -> float:
    """The slice thickness in which a cut-out is shown, its own or thicker; thin slices of a cube are mostly put
    together.
    """
    if volume.cube:
        return float(generator.integers(1, 6)) * volume.spacing[2]
    return max(float(generator.choice([volume.spacing[2], 1.0, 2.5, 5.0], p=[0.55, 0.1, 0.2, 0.15])), volume.spacing[2])


def _emptied(patch: Patch, generator: np.random.Generator) -> Patch:
    """The surroundings of a nodule without it, filled in with noise, so that surroundings alone say nothing."""
    noise = generator.standard_normal(patch.hu.shape, np.float32) * np.float32(noise_level(patch.hu))
    nodule = patch.nodule > 0.1
    filled = np.stack([without_nodule(hu, mask) for hu, mask in zip(patch.hu, nodule, strict=True)])
    return Patch(np.where(filled != patch.hu, filled + noise, patch.hu), np.zeros_like(patch.nodule))


def _joined(hu: np.ndarray, cuts: Sequence[Sequence[int]]) -> np.ndarray:
    """The seams between tiles smoothed over about four pixels."""
    near = np.zeros(hu.shape[1:], np.float32)
    for edge in cuts[0][1:-1]:
        near[edge - 1 : edge + 1] = 1
    for edge in cuts[1][1:-1]:
        near[:, edge - 1 : edge + 1] = 1
    if not near.any():
        return hu
    weight = np.clip(ndimage.gaussian_filter(near, 1.0) * 1.6, 0, 1)
    return hu + weight * (ndimage.gaussian_filter(hu, (0, 1.5, 1.5)) - hu)
