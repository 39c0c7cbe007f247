"""A command of the method in a process beside Slicer: files go out in a thread, the scene changes at the very end, in
steps.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

import lnhg
from lnhg.errors import LNHGError
from lnhg.progress import Progress

from .background import BackgroundCall, BackgroundProcess, Command, End, SteppedCall

_ENDED_FROM_OUTSIDE = (-9, 9, 137)  # as Python, a launcher and a shell tell of it
_NO_SPACE = ("No space left on device", "not enough space on the disk", "File too large", "Disk quota exceeded")
_NO_MEMORY = ("MemoryError", "out of memory", "not enough memory", "bad_alloc", "Unable to allocate")
_END_OF_LOG = 20_000


@dataclass(frozen=True)
class Outcome:
    """How a run ended: `finished`, `cancelled` or `failed`, a sentence for the reader, and the log if anything is in
    it.
    """

    status: str
    message: str
    log: Path | None


class RunBeside:
    """One command of `lnhg` beside Slicer. The scene stays as it is until it has finished, and after any other end.

    What takes long on this side, the files, is done in a thread, so that the window stays alive. Closing the scene
    cancels the run; with Slicer the process ends too. A subclass says what goes out and what comes back.

    Args:
        on_progress: called with each step.
        on_finished: called once, with what was added (None unless finished) and how the run ended.
        process: runs the command.
        call: runs a function in a thread.
        stepped: takes steps one by one, while the window lives.
    """

    def __init__(
        self,
        on_progress: Callable[[Progress], object],
        on_finished: Callable[[Any, Outcome], object],
        *,
        process: Callable[[Command, Callable[[str], None], Callable[[End], None]], Any] = BackgroundProcess,
        call: Callable[[Callable[[], Any], Callable[[Any, Exception | None], object]], Any] = BackgroundCall,
        stepped: Callable[[Generator[None, None, Any], Callable[[Any, Exception | None], object]], Any] = SteppedCall,
    ) -> None:
        self._on_progress, self._on_finished = on_progress, on_finished
        self._make_process, self._make_call, self._make_stepped = process, call, stepped
        self._process: Any = None
        self._call: Any = None
        self._stepped: Any = None
        self._folder: Path | None = None
        self._log: Path | None = None
        self._error = ""
        self._over = False
        self._closing: tuple[Any, int] | None = None

    # What a subclass says

    def _gathered(self) -> Callable[[Path], Sequence[str]]:
        """What is needed of the scene; returns what writes it into a folder, in a thread, and gives the command's
        words.
        """
        raise NotImplementedError

    def _check_unchanged(self) -> None:
        """Raise InputError where the scene is no longer as it was gathered, before the process starts."""
        raise NotImplementedError

    def _loaded(self, folder: Path) -> Any:
        """What came of it, ready for the scene; called in a thread."""
        raise NotImplementedError

    def _added(self, loaded: Any) -> Generator[None, None, tuple[Any, str]]:
        """Change the scene in steps, each short enough that nobody waits; returns what was added, and a sentence.

        After an error, or closed before its end, the scene is as it was.
        """
        raise NotImplementedError

    def _for_reader(self, sentence: str) -> str:
        """An error of the process in the words of this side."""
        raise NotImplementedError

    # The run

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        busy = self._call is not None or self._stepped is not None
        return busy or (self._process is not None and self._process.running)

    def start(self) -> None:
        """Begin. What prevents it is told to `on_finished`, before this returns or later."""
        try:
            write = self._gathered()
            self._log = new_log()
            self._folder = folder = Path(tempfile.mkdtemp(prefix="LNHG-", dir=temporary()))
        except Exception as error:
            self._fail(error)
            return
        self._observe_closing()
        self._do(lambda: write(folder), self._launch)

    def cancel(self) -> None:
        """End the process and all that it started; does nothing when the run has ended before."""
        if self._call is not None:
            self._call.drop(self._remove_folder)  # the thread may still write into it
            self._call = None
            self._finish(None, self._cancelled())
        elif self._stepped is not None:
            self._stepped.cancel()
            self._stepped = None
            self._finish(None, self._cancelled())
        elif self._process is not None:
            self._process.cancel()

    def _observe_closing(self) -> None:
        scene = slicer.mrmlScene
        self._closing = scene, scene.AddObserver(scene.StartCloseEvent, lambda caller, event: self.cancel())

    def _do(self, work: Callable[[], Any], then: Callable[[Any], object]) -> None:
        """Do what needs no scene in a thread, and go on from there; an error ends the run."""
        self._call = self._make_call(work, self._then(then))
        self._call.start()

    def _then(self, then: Callable[[Any], object]) -> Callable[[Any, Exception | None], None]:
        """What goes on when something was done beside, or in steps."""

        def end(value: Any, error: Exception | None) -> None:
            self._call = self._stepped = None
            try:
                if error is not None:
                    raise error
                then(value)
            except Exception as reason:
                if self._over:
                    raise
                self._fail(reason)

        return end

    def _launch(self, words: Sequence[str]) -> None:
        self._check_unchanged()
        assert self._folder is not None and self._log is not None
        program = [python(), "-m", "LNHGSlicerLib.run.under_slicer", str(os.getpid())]
        command = Command([*program, *words], self._folder, self._log, environment())
        self._process = self._make_process(command, self._read, self._ended)
        self._process.start()

    def _read(self, line: str) -> None:
        """One line of the process: progress, the sentence of an error, or what some library prints."""
        try:
            told = json.loads(line)
        except ValueError:
            return
        if isinstance(told, dict) and "stage" in told:
            self._on_progress(_progress_of(told))
        elif isinstance(told, dict) and "error" in told:
            self._error = self._for_reader(told["error"])

    def _ended(self, end: End) -> None:
        if end.cancelled:
            self._finish(None, self._cancelled())
        elif end.code != 0:
            self._finish(None, self._outcome("failed", _failure(end.code, self._error, self._end_of_log())))
        else:
            folder = self._folder
            assert folder is not None
            self._do(lambda: self._load(folder), self._take_over)

    def _load(self, folder: Path) -> Any:
        loaded = self._loaded(folder)
        self._remove_folder()  # large files take long, and nobody waits here
        return loaded

    def _take_over(self, loaded: Any) -> None:
        self._stepped = self._make_stepped(self._added(loaded), self._then(lambda told: self._end(*told)))
        self._stepped.start()

    def _end(self, added: Any, sentence: str) -> None:
        self._finish(added, self._outcome("finished", sentence))

    def _fail(self, error: Exception) -> None:
        """End with a sentence; what nobody thought of leaves its place in the log."""
        if not isinstance(error, LNHGError):
            with suppress(OSError):
                self._log = self._log or new_log()
                with self._log.open("a", encoding="utf-8") as log:
                    log.write("".join(traceback.format_exception(error)))
        self._finish(None, self._outcome("failed", sentence_of(error)))

    def _finish(self, added: Any, outcome: Outcome) -> None:
        if self._closing is not None:
            scene, tag = self._closing
            scene.RemoveObserver(tag)
        self._remove_folder()
        self._over = True
        self._on_finished(added, outcome)

    def _remove_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _cancelled(self) -> Outcome:
        return self._outcome("cancelled", _("The run was cancelled; the scene is as it was."))

    def _outcome(self, status: str, message: str) -> Outcome:
        if self._log is not None and (not self._log.exists() or self._log.stat().st_size == 0):
            self._log.unlink(missing_ok=True)
            self._log = None
        return Outcome(status, message, self._log)

    def _end_of_log(self) -> str:
        if self._log is None:
            return ""
        try:
            return self._log.read_text(encoding="utf-8", errors="replace")[-_END_OF_LOG:]
        except OSError as error:  # somebody tidied up the folder for temporary files
            return str(error)


def _progress_of(told: Mapping[str, Any]) -> Progress:
    progress = Progress(told["stage"], told["fraction"], told["seconds_left"])
    if "found" not in told:
        return progress
    from lnhg.core.found_record import found_of_record

    return replace(progress, found=found_of_record(told["found"]))


def kept_log(text: str) -> Path:
    """A new log file with this text."""
    log = new_log()
    log.write_text(text, encoding="utf-8")
    return log


def new_log() -> Path:
    handle, log = tempfile.mkstemp(prefix="LNHG-", suffix=".log", dir=temporary())
    os.close(handle)
    return Path(log)


def temporary() -> str | None:
    """Slicer's folder for temporary files, as chosen in its settings."""
    return getattr(getattr(slicer, "app", None), "temporaryPath", None)


def python() -> str:
    """The Python of Slicer as a program: PythonSlicer is on the path of Slicer, its own `sys.executable` may be
    Slicer.
    """
    return shutil.which("PythonSlicer") or sys.executable


def environment() -> dict[str, str]:
    """Lets the process find the method beside this file, and leave the place of a crash in its log."""
    package = str(Path(lnhg.__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "PYTHONIOENCODING": "utf-8", "PYTHONFAULTHANDLER": "1"}


def sentence_of(error: Exception) -> str:
    """What to tell the reader of an error on this side."""
    if isinstance(error, OSError):
        if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            return _full_disk()
        return _("The run could not be started ({error}).").format(error=error)
    if isinstance(error, LNHGError):
        return str(error)
    if isinstance(error, MemoryError):
        return _full_memory()
    if isinstance(error, ImportError) and error.name:
        return _missing_package(error.name)
    kind = type(error).__name__
    return _("The run broke off ({kind}: {error}); the log says more.").format(kind=kind, error=error)


def _failure(code: int, said: str, log: str) -> str:
    """What to tell the reader of a process that failed: its own sentence, or what exit code and log point to."""
    if any(sign in said or sign in log for sign in _NO_SPACE):
        return _full_disk()
    if said:
        return said
    if code in _ENDED_FROM_OUTSIDE or any(sign in log for sign in _NO_MEMORY):
        return _full_memory()
    missing = re.search(r"No module named '([\w.]+)'", log)
    if missing:
        return _missing_package(missing[1])
    return _("The run broke off (exit code {code}); the log says more.").format(code=code)


def _missing_package(name: str) -> str:
    return _("The Python package {name} is missing; install what the module needs.").format(name=name)


def _full_disk() -> str:
    return _("The disk is full: there is no room for the files of the run. Free some space and run again.")


def _full_memory() -> str:
    return _(
        "The run was ended from outside, most likely because the memory was full. Close other programs or restrict the "
        "run to a region, and run again."
    )
