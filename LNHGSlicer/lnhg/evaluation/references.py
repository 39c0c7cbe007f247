"""What a system is held to: the readers' consensus, their STAPLE estimate, or one reader alone."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from ..data.cutouts import Cutout
from ..errors import InputError

CONSENSUS, STAPLE = "consensus", "staple"

#: Every reference by name; a reader is `reader 1` to `reader 4`, in the order of the data.
REFERENCES = (CONSENSUS, STAPLE, "reader 1", "reader 2", "reader 3", "reader 4")


def reference_mask(cutout: Cutout, name: str) -> np.ndarray | None:
    """The reference `name` of a cut-out's nodule, bool `[slice, row, column]`; None where that reader did not outline
    it.
    """
    if name not in REFERENCES:
        raise InputError(f"There is no reference {name!r}; choose one of {', '.join(REFERENCES)}.")
    if name == CONSENSUS:
        return cutout.consensus
    if name == STAPLE:
        return staple(readers(cutout))
    number, outlines = int(name.removeprefix("reader ")), readers(cutout)
    return outlines[number - 1] if number <= len(outlines) else None


def readers(cutout: Cutout) -> list[np.ndarray]:
    """Each reader's outline, bool `[slice, row, column]`."""
    outlines = (cutout.readers >> bit & 1 > 0 for bit in range(8))
    return [outline for outline in outlines if outline.any()]


def consensus_of(outlines: list[np.ndarray]) -> np.ndarray:
    """Voxels that at least half of the readers outlined."""
    return np.mean(outlines, axis=0) >= 0.5


def staple(outlines: list[np.ndarray]) -> np.ndarray:
    """Voxels that are nodule with a probability of at least 0.5 by STAPLE (Warfield et al., 2004), which weighs the
    readers.
    """
    if len(outlines) == 1:  # nobody to weigh the reader against
        return outlines[0]
    images = [sitk.GetImageFromArray(outline.astype(np.uint8)) for outline in outlines]
    return sitk.GetArrayFromImage(sitk.STAPLE(images, 1.0)) >= 0.5
