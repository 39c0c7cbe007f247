"""How well the detector finds nodules: sensitivity against false finds per scan (FROC).

Whole scans are few, so sensitivity also comes from cut-outs in their true surroundings, mirrored at the border, and the
false finds from whole scans. A find hits a nodule when its centre lies in the 50% consensus or at most 2 mm from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from ..candidates import Candidate
from ..ct import CT
from ..data.cutouts import Cutout
from ..data.detector_samples import DetectorData, sham_pair
from ..data.mirrored import mirrored
from ..data.scans import LabelledScan
from ..detection import detect
from ..grid import NetworkGrid
from ..lungs import lung_regions
from ..networks.detector import NoduleDetector

#: What scores a CT's candidates again.
Again = Callable[[CT, Sequence[Candidate]], Sequence[Candidate]]

#: False finds per scan at which sensitivity is stated.
RATES = (1.0, 2.0, 4.0, 8.0)

_NEAR_MM = 2.0
# Finds below this score are of no interest.
_LOWEST_SCORE = 0.05


@dataclass(frozen=True, eq=False)
class ScanFinds:
    """Finds of one scan.

    Attributes:
        nodule_scores: for each reference nodule (in order of labels) the best score of a find that hits it, or 0.
        false_scores: scores of finds that hit nothing; finds at doubtful places are left out.
    """

    nodule_scores: tuple[float, ...]
    false_scores: tuple[float, ...]


def judge(
    candidates: Iterable[Candidate], reference: np.ndarray, doubtful: np.ndarray, spacing: tuple[float, float, float]
) -> ScanFinds:
    """Which candidates hit the nodules of `reference` (0 or a label); `spacing` as of `CT`."""
    voxel = spacing[::-1]
    labels = np.unique(reference[reference > 0])
    near = [ndimage.distance_transform_edt(reference != label, voxel) <= _NEAR_MM for label in labels]
    unsure = doubtful if not doubtful.any() else ndimage.distance_transform_edt(~doubtful, voxel) <= _NEAR_MM
    scores = [0.0] * len(near)
    false: list[float] = []
    for candidate in candidates:
        centre = np.clip(np.round(candidate.centre_ijk[::-1]).astype(int), 0, np.array(reference.shape) - 1)
        hit = [number for number, mask in enumerate(near) if mask[tuple(centre)]]
        for number in hit:
            scores[number] = max(scores[number], candidate.score)
        if not hit and not unsure[tuple(centre)]:
            false.append(candidate.score)
    return ScanFinds(tuple(scores), tuple(false))


def as_found(ct: CT, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """Candidates as the detector scored them."""
    return candidates


def scan_finds(scan: LabelledScan, detector: NoduleDetector, grid: NetworkGrid, again: Again = as_found) -> ScanFinds:
    """The detector's finds on a whole scan, scored again by `again`, and judged."""
    lungs = lung_regions(scan.ct)
    candidates = again(scan.ct, detect(scan.ct, detector, grid, device="cpu", lungs=lungs, score_threshold=_LOWEST_SCORE))
    return judge(candidates, scan.reference, scan.doubtful, scan.ct.spacing)


def froc(
    cutouts: Sequence[Cutout], scans: Sequence[LabelledScan], detector: NoduleDetector, grid: NetworkGrid
) -> dict[float, float]:
    """Sensitivity on the cut-outs at each of `RATES`; the false finds are those of the whole scans."""
    false = [score for scan in scans for score in scan_finds(scan, detector, grid).false_scores]
    return sensitivity_at([cutout_score(cutout, detector, grid) for cutout in cutouts], false, len(scans))


def cutout_score(cutout: Cutout, detector: NoduleDetector, grid: NetworkGrid, again: Again = as_found) -> float:
    """The best score of a find that hits the cut-out's nodule in its true surroundings; 0 if none does."""
    wide = mirrored(cutout)
    nowhere = np.zeros(wide.ct.hu.shape, np.uint8)
    found = detect(wide.ct, detector, grid, device="cpu", lungs=nowhere, score_threshold=_LOWEST_SCORE)
    return judge(again(wide.ct, found), wide.nodule.astype(np.uint8), nowhere > 0, wide.ct.spacing).nodule_scores[0]


def sensitivity_at(
    nodule_scores: Sequence[float], false_scores: Sequence[float], scans: int, rates: Sequence[float] = RATES
) -> dict[float, float]:
    """Share of nodules found at the threshold that leaves at most each rate of false finds per scan."""
    scores = np.asarray(nodule_scores)
    return {rate: float((scores >= threshold_at(false_scores, scans, rate)).mean()) for rate in rates}


def threshold_at(false_scores: Sequence[float], scans: int, rate: float) -> float:
    """The lowest score threshold with at most `rate` false finds per scan (finds at the threshold count)."""
    ordered = np.sort(np.asarray(false_scores, float))[::-1]
    allowed = int(rate * scans)
    return _LOWEST_SCORE if len(ordered) <= allowed else float(np.nextafter(ordered[allowed], 2))


def sham_rate(detector: NoduleDetector, data: DetectorData, threshold: float, count: int = 100, seed: int = 0) -> float:
    """Share of mask-shaped pastes of plain tissue that fire where the same place without the paste does not."""
    fired = 0
    with torch.inference_mode():
        for number in range(count):
            before, after, radius = sham_pair(data, seed, number)
            without, with_sham = (
                _best_near_middle(result, before.shape[-1] / 2, radius, threshold) for result in detector([before, after])
            )
            fired += with_sham and not without
    return fired / count


def _best_near_middle(result: dict[str, torch.Tensor], middle: float, radius: float, threshold: float) -> bool:
    """Whether a box of at least this score has its centre within `radius` of the crop's middle."""
    boxes = result["boxes"][result["scores"] >= threshold]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    return bool((torch.linalg.vector_norm(centres - middle, dim=1) <= radius).any())
