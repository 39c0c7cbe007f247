"""What a person sees of a training run: a bar with the time left, or lines where there is no terminal, and files.

These are `log.csv`, and TensorBoard's scalars and pictures.
"""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from .run_log import LOG, append_row

logger = logging.getLogger(__name__)


# How often a line is written where there is no terminal for a bar, s.
_TELL_S = 60.0


def say(line: str) -> None:
    """A line for a person who watches a training, at once."""
    print(line, file=sys.stderr, flush=True)


class Monitor:
    """Follows one run from `step`, with `done` of `total` units of work (steps, or minutes), for at most `minutes`.

    The log gets `columns` (`step` first); `shown` are the figures beside the bar, with the names they have there.
    """

    def __init__(
        self,
        folder: Path,
        columns: Sequence[str],
        shown: Mapping[str, str],
        step: int,
        done: float,
        total: float,
        unit: str = "steps",
        minutes: float = math.inf,
    ) -> None:
        self._log, self._columns, self._shown = folder / LOG, columns, shown
        self._board = _board(folder / "tensorboard", step)
        self._first, self._total = done, total
        self._began, self._limit = time.monotonic(), 60 * minutes
        self._latest: dict[str, float] = {}
        self._unit, self._told = unit, -math.inf
        shape = f"{{n:.0f}}/{{total:.0f}} {unit} |{{bar}}| {{postfix}}"
        self._bar = tqdm(total=total, initial=done, bar_format=shape, disable=None)

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        if self._board:
            self._board.close()

    def note(self, step: int, done: float, values: Mapping[str, float]) -> None:
        """The losses and other figures of a step, when so much of the work was done."""
        row = {"step": step, **values}
        append_row(self._log, {name: f"{row[name]:.6g}" if name in row else "" for name in self._columns})
        self.mark(step, values)
        left = tqdm.format_interval(self._seconds_left(done))
        figures = "".join(
            f", {name} {self._latest[key]:.3g}" for key, name in self._shown.items() if key in self._latest
        )
        self._bar.set_postfix_str(f"{left} left{figures}", refresh=False)
        self._bar.update(done - self._bar.n)
        if self._bar.disable and time.monotonic() - self._told > _TELL_S:
            self._told = time.monotonic()
            say(f"{done:.0f}/{self._total:.0f} {self._unit}, {left} left{figures}")

    def mark(self, step: int, values: Mapping[str, float]) -> None:
        """Figures for TensorBoard and the bar that are no row of the log."""
        self._latest |= values
        if self._board:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def _seconds_left(self, done: float) -> float:
        passed = time.monotonic() - self._began
        pace = passed / (done - self._first)
        return max(0.0, min((self._total - done) * pace, self._limit - passed))

    def picture(self, step: int, name: str, picture: np.ndarray) -> None:
        """What the networks make of some samples, uint8 `[row, column, 3]`, for TensorBoard."""
        if self._board:
            self._board.add_image(name, picture, step, dataformats="HWC")

    def flush(self) -> None:
        """Before a checkpoint: what was noted up to it must outlive a kill."""
        if self._board:
            self._board.flush()


def _board(folder: Path, step: int) -> Any:
    """TensorBoard's writer, which hides what a killed run wrote after `step`; None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        logger.warning('TensorBoard is not installed (pip install "lnhg[train]"); the figures go to log.csv alone.')
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)
