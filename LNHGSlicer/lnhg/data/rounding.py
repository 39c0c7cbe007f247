"""HU in steps, as files of some training scans keep them: fine in and around the lungs, coarse further away.

Scans with nodules are kept as they were, so that a network could learn that steps mean no nodule. All training samples
are rounded at random alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

#: Masks of what lies far from the lungs have one pixel for so many rows and columns of the CT.
COARSE = 4
# Further than this from the lungs HU come in coarse steps, mm.
_FAR_MM = 20.0
_STEP, _FAR_STEPS = 8, (64, 128)


@dataclass(frozen=True)
class Rounding:
    """Steps in HU: in and around the lungs, and far from them."""

    near: int = _STEP
    far: int = _FAR_STEPS[0]

    @classmethod
    def random(cls, share: float, generator: np.random.Generator) -> Rounding | None:
        """A rounding in this share of the cases."""
        steps = int(generator.choice(_FAR_STEPS))
        return cls(far=steps) if generator.random() < share else None

    def apply(self, hu: np.ndarray, far: np.ndarray | None = None) -> np.ndarray:
        """HU in steps, of the same type; `far` (bool, same shape) is where the coarse ones are."""
        values = hu.astype(np.float32)
        rounded = np.rint(values / self.near) * self.near
        if far is not None and far.any():
            rounded = np.where(far, np.rint(values / self.far) * self.far, rounded)
        return rounded.astype(hu.dtype)


def far_from_lungs(lungs: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Bool `[slice, row / COARSE, column / COARSE]` (rounded up): what lies far from the lungs, a mask `[slice, row,
    column]`.

    `spacing` (column, row, slice) in mm. Without lungs nothing is far from them.
    """
    inside = lungs[:, ::COARSE, ::COARSE] > 0
    if not inside.any():
        return np.zeros(inside.shape, bool)
    width, height, depth = spacing
    return ndimage.distance_transform_edt(~inside, (depth, height * COARSE, width * COARSE)) > _FAR_MM


def far_in(far: np.ndarray, window: tuple[slice | np.ndarray, slice, slice], shape: tuple[int, ...]) -> np.ndarray:
    """The part of `far_from_lungs` in a window of the CT `[slice, row, column]`, one value a voxel; `shape` is the
    window's.
    """
    rows, columns = (
        ((part.start or 0) + np.arange(size)) // COARSE for part, size in zip(window[1:], shape[1:], strict=True)
    )
    return far[window[0]][:, rows][:, :, columns]
