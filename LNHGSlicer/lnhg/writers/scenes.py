"""Scenes for 3D Slicer, by the writers that an installation declares as entry points: nothing here knows Slicer."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path


def write_scene(group: str, content: object, path: Path) -> str:
    """Write `content` by the writer declared in `group`, where it can be; returns what a record says of it: the file's
    name, or why there is none.
    """
    if importlib.util.find_spec("slicer_core") is None:
        return "not written: Slicer's library is not installed (pip install 'lnhg[host]')"
    writers = importlib.metadata.entry_points(group=group)
    if not writers:
        return "not written: this installation of lnhg declares no writer of scenes; install it with pip"
    next(iter(writers)).load()(content, path)
    return path.name
