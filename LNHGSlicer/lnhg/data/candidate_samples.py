"""Training samples of the rescorer: a detector's candidates in cut-outs (nodules) and whole scans (false finds, nodules)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from ..candidates import Candidate
from ..ct import CT
from ..detection import detect
from ..grid import NetworkGrid
from ..lungs import lung_regions
from ..networks.detector import NoduleDetector
from ..rescoring import RESCORER_GRID, Pose, Surroundings, planes, surroundings
from .cutouts import Cutout
from .detector_samples import labelled_scan
from .generator_samples import Augmentation, other_scanner
from .mirrored import mirrored
from .scans import REFERENCE_READERS, LabelledScan
from .splits import list_of
from .training_data import cutouts_of, scans_of

# Finds below this score are not looked at again, so they are not learned from.
LOWEST_SCORE = 0.05
# In scans without readers a find this sure may be a nodule, so it is left out.
_SURE_SCORE = 0.9
# A find hits a nodule when its centre is at most this far from it.
_NEAR_MM = 2.0
# Largest shift of a sample's middle along (z, y, x), mm.
_SHIFT_MM = np.array([1.0, 2.0, 2.0])


@dataclass(frozen=True, eq=False)
class CandidateSample:
    """A candidate of the detector in its surroundings, and whether it is a nodule."""

    piece: Surroundings
    nodule: bool
    score: float
    patient: str


def read_candidates(data: Path, detector: NoduleDetector, grid: NetworkGrid, patients: str) -> list[CandidateSample]:
    """The detector's candidates on the scans and cut-outs of one list of patients."""
    samples: list[CandidateSample] = []
    for cutout in cutouts_of(data, patients):
        if cutout.reader_count >= REFERENCE_READERS:
            samples += _of_cutout(cutout, detector, grid)
    for scan in scans_of(data, patients):
        samples += _of_scan(scan, True, detector, grid)
    for folder in sorted(data.glob("chest_scans/*")):
        if (folder / "ct.nrrd").is_file() and list_of(folder.name) == patients:
            samples += _of_scan(labelled_scan(folder), False, detector, grid)
    return samples


def whole(cutout: Cutout) -> bool:
    """Whether the cut-out shows where its nodule begins and ends: its first and its last slice are free of it."""
    return not (cutout.readers[0].any() or cutout.readers[-1].any())


def _of_cutout(cutout: Cutout, detector: NoduleDetector, grid: NetworkGrid) -> Iterable[CandidateSample]:
    """The best candidate on the nodule. A cut-out that ends in its nodule is left out: its end slices are made up."""
    if not whole(cutout):
        return
    wide = mirrored(cutout)
    nowhere = np.zeros(wide.ct.hu.shape, np.uint8)
    hits = near(wide.nodule, wide.ct.spacing)
    for candidate in detect(wide.ct, detector, grid, device="cpu", lungs=nowhere, score_threshold=LOWEST_SCORE):
        if hits[centre_voxel(candidate, wide.ct)]:
            yield CandidateSample(surroundings(wide.ct, candidate), True, candidate.score, cutout.patient)
            return


def _of_scan(scan: LabelledScan, read: bool, detector: NoduleDetector, grid: NetworkGrid) -> Iterable[CandidateSample]:
    ct = scan.ct
    nodules, doubtful = near(scan.reference > 0, ct.spacing), near(scan.doubtful, ct.spacing)
    for candidate in detect(ct, detector, grid, device="cpu", lungs=lung_regions(ct), score_threshold=LOWEST_SCORE):
        voxel = centre_voxel(candidate, ct)
        unsure = doubtful[voxel] or (not read and candidate.score >= _SURE_SCORE)
        if nodules[voxel] or not unsure:
            yield CandidateSample(surroundings(ct, candidate), bool(nodules[voxel]), candidate.score, scan.patient)


def near(mask: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """The mask `[slice, row, column]` and all within 2 mm of it."""
    if not mask.any():
        return mask
    return ndimage.distance_transform_edt(~mask, spacing[::-1]) <= _NEAR_MM


def centre_voxel(candidate: Candidate, ct: CT) -> tuple[int, int, int]:
    """The voxel (k, j, i) at a candidate's centre."""
    k, j, i = np.clip(np.round(candidate.centre_ijk[::-1]).astype(int), 0, np.array(ct.hu.shape) - 1)
    return int(k), int(j), int(i)


def batch(samples: Sequence[CandidateSample], picks: Sequence[int], seed: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Planes `[n, 1, z, y, x]` in 0..1 and whether each shows a nodule (1 or 0, `[n]`), varied at random."""
    generator = np.random.default_rng(seed)
    images = []
    for pick in picks:
        hu = other_scanner(planes(samples[pick].piece, _random_pose(generator)), Augmentation(), generator)
        images.append(RESCORER_GRID.normalise(hu))
    truth = torch.tensor([float(samples[pick].nodule) for pick in picks])
    return torch.stack(images)[:, None], truth


def _random_pose(generator: np.random.Generator) -> Pose:
    shift = generator.uniform(-1, 1, 3) * _SHIFT_MM
    flips = generator.random(2) < 0.5
    angle, zoom = generator.uniform(-np.pi, np.pi), 1.2 ** generator.uniform(-1, 1)
    return Pose(float(angle), float(zoom), bool(flips[0]), bool(flips[1]), (float(shift[0]), float(shift[1]), float(shift[2])))
