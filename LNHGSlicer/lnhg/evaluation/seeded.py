"""Runs on single nodules, seeded at the centre of the radiologists' outline."""

from __future__ import annotations

import numpy as np

from ..core.result import Result
from ..data.cutouts import Cutout
from ..networks.models import Models
from ..options import Options
from ..pipeline import segment
from .measures import dice

_SEEDS_ONLY = Options(seeds_only=True)


def centre_of(nodule: np.ndarray) -> tuple[int, int, int]:
    """The voxel (i, j, k) of a nodule nearest to its centre of mass; `nodule` is bool `[slice, row, column]`."""
    voxels = np.argwhere(nodule)
    k, j, i = voxels[np.argmin(((voxels - voxels.mean(0)) ** 2).sum(1))]
    return int(i), int(j), int(k)


def seeded_dice(cutout: Cutout, models: Models, options: Options = _SEEDS_ONLY) -> float:
    """Dice of one cut-out's nodule against the 50% consensus on the CT's own grid, segmented from a seed at its
    centre.
    """
    return dice(cutout.consensus, seeded(cutout, models, options).labels > 0)


def seeded(cutout: Cutout, models: Models, options: Options = _SEEDS_ONLY) -> Result:
    """The run on one cut-out from a seed at the centre of its consensus."""
    seed = cutout.ct.to_ras(np.array(centre_of(cutout.consensus)))
    return segment(cutout.ct, options, [seed.tolist()], models=models)
