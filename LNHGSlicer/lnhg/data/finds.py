"""What a detector finds on whole scans and on cut-outs, and which of its finds hit a nodule.

A find hits a nodule when its centre lies in it or at most 2 mm from it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

from ..candidates import Candidate
from ..ct import CT
from ..detection import SliceDetector, detect
from ..grid import NetworkGrid
from ..lungs import lung_regions
from .mirrored import MirroredCutout

#: Finds below this score are neither judged nor looked at again.
LOWEST_SCORE = 0.05
#: In scans without readers a find this sure may be a nodule.
SURE_SCORE = 0.9

_NEAR_MM = 2.0


def finds_on_scan(ct: CT, detector: SliceDetector, grid: NetworkGrid) -> tuple[Candidate, ...]:
    """What the detector finds in the lungs of a whole CT, best first."""
    return detect(ct, detector, grid, device="cpu", lungs=lung_regions(ct), score_threshold=LOWEST_SCORE)


def finds_on_cutout(cutout: MirroredCutout, detector: SliceDetector, grid: NetworkGrid) -> tuple[Candidate, ...]:
    """What the detector finds anywhere on a cut-out, best first; it shows too little to tell the lungs."""
    nowhere = np.zeros(cutout.ct.hu.shape, np.uint8)
    return detect(cutout.ct, detector, grid, device="cpu", lungs=nowhere, score_threshold=LOWEST_SCORE)


def best_hit(finds: Iterable[Candidate], cutout: MirroredCutout) -> Candidate | None:
    """The find of the highest score among those that hit the cut-out's nodule."""
    hits = near(cutout.nodule, cutout.ct.spacing)
    hitting = (find for find in finds if hits[centre_voxel(find, hits.shape)])
    return max(hitting, key=lambda find: find.score, default=None)


def near(mask: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """The mask `[slice, row, column]` and all within 2 mm of it; `spacing` as of `CT`."""
    if not mask.any():
        return mask
    return ndimage.distance_transform_edt(~mask, spacing[::-1]) <= _NEAR_MM


def centre_voxel(find: Candidate, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The voxel (k, j, i) at a find's centre, in a CT of this shape."""
    k, j, i = np.clip(np.round(find.centre_ijk[::-1]).astype(int), 0, np.array(shape) - 1)
    return int(k), int(j), int(i)
