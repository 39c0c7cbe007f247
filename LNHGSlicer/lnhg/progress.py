"""Progress of a run: stage, share done and seconds left, handed to a callback that may cancel."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .errors import Cancelled

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Found:
    """A nodule as it is known while the run goes on; the result may draw it otherwise, or not hold it.

    Attributes:
        corner: the first voxel (slice, row, column) of `mask` in the CT as it was given.
        mask: bool `[slice, row, column]`: its voxels.
        probability: that readers would mark a nodule there, 0 to 1.
        diameter: of the sphere of the same volume, mm.
        centre_ras: its middle, mm.
    """

    corner: tuple[int, int, int]
    mask: np.ndarray
    probability: float
    diameter: float
    centre_ras: tuple[float, float, float]


@dataclass(frozen=True)
class Progress:
    """One report: the stage's name, the share of the whole run done (0 to 1), seconds left (None: not known yet).

    `found` is a nodule that has just been found, where the caller asked to be told.
    """

    stage: str
    fraction: float
    seconds_left: float | None
    found: Found | None = None


#: Called with each report; returning False cancels the run.
ProgressCallback = Callable[[Progress], "bool | None"]


class ProgressReporter:
    """Turns the progress of single stages into progress of the whole run.

    `shares` gives each stage's expected part of the run's time, in the order of the stages; parts are scaled to sum 1.
    """

    def __init__(self, shares: dict[str, float], callback: ProgressCallback | None = None) -> None:
        total = sum(shares.values())
        self._start: dict[str, float] = {}
        self._share = {name: share / total for name, share in shares.items()}
        done = 0.0
        for name, share in self._share.items():
            self._start[name] = done
            done += share
        self._callback = callback
        self._began = time.monotonic()
        self._last: Progress | None = None

    def __call__(self, stage: str, fraction: float) -> None:
        """Report that `fraction` (0 to 1) of `stage` is done; raises `Cancelled` when the callback returns False."""
        if self._callback is None:
            return
        whole = min(1.0, self._start[stage] + self._share[stage] * fraction)
        elapsed = time.monotonic() - self._began
        left = elapsed * (1.0 - whole) / whole if whole > 0.02 else None
        self._last = Progress(stage, whole, left)
        self._tell(self._last)

    def tell_found(self, found: Found) -> None:
        """Report a nodule with the share that was reported last; raises `Cancelled` as a report does."""
        if self._last is not None:
            self._tell(replace(self._last, found=found))

    def _tell(self, progress: Progress) -> None:
        if self._callback is not None and self._callback(progress) is False:
            raise Cancelled("The run was cancelled; nothing was written.")
