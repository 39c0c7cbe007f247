"""Dice of single nodules, seeded at the centre of the radiologists' outline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.result import Result
from ..data.cutouts import Cutout
from ..errors import InputError
from ..networks.models import Models
from ..options import Options
from ..pipeline import segment

_SEEDS_ONLY = Options(seeds_only=True)


def dice(reference: np.ndarray, found: np.ndarray) -> float:
    """Eq. 11 for one nodule: 2 |R and G| / (|R| + |G|), of two boolean arrays of the same shape."""
    return 2.0 * float(np.count_nonzero(reference & found)) / float(np.count_nonzero(reference) + np.count_nonzero(found))


def centre_of(nodule: np.ndarray) -> tuple[int, int, int]:
    """The voxel (i, j, k) of a nodule nearest to its centre of mass; `nodule` is bool `[slice, row, column]`."""
    voxels = np.argwhere(nodule)
    k, j, i = voxels[np.argmin(((voxels - voxels.mean(0)) ** 2).sum(1))]
    return int(i), int(j), int(k)


def seeded_dice(cutout: Cutout, models: Models, options: Options = _SEEDS_ONLY) -> float:
    """Dice of one cut-out's nodule against the 50% consensus on the CT's own grid, segmented from a seed at its centre."""
    return dice(cutout.consensus, seeded(cutout, models, options).labels > 0)


def seeded(cutout: Cutout, models: Models, options: Options = _SEEDS_ONLY) -> Result:
    """The run on one cut-out from a seed at the centre of its consensus."""
    seed = cutout.ct.to_ras(np.array(centre_of(cutout.consensus)))
    return segment(cutout.ct, options, [seed.tolist()], models=models)


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
