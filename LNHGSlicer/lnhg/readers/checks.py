"""What the values and the grid of a CT must be, and what a reader should know of them."""

from __future__ import annotations

import numpy as np

from ..core.ct import AIR_HU
from ..errors import InputError
from .hu_offset import MOST_OFF_HU, Spread

_MOST_HU = 32767
# Values that span less are not HU: air and tissue lie 1000 apart, even fat and muscle 100.
_LEAST_SPAN_HU = 100
_LUNG_HU = -200
_TILT_DEGREES = 1.0
_THICK_MM = 5.0


def in_hu(values: np.ndarray, name: str, ijk_to_ras: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Values `[slice, row, column]` of a stored image as HU (int16, padding below -1024 made air), and warnings.

    Raises InputError where the values cannot be HU: not real numbers, not finite, none but padding below 0 (MR, PET,
    photographs, CT without its rescale), spanning less than 100, or with air, lung and tissue 700 HU or more from their
    place.
    """
    if values.dtype.kind not in "iuf":
        raise InputError(f"{name} holds no plain numbers ({values.dtype}); give a CT with one HU value a voxel.")
    if not np.isfinite(values).all():
        raise InputError(f"{name} holds values that are not finite numbers; export the CT again.")
    high = values.max()
    low = values.min(where=values >= AIR_HU, initial=high)
    if low >= 0 or float(high) - float(low) < _LEAST_SPAN_HU:
        raise InputError(
            f"{name} is not in HU (its values run from {values.min():g} to {high:g}); give a CT with its rescale "
            f"applied."
        )
    warnings = _of_offset(values, name, ijk_to_ras)
    hu = np.empty(values.shape, np.int16)
    for one, stored in zip(hu, values, strict=True):  # slice by slice: large CTs do not fit into memory thrice
        one[:] = np.clip(np.rint(stored), AIR_HU, _MOST_HU)
    if low >= _LUNG_HU:
        warnings = (*warnings, f"No voxel lies below {_LUNG_HU} HU: there is no lung in this image.")
    return hu, warnings


def _of_offset(values: np.ndarray, name: str, ijk_to_ras: np.ndarray) -> tuple[str, ...]:
    spread = Spread.of(values, np.linalg.norm(ijk_to_ras[:3, :3], axis=0) * values.shape[::-1])
    if spread.offset is None and not spread.has_tissue:
        raise InputError(
            f"{name} is not in HU: next to nothing in it lies where fat and soft tissue do; "
            "give a CT with its rescale applied once."
        )
    off = spread.offset_of_one if spread.offset is None else spread.offset
    if off is None:
        return ()
    where = f"{abs(off):.0f} HU too {'high' if off > 0 else 'low'}"
    if abs(off) >= MOST_OFF_HU:
        raise InputError(
            f"{name} is not in HU: its air and tissue lie about {where}; give a CT with its rescale applied once."
        )
    return (
        f"Air, lung and soft tissue lie about {where}: check the rescale of this CT, HU and findings may be wrong.",
    )


def constant_slices(hu: np.ndarray) -> list[int]:
    """Slices k whose voxels all have one value, where others have several."""
    blank = [k for k, one in enumerate(hu) if (one == one.flat[0]).all()]
    return blank if len(blank) < len(hu) else []


def grid_warnings(ijk_to_ras: np.ndarray, thickness: float = 0.0) -> tuple[str, ...]:
    """What a reader should know of a grid: sheared by a tilted gantry, slices thick (`thickness` mm, 0: unknown) or
    apart.
    """
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
