"""Clicks through the module in a running Slicer: what every drive of this folder imports.

A drive is a script for `Slicer --python-script`. Its steps are a generator in the application's own event loop; a
number that it yields lets the application work for so many milliseconds:

    from driving import *

    def steps():
        panel = open_module()
        click(panel.ui.segmentButton)
        yield from until(lambda: not panel.running)
        check("nodules were found", panel.ui.noduleTable.rowCount > 0)

    drive(steps)

Where `xdotool` is installed the mouse and the keys are real X events, elsewhere events of Qt (LNHG_DRIVE_EVENTS=qt asks
for these). The log and the screenshots go to the folder LNHG_DRIVE_OUT, by default `drive-out`. The exit code is 0 only
if each check held, no wait timed out, no Python error went uncaught, and no unexpected warning or error came into
Slicer's log.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import qt
import slicer

OUT = Path(os.environ.get("LNHG_DRIVE_OUT", "drive-out")).absolute()
HERE = Path(__file__).resolve().parent
#: What drives share: a small chest CT and its result, made by the first that needs them.
SHARED = Path(os.environ.get("LNHG_DRIVE_SHARED", OUT))
PHANTOM_SHAPE = (24, 128, 128)
#: A nodule of that CT which the detector does not find, and a place without any (RAS, mm).
MISSED, NOTHING = (52.7, -39.9, -5.3), (165.0, 165.0, -10.9)

#: What is no fault of the module, each with its reason.
EXPECTED = (
    r"libGL error|MESA|swrast",  # a screen without a graphics card
    # Without a window manager: a dialog is closed while it is given the keyboard.
    r"XCB error: 8 \(BadMatch\).*SetInputFocus",
)

_RECORD = re.compile(r"\[(DEBUG|INFO|STATUS|TRACE|UNKNOWN|WARNING|ERROR|CRITICAL|FATAL)\]\[([^\]]*)\] ")
_BAD = ("WARNING", "ERROR", "CRITICAL", "FATAL")
_BUTTONS = {1: "LeftButton", 2: "MiddleButton", 3: "RightButton"}


class Drive:
    """The one drive of this process: its log, its faults, and the timer that takes its steps."""

    def __init__(self) -> None:
        OUT.mkdir(parents=True, exist_ok=True)
        self.started = time.monotonic()
        self.faults: list[str] = []
        #: What a dialog is answered with: functions that return True if they did.
        self.answers: list[Callable[[Any], bool]] = []
        self.dialogs: list[str] = []
        self.expected = list(EXPECTED)
        self._file = (OUT / "log.txt").open("w", buffering=1, encoding="utf-8")
        self._application_log = Path(slicer.app.errorLogModel().filePath)
        self._read_to = 0
        sys.excepthook = self._uncaught

    def log(self, *words: object) -> None:
        line = f"[{time.monotonic() - self.started:6.1f}] {' '.join(map(str, words))}"
        self._file.write(line + "\n")
        print(line, file=sys.__stdout__ or self._file, flush=True)

    def fault(self, sentence: str) -> None:
        self.faults.append(sentence)
        self.log("FAULT", sentence)

    def run(self, steps: Iterator[Any]) -> None:
        self._steps = steps
        self._timer, self._watch = qt.QTimer(), qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._step)
        self._watch.setInterval(500)
        self._watch.timeout.connect(self._look)
        self._watch.start()
        self._timer.start(300)

    def read_application_log(self) -> None:
        """Warnings and errors that Slicer logged since the last look are faults, unless they are expected."""
        if not self._application_log.exists():
            return
        text = self._application_log.read_text(encoding="utf-8", errors="replace")
        new, self._read_to = text[self._read_to :], len(text)
        starts = list(_RECORD.finditer(new))
        for start, following in zip(starts, [*starts[1:], None], strict=False):
            message = new[start.end() : following.start() if following else None].strip()
            message = message.partition(" - ")[2] or message
            if (
                start[2] != "FD"
                and message
                and start[1] in _BAD
                and not any(re.search(one, message) for one in self.expected)
            ):
                self.fault(f"{start[1]} of {start[2]}: {message[:1000]}")

    def _step(self) -> None:
        try:
            wait = next(self._steps)
        except StopIteration:
            self._end()
        except BaseException:
            self.fault(traceback.format_exc())
            shot("broken-off")
            self._end()
        else:
            self._timer.start(int(wait or 0))

    def _end(self) -> None:
        self._watch.stop()
        self.read_application_log()
        self.log("passed" if not self.faults else f"FAILED: {len(self.faults)} faults")
        slicer.util.exit(1 if self.faults else 0)

    def _look(self) -> None:
        """Answers a dialog that is open, and reads the application's log."""
        self.read_application_log()
        dialog = slicer.app.activeModalWidget()
        if dialog is not None:
            texts = [
                child.text
                for child in slicer.util.findChildren(dialog)
                if isinstance(getattr(child, "text", None), str)
            ]
            self.dialogs.append(" | ".join(filter(None, texts)))
            self.log("dialog", dialog.className(), self.dialogs[-1][:500])
            if not any(answer(dialog) for answer in reversed(self.answers)):
                _say_yes(dialog)

    def _uncaught(self, kind: type, error: BaseException, trace: Any) -> None:
        self.fault("uncaught: " + "".join(traceback.format_exception(kind, error, trace)))


def _say_yes(dialog: Any) -> None:
    for kind in (qt.QMessageBox.Ok, qt.QMessageBox.Yes):
        button = dialog.button(kind) if dialog.inherits("QMessageBox") else None
        if button is not None:
            button.click()
            return
    dialog.accept() if hasattr(dialog, "accept") else dialog.close()


DRIVE = Drive()
log = DRIVE.log


def drive(steps: Callable[[], Iterator[Any]]) -> None:
    """Run a drive; Slicer ends with it."""
    DRIVE.run(steps())


def check(sentence: str, held: object, seen: object = "") -> bool:
    """Write whether something holds; if it does not, the drive has failed."""
    if held:
        log("ok   ", sentence, seen)
    else:
        DRIVE.fault(f"{sentence} {seen}")
    return bool(held)


def until(condition: Callable[[], object], seconds: float = 120) -> Iterator[int]:
    """Wait until something holds, for `yield from`; an error in it counts as not yet."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if condition():
                return
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            pass
        yield 50
    DRIVE.fault(f"waited {seconds:g} s in vain, line {condition.__code__.co_firstlineno}")


# ---------------------------------------------------------------- mouse, keys, pictures


def _of_the_desktop() -> dict[str, str]:
    """The environment that Slicer was started from, for programs that are not Slicer's."""
    kept = {name[14:]: value for name, value in os.environ.items() if name.startswith("APPLAUNCHER_0_")}
    return {**(kept or os.environ), "DISPLAY": os.environ.get("DISPLAY", "")}


class _XEvents:
    """Mouse and keys by xdotool."""

    def move(self, x: int, y: int) -> None:
        self._do("mousemove", x + 1, y, "mousemove", x, y)

    def press(self, x: int, y: int, button: int) -> None:
        self._do("mousemove", x, y, "mousedown", button)

    def release(self, x: int, y: int, button: int) -> None:
        self._do("mousemove", x, y, "mouseup", button)

    def double_click(self, x: int, y: int) -> None:
        self._do("mousemove", x, y, "click", "--repeat", 2, "--delay", 60, 1)

    def key(self, name: str) -> None:
        self._do("key", name)

    def write(self, text: str) -> None:
        self._do("type", "--delay", 10, text)

    def focus(self, window: Any) -> None:
        window.activateWindow()
        self._do("windowfocus", int(window.winId()))

    def _do(self, *words: object) -> None:
        subprocess.run(["xdotool", *map(str, words)], check=False, env=_of_the_desktop(), capture_output=True)


class _QtEvents:
    """Mouse and keys as events of Qt, where there is no X server or no xdotool."""

    _KEYS = {"Return": "Key_Return", "Escape": "Key_Escape", "Tab": "Key_Tab", "Up": "Key_Up", "Down": "Key_Down"}  # noqa: RUF012

    def move(self, x: int, y: int) -> None:
        self._mouse(qt.QEvent.MouseMove, x, y, 0)

    def press(self, x: int, y: int, button: int) -> None:
        self.move(x, y)
        self._mouse(qt.QEvent.MouseButtonPress, x, y, button)

    def release(self, x: int, y: int, button: int) -> None:
        self._mouse(qt.QEvent.MouseButtonRelease, x, y, button)

    def double_click(self, x: int, y: int) -> None:
        for _ in range(2):
            self.press(x, y, 1)
            self.release(x, y, 1)

    def key(self, name: str) -> None:
        sequence = qt.QKeySequence(name)
        for shortcut in slicer.util.findChildren(slicer.util.mainWindow(), className="QShortcut"):
            if shortcut.key.toString() == sequence.toString() and shortcut.enabled:
                _soon(shortcut.activated)
                return
        code = getattr(qt.Qt, self._KEYS.get(name, f"Key_{name.upper()}"))
        for kind in (qt.QEvent.KeyPress, qt.QEvent.KeyRelease):
            self._send(
                slicer.app.focusWidget(), qt.QKeyEvent(kind, code, qt.Qt.NoModifier, name if len(name) == 1 else "")
            )

    def write(self, text: str) -> None:
        for letter in text:
            self._send(slicer.app.focusWidget(), qt.QKeyEvent(qt.QEvent.KeyPress, 0, qt.Qt.NoModifier, letter))

    def focus(self, window: Any) -> None:
        window.activateWindow()

    def _mouse(self, kind: Any, x: int, y: int, number: int) -> None:
        widget = slicer.app.widgetAt(x, y)
        if widget is None:
            return
        button = getattr(qt.Qt, _BUTTONS[number]) if number else qt.Qt.NoButton
        held = button if kind == qt.QEvent.MouseButtonPress else qt.Qt.NoButton
        at = widget.mapFromGlobal(qt.QPoint(x, y))
        places = qt.QPointF(at.x(), at.y()), qt.QPointF(x, y)
        if kind == qt.QEvent.MouseButtonPress and widget.focusPolicy != qt.Qt.NoFocus:
            widget.setFocus()
        self._send(widget, qt.QMouseEvent(kind, *places, button, held, qt.Qt.NoModifier))

    def _send(self, widget: Any, event: Any) -> None:
        _soon(lambda: slicer.app.sendEvent(widget, event))


def _soon(function: Callable[[], object]) -> None:
    """After this step: what it opens may wait for an answer."""
    qt.QTimer.singleShot(0, lambda: function())


_events = _XEvents() if shutil.which("xdotool") and os.environ.get("LNHG_DRIVE_EVENTS") != "qt" else _QtEvents()


def _on_screen(widget: Any, x: float | None, y: float | None) -> tuple[int, int]:
    point = widget.mapToGlobal(
        qt.QPoint(int(widget.width / 2 if x is None else x), int(widget.height / 2 if y is None else y))
    )
    return point.x(), point.y()


def _scroll_to(widget: Any) -> None:
    above = widget.parent()
    while above is not None:
        if above.inherits("QScrollArea"):
            above.ensureWidgetVisible(widget)
        above = above.parent()
    slicer.app.processEvents()


def move(widget: Any, x: float | None = None, y: float | None = None) -> None:
    """Move the mouse over a widget, by default its middle."""
    _events.move(*_on_screen(widget, x, y))


def click(widget: Any, x: float | None = None, y: float | None = None, button: int = 1) -> None:
    """Click a widget, by default its middle; it is scrolled into sight before."""
    _scroll_to(widget)
    at = _on_screen(widget, x, y)
    _events.move(*at)
    _events.press(*at, button)
    _events.release(*at, button)


def double_click(widget: Any) -> None:
    """Click the middle of a widget twice, as fast as a hand does."""
    _scroll_to(widget)
    _events.double_click(*_on_screen(widget, None, None))


def drag(widget: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Press the left button at one point of a widget, and release it at another."""
    _events.press(*_on_screen(widget, *start), 1)
    for part in range(1, 9):
        _events.move(*_on_screen(widget, *(a + (b - a) * part / 8 for a, b in zip(start, end, strict=True))))
    _events.release(*_on_screen(widget, *end), 1)


def key(name: str) -> None:
    """Press a key (`Return`, `shift+n`)."""
    _events.key(name)


def write(text: str) -> None:
    """Type into the widget that has the focus."""
    _events.write(text)


def focus(widget: Any) -> None:
    """Give a window the keyboard, which a window manager would do."""
    _events.focus(widget.window())


def shot(name: str) -> None:
    """A picture of the screen, `name.png`."""
    slicer.app.processEvents()
    path = OUT / f"{name}.png"
    if shutil.which("import"):
        subprocess.run(
            ["import", "-window", "root", str(path)], check=False, env=_of_the_desktop(), capture_output=True
        )
    else:
        slicer.util.mainWindow().grab().save(str(path))
    log("shot ", path.name)


def choose(box: Any, words: str) -> None:
    """Choose the entry of a combo box that holds these words."""
    texts = [box.itemText(index) for index in range(box.count)]
    box.setCurrentIndex(next(index for index, text in enumerate(texts) if words in text))


def cell(table: Any, row: int, column: int = 0) -> tuple[Any, int, int]:
    """The middle of a cell of a table, for `click(*cell(...))`."""
    item = table.item(row, column)
    table.scrollToItem(item)
    slicer.app.processEvents()
    middle = table.visualItemRect(item).center()
    return table.viewport(), middle.x(), middle.y()


# ---------------------------------------------------------------- Slicer and the module


def slice_view(name: str = "Red") -> Any:
    """The widget of a slice view."""
    return slicer.app.layoutManager().sliceWidget(name).sliceView()


def in_view(view: Any, ras: Any) -> tuple[int, int]:
    """Where a point (RAS, mm) lies in a slice view, for `click(view, *in_view(view, ras))`."""
    node = view.mrmlSliceNode()
    to_xy = np.linalg.inv(slicer.util.arrayFromVTKMatrix(node.GetXYToRAS()))
    x, y = (to_xy @ [*ras, 1.0])[:2]
    ratio = node.GetDimensions()[0] / view.width
    return round(x / ratio), round(view.height - 1 - y / ratio)


def off_middle(view: Any, ras: Any) -> float:
    """How far from the middle of a slice view a point (RAS, mm) lies, mm in its plane."""
    x, y = in_view(view, ras)
    across = view.mrmlSliceNode().GetFieldOfView()[0]
    return float(np.hypot(x - view.width / 2, y - view.height / 2)) * across / view.width


def show_place(ras: Any) -> tuple[int, int]:
    """Centre the views on a point; returns where it lies in the red one."""
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *ras, slicer.vtkMRMLSliceNode.CenteredJumpSlice)
    slicer.app.processEvents()
    return in_view(slice_view("Red"), ras)


def open_module(width: int = 470) -> Any:
    """The main window over the screen with four views, and the module's panel in it."""
    window = slicer.util.mainWindow()
    window.setGeometry(0, 0, 1600, 1000)
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    for dock in slicer.util.findChildren(window, name="PanelDockWidget"):
        window.resizeDocks([dock], [width], qt.Qt.Horizontal)
    slicer.util.selectModule("LNHGSlicer")
    slicer.app.processEvents()
    focus(window)
    return slicer.modules.LNHGSlicerWidget.panel


def nodes_of(class_name: str) -> list[Any]:
    return list(slicer.util.getNodesByClass(class_name))


def row_texts(panel: Any, title: str) -> list[str]:
    """What the nodule table shows in the column of a title, whether the column is shown or not."""
    table = panel.ui.noduleTable
    titles = [table.horizontalHeaderItem(column).text() for column in range(table.columnCount)]
    return [table.item(row, titles.index(title)).text() for row in range(table.rowCount)]


def overlapping(panel: Any) -> list[str]:
    """Widgets of the panel that lie over their neighbours."""
    groups = slicer.util.findChildren(panel.root, className="ctkCollapsibleButton")
    found = []
    for group in (panel.root, *groups):
        there = [one for one in group.children() if one.isWidgetType() and one.visible and not one.isWindow()]
        for number, one in enumerate(there):
            over = [other.objectName for other in there[number + 1 :] if one.geometry.intersects(other.geometry)]
            found += [f"{one.objectName} and {name}" for name in over]
    return found


def phantom_ct() -> Any:
    """The small chest CT that drives share."""
    from lnhg import read_ct
    from lnhg.core.nrrd_file import write_nrrd

    path = SHARED / "ct.nrrd"
    if not path.exists():
        from lnhg.phantom import chest_phantom

        ct = chest_phantom(shape=PHANTOM_SHAPE).ct
        SHARED.mkdir(parents=True, exist_ok=True)
        write_nrrd(path, ct.hu, ct.ijk_to_ras)
    return read_ct(path)


def add_ct(name: str = "Chest") -> Any:
    """The shared CT as a volume of the scene, in the views."""
    ct = phantom_ct()
    node = slicer.util.addVolumeFromArray(ct.hu, ct.ijk_to_ras, name)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


def add_chosen_ct() -> Any:
    """The CT that LNHG_CT names, else the shared one, as a volume of the scene, in the views."""
    path = os.environ.get("LNHG_CT")
    if not path:
        return add_ct()
    from lnhg import read_ct

    ct = read_ct(path)
    node = slicer.util.addVolumeFromArray(ct.hu, ct.ijk_to_ras, Path(path).resolve().parent.name)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


def add_result(node: Any) -> Any:
    """The result of the method on the shared CT, added to the scene as a run does it; the first drive runs the
    method.
    """
    from lnhg.writers.read_back import load_result
    from LNHGSlicerLib.run.segmentation_run import add_and_show

    folder = SHARED / "results"
    if not folder.exists():
        phantom_ct()
        # A low score, so that there are nodules enough to review.
        run_method("segment", "ct.nrrd", "--output", "unfinished", "--for-scene", "--score-threshold", "0.025")
        (SHARED / "unfinished").rename(folder)
    return add_and_show(node, load_result(folder, phantom_ct())).nodes


def run_method(*words: str) -> None:
    """Run `lnhg` in the folder that drives share."""
    method = Path(sys.modules["lnhg"].__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(method), os.environ.get("PYTHONPATH", "")))}
    program = shutil.which("PythonSlicer") or sys.executable
    subprocess.run([program, "-m", "lnhg", *words], cwd=SHARED, check=True, env=environment)


def end_with_slicer(process_id: int) -> None:
    """The drive has failed where this process is still there after Slicer: `run.py` looks."""
    (OUT / "ends-with-slicer.txt").write_text(str(process_id), encoding="utf-8")


def write_figures(name: str, figures: dict[str, Any]) -> None:
    """Measured figures, `name.json`."""
    (OUT / f"{name}.json").write_text(json.dumps(figures, indent=2), encoding="utf-8")
