"""LNHG: lung nodules and their heterogeneity on chest CT. Research use only.

After Song et al., IEEE JBHI 2022. `read_ct(path)`, `segment(ct, options, seeds)` and `save(result, folder)` are the way
through; importing this package loads neither torch nor SimpleITK.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.3.8"

_EXPORTS = {
    "CT": "core.ct",
    "read_ct": "readers.read_ct",
    "Options": "options",
    "Result": "core.result",
    "prepare_ct": "stages.prepared",
    "segment": "pipeline",
    "follow": "followup.follow",
    "save_follow_up": "followup.written",
    "save": "writers.results",
    "LNHGError": "errors",
}

__all__ = [
    "CT",
    "LNHGError",
    "Options",
    "Result",
    "follow",
    "prepare_ct",
    "read_ct",
    "save",
    "save_follow_up",
    "segment",
]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(import_module(f".{_EXPORTS[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
