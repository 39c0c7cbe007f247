"""The panel's part to follow nodules from an earlier study: which one, a table with a row a pair, both side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from lnhg.followup.growth import RULES

from ..run.panel_words import in_panel_words
from ..scene.watch import Watch
from .columns import number_text
from .guard import Guard
from .lists import offer_volumes, show_rows
from .paths import on_path

_UI = Path(__file__).resolve().parents[2] / "Resources" / "UI" / "FollowUp.ui"


@dataclass(frozen=True)
class _Asked:
    """What the reader chose when *Follow* was clicked: much may be changed while nodules are segmented first."""

    current: Any
    prior: Any
    days: float | None
    same_patient: bool
    options: Any


class FollowGroup:
    """Follows the nodules of an earlier study to the selected CT; shown with every CT.

    Args:
        ui: the panel's widgets; those of this group are in a `.ui` file of their own.
        host: the panel, which runs things beside Slicer, one at a time: see `Panel.begin` and `Panel.segment`.
        guard: tells what a handler raises.
    """

    def __init__(self, ui: Any, host: Any, guard: Guard) -> None:
        self._host, self._group = host, ui.followGroup
        # A timer of the window ends with it.
        self._again = qt.QTimer(ui.followGroup)
        self._again.setSingleShot(True)
        self._again.setInterval(0)
        self._again.timeout.connect(guard(self._show_selected))
        self._look = qt.QTimer(ui.followGroup)
        self._look.setSingleShot(True)
        self._look.setInterval(0)
        self._look.timeout.connect(guard(self._look_at_places))
        self._places_watch = Watch(guard(self._look.start))
        self._pair_shown: Any = None
        self._told_moved = False
        root = slicer.util.loadUI(str(_UI))
        self._group.layout().addWidget(root)
        self.ui = slicer.util.childWidgetVariables(root)
        self._export_folder = ui.exportFolderEdit
        self._nodes: Any = None
        self._said_of: Any = None  # the CT that was selected when days and patient were said
        self._follow_up: Any = None
        self._pairs: list[Any] = []
        root.setMRMLScene(slicer.mrmlScene)
        self._set_up_table()
        self.ui.priorSelector.setCurrentNode(None)
        self.ui.priorSelector.currentNodeChanged.connect(guard(lambda *_: self._other_prior()))
        on_path(self.ui.priorPathEdit, guard(lambda path: self._other_prior()))
        self.ui.followButton.clicked.connect(guard(lambda *_: self.start()))
        self.ui.followReportButton.clicked.connect(guard(lambda *_: self._write_report()))
        self.ui.followTable.itemSelectionChanged.connect(guard(self._show_selected))
        on_path(ui.exportFolderEdit, guard(lambda path: self._update_report()))
        self.show(None)

    @property
    def prior(self) -> Any:
        """The earlier CT as it is chosen: its node, its place on disk, or None."""
        node = self.ui.priorSelector.currentNode()
        path = str(self.ui.priorPathEdit.property("currentPath")).strip()
        return node if node is not None else Path(path) if path else None

    def show(self, nodes: Any) -> None:
        """The result that the panel shows, or None: its latest follow-up is listed."""
        from_scene = None
        if nodes is not None:
            from ..review.follow_up import follow_up_of

            from_scene = follow_up_of(nodes)
        same = self._follow_up is not None and from_scene is not None and from_scene.table is self._follow_up.table
        self._nodes = nodes
        if not same:
            self.end()
            self._follow_up = from_scene
            self._fill()
        self.update()

    def go_with(self, segment_id: str | None) -> None:
        """The reader is at this nodule of the review: while both studies are side by side, its pair is shown."""
        if segment_id is None or self._pair_shown is None or self._host.parameters is None:
            return  # nothing to show, or another module is open
        from lnhg.writers.seg_nrrd import number_of_segment

        numbers = [pair.later for pair in self._pairs]
        if self._pair_shown.later == number_of_segment(segment_id):
            return
        if number_of_segment(segment_id) in numbers:
            self.ui.followTable.selectRow(numbers.index(number_of_segment(segment_id)))
        else:
            self.end()  # it came since: no place of the earlier CT is known
            self.update()

    def update(self) -> None:
        """What can be chosen and clicked now, and what is to be said of the follow-up."""
        self._forget_what_was_said_of_another()
        self._hide_from_selector()
        self._show_state()

    def _forget_what_was_said_of_another(self) -> None:
        """Days and patient were said of the CT that was selected then; its scene may have been closed since."""
        ct = None if self._host.parameters is None else self._host.parameters.ct
        before = self._said_of
        if ct is None or ct is before:
            return
        self._said_of = ct
        if before is None:
            return
        self._reset()
        if not slicer.mrmlScene.IsNodePresent(before):
            self.ui.priorPathEdit.setCurrentPath("")

    def _reset(self) -> None:
        self.ui.samePatientBox.setChecked(False)
        self.ui.daysBox.setValue(0)

    def _show_state(self) -> None:
        reason = self._why_not()
        self.ui.followButton.setEnabled(not reason)
        self.ui.followButton.setToolTip(
            reason or _("Find the nodules of the earlier CT in this one, and what changed.")
        )
        self.ui.priorPathEdit.setEnabled(self.ui.priorSelector.currentNode() is None)
        if self._follow_up is not None and not self._follow_up.is_there:
            self._drop()
        there = self._follow_up is not None
        for widget in (self.ui.followTable, self.ui.followLabel, self.ui.followReportButton):
            widget.setVisible(there)
        if there:
            self.ui.followLabel.setText("\n".join(self._sentences()))
        self._update_report()

    def start(self) -> None:
        """Follow: what has no nodules yet is segmented first."""
        reason = self._why_not() or self._why_not_of_one_patient()
        self._host.show_error(reason)
        if reason:
            return
        from ..run.parameters import options_of

        days, same = self.ui.daysBox.property("value"), self.ui.samePatientBox.property("checked")
        parameters = self._host.parameters
        asked = _Asked(parameters.ct, self.prior, float(days) or None, bool(same), options_of(parameters))
        self._go_on(asked)

    def end(self) -> None:
        """The earlier CT and the views as they were before both were shown side by side."""
        if self._follow_up is not None:
            from ..scene.side_by_side import end_side_by_side, is_side_by_side, leave_both_rows

            if is_side_by_side(self._follow_up):
                self._host.memory().leave_layout()  # of a scene that was saved like that it would be both rows
            (leave_both_rows if slicer.mrmlScene.IsClosing() else end_side_by_side)(self._follow_up)
        self._watch_places(None)
        self.ui.followTable.clearSelection()

    def _drop(self) -> None:
        """Somebody removed a study or the table from the scene."""
        self.end()
        self._follow_up = None
        self._fill()

    # One step after the other

    def _go_on(self, asked: _Asked) -> None:
        in_scene = [ct for ct in (asked.prior, asked.current) if not isinstance(ct, Path)]
        if not all(map(slicer.mrmlScene.IsNodePresent, in_scene)):
            self._host.show_error(_("A CT was removed from the scene meanwhile; it was not followed."))
            return
        for ct in in_scene:
            if self._host.results_of(ct) is None:
                self._host.segment(ct, asked.options, lambda: self._go_on(asked))
                return
        self._follow(asked)

    def _follow(self, asked: _Asked) -> None:
        earlier, later = (
            one if isinstance(one, Path) else self._host.results_of(one) for one in (asked.prior, asked.current)
        )

        def make(on_progress: Callable[[Any], object], on_finished: Callable[[Any, Any], object]) -> Any:
            return self._host.logic.startFollowUp(
                earlier, later, asked.days, asked.same_patient, on_progress, on_finished, asked.options
            )

        self._host.begin(asked.current, make, self._followed)

    def _followed(self, follow_up: Any, outcome: Any) -> None:
        """The reader sees the result with the nodules that came, and the first pair."""
        self._host.show_results(follow_up.current.ct)
        self._host.tell(outcome.message, follow_up.current.ct)
        if self._follow_up is not None and self._follow_up.table is follow_up.table and self._pairs:
            self.ui.followTable.selectRow(0)

    # Why not

    def _why_not(self) -> str:
        reason, prior = self._host.why_not(), self.prior
        if reason:
            return str(reason)
        if prior is None:
            return _("Choose the earlier CT above, in the scene or on the disk.")
        if prior is self._host.parameters.ct:
            return _("A CT cannot be followed to itself; choose the earlier one.")
        return _why_not_there(prior) if isinstance(prior, Path) else ""

    def _why_not_of_one_patient(self) -> str:
        """Two CTs of the scene are compared before anything is run."""
        prior = self.prior
        if isinstance(prior, Path) or self.ui.samePatientBox.property("checked"):
            return ""
        from lnhg.followup.person import differing

        from ..scene.identity import identity_of

        differ = differing([identity_of(ct) for ct in (prior, self._host.parameters.ct)])
        if not differ:
            return ""
        return _("The two CTs differ in {what}; choose another, or tick that they are of one patient.").format(
            what=", ".join(differ)
        )

    def _other_prior(self) -> None:
        self._reset()  # they were said of another
        self._show_state()  # the selector tells this while it changes: what it offers stays as it is

    def _hide_from_selector(self) -> None:
        """The maps are volumes too, but no CTs; and the selected CT is not its own prior."""
        if slicer.mrmlScene.IsClosing() or slicer.mrmlScene.IsImporting():
            return  # the selector follows the scene, and is not ready for both at once
        ct = None if self._host.parameters is None else self._host.parameters.ct
        offer_volumes(self.ui.priorSelector, lambda node: node is not ct and node.GetAttribute("LNHG.Version") is None)

    # The table

    def _set_up_table(self) -> None:
        table = self.ui.followTable
        titles = [_("This"), _("Earlier"), _("State"), _("mm"), _("Volume"), _("Doubling time")]
        titles += [rule.name for rule in RULES]
        table.setColumnCount(len(titles))
        table.setHorizontalHeaderLabels(titles)
        show_rows(table)

    def _fill(self) -> None:
        table = self.ui.followTable
        blocked = table.blockSignals(True)
        self._pairs = [] if self._follow_up is None else self._follow_up.pairs
        table.setRowCount(len(self._pairs))
        sizes = ({}, {}) if self._follow_up is None else _rows_of(self._follow_up)
        for row, pair in enumerate(self._pairs):
            for column, text in enumerate(_texts(pair, *sizes)):
                table.setItem(row, column, qt.QTableWidgetItem(text))
        table.clearSelection()
        table.blockSignals(blocked)

    def _sentences(self) -> list[str]:
        follow_up = self._follow_up
        changed = [] if follow_up.is_current else [_("Nodules or verdicts were changed since; follow again.")]
        if self._misfit():
            changed = [_("A CT of both was moved or cut since, or has other voxels; bring it back, or follow again.")]
        earlier = _("The earlier CT: {name}.").format(name=follow_up.prior.ct.GetName())
        return [*changed, earlier, *map(in_panel_words, follow_up.notes)]

    def _misfit(self) -> bool:
        """Whether a study no longer lies where it was followed: its places would be shown elsewhere."""
        from ..scene.nodes import why_not_on_ct

        return any(map(why_not_on_ct, (self._follow_up.prior, self._follow_up.current)))

    def _show_selected(self) -> None:
        rows = [index.row() for index in self.ui.followTable.selectionModel().selectedRows()]
        if not rows or self._follow_up is None:
            return
        if self._misfit():
            self.end()
            self.update()
            return
        from lnhg.writers.seg_nrrd import id_of_segment

        from ..scene.side_by_side import show_side_by_side

        parameters, pair = self._host.parameters, self._pairs[rows[0]]
        self._host.memory().remember()
        opacity = float(parameters.opacity) if parameters.map_visible else 0.0
        field = self._host.review.field_of(_longest(self._follow_up, pair))
        if show_side_by_side(self._follow_up, pair, opacity, field):
            self._again.start()
        self._watch_places(pair)
        if self._host.review.nodes is not None:
            self._host.review.stand_at(None if pair.later is None else id_of_segment(pair.later))
        if self._told_moved:
            self._told_moved = False
            self._host.show_error("", ct=self._follow_up.current.ct)
        self._host.review.update_buttons()
        self.update()

    def _watch_places(self, pair: Any) -> None:
        """From now on the places of this pair have to lie on each other; None: none."""
        self._pair_shown = pair
        moved = slicer.vtkMRMLTransformableNode.TransformModifiedEvent
        self._places_watch.follow_all(
            [] if pair is None else [self._follow_up.prior.ct, self._follow_up.current.ct], moved
        )

    def _look_at_places(self) -> None:
        """Somebody may have moved one of both studies, or removed or changed the transform between them."""
        from ..scene.side_by_side import lie_on_each_other

        pair, follow_up = self._pair_shown, self._follow_up
        if pair is None or not follow_up.is_there or lie_on_each_other(follow_up, pair):
            return
        self.end()
        self.update()
        if self._misfit():
            return  # which is told beside the table
        self._told_moved = True
        self._host.show_error(
            _("One of the two studies was moved while they were side by side; choose the row again to compare them."),
            ct=follow_up.current.ct,
        )

    def _update_report(self) -> None:
        reason = "" if self._export_folder.property("currentPath") else _("Choose a folder under Export first.")
        self.ui.followReportButton.setEnabled(not reason)
        self.ui.followReportButton.setToolTip(reason or _("Write the report with pictures of both studies."))

    def _write_report(self) -> None:
        from ..review.written_files import write_text

        path = Path(self._export_folder.property("currentPath")) / "follow.html"
        write_text(path, self._follow_up.report, self._follow_up.current.ct)
        self._host.tell(_("Written: {path}").format(path=path), self._follow_up.current.ct)


def _why_not_there(path: Path) -> str:
    """Why nothing can be read at a path that somebody typed; empty where there is something."""
    try:
        there = path.exists()
    except OSError as error:  # too long, or in a folder of somebody else
        return _("That place cannot be read ({reason}); choose the earlier study again.").format(reason=error.strerror)
    return "" if there else _("{path} is not there; choose the earlier study again.").format(path=path)


def _rows_of(follow_up: Any) -> tuple[dict[int, Any], dict[int, Any]]:
    earlier, later = ({row.id: row for row in nodes.rows} for nodes in (follow_up.prior, follow_up.current))
    return earlier, later


def _texts(pair: Any, earlier: dict[int, Any], later: dict[int, Any]) -> list[str]:
    """The cells of a pair."""
    from lnhg.followup.words import doubling_text, percent_text

    numbers = ["–" if number is None else str(number) for number in (pair.later, pair.earlier)]
    sizes = [_size(known.get(number)) for known, number in ((earlier, pair.earlier), (later, pair.later))]
    words = [*numbers, pair.state, " → ".join(sizes)]
    change = pair.change
    if change is None:
        return [*words, *["–"] * (2 + len(RULES))]
    doubling = "–" if change.doubling is None else doubling_text(change.doubling)
    return [*words, percent_text(change), doubling, *(change.growth[rule.name] for rule in RULES)]


def _size(row: Any) -> str:
    return "–" if row is None else f"{row.at_least}{number_text(row.mean_axis, 1)}"


def _longest(follow_up: Any, pair: Any) -> float:
    """The long axis of the larger of both, mm."""
    earlier, later = _rows_of(follow_up)
    found = [known.get(number) for known, number in ((earlier, pair.earlier), (later, pair.later))]
    return max((row.long_axis for row in found if row is not None), default=0.0)
