"""A reader's clicks on nodules: answered by a process beside Slicer that keeps the CT ready between them."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
import vtk
from slicer.i18n import tr as _

from lnhg.errors import InputError
from lnhg.options import Options

from ..scene.watch import Watch
from .background import BackgroundCall, BackgroundProcess, Command, End, Timer, qt_timer
from .beside import Outcome, environment, kept_log, new_log, python, temporary
from .option_words import option_words
from .segmentation_run import CT_FILE, SegmentationRun, SegmentedNodules, nodules_found, nothing_there
from .taken_ct import TakenCT

if TYPE_CHECKING:
    from lnhg.core.nodule import Nodule

    from ..scene.nodes import SceneNodes
    from .click_answer import Answer

# A process that nobody asked for so long gives its memory back, seconds; looked at every so often, ms.
_IDLE_S, _LOOK_IDLE_MS = 300.0, 20_000
# A reader waits for the answer: it is looked for this often, ms.
_LOOK_MS = 10

_quick = partial(qt_timer, every_ms=_LOOK_MS)
_QUICK_PROCESS, _QUICK_CALL = partial(BackgroundProcess, timer=_quick), partial(BackgroundCall, timer=_quick)
_NOW_AND_THEN = partial(qt_timer, every_ms=_LOOK_IDLE_MS)


@dataclass(frozen=True)
class ClickedNodules:
    """What was found at a click in a CT that has a result: nothing of it is in the scene yet (`add_clicked`).

    Attributes:
        into: the result that it belongs to.
        answer: what was found.
    """

    into: SceneNodes
    answer: Answer

    @property
    def rows(self) -> tuple[Nodule, ...]:
        return self.answer.nodules

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self.answer.record["warnings"])

    @property
    def provenance(self) -> Mapping[str, object]:
        told: Mapping[str, object] = self.answer.record["provenance"]
        return told


@dataclass(frozen=True, eq=False)
class _Question:
    """A click that waits for its answer, as a run sees its process."""

    ready: ReadyCT
    on_line: Callable[[str], None]
    on_answer: Callable[[Mapping[str, Any]], None]
    on_end: Callable[[End], None]

    @property
    def running(self) -> bool:
        return self.ready.question is self

    def cancel(self) -> None:
        if self.running:
            self.ready.end()


class ReadyCT:
    """A process beside Slicer that keeps one CT ready: read, with its lungs and the networks.

    It ends with Slicer, when the scene is closed, when the CT is not what was read any more, and when nobody asked for
    some minutes.

    Args:
        node: the CT. Raises InputError for a volume that is none.
        options: the networks of these are loaded.
        process, call: as `RunBeside` takes them.
        idle_timer: calls a function now and then.
    """

    def __init__(
        self,
        node: Any,
        options: Options,
        *,
        process: Callable[[Command, Callable[[str], None], Callable[[End], None]], Any] = _QUICK_PROCESS,
        call: Callable[[Callable[[], Any], Callable[[Any, Exception | None], object]], Any] = BackgroundCall,
        idle_timer: Timer = _NOW_AND_THEN,
    ) -> None:
        self.taken, self._options = TakenCT(node), options
        self.question: _Question | None = None
        #: Why it could not be started, or None.
        self.error: Exception | None = None
        self._make_process, self._make_call, self._idle_timer = process, call, idle_timer
        self._process: Any = None
        self._call: Any = None
        self._waiting: Sequence[str] | None = None
        self._watch = Watch(self._look)

    def start(self) -> None:
        """Write the CT in a thread, then start the process. Raises OSError where there is no place for files."""
        self.log: Path = new_log()
        self.folder = Path(tempfile.mkdtemp(prefix="LNHG-", dir=temporary()))
        read, file = self.taken.reader(), self.folder / CT_FILE

        def write() -> None:
            from lnhg.core.nrrd_file import write_nrrd

            ct = read()
            write_nrrd(file, ct.hu, ct.ijk_to_ras, packed=False)

        self._call = self._make_call(write, self._written)
        self._call.start()
        self._asked_at = time.monotonic()
        self._stop_idle = self._idle_timer(self._look_whether_idle)
        node, scene = self.taken.node, slicer.mrmlScene
        self._watch.follow(node, vtk.vtkCommand.ModifiedEvent, node.ImageDataModifiedEvent)
        events = ((scene.StartCloseEvent, self.end), (scene.NodeRemovedEvent, self._look))
        self._scene = scene, [scene.AddObserver(event, lambda *_, do=do: do()) for event, do in events]

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._call is not None or (self._process is not None and self._process.running)

    def fits(self, node: Any) -> bool:
        """Whether it is ready for this CT as it is now."""
        return self.alive and node is self.taken.node and self.taken.is_as_taken()

    def ask(
        self,
        words: Sequence[str],
        on_line: Callable[[str], None],
        on_answer: Callable[[Mapping[str, Any]], None],
        on_end: Callable[[End], None],
    ) -> _Question:
        """Ask what lies at some points, in words of `lnhg segment`. Told are lines of progress, then what `Answer.load`
        takes; or a line with the error and an end, as those of a process. Raises InputError while another click waits.
        """
        if self.question is not None:
            raise InputError(_("Another click is being answered; wait for its end."))
        self.question, self._asked_at = _Question(self, on_line, on_answer, on_end), time.monotonic()
        if self._process is None:
            self._waiting = words
        else:
            self._process.send(json.dumps(words))
        return self.question

    def end(self) -> None:
        """End the process and take its files away; a click that waits is cancelled."""
        if self._call is not None:
            self._call.drop(self._remove_files)  # the thread may still write
            self._call = None
            self._close(End(0, cancelled=True))
        elif self._process is not None:
            self._process.cancel()

    def _written(self, value: None, error: Exception | None) -> None:
        self._call = None
        try:
            if error is not None:
                raise error
            self.taken.check_unchanged()
            words = [python(), "-m", "LNHGSlicerLib.run.click_process", str(os.getpid()), CT_FILE]
            command = Command([*words, *option_words(self._options)], self.folder, self.log, environment(), reads=True)
            self._process = self._make_process(command, self._line, self._close)
            self._process.start()
        except Exception as reason:
            self.error = reason
            self._close(End(1, cancelled=False))
            return
        if self._waiting is not None:
            self._process.send(json.dumps(self._waiting))

    def _line(self, line: str) -> None:
        question, told = self.question, _values(line)
        if question is None:
            return
        if "answer" in told or "error" in told:
            self.question, self._asked_at = None, time.monotonic()
        if "answer" in told:
            question.on_answer(told["answer"])
        else:
            question.on_line(line)
        if "error" in told:
            question.on_end(End(InputError.exit_code, cancelled=False))

    def _close(self, end: End) -> None:
        """The process has ended, or was never there."""
        self._stop_idle()
        self._watch.follow(None)
        scene, tags = self._scene
        for tag in tags:
            scene.RemoveObserver(tag)
        question, self.question = self.question, None
        if question is not None:
            question.on_end(end)  # which may want the log
        self._remove_files()

    def _remove_files(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.log.unlink(missing_ok=True)

    def _look(self) -> None:
        """Something came over the CT, or another node; while a click waits its answer is checked."""
        if self.question is None and not self.taken.is_as_taken():
            self.end()

    def _look_whether_idle(self) -> None:
        if self.question is None and time.monotonic() - self._asked_at > _IDLE_S:
            self.end()


def _values(line: str) -> Mapping[str, Any]:
    """What a line of the process tells; nothing for what some library prints."""
    try:
        told = json.loads(line)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


class Clicks:
    """Keeps one CT ready at a time.

    Args:
        ready: makes a `ReadyCT`.
    """

    def __init__(self, ready: Callable[[Any, Options], ReadyCT] = ReadyCT) -> None:
        self._make = ready
        self._ready: ReadyCT | None = None

    def prepare(self, node: Any, options: Options) -> ReadyCT:
        """Keep this CT ready as it is now; another one no more. Raises InputError for a volume that is no CT, and
        OSError where there is no place for its files.
        """
        if self._ready is None or not self._ready.fits(node):
            self.end()
            made = self._make(node, options)
            made.start()
            self._ready = made
        return self._ready

    def end(self) -> None:
        """Keep no CT ready."""
        if self._ready is not None:
            self._ready.end()
            self._ready = None


class ClickRun(SegmentationRun):
    """A run at given points of a CT that is kept ready. Where the CT has a result that lies on it, nothing is added to
    the scene: `on_finished` gets `ClickedNodules`; else it gets `SegmentedNodules`.
    """

    def __init__(
        self,
        clicks: Clicks,
        volume_node: Any,
        options: Options,
        seeds: Sequence[Sequence[float]],
        on_progress: Callable[[Any], object],
        on_finished: Callable[[SegmentedNodules | ClickedNodules | None, Outcome], object],
        *,
        call: Callable[..., Any] = _QUICK_CALL,
        **how: Any,
    ) -> None:
        super().__init__(volume_node, options, seeds, on_progress, on_finished, call=call, **how)
        self._clicks = clicks

    def start(self) -> None:
        """Ask. What prevents it is told to `on_finished`, before this returns or later."""
        try:
            self._ready = self._clicks.prepare(self._node, self._options)
            self._taken = self._ready.taken
            words = option_words(self._options, self._seeds)
            self._process = self._ready.ask(words, self._read, self._answered, self._ended)
        except Exception as error:
            self._fail(error)
            return
        self._observe_closing()

    def _answered(self, told: Mapping[str, Any]) -> None:
        folder = self._ready.folder
        self._do(lambda: _loaded(folder, told), self._take_over)

    def _ended(self, end: End) -> None:
        if self._ready.error is not None:
            self._fail(self._ready.error)
            return
        if not end.cancelled and not self._error:
            self._log = kept_log(self._ready.log.read_text(encoding="utf-8", errors="replace"))
        super()._ended(end)

    def _take_over(self, answer: Answer) -> None:
        from ..scene.nodes import prepare, result_on

        assert self._taken is not None
        self._taken.check()
        into = result_on(self._node)
        if not answer.nodules:
            self._end(None, nothing_there())
        elif into is not None:
            found = ClickedNodules(into, answer)
            self._end(found, nodules_found(len(found.rows)))
        else:
            read = self._taken.reader()
            self._do(lambda: prepare(answer.whole(read())), super()._take_over)


def _loaded(folder: Path, told: Mapping[str, Any]) -> Answer:
    from .click_answer import Answer

    return Answer.load(folder, told)
