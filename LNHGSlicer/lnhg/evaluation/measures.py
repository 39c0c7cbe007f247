"""All measures of one outlined nodule against a reference, on any grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .overlap import overlap
from .surfaces import surface_distances


@dataclass(frozen=True)
class Measures:
    """What was found against the reference.

    Attributes:
        dice, iou, sensitivity, precision: as in `overlap`; 0 where nothing was found, but precision nan.
        hausdorff95_mm, surface_distance_mm: as in `surfaces`; nan where nothing was found.
        volume_error, diameter_error: (found - reference) / reference; diameters are those of spheres of equal volume; nan
            where nothing was found.
        reference_mm3, found_mm3: volumes.
    """

    dice: float
    iou: float
    sensitivity: float
    precision: float
    hausdorff95_mm: float
    surface_distance_mm: float
    volume_error: float
    diameter_error: float
    reference_mm3: float
    found_mm3: float


def measure(reference: np.ndarray, found: np.ndarray, spacing: tuple[float, float, float], voxel_volume: float) -> Measures:
    """Measures of two boolean arrays `[slice, row, column]` on one grid; `reference` holds at least one voxel.

    Args:
        spacing: along (column, row, slice), mm, as of `CT`.
        voxel_volume: mm3.
    """
    common = overlap(reference, found)
    surfaces = surface_distances(reference, found, spacing)
    reference_mm3, found_mm3 = (float(np.count_nonzero(mask)) * voxel_volume for mask in (reference, found))
    ratio = found_mm3 / reference_mm3 if found_mm3 else math.nan
    return Measures(
        dice=common.dice,
        iou=common.iou,
        sensitivity=common.sensitivity,
        precision=common.precision,
        hausdorff95_mm=surfaces.hausdorff95,
        surface_distance_mm=surfaces.mean,
        volume_error=ratio - 1,
        diameter_error=float(np.cbrt(ratio)) - 1,
        reference_mm3=reference_mm3,
        found_mm3=found_mm3,
    )
