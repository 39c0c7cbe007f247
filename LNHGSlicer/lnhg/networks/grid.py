"""The network grids: how CT slices become what a network sees, and how an image on that grid goes back to the CT.

One definition for training, inference and evaluation; the weights' manifest holds it.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from scipy import ndimage, sparse

from ..errors import InputError

#: A NumPy array or a PyTorch tensor.
Values = TypeVar("Values", bound=Any)

# A slice at least this wide (mm) is a whole chest; a smaller one is a crop, whose full field of view is not known.
_WHOLE_CHEST_MM = 250.0


@dataclass(frozen=True)
class NetworkGrid:
    """How slices are sampled and scaled for one network.

    Attributes:
        rule: `paper`: a whole slice becomes 256 pixels wide (512 halved), a crop gets `pixel_mm`; `fixed`: always
            `pixel_mm`.
        pixel_mm: pixel width and height in the slice, mm.
        window_hu: HU that become 0 and 1; values outside are clipped.
        slice_mm: how far the slices of a triplet lie apart, mm, but no nearer than neighbouring slices; None:
            neighbours.
    """

    rule: str = "fixed"
    pixel_mm: float = 1.4
    window_hu: tuple[float, float] = (-1000.0, 400.0)
    slice_mm: float | None = None

    def __post_init__(self) -> None:
        low, high = self.window_hu
        if (
            self.rule not in ("paper", "fixed")
            or not 0 < self.pixel_mm < math.inf
            or not -math.inf < low < high < math.inf
        ):
            raise InputError(
                f"No network can see on the grid {self}; give pixels above 0 and a window whose bounds rise."
            )
        if self.slice_mm is not None and not 0 < self.slice_mm < math.inf:
            raise InputError(f"The slices of a triplet cannot lie {self.slice_mm} mm apart; give a length above 0.")

    def pixel(self, shape: tuple[int, int], spacing: tuple[float, float]) -> float:
        """Pixel width (mm) for slices of `shape` (rows, columns) and `spacing` (column, row) mm."""
        width = max(shape[1] * spacing[0], shape[0] * spacing[1])
        return width / 256 if self.rule == "paper" and width >= _WHOLE_CHEST_MM else self.pixel_mm

    def normalise(self, hu: Values) -> Values:
        """HU to 0..1 by the window, clipped."""
        low, high = self.window_hu
        return ((hu - low) / (high - low)).clip(0, 1)

    def sample(
        self, slices: np.ndarray, spacing: tuple[float, float], steps: tuple[float, float] | None = None
    ) -> np.ndarray:
        """Slices `[n, row, column]` in HU, sampled and normalised: `[n, y, x]` float32.

        Linear with a triangle filter where it shrinks (no aliasing). Pixel y lies at CT row (y + 0.5) * step - 0.5.
        `steps`: CT rows and columns in a pixel, where the slices are part of wider ones; None: those of these slices.
        """
        steps = steps or self.steps(slices.shape[1:], spacing)
        return resize(self.normalise(slices.astype(np.float32)), (1 / steps[0], 1 / steps[1]))

    def steps(self, shape: tuple[int, ...], spacing: tuple[float, float]) -> tuple[float, float]:
        """CT rows and CT columns in one pixel of this grid."""
        pixel = self.pixel((shape[-2], shape[-1]), spacing)
        # A slice thinner than one pixel keeps one pixel.
        return min(pixel / spacing[1], float(shape[-2])), min(pixel / spacing[0], float(shape[-1]))

    def slices_apart(self, slice_mm: float) -> float:
        """Slices from one slice of a triplet to the next, in a CT whose slices lie `slice_mm` apart: 1 or more.

        To a hundredth, so that a spacing that was written with few digits gives whole slices where it should.
        """
        return 1.0 if self.slice_mm is None else max(1.0, round(self.slice_mm / slice_mm, 2))

    def coarser(self, factor: float, shape: tuple[int, int], spacing: tuple[float, float]) -> NetworkGrid:
        """A grid with pixels `factor` times as wide as this one's for slices of `shape` and `spacing` (see `pixel`)."""
        return replace(self, rule="fixed", pixel_mm=self.pixel(shape, spacing) * factor)

    def as_dict(self) -> dict[str, Any]:
        """For the manifest; without `slice_mm` where triplets are neighbours, as in manifests older than it."""
        values = {**asdict(self), "window_hu": list(self.window_hu)}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> NetworkGrid:
        """From the manifest."""
        apart = values.get("slice_mm")
        return cls(
            values["rule"],
            float(values["pixel_mm"]),
            tuple(values["window_hu"]),
            None if apart is None else float(apart),
        )


def between(position: float, count: int) -> list[tuple[int, float]]:
    """The slices on either side of a position in a stack of `count`, with their weights; the end slices go on for
    ever.
    """
    below = math.floor(position)
    share = position - below
    sides = [(below, 1 - share), (below + 1, share)]
    return [(min(max(k, 0), count - 1), weight) for k, weight in sides if weight > 0]


def resize(images: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """Images `[n, y, x]` scaled by exactly `scale` (y, x), linear and free of aliasing; a partial last pixel is
    dropped. float32.
    """
    if scale == (1.0, 1.0):
        return images
    down, across = (_weights(size, factor) for size, factor in zip(images.shape[1:], scale, strict=True))
    result = np.empty((len(images), down.shape[0], across.shape[0]), np.float32)
    for image, small in zip(images, result, strict=True):
        small[:] = (across @ np.ascontiguousarray((down @ image).T)).T
    return result


@lru_cache(maxsize=16)
def _weights(size: int, scale: float) -> sparse.csr_array:
    """What each pixel of a line gets from the `size` old ones, `[new, old]`: a triangle about its middle, as wide as
    two old pixels or two new ones, whichever are wider.

    In float32, as PyTorch's `interpolate` with `antialias` has it, which the networks learned from.
    """
    # The tiny factor keeps 512 * (1 / 1.3999..) from losing a row to rounding.
    exact = scale * (1 + 1e-9)
    count = math.floor(size * exact)
    if count == size:  # scaled by less than a pixel in all: PyTorch takes the pixels as they are
        return sparse.csr_array(sparse.identity(size, np.float32))
    reach = np.float32(max(1.0, 1 / exact))
    middles = (np.arange(count, dtype=np.float32) + np.float32(0.5)) * np.float32(1 / exact)
    first = np.maximum((middles - reach + np.float32(0.5)).astype(int), 0)
    end = np.minimum((middles + reach + np.float32(0.5)).astype(int), size)
    old = first[:, None] + np.arange((end - first).max())
    away = (old - middles[:, None] + 0.5).astype(np.float32) / reach
    weights = np.where(old < end[:, None], np.maximum(0, 1 - np.abs(away)), 0)
    weights /= weights.sum(1, keepdims=True)
    rows = np.arange(count).repeat(old.shape[1])
    return sparse.csr_array((weights.ravel(), (rows, np.minimum(old, size - 1).ravel())), (count, size))


def resized(volume: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """A volume `[slice, row, column]` scaled by (row, column) as `resize` does, float32.

    Slice by slice: a whole scan as float would not fit into a small memory.
    """
    return np.concatenate([resize(one[None].astype(np.float32), scale) for one in volume])


def to_ct_grid(
    image: np.ndarray, steps: tuple[float, float], rows: tuple[int, int], columns: tuple[int, int]
) -> np.ndarray:
    """An image `[y, x]` on a network grid, linearly interpolated at CT rows and columns (half-open ranges)."""
    offset = [(rows[0] + 0.5) / steps[0] - 0.5, (columns[0] + 0.5) / steps[1] - 0.5]
    shape = (rows[1] - rows[0], columns[1] - columns[0])
    return ndimage.affine_transform(
        image, [1 / steps[0], 1 / steps[1]], offset, shape, np.float32, order=1, mode="nearest"
    )
