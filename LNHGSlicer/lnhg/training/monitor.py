"""What a person sees of a training run: a bar with the time left, `log.csv`, and TensorBoard's scalars and pictures."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from ..heterogeneity import OUTSIDE, heterogeneity_map, overlay
from .run_log import LOG, append_row

logger = logging.getLogger(__name__)

COLUMNS = ("step", "minutes", "mse", "vgg", "adversarial", "critic", "brightest", "select_dice")

# G(x) above this is taken for nodule in the pictures.
_NODULE = 0.5
# Smallest width of one picture, pixels.
_PICTURE_PIXELS = 128


class Monitor:
    """Follows one run from `step` to `steps`, or for at most `minutes`."""

    def __init__(self, folder: Path, step: int, steps: int, minutes: float) -> None:
        self._log = folder / LOG
        self._board = _board(folder / "tensorboard", step)
        self._first_step, self._steps = step, steps
        self._began, self._limit = time.monotonic(), 60 * minutes
        self._dice = ""
        self._bar = tqdm(total=steps, initial=step, bar_format="{n_fmt}/{total_fmt} steps |{bar}| {postfix}", disable=None)

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        if self._board:
            self._board.close()

    def note(self, step: int, values: Mapping[str, float]) -> None:
        """The losses and other figures of a step."""
        figures = {"step": step, **values}
        append_row(self._log, {name: f"{figures[name]:.6g}" if name in figures else "" for name in COLUMNS})
        if self._board:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)
        if "select_dice" in values:
            self._dice = f", select Dice {values['select_dice']:.3f}"
        losses = "".join(f", {name} {values[name]:.3g}" for name in ("mse", "vgg") if name in values)
        left = tqdm.format_interval(self._seconds_left(step))
        self._bar.set_postfix_str(f"{left} left{losses}{self._dice}", refresh=False)
        self._bar.update(step - self._bar.n)

    def _seconds_left(self, step: int) -> float:
        passed = time.monotonic() - self._began
        pace = passed / (step - self._first_step)
        return max(0.0, min((self._steps - step) * pace, self._limit - passed))

    def picture(self, step: int, o: torch.Tensor, r: torch.Tensor, g: torch.Tensor) -> None:
        """What the generator makes of some nodules, as a picture in TensorBoard."""
        if self._board:
            self._board.add_image("CT, target, G(x), heterogeneity", picture_grid(o, r, g), step, dataformats="HWC")

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


def picture_grid(o: torch.Tensor, r: torch.Tensor, g: torch.Tensor) -> np.ndarray:
    """A row for each sample: the middle slices of O(x), R(x) and G(x), and h(x) over O(x); uint8 `[row, column, 3]`."""
    rows = []
    for ct, target, generated in zip(*(volumes[:, 0, 1].cpu().numpy() for volumes in (o, r, g)), strict=True):
        h = heterogeneity_map(generated[None], (generated > _NODULE)[None].astype(np.uint8))[0]
        grey = [overlay(image, np.full_like(image, OUTSIDE), window=(0.0, 1.0)) for image in (ct, target, generated)]
        rows.append(np.concatenate([*grey, overlay(ct, h, window=(0.0, 1.0))], axis=1))
    zoom = -(-_PICTURE_PIXELS // o.shape[-1])
    return np.concatenate(rows).repeat(zoom, 0).repeat(zoom, 1)
