"""What the values and the grid of a CT must be, and what a reader should know of them."""

from __future__ import annotations

import numpy as np

from ..core.ct import AIR_HU
from ..errors import InputError

_MOST_HU = 32767


# Values that span less are not HU: air and tissue lie 1000 apart, even fat and muscle 100.
_LEAST_SPAN_HU = 100


_LUNG_HU = -200


_TILT_DEGREES = 1.0


_THICK_MM = 5.0


def in_hu(values: np.ndarray, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Values `[slice, row, column]` of a stored image as HU (int16, padding below -1024 made air), and warnings.

    Raises InputError where the values cannot be HU: not real numbers, not finite, none but padding below 0 (MR, PET,
    photographs, CT without its rescale), or spanning less than 100.
    """
    if values.dtype.kind not in "iuf":
        raise InputError(f"{name} holds no plain numbers ({values.dtype}); give a CT with one HU value a voxel.")
    if not np.isfinite(values).all():
        raise InputError(f"{name} holds values that are not finite numbers; export the CT again.")
    high = values.max()
    low = values.min(where=values >= AIR_HU, initial=high)
    if low >= 0 or float(high) - float(low) < _LEAST_SPAN_HU:
        raise InputError(
            f"{name} is not in HU (its values run from {values.min():g} to {high:g}); give a CT with its rescale applied."
        )
    hu = np.empty(values.shape, np.int16)
    for one, stored in zip(hu, values, strict=True):  # slice by slice: large CTs do not fit into memory thrice
        one[:] = np.clip(np.rint(stored), AIR_HU, _MOST_HU)
    warnings = () if low < _LUNG_HU else (f"No voxel lies below {_LUNG_HU} HU: there is no lung in this image.",)
    return hu, warnings


def grid_warnings(ijk_to_ras: np.ndarray, thickness: float = 0.0) -> tuple[str, ...]:
    """What a reader should know of a grid: sheared by a tilted gantry, slices thick (`thickness` mm, 0: unknown) or apart."""
    lengths = np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    directions = ijk_to_ras[:3, :3] / lengths
    cosines = np.abs(directions.T @ directions)[np.triu_indices(3, 1)]
    tilt = float(np.degrees(np.arcsin(np.clip(cosines.max(), 0, 1))))
    thick = max(float(lengths.max()), thickness)
    warnings = []
    if tilt > _TILT_DEGREES:
        warnings.append(f"The gantry was tilted by {tilt:.1f} degrees; results keep the tilted grid.")
    if thick > _THICK_MM + 1e-3:
        warnings.append(f"Slices are {thick:.3g} mm thick or apart: small nodules can be missed and volumes are rough.")
    return tuple(warnings)
