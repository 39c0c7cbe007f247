"""Training samples of the rescorer: a detector's candidates in cut-outs (nodules) and whole scans (false positives,
nodules).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..data.cutouts import Cutout
from ..data.mirrored import mirrored
from ..data.scans import REFERENCE_READERS, LabelledScan
from ..data.training_data import cutouts_of, scans_of
from ..data.unread_scans import unread_scans_of
from ..evaluation.detections import (
    SURE_SCORE,
    best_hit,
    candidates_on_cutout,
    candidates_on_scan,
    centre_ras,
    hit_by,
    reference_nodules,
)
from ..networks.ensemble import Detector
from ..networks.grid import NetworkGrid
from ..networks.rescoring import RESCORER_GRID, Pose, Surroundings, planes, surroundings
from .generator_samples import Augmentation, other_scanner

# Largest shift of a sample's middle along (z, y, x), mm.
_SHIFT_MM = np.array([1.0, 2.0, 2.0])


@dataclass(frozen=True, eq=False)
class CandidateSample:
    """A candidate of the detector in its surroundings, and whether it is a nodule."""

    patch: Surroundings
    nodule: bool
    score: float
    patient: str


def read_candidates(data: Path, detector: Detector, grid: NetworkGrid, patients: str) -> list[CandidateSample]:
    """The detector's candidates on the scans and cut-outs of one list of patients."""
    samples: list[CandidateSample] = []
    for cutout in cutouts_of(data, patients):
        if cutout.reader_count >= REFERENCE_READERS:
            samples += _of_cutout(cutout, detector, grid)
    for scan in scans_of(data, patients):
        samples += _of_scan(scan, detector, grid)
    for scan in unread_scans_of(data, patients):
        samples += _of_scan(scan, detector, grid)
    return samples


def whole(cutout: Cutout) -> bool:
    """Whether the cut-out shows where its nodule begins and ends: its first and its last slice are free of it."""
    return not (cutout.readers[0].any() or cutout.readers[-1].any())


def _of_cutout(cutout: Cutout, detector: Detector, grid: NetworkGrid) -> Iterable[CandidateSample]:
    """The best candidate on the nodule. A cut-out that ends in its nodule is left out: its end slices are made up."""
    if not whole(cutout):
        return
    wide = mirrored(cutout)
    best = best_hit(candidates_on_cutout(wide, detector, grid), wide)
    if best is not None:
        yield CandidateSample(surroundings(wide.ct, best), True, best.score, cutout.patient)


def _of_scan(scan: LabelledScan, detector: Detector, grid: NetworkGrid) -> Iterable[CandidateSample]:
    """All candidates but doubtful ones, and sure ones away from the nodules of a scan in which others may be."""
    ct = scan.ct
    nodules = reference_nodules(scan.reference, ct.ijk_to_ras, scan.doubtful)
    for candidate in candidates_on_scan(ct, detector, grid):
        hit = [nodules[number].counts for number in hit_by(centre_ras(candidate, ct), nodules)]
        unsure = bool(hit) or (not scan.complete and candidate.score >= SURE_SCORE)
        if any(hit) or not unsure:
            yield CandidateSample(surroundings(ct, candidate), any(hit), candidate.score, scan.patient)


def batch(
    samples: Sequence[CandidateSample], picks: Sequence[int], seed: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Planes `[n, 1, z, y, x]` in 0..1 and whether each shows a nodule (1 or 0, `[n]`), varied at random."""
    generator = np.random.default_rng(seed)
    images = []
    for pick in picks:
        hu = other_scanner(
            torch.from_numpy(planes(samples[pick].patch, _random_pose(generator))), Augmentation(), generator
        )
        images.append(RESCORER_GRID.normalise(hu))
    truth = torch.tensor([float(samples[pick].nodule) for pick in picks])
    return torch.stack(images)[:, None], truth


def _random_pose(generator: np.random.Generator) -> Pose:
    shift = generator.uniform(-1, 1, 3) * _SHIFT_MM
    flips = generator.random(2) < 0.5
    angle, zoom = generator.uniform(-np.pi, np.pi), 1.2 ** generator.uniform(-1, 1)
    return Pose(
        float(angle), float(zoom), bool(flips[0]), bool(flips[1]), (float(shift[0]), float(shift[1]), float(shift[2]))
    )
