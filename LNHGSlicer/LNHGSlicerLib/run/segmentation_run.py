"""One run of the method in a process beside Slicer: the CT goes out as a file, the scene is changed at the very end."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

import lnhg
from lnhg.errors import InputError, LNHGError
from lnhg.options import Options
from lnhg.progress import Progress

from .background import BackgroundCall, BackgroundProcess, Command, End

if TYPE_CHECKING:
    import numpy as np

    from lnhg.core.ct import CT
    from lnhg.core.nodule import Nodule
    from lnhg.core.result import Result

    from ..scene.nodes import PreparedResult, SceneNodes

# Names inside the run's own folder, where the process works: plain whatever the folder is called.
_CT, _RESULTS = "ct.nrrd", "results"
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


@dataclass(frozen=True)
class SegmentedNodules:
    """What a run added to the scene, and what the method says of it."""

    nodes: SceneNodes
    rows: tuple[Nodule, ...]
    warnings: tuple[str, ...]
    provenance: Mapping[str, object]

    @property
    def segmentation(self) -> Any:
        """The segmentation node."""
        return self.nodes.segmentation

    @property
    def heterogeneity(self) -> Any:
        """The volume node of the map."""
        return self.nodes.heterogeneity

    @property
    def table(self) -> Any:
        """The table node, a row a nodule."""
        return self.nodes.table


def add_and_show(volume_node: Any, result: Result) -> SegmentedNodules:
    """Add a result of the CT of `volume_node` to the scene and show it in the slice views, at its first nodule."""
    from ..scene.nodes import prepare

    return _add_and_show(volume_node, prepare(result))


def _add_and_show(volume_node: Any, prepared: PreparedResult) -> SegmentedNodules:
    from ..scene import nodes as scene

    nodes = scene.add_prepared(volume_node, prepared)
    scene.show(nodes)
    scene.jump_to_first_nodule(nodes)
    result = prepared.result
    return SegmentedNodules(nodes, result.nodules, result.warnings, result.provenance)


class SegmentationRun:
    """One run on the CT of a node. The scene stays as it is until the run has finished, and after any other end.

    A run at given points that finds nothing there adds nothing. What takes long on this side, the files, is done in a
    thread, so that the window stays alive. Closing the scene cancels the run; with Slicer the process ends too.

    Args:
        volume_node: the CT.
        options: what to do.
        seeds: RAS points, mm, each segmented whatever the detector says; like the region of the options they lie on the
            CT's own grid, without its parent transform.
        on_progress: called with each step.
        on_finished: called once, with what was added (None unless finished) and how the run ended.
        process: runs the command.
        call: runs a function in a thread.
    """

    def __init__(
        self,
        volume_node: Any,
        options: Options,
        seeds: Sequence[Sequence[float]],
        on_progress: Callable[[Progress], object],
        on_finished: Callable[[SegmentedNodules | None, Outcome], object],
        *,
        process: Callable[[Command, Callable[[str], None], Callable[[End], None]], Any] = BackgroundProcess,
        call: Callable[[Callable[[], Any], Callable[[Any, Exception | None], object]], Any] = BackgroundCall,
    ) -> None:
        self._node, self._options, self._seeds = volume_node, options, seeds
        self._on_progress, self._on_finished = on_progress, on_finished
        self._make_process, self._make_call = process, call
        self._process: Any = None
        self._call: Any = None
        self._ct: CT | None = None
        self._read_at, self._mark = 0, ""
        self._folder: Path | None = None
        self._log: Path | None = None
        self._error = ""
        self._over = False
        self._closing: tuple[Any, int] | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._call is not None or (self._process is not None and self._process.running)

    def start(self) -> None:
        """Begin. What prevents it is told to `on_finished`, before this returns or later."""
        from ..scene.nodes import grid_of_node, values_of_node, voxels_mark

        try:
            name, values, grid = self._node.GetName(), values_of_node(self._node), grid_of_node(self._node)
            self._mark = voxels_mark(self._node)
            self._read_at = self._node.GetImageData().GetMTime()
            self._log = _new_log()
            self._folder = Path(tempfile.mkdtemp(prefix="LNHG-", dir=_temporary()))
        except Exception as error:
            self._fail(error)
            return
        scene = slicer.mrmlScene
        self._closing = scene, scene.AddObserver(scene.StartCloseEvent, lambda caller, event: self.cancel())
        self._do(lambda: self._prepared(name, values, grid), self._launch)

    def cancel(self) -> None:
        """End the process and all that it started; does nothing when the run has ended before."""
        if self._call is not None:
            self._call.drop(self._remove_folder)  # the thread may still write into it
            self._call = None
            self._finish(None, self._cancelled())
        elif self._process is not None:
            self._process.cancel()

    def _do(self, work: Callable[[], Any], then: Callable[[Any], object]) -> None:
        """Do what needs no scene in a thread, and go on from there; an error ends the run."""

        def end(value: Any, error: Exception | None) -> None:
            self._call = None
            try:
                if error is not None:
                    raise error
                then(value)
            except Exception as reason:
                if self._over:
                    raise
                self._fail(reason)

        self._call = self._make_call(work, end)
        self._call.start()

    def _prepared(self, name: str, values: np.ndarray, grid: np.ndarray) -> Command:
        """Write the CT into the run's folder; returns the command."""
        from lnhg.core.nrrd_file import write_nrrd

        from ..scene.nodes import ct_of_values

        assert self._folder is not None and self._log is not None
        self._ct = ct_of_values(name, values, grid)
        write_nrrd(self._folder / _CT, self._ct.hu, self._ct.ijk_to_ras, packed=False)
        words = [
            _python(),
            "-m",
            "LNHGSlicerLib.run.under_slicer",
            str(os.getpid()),
            "segment",
            _CT,
            "--output",
            _RESULTS,
        ]
        words += ["--json-progress", "--for-scene", *_arguments(self._options, self._seeds)]
        return Command(words, self._folder, self._log, _environment())

    def _launch(self, command: Command) -> None:
        image = self._node.GetImageData()
        if image is None or image.GetMTime() != self._read_at:  # its voxels were read where they are, in the thread
            raise InputError(_("The CT was changed while the run began; run again."))
        self._process = self._make_process(command, self._read, self._ended)
        self._process.start()

    def _read(self, line: str) -> None:
        """One line of the process: progress, the sentence of an error, or what some library prints."""
        try:
            told = json.loads(line)
        except ValueError:
            return
        if isinstance(told, dict) and "stage" in told:
            self._on_progress(Progress(told["stage"], told["fraction"], told["seconds_left"]))
        elif isinstance(told, dict) and "error" in told:
            self._error = told["error"].replace(_CT, self._node.GetName() or _CT)  # the reader knows no such file

    def _ended(self, end: End) -> None:
        if end.cancelled:
            self._finish(None, self._cancelled())
        elif end.code != 0:
            self._finish(None, self._outcome("failed", _failure(end.code, self._error, self._end_of_log())))
        else:
            self._do(self._loaded, self._take_over)

    def _loaded(self) -> PreparedResult:
        """The results, ready for the scene."""
        from lnhg.writers.read_back import load_result

        from ..scene.nodes import prepare

        assert self._folder is not None and self._ct is not None
        import_module("lnhg.stages.measurement")  # which a review needs, and which takes a second
        prepared = prepare(load_result(self._folder / _RESULTS, self._ct))
        self._remove_folder()  # large files take long, and nobody waits here
        return prepared

    def _take_over(self, prepared: PreparedResult) -> None:
        """The results as nodes of the scene, if they lie on the grid of the CT."""
        self._check_node()
        if self._options.seeds_only and not prepared.result.nodules:
            told = _("Nothing that looks like a nodule was found there; nothing was added.")
            self._finish(None, self._outcome("finished", told))
            return
        added = _add_and_show(self._node, prepared)
        count = len(added.rows)
        self._finish(added, self._outcome("finished", _("Nodules found: {count}").format(count=count)))

    def _check_node(self) -> None:
        """Raise InputError if the CT is no longer where, or what, the run was made from."""
        from lnhg.writers.read_back import check_grid

        from ..scene.nodes import grid_of_node, voxels_mark

        assert self._ct is not None
        if self._node.GetScene() is None or self._node.GetImageData() is None:
            raise InputError(_("The CT was removed from the scene during the run; nothing was added."))
        shape = self._node.GetImageData().GetDimensions()[::-1]
        try:
            check_grid(self._node.GetName(), shape, grid_of_node(self._node), self._ct)
        except InputError as error:
            raise InputError(_("The CT was moved or cut during the run; nothing was added, run again.")) from error
        if voxels_mark(self._node) != self._mark:
            raise InputError(_("The CT got other voxels during the run; nothing was added, run again."))

    def _fail(self, error: Exception) -> None:
        """End with a sentence; what nobody thought of leaves its place in the log."""
        if not isinstance(error, LNHGError):
            with suppress(OSError):
                self._log = self._log or _new_log()
                with self._log.open("a", encoding="utf-8") as log:
                    log.write("".join(traceback.format_exception(error)))
        self._finish(None, self._outcome("failed", sentence_of(error)))

    def _finish(self, added: SegmentedNodules | None, outcome: Outcome) -> None:
        if self._closing is not None:
            scene, tag = self._closing
            scene.RemoveObserver(tag)
        self._remove_folder()
        self._ct, self._over = None, True
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
        assert self._log is not None
        try:
            return self._log.read_text(encoding="utf-8", errors="replace")[-_END_OF_LOG:]
        except OSError as error:  # somebody tidied up the folder for temporary files
            return str(error)


def kept_log(text: str) -> Path:
    """A new log file with this text."""
    log = _new_log()
    log.write_text(text, encoding="utf-8")
    return log


def _new_log() -> Path:
    handle, log = tempfile.mkstemp(prefix="LNHG-", suffix=".log", dir=_temporary())
    os.close(handle)
    return Path(log)


def _temporary() -> str | None:
    """Slicer's folder for temporary files, as chosen in its settings."""
    return getattr(getattr(slicer, "app", None), "temporaryPath", None)


def _python() -> str:
    """The Python of Slicer as a program: PythonSlicer is on the path of Slicer, its own `sys.executable` may be
    Slicer.
    """
    return shutil.which("PythonSlicer") or sys.executable


def _environment() -> dict[str, str]:
    """Lets the process find the method beside this file, and leave the place of a crash in its log."""
    package = str(Path(lnhg.__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "PYTHONIOENCODING": "utf-8", "PYTHONFAULTHANDLER": "1"}


def _arguments(options: Options, seeds: Sequence[Sequence[float]]) -> list[str]:
    """Options that differ from the defaults, and seeds, as words of the command line."""
    words = [f"--seed={_numbers(seed)}" for seed in seeds]
    for option in fields(Options):
        value = getattr(options, option.name)
        if value != option.default:
            flag = "--" + option.name.replace("_", "-")
            words.append(flag if value is True else f"{flag}={_word(option.name, value)}")
    return words


def _word(name: str, value: Any) -> str:
    if name == "slices":
        return "-".join(map(str, value))
    if isinstance(value, tuple):
        return _numbers(value)
    return str(value.absolute() if isinstance(value, Path) else value)


def _numbers(values: Sequence[float]) -> str:
    return ",".join(repr(float(value)) for value in values)


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
