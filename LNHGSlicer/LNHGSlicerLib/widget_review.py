"""The panel's part to look at the nodules one by one, and to choose what lies over the CT."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from lnhg.errors import LNHGError

from .verdicts import verdict_text
from .widget_histogram import histogram_picture

_SLAB_MM = 10.0


class ReviewGroup:
    """Table, verdicts and display of one result; hidden without one.

    `on_error` gets a sentence; `on_selected` the segment ID of the nodule that the reader is at, or None;
    `edit` opens the editor on a segment: it gets the nodes and the segment ID.
    """

    def __init__(
        self,
        ui: Any,
        memory: Callable[[], Any],
        edit: Callable[[Any, str], None],
        on_selected: Callable[[str | None], None],
        on_error: Callable[[str], None],
    ) -> None:
        self.ui = ui
        self.nodes: Any = None
        self._memory, self._edit_segment = memory, edit
        self._on_selected, self._on_error = on_selected, on_error
        self._review: Any = None
        self._layers: Any = None
        self._slab = False
        self._editing: str | None = None
        self._ids: list[str] = []
        _set_up_table(ui.noduleTable)
        ui.noduleTable.itemSelectionChanged.connect(self._selection_changed)
        ui.previousButton.clicked.connect(lambda *_: self.go_to_previous())
        ui.nextButton.clicked.connect(lambda *_: self.go_to_next())
        ui.acceptButton.clicked.connect(lambda *_: self.accept())
        ui.rejectButton.clicked.connect(lambda *_: self.reject())
        ui.editButton.clicked.connect(lambda *_: self.edit())
        ui.undoButton.clicked.connect(lambda *_: self.undo())

    @property
    def selected(self) -> str | None:
        """Segment ID of the nodule of the selected row."""
        row = self.ui.noduleTable.currentRow()
        return self._ids[row] if 0 <= row < len(self._ids) else None

    def clear(self) -> None:
        """No result: the group is hidden."""
        self.nodes = self._review = self._layers = self._editing = None
        self._fill([])
        self.ui.reviewGroup.setVisible(False)
        self._on_selected(None)

    def show(self, nodes: Any, parameters: Any, *, in_views: bool, at: str | None = None) -> None:
        """Show a result of the scene at one of its nodules, the first by default.

        `in_views`: also in the views; else they are taken to show it already, as in a scene that was saved with it.
        """
        from .layers import Layers, ViewState
        from .review import Review
        from .scene import show

        self.nodes, self._review, self._layers = nodes, Review(nodes), Layers(nodes)
        if parameters.layer not in self._layers.available():
            parameters.layer = "final"
        parameters.normalisation, parameters.heterogeneity = self._layers.normalisation, self._layers.kind
        self.ui.reviewGroup.setVisible(True)
        self.ui.reviewGroup.setProperty("collapsed", False)
        self._fill(self._review.rows())
        if in_views:
            self._memory().remember()
            show(nodes)
        else:
            self._slab = parameters.slab
            self._layers.state = ViewState(
                parameters.layer, parameters.opacity, parameters.map_visible, parameters.outline_visible
            )
        self.apply(parameters)
        self.select(at or (self._ids[0] if self._ids else None))

    def apply(self, parameters: Any) -> None:
        """Bring the views to what the reader chose; what has not changed is left alone."""
        layers = self._layers
        if layers is None:
            return
        state, changes = layers.state, []
        colours = (parameters.normalisation, parameters.heterogeneity)
        reason = ""
        if parameters.layer != state.layer:
            reason = layers.why_not(parameters.layer)
            if not reason:
                changes.append(lambda: layers.show(parameters.layer))
        if colours != (layers.normalisation, layers.kind):
            refused = layers.why_not(parameters.normalisation)
            reason = reason or refused
            if not refused:
                changes.append(lambda: layers.set_normalisation(*colours))
        self._tell_if_missing(reason)
        if parameters.opacity != state.opacity:
            changes.append(lambda: layers.set_opacity(parameters.opacity))
        if parameters.map_visible != state.map_visible:
            changes.append(lambda: layers.set_map_visible(parameters.map_visible))
        if parameters.outline_visible != state.outline_visible:
            changes.append(lambda: layers.set_outline_visible(parameters.outline_visible))
        if parameters.slab != self._slab:
            self._slab = parameters.slab
            changes.append(lambda: layers.set_slab(_SLAB_MM if parameters.slab else None))
        if changes:
            self._memory().remember()
            for change in changes:
                change()
            self._draw_histogram()
            self._update_buttons()

    def select(self, segment_id: str | None) -> None:
        """Go to a nodule: its row, its place in the views, its histogram."""
        row = self._ids.index(segment_id) if segment_id in self._ids else -1
        self.ui.noduleTable.setCurrentCell(row, 0)
        self._selection_changed()

    def go_to_next(self) -> None:
        if self.selected:
            self.select(self._review.next(self.selected))

    def go_to_previous(self) -> None:
        if self.selected:
            self.select(self._review.previous(self.selected))

    def accept(self) -> None:
        """It is a nodule; the next one is shown."""
        self._judge("accept")

    def reject(self) -> None:
        """It is none, and is hidden; the next one is shown."""
        self._judge("reject")

    def undo(self) -> None:
        """Take the last verdict or edit back."""
        if self._review is not None:
            self._change(self._review.undo)

    def edit(self) -> None:
        """Open the editor on the selected nodule; `finish_edit` is called when the reader is back."""
        if self.selected:
            self._editing = self.selected
            self._edit_segment(self.nodes, self.selected)

    def finish_edit(self) -> None:
        """Measure the nodule that was edited anew."""
        segment_id, self._editing = self._editing, None
        if segment_id is not None and self._review is not None:
            self._change(lambda: self._review.edited(segment_id))

    def put_views_back(self, parameters: Any) -> None:
        """The views as they were before this module changed them: without the map and the slab."""
        self._memory().restore()
        self._layers.state = replace(self._layers.state, map_visible=False)
        self._slab = False
        with slicer.util.NodeModify(parameters.parameterNode):
            parameters.slab = parameters.map_visible = False
        self._update_buttons()

    def value_at(self, ras: Any) -> float | None:
        """The shown layer's value at a point of the scene, or None."""
        return None if self._layers is None else self._layers.value_at(ras)

    def _judge(self, verdict: str) -> None:
        segment_id = self.selected
        if segment_id is not None:
            self._change(lambda: getattr(self._review, verdict)(segment_id))
            self.select(self._review.next(segment_id))

    def _change(self, change: Callable[[], Any]) -> None:
        """Do something to the result, then show it as it is."""
        selected = self.selected
        try:
            change()
        except LNHGError as error:
            self._on_error(str(error))
        self._fill(self._review.rows())
        self.select(selected)

    def _selection_changed(self) -> None:
        segment_id = self.selected
        self._update_buttons()
        self._draw_histogram()
        if segment_id is not None:
            from .views import centre_on

            self._memory().remember()
            centre_on(self.nodes.segmentation.GetSegmentCenterRAS(segment_id))
            self._update_buttons()
        self._on_selected(segment_id)

    def _fill(self, rows: list[Any]) -> None:
        table = self.ui.noduleTable
        blocked = table.blockSignals(True)
        self._ids = [row.segment_id for row in rows]
        table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            for column, text in enumerate(_cells(row)):
                table.setItem(number, column, _item(text, row.verdict, centred=column not in (3, 6)))
        table.blockSignals(blocked)

    def _draw_histogram(self) -> None:
        selected = self.selected
        self.ui.histogramTitle.setVisible(selected is not None)
        self.ui.histogramLabel.setVisible(selected is not None)
        if selected is None:
            return
        from lnhg.segmentation_file import number_of_segment

        title = _("Voxels of nodule {number} by the value of the map:")
        self.ui.histogramTitle.setText(title.format(number=number_of_segment(selected)))
        counts, edges = self._layers.histogram(selected)
        colors = self.nodes.heterogeneity.GetDisplayNode().GetColorNode()
        self.ui.histogramLabel.setPixmap(histogram_picture(counts.tolist(), edges.tolist(), colors))

    def _update_buttons(self) -> None:
        for name in ("previous", "next", "accept", "reject", "edit"):
            getattr(self.ui, f"{name}Button").setEnabled(self.selected is not None)
        self.ui.undoButton.setEnabled(self._review is not None and self._review.can_undo)
        self.ui.restoreViewsButton.setEnabled(self._memory().can_restore)

    def _tell_if_missing(self, reason: str) -> None:
        self.ui.fullRunLabel.setText(reason)
        self.ui.fullRunBox.setVisible(bool(reason))


def _set_up_table(table: Any) -> None:
    titles = [_("No."), _("Side"), _("Size (mm)"), _("Type"), _("Score"), _("Heterog."), _("Verdict")]
    table.setColumnCount(len(titles))
    table.setHorizontalHeaderLabels(titles)
    table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
    table.setSelectionMode(qt.QAbstractItemView.SingleSelection)
    table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
    table.setAlternatingRowColors(True)
    table.setShowGrid(False)
    table.verticalHeader().setVisible(False)
    table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
    table.horizontalHeader().setStretchLastSection(True)


def _cells(row: Any) -> list[str]:
    sides = {"left": _("left"), "right": _("right")}
    return [
        str(row.number),
        sides.get(row.side, "?"),
        _number(row.size_mm, 1),
        row.type,
        _number(row.score, 2),
        _number(row.heterogeneity, 2),
        verdict_text(row.verdict),
    ]


def _number(value: float | None, decimals: int) -> str:
    return "–" if value is None or value != value else f"{value:.{decimals}f}"


def _item(text: str, verdict: str, *, centred: bool) -> Any:
    item = qt.QTableWidgetItem(text)
    if centred:
        item.setTextAlignment(qt.Qt.AlignCenter)
    if verdict == "rejected":
        item.setForeground(qt.QBrush(qt.QColor(140, 140, 140)))
    return item


def open_segment_editor(nodes: Any, segment_id: str) -> None:
    """Switch to Slicer's Segment Editor with this segment selected over the CT."""
    slicer.util.selectModule("SegmentEditor")
    editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
    editor.setSegmentationNode(nodes.segmentation)
    editor.setSourceVolumeNode(nodes.ct)
    editor.setCurrentSegmentID(segment_id)
