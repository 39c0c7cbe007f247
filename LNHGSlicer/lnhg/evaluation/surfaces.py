"""How far apart the surfaces of two outlines of one nodule lie, in mm."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance


@dataclass(frozen=True)
class SurfaceDistances:
    """Between the outermost voxels of two masks, mm; nan where one mask is empty.

    Attributes:
        hausdorff95: the larger of the 95th percentiles of the distances from either surface to the other.
        mean: mean of the distances from both surfaces to the other.
    """

    hausdorff95: float
    mean: float


def surface_distances(reference: np.ndarray, found: np.ndarray, spacing: tuple[float, float, float]) -> SurfaceDistances:
    """Of two boolean arrays `[slice, row, column]`; `spacing` along (column, row, slice), mm, as of `CT`."""
    if not reference.any() or not found.any():
        return SurfaceDistances(math.nan, math.nan)
    y, y_pred = (torch.from_numpy(mask)[None, None] for mask in (reference, found))
    options: dict[str, Any] = {"include_background": True, "spacing": spacing[::-1]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of an argument that MONAI 1.6 passes to itself
        hausdorff95 = compute_hausdorff_distance(y_pred, y, percentile=95, **options)
        mean = compute_average_surface_distance(y_pred, y, symmetric=True, **options)
    return SurfaceDistances(float(hausdorff95), float(mean))
