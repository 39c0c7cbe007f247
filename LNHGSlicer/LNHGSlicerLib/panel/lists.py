"""Tables, node selectors and scrolling, as all parts of the panel have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer

from .colours import set_selection

# A widget that was just shown has its place after this time, ms.
_PLACED_MS = 100


def scroll_to(widget: Any) -> None:
    """Bring a widget of the panel into sight, once it has its place."""

    def scroll() -> None:
        above = widget.parent()
        while above is not None:
            if above.inherits("QScrollArea"):
                above.ensureWidgetVisible(widget)
            above = above.parent()

    timer = qt.QTimer(widget)  # ends with it
    timer.setSingleShot(True)
    timer.timeout.connect(scroll)
    timer.timeout.connect(timer.deleteLater)
    timer.start(_PLACED_MS)


def show_rows(table: Any) -> None:
    """A table whose rows are selected one at a time, and not edited."""
    table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
    table.setSelectionMode(qt.QAbstractItemView.SingleSelection)
    table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
    table.setAlternatingRowColors(True)
    table.setShowGrid(False)
    table.setTabKeyNavigation(False)  # whose cells are read only: Tab goes on to the next widget
    set_selection(table)
    table.verticalHeader().setVisible(False)
    table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)


def offer_volumes(selector: Any, offered: Callable[[Any], bool]) -> None:
    """Let a selector list no other volumes of the scene than those for which `offered` is true."""
    nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    hidden = [node.GetID() for node in nodes if not offered(node)]
    proxy = selector.sortFilterProxyModel()
    if sorted(proxy.property("hiddenNodeIDs") or ()) != sorted(hidden):
        proxy.setProperty("hiddenNodeIDs", hidden)
