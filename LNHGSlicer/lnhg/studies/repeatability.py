"""Repeatability: how little each index changes when the same nodule is scanned or outlined otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.geometry import equivalent_diameter
from ..data.cutouts import Cutout
from ..evaluation.agreement import Intraclass, absolute_agreement, consistency
from .heterogeneity_indices import REGIONS, Measured, measured
from .nodule_runs import AS_IT_IS, NoduleRuns, NoduleTwins
from .perturbations import PERTURBATIONS

#: Name for all perturbations together with the nodule as it is.
ALL = "all"


@dataclass(frozen=True)
class Repeatability:
    """One index under one perturbation: the nodule as it is against the nodule changed (or all changes together).

    Attributes:
        index, region: what was measured where.
        perturbation: name, or `all`.
        agreement: ICC(2,1).
        consistency: ICC(3,1).
    """

    index: str
    region: str
    perturbation: str
    agreement: Intraclass
    consistency: Intraclass


def stratified_sample(cutouts: Sequence[Cutout], count: int, seed: int = 0) -> list[Cutout]:
    """`count` cut-outs drawn evenly over the diameters: one at random from each of as many groups of like size."""
    by_size = sorted(cutouts, key=lambda cutout: (_diameter(cutout), cutout.name))
    random = np.random.default_rng(seed)
    groups = np.array_split(np.arange(len(by_size)), min(count, len(by_size)))
    return [by_size[random.choice(group)] for group in groups]


def perturbed(
    runs: NoduleRuns, sample: Sequence[Cutout], report: Callable[[float], None] = lambda fraction: None
) -> list[Measured]:
    """Every nodule as it is and under every perturbation, measured in both regions; one run of the generator for
    each.
    """
    rows = []
    twins = NoduleTwins(runs.models)
    for number, cutout in enumerate(sample):
        versions = {AS_IT_IS: cutout} | {one.name: one.apply(cutout) for one in PERTURBATIONS}
        for change, version in versions.items():
            run = runs.run(version, change)
            rows += [measured(version, run, region, change, twins) for region in REGIONS]
        report((number + 1) / len(sample))
    return rows


def repeatability(rows: Sequence[Measured]) -> list[Repeatability]:
    """Every index in every region under every perturbation, from the rows of `perturbed`."""
    table = {(row.region, row.nodule, row.change): row.indices for row in rows}
    nodules = list(dict.fromkeys(row.nodule for row in rows))
    names = [one.name for one in PERTURBATIONS]
    compared = {ALL: [AS_IT_IS, *names]} | {name: [AS_IT_IS, name] for name in names}
    found = []
    for region in REGIONS:
        for index in rows[0].indices:
            for name, changes in compared.items():
                values = np.array([[table[region, nodule, change][index] for change in changes] for nodule in nodules])
                found.append(Repeatability(index, region, name, absolute_agreement(values), consistency(values)))
    return found


def _diameter(cutout: Cutout) -> float:
    return equivalent_diameter(float(np.count_nonzero(cutout.consensus)) * cutout.ct.voxel_volume)
