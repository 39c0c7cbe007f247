"""Checkpoints of a training run: written whole or not at all, and enough to go on as if nothing had happened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..core.atomic_file import whole
from ..errors import LNHGError


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain values); a kill leaves the former one whole."""
    with whole(path) as partial:
        torch.save(state, partial)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The state written by `write_checkpoint`; only tensors and plain values are read, no code."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise LNHGError(f"The checkpoint {path.name} cannot be read ({error}); start the training in a new folder.") from error
