"""The panel's part to list what a run has found so far; its end takes the place of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from .columns import number_text
from .guard import Guard
from .lists import show_rows

if TYPE_CHECKING:
    from lnhg.progress import Found


class FoundGroup:
    """A table with a row for each nodule found so far, which is drawn in the views; hidden while there is none.

    Args:
        ui: the panel's widgets.
        field_of: what the views show across around a nodule of a diameter, mm; None: as much as before.
        leave: called when the views leave the nodule of an earlier result that is under review.
        guard: tells what a handler raises.
    """

    def __init__(
        self, ui: Any, field_of: Callable[[float], float | None], leave: Callable[[], object], guard: Guard
    ) -> None:
        self.ui, self._field_of, self._leave = ui, field_of, leave
        self._ct: Any = None
        self._outlines: Any = None
        self._found: list[Found] = []
        self.moved_views = False
        titles = (
            (_("Verdict"), _("Comes with the end of the run")),
            (_("mm"), _("Diameter, mm, before it is outlined")),
            (_("Prob."), _("Probability that readers would mark a nodule there")),
            (_("S mm"), _("Height of its middle, mm (S of RAS)")),
        )
        ui.foundTable.setColumnCount(len(titles))
        for index, (title, tip) in enumerate(titles):
            item = qt.QTableWidgetItem(title)
            item.setToolTip(tip)
            ui.foundTable.setHorizontalHeaderItem(index, item)
        show_rows(ui.foundTable)
        ui.foundTable.horizontalHeader().setStretchLastSection(True)
        ui.foundTable.itemSelectionChanged.connect(guard(self._go_to_selected))
        self.end()

    def begin(self, ct: Any) -> None:
        """A run on this CT has been started."""
        self.end()
        self._ct, self.moved_views = ct, False

    def add(self, found: Found) -> None:
        """Draw and list a nodule."""
        from ..scene.found_nodules import FoundNodules

        if self._outlines is None:
            self._outlines = FoundNodules(self._ct)
        if not self._outlines.add(found):
            return
        self._found.append(found)
        table, row = self.ui.foundTable, len(self._found) - 1
        table.setRowCount(len(self._found))
        figures = (
            number_text(found.diameter, 0),
            number_text(found.probability, 2),
            number_text(found.centre_ras[2], 0),
        )
        for column, text in enumerate((_("provisional"), *figures)):
            item = qt.QTableWidgetItem(text)
            item.setTextAlignment(qt.Qt.AlignCenter)
            table.setItem(row, column, item)
        self._show_box()

    def show(self, ct: Any) -> None:
        """Another CT was selected, or this run's again: on another one outlines and rows are hidden."""
        if self._outlines is not None:
            self._outlines.set_visible(ct is self._ct)
            self._show_box(hidden=ct is not self._ct)

    def end(self) -> None:
        """The run has ended: nothing is left of it."""
        if self._outlines is not None:
            self._outlines.remove()
        self._ct = self._outlines = None
        self._found = []
        self.ui.foundTable.setRowCount(0)
        self._show_box()

    def _show_box(self, *, hidden: bool = False) -> None:
        self.ui.foundBox.setVisible(bool(self._found) and not hidden)

    def _go_to_selected(self) -> None:
        rows = [index.row() for index in self.ui.foundTable.selectionModel().selectedRows()]
        if not rows or not slicer.mrmlScene.IsNodePresent(self._ct):
            return
        from ..scene.transforms import point_of_scene
        from ..scene.views import centre_on

        found = self._found[rows[0]]
        self.moved_views = True
        self._leave()
        centre_on(point_of_scene(found.centre_ras, self._ct), self._field_of(found.diameter))
