"""A map of values in nodules, which takes memory only where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..core.boxes import box_around

#: Value of a map outside the nodules.
OUTSIDE = -1.0


class Indexed(Protocol):
    """Voxels `[slice, row, column]` that are read box by box: an array, or G(x) on the network grid (`NoduleImage`)."""

    def __getitem__(self, box: Any, /) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class NoduleMap:
    """A map that takes memory only where there are nodules; indexed by a box it gives the values there, -1 outside.

    Attributes:
        shape: of the whole, `(slices, rows, columns)`.
        parts: for each label its nodule's box, and the values in it: float32, 0..1 in the nodule, -1 outside.
    """

    shape: tuple[int, ...]
    parts: Mapping[int, tuple[tuple[slice, ...], np.ndarray]]

    @property
    def box(self) -> tuple[slice, ...]:
        """The smallest box with all nodules."""
        return box_around(box for box, _ in self.parts.values())

    def __getitem__(self, box: tuple[slice, ...]) -> np.ndarray:
        ranges = [range(*one.indices(size)) for one, size in zip(box, self.shape, strict=True)]
        result = np.full([len(one) for one in ranges], OUTSIDE, np.float32)
        for place, values in self.parts.values():
            ends = [(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(ranges, place, strict=True)]
            if all(first < end for first, end in ends):
                there = result[_moved(ends, [one.start for one in ranges])]
                np.maximum(there, values[_moved(ends, [one.start for one in place])], out=there)
        return result

    def whole(self) -> np.ndarray:
        """The values everywhere."""
        return self[tuple(slice(0, size) for size in self.shape)]


def _moved(ends: Sequence[tuple[int, int]], origin: Sequence[int]) -> tuple[slice, ...]:
    """A box as an index of an array that begins at `origin`."""
    return tuple(slice(first - start, end - start) for (first, end), start in zip(ends, origin, strict=True))
