"""Colours of text that can be read on Slicer's light theme, and on its dark one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt

# On light and on dark ground; each has a contrast of 4.5 or more there (WCAG 2.1, success criterion 1.4.3).
_COLOURS = {"error": ("#b3261e", "#ff8a80"), "caution": ("#8a4b00", "#ffb74d"), "rejected": ("#666666", "#a8a8a8")}


def colour(meaning: str) -> Any:
    """Of a text that tells an `error`, a `caution`, or of a `rejected` nodule."""
    on_light, on_dark = _COLOURS[meaning]
    return qt.QColor(on_dark if qt.QApplication.palette().color(qt.QPalette.Base).lightness() < 128 else on_light)


def text_colour() -> Any:
    """Of any other text."""
    return qt.QApplication.palette().color(qt.QPalette.WindowText)


def set_bold(widget: Any) -> None:
    """By its font: a style sheet would keep the colours of the theme that Slicer had before."""
    font = qt.QFont(widget.property("font"))
    font.setBold(True)
    widget.setFont(font)


def set_selection(table: Any) -> None:
    """White on blue: on the highlight of Slicer's themes its text has a contrast of 2.3 to 3.7."""
    palette = qt.QPalette()
    palette.setColor(qt.QPalette.Highlight, qt.QColor("#1d5e94"))
    palette.setColor(qt.QPalette.HighlightedText, qt.QColor("#ffffff"))
    table.setPalette(palette)


class ThemeWatch(qt.QWidget):
    """Calls a function after somebody chose another theme for Slicer while `widget` is there."""

    def __init__(self, widget: Any, on_change: Callable[[], object]) -> None:
        super().__init__()
        self._on_change = on_change
        widget.installEventFilter(self)

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802 - Qt's name
        if event.type() == qt.QEvent.PaletteChange:
            qt.QTimer.singleShot(0, self._on_change)  # which changes palettes itself
        return False
