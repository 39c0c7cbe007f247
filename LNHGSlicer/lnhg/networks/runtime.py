"""The door between a run and what computes its networks: arrays in, arrays out, whatever stands behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from .architecture import DetectorArchitecture

#: Boxes `(x0, y0, x1, y1)` of an image, `[n, 4]` in its pixels, and their scores `[n]` (0..1), best first.
Found = tuple[np.ndarray, np.ndarray]
#: From what the rescorer is shown of candidates (see `network_input`) to probabilities.
Scores = Callable[[Sequence[np.ndarray]], Sequence[float]]


class SliceDetector(Protocol):
    """A detector of slices."""

    @property
    def architecture(self) -> DetectorArchitecture: ...

    def find(self, images: Sequence[np.ndarray], least: float = 0.0) -> Sequence[Found | None]:
        """What is found in each image `[3, y, x]`, 0..1 in float32; boxes in float64.

        It can be None where no box reaches a score of `least`.
        """
        ...


class TileGenerator(Protocol):
    """A generator of tiles.

    Attributes:
        reach: pixels further away do not count.
        cell: tiles must begin on multiples of this many pixels.
    """

    @property
    def reach(self) -> int: ...

    @property
    def cell(self) -> int: ...

    def __call__(self, tiles: np.ndarray) -> np.ndarray:
        """G(x) of tiles `[n, 1, 3, y, x]` in 0..1; the same shape, float32."""
        ...


class Runtime(Protocol):
    """What computes the networks of one run."""

    @property
    def notes(self) -> Sequence[str]:
        """Sentences on what had to be changed during the run."""
        ...

    @property
    def description(self) -> str:
        """The device as a person knows it."""
        ...

    @property
    def precision(self) -> str:
        """`float32` or `float16`."""
        ...

    @property
    def versions(self) -> Mapping[str, str]:
        """Of the packages that compute."""
        ...

    def detector(self) -> SliceDetector:
        """Of models that have one."""
        ...

    def generator(self) -> TileGenerator: ...

    def rescorer(self) -> Scores:
        """Of models that have one."""
        ...
