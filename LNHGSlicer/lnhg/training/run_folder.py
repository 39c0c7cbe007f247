"""The folder of a training: where a file under the name of a run's was written by none, nothing is trained."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

from ..errors import InputError
from .run_log import LOG

# Names of what runs write, and how that begins, or what it holds.
_TABLES, _CHECKPOINTS = (LOG, "froc.csv"), "*.pt"
_FIRST_COLUMNS = ("step,", "phase,")
_CONFIG, _IN_CONFIG = "config.json", {"steps", "batch", "seed"}


def check_run_folder(folder: Path) -> None:
    """Raise InputError where a file of the name of one of a training's is none: it would be replaced or written on."""
    tables = [folder / name for name in _TABLES if os.path.lexists(folder / name) and not _is_log(folder / name)]
    configs = [folder / _CONFIG] if os.path.lexists(folder / _CONFIG) and not _is_config(folder / _CONFIG) else []
    checkpoints = [path for path in sorted(folder.glob(_CHECKPOINTS)) if not _is_checkpoint(path)]
    foreign = [path.name for path in (*tables, *configs, *checkpoints)]
    if foreign:
        raise InputError(
            f"{', '.join(foreign)} in {folder} would be replaced, but no training wrote it, or it is damaged; "
            "move it away or choose another folder."
        )


def _is_log(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.readline(1 << 10).decode("ascii", "replace").startswith(_FIRST_COLUMNS)
    except OSError:
        return False


def _is_config(path: Path) -> bool:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(values, dict) and values.keys() >= _IN_CONFIG


def _is_checkpoint(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as file:
            return any(name.endswith("/data.pkl") for name in file.namelist())
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
