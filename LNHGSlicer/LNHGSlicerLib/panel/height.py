"""The panel is as high as what is in it needs, so that none of it lies over the other."""

from __future__ import annotations

from typing import Any

import qt


class OwnHeight(qt.QWidget):
    """Keeps the least height of a widget at what its layout needs at its width.

    Slicer's module panel asks for it itself, but after another module was open it goes on with what it heard before:
    it forgets the item of a module that is left, and Qt's new one never hears that lines were wrapped or groups opened.
    """

    def __init__(self, widget: Any, guard: Any) -> None:
        super().__init__()
        self._widget, self._fit_guarded, self._waits = widget, guard(self._fit), False
        widget.installEventFilter(self)

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802 - Qt's name
        if event.type() in (qt.QEvent.LayoutRequest, qt.QEvent.Resize) and not self._waits:
            self._waits = True
            qt.QTimer.singleShot(0, self._fit_guarded)
        return False

    def _fit(self) -> None:
        self._waits = False
        needed = self._widget.layout().minimumHeightForWidth(self._widget.property("width"))
        if needed != self._widget.property("minimumHeight"):
            self._widget.setMinimumHeight(needed)
