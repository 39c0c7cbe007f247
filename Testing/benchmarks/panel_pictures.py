"""Pictures of the panel in its states, into Resources/Screenshots: `python Testing/benchmarks/panel_pictures.py`.

The widgets are those of the module, drawn by PySide6 in place of Slicer's own Qt; the nodules are planted in a small
synthetic chest, and their map is the distance from their middle.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "LNHGSlicer"), str(ROOT / "Testing")]

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import slicer  # noqa: E402
from PySide6 import QtCore  # noqa: E402
from scipy import ndimage  # noqa: E402

from host import panel_double  # noqa: E402
from lnhg.core.result import Result  # noqa: E402
from lnhg.options import Options  # noqa: E402
from lnhg.phantom import chest_phantom  # noqa: E402
from lnhg.progress import Progress  # noqa: E402
from lnhg.stages.lungs import lung_regions  # noqa: E402
from lnhg.stages.maps import MapInput, outlines_of, raw_map  # noqa: E402
from lnhg.stages.measurement import measure_nodules  # noqa: E402
from LNHGSlicerLib.scene.headless import headless_host  # noqa: E402

_FOLDER = ROOT / "Resources" / "Screenshots"
_WIDTH = 480
_LOG = "Traceback (most recent call last):\n  ...\ntorch.OutOfMemoryError: CUDA out of memory.\n"


def planted() -> Result:
    """The nodules of the synthetic chest, as if the method had found them all."""
    phantom = chest_phantom(shape=(60, 256, 256))
    ct, labels = phantom.ct, phantom.labels
    depth = ndimage.distance_transform_edt(labels > 0, ct.spacing[::-1])
    count = int(labels.max())
    deepest = np.array([1, *ndimage.maximum(depth, labels, range(1, count + 1))])[labels]
    noise = np.random.default_rng(1).normal(0, 0.08, labels.shape)
    image = np.where(labels > 0, np.clip(depth / deepest + noise, 0, 1), 0).astype(np.float32)
    heterogeneity = np.where(labels > 0, 1 - image, -1).astype(np.float32)
    raw_ct = raw_map(MapInput(ct.hu, ct.spacing), outlines_of(labels), Options())
    scores = [round(0.97 - 0.07 * number, 2) for number in range(count)]
    nodules = measure_nodules(
        ct, labels, heterogeneity, raw_ct, lung_regions(ct), statuses=["confirmed"] * count, scores=scores, rim_mm=1.0
    )
    provenance = {"device": "cpu (float32)"}
    nothing = np.zeros_like(labels)
    return Result(ct, labels, heterogeneity, lambda: image, nothing, nodules, (), Options(), provenance, ())


def take(panel: Any, name: str) -> None:
    """Write `panel-NAME.png`, as high as the panel needs to be."""
    for _ in range(2):  # the first time, what was shown anew gets its width
        slicer.app.processEvents()
        panel.root.resize(_WIDTH, panel.root.layout().totalHeightForWidth(_WIDTH))
        panel.root.grab()
    panel.root.grab().save(str(_FOLDER / f"panel-{name}.png"))


def main() -> None:
    installer = panel_double.InstallerDouble(("torch", 2500), ("torchvision", 10), ("nibabel", 4), ("scikit-image", 15))
    result = planted()
    with headless_host() as scene:
        scene.AddNewNodeByClass("vtkMRMLCrosshairNode")
        with pytest.MonkeyPatch.context() as patch, panel_double.open_panel(patch, installer=installer) as panel:
            panel.root.setAttribute(QtCore.Qt.WA_DontShowOnScreen)
            panel.root.show()
            panel_double.add_ct("Thorax 1.0 B70f", result)
            take(panel, "install")
            panel_double.click(panel.ui.installButton)
            take(panel, "start")
            take_run(panel, result)
            take_review(panel, result)


def take_run(panel: Any, result: Result) -> None:
    """A run that is under way, one that broke, and one that finished."""
    panel_double.click(panel.ui.segmentButton)
    run = panel.logic.runs[-1]
    run.progress(Progress("detect", 0.42, 75.0))
    take(panel, "running")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "run.log"
        log.write_text(_LOG)
        run.fail("The memory of the GPU is full. Choose a batch of 1 or the processor (CPU) under Advanced.", log)
    panel_double.click(panel.ui.logButton)
    take(panel, "error")
    panel_double.click(panel.ui.segmentButton)
    panel.logic.runs[-1].finish(result)


def take_review(panel: Any, result: Result) -> None:
    """The third nodule under review, with all groups that belong to it; then the advanced choices."""
    panel_double.click(panel.ui.acceptButton)
    panel_double.click(panel.ui.rejectButton)
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    crosshair.SetCursorPositionRAS([float(x) for x in result.ct.to_ras(np.argwhere(result.labels == 3)[5][::-1])])
    for group in (panel.ui.studyGroup, panel.ui.exportGroup):
        group.setProperty("collapsed", False)
    panel.ui.readerEdit.setText("Reader 1")
    panel.ui.readerEdit.editingFinished.emit()
    panel.ui.exportFolderEdit.setCurrentPath("Documents/LNHG")
    take(panel, "review")
    for group in (panel.ui.reviewGroup, panel.ui.studyGroup, panel.ui.exportGroup):
        group.setProperty("collapsed", True)
    panel.ui.advancedGroup.setProperty("collapsed", False)
    take(panel, "advanced")


if __name__ == "__main__":
    main()
