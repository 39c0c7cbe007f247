"""LNHG Slicer: lung nodules and their heterogeneity on chest CT, as a module of 3D Slicer. Research use only."""

# ruff: noqa: N802, N803, N806 - names in Slicer's own style
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

if TYPE_CHECKING:
    from lnhg.nodules import Nodule
    from lnhg.options import Options
    from lnhg.progress import Progress


class LNHGSlicer(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("LNHG Slicer")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = []
        parent.contributors = ["LNHGSlicer contributors"]
        parent.helpText = _(
            "Finds and outlines lung nodules on a chest CT and maps the heterogeneity inside them: blue where it is "
            "weak, red where it is strong. <b>For research use only</b>: not a medical device, not for diagnosis or "
            "treatment."
        )
        parent.acknowledgementText = _(
            "After J. Song et al., Automatic Lung Nodule Segmentation and Intra-Nodular Heterogeneity Image "
            "Generation, IEEE Journal of Biomedical and Health Informatics, 2022, "
            '<a href="https://doi.org/10.1109/JBHI.2021.3135647">doi:10.1109/JBHI.2021.3135647</a>. '
            "Written independently of its authors."
        )


class LNHGSlicerWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panel: choose a CT, click, read the progress."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.panel = slicer.util.loadUI(self.resourcePath("UI/LNHGSlicer.ui"))
        self.layout.addWidget(self.panel)
        self.ui = slicer.util.childWidgetVariables(self.panel)
        self.panel.setMRMLScene(slicer.mrmlScene)
        self.logic = LNHGSlicerLogic()
        self.ui.ctSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._checkCanSegment)
        self.ui.segmentButton.connect("clicked(bool)", self.onSegmentButton)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self._checkCanSegment()

    def cleanup(self):
        self.removeObservers()

    def onSceneEndClose(self, caller, event):
        self.ui.statusLabel.setText("")
        self._checkCanSegment()

    def onSegmentButton(self, checked=False):
        """Run on the chosen CT; errors are shown in a window, the result in the views and the status line."""
        self.panel.setEnabled(False)
        with slicer.util.tryWithErrorDisplay(_("The nodules could not be segmented."), waitCursor=True):
            segmented = self.logic.segmentNodules(self.ui.ctSelector.currentNode(), progress=self._showProgress)
            self.ui.statusLabel.setText(_("Nodules found: {count}").format(count=len(segmented.rows)))
        self.panel.setEnabled(True)

    def _showProgress(self, progress: Progress) -> None:
        left = "" if progress.seconds_left is None else _(", {seconds:.0f} s left").format(seconds=progress.seconds_left)
        self.ui.statusLabel.setText(f"{progress.stage}: {progress.fraction:.0%}{left}")
        slicer.app.processEvents()

    def _checkCanSegment(self, node=None):
        ready = self.ui.ctSelector.currentNode() is not None
        self.ui.segmentButton.setEnabled(ready)
        self.ui.segmentButton.setToolTip(_("Find the nodules of this CT.") if ready else _("Select a chest CT first."))


@dataclass(frozen=True)
class SegmentedNodules:
    """What `segmentNodules` added to the scene, and the rows of the nodule table."""

    segmentation: slicer.vtkMRMLSegmentationNode
    heterogeneity: slicer.vtkMRMLScalarVolumeNode
    table: slicer.vtkMRMLTableNode
    rows: tuple[Nodule, ...]
    warnings: tuple[str, ...]


class LNHGSlicerLogic(ScriptedLoadableModuleLogic):
    """The method on nodes of the scene; for the panel and for the Python console."""

    def segmentNodules(
        self,
        volumeNode: slicer.vtkMRMLScalarVolumeNode,
        options: Options | None = None,
        progress: Callable[[Progress], bool | None] | None = None,
    ) -> SegmentedNodules:
        """Find the nodules of a chest CT (HU) and show them in the slice views.

        :param volumeNode: the CT, on any grid; the results get its grid and its parent transform.
        :param options: `lnhg.Options`; None: the defaults.
        :param progress: called with each step's `lnhg.progress.Progress`; returning False cancels.
        :raises lnhg.LNHGError: the volume cannot be used, the weights are missing, or the run was cancelled.
        """
        import lnhg
        from LNHGSlicerLib import scene

        result = lnhg.segment(scene.ct_of_node(volumeNode), options, progress=progress)
        nodes = scene.add_result(volumeNode, result)
        scene.show(nodes)
        scene.jump_to_first_nodule(nodes)
        return SegmentedNodules(nodes.segmentation, nodes.heterogeneity, nodes.table, result.nodules, result.warnings)


class LNHGSlicerTest(ScriptedLoadableModuleTest):
    """Slicer's own self test: the whole method on a small synthetic chest."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_segmentNodules()

    def test_segmentNodules(self):
        from lnhg.data.phantom import chest_phantom

        ct = chest_phantom(shape=(60, 256, 256)).ct
        volumeNode = slicer.util.addVolumeFromArray(ct.hu, ct.ijk_to_ras, "Synthetic chest")
        found = LNHGSlicerLogic().segmentNodules(volumeNode)

        self.assertGreater(len(found.rows), 0)
        self.assertEqual(found.segmentation.GetSegmentation().GetNumberOfSegments(), len(found.rows))
        self.assertEqual(found.table.GetNumberOfRows(), len(found.rows))
        self.assertEqual(slicer.util.arrayFromVolume(found.heterogeneity).shape, ct.hu.shape)
