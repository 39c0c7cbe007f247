"""The real panel on the doubles of `qt_double`, with doubles of the run and of the installer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import slicer

from host import qt_double
from host.handmade import GRIDS, handmade_result
from lnhg.errors import LNHGError

RESULT = handmade_result(GRIDS["oblique"])


@contextmanager
def open_panel(patch: pytest.MonkeyPatch, *, logic: Any = None, installer: Any = None) -> Iterator[Any]:
    """The panel as Slicer shows it when the module is opened; what its Edit button opens is noted in `panel.edited`."""
    qt_double.install(patch)
    from LNHGSlicerLib.panel.widget import Panel

    root = slicer.util.loadUI(str(qt_double.MODULE_FOLDER / "Resources" / "UI" / "LNHGSlicer.ui"))
    edited: list[str] = []
    panel = Panel(
        root,
        logic or logic_double(),
        installer or InstallerDouble(),
        edit=lambda nodes, segment_id: edited.append(segment_id),
    )
    panel.edited = edited
    panel.enter()
    yield panel
    panel.close()
    qt_double.dispose(root)


def add_ct(name: str = "Thorax", result: Any = RESULT) -> Any:
    return slicer.util.addVolumeFromArray(result.ct.hu, result.ct.ijk_to_ras, name)


def click(button: Any) -> None:
    """As the mouse does it: nothing happens to a button that is disabled or hidden."""
    assert button.isEnabled(), f"{button.property('objectName')}: {button.property('toolTip')}"
    assert not button.isHidden()
    button.click()


def logic_double() -> Any:
    """A logic whose runs do what the test tells them to."""

    class LNHGSlicerLogic(qt_double.ScriptedLoadableModuleLogic):
        runs: list[RunDouble] = []  # noqa: RUF012
        ready: list[Any] = []  # noqa: RUF012

        def startSegmentNodules(self, node, onProgress=None, onFinished=None, options=None, seeds=None, show=True):  # noqa: N802, N803
            assert not show, "the panel shows what comes, and where"
            self.runs.append(RunDouble(node, onProgress, onFinished, options, seeds))
            return self.runs[-1]

        def startClick(self, node, seeds, onProgress=None, onFinished=None, options=None, show=True):  # noqa: N802, N803
            return self.startSegmentNodules(node, onProgress, onFinished, options, seeds, show)

        def prepareClicks(self, node, options):  # noqa: N802
            self.ready.append(node)

        def endClicks(self):  # noqa: N802
            self.ready.append(None)

    return LNHGSlicerLogic()


class RunDouble:
    def __init__(self, node: Any, on_progress: Any, on_finished: Any, options: Any, seeds: Any) -> None:
        self.node, self.progress, self._on_finished, self.options, self.seeds = (
            node,
            on_progress,
            on_finished,
            options,
            seeds,
        )

    def finish(self, result: Any = RESULT) -> None:
        from LNHGSlicerLib.run.segmentation_run import segmented
        from LNHGSlicerLib.scene.nodes import add_result

        # The scene shares a result's memory, and an edited outline changes the map there: each run has its own.
        own = replace(
            result, options=self.options, labels=result.labels.copy(), heterogeneity=result.heterogeneity.copy()
        )
        found = segmented(add_result(self.node, own), own, show=False)
        self._on_finished(found, SimpleNamespace(status="finished", message="", log=None))
        slicer.app.processEvents()  # it is shown a moment later

    def answer(self, result: Any) -> None:
        """End as a click on a CT that has a result ends, with what a run with seeds found."""
        from LNHGSlicerLib.run.click_answer import Answer
        from LNHGSlicerLib.run.clicks import ClickedNodules
        from LNHGSlicerLib.scene.nodes import results_of

        whole = tuple(slice(0, size) for size in result.labels.shape)
        answer = Answer.of(whole, replace(result, options=self.options))
        self._on_finished(
            ClickedNodules(results_of(self.node), answer), SimpleNamespace(status="finished", message="", log=None)
        )
        slicer.app.processEvents()

    def fail(self, message: str, log: Path | None) -> None:
        self._on_finished(None, SimpleNamespace(status="failed", message=message, log=log))

    def cancel(self) -> None:
        self._on_finished(None, SimpleNamespace(status="cancelled", message="", log=None))


class InstallerDouble:
    """Misses what it is told to; installing works unless it is given an error."""

    def __init__(self, *missing: tuple[str, int], error: str = "") -> None:
        self._missing = [SimpleNamespace(name=name, megabytes=size) for name, size in missing]
        self._error = error
        self.folder: Path | None = None
        self.gpu = False

    def missing(self, *, gpu: bool = False) -> list[Any]:
        return [one for one in self._missing if one.name != ("openvino" if gpu else "torch")]

    def install(self, folder: Path | None, tell: Any, *, gpu: bool = False) -> None:
        self.folder, self.gpu = folder, gpu
        tell("Installing...")
        if self._error:
            raise LNHGError(self._error)
        self._missing = []
