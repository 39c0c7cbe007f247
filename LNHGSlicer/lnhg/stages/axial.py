"""The axial view of a CT: the same voxels with slices running feet to head, rows front to back, columns right to left.

Every stage between reading and writing works in this view, so flipped and permuted volumes give the same result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from ..core.ct import CT

# Patient directions (R, A, S) along which the view's (i, j, k) grow: i to the left, j to the back, k to the head.
_AXIAL_RAS = np.array([[-1, 0, 0], [0, -1, 0], [0, 0, 1]], float)


@dataclass(frozen=True, eq=False)
class AxialOrder:
    """A CT reordered (never resampled) to the axial view, and the way back.

    Attributes:
        ct: the reordered CT.
        axes: for each array axis of the view (slice, row, column) the array axis of the original.
        flips: for each array axis of the view whether it runs against the original axis.
    """

    ct: CT
    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    @property
    def _flipped(self) -> tuple[int, ...]:
        return tuple(axis for axis in range(3) if self.flips[axis])

    def to_axial(self, array: np.ndarray) -> np.ndarray:
        """An array `[slice, row, column]` on the original grid, reordered to the view."""
        return np.flip(array.transpose(self.axes), self._flipped)

    def stored_slice(self, k: int) -> int:
        """The number, in the CT as stored, of slice k of the view; k itself where its slices run along another axis."""
        return len(self.ct.hu) - 1 - k if self.axes[0] == 0 and self.flips[0] else k

    def from_axial(self, array: np.ndarray) -> np.ndarray:
        """An array `[slice, row, column]` of the view, reordered to the original grid."""
        unflipped = np.flip(array, self._flipped)
        return np.ascontiguousarray(unflipped.transpose(np.argsort(self.axes)))

    def box_to_axial(self, box: tuple[slice, ...]) -> tuple[slice, ...]:
        """A box of the original grid as a box of the view."""
        return tuple(
            slice(size - box[axis].stop, size - box[axis].start) if flip else box[axis]
            for axis, size, flip in zip(self.axes, self.ct.hu.shape, self.flips, strict=True)
        )

    def box_from_axial(self, box: tuple[slice, ...]) -> tuple[slice, ...]:
        """A box of the view as a box of the original grid."""
        sides = [
            slice(size - one.stop, size - one.start) if flip else one
            for one, size, flip in zip(box, self.ct.hu.shape, self.flips, strict=True)
        ]
        return tuple(sides[axis] for axis in np.argsort(self.axes))


def axial_order(ct: CT, *, contiguous: bool = True) -> AxialOrder:
    """The axial view of `ct`: the permutation and flips of its axes that lie closest to the patient's axes.

    `contiguous`: with voxels in the order of the view in memory, copied where they are not; else they stay where they
    are.
    """
    directions = ct.ijk_to_ras[:3, :3] / np.linalg.norm(ct.ijk_to_ras[:3, :3], axis=0)
    cosines = _AXIAL_RAS @ directions  # [axis of the view (i, j, k), axis of the original (i, j, k)]
    source = max(permutations(range(3)), key=lambda axes: np.abs(cosines[range(3), axes]).sum())
    signs = np.sign(cosines[range(3), source])

    view_to_original = np.eye(4)
    view_to_original[:3, :3] = 0
    for axis in range(3):
        size = ct.hu.shape[2 - source[axis]]
        view_to_original[source[axis], axis] = signs[axis]
        view_to_original[source[axis], 3] = 0 if signs[axis] > 0 else size - 1
    axes = (2 - int(source[2]), 2 - int(source[1]), 2 - int(source[0]))
    flips = (bool(signs[2] < 0), bool(signs[1] < 0), bool(signs[0] < 0))
    flipped = tuple(axis for axis in range(3) if flips[axis])
    reordered = np.flip(ct.hu.transpose(axes), flipped)
    if contiguous:
        reordered = np.ascontiguousarray(reordered)
    numbers = ct.instance_numbers
    if numbers is not None:
        numbers = None if axes[0] != 0 else tuple(reversed(numbers)) if flips[0] else numbers
    view = replace(ct, hu=reordered, ijk_to_ras=ct.ijk_to_ras @ view_to_original, instance_numbers=numbers)
    return AxialOrder(view, axes, flips)
