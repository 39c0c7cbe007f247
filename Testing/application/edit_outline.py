"""An outline is changed in the Segment Editor, opened by the panel and opened by the reader; the figures follow."""

import csv

import vtk

from driving import *


def erase(name, ras):
    """Drag Slicer's eraser over a point of the red view."""
    view = slice_view("Red")
    at = in_view(view, ras)
    drag(view, (at[0] - 6, at[1]), (at[0] + 4, at[1]))


def inside(segment_id, segmentation, ct_node):
    """A voxel (RAS) in the middle of the segment's largest section: the centre of a bent nodule lies outside of it."""
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, ct_node)
    k = int(mask.sum((1, 2)).argmax())
    voxels = np.argwhere(mask[k])
    j, i = voxels[((voxels - voxels.mean(0)) ** 2).sum(1).argmin()]
    matrix = vtk.vtkMatrix4x4()
    ct_node.GetIJKToRASMatrix(matrix)
    return matrix.MultiplyPoint((float(i), float(j), float(k), 1.0))[:3]


def steps():
    node = add_ct()
    nodes = add_result(node)
    panel = open_module()
    yield 700
    volumes = lambda: [row.nodule.volume for row in panel.review._review.rows()]  # noqa: E731
    before = volumes()
    click(panel.ui.editButton)
    yield from until(lambda: slicer.util.selectedModule() == "SegmentEditor")
    yield 1000
    editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
    check("the Segment Editor has the nodule", editor.currentSegmentID() == "Nodule_1", editor.currentSegmentID())
    editor.setActiveEffectByName("Erase")
    effect = editor.activeEffect()
    if check("it can erase", effect is not None):
        effect.setParameter("BrushAbsoluteDiameter", "6")
        effect.setParameter("BrushDiameterIsRelative", "0")
        yield 1500  # the panel has become wider
        point = inside("Nodule_1", nodes.segmentation, node)
        show_place(point)
        yield 500
        erase("Nodule_1", point)
        yield 700
        shot("erased")
        editor.setActiveEffectByName("")
    slicer.util.selectModule("LNHGSlicer")
    yield 1000
    check("the outline that was edited is measured", volumes()[0] < before[0], (before[0], volumes()[0]))
    check("and called edited", row_texts(panel, "Verdict")[0] == "edited", row_texts(panel, "Verdict"))
    shot("measured")

    slicer.util.selectModule("SegmentEditor")
    yield 1000
    editor.undo()
    yield 500
    slicer.util.selectModule("LNHGSlicer")
    yield from until(lambda: np.isclose(volumes()[0], before[0]))
    check("what the editor's Undo brings back is measured again", np.isclose(volumes()[0], before[0]), volumes()[0])

    segments = nodes.segmentation.GetSegmentation()
    slicer.util.selectModule("SegmentEditor")
    yield 500
    drawn = segments.AddEmptySegment("", "Drawn by a reader")
    ball = np.zeros_like(slicer.util.arrayFromVolume(node))
    ball[10:12, 60:66, 30:36] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(ball, nodes.segmentation, drawn, node)
    slicer.util.selectModule("LNHGSlicer")
    yield from until(lambda: panel.ui.noduleTable.rowCount == 4)
    check("a segment that the reader drew has its row", row_texts(panel, "Verdict")[-1] == "edited", volumes())
    segments.RemoveSegment("Nodule_4")
    yield from until(lambda: panel.ui.noduleTable.rowCount == 3)

    segments.SetSourceRepresentationName("Closed surface")
    yield 1500
    check("surfaces as source reject no nodule", "rejected" not in row_texts(panel, "Verdict"), volumes())
    check("and lose no voxel", np.allclose(volumes(), before), volumes())

    slicer.util.selectModule("SegmentEditor")
    yield 500
    half = slicer.util.arrayFromSegmentBinaryLabelmap(nodes.segmentation, "Nodule_2", node).copy()
    half[:, : int(np.median(np.argwhere(half)[:, 1])) + 1] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(half, nodes.segmentation, "Nodule_2", node)
    slicer.util.selectModule("LNHGSlicer")
    yield 1000
    check("one that was changed without the panel's button too", volumes()[1] < before[1], (before[1], volumes()[1]))
    check("and called edited", row_texts(panel, "Verdict")[1] == "edited", row_texts(panel, "Verdict"))
    click(panel.ui.undoButton)
    yield 500
    check("undo brings it back", np.isclose(volumes()[1], before[1], rtol=1e-3), volumes()[1])

    panel.ui.exportFolderEdit.setCurrentPath(str(OUT))
    panel.ui.exportGroup.collapsed = False
    panel.tell("A sentence that takes more than one line of the panel. " * 4, node)
    yield 700
    check("nothing in the panel lies over the other after another module was open", not overlapping(panel))
    slicer.util.updateSegmentBinaryLabelmapFromArray(half, nodes.segmentation, "Nodule_2", node)
    yield 100
    click(panel.ui.exportTableButton)
    yield from until(lambda: (OUT / "nodules.csv").exists())
    with (OUT / "nodules.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    check("what is written is what is drawn", rows[1]["status"] == "edited", rows[1]["status"])
    panel.review.select("Nodule_3")
    slicer.util.selectModule("SegmentEditor")
    yield 800
    editor.setCurrentSegmentID("Nodule_3")
    click(slicer.util.findChild(editor, "RemoveSegmentButton"))
    yield from until(lambda: not nodes.segmentation.GetSegmentation().GetSegment("Nodule_3"))
    slicer.util.selectModule("LNHGSlicer")
    yield from until(lambda: panel.ui.noduleTable.rowCount == 2)
    check("a removed segment leaves the table", panel.ui.noduleTable.rowCount == 2)
    check("and the one at its place is selected", panel.review.selected == "Nodule_2", panel.review.selected)
    slicer.util.selectModule("SegmentEditor")
    yield 800
    editor.undo()
    yield 300
    slicer.util.selectModule("LNHGSlicer")
    yield from until(lambda: panel.ui.noduleTable.rowCount == 3)
    check("what the editor's Undo brings back is in the table again", panel.ui.noduleTable.rowCount == 3)


drive(steps)
