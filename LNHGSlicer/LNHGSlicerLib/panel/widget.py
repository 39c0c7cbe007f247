"""The module's panel: choose a CT, segment, review, export. What each group does is in the file of its name."""

from __future__ import annotations

import logging
import traceback
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from lnhg.errors import InputError, LNHGError
from lnhg.progress import Progress

from ..review.clicked_point import PointPlacement
from ..review.drawn_region import RegionPlacement
from ..review.place_mode import PlaceMode
from ..run.panel_words import in_panel_words
from ..run.parameters import Parameters, choices, connect, options_of, words
from ..scene.regions import has_extent
from ..scene.transforms import point_of_node
from ..scene.volumes import has_voxels, is_inside
from ..scene.watch import Watch
from .categories import CategoriesGroup
from .colours import ThemeWatch, colour, set_bold
from .export import ExportGroup
from .follow import FollowGroup
from .found import FoundGroup
from .guard import guard_with
from .height import OwnHeight
from .install import InstallGroup
from .keys import Keys
from .lists import offer_volumes
from .paths import on_path
from .reader_study import StudyGroup
from .review import ReviewGroup, field_around, open_segment_editor
from .threshold import ThresholdGroup

_LOG_CHARACTERS = 20_000


@dataclass
class _Said:
    """What the panel has to say of one CT: of its last run (and which result that made), what went wrong, and the log
    behind that.
    """

    status: str = ""
    result: Any = None
    error: str = ""
    log: Path | None = None


class Panel(VTKObservationMixin):
    """The widgets of `LNHGSlicer.ui` in their states: start, running, review, error.

    Args:
        root: the loaded `.ui`.
        logic: `LNHGSlicerLogic`; runs the method in a process of its own.
        installer: `install.Installer`, or what has its methods.
        edit: opens the editor on a segment.
    """

    def __init__(
        self, root: Any, logic: Any, installer: Any, *, edit: Callable[[Any, str], None] = open_segment_editor
    ) -> None:
        super().__init__()
        self.root, self.logic = root, logic
        self.ui = slicer.util.childWidgetVariables(root)
        self.run: Any = None
        self.running = self.entered = False
        self._memory: Any = None
        self._parameters: Any = None
        self._disconnect: Callable[[], None] = lambda: None
        self._shown_ct: Any = None
        self._not_in_views = False  # a result that came while another module was open, or beside others
        self._done: Callable[[Any, Any], object] = _nothing
        self._to_show: Callable[[], object] | None = None
        self._first_change = False
        self._run_ct: Any = None
        self._said: defaultdict[str, _Said] = defaultdict(_Said)
        self._misfit: defaultdict[str, str] = defaultdict(str)
        self._told_lost: set[str] = set()
        self._looking = False
        self._guard = guard = guard_with(self._on_error)
        self._ct_watch, self._region_watch = Watch(guard(self._on_image)), Watch(guard(self._update))
        self._parameter_watch = Watch(guard(self._on_parameters))
        self._result_watch = Watch(guard(self._look_at_scene_soon))
        self._watched: Any = None
        self._cursor_moved = guard(self._on_cursor)
        root.setMRMLScene(slicer.mrmlScene)
        self.place = PointPlacement(guard(self._on_point), guard(self._on_no_point))
        self.region = RegionPlacement(guard(self._on_region), guard(self._update))
        self.install = InstallGroup(self.ui, installer, self._update, guard)
        self.export = ExportGroup(self.ui, lambda: self.review.look_at_outlines(at_once=True), guard)
        self.threshold = ThresholdGroup(self.ui, guard)
        self.categories = CategoriesGroup(self.ui, self.show_error, lambda: self.review.update_cells(), guard)
        self.study = StudyGroup(self.ui, lambda: self.review, self.export.tell, guard)
        self.follow = FollowGroup(self.ui, self, guard)
        self.found = FoundGroup(self.ui, self._field_of_found, lambda: self.review.stand_at(None), guard)
        self.review = ReviewGroup(self.ui, self.memory, edit, self._on_selected, self._tell_of_shown, guard)
        self._keys = Keys(self.ui, root, guard)
        self._connect()
        self._colour()
        self._theme_watch = ThemeWatch(root, guard(self._colour))
        self._own_height = OwnHeight(root, guard)
        self.review.clear()
        self._show_running(False)
        self._show_said()
        self._set_parameters(logic.getParameterNode())

    def _connect(self) -> None:
        for widget in (self.ui.useLabel, self.ui.segmentButton):
            set_bold(widget)
        guard = self._guard
        for button, action in (
            (self.ui.segmentButton, self.start),
            (self.ui.addNoduleButton, lambda: self._toggle(self.place)),
            (self.ui.drawRegionButton, lambda: self._toggle(self.region)),
            (self.ui.cancelButton, self.cancel),
            (self.ui.fullRunButton, self._start_full_run),
            (self.ui.restoreViewsButton, self._put_views_back),
        ):
            button.clicked.connect(guard(lambda *_, action=action: action()))
        self.ui.logButton.toggled.connect(guard(lambda shown: self.ui.logText.setVisible(shown)))
        on_path(self.ui.weightsFolderEdit, guard(lambda path: self._set_path("weights", path)))
        on_path(self.ui.exportFolderEdit, guard(lambda path: self._set_path("export_folder", path)))
        scene = slicer.mrmlScene
        for event, handler in (
            (scene.StartCloseEvent, self._on_scene_start_close),
            (scene.EndCloseEvent, self._on_scene_changed),
            (scene.StartImportEvent, self._on_scene_start_import),
            (scene.EndImportEvent, self._on_scene_changed),
            (scene.NodeAddedEvent, self._look_at_scene_soon),
            (scene.NodeRemovedEvent, self._on_node_removed),
        ):
            self.addObserver(scene, event, guard(handler))

    def _colour(self) -> None:
        """The colours of the theme that Slicer has now."""
        for label, meaning in ((self.ui.useLabel, "caution"), (self.ui.errorLabel, "error")):
            style = f"color: {colour(meaning).name()};"
            if label.property("styleSheet") != style:
                label.setStyleSheet(style)
        self.review.colour()

    # Slicer's life of a module widget

    def enter(self) -> None:
        """The reader opens the module."""
        self.entered = True
        self._set_parameters(self.logic.getParameterNode())
        self._look_at_scene()  # other modules may have moved, cut or removed what is shown
        self.review.enter()
        self.study.show(self.review.nodes, self.review.selected)  # its time is counted on
        self._keys.set_enabled(True)
        self._observe_cursor()

    def exit(self) -> None:
        """The reader opens another module; a run goes on."""
        self.entered = False
        self._stop_placing()
        self.study.stop()
        self.review.exit()
        self._set_parameters(None)
        self._keys.set_enabled(False)

    def close(self) -> None:
        """Slicer ends, or the module is loaded anew."""
        self.cancel()
        self.logic.endClicks()
        self.exit()
        self.review.clear()
        self.removeObservers()
        for watch in (self._ct_watch, self._region_watch):
            watch.follow(None)
        self._keys.remove()

    # Runs

    def start(self, seeds: list[tuple[float, ...]] | None = None) -> None:
        """Segment the chosen CT; with `seeds` (RAS of the CT, mm) only what lies there."""
        self._stop_placing()
        reason, parameters = self.why_not(), self._parameters
        self.show_error(reason)
        if reason:
            return
        try:
            options = options_of(parameters, seeds_only=bool(seeds))
        except InputError as error:
            self.show_error(str(error))
            return
        if seeds:
            self._click(parameters.ct, options, seeds)
        else:
            self._segment(parameters.ct, options, self._keep_ready)

    def segment(self, ct: Any, options: Any, then: Callable[[], object]) -> None:
        """Segment any CT of the scene, the whole of it; `then` is called when its nodules are there."""
        self._segment(ct, replace(options, roi=None, slices=None), then)

    def _segment(self, ct: Any, options: Any, then: Callable[[], object]) -> None:
        def make(on_progress: Callable[[Any], object], on_finished: Callable[[Any, Any], object]) -> Any:
            return self.logic.startSegmentNodules(
                ct, onProgress=on_progress, onFinished=on_finished, options=options, show=False
            )

        def done(segmented: Any, outcome: Any) -> None:
            self._show_result(segmented)
            then()

        self.begin(ct, make, done)

    def _click(self, ct: Any, options: Any, seeds: list[tuple[float, ...]]) -> None:
        def make(on_progress: Callable[[Any], object], on_finished: Callable[[Any, Any], object]) -> Any:
            return self.logic.startClick(
                ct, seeds, onProgress=on_progress, onFinished=on_finished, options=options, show=False
            )

        def done(found: Any, outcome: Any) -> None:
            if hasattr(found, "answer"):
                self._show_clicked(found)
            else:
                self._show_result(found)

        self.begin(ct, make, done)

    def _keep_ready(self) -> None:
        """Have the next click in the selected CT answered at once; what prevents it a click tells."""
        if self._parameters is not None and not self.why_not():
            with suppress(LNHGError, OSError):
                self.logic.prepareClicks(self._parameters.ct, options_of(self._parameters, seeds_only=True))

    def begin(self, ct: Any, make: Callable[..., Any], done: Callable[[Any, Any], object]) -> None:
        """Run something beside Slicer: progress and Cancel are those of the panel.

        Args:
            ct: what it ends with is told of this CT.
            make: starts it, given what it calls with its progress and at its end (what it added, and how it ended).
            done: called with the same when it has added something.
        """
        self._run_ct, self._done = ct, done
        self._first_change = not self.memory().can_restore
        self.memory().remember()
        self.running = True
        self.found.begin(ct)
        self._show_running(True)
        try:
            run = make(self._guard(self._on_progress), self._guard(self._on_finished))
            self.run = run if self.running else None  # it may have ended already
        except Exception as error:  # whatever it is, the panel must be free again
            from ..run.beside import sentence_of

            self._end_run()
            self._on_error(error, sentence_of(error))
        self._update()

    def cancel(self) -> None:
        """End the run; the scene stays as it was."""
        if self.run is not None:
            self.run.cancel()

    def memory(self) -> Any:
        """The views as they were before this module changed them."""
        if self._memory is None:
            from ..scene.views import ViewMemory

            self._memory = ViewMemory()
        return self._memory

    def show_error(self, sentence: str, log: Path | None = None, ct: Any = None) -> None:
        """Keep what went wrong with a CT, by default the selected one; an empty sentence takes the box away."""
        there = ct is not None and slicer.mrmlScene.IsNodePresent(ct)  # it may have been removed during its run
        said = self._said_of(ct if there else self._selected_ct())
        said.error, said.log = in_panel_words(sentence), log
        self._show_said()

    def _on_progress(self, progress: Progress) -> None:
        self.ui.progressBar.setValue(round(100 * progress.fraction))
        self.ui.stageLabel.setText(f"{_stage(progress.stage)} {_time_left(progress.seconds_left)}".strip())
        if progress.found is not None:
            self.found.add(progress.found)
            if self._parameters is not None:
                self.found.show(self._parameters.ct)

    def _on_finished(self, segmented: Any, outcome: Any) -> None:
        ct, done = self._run_ct, self._done
        self._end_run()
        if segmented is None and self._first_change and self.review.nodes is None and not self.found.moved_views:
            self.memory().forget()  # nothing was changed in the views, where there was nothing to look at
        if outcome.status == "cancelled":
            self.tell(_("Cancelled. The scene is as it was."), ct)
        elif outcome.status == "failed":
            self.show_error(outcome.message, outcome.log, ct)
        elif segmented is None:
            self.tell(outcome.message, ct)
        else:  # a moment later: Slicer has worked on what was added already
            self._to_show = lambda: done(segmented, outcome)
            qt.QTimer.singleShot(0, self._guard(self._show_added))

    def _show_added(self) -> None:
        show, self._to_show = self._to_show, None
        if show is not None:  # the scene was not closed since
            show()
            self._look_at_scene_soon()

    def _end_run(self) -> None:
        self.running, self.run, self._run_ct, self._done = False, None, None, _nothing
        self.found.end()
        self._show_running(False)
        self._update()

    def _on_error(self, error: Exception, sentence: str = "") -> None:
        """Say what went wrong; where nobody thought of it, the log is one click away."""
        from ..run.beside import kept_log

        if isinstance(error, LNHGError):
            self.show_error(sentence or str(error))
            return
        told, log = "".join(traceback.format_exception(error)), None
        logging.error("LNHG Slicer: %s", told)
        with suppress(OSError):
            log = kept_log(told)
        kind = type(error).__name__
        did_not_work = _("That did not work ({kind}: {error}); the log says more.").format(kind=kind, error=error)
        self.show_error(sentence or did_not_work, log)

    def _show_clicked(self, clicked: Any) -> None:
        """Add what was found at a click to the result of its CT, which is mostly the one under review."""
        from ..review.added_nodules import add_clicked
        from ..review.review import Review
        from ..scene.nodes import is_whole

        nodes = clicked.into
        if not is_whole(nodes):
            self.show_error(_("The result was removed in that moment; click on the nodule again."), ct=nodes.ct)
            return
        shown = self.review.nodes
        if shown is not None and shown.segmentation is nodes.segmentation:
            self.review.add_clicked(clicked.answer)
        else:  # the reader is at another CT
            add_clicked(Review(nodes), clicked.answer)
        self._tell_run(clicked, nodes)

    def _tell_run(self, done: Any, nodes: Any, *more: str) -> None:
        found = _("Nodules found: {count}.").format(count=len(done.rows))
        where = _("Ran on: {device}.").format(device=done.provenance.get("device", "?"))
        self.tell(" ".join([found, where, *more, *done.warnings]), nodes.ct)
        self._said_of(nodes.ct).result = nodes.segmentation

    def _show_result(self, segmented: Any) -> None:
        from ..review.added_nodules import accept_all, move_into
        from ..review.review import carry_over
        from ..scene.nodes import is_whole, result_before
        from ..scene.segment_editor import edit_in_place_of

        nodes, added = segmented.nodes, []
        if not is_whole(nodes):
            return  # removed in that moment
        earlier = result_before(nodes)  # asked now: much may have happened during the run
        changes = []
        if earlier is not None and nodes.options.seeds_only:
            nodes, added = earlier, move_into(earlier, nodes)
        elif nodes.options.seeds_only:
            accept_all(nodes)
        elif earlier is not None:
            self.study.stop()  # its time comes along
            changed = carry_over(earlier, nodes)
            edit_in_place_of(earlier, nodes, changed.numbers)
            changes.append(str(changed))
        self._tell_run(segmented, nodes, *changes)
        if self._parameters is None:
            self._not_in_views = True  # the reader is in another module, and its views are left alone
        elif nodes.ct is self._parameters.ct:
            self.review.show(nodes, self._parameters, in_views=True, at=added[-1] if added else None)

    def _start_full_run(self) -> None:
        self._parameters.full_generator = True
        self.start()

    def _put_views_back(self) -> None:
        self.review.put_views_back(self._parameters)
        self.follow.end()  # after it: in a scene that was opened the layout of before is known here alone

    # Nodules added by hand

    def _toggle(self, placing: PlaceMode) -> None:
        waiting = placing.waiting
        self._stop_placing()
        if not waiting:
            placing.start()
            if placing is self.place:
                self._keep_ready()
        self._update()

    def _stop_placing(self) -> None:
        self.place.stop()
        self.region.stop()

    def _on_region(self, region: Any) -> None:
        if self._parameters is not None:
            self._parameters.region = region
        self._update()

    def _on_point(self, world: tuple[float, float, float], shown: Any) -> None:
        self._update()
        ct = self._selected_ct()
        if ct is None or not has_voxels(ct):
            self.start()  # which says so
            return
        if shown not in (None, ct) and _may_be_ct(shown):  # as one that was loaded since, or the earlier one
            self.show_error(_("That view shows another CT than the selected one; click in a view of that one."))
            return
        point = point_of_node(world, ct)
        if is_inside(ct, point):
            self.start([point])
        else:
            self.show_error(_("That point lies outside of the CT; click on the nodule inside it."))

    def _on_no_point(self, why: str) -> None:
        self._update()
        self.show_error(why)

    # Parameters and the scene

    def _set_parameters(self, node: Any) -> None:
        if self._parameters is not None:
            self._disconnect()
            self._parameter_watch.follow(None)
        self._parameters = None if node is None else Parameters(node)  # type: ignore[call-arg]
        if self._parameters is None:
            return
        if self._parameters.ct is None:
            self._parameters.ct = _active_ct()
        self._disconnect = connect(self._parameters, self.ui)
        for name, texts in words().items():
            for index, choice in enumerate(choices(name)):
                getattr(self.ui, f"{name}Box").setItemText(index, texts[choice])
        self.ui.weightsFolderEdit.setCurrentPath(self._parameters.weights)
        self.ui.exportFolderEdit.setCurrentPath(self._parameters.export_folder)
        self._parameter_watch.follow(node, vtk.vtkCommand.ModifiedEvent)
        self._on_parameters()
        self._show_said()

    def _set_path(self, name: str, path: str) -> None:
        if self._parameters is not None:
            setattr(self._parameters, name, path)

    def _on_parameters(self) -> None:
        if slicer.mrmlScene.IsImporting() or slicer.mrmlScene.IsClosing():
            return  # nodes are half read; the end of it is observed
        ct = self._parameters.ct
        if ct is not self._shown_ct:
            another = self._shown_ct is not None or self._not_in_views
            self._shown_ct, self._not_in_views = ct, False
            volume = slicer.vtkMRMLScalarVolumeNode
            self._ct_watch.follow(
                ct, vtk.vtkCommand.ModifiedEvent, volume.ImageDataModifiedEvent, volume.TransformModifiedEvent
            )
            self.show_results(ct, in_views=another)
            if another and self.review.nodes is None:
                self._show_alone(ct)
            self._show_said()
        self.found.show(ct)
        self._offer_all_slices()
        markups = slicer.vtkMRMLMarkupsNode
        self._region_watch.follow(self._parameters.region, vtk.vtkCommand.ModifiedEvent, markups.PointModifiedEvent)
        self.review.apply(self._parameters)
        self.study.update()
        self._update()

    def _on_image(self) -> None:
        self._offer_all_slices()
        self._look_at_scene_soon()

    def _offer_all_slices(self) -> None:
        """A range that is not in use spans the CT."""
        count, parameters = self._slice_count(), self._parameters
        if count and not parameters.limit_slices and (parameters.first_slice, parameters.last_slice) != (0, count - 1):
            parameters.first_slice, parameters.last_slice = 0, count - 1

    def show_results(self, ct: Any, *, in_views: bool = True) -> None:
        """Show the latest result of a CT, if it is the selected one."""
        if self._parameters is None or ct is not self._parameters.ct:
            self._shown_ct = None  # shown when it is selected, or on return
            return
        nodes = self.results_of(ct)
        self._forget_run_of_another(ct, nodes)
        if nodes is None:
            self.review.clear()
        else:
            self.review.show(nodes, self._parameters, in_views=in_views)
            if nodes.note and not self._said_of(ct).status:
                self.tell(nodes.note, ct)

    def _forget_run_of_another(self, ct: Any, nodes: Any) -> None:
        """A later result may have been removed, and what its run ended with is not so of the earlier one."""
        said = self._said_of(ct)
        if said.result is not None and (nodes is None or nodes.segmentation is not said.result):
            said.status, said.result = "", None
            self._show_said()

    def _show_alone(self, ct: Any) -> None:
        """The views show the CT that was selected, not the one before it with its nodules."""
        if ct is None or not has_voxels(ct) or self.install.needed:
            return
        if ct.GetImageData().GetNumberOfScalarComponents() != 1:
            return  # no CT, and no view can lay it over or under one
        from ..scene.nodes import show_alone

        self.memory().remember()
        show_alone(ct)
        self.review.update_buttons()

    def results_of(self, ct: Any) -> Any:
        """The latest result of a CT that still lies on it, or None."""
        if ct is None or self.install.needed:
            return None
        from ..scene.nodes import move_with_ct, results_of, why_not_on_ct

        nodes = results_of(ct)
        if nodes is None:
            return None
        move_with_ct(nodes)
        misfit = why_not_on_ct(nodes)
        self._tell_misfit(misfit, ct)
        return None if misfit else nodes

    def _tell_misfit(self, sentence: str, ct: Any) -> None:
        """Say why a CT has a result that is not shown; empty, when it is shown again: nothing."""
        if sentence != self._misfit[ct.GetID()]:
            self._misfit[ct.GetID()] = sentence
            self.show_error(sentence, ct=ct)

    def _on_scene_start_close(self, *_: Any) -> None:
        self.cancel()
        self._to_show = None
        self._stop_placing()
        self._set_parameters(None)
        self._shown_ct, self._not_in_views = None, False
        for watch in (self._ct_watch, self._region_watch):
            watch.follow(None)
        self.review.clear()
        self._said.clear()
        self._misfit.clear()
        self._told_lost.clear()
        self._show_said()

    def _on_scene_start_import(self, *_: Any) -> None:
        """Selectors choose the first node that comes, in place of what the scene was saved with. Outlines that are
        there already would stay in the views, over the CT that comes.
        """
        self._not_in_views = bool(slicer.util.getNodesByClass("vtkMRMLSegmentationNode"))
        self._set_parameters(None)

    def _on_scene_changed(self, *_: Any) -> None:
        self._shown_ct = None
        if self.entered:
            self._set_parameters(self.logic.getParameterNode())

    def _on_node_removed(self, *_: Any) -> None:
        nodes = self.review.nodes
        if nodes is not None:
            from ..scene.nodes import is_whole

            if not is_whole(nodes):
                self.review.clear()
                self._tell_lost_part(nodes)
        self._look_at_scene_soon()

    def _tell_lost_part(self, nodes: Any) -> None:
        """Who deletes a part of a result, tidying up, sees the nodules and wonders where their review is."""
        there = slicer.mrmlScene.IsNodePresent
        needed = [node for node in nodes.added if node is not nodes.generated]
        if there(nodes.ct) and there(nodes.segmentation) and not all(map(there, needed)):
            told = _("A part of this result was removed from the scene, which ends its review; segment the CT again.")
            self._tell_misfit(told, nodes.ct)

    def _tell_without_ct(self) -> None:
        """Say once of each result whose CT is gone why it is nowhere in the panel."""
        from ..scene.nodes import segmentations_without_ct

        for lost in segmentations_without_ct():
            told = _(
                "The CT of {nodules} is no longer in the scene, and without it they cannot be reviewed. They stay "
            )
            told += _("in the module Data with their map and table; load the CT and segment it to review it.")
            self._tell_lost(lost, told)

    def _tell_without_voxels(self) -> None:
        """Say once of each result that lacks a file, since its scene was opened, why it is nowhere in the panel."""
        from ..scene.nodes import results_without_voxels

        for lost in results_without_voxels():
            told = _("A file of {nodules} was not there when the scene was opened: its map or its table is empty. ")
            told += _("Bring the file back and open the scene again, or segment the CT again.")
            self._tell_lost(lost.segmentation, told, lost.ct)

    def _tell_lost(self, segmentation: Any, sentence: str, ct: Any = None) -> None:
        if segmentation.GetID() not in self._told_lost:
            self._told_lost.add(segmentation.GetID())
            self.show_error(sentence.format(nodules=segmentation.GetName()), ct=ct)

    def _look_at_scene_soon(self, *_: Any) -> None:
        """Slicer's own code still works on a node while it tells that it came or went."""
        if not self._looking:
            self._looking = True
            qt.QTimer.singleShot(0, self._guard(self._look_at_scene))

    def _look_at_scene(self) -> None:
        """Offer a CT that came, and show the latest result of the selected one."""
        self._looking = False
        for placing in (self.place, self.region):
            placing.stop_if_deleted()
        if slicer.mrmlScene.IsImporting() or slicer.mrmlScene.IsClosing() or self._to_show is not None:
            return  # looked at when that is done
        shown = self.review.nodes
        if self._parameters is None:  # another module is open: the rest is looked at on return
            self.results_of(None if shown is None else shown.ct)
            return
        if self._parameters.ct is None:
            self._parameters.ct = _active_ct()
        ct = self._parameters.ct
        self._tell_without_ct()
        self._tell_without_voxels()
        latest = self.results_of(ct)
        if (latest and latest.segmentation) is not (shown and shown.segmentation):
            self.show_results(ct, in_views=True)
        elif shown is not None:
            self.review.complete_views()
        self._update()

    # The widgets' state

    def _on_selected(self, segment_id: str | None) -> None:
        self._watch_result(self.review.nodes)
        self.study.show(self.review.nodes, segment_id)
        self.export.show(self.review.nodes)
        self.categories.show(self.review.nodes, self.review.selected)  # a blind study begins at another one
        self.follow.show(self.review.nodes)
        self.follow.go_with(segment_id)

    def _watch_result(self, nodes: Any) -> None:
        """A node of the result that somebody puts under a transform of its own would lie elsewhere on the CT."""
        if nodes is not self._watched:
            self._watched = nodes
            moved = slicer.vtkMRMLTransformableNode.TransformModifiedEvent
            parts = () if nodes is None else nodes.added
            self._result_watch.follow_all([one for one in parts if one.IsA("vtkMRMLTransformableNode")], moved)

    def _show_running(self, running: bool) -> None:
        self.ui.runBox.setVisible(running)
        self.ui.progressBar.setValue(0)
        self.ui.stageLabel.setText(_("Starting...") if running else "")
        self.tell("", self._selected_ct())

    def tell(self, sentence: str, ct: Any) -> None:
        """Keep what a run on this CT ended with; it is shown while the CT is selected."""
        said = self._said_of(ct)
        said.status, said.result = in_panel_words(sentence), None
        self._show_said()

    def _tell_of_shown(self, sentence: str) -> None:
        self.show_error(sentence, ct=self.review.nodes.ct)

    def _said_of(self, ct: Any) -> _Said:
        return self._said["" if ct is None else ct.GetID() or ""]

    @property
    def parameters(self) -> Any:
        """What the reader chose; None while another module is open."""
        return self._parameters

    def _field_of_found(self, diameter: float) -> float | None:
        return field_around(diameter) if self._parameters is None or self._parameters.zoom else None

    def _selected_ct(self) -> Any:
        return None if self._parameters is None else self._parameters.ct

    def _show_said(self) -> None:
        said = self._said_of(self._selected_ct())
        self.ui.statusLabel.setText(said.status)
        self.ui.statusLabel.setVisible(bool(said.status))
        self.ui.errorLabel.setText(said.error)
        self.ui.errorBox.setVisible(bool(said.error))
        self.ui.logButton.setChecked(False)
        self.ui.logText.setVisible(False)
        self.ui.logButton.setVisible(said.log is not None)
        self.ui.logText.setPlainText("" if said.log is None else _end_of(said.log))

    def _update(self) -> None:
        self.follow.update()
        reason = self.why_not()
        for button in (self.ui.segmentButton, self.ui.addNoduleButton, self.ui.fullRunButton):
            button.setEnabled(not reason)
        self.ui.segmentButton.setToolTip(
            reason or _("Find and outline the nodules of this CT, and map what is inside them (Shift+S).")
        )
        self.ui.addNoduleButton.setToolTip(
            reason
            or _("Click on a nodule in a slice view: it is segmented even where the detector saw nothing (Shift+D).")
        )
        self.ui.addNoduleButton.setText(_("Click on the nodule...") if self.place.waiting else _("Add nodule here..."))
        self.ui.drawRegionButton.setText(_("Click two corners...") if self.region.waiting else _("Draw..."))
        self._hide_results_from_selector()
        if self._parameters is not None and not self.install.needed:
            self.threshold.show(self._parameters)
        slices = self._slice_count()
        self.ui.sliceCountLabel.setText(_("of 0 to {last}").format(last=slices - 1) if slices else "")
        self.ui.limitSlicesBox.setEnabled(bool(slices))
        limited = self._parameters is not None and self._parameters.limit_slices
        for box in (self.ui.firstSliceBox, self.ui.lastSliceBox):
            box.setEnabled(limited)

    def _hide_results_from_selector(self) -> None:
        """The maps are volumes too, but no CTs."""
        offer_volumes(self.ui.ctSelector, _may_be_ct)

    def why_not(self) -> str:
        """Why no run can be started, in a sentence; empty if one can."""
        if self.running:
            return _("A run is under way. Cancel it, or wait for its end.")
        if self.install.needed:
            return _("Install what is missing first.")
        if self._parameters is None or self._parameters.ct is None:
            return _("Load a chest CT first, and select it above.")
        if not self._slice_count():
            return _("This volume is empty: load the CT again.")
        if self._parameters.region is not None and not has_extent(self._parameters.region):
            return _("Place the region in the views first, or choose the whole scan.")
        first, last, count = self._parameters.first_slice, self._parameters.last_slice, self._slice_count()
        if self._parameters.limit_slices and not first <= last < count:
            return _("The range of slices must rise, from 0 to at most {last}.").format(last=count - 1)
        return ""

    def _slice_count(self) -> int:
        ct = None if self._parameters is None else self._parameters.ct
        return int(ct.GetImageData().GetDimensions()[2]) if ct is not None and has_voxels(ct) else 0

    def _observe_cursor(self) -> None:
        crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        if crosshair is not None:
            self.removeObservers(self._cursor_moved)
            self.addObserver(crosshair, crosshair.CursorPositionModifiedEvent, self._cursor_moved)

    def _on_cursor(self, crosshair: Any, event: Any) -> None:
        ras = [0.0, 0.0, 0.0]
        value = self.review.value_text(ras) if crosshair.GetCursorPositionRAS(ras) else "–"
        self.ui.valueLabel.setText(_("Under the pointer: {value}").format(value=value))


def _nothing(added: Any, outcome: Any) -> None:
    """No run is under way."""


def _may_be_ct(node: Any) -> bool:
    return node.GetClassName() == "vtkMRMLScalarVolumeNode" and node.GetAttribute("LNHG.Version") is None


def _active_ct() -> Any:
    """The volume that Slicer calls the active one, else the first of the scene."""
    selection = slicer.mrmlScene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    active = None if selection is None else selection.GetActiveVolumeID()
    volumes = [node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if _may_be_ct(node)]
    return next((node for node in volumes if node.GetID() == active), volumes[0] if volumes else None)


def _stage(name: str) -> str:
    stages = {
        "read": _("Reading the CT"),
        "lungs": _("Finding the lungs"),
        "detect": _("Looking for nodules"),
        "generate": _("Drawing the nodules"),
        "fuse": _("Putting detections together"),
        "measure": _("Measuring"),
        "register": _("Laying the studies on each other"),
        "look": _("Looking for nodules at their place"),
    }
    return stages.get(name.partition(" ")[0], name)


def _time_left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 90:
        return _("– about {seconds} s left").format(seconds=max(5, 5 * round(seconds / 5)))
    return _("– about {minutes} min left").format(minutes=round(seconds / 60))


def _end_of(log: Path) -> str:
    try:
        return log.read_text(encoding="utf-8", errors="replace")[-_LOG_CHARACTERS:]
    except OSError as error:
        return str(error)
