"""What the values and the grid of a CT must be, and what a reader should know of them."""

from __future__ import annotations

import numpy as np

from ..core.ct import AIR_HU
from ..errors import InputError
from .files import few
from .hu_offset import MOST_OFF_HU, Spread, is_chest, offsets_of_slices

_MOST_HU = 32767
# Metal reaches this on the longest scales, but then in few voxels and in many values; of padding there are as many.
_METAL_HU, _PADDING_SHARE, _OF_ONE_VALUE = 4096, 0.001, 0.99
# What a whole chest holds: air and lung below the first value; bone, if not cut off at a value that this share of the
# voxels has, above the others (a scan without bone ends lower still).
_DARKEST_HU, _CUT_OFF_HU, _CUT_OFF_SHARE = -750, (90, 300), 0.002
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
    values, warnings = _without_high_padding(values, name)
    high = values.max()
    low = values.min(where=values >= AIR_HU, initial=high)
    if low >= 0 or float(high) - float(low) < _LEAST_SPAN_HU:
        raise InputError(
            f"{name} is not in HU (its values run from {values.min():g} to {high:g}); give a CT with its rescale "
            f"applied."
        )
    extent = np.linalg.norm(ijk_to_ras[:3, :3], axis=0) * values.shape[::-1]
    spread = Spread.of(values, extent)
    offset = _of_offset(spread, name)
    warnings += offset
    if is_chest(extent):
        warnings += _of_slices_off(values, name)
    if is_chest(extent) and not offset:
        warnings += _of_ends(spread, values, float(low), float(high))
    hu = np.empty(values.shape, np.int16)
    for one, stored in zip(hu, values, strict=True):  # slice by slice: large CTs do not fit into memory thrice
        one[:] = np.clip(np.rint(stored), AIR_HU, _MOST_HU)
    if low >= _LUNG_HU:
        warnings += (f"No voxel lies below {_LUNG_HU} HU: there is no lung in this image.",)
    return hu, warnings


def _without_high_padding(values: np.ndarray, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """The values with air in place of a single one beyond all HU, and a remark on it."""
    high = values.max()
    if high <= _METAL_HU or values.dtype.kind == "u":  # what has no negative values is refused for that
        return values, ()
    beyond = values > _METAL_HU
    if high > _MOST_HU and values[values > _MOST_HU].min() < high:
        raise InputError(
            f"{name} is not in HU (its values run to {high:g}; negative ones may have lost their sign); "
            "give a CT with its rescale applied."
        )
    of_one = np.count_nonzero(values == high)
    if high <= _MOST_HU and not of_one >= max(_PADDING_SHARE * values.size, _OF_ONE_VALUE * beyond.sum()):
        return values, ()
    beyond = values == high
    remark = f"{beyond.sum()} voxels of the value {high:g}, which no tissue has, were taken for air."
    return np.where(beyond, np.array(AIR_HU, values.dtype), values), (remark,)


def _of_slices_off(values: np.ndarray, name: str) -> tuple[str, ...]:
    """Slices between which all values rise or fall at once: their rescale differs, and that of some is wrong."""
    offsets = offsets_of_slices(values)
    if not offsets:
        return ()
    where = few([f"{k} and {k + 1}" for k in offsets])
    if max(map(abs, offsets.values())) >= MOST_OFF_HU:
        raise InputError(
            f"{name} is not in HU throughout: all values change between the slices {where} (from 0); "
            "give a CT with its rescale applied once to each slice."
        )
    most = max(offsets.values(), key=abs)
    return (
        f"Between the slices {where} (from 0) all values change by up to {abs(most):.0f} HU: check the rescale of this "
        "CT, HU and findings may be wrong.",
    )


def _of_ends(spread: Spread, values: np.ndarray, low: float, high: float) -> tuple[str, ...]:
    """What a whole chest lacks at either end of its values, by a window that they were put through."""
    remarks = []
    darkest = low if low > _DARKEST_HU or spread.darkest is None else spread.darkest
    if low < _LUNG_HU and darkest > _DARKEST_HU:
        remarks.append(
            f"Nothing lies below {darkest:.0f} HU, where air and lung do: values were cut off or scaled, densities "
            "and findings may be wrong."
        )
    least, most = _CUT_OFF_HU
    if least <= high <= most and np.count_nonzero(values >= high - 0.5) >= _CUT_OFF_SHARE * values.size:
        remarks.append(f"Values were cut off at {high:.0f} HU: calcified nodules cannot be told from others.")
    return tuple(remarks)


def _of_offset(spread: Spread, name: str) -> tuple[str, ...]:
    if spread.offset is None and not spread.has_tissue:
        raise InputError(
            f"{name} is not in HU, or lungs alone: next to nothing in it lies where fat and soft tissue do; "
            "give the whole CT with its rescale applied once."
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


def grid_warnings(ijk_to_ras: np.ndarray, slices: int, thickness: float = 0.0) -> tuple[str, ...]:
    """What a reader should know of a grid: a single slice, sheared by a tilted gantry, slices thick (`thickness` mm, 0:
    unknown) or apart.
    """
    lengths = np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    directions = ijk_to_ras[:3, :3] / lengths
    cosines = np.abs(directions.T @ directions)[np.triu_indices(3, 1)]
    tilt = float(np.degrees(np.arcsin(np.clip(cosines.max(), 0, 1))))
    thick = max(float(lengths.max()), thickness)
    warnings = []
    if slices == 1:
        warnings.append("The CT is a single slice: a nodule is seen in one section of it, and its volume is rough.")
    if tilt > _TILT_DEGREES:
        warnings.append(f"The gantry was tilted by {tilt:.1f} degrees; results keep the tilted grid.")
    if thick > _THICK_MM + 1e-3:
        warnings.append(f"Slices are {thick:.3g} mm thick or apart: small nodules can be missed and volumes are rough.")
    return tuple(warnings)
