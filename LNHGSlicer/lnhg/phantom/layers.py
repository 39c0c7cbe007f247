"""The layers that large organs are painted as, and the HU of tissues."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .grids import STEP, Array

AIR, LUNG, SOFT = -1000.0, -865.0, 45.0  # HU


@dataclass(frozen=True, eq=False)
class Layer:
    """A structure painted over those before it.

    Attributes:
        distance: signed distance on a crop of the coarse grid, mm.
        corner: where the crop starts on the coarse grid (z, y, x).
        hu: its HU, or a field of HU on the same crop.
        sheet: half thickness, mm, if the structure is the sheet around distance 0 and not the inside.
        within: painted only inside this distance (same crop).
    """

    distance: Array
    corner: tuple[int, int, int]
    hu: float | Array
    sheet: float | None = None
    within: Array | None = None


def layer(distance: Array, hu: float | Array, sheet: float | None = None, within: Array | None = None) -> Layer:
    """A layer cropped to where the structure is."""
    solid = distance if within is None else within
    near = solid < 2 * STEP
    box = []
    for axis in range(3):
        hits = np.flatnonzero(near.any(tuple(other for other in range(3) if other != axis)))
        start, stop = (hits[0], hits[-1] + 1) if len(hits) else (0, 1)
        box.append(slice(max(0, int(start) - 2), int(stop) + 2))
    crop = tuple(box)
    return Layer(
        np.ascontiguousarray(distance[crop]),
        (box[0].start, box[1].start, box[2].start),
        np.ascontiguousarray(hu[crop]) if isinstance(hu, np.ndarray) else hu,
        sheet,
        None if within is None else np.ascontiguousarray(within[crop]),
    )
