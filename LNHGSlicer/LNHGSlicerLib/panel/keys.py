"""The keys of the panel: one for each thing a reader does again and again.

With Shift, so that the slice views keep their own keys; in a text field they write, as everywhere.
"""

from __future__ import annotations

from typing import Any

import qt
import slicer

from .guard import Guard

#: Key and widget: the key clicks it, and its tooltip in the `.ui` file names the key.
CLICKS = (
    ("Shift+S", "segmentButton"),
    ("Shift+D", "addNoduleButton"),
    ("Shift+C", "cancelButton"),
    ("Shift+N", "nextButton"),
    ("Shift+P", "previousButton"),
    ("Shift+A", "acceptButton"),
    ("Shift+R", "rejectButton"),
    ("Shift+E", "editButton"),
    ("Shift+U", "undoButton"),
    ("Shift+H", "mapBox"),
    ("Shift+O", "outlineBox"),
    ("Shift+T", "slabBox"),
    ("Shift+Z", "zoomBox"),
    ("Shift+V", "restoreViewsButton"),
    ("Shift+Return", "rateButton"),
)
#: Key and combo box: the key chooses the next entry.
NEXT_ENTRIES = (("Shift+L", "layerBox"), ("Shift+K", "normalisationBox"))
#: Key and entry of the reader study's impression.
IMPRESSIONS = (("Shift+I", 0), ("Shift+B", 1), ("Shift+M", 2))
#: Key and step of the reader study's score; the digits 0 to 9 choose 0 to 90.
SCORE_STEPS = (("Shift+Up", 5), ("Shift+Down", -5))
#: The property of the score's slider that says whether the reader gave the score that it shows.
GIVEN = "scoreGiven"


class Keys:
    """The shortcuts; on while the module is open."""

    def __init__(self, ui: Any, root: Any, guard: Guard) -> None:
        self._ui, self._parent, self._guard = ui, slicer.util.mainWindow() or root, guard
        self.shortcuts: list[Any] = []
        for key, name in CLICKS:
            self._add(key, name, lambda widget: widget.click(), again=False)  # a key held down would judge them all
        for key, name in NEXT_ENTRIES:
            self._add(key, name, _choose_next)
        for key, index in IMPRESSIONS:
            self._add(key, "impressionBox", lambda box, index=index: box.setCurrentIndex(index))
        for key, step in SCORE_STEPS:
            self._add(key, "scoreSlider", lambda slider, step=step: _give(slider, slider.property("value") + step))
        for digit in range(10):
            self._add(str(digit), "scoreSlider", lambda slider, digit=digit: _give(slider, 10 * digit))

    def set_enabled(self, enabled: bool) -> None:
        """Another module has keys of its own."""
        for shortcut in self.shortcuts:
            shortcut.setEnabled(enabled)

    def remove(self) -> None:
        for shortcut in self.shortcuts:
            shortcut.deleteLater()
        self.shortcuts = []

    def _add(self, key: str, name: str, action: Any, *, again: bool = True) -> None:
        shortcut, widget = qt.QShortcut(self._parent), getattr(self._ui, name)
        shortcut.setKey(qt.QKeySequence(key))
        shortcut.setAutoRepeat(again)
        shortcut.setEnabled(False)
        shortcut.activated.connect(self._guard(lambda *_: action(widget) if widget.isEnabled() else None))
        self.shortcuts.append(shortcut)


def _give(slider: Any, score: float) -> None:
    """A score by a key is given also where the slider stands there already."""
    slider.setValue(score)
    slider.setProperty(GIVEN, True)


def _choose_next(box: Any) -> None:
    box.setCurrentIndex((box.property("currentIndex") + 1) % box.property("count"))
