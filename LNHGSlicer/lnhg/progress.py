"""Progress of a run: stage, share done and seconds left, handed to a callback that may cancel."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from .errors import Cancelled


@dataclass(frozen=True)
class Progress:
    """One report: the stage's name, the share of the whole run done (0 to 1), seconds left (None: not known yet)."""

    stage: str
    fraction: float
    seconds_left: float | None


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

    def __call__(self, stage: str, fraction: float) -> None:
        """Report that `fraction` (0 to 1) of `stage` is done; raises `Cancelled` when the callback returns False."""
        if self._callback is None:
            return
        whole = min(1.0, self._start[stage] + self._share[stage] * fraction)
        elapsed = time.monotonic() - self._began
        left = elapsed * (1.0 - whole) / whole if whole > 0.02 else None
        if self._callback(Progress(stage, whole, left)) is False:
            raise Cancelled("The run was cancelled; nothing was written.")
