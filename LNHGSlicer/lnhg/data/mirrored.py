"""Cut-outs in their own true surroundings, wide enough for the detector: mirrored at the border."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.ct import CT
from .cutouts import Cutout
from .volumes import volume_of

# A cut-out is mirrored until it is this wide.
_CONTEXT_MM = 100.0


@dataclass(frozen=True, eq=False)
class MirroredCutout:
    """A CT about 100 mm wide and its nodule (bool, only the one in the middle)."""

    ct: CT
    nodule: np.ndarray


def mirrored(cutout: Cutout) -> MirroredCutout:
    """The cut-out with slices added at both ends (see `volume_of`) and mirrored in the slice."""
    volume = volume_of(cutout)
    pads = [(0, 0)]
    for size, pixel in zip(volume.hu.shape[1:], cutout.ct.spacing[1::-1], strict=True):
        pads.append((max(0, round((_CONTEXT_MM / pixel - size) / 2)),) * 2)
    hu = np.pad(volume.hu, pads, mode="symmetric").round().astype(np.int16)
    ct = CT(hu, np.diag([-cutout.ct.spacing[0], -cutout.ct.spacing[1], cutout.ct.spacing[2], 1.0]))
    return MirroredCutout(ct, np.pad(volume.nodule > 0, pads))
