"""All measures of outlined nodules against a reference: overlap, distances of surfaces, sizes, and which nodule is
which.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from ..errors import InputError


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


def dice(reference: np.ndarray, found: np.ndarray) -> float:
    """Eq. 11 for one nodule: 2 |R and F| / (|R| + |F|), of two boolean arrays of one shape, not both empty."""
    return 2 * int(np.count_nonzero(reference & found)) / int(np.count_nonzero(reference) + np.count_nonzero(found))


def share_outside(reference: np.ndarray, found: np.ndarray) -> float:
    """Share of what was found that lies outside of the reference; boolean arrays of one shape. 0 if nothing was."""
    return int(np.count_nonzero(found & ~reference)) / max(1, int(np.count_nonzero(found)))


def overlap(reference: np.ndarray, found: np.ndarray) -> Overlap:
    """Overlap of two boolean arrays of one shape; `reference` holds at least one voxel."""
    common, all_of_it, all_found = (int(np.count_nonzero(mask)) for mask in (reference & found, reference, found))
    return Overlap(
        dice=dice(reference, found),
        iou=common / (all_of_it + all_found - common),
        sensitivity=common / all_of_it,
        precision=common / all_found if all_found else math.nan,
    )


@dataclass(frozen=True)
class SurfaceDistances:
    """Between the outermost voxels of two masks, mm; nan where one mask is empty.

    Attributes:
        hausdorff95: the larger of the 95th percentiles of the distances from either surface to the other.
        mean: mean of the distances from both surfaces to the other.
    """

    hausdorff95: float
    mean: float


def surface_distances(
    reference: np.ndarray, found: np.ndarray, spacing: tuple[float, float, float]
) -> SurfaceDistances:
    """Of two boolean arrays `[slice, row, column]`; `spacing` along (column, row, slice), mm, as of `CT`."""
    if not reference.any() or not found.any():
        return SurfaceDistances(math.nan, math.nan)
    one, other = (_surface(mask) * spacing[::-1] for mask in (reference, found))
    there, back = KDTree(other).query(one)[0], KDTree(one).query(other)[0]
    return SurfaceDistances(
        hausdorff95=float(max(np.percentile(there, 95), np.percentile(back, 95))),
        mean=float(np.concatenate([there, back]).mean()),
    )


def _surface(mask: np.ndarray) -> np.ndarray:
    """The voxels `[n, 3]` with one of their six neighbours outside of the mask or of the array."""
    return np.argwhere(mask & ~ndimage.binary_erosion(mask))


@dataclass(frozen=True)
class Measures:
    """What was found against the reference.

    Attributes:
        dice, iou, sensitivity, precision: as of `overlap`; 0 where nothing was found, but precision nan.
        hausdorff95_mm, surface_distance_mm: as of `surface_distances`; nan where nothing was found.
        volume_error, diameter_error: (found - reference) / reference; diameters are those of spheres of equal volume;
            nan where nothing was found.
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


def measure(
    reference: np.ndarray, found: np.ndarray, spacing: tuple[float, float, float], voxel_volume: float
) -> Measures:
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


@dataclass(frozen=True)
class Match:
    """One nodule of the reference, the label that overlaps it most (0: none), and their Dice."""

    reference: int
    label: int
    dice: float


def match_nodules(reference: np.ndarray, labels: np.ndarray) -> list[Match]:
    """For each label of `reference` the Dice with the label of `labels` (same grid) that shares most voxels with it."""
    if reference.shape != labels.shape:
        raise InputError(
            f"The label maps have different grids, {reference.shape} and {labels.shape}; compare maps of one CT."
        )
    matches = []
    for number in range(1, int(reference.max(initial=0)) + 1):
        nodule = reference == number
        if not nodule.any():
            continue
        inside = np.bincount(labels[nodule])
        inside[0] = 0
        best = int(np.argmax(inside)) if inside.any() else 0
        matches.append(Match(number, best, dice(nodule, labels == best) if best else 0.0))
    return matches
