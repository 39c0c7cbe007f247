"""A run beside Slicer: real processes, a real scene, and a loop of the test's own in the place of Slicer's timer."""

from __future__ import annotations

import errno
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lnhg.core.found_record import as_record
from lnhg.core.nodule import as_row
from lnhg.options import Options
from lnhg.progress import Found, Progress
from lnhg.writers.results import save

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")
pytest.importorskip("PySide6", reason="needs the dev extra: pip install 'lnhg[dev]'")

import vtk  # noqa: E402

from host import qt_double  # noqa: E402
from host.handmade import GRIDS, handmade_result  # noqa: E402
from host.scenes import put_under_transform  # noqa: E402
from LNHGSlicerLib.run.background import BackgroundCall, BackgroundProcess, Command, SteppedCall, qt_timer  # noqa: E402
from LNHGSlicerLib.scene.headless import headless_host  # noqa: E402

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and process groups of POSIX")

RESULT = handmade_result(GRIDS["oblique"])
ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120


class Loop:
    """Stands in for Qt's timer: calls what was given to it, as often as the test says."""

    def __init__(self):
        self.ticks = []

    def timer(self, tick):
        self.ticks.append(tick)
        return lambda: self.ticks.remove(tick)

    def until(self, condition):
        last = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < last, "nothing happened"
            for tick in list(self.ticks):
                tick()
            time.sleep(0.01)


@pytest.fixture
def loop():
    return Loop()


# ---------------------------------------------------------------- the process


@pytest.fixture
def process(tmp_path, loop):
    """Makes a process of a Python program; what it tells is noted."""

    def make(program):
        told = SimpleNamespace(lines=[], ends=[])
        command = Command([sys.executable, "-c", program], tmp_path, tmp_path / "log.txt", {"LNHG_TEST": "äß"})
        made = BackgroundProcess(command, told.lines.append, told.ends.append, timer=loop.timer)
        made.told = told
        made.start()
        return made

    return make


def alive(pid):
    """Whether a process is there and not waiting to be buried."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


WITH_A_CHILD = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)'])\n"
    "print(child.pid, flush=True)\n"
)


def test_lines_come_in_order_before_the_end_and_stderr_is_in_the_log(process, loop, tmp_path):
    run = process(
        "import os, sys; print('one'); print(os.environ['LNHG_TEST']); print('last', end=''); sys.stderr.write('why')"
    )
    assert run.running
    loop.until(lambda: run.told.ends)
    assert run.told.lines == ["one", "äß", "last"]
    assert (run.told.ends[0].code, run.told.ends[0].cancelled) == (0, False)
    assert not run.running
    assert loop.ticks == []
    assert (tmp_path / "log.txt").read_text() == "why"


def test_cancel_ends_the_process_and_what_it_started_before_it_returns(process, loop):
    run = process(WITH_A_CHILD + "time.sleep(100)")
    loop.until(lambda: run.told.lines)
    child = int(run.told.lines[0])
    assert alive(child)
    run.cancel()
    assert [end.cancelled for end in run.told.ends] == [True]
    loop.until(lambda: not alive(child))
    run.cancel()
    assert len(run.told.ends) == 1


def test_a_crash_is_told_and_does_not_leave_children_behind(process, loop):
    run = process(WITH_A_CHILD + "import os; os.abort()")
    loop.until(lambda: run.told.ends)
    assert (run.told.ends[0].code, run.told.ends[0].cancelled) == (-signal.SIGABRT, False)
    loop.until(lambda: not alive(int(run.told.lines[0])))


def test_a_cancel_from_within_a_line_is_the_last_thing_told(tmp_path, loop):
    lines, ends = [], []

    def on_line(line):
        lines.append(line)
        run.cancel()

    command = Command(
        [sys.executable, "-c", "print(1); print(2, flush=True); import time; time.sleep(100)"],
        tmp_path,
        tmp_path / "log",
    )
    run = BackgroundProcess(command, on_line, ends.append, timer=loop.timer)
    run.start()
    loop.until(lambda: ends)
    assert lines == ["1"]
    assert len(ends) == 1


def test_the_process_ends_with_the_program_that_started_it(tmp_path):
    """As Slicer may be closed during a run."""
    program = (
        "import sys, time; from pathlib import Path\n"
        "from LNHGSlicerLib.run.background import *\n"
        "words = [sys.executable, '-c', 'import os, time; print(os.getpid(), flush=True); time.sleep(100)']\n"
        "ticks = []\n"
        "command = Command(words, Path(sys.argv[1]), Path(sys.argv[1]) / 'log')\n"
        "quit = lambda line: print(line) or sys.exit()\n"
        "run = BackgroundProcess(command, quit, print, timer=ticks.append)\n"
        "run.start()\n"
        "while True: ticks[0](); time.sleep(0.01)"
    )
    words = [sys.executable, "-c", program, str(tmp_path)]
    ended = subprocess.run(
        words, cwd=ROOT / "LNHGSlicer", capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    last = time.monotonic() + PATIENCE_S
    while alive(int(ended.stdout)):
        assert time.monotonic() < last
        time.sleep(0.01)


# ---------------------------------------------------------------- the run


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Folder -> the result files of `RESULT` on its grid, and shifted by 3 mm."""
    root = tmp_path_factory.mktemp("results")
    shifted = RESULT.ct.ijk_to_ras.copy()
    shifted[0, 3] += 3
    for name, ijk_to_ras in (("same", RESULT.ct.ijk_to_ras), ("shifted", shifted)):
        save(replace(RESULT, ct=replace(RESULT.ct, ijk_to_ras=ijk_to_ras)), root / name, for_scene=True)
    return root


@pytest.fixture
def host(monkeypatch, tmp_path):
    """A fresh scene; temporary files lie in a folder of the test."""
    qt_double.install(monkeypatch)
    (tmp_path / "temporary").mkdir()
    with headless_host() as scene:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
        yield scene


@pytest.fixture
def start(host, loop, results):
    """Starts a run on a node, of a program in place of the method; what it tells is noted."""

    def start(node, program, options=None, **more):
        told = SimpleNamespace(progress=[], ends=[], command=None)

        def process(command, on_line, on_end):
            told.command = command
            code = f"import shutil, sys, time, os; results = {str(results)!r}\n{program}"
            return BackgroundProcess(
                replace(command, words=[sys.executable, "-c", code]), on_line, on_end, timer=loop.timer
            )

        run_module = importlib.import_module("LNHGSlicerLib.run.segmentation_run")
        run = run_module.SegmentationRun(
            node,
            options or Options(),
            [],
            told.progress.append,
            lambda *end: told.ends.append(end),
            process=process,
            call=partial(BackgroundCall, timer=loop.timer),
            stepped=partial(SteppedCall, timer=loop.timer),
            **more,
        )
        run.told = told
        run.start()
        return run

    return start


def ct_node(ijk_to_ras=RESULT.ct.ijk_to_ras):
    return slicer.util.addVolumeFromArray(RESULT.ct.hu, ijk_to_ras, "Thorax")


def node_ids():
    nodes = slicer.mrmlScene.GetNodes()
    return {nodes.GetItemAsObject(index).GetID() for index in range(nodes.GetNumberOfItems())}


def assert_failed(run, before, sentence):
    """The run has failed with a sentence that holds `sentence`; scene and disk are as they were but for the log."""
    ((found, outcome),) = run.told.ends
    assert found is None
    assert outcome.status == "failed"
    assert sentence in outcome.message
    assert outcome.message.endswith(".")
    assert node_ids() == before
    assert list(Path(tempfile.gettempdir()).iterdir()) == [outcome.log][: outcome.log is not None]
    assert not run.running


PREPARED = "shutil.copytree(os.path.join(results, 'same'), 'results')"


def test_the_result_files_become_nodes_when_the_process_has_ended(start, loop):
    node = ct_node()
    before = node_ids()
    run = start(
        node,
        f'print(\'{{"stage": "detect", "fraction": 0.5, "seconds_left": 3}}\', \'noise\', sep=\'\\n\'); {PREPARED}',
    )
    assert node_ids() == before
    loop.until(lambda: run.told.ends)
    ((found, outcome),) = run.told.ends
    assert (outcome.status, outcome.message) == ("finished", "Nodules found: 2")
    assert run.told.progress == [Progress("detect", 0.5, 3)]
    assert [as_row(row) for row in found.rows] == [as_row(nodule) for nodule in RESULT.nodules]
    assert found.provenance["device"] == "cpu"
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(found.heterogeneity), RESULT.heterogeneity)
    assert found.table.GetNumberOfRows() == 2
    assert found.segmentation.GetSegmentation().GetNumberOfSegments() == 2


def test_nodules_found_on_the_way_are_told_with_the_progress(start, loop):
    mask = np.ones((2, 3, 4), bool)
    line = {"stage": "detect", "fraction": 0.5, "seconds_left": 3}
    told = json.dumps({**line, "found": as_record(Found((1, 2, 3), mask, 0.9, 7.0, (1.0, 2.0, 3.0)))})
    run = start(ct_node(), f"print({told!r}); {PREPARED}")
    loop.until(lambda: run.told.ends)
    (progress,) = run.told.progress
    assert (progress.stage, progress.fraction) == ("detect", 0.5)
    assert (progress.found.corner, progress.found.probability) == ((1, 2, 3), 0.9)
    np.testing.assert_array_equal(progress.found.mask, mask)


def test_a_result_that_lies_beside_the_ct_is_refused(start, loop):
    node = ct_node()
    before = node_ids()
    run = start(node, "shutil.copytree(os.path.join(results, 'shifted'), 'results')")
    loop.until(lambda: run.told.ends)
    assert_failed(run, before, "labels.nrrd lies 3 mm away from the CT")


def test_a_ct_that_was_moved_during_the_run_gets_no_result(start, loop):
    node = ct_node()
    before = node_ids()
    run = start(node, PREPARED)
    node.SetOrigin(1, 2, 3)
    loop.until(lambda: run.told.ends)
    assert_failed(run, before, "The CT was moved or cut during the run")


def test_a_ct_that_was_removed_during_the_run_gets_no_result(start, loop):
    node = ct_node()
    run = start(node, PREPARED)
    slicer.mrmlScene.RemoveNode(node)
    before = node_ids()
    loop.until(lambda: run.told.ends)
    assert_failed(run, before, "The CT was removed from the scene")


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ('print(\'{"error": "Seed 1,2,3 lies outside the CT."}\'); sys.exit(2)', "Seed 1,2,3 lies outside the CT."),
        ("import ctypes; ctypes.string_at(0)", "broke off (exit code -11); the log says more"),
        ("os.kill(os.getpid(), 9)", "most likely because the memory was full"),
        ("sys.exit(137)", "most likely because the memory was full"),
        ("raise MemoryError", "most likely because the memory was full"),
        ("raise OSError(28, os.strerror(28))", "The disk is full"),
        ("import no_such_package", "The Python package no_such_package is missing"),
        ("pass", "The record result.json of the run cannot be read"),
    ],
    ids=["its own sentence", "crash", "kill -9", "exit code 137", "no memory", "no space", "no package", "no result"],
)
def test_a_process_that_fails_is_told_in_a_sentence_and_leaves_the_scene_alone(start, loop, program, sentence):
    node = ct_node()
    before = node_ids()
    run = start(node, program)
    loop.until(lambda: run.told.ends)
    assert_failed(run, before, sentence)


def test_the_log_holds_what_the_process_said_and_where_it_crashed(start, loop):
    run = start(ct_node(), "print('a library warns', file=sys.stderr, flush=True); import ctypes; ctypes.string_at(0)")
    loop.until(lambda: run.told.ends)
    log = run.told.ends[0][1].log.read_text()
    assert "a library warns" in log
    assert "Segmentation fault" in log


def test_files_that_grow_too_large_for_the_disk_are_told_as_a_full_disk(start, loop):
    """The method's own writer, under a limit of the system's on the size of files."""
    node = ct_node()
    before = node_ids()
    program = (
        "import json, resource; from pathlib import Path\n"
        f"sys.path.append({str(ROOT / 'Testing')!r})\n"
        "from host.handmade import *; from lnhg.writers.results import save; from lnhg.errors import InputError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "try: save(handmade_result(GRIDS['oblique']), Path('results'), for_scene=True)\n"
        "except InputError as error: print(json.dumps({'error': str(error)})); sys.exit(2)"
    )
    run = start(node, program)
    loop.until(lambda: run.told.ends)
    assert_failed(run, before, "The disk is full")


def test_a_full_disk_before_the_start_is_told_too(start, loop, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("lnhg.core.nrrd_file.write_nrrd", full)
    node = ct_node()
    before = node_ids()
    run = start(node, "")
    loop.until(lambda: run.told.ends)
    assert_failed(run, before, "The disk is full")


@pytest.mark.parametrize("where", ["lnhg.core.nrrd_file.write_nrrd", "LNHGSlicerLib.scene.nodes.grid_of_node"])
def test_no_memory_at_the_start_is_told_and_the_next_run_works(start, loop, monkeypatch, where):
    def full(*_, **__):
        raise MemoryError

    node = ct_node()
    before = node_ids()
    with monkeypatch.context() as patch:
        patch.setattr(where, full)
        run = start(node, "")
        loop.until(lambda: run.told.ends)
    assert_failed(run, before, "most likely because the memory was full")
    run.told.ends[0][1].log.unlink()
    again = start(node, PREPARED)
    loop.until(lambda: again.told.ends)
    assert again.told.ends[0][1].status == "finished"


def test_a_run_that_is_cancelled_while_the_ct_is_written_leaves_nothing(start, loop, monkeypatch):
    writing, go_on = threading.Event(), threading.Event()

    def slow(path, *_, **__):
        writing.set()
        go_on.wait(PATIENCE_S)
        path.write_bytes(b"")

    monkeypatch.setattr("lnhg.core.nrrd_file.write_nrrd", slow)
    run = start(ct_node(), "")
    assert writing.wait(PATIENCE_S)
    run.cancel()
    ((found, outcome),) = run.told.ends
    assert (found, outcome.status) == (None, "cancelled")
    go_on.set()
    loop.until(lambda: not loop.ticks)
    assert list(Path(tempfile.gettempdir()).iterdir()) == []
    assert len(run.told.ends) == 1


def test_a_process_ends_when_slicer_was_killed(tmp_path):
    """Two processes in the places of Slicer and of its run."""
    package = str(ROOT / "LNHGSlicer")
    run = (
        "import sys, time; from LNHGSlicerLib.run.under_slicer import end_with\n"
        "end_with(int(sys.argv[1])); time.sleep(600)"
    )
    slicer_code = (
        f"import os, subprocess, sys, time; sys.path.insert(0, {package!r})\n"
        f"child = subprocess.Popen([sys.executable, '-c', {run!r}, str(os.getpid())], start_new_session=True,\n"
        f"    env={{**os.environ, 'PYTHONPATH': {package!r}}})\n"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", slicer_code], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    time.sleep(1.5)
    assert alive(child)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + PATIENCE_S
    while alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_package_that_is_not_installed_yet_is_named(start, loop, monkeypatch):
    monkeypatch.setitem(sys.modules, "lnhg.core.nrrd_file", None)
    run = start(ct_node(), "")
    loop.until(lambda: run.told.ends)
    assert "The Python package lnhg.core.nrrd_file is missing" in run.told.ends[0][1].message


def test_a_program_that_is_not_there_is_told(host, loop):
    ends = []

    def process(command, on_line, on_end):
        return BackgroundProcess(replace(command, words=["/no/such/program"]), on_line, on_end, timer=loop.timer)

    node = ct_node()
    before = node_ids()
    run = importlib.import_module("LNHGSlicerLib.run.segmentation_run").SegmentationRun(
        node,
        Options(),
        [],
        print,
        lambda *end: ends.append(end),
        process=process,
        call=partial(BackgroundCall, timer=loop.timer),
        stepped=partial(SteppedCall, timer=loop.timer),
    )
    run.told = SimpleNamespace(ends=ends)
    run.start()
    loop.until(lambda: ends)
    assert_failed(run, before, "The run could not be started")


def test_a_volume_that_is_no_ct_is_told_before_anything_is_written(start):
    run = start(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Nothing"), "")
    ((_, outcome),) = run.told.ends
    assert (outcome.status, outcome.log) == ("failed", None)
    assert "Nothing is empty" in outcome.message
    assert list(Path(tempfile.gettempdir()).iterdir()) == []
    run.cancel()
    assert len(run.told.ends) == 1


def test_a_timer_belongs_to_the_application_and_goes_with_its_stop(monkeypatch):
    """One that Python owned would be deleted by the thread that collects it, while the main thread uses it."""
    qt_double.install(monkeypatch)
    from PySide6 import QtCore

    application, ticks = qt_double.application(), []
    before = application.findChildren(QtCore.QTimer)
    stop = qt_timer(lambda: ticks.append(1) or stop(), 0)
    (own,) = [one for one in application.findChildren(QtCore.QTimer) if one not in before]
    while not ticks:
        application.processEvents()
    QtCore.QCoreApplication.sendPostedEvents(own, QtCore.QEvent.DeferredDelete)
    assert own not in application.findChildren(QtCore.QTimer)
    assert ticks == [1]


def test_an_error_while_nodes_are_added_is_told_and_noted_in_the_log(start, loop, monkeypatch):
    def show(nodes, result, *, show):
        raise RuntimeError("no legend")

    node = ct_node()
    before = node_ids()
    monkeypatch.setattr("LNHGSlicerLib.run.segmentation_run.segmented", show)
    run = start(node, PREPARED)
    loop.until(lambda: run.told.ends)
    assert_failed(run, before, "The run broke off (RuntimeError: no legend)")
    assert "Traceback" in run.told.ends[0][1].log.read_text()


def test_cancel_leaves_the_scene_as_it_was_and_nothing_running_and_a_second_run_works(start, loop):
    node = ct_node()
    before = node_ids()
    run = start(
        node,
        WITH_A_CHILD.replace("print(child.pid", "open('pid', 'w').write(str(child.pid)); print(child.pid")
        + "time.sleep(100)",
    )
    loop.until(lambda: run.told.command)
    pid = run.told.command.folder / "pid"
    loop.until(lambda: pid.exists() and pid.read_text())
    child = int(pid.read_text())
    run.cancel()
    ((found, outcome),) = run.told.ends
    assert (found, outcome.status) == (None, "cancelled")
    assert node_ids() == before
    loop.until(lambda: not alive(child))
    assert not pid.parent.exists()
    again = start(node, PREPARED)
    loop.until(lambda: again.told.ends)
    assert again.told.ends[0][1].status == "finished"


def test_cancelled_while_its_nodes_come_one_by_one_they_go_again_and_what_others_added_stays(start, loop):
    node = ct_node()
    before = node_ids()
    run = start(node, PREPARED)
    loop.until(lambda: len(node_ids()) > len(before))
    assert run.running
    own = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", "Note of the reader")
    for _ in range(2):
        for tick in list(loop.ticks):
            tick()
    run.cancel()
    ((found, outcome),) = run.told.ends
    assert (found, outcome.status) == (None, "cancelled")
    assert node_ids() == before | {own.GetID()}
    assert not run.running and loop.ticks == []


@pytest.mark.parametrize("moved", [False, True])
def test_a_ct_that_is_removed_or_moved_while_nodes_come_gets_none(start, loop, moved):
    node = ct_node()
    before = node_ids()
    run = start(node, PREPARED)
    loop.until(lambda: len(node_ids()) > len(before))
    node.SetOrigin(0, 0, 9) if moved else slicer.mrmlScene.RemoveNode(node)
    loop.until(lambda: run.told.ends)
    ((found, outcome),) = run.told.ends
    assert (found, outcome.status) == (None, "failed")
    assert "nothing was added" in outcome.message
    left = [one for one in node_ids() if slicer.mrmlScene.GetNodeByID(one).GetAttribute("LNHG.Version")]
    assert left == [] and not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")


def test_nodes_that_come_follow_a_ct_that_is_put_under_a_transform_meanwhile(start, loop):
    node = ct_node()
    before = node_ids()
    run = start(node, PREPARED)
    loop.until(lambda: len(node_ids()) > len(before))
    transform = put_under_transform(node)
    loop.until(lambda: run.told.ends)
    found, _ = run.told.ends[0]
    for one in (found.segmentation, found.heterogeneity, found.nodes.raw_ct):
        assert one.GetTransformNodeID() == transform.GetID()


def test_until_the_last_node_came_there_is_no_result_and_no_map_is_taken_for_a_ct(start, loop):
    from LNHGSlicerLib.scene.nodes import results_of

    node = ct_node()
    came = []

    def note(scene, event):
        came.append(results_of(node))
        maps = [one for one in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if one is not node]
        assert all(one.GetAttribute("LNHG.Version") for one in maps)

    slicer.mrmlScene.AddObserver(slicer.mrmlScene.NodeAddedEvent, note)
    run = start(node, PREPARED)
    loop.until(lambda: run.told.ends)
    assert came and not any(came)
    assert results_of(node).segmentation is run.told.ends[0][0].segmentation


def test_closing_the_scene_while_nodes_come_ends_the_run(start, loop):
    node = ct_node()
    before = node_ids()
    run = start(node, PREPARED)
    loop.until(lambda: len(node_ids()) > len(before))
    slicer.mrmlScene.Clear()
    assert run.told.ends[0][1].status == "cancelled"
    assert loop.ticks == [] and not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")


def test_closing_the_scene_cancels_the_run(start, loop):
    run = start(ct_node(), "time.sleep(100)")
    slicer.mrmlScene.Clear()
    assert run.told.ends[0][1].status == "cancelled"
    assert not run.running
    after = start(ct_node(), PREPARED)
    loop.until(lambda: after.told.ends)
    assert after.told.ends[0][1].status == "finished"
    slicer.mrmlScene.Clear()
    assert len(after.told.ends) == 1


def linear_transform():
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    moved = vtk.vtkTransform()
    moved.RotateZ(30)
    moved.Translate(100, 0, 0)
    node.SetMatrixTransformToParent(moved.GetMatrix())
    return node


def warping_transform():
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode")
    warp = vtk.vtkThinPlateSplineTransform()
    ends = [vtk.vtkPoints(), vtk.vtkPoints()]
    for corner in np.ndindex(2, 2, 2):
        ends[0].InsertNextPoint(np.multiply(corner, 200) - 50)
        ends[1].InsertNextPoint(np.multiply(corner, 220) - (60 if sum(corner) % 2 else 40))
    warp.SetSourceLandmarks(ends[0])
    warp.SetTargetLandmarks(ends[1])
    warp.SetBasisToR()
    node.SetAndObserveTransformToParent(warp)
    return node


@pytest.mark.parametrize("transform", [linear_transform, warping_transform])
def test_a_ct_under_a_transform_is_run_on_its_own_grid_and_its_results_move_with_it(start, loop, transform):
    node = ct_node()
    parent = transform()
    node.SetAndObserveTransformNodeID(parent.GetID())
    run = start(node, f"shutil.copy('ct.nrrd', {tempfile.gettempdir()!r}); {PREPARED}")
    loop.until(lambda: run.told.ends)
    ((found, outcome),) = run.told.ends
    assert outcome.status == "finished"
    assert found.segmentation.GetParentTransformNode() is parent
    assert found.heterogeneity.GetParentTransformNode() is parent
    from lnhg.readers.read_ct import read_ct

    sent = read_ct(Path(tempfile.gettempdir()) / "ct.nrrd")
    np.testing.assert_allclose(sent.ijk_to_ras, RESULT.ct.ijk_to_ras, atol=1e-9)
    np.testing.assert_array_equal(sent.hu, RESULT.ct.hu)


def test_options_and_seeds_reach_the_command_line_as_they_are(host):
    from lnhg.cli import _joined, _parser
    from LNHGSlicerLib.run.option_words import option_words

    options = Options(
        weights=Path("/weights of mine"), device="cpu", threads=2, fusion="paper", score_threshold=0.25,
        minimum_diameter=4.5,
        hide_rim=True, roi=(-10.5, 20, -30, 40, -50, 1 / 3), slices=(3, 17), seeds_only=True,
    )  # fmt: skip
    words = ["segment", "ct.nrrd", "--output", "out", *option_words(options, [(-1.5, 2, -3), (4, 5, 6)])]
    parsed = _parser().parse_args(_joined(words))
    assert parsed.seed == [(-1.5, 2.0, -3.0), (4.0, 5.0, 6.0)]
    assert Options(**{name: getattr(parsed, name) for name in vars(options)}) == options
    assert option_words(Options(), []) == []


# ---------------------------------------------------------------- the method itself


def test_the_method_segments_a_seed_on_an_oblique_grid_from_a_long_folder_with_other_letters(host, loop, monkeypatch):
    """The whole way: logic, CT file, process of `lnhg segment`, result files, nodes."""
    folder = Path(tempfile.gettempdir(), "Größe 肺 scan's", *["a long name of a folder" * 5] * 3)
    folder.mkdir(parents=True)
    assert len(str(folder)) > 300
    monkeypatch.setattr(slicer, "app", SimpleNamespace(temporaryPath=str(folder)), raising=False)
    loop.ticks.append(qt_double.application().processEvents)  # the timer is Qt's own this time
    monkeypatch.delitem(sys.modules, "LNHGSlicer", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir("/")
    logic = importlib.import_module("LNHGSlicer").LNHGSlicerLogic()
    seed = RESULT.ct.to_ras(np.argwhere(RESULT.labels == 2).mean(0)[::-1])
    progress, ends = [], []
    node = ct_node()
    node.SetAndObserveTransformNodeID(linear_transform().GetID())

    run = logic.startSegmentNodules(
        node, progress.append, lambda *end: ends.append(end), Options(seeds_only=True, device="cpu", threads=1), [seed]
    )
    assert run.running
    loop.until(lambda: ends)

    ((found, outcome),) = ends
    assert outcome.status == "finished", outcome.message
    assert [nodule.status for nodule in found.rows] == ["seeded"]
    np.testing.assert_allclose(found.rows[0].centre_ras, seed, atol=2)
    assert progress[-1].fraction == 1
    assert found.heterogeneity.GetParentTransformNode() is node.GetParentTransformNode()
    inside = slicer.util.arrayFromSegmentBinaryLabelmap(found.segmentation, "Nodule_1", found.nodes.ct)
    assert 2 * (inside * (RESULT.labels == 2)).sum() / (inside.sum() + (RESULT.labels == 2).sum()) > 0.4
    assert outcome.log is None
    assert list(folder.iterdir()) == []
    shutil.rmtree(folder)
