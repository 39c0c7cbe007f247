"""How long each thing holds the window up on a CT of 512 x 512 x 300 with 20 nodules, five times, without rendering.

Measured are the seconds that a handler runs on the main thread (wall clock, and processor time of that thread), and for
a whole run the longest time in which the window answered nothing. LNHG_SLICES changes the number of slices,
LNHG_NODULES that of the nodules.
"""

import importlib
import shutil as files
import statistics
import threading
import time

from driving import *
from large import large_result

TIMES = 5
LIMIT_S = 0.3
SLICES, NODULES = (int(os.environ.get(f"LNHG_{name}", count)) for name, count in (("SLICES", 300), ("NODULES", 20)))


class Finished:
    """In the place of the background process: its results are there in a moment."""

    results = SHARED / f"large-results-{SLICES}-{NODULES}"

    def __init__(self, command, on_line, on_end):
        self.command, self.on_line, self.on_end = command, on_line, on_end
        self.running = False

    def start(self):
        from LNHGSlicerLib.run.background import BackgroundCall, End

        self.running = True
        for part in range(20):
            self.on_line(json.dumps({"stage": "detect", "fraction": part / 20, "seconds_left": 3}))
        # In a thread: the process would have written the files beside the window.
        copy = lambda: files.copytree(self.results, self.command.folder / "results")  # noqa: E731
        BackgroundCall(copy, lambda *_: self.on_end(End(0, False))).start()


class Heartbeat:
    """The longest time between two beats of the event loop, and the most processor time of the main thread."""

    def __init__(self):
        self.timer = qt.QTimer()
        self.timer.setInterval(5)
        self.timer.timeout.connect(self.beat)
        self.timer.start()
        self.restart()

    def restart(self):
        self.last, self.longest = self.now(), (0.0, 0.0)

    def now(self):
        return time.perf_counter(), time.thread_time()

    def beat(self):
        now = self.now()
        passed = (after - before for before, after in zip(self.last, now, strict=True))
        self.longest, self.last = tuple(map(max, self.longest, passed)), now


def timed(function):
    wall, own = time.perf_counter(), time.thread_time()
    function()
    return time.perf_counter() - wall, time.thread_time() - own


def steps():
    from lnhg.writers.results import save

    result = large_result((SLICES, 512, 512), count=NODULES)
    if not Finished.results.exists():
        save(result, Finished.results, for_scene=True)
    node = slicer.util.addVolumeFromArray(result.ct.hu, result.ct.ijk_to_ras, "Large")
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    del result
    panel = open_module()
    yield 1000
    run_module = importlib.import_module("LNHGSlicerLib.run.beside")
    run_module.BackgroundProcess = Finished
    run_module.RunBeside.__init__.__kwdefaults__["process"] = Finished
    taken = {}

    def note(name, seconds):
        taken.setdefault(name, []).append(seconds)

    def noted(owner, attribute, name):
        function = getattr(owner, attribute)

        def instead(*arguments, **more):
            wall, own = time.perf_counter(), time.thread_time()
            value = function(*arguments, **more)
            if threading.current_thread() is threading.main_thread():
                note(name, (time.perf_counter() - wall, time.thread_time() - own))
            return value

        setattr(owner, attribute, instead)

    noted(importlib.import_module("LNHGSlicerLib.run.background").SteppedCall, "_step", "end: a node comes")
    noted(type(panel), "_show_added", "end: the result is shown")
    beat = Heartbeat()
    slicer.app.pauseRender()
    for _ in range(TIMES):
        nodes = panel.review.nodes
        if nodes is not None:
            panel.review.clear()
            for one in nodes.added:
                slicer.mrmlScene.RemoveNode(one)
        yield 300
        beat.restart()
        note("start", timed(panel.start))
        for part in range(5):
            from lnhg.progress import Progress

            note("progress", timed(lambda part=part: panel._on_progress(Progress("detect", part / 5, 9.0))))
        yield from until(lambda: not panel.running, 300)
        yield 200
        note("longest silence of a whole run", beat.longest)
    check("there are rows", panel.ui.noduleTable.rowCount == NODULES, panel.ui.noduleTable.rowCount)
    ui = panel.ui
    for _ in range(TIMES):
        note("next", timed(panel.review.go_to_next))
        yield 50
        note("accept", timed(panel.review.accept))
        yield 50
        note("reject", timed(panel.review.reject))
        yield 50
        note("undo", timed(panel.review.undo))
        yield 50
        # Between the usual range and that of each nodule, which colours each anew.
        note("normalisation", timed(lambda: ui.normalisationBox.setCurrentIndex(3 - ui.normalisationBox.currentIndex)))
        yield 50
        note("layer", timed(lambda: ui.layerBox.setCurrentIndex(3 - ui.layerBox.currentIndex)))
        yield 50
        note("look at the outlines", timed(panel.review.look_at_outlines))
        yield 50
    segmentation = panel.review.nodes.segmentation
    for number in range(1, TIMES + 2):
        voxels = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, f"Nodule_{number}", node).copy()
        voxels[:, : int(np.median(np.argwhere(voxels)[:, 1]))] = 0
        slicer.util.updateSegmentBinaryLabelmapFromArray(voxels, segmentation, f"Nodule_{number}", node)
        first = panel.review._review.scan is None
        name = "edit noticed (the lungs are found in a thread)" if first else "edit measured"
        note(name, timed(panel.review.look_at_outlines))
        yield from until(lambda: not panel.review._review.needs_scan(), 300)
        yield 600
    check("the edits are in the table", row_texts(panel, "Verdict").count("edited") == TIMES + 1)
    slicer.app.resumeRender()
    log("")
    log("| handler | median s | longest s | median CPU s |")
    log("|---|---|---|---|")
    for name, pairs in taken.items():
        walls, owns = zip(*pairs, strict=True)
        log(f"| {name} | {statistics.median(walls):.3f} | {max(walls):.3f} | {statistics.median(owns):.3f} |")
        check(f"{name}: at most {LIMIT_S} s", statistics.median(owns) <= LIMIT_S, f"{statistics.median(walls):.2f} s")
    write_figures("seconds", taken)


drive(steps)
