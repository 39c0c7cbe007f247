"""Dice of single nodules, seeded at the centre of the radiologists' outline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from scipy import ndimage

from ..data.cutouts import Cutout
from ..errors import InputError
from ..generation import generate
from ..grid import NetworkGrid
from ..networks.generator import Generator

# A seed takes the component at it, or the nearest within this distance.
_SEED_REACH_MM = 5.0


def dice(reference: np.ndarray, found: np.ndarray) -> float:
    """Eq. 11 for one nodule: 2 |R and G| / (|R| + |G|), of two boolean arrays of the same shape."""
    return 2.0 * float(np.count_nonzero(reference & found)) / float(np.count_nonzero(reference) + np.count_nonzero(found))


def centre_of(nodule: np.ndarray) -> tuple[int, int, int]:
    """The voxel (i, j, k) of a nodule nearest to its centre of mass; `nodule` is bool `[slice, row, column]`."""
    voxels = np.argwhere(nodule)
    k, j, i = voxels[np.argmin(((voxels - voxels.mean(0)) ** 2).sum(1))]
    return int(i), int(j), int(k)


def component_at(mask: np.ndarray, seed: tuple[int, int, int], reach: tuple[float, float, float]) -> np.ndarray:
    """The component of `mask` at the seed (i, j, k), or the nearest within `reach` voxels (i, j, k); empty where none is."""
    labels, count = ndimage.label(mask)
    if not count:
        return np.zeros_like(mask)
    voxels = np.argwhere(mask)
    distances = np.linalg.norm((voxels - seed[::-1]) / np.maximum(reach[::-1], 1e-6), axis=1)
    nearest = int(np.argmin(distances))
    if distances[nearest] > 1:
        return np.zeros_like(mask)
    return labels == labels[tuple(voxels[nearest])]


def seeded_dice(cutout: Cutout, generator: Generator, grid: NetworkGrid, threshold: float) -> float:
    """Dice of one cut-out's nodule against the 50% consensus on the CT's own grid, seeded at its centre."""
    reference = cutout.consensus
    i, j, k = centre_of(reference)
    x, y, z = (_SEED_REACH_MM / spacing for spacing in cutout.ct.spacing)
    around = (_within(k, z), _within(j, y), _within(i, x))
    slices, rows, columns = cutout.ct.hu.shape
    everything = (slice(0, slices), slice(0, rows), slice(0, columns))
    device = next(generator.parameters()).device
    with torch.inference_mode():
        image = generate(
            cutout.ct, lambda o: generator(o.to(device)).cpu(), grid, [around], [everything], threshold=threshold
        ).on_ct_grid()
    return dice(reference, component_at(image > threshold, (i, j, k), (x, y, z)))


def _within(at: int, reach: float) -> slice:
    return slice(max(0, int(at - reach)), int(at + reach) + 1)


def read_labels(path: Path) -> np.ndarray:
    """A label map `[slice, row, column]`; values that are not whole numbers of at least 0 are refused."""
    try:
        labels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    except RuntimeError as error:
        raise InputError(f"{path.name} cannot be read as an image; give a label map in NRRD, MHA or NIfTI.") from error
    if labels.ndim != 3 or (labels < 0).any() or (labels != np.round(labels)).any():
        raise InputError(f"{path.name} is no label map; its values must be 0 and 1..N on one 3D grid.")
    return labels.astype(np.int32)


@dataclass(frozen=True)
class Match:
    """One nodule of the reference, the label that overlaps it most (0: none), and their Dice."""

    reference: int
    label: int
    dice: float


def match_nodules(reference: np.ndarray, labels: np.ndarray) -> list[Match]:
    """For each label of `reference` the Dice with the label of `labels` (same grid) that shares most voxels with it."""
    if reference.shape != labels.shape:
        raise InputError(f"The label maps have different grids, {reference.shape} and {labels.shape}; compare maps of one CT.")
    matches = []
    for number in range(1, int(reference.max(initial=0)) + 1):
        nodule = reference == number
        if not nodule.any():
            continue
        inside = np.bincount(labels[nodule])
        inside[0] = 0
        best = int(np.argmax(inside)) if inside.any() else 0
        matches.append(Match(number, best, dice(nodule, labels == best) if best else 0.0))
    return matches
