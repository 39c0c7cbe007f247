"""Checkpoints of a training run: written whole or not at all, and enough to go on as if nothing had happened."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..core.atomic_file import whole
from ..errors import LNHGError

_log = logging.getLogger(__name__)

# Values of configurations that had another name before.
_RENAMED = {"afar": "coarse"}


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain values); a kill, or a full disk, leaves the former one whole."""
    try:
        with whole(path) as partial:
            torch.save(state, partial)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise LNHGError(
            f"The checkpoint {path.name} cannot be written ({reason}); make room; the former is kept."
        ) from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The state written by `write_checkpoint`; only tensors and plain values are read, no code."""
    try:
        # PyTorch does not compare the checksums that it wrote.
        with zipfile.ZipFile(path) as file:
            damaged = file.testzip()
        if damaged is not None:
            raise ValueError(f"the checksum of {damaged} differs")
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise ValueError("it holds no state")
        return state
    except MemoryError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        raise LNHGError(
            f"The checkpoint {path.name} cannot be read ({reason}); start the training in a new folder."
        ) from error


def known_values(values: Mapping[str, Any], defaults: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The `values` of a checkpoint that another version may have written: those that `defaults` have, which fill the
    gaps.

    Others are named in the log and left out; `what` says there whose they are.
    """
    values = {_RENAMED.get(name, name): value for name, value in values.items()}
    if others := {name: value for name, value in values.items() if name not in defaults}:
        told = ", ".join(f"{name} {value}" for name, value in others.items())
        _log.warning(
            "The checkpoint's %s has values that this version does not know; they are left out: %s", what, told
        )
    return {name: values.get(name, default) for name, default in defaults.items()}


def check_same_configuration(
    saved: Mapping[str, Any], now: Mapping[str, Any], defaults: Mapping[str, Any], folder: Path
) -> None:
    """Raise LNHGError unless a training in `folder` goes on as it began.

    Args:
        saved: the configuration in the checkpoint; what it lacks was made with the defaults, what nobody knows any more
            is named in the log.
        now, defaults: the configuration of this run and the default one, with the same names.
    """
    then = known_values(saved, defaults, "configuration")
    if others := [f"{name} {then[name]}, now {value}" for name, value in now.items() if then[name] != value]:
        raise LNHGError(
            f"{folder} holds a training with another configuration ({'; '.join(others)}); choose a new folder."
        )
