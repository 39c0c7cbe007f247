"""LNHG Slicer: lung nodules and their heterogeneity on chest CT, as a module of 3D Slicer. Research use only."""

# ruff: noqa: N802, N803 - names in Slicer's own style
from __future__ import annotations

from collections.abc import Callable, Sequence
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

if TYPE_CHECKING:
    from pathlib import Path

    from lnhg.options import Options
    from lnhg.progress import Progress
    from LNHGSlicerLib.review.follow_up import FollowUpNodes
    from LNHGSlicerLib.run.beside import Outcome
    from LNHGSlicerLib.run.clicks import ClickedNodules, ClickRun
    from LNHGSlicerLib.run.follow_run import FollowRun
    from LNHGSlicerLib.run.segmentation_run import SegmentationRun, SegmentedNodules
    from LNHGSlicerLib.scene.nodes import SceneNodes


class LNHGSlicer(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("LNHG Slicer")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = []
        parent.contributors = ["LNHGSlicer contributors"]
        parent.helpText = _(
            "Finds and outlines lung nodules on a chest CT and maps the heterogeneity inside them: blue as even "
            "as a uniform nodule, red strongly uneven. <b>For research use only</b>: not a medical device, not for "
            "diagnosis or treatment."
        )
        parent.acknowledgementText = _(
            "After J. Song et al., Automatic Lung Nodule Segmentation and Intra-Nodular Heterogeneity Image "
            "Generation, IEEE Journal of Biomedical and Health Informatics, 2022, "
            '<a href="https://doi.org/10.1109/JBHI.2021.3135647">doi:10.1109/JBHI.2021.3135647</a>. '
            "Written independently of its authors."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData():
    """Offer the synthetic chest in Slicer's module Sample Data."""
    from LNHGSlicerLib.scene.sample_data import register

    register()


class LNHGSlicerWidget(ScriptedLoadableModuleWidget):
    """The module's panel; `LNHGSlicerLib.panel.widget.Panel` does the work."""

    panel = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        from LNHGSlicerLib.panel.widget import Panel
        from LNHGSlicerLib.run.install import Installer

        root = slicer.util.loadUI(self.resourcePath("UI/LNHGSlicer.ui"))
        self.layout.addWidget(root)
        self.panel = Panel(root, LNHGSlicerLogic(), Installer())

    def enter(self):
        self.panel.enter()

    def exit(self):
        self.panel.exit()

    def onReload(self):
        ScriptedLoadableModuleWidget.onReload(self)
        slicer.modules.LNHGSlicerWidget.enter()  # of the new widget, which Slicer does not open by itself

    def cleanup(self):
        if self.panel is not None:
            self.panel.close()


class LNHGSlicerLogic(ScriptedLoadableModuleLogic):
    """The method on nodes of the scene; for the panel and for the Python console."""

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self._clicks = None

    def segmentNodules(
        self,
        volumeNode: slicer.vtkMRMLScalarVolumeNode,
        options: Options | None = None,
        progress: Callable[[Progress], bool | None] | None = None,
        seeds: Sequence[Sequence[float]] | None = None,
    ) -> SegmentedNodules:
        """Find the nodules of a chest CT (HU) and show them in the slice views; Slicer waits until it is done.

        :param volumeNode: the CT, on any grid; the results get its grid and its parent transform.
        :param options: `lnhg.Options`; None: the defaults.
        :param progress: called with each step's `lnhg.progress.Progress`; returning False cancels.
        :param seeds: RAS points, mm, each segmented whatever the detector says; like the region of the options they lie
            on the CT's own grid, without its parent transform (`LNHGSlicerLib.scene.transforms.point_of_node` takes
            that away).
        :raises lnhg.LNHGError: the volume cannot be used, the weights are missing, or the run was cancelled.
        """
        import lnhg
        from LNHGSlicerLib.run import segmentation_run as run
        from LNHGSlicerLib.scene import nodes as scene

        result = lnhg.segment(scene.ct_of_node(volumeNode), options, seeds, progress)
        return run.add_and_show(volumeNode, result)

    def startSegmentNodules(
        self,
        volumeNode: slicer.vtkMRMLScalarVolumeNode,
        onProgress: Callable[[Progress], object] | None = None,
        onFinished: Callable[[SegmentedNodules | None, Outcome], object] | None = None,
        options: Options | None = None,
        seeds: Sequence[Sequence[float]] | None = None,
        show: bool = True,
    ) -> SegmentationRun:
        """The same in a process beside Slicer, whose window stays alive; returns the run, which can be cancelled.

        The scene stays as it is until the run has finished; after a failure or `.cancel()` nothing was added.

        :param onProgress: called with each step's `lnhg.progress.Progress`.
        :param onFinished: called once, with what was added (None unless the run finished) and its `Outcome`: status
            ("finished", "cancelled" or "failed"), message, log. What cannot be started is told so before this returns.
        :param show: whether the slice views show what was added.
        """
        import lnhg
        from LNHGSlicerLib.run.segmentation_run import SegmentationRun

        run = SegmentationRun(
            volumeNode,
            options or lnhg.Options(),
            seeds or (),
            onProgress or (lambda progress: None),
            onFinished or (lambda found, outcome: print(outcome.message)),
            show=show,
        )
        run.start()
        return run

    def startClick(
        self,
        volumeNode: slicer.vtkMRMLScalarVolumeNode,
        seeds: Sequence[Sequence[float]],
        onProgress: Callable[[Progress], object] | None = None,
        onFinished: Callable[[SegmentedNodules | ClickedNodules | None, Outcome], object] | None = None,
        options: Options | None = None,
        show: bool = True,
    ) -> ClickRun:
        """Segment what lies at some points, as a run with these seeds and nothing else does, in a process that keeps
        the CT ready for the next ones; returns the run.

        :param onFinished: called as by `startSegmentNodules`; where the CT has a result, with `ClickedNodules`, which
            `LNHGSlicerLib.review.added_nodules.add_clicked` adds to its review.
        """
        import lnhg
        from LNHGSlicerLib.run.clicks import ClickRun

        run = ClickRun(
            self._kept(),
            volumeNode,
            options or lnhg.Options(seeds_only=True),
            seeds,
            onProgress or (lambda progress: None),
            onFinished or (lambda found, outcome: print(outcome.message)),
            show=show,
        )
        run.start()
        return run

    def prepareClicks(self, volumeNode: slicer.vtkMRMLScalarVolumeNode, options: Options) -> None:
        """Keep a CT ready for `startClick`, with the networks of these options; another one no more.

        :raises lnhg.LNHGError: the volume cannot be used.
        :raises OSError: there is no place for its files.
        """
        self._kept().prepare(volumeNode, options)

    def endClicks(self) -> None:
        """Keep no CT ready; a click that waits is cancelled."""
        if self._clicks is not None:
            self._clicks.end()

    def _kept(self):
        from LNHGSlicerLib.run.clicks import Clicks

        self._clicks = self._clicks or Clicks()
        return self._clicks

    def startFollowUp(
        self,
        prior: SceneNodes | Path,
        current: SceneNodes,
        days: float | None = None,
        samePatient: bool = False,
        onProgress: Callable[[Progress], object] | None = None,
        onFinished: Callable[[FollowUpNodes | None, Outcome], object] | None = None,
        options: Options | None = None,
    ) -> FollowRun:
        """Follow the nodules of an earlier study to a CT of the scene, in a process beside Slicer; returns the run.

        :param prior: the earlier study: a result of the scene (`LNHGSlicerLib.scene.nodes.results_of` finds that of a
            CT), or a place on disk as `lnhg.follow` takes it.
        :param current: the result of the later CT.
        :param days: between them, where the headers do not say.
        :param samePatient: they are of one patient, whatever the headers say.
        :param onProgress, onFinished: as for `startSegmentNodules`; the follow-up is in the scene then.
        """
        import lnhg
        from LNHGSlicerLib.run.follow_run import FollowRun

        run = FollowRun(
            prior,
            current,
            days,
            samePatient,
            options or lnhg.Options(),
            onProgress or (lambda progress: None),
            onFinished or (lambda followed, outcome: print(outcome.message)),
        )
        run.start()
        return run


class LNHGSlicerTest(ScriptedLoadableModuleTest):
    """Slicer's own self test: the method on a small synthetic chest, its review, and a run that is cancelled."""

    def setUp(self):
        from lnhg.phantom import chest_phantom

        slicer.mrmlScene.Clear()
        ct = chest_phantom(shape=(60, 256, 256)).ct
        self.volumeNode = slicer.util.addVolumeFromArray(ct.hu, ct.ijk_to_ras, "Synthetic chest")

    def runTest(self):
        for test in (self.test_segmentAndReview, self.test_cancel):
            self.setUp()
            test()

    def test_segmentAndReview(self):
        from LNHGSlicerLib.review.review import Review

        found = LNHGSlicerLogic().segmentNodules(self.volumeNode)
        self.assertGreater(len(found.rows), 0)
        self.assertEqual(found.segmentation.GetSegmentation().GetNumberOfSegments(), len(found.rows))
        self.assertEqual(found.table.GetNumberOfRows(), len(found.rows))
        shape = slicer.util.arrayFromVolume(self.volumeNode).shape
        self.assertEqual(slicer.util.arrayFromVolume(found.heterogeneity).shape, shape)

        review, display = Review(found.nodes), found.segmentation.GetDisplayNode()
        first = review.rows()[0].segment_id
        review.accept(first)
        self.assertEqual(review.rows()[0].verdict, "accepted")
        review.reject(first)
        self.assertEqual(review.rows()[0].verdict, "rejected")
        self.assertFalse(display.GetSegmentVisibility(first))
        review.undo()
        self.assertEqual(review.rows()[0].verdict, "accepted")
        self.assertTrue(display.GetSegmentVisibility(first))

        volume = review.rows()[0].nodule.volume
        voxels = slicer.util.arrayFromSegmentBinaryLabelmap(found.segmentation, first, self.volumeNode).copy()
        voxels[tuple(axis[0] for axis in voxels.nonzero())] = 0  # one voxel, as the Segment Editor would
        slicer.util.updateSegmentBinaryLabelmapFromArray(voxels, found.segmentation, first, self.volumeNode)
        self.assertTrue(review.update())
        self.assertLess(review.rows()[0].nodule.volume, volume)
        self.assertEqual(review.rows()[0].verdict, "edited")

    def test_cancel(self):
        ended, before = [], slicer.mrmlScene.GetNumberOfNodes()
        run = LNHGSlicerLogic().startSegmentNodules(self.volumeNode, onFinished=lambda *end: ended.append(end))
        run.cancel()
        ((found, outcome),) = ended
        self.assertIsNone(found)
        self.assertEqual(outcome.status, "cancelled")
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)
