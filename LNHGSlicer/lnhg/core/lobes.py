"""The lobes or lungs of a segmentation that somebody else made, on their own grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

#: The regions by the names that a table of nodules holds.
LOBES = ("right upper lobe", "right middle lobe", "right lower lobe", "left upper lobe", "left lower lobe")
LUNGS = ("right lung", "left lung")
#: Between the names of two lobes that share a nodule at a fissure.
AT_FISSURE = " / "
#: Told of a nodule where no segmentation was given, and where it lies outside of all that the segmentation holds.
NO_LOBES, OUTSIDE_LOBES = "no segmentation", "outside"


@dataclass(frozen=True, eq=False)
class LobeMap:
    """A label map of lobes, or of lungs.

    Attributes:
        labels: small whole numbers `[slice, row, column]`, 0 outside.
        ijk_to_ras: 4 x 4, voxel (column, row, slice) to RAS mm.
        names: of `LOBES` or `LUNGS`, by label.
    """

    labels: np.ndarray
    ijk_to_ras: np.ndarray
    names: Mapping[int, str]

    def at(self, ras: np.ndarray) -> np.ndarray:
        """The labels at points `(n, 3)` in RAS mm: those of the nearest voxels, 0 outside of the map."""
        inverse = np.linalg.inv(self.ijk_to_ras)
        ijk = np.rint(np.asarray(ras, float) @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
        shape = np.array(self.labels.shape[::-1])
        inside = ((ijk >= 0) & (ijk < shape)).all(1)
        found = np.zeros(len(ijk), self.labels.dtype)
        found[inside] = self.labels[tuple(ijk[inside].T[::-1])]
        return found


def is_upper(lobe: str) -> bool | None:
    """Whether a place of the table lies in an upper lobe; None where it is not told or at a fissure to another lobe."""
    upper = {name.endswith("upper lobe") for name in lobe.split(AT_FISSURE) if name in LOBES}
    return upper.pop() if len(upper) == 1 else None
