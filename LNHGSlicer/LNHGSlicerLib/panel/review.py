"""The panel's part to look at the nodules one by one, and to choose what lies over the CT."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _

from ..review.verdicts import add_seconds
from ..run.background import BackgroundCall
from ..scene.legends import fit_legends
from ..scene.watch import Watch
from .colours import colour
from .columns import columns, shown_names, sorted_rows
from .guard import Guard, NoDoubleClicks
from .histogram import histogram_picture
from .lists import show_rows

_SLAB_MM = 10.0
# The views show this many millimetres around a nodule, or this many of its diameters if that is more.
_ZOOM_MM, _ZOOM_DIAMETERS = 50.0, 3.0
# Outlines that change in a row, as while one is drawn, are looked at once.
_LOOK_MS = 400
# What says, or shows by another picture of the same nodule, which map is seen.
_TELL_MAP = (
    "layerBox",
    "layerBoxLabel",
    "normalisationBox",
    "normalisationBoxLabel",
    "heterogeneityBox",
    "heterogeneityBoxLabel",
    "valueLabel",
)


class ReviewGroup:
    """Table, verdicts and display of one result; hidden without one.

    `on_selected` gets the segment ID of the nodule that the reader is at, or None; `edit` opens the editor on a
    segment: it gets the nodes and the segment ID; `tell` shows a sentence; `guard` tells what a handler raises.
    """

    def __init__(
        self,
        ui: Any,
        memory: Callable[[], Any],
        edit: Callable[[Any, str], None],
        on_selected: Callable[[str | None], None],
        tell: Callable[[str], None],
        guard: Guard,
        *,
        call: Callable[[Callable[[], Any], Callable[[Any, Exception | None], object]], Any] = BackgroundCall,
    ) -> None:
        self.ui = ui
        self.nodes: Any = None
        self._memory, self._edit_segment = memory, edit
        self._on_selected, self._tell, self._guard = on_selected, tell, guard
        self._review: Any = None
        self._layers: Any = None
        self._slab, self._zoom = False, True
        self._open = True
        self._blind = False
        self._parameters: Any = None
        self._rows: dict[str, Any] = {}
        self._ids: list[str] = []
        self._lines: list[tuple[str, ...]] = []
        self._sorted_by: tuple[int, bool] | None = None
        self._at: tuple[str, float] | None = None
        self._columns = columns()
        self._menu: Any = None
        # A timer of the window ends with it on the main thread, whoever collects what is left of the panel.
        self._look = qt.QTimer(ui.reviewGroup)
        self._look.setSingleShot(True)
        self._look.setInterval(_LOOK_MS)
        self._look.timeout.connect(guard(self.look_at_outlines))
        self._look_at_display = qt.QTimer(ui.reviewGroup)
        self._look_at_display.setSingleShot(True)
        self._look_at_display.setInterval(_LOOK_MS)
        self._look_at_display.timeout.connect(guard(self.take_over_display))
        self._display_watch = Watch(guard(self._display_changed))
        self._display_was_changed = False
        self._fit_legends = qt.QTimer(ui.reviewGroup)
        self._fit_legends.setSingleShot(True)
        self._fit_legends.setInterval(_LOOK_MS)
        self._fit_legends.timeout.connect(guard(fit_legends))
        self._views_watch = Watch(guard(self._fit_legends.start))
        self._make_call = call
        self._lungs_call: Any = None
        self._outlines_watch = Watch(guard(self._look.start))
        self._set_up_table()
        self._no_double_clicks = NoDoubleClicks(ui.acceptButton, ui.rejectButton, ui.rateButton)
        ui.noduleTable.itemSelectionChanged.connect(guard(self._selection_changed))
        for button, action in (
            (ui.previousButton, self.go_to_previous),
            (ui.nextButton, self.go_to_next),
            (ui.acceptButton, self.accept),
            (ui.rejectButton, self.reject),
            (ui.editButton, self.edit),
            (ui.undoButton, self.undo),
        ):
            button.clicked.connect(guard(lambda *_, action=action: action()))

    @property
    def selected(self) -> str | None:
        """Segment ID of the nodule of the selected row; a current row that is not selected does not count."""
        rows = [index.row() for index in self.ui.noduleTable.selectionModel().selectedRows()]
        return self._ids[rows[0]] if rows and rows[0] < len(self._ids) else None

    def clear(self) -> None:
        """No result: the group is hidden."""
        self._count_time(None)
        self._watch_outlines(None)
        self._watch_display(None)
        self.nodes = self._review = self._layers = None
        self._tell_map(told=True)
        self._fill([])
        self.ui.reviewGroup.setVisible(False)
        self.ui.measuringLabel.setVisible(False)
        self._on_selected(None)

    def show(self, nodes: Any, parameters: Any, *, in_views: bool, at: str | None = None) -> None:
        """Show a result of the scene at one of its nodules, the first by default.

        `in_views`: also in the views; else they are taken to show it already, as in a scene that was saved with it.
        """
        from ..review.review import Review
        from ..scene.layers import Layers, ViewState
        from ..scene.nodes import restore_displays, show

        self._count_time(None)
        restore_displays(nodes)
        self.nodes, self._layers = nodes, Layers(nodes)
        self._tell_map(told=True)  # till the reader study says that it is blind
        self._review = Review(nodes, self._layers)
        self._parameters, self._sorted_by = parameters, None
        self._watch_outlines(nodes)
        # All at once: each alone would draw a map of this range and the kind of the result that was shown before.
        with slicer.util.NodeModify(parameters.parameterNode):
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
        self._show_columns(parameters.columns)
        self.apply(parameters)
        self._watch_display(nodes)
        self.select(at or (self._ids[0] if self._ids else None))
        self.look_at_outlines()

    def apply(self, parameters: Any) -> None:
        """Bring the views to what the reader chose; what has not changed is left alone."""
        layers = self._layers
        if layers is None:
            return
        self._parameters = parameters
        self._show_columns(parameters.columns)
        state, changes = layers.state, []
        layer = "final" if self._blind else parameters.layer
        colours = (parameters.normalisation, parameters.heterogeneity)
        reason = ""
        if layer != state.layer:
            reason = layers.why_not(layer)
            if not reason:
                changes.append(lambda: layers.show(layer))
        if colours != (layers.normalisation, layers.kind):
            refused = layers.why_no_map(*colours)
            reason = reason or refused
            if not refused:
                changes.append(lambda: layers.set_normalisation(*colours))
        self._tell_if_missing(reason, run_helps=reason != layers.no_such_map(*colours))
        if parameters.opacity != state.opacity:
            changes.append(lambda: layers.set_opacity(parameters.opacity))
        if parameters.map_visible != state.map_visible:
            changes.append(lambda: layers.set_map_visible(parameters.map_visible))
        if parameters.outline_visible != state.outline_visible:
            changes.append(lambda: layers.set_outline_visible(parameters.outline_visible))
        if parameters.slab != self._slab:
            self._slab = parameters.slab
            changes.append(lambda: layers.set_slab(_SLAB_MM if parameters.slab else None))
        if parameters.zoom != self._zoom:
            self._zoom = parameters.zoom
            selected = self.selected
            if self._zoom and selected:
                changes.append(lambda: self._centre_on(selected))
        if parameters.legend != layers.legend:
            changes.append(lambda: layers.set_legend(parameters.legend))
        if changes:
            self._memory().remember()
            for change in changes:
                change()
            self._draw_histogram()
            self.update_buttons()
        self.ui.legendLabel.setText(layers.meaning)
        self.ui.legendLabel.setVisible(bool(layers.meaning))

    @property
    def kind(self) -> str:
        """Of the map of the result that is shown (`Options.map_kind`); empty without one."""
        return "" if self._layers is None else str(self._layers.map_kind)

    def why_no_map(self, kind: str) -> str:
        """Why a kind of map is not to be had in its usual range, in one sentence; empty if it is."""
        return str(self._layers.why_no_map("auto", kind))

    def show_kind(self, kind: str) -> None:
        """Show the map of a kind, in its usual range."""
        if kind != self.kind:
            with slicer.util.NodeModify(self._parameters.parameterNode):
                self._parameters.normalisation, self._parameters.heterogeneity = "auto", kind

    def set_blind(self, kinds: dict[str, str], at: str | None) -> None:
        """Show each nodule in the kind of map that is named for its segment, in that order, without a word on which,
        and go to one of them (None: stay). None named: as before.
        """
        if not kinds and self.nodes.study_map is None:
            return
        selected, place = self.selected, {one: number for number, one in enumerate(kinds)}
        self._memory().remember()
        self._layers.set_blind(kinds)
        self._tell_map(told=not kinds)
        self._sorted_by = None
        self._fill(sorted(self._review.rows(), key=lambda row: place.get(row.segment_id, len(place))))
        self.apply(self._parameters)
        self.select(at or selected)

    def _tell_map(self, *, told: bool) -> None:
        """Show, or hide, what says which map is shown."""
        self._blind = not told
        for name in _TELL_MAP:
            widget = getattr(self.ui, name)
            widget.setVisible(told)
            widget.setEnabled(told)

    def select(self, segment_id: str | None) -> None:
        """Go to a nodule: its row, its place in the views, its histogram."""
        self._select_row(segment_id)
        self._selection_changed()

    def stand_at(self, segment_id: str | None) -> None:
        """The views were brought to this nodule by another table, or to a place that is none of these nodules (None):
        verdicts and answers are of what the reader sees.
        """
        if segment_id != self.selected:
            self._select_row(segment_id)
            self._tell_selection()

    def _select_row(self, segment_id: str | None) -> None:
        table = self.ui.noduleTable
        blocked = table.blockSignals(True)  # the views follow once
        if segment_id in self._ids:
            table.setCurrentCell(self._ids.index(segment_id), 0)
            table.selectRow(self._ids.index(segment_id))
        else:
            table.clearSelection()
        table.blockSignals(blocked)

    def go_to_next(self) -> None:
        if self.selected:
            self.select(self._beside(self.selected, 1))

    def go_to_previous(self) -> None:
        if self.selected:
            self.select(self._beside(self.selected, -1))

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

    def add_clicked(self, answer: Any) -> None:
        """Add what was found at a click of the reader, and show it."""
        from ..review.added_nodules import add_clicked

        self._memory().remember()
        self._refresh(add_clicked(self._review, answer)[-1])

    def edit(self) -> None:
        """Open the editor on the selected nodule; the outlines are looked at when the reader is back."""
        if self.selected:
            self._find_lungs()  # they are wanted when the reader is back
            self._edit_segment(self.nodes, self.selected)

    def enter(self) -> None:
        """The reader opens the module, or is back from another one, where outlines may have been changed."""
        self._open = True
        self.take_over_display()
        self.look_at_outlines()
        self._count_time(self.selected)

    def exit(self) -> None:
        """The reader opens another module: the time is counted no more."""
        self._open = False
        self._count_time(None)

    def look_at_outlines(self, *, at_once: bool = False) -> None:
        """Measure anew what was changed, by whomever. `at_once`: also if the lungs are still to be found."""
        if not self._open or self._review is None:
            return
        waits = not at_once and self._review.needs_scan()
        self.ui.measuringLabel.setVisible(waits)
        self.update_buttons()
        if waits:
            self._find_lungs()
        elif self._review.update():
            before = self._rows
            self._refresh(self.selected)
            self._tell_removed([row.number for segment_id, row in before.items() if segment_id not in self._rows])

    def _tell_removed(self, numbers: list[int]) -> None:
        """The Undo of the Segment Editor also takes away nodules that came after what it undoes."""
        if numbers:
            told = _("The segment of nodule {numbers} was removed, and with it the nodule left the review.")
            self._tell(told.format(numbers=", ".join(map(str, sorted(numbers)))))

    def _find_lungs(self) -> None:
        """Find the lungs of the CT in a thread, then look at the outlines."""
        from lnhg.stages.prepared import prepare_ct

        from ..scene.nodes import ct_of_values, grid_of_node, values_of_node

        review = self._review
        if review.scan is not None or self._lungs_call is not None:
            return
        ct = self.nodes.ct
        name, values, grid = ct.GetName(), values_of_node(ct), grid_of_node(ct)

        def end(scan: Any, error: Exception | None) -> None:
            self._lungs_call = None
            if review is not self._review:
                self.look_at_outlines()  # of the result that is shown now
            elif error is not None:
                self.ui.measuringLabel.setVisible(False)
                self.update_buttons()
                raise error
            else:
                review.scan = scan
                self.look_at_outlines()

        self._lungs_call = self._make_call(lambda: prepare_ct(ct_of_values(name, values, grid)), self._guard(end))
        self._lungs_call.start()

    def complete_views(self) -> None:
        """Show again what cannot be seen because somebody deleted what shows it; and fill the views of a new layout."""
        from ..scene.nodes import empty_views, restore_displays

        restore_displays(self.nodes)
        self._watch_views(self.nodes)
        self._layers.complete_study_map()
        if empty_views():
            self._layers.apply()
            self._layers.set_legend(self._parameters.legend)
            if self._slab:
                self._layers.set_slab(_SLAB_MM)
            if self.selected is not None:
                self._centre_on(self.selected)

    def take_over_display(self) -> None:
        """The controls say what is seen, where another module hid or showed parts of the result."""
        if not self._display_was_changed or not self._open or self._layers is None or self._blind:
            return
        self._display_was_changed = False
        layers, parameters = self._layers, self._parameters
        layers.take_over()
        with slicer.util.NodeModify(parameters.parameterNode):
            parameters.layer, parameters.opacity = layers.state.layer, layers.state.opacity
            parameters.outline_visible, parameters.legend = layers.state.outline_visible, layers.legend

    def _display_changed(self) -> None:
        self._display_was_changed = True
        self._look_at_display.start()

    def put_views_back(self, parameters: Any) -> None:
        """The views as they were before this module changed them: without the map and the slab."""
        self._memory().restore()
        if self._layers is not None:
            self._layers.state = replace(self._layers.state, map_visible=False)
        self._slab = False
        with slicer.util.NodeModify(parameters.parameterNode):
            parameters.slab = parameters.map_visible = False
        self.update_buttons()

    def value_text(self, ras: Any) -> str:
        """The shown layer's value at a point of the scene; a dash where it has none."""
        return "–" if self._layers is None else str(self._layers.value_text(ras))

    def _beside(self, segment_id: str, step: int) -> str | None:
        """The nodule some rows after one, as the table is sorted; after the last comes the first."""
        return self._ids[(self._ids.index(segment_id) + step) % len(self._ids)] if segment_id in self._ids else None

    def _judge(self, verdict: str) -> None:
        self.look_at_outlines()  # an outline that was changed in this moment comes first
        segment_id = self.selected
        if segment_id is not None and self.ui.measuringLabel.isHidden():
            self._change(lambda: getattr(self._review, verdict)(segment_id), self._beside(segment_id, 1))

    def _change(self, change: Callable[[], Any], then_at: str | None = None) -> None:
        """Do something to the result, then show it as it is, at a nodule; None, and after an error: where it was."""
        at = self.selected
        try:
            change()
            at = then_at or at
        finally:
            self._refresh(at)

    def _refresh(self, selected: str | None) -> None:
        """The rows as they are now, in the order in which they stand, at a nodule; where its segment was removed, at
        the one that stands there now.
        """
        rows = self._review.rows()
        place = {segment_id: number for number, segment_id in enumerate(self._ids)}
        self._fill(sorted(rows, key=lambda row: place.get(row.segment_id, len(place))))
        if selected in place and selected not in self._ids and self._ids:
            selected = self._ids[min(place[selected], len(self._ids) - 1)]
        self.select(selected)

    def _selection_changed(self) -> None:
        segment_id = self.selected
        if segment_id is not None:
            self._memory().remember()
            self._show_own_ct()
            self._centre_on(segment_id)
        self._tell_selection()

    def _tell_selection(self) -> None:
        self._count_time(self.selected)
        self._draw_histogram()
        self.update_buttons()
        self._on_selected(self.selected)

    def field_of(self, long_axis: float) -> float | None:
        """What the views show across around a nodule, mm; None: as much as before, where the reader wants that."""
        return field_around(long_axis) if self._zoom else None

    def _centre_on(self, segment_id: str) -> None:
        from ..scene.views import centre_on

        field = self.field_of(self._rows[segment_id].nodule.long_axis)
        centre = self._layers.outlines.centre(segment_id)
        if centre is not None:  # else it was erased, and has not been looked at yet
            centre_on(centre, field)

    def _show_own_ct(self) -> None:
        """Slicer shows a volume that was loaded meanwhile in all views, where a nodule would lie on another CT, and its
        Segment Editor takes away what lies over the CT.
        """
        from ..scene.nodes import is_shown

        if not is_shown(self.nodes.ct, covered=self._layers.state.map_visible):
            self._layers.apply()

    def _count_time(self, segment_id: str | None) -> None:
        """From now on the time is counted for this nodule; None: for none."""
        now = time.monotonic()
        if self._at is not None and self.nodes is not None:
            add_seconds(self.nodes, self._at[0], now - self._at[1])
        self._at = (segment_id, now) if segment_id is not None and self._open else None

    def _watch_outlines(self, nodes: Any) -> None:
        self._look.stop()
        events = slicer.vtkSegmentation
        self._outlines_watch.follow(
            None if nodes is None else nodes.segmentation,
            *(
                events.SourceRepresentationModified,
                events.RepresentationModified,
                events.SegmentAdded,
                events.SegmentRemoved,
            ),
        )

    def _watch_display(self, nodes: Any) -> None:
        self._look_at_display.stop()
        self._display_was_changed = False
        parts = () if nodes is None else [one for one in nodes.added if one is not nodes.table]
        views = () if nodes is None else slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
        displayed = slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent
        self._display_watch.follow_all([*parts, *views], displayed, vtk.vtkCommand.ModifiedEvent)
        self._watch_views(nodes)

    def _watch_views(self, nodes: Any) -> None:
        """A view that becomes larger or smaller, or is new, has room for more or less of a legend."""
        self._fit_legends.stop()
        views = () if nodes is None else slicer.util.getNodesByClass("vtkMRMLSliceNode")
        self._views_watch.follow_all(views, vtk.vtkCommand.ModifiedEvent)
        if nodes is not None:
            self._fit_legends.start()

    def _set_up_table(self) -> None:
        table, header = self.ui.noduleTable, self.ui.noduleTable.horizontalHeader()
        table.setColumnCount(len(self._columns))
        for index, column in enumerate(self._columns):
            title = qt.QTableWidgetItem(column.title)
            title.setToolTip(column.tip)
            table.setHorizontalHeaderItem(index, title)
        show_rows(table)
        header.setMinimumSectionSize(24)
        header.setStretchLastSection(True)
        header.setSectionsClickable(True)
        header.setContextMenuPolicy(qt.Qt.CustomContextMenu)
        header.sectionClicked.connect(self._guard(self.sort_by))
        header.customContextMenuRequested.connect(
            self._guard(lambda place: self.offer_columns(header.mapToGlobal(place)))
        )

    def sort_by(self, index: int) -> None:
        """Sort the rows by a column; a second time, the other way round."""
        if self._review is None or self._blind:
            return
        descending = self._sorted_by == (index, False)
        self._sorted_by = index, descending
        selected = self.selected
        self._fill(sorted_rows(self._review.rows(), self._columns[index], descending=descending))
        header = self.ui.noduleTable.horizontalHeader()
        header.setSortIndicatorShown(True)
        header.setSortIndicator(index, qt.Qt.DescendingOrder if descending else qt.Qt.AscendingOrder)
        self.select(selected)

    def offer_columns(self, place: Any) -> None:
        """A menu of all columns at a place of the screen."""
        self._menu = qt.QMenu(self.ui.noduleTable)
        shown = shown_names(self._parameters.columns)
        for column in self._columns:
            if self._blind and column.tells_map:
                continue
            action = self._menu.addAction(column.tip)
            action.setCheckable(True)
            action.setChecked(column.name in shown)
            action.toggled.connect(self._guard(lambda on, name=column.name: self._choose_column(name)))
        self._menu.popup(place)

    def _choose_column(self, name: str) -> None:
        chosen = set(shown_names(self._parameters.columns)) ^ {name}
        self._parameters.columns = ",".join(column.name for column in self._columns if column.name in chosen)

    def _show_columns(self, kept: str) -> None:
        shown = shown_names(kept)
        for index, column in enumerate(self._columns):
            hidden = column.name not in shown or (self._blind and column.tells_map)
            self.ui.noduleTable.setColumnHidden(index, hidden)

    def update_cells(self) -> None:
        """The cells as they are now, for what hangs on answers; rows, their order and the selection stay."""
        now = {row.segment_id: row for row in self._review.rows()} if self._review is not None else {}
        if now and now.keys() >= set(self._ids):
            blocked = self.ui.noduleTable.blockSignals(True)
            self._write([now[segment_id] for segment_id in self._ids])
            self.ui.noduleTable.blockSignals(blocked)

    def _fill(self, rows: list[Any]) -> None:
        table = self.ui.noduleTable
        blocked = table.blockSignals(True)
        table.clearSelection()
        self._ids = [row.segment_id for row in rows]
        table.setRowCount(len(rows))
        self._write(rows)
        if self._sorted_by is None:
            table.horizontalHeader().setSortIndicatorShown(False)
        table.blockSignals(blocked)

    def _write(self, rows: list[Any]) -> None:
        """Make the cells that are not as they were."""
        table = self.ui.noduleTable
        self._rows = {row.segment_id: row for row in rows}
        lines = [(row.verdict, *(column.text(row) for column in self._columns)) for row in rows]
        for number, line in enumerate(lines):
            if line not in self._lines[number : number + 1]:  # a cell takes long to make, and few have changed
                for index, column in enumerate(self._columns):
                    table.setItem(number, index, _item(line[index + 1], line[0], centred=not column.left))
        self._lines = lines

    def _draw_histogram(self) -> None:
        selected = None if self._blind or self._shows_components() else self.selected
        self.ui.histogramTitle.setVisible(selected is not None)
        self.ui.histogramLabel.setVisible(selected is not None)
        if selected is None:
            return
        from lnhg.writers.seg_nrrd import number_of_segment

        title = _("Voxels of nodule {number} by the value of the map:")
        self.ui.histogramTitle.setText(title.format(number=number_of_segment(selected)))
        counts, edges = self._layers.histogram(selected)
        colors = self.nodes.heterogeneity.GetDisplayNode().GetColorNode()
        self.ui.histogramLabel.setPixmap(histogram_picture(counts.tolist(), edges.tolist(), colors))

    def colour(self) -> None:
        """Rows and histogram in the colours of the theme that Slicer has now."""
        self._lines = []
        self.update_cells()
        self._draw_histogram()

    def _shows_components(self) -> bool:
        return self._layers is not None and self._layers.state.layer == "components"

    def update_buttons(self) -> None:
        for name in ("previous", "next", "edit"):
            getattr(self.ui, f"{name}Button").setEnabled(self.selected is not None)
        # What is measured now is *edited* then: a verdict given before would be lost, and comes after it for an undo.
        measured = self.ui.measuringLabel.isHidden()
        for name in ("accept", "reject"):
            getattr(self.ui, f"{name}Button").setEnabled(measured and self.selected is not None)
        self.ui.undoButton.setEnabled(measured and self._review is not None and self._review.can_undo)
        self.ui.restoreViewsButton.setEnabled(self._memory().can_restore)

    def _tell_if_missing(self, reason: str, *, run_helps: bool) -> None:
        self.ui.fullRunLabel.setText(reason)
        self.ui.fullRunButton.setVisible(run_helps)
        self.ui.fullRunBox.setVisible(bool(reason))


def field_around(long_axis: float) -> float:
    """What the views show across around a nodule so long, zoomed to it, mm."""
    return max(_ZOOM_MM, _ZOOM_DIAMETERS * long_axis)


def _item(text: str, verdict: str, *, centred: bool) -> Any:
    item = qt.QTableWidgetItem(text)
    if centred:
        item.setTextAlignment(qt.Qt.AlignCenter)
    if verdict == "rejected":
        item.setForeground(qt.QBrush(colour("rejected")))
    return item


def open_segment_editor(nodes: Any, segment_id: str) -> None:
    """Switch to Slicer's Segment Editor with this segment selected over the CT."""
    slicer.util.selectModule("SegmentEditor")
    editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
    editor.setSegmentationNode(nodes.segmentation)
    editor.setSourceVolumeNode(nodes.ct)
    editor.setCurrentSegmentID(segment_id)
