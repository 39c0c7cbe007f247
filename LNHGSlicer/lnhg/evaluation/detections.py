"""What a detector finds on whole scans and on cut-outs, and which of its detections hit a nodule.

A detection hits a nodule when its centre lies within the nodule's radius of the nodule's centre (the rule of LUNA16).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.candidate import Candidate
from ..core.ct import CT
from ..core.geometry import equivalent_diameter, voxel_volume_of
from ..data.mirrored import MirroredCutout
from ..networks.grid import NetworkGrid
from ..stages.detection import SliceDetector, detect
from ..stages.lungs import lung_regions

#: Detections below this score are neither judged nor looked at again.
LOWEST_SCORE = 0.05
#: In scans without readers a detection this sure may be a nodule.
SURE_SCORE = 0.9


def candidates_on_scan(ct: CT, detector: SliceDetector, grid: NetworkGrid) -> tuple[Candidate, ...]:
    """What the detector finds in the lungs of a whole CT, best first."""
    return detect(ct, detector, grid, lungs=lung_regions(ct), score_threshold=LOWEST_SCORE)


def candidates_on_cutout(
    cutout: MirroredCutout, detector: SliceDetector, grid: NetworkGrid, lowest: float = LOWEST_SCORE
) -> tuple[Candidate, ...]:
    """What the detector finds anywhere on a cut-out from a score on, best first; it shows too little to tell the
    lungs.
    """
    anywhere = np.ones(cutout.ct.hu.shape, np.uint8)
    return detect(cutout.ct, detector, grid, lungs=anywhere, score_threshold=lowest)


@dataclass(frozen=True)
class ReferenceNodule:
    """A nodule to be found, or a doubtful place (`counts` False): centre (RAS, mm) and radius (mm)."""

    centre_ras: tuple[float, float, float]
    radius_mm: float
    counts: bool = True


def reference_nodules(
    reference: np.ndarray, ijk_to_ras: np.ndarray, doubtful: np.ndarray | None = None
) -> list[ReferenceNodule]:
    """The nodules of a label map `[slice, row, column]` and the doubtful places, as spheres of equal volume.

    Args:
        ijk_to_ras: the grid, 4 x 4, voxel (column, row, slice) to RAS mm.
        doubtful: a mask on that grid, taken apart into components.
    """
    nodules = _spheres(reference, ijk_to_ras, counts=True)
    return nodules if doubtful is None else [*nodules, *_spheres(ndimage.label(doubtful)[0], ijk_to_ras, counts=False)]


def _spheres(labels: np.ndarray, ijk_to_ras: np.ndarray, counts: bool) -> list[ReferenceNodule]:
    spheres = []
    for number in np.unique(labels[labels > 0]):
        voxels = np.argwhere(labels == number)
        r, a, s = (ijk_to_ras @ np.append(voxels.mean(0)[::-1], 1))[:3].tolist()
        radius = equivalent_diameter(len(voxels) * voxel_volume_of(ijk_to_ras)) / 2
        spheres.append(ReferenceNodule((r, a, s), radius, counts))
    return spheres


def hit_by(centre_ras: Sequence[float], nodules: Sequence[ReferenceNodule]) -> list[int]:
    """The numbers of the nodules and doubtful places that a detection with this centre (RAS, mm) hits."""
    return [n for n, nodule in enumerate(nodules) if math.dist(centre_ras, nodule.centre_ras) <= nodule.radius_mm]


def centre_ras(detection: Candidate, ct: CT) -> tuple[float, float, float]:
    """The centre of a detection on a CT in the axial view, RAS, mm."""
    r, a, s = ct.to_ras(detection.centre_ijk).tolist()
    return r, a, s


def best_hit(detections: Iterable[Candidate], cutout: MirroredCutout) -> Candidate | None:
    """The detection of the highest score among those that hit the cut-out's nodule."""
    nodules = reference_nodules(cutout.nodule, cutout.ct.ijk_to_ras)
    hitting = (detection for detection in detections if hit_by(centre_ras(detection, cutout.ct), nodules))
    return max(hitting, key=lambda detection: detection.score, default=None)


def centre_voxel(detection: Candidate, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The voxel (k, j, i) at a detection's centre, in a CT of this shape."""
    k, j, i = np.clip(np.round(detection.centre_ijk[::-1]).astype(int), 0, np.array(shape) - 1)
    return int(k), int(j), int(i)
