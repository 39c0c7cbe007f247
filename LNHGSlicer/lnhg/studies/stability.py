"""Stability over training (Figure 7 of the paper): do maps of generators trained longer or shorter show the same?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from ..data.cutouts import Cutout
from ..errors import InputError
from ..evaluation.references import CONSENSUS
from ..networks.torch_models import load_models
from .heterogeneity_indices import OWN, measured
from .nodule_runs import NoduleRuns, NoduleTwins

#: The indices that are followed in the readers' consensus: of h(x), of G(x) and of the map `twin`.
FOLLOWED = (
    "h whole mean",
    "h core mean",
    "h core deviation",
    "h core entropy",
    "h rim mean",
    "G core mean",
    "T core mean",
    "T core maximum",
)
#: Those of the map of unevenness, which needs no generator but for the outline it is taken in.
FOLLOWED_IN_OWN = ("D core mean", "D core maximum", "unevenness")


@dataclass(frozen=True)
class Stability:
    """One training length against the last one given, on the same nodules.

    Attributes:
        length, last: names of the weights' folders.
        nodules: how many.
        map_correlation: median over nodules of Pearson's correlation of G(x) (so of h(x)) inside the nodule.
        map_quartiles: first and third quartile of it.
        indices: Spearman's correlation over the nodules of each index in `FOLLOWED`, in the readers' consensus, and of
            each in `FOLLOWED_IN_OWN`, in the own outlines.
    """

    length: str
    last: str
    nodules: int
    map_correlation: float
    map_quartiles: tuple[float, float]
    indices: Mapping[str, float]


def stability(folders: Sequence[Path], cutouts: Sequence[Cutout], cache: Path) -> list[Stability]:
    """Folders of packed weights, one for each length, shortest first; each is compared with the last.

    Raises InputError for under two folders, WeightsError for bad weights.
    """
    if len(folders) < 2:
        raise InputError(
            "Stability over training needs weights of two or more lengths; give their folders, shortest first."
        )
    trained = [NoduleRuns(load_models(folder, with_detector=False), cache) for folder in folders]
    images = [[runs.run(cutout).image for cutout in cutouts] for runs in trained]
    values = [[_followed(cutout, runs) for cutout in cutouts] for runs in trained]
    return [
        _compared(folder.name, folders[-1].name, cutouts, images[number], images[-1], values[number], values[-1])
        for number, folder in enumerate(folders[:-1])
    ]


def _followed(cutout: Cutout, runs: NoduleRuns) -> dict[str, float]:
    run, twins = runs.run(cutout), NoduleTwins(runs.models)
    consensus = measured(cutout, run, CONSENSUS, twins=twins).indices
    own = measured(cutout, run, OWN).indices
    return {name: consensus[name] for name in FOLLOWED} | {name: own[name] for name in FOLLOWED_IN_OWN}


def _compared(
    length: str,
    last: str,
    cutouts: Sequence[Cutout],
    images: Sequence[np.ndarray],
    last_images: Sequence[np.ndarray],
    values: Sequence[Mapping[str, float]],
    last_values: Sequence[Mapping[str, float]],
) -> Stability:
    inside = [
        _correlation(one[cutout.consensus], other[cutout.consensus])
        for cutout, one, other in zip(cutouts, images, last_images, strict=True)
    ]
    low, middle, high = np.nanquantile(inside, (0.25, 0.5, 0.75)).tolist()
    names = (*FOLLOWED, *FOLLOWED_IN_OWN)
    indices = {name: _rank_correlation([v[name] for v in values], [v[name] for v in last_values]) for name in names}
    return Stability(length, last, len(cutouts), middle, (low, high), indices)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's; NaN where one of them is flat."""
    return float(np.corrcoef(a, b)[0, 1]) if a.size > 1 and np.ptp(a) > 0 and np.ptp(b) > 0 else math.nan


def _rank_correlation(a: Sequence[float], b: Sequence[float]) -> float:
    return float(stats.spearmanr(a, b, nan_policy="omit")[0])
