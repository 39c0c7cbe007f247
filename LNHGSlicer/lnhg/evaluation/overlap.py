"""How two outlines of one nodule overlap, in voxels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk


@dataclass(frozen=True)
class Overlap:
    """Of a reference R and what was found F, in voxels.

    Attributes:
        dice: 2 |R and F| / (|R| + |F|), eq. 11.
        iou: |R and F| / |R or F|.
        sensitivity: |R and F| / |R|.
        precision: |R and F| / |F|; nan where nothing was found.
    """

    dice: float
    iou: float
    sensitivity: float
    precision: float


def overlap(reference: np.ndarray, found: np.ndarray) -> Overlap:
    """Overlap of two boolean arrays `[slice, row, column]` on one grid; `reference` holds at least one voxel."""
    if not found.any():
        return Overlap(0.0, 0.0, 0.0, math.nan)
    measures = sitk.LabelOverlapMeasuresImageFilter()
    measures.Execute(*(sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (found, reference)))
    return Overlap(
        measures.GetDiceCoefficient(1),
        measures.GetJaccardCoefficient(1),
        1 - measures.GetFalseNegativeError(1),
        1 - measures.GetFalseDiscoveryRate(1),
    )
