"""Scores of single nodules: what a system outlines against a reference, and the readers against each other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from ..core.geometry import equivalent_diameter
from ..data.cutouts import Cutout
from ..evaluation.measures import Measures, measure
from ..evaluation.references import CONSENSUS, consensus_of, readers, reference_mask
from .groups import place_of, texture_of
from .systems import System


@dataclass(frozen=True, kw_only=True)
class NoduleScore(Measures):
    """One nodule as one system outlined it, with its measures.

    Attributes:
        system, nodule, patient: names.
        diameter_mm: of the sphere of the consensus's volume, whatever the reference.
        texture: `ground glass`, `part-solid`, `solid`, or `unknown` where no reader rated it.
        place: `juxta-pleural`, `juxta-vascular` or `free`, by the rule of `groups.place_of`.
    """

    system: str
    nodule: str
    patient: str
    diameter_mm: float
    texture: str
    place: str


@dataclass(frozen=True, eq=False)
class FoldScores:
    """One fold of a cross-validation.

    Attributes:
        threshold: on G(x), chosen on other patients than the fold's.
        steps: of the training.
        scores: of the fold's nodules.
    """

    threshold: float
    steps: int
    scores: Sequence[NoduleScore]


def nodule_scores(system: System, cutouts: Iterable[Cutout], reference: str = CONSENSUS) -> list[NoduleScore]:
    """A system's scores, a nodule each; nodules that the reader named by `reference` did not outline are left out.

    Args:
        reference: one of `references.REFERENCES`.
    """
    scores = []
    for cutout in cutouts:
        mask = reference_mask(cutout, reference)
        if mask is not None and mask.any():
            scores.append(score(system.name, cutout, mask, system.mask(cutout)))
    return scores


def reader_scores(cutouts: Iterable[Cutout]) -> list[NoduleScore]:
    """Each reader against the consensus of the others: the limit that anyone can be held to.

    Nodules that one reader alone outlined are left out.
    """
    scores = []
    for cutout in cutouts:
        outlines = readers(cutout)
        for number, outline in enumerate(outlines):
            others = outlines[:number] + outlines[number + 1 :]
            if others:
                scores.append(score(f"reader {number + 1}", cutout, consensus_of(others), outline))
    return scores


def score(system: str, cutout: Cutout, reference: np.ndarray, found: np.ndarray) -> NoduleScore:
    """The score of the mask `found` against the mask `reference`, both bool on the cut-out's grid; `reference` is not
    empty.
    """
    measures = measure(reference, found, cutout.ct.spacing, cutout.ct.voxel_volume)
    return NoduleScore(
        system=system,
        nodule=cutout.name,
        patient=cutout.patient,
        diameter_mm=equivalent_diameter(float(np.count_nonzero(cutout.consensus)) * cutout.ct.voxel_volume),
        texture=texture_of(cutout.ratings.get("texture", math.nan)),
        place=place_of(cutout),
        **asdict(measures),
    )
