"""Fields into which the reader writes a path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def on_path(edit: Any, handler: Callable[[str], object]) -> None:
    """Call a handler with the path in a field whenever it changes.

    Of a path that was taken out Slicer's field tells by another signal: what is in it is no valid input any more.
    """

    def changed(*_: Any) -> None:
        handler(str(edit.property("currentPath")))

    edit.currentPathChanged.connect(changed)
    edit.validInputChanged.connect(changed)
