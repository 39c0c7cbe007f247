"""A program that runs beside Slicer: its lines arrive on the main thread, and it ends with all that it started."""

from __future__ import annotations

import atexit
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_LOOK_MS = 100
# What a process that has ended left in its pipe is read within this time, seconds.
_LAST_LINES_S = 5.0
_NO_WINDOW: dict[str, Any] = {"creationflags": getattr(subprocess, "CREATE_NO_WINDOW", 0)}  # a flag of Windows alone

#: Calls a function again and again; returns what stops that.
Timer = Callable[[Callable[[], None]], Callable[[], None]]


@dataclass(frozen=True)
class Command:
    """What to run: its words, the folder it runs in, a file for its stderr, what is added to its environment, and
    whether it reads lines that are sent to it.
    """

    words: Sequence[str]
    folder: Path
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    reads: bool = False


@dataclass(frozen=True)
class End:
    """How a process ended: its exit code (below 0: the signal that ended it), and whether `cancel` was called."""

    code: int
    cancelled: bool


def launch_in_slicer(command: Command) -> subprocess.Popen[str]:
    """Start a process in Slicer's own environment, without a console window, at the head of a process group."""
    # A group of its own, so that the whole tree can be ended: PythonSlicer is a launcher that starts the real Python.
    own = _NO_WINDOW if os.name == "nt" else {"start_new_session": True}
    with command.log.open("ab") as log:
        return subprocess.Popen(
            list(command.words),
            cwd=command.folder,
            env={**os.environ, **command.environment},
            stdin=subprocess.PIPE if command.reads else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            encoding="utf-8",
            errors="replace",
            **own,
        )


def end_tree(process: subprocess.Popen[str]) -> None:
    """End a process that `launch_in_slicer` started, and all that it started."""
    if os.name == "nt":
        words = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
        subprocess.run(words, capture_output=True, check=False, **_NO_WINDOW)
    else:
        with suppress(ProcessLookupError, PermissionError):  # all of them are gone
            os.killpg(process.pid, signal.SIGKILL)


def qt_timer(tick: Callable[[], None], every_ms: int = _LOOK_MS) -> Callable[[], None]:
    """Call `tick` on the main thread ten times a second, or as often as is said; returns what stops that."""
    import qt

    # The application owns it: one that Python owned would be deleted by whichever thread collects the last reference,
    # in the midst of what the main thread does with it.
    timer = qt.QTimer(qt.QCoreApplication.instance())
    timer.setInterval(every_ms)
    timer.timeout.connect(tick)
    timer.start()

    def stop() -> None:
        timer.stop()
        timer.timeout.disconnect(tick)  # else the one that collects `tick` does it, in any thread
        timer.deleteLater()

    return stop


def prompt_timer(tick: Callable[[], None]) -> Callable[[], None]:
    """Call `tick` on the main thread as soon as the window has done what waits; returns what stops that."""
    return qt_timer(tick, 0)


class BackgroundProcess:
    """One process. What it tells is told on the main thread: from the timer, or from `cancel`.

    Args:
        command: what to run.
        on_line: called with each line that the process prints.
        on_end: called once, after the last line; the process and all that it started are gone then.
        launch: starts the command.
        timer: calls a function again and again until it is stopped.
    """

    def __init__(
        self,
        command: Command,
        on_line: Callable[[str], None],
        on_end: Callable[[End], None],
        *,
        launch: Callable[[Command], subprocess.Popen[str]] = launch_in_slicer,
        timer: Timer = qt_timer,
    ) -> None:
        self._command, self._on_line, self._on_end = command, on_line, on_end
        self._launch, self._timer = launch, timer
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._running = False

    @property
    def running(self) -> bool:
        """Whether it was started and `on_end` has not been called yet."""
        return self._running

    def start(self) -> None:
        """Start it; raises OSError when the program cannot be started."""
        self._process = self._launch(self._command)
        self._running = True
        atexit.register(self._end_tree)  # Slicer may end before the process does
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._stop_timer = self._timer(self._look)

    def send(self, line: str) -> None:
        """Send a line to a process that reads them; nothing where it has just ended, which `on_end` tells."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def cancel(self) -> None:
        """End the process and all that it started, at once; does nothing when it has ended before."""
        if self._running:
            self._end_tree()
            self._finish(cancelled=True)

    def _end_tree(self) -> None:
        end_tree(self._process)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line.rstrip("\r\n"))

    def _look(self) -> None:
        """Hand on the lines that came; see whether the process has ended."""
        # Asked before the lines are handed on, so that no line is left over at the end.
        ended = self._process.poll() is not None
        if ended:
            self._end_tree()  # what a crashed process leaves behind holds its pipe open
            self._reader.join(_LAST_LINES_S)
        while self._running and not self._lines.empty():
            self._on_line(self._lines.get())
        if ended and self._running:
            self._finish(cancelled=False)

    def _finish(self, *, cancelled: bool) -> None:
        self._running = False
        self._stop_timer()
        code = self._process.wait()
        self._reader.join(_LAST_LINES_S)
        if self._process.stdin is not None:
            with suppress(OSError):  # what it did not read
                self._process.stdin.close()
        atexit.unregister(self._end_tree)
        self._on_end(End(code, cancelled))


class BackgroundCall:
    """A function without the scene that runs in a thread; what comes of it is told on the main thread.

    Args:
        function: what to do. It must not touch nodes, widgets or anything else that the main thread uses.
        on_end: called once with what it returned and None, or with None and what it raised.
        timer: calls a function again and again until it is stopped.
    """

    def __init__(
        self,
        function: Callable[[], Any],
        on_end: Callable[[Any, Exception | None], object],
        *,
        timer: Timer = qt_timer,
    ) -> None:
        self._function, self._on_end, self._timer = function, on_end, timer
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._value: Any = None
        self._error: Exception | None = None

    def start(self) -> None:
        self._thread.start()
        self._stop_timer = self._timer(self._look)

    def drop(self, then: Callable[[], object]) -> None:
        """What comes of it is wanted no more: `then` is called when the thread has ended, in the place of `on_end`."""
        self._on_end = lambda value, error: then()

    def _run(self) -> None:
        try:
            self._value = self._function()
        except Exception as error:
            self._error = error

    def _look(self) -> None:
        if not self._thread.is_alive():
            self._stop_timer()
            self._on_end(self._value, self._error)


class SteppedCall:
    """Work on the main thread in steps: between two of them the window draws, and answers.

    Args:
        steps: yields after each step.
        on_end: called once with what the steps returned and None, or with None and what they raised.
        timer: calls a function again and again until it is stopped.
    """

    def __init__(
        self,
        steps: Generator[None, None, Any],
        on_end: Callable[[Any, Exception | None], object],
        *,
        timer: Timer = prompt_timer,
    ) -> None:
        self._steps, self._on_end, self._timer = steps, on_end, timer

    def start(self) -> None:
        self._stop_timer = self._timer(self._step)

    def cancel(self) -> None:
        """Close the steps where they are; `on_end` is not called."""
        self._stop_timer()
        self._steps.close()

    def _step(self) -> None:
        value, error = None, None
        try:
            next(self._steps)
            return
        except StopIteration as end:
            value = end.value
        except Exception as raised:
            error = raised
        self._stop_timer()
        self._on_end(value, error)
