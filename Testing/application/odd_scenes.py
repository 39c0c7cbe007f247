"""A scene that changes under a review: files that are loaded, other layouts, transforms, undo, closing."""

import vtk
from vtk.util.numpy_support import vtk_to_numpy

from driving import *


def backgrounds():
    """The volumes that the slice views of the layout show."""
    views = [view for view in nodes_of("vtkMRMLSliceNode") if view.IsMappedInLayout()]
    logics = slicer.app.applicationLogic()
    shown = [logics.GetSliceLogic(view).GetSliceCompositeNode().GetBackgroundVolumeID() for view in views]
    return {slicer.mrmlScene.GetNodeByID(one) for one in shown}


def discard(dialog):
    """Slicer asks whether the scene should be saved."""
    buttons = [one for one in slicer.util.findChildren(dialog, className="QPushButton") if "discard" in one.text]
    for button in buttons:
        log("Slicer ends; so far", "passed")
        button.click()
    return bool(buttons)


# Slicer's own, when its undo brings nodes back before their displays.
DRIVE.expected += [r"setColorAndTerminologyToDisplayableNode.*No display node"]


def steps():
    node = add_ct()
    panel = open_module()
    ui = panel.ui
    nodes = add_result(node)
    yield from until(lambda: panel.review.nodes is not None)
    count = ui.noduleTable.rowCount
    titles = [ui.noduleTable.horizontalHeaderItem(column).text() for column in range(ui.noduleTable.columnCount)]
    check("the score is called a probability", "Prob." in titles and "Score" not in titles, titles)

    # Another CT, loaded while a result is shown: readers of files select what they read, and all views show it.
    ct = phantom_ct()
    other = slicer.util.addVolumeFromArray(ct.hu[::-1].copy(), ct.ijk_to_ras, "Other")
    application = slicer.app.applicationLogic()
    application.GetSelectionNode().SetActiveVolumeID(other.GetID())
    application.PropagateVolumeSelection()
    yield 500
    check("Slicer shows the volume that was loaded", backgrounds() == {other}, backgrounds())
    check("the result stays in the table", ui.noduleTable.rowCount == count and ui.ctSelector.currentNode() is node)
    shot("loaded")
    key("shift+n")
    yield from until(lambda: backgrounds() == {node})
    check("the next nodule is shown on its own CT", backgrounds() == {node}, backgrounds())
    key("shift+v")
    yield 300
    slicer.mrmlScene.RemoveNode(other)
    yield 300

    # The eye of the outlines in the Data module.
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    item = hierarchy.GetItemByDataNode(nodes.segmentation)
    for visible in (False, True):
        slicer.util.selectModule("Data")
        yield 300
        hierarchy.SetItemDisplayVisibility(item, visible)
        yield 300
        slicer.util.selectModule("LNHGSlicer")
        yield from until(lambda: ui.outlineBox.checked is visible)  # noqa: B023
        check("the box of the outlines says what the Data module did", ui.outlineBox.checked is visible, visible)
        check("and they are", bool(nodes.segmentation.GetDisplayNode().GetVisibility2D()) and not ui.errorBox.visible)

    # A layout without slice views.
    layouts = slicer.app.layoutManager()
    layouts.layoutLogic().GetLayoutNode().AddLayoutDescription(
        15001, '<layout type="vertical"><item><view class="vtkMRMLTableViewNode" singletontag="T"/></item></layout>'
    )
    slicer.util.selectModule("Data")
    layouts.setLayout(15001)
    yield 500
    slicer.util.selectModule("LNHGSlicer")
    yield 300
    for name in ("shift+n", "shift+a", "shift+u", "shift+t", "shift+t", "shift+v"):
        key(name)
        yield 200
    check("without slice views the review goes on", not ui.errorBox.visible, ui.errorLabel.text)
    shot("no-slices")
    layouts.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    yield 500
    key("shift+n")
    yield from until(lambda: backgrounds() == {node})
    check("back in the usual layout the views show the CT", backgrounds() == {node})

    # A transform that bends.
    field = np.zeros((8, 8, 8, 3))
    field[..., 0] = 12.0
    origin = np.array(node.GetOrigin())
    image = slicer.util.addVolumeFromArray(
        field,
        slicer.util.arrayFromVTKMatrix(slicer.util.vtkMatrixFromArray(np.diag([60.0, 60, 60, 1]))),
        "Field",
        nodeClassName="vtkMRMLVectorVolumeNode",
    )
    image.SetOrigin(*(origin - 200))
    grid = slicer.vtkOrientedGridTransform()
    grid.SetDisplacementGridData(image.GetImageData())
    bent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "Bent")
    bent.SetAndObserveTransformToParent(grid)
    slicer.mrmlScene.RemoveNode(image)
    node.SetAndObserveTransformNodeID(bent.GetID())
    yield from until(lambda: nodes.segmentation.GetTransformNodeID() == bent.GetID())
    key("shift+n")
    yield 500
    centre = nodes.segmentation.GetSegmentCenterRAS(panel.review.selected)
    off = off_middle(slice_view(), centre)
    check("under a bent transform the nodule is in the middle", off < 2, f"{off:.1f} mm")
    check("and nothing went wrong", not ui.errorBox.visible, ui.errorLabel.text)
    shot("bent")
    node.SetAndObserveTransformNodeID(None)
    yield from until(lambda: nodes.segmentation.GetTransformNodeID() is None)

    # What other modules do meanwhile.
    later = add_result(node)
    yield from until(lambda: panel.review.nodes.segmentation is later.segmentation)
    slicer.util.selectModule("Data")
    slicer.mrmlScene.RemoveNode(later.segmentation)
    moved = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Moved")
    moved.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.eye(4) + np.eye(4, k=3) * 30))
    yield 500
    slicer.util.selectModule("LNHGSlicer")
    yield from until(lambda: panel.review.nodes is not None)
    check("a later result that was deleted in Data gives way", panel.review.nodes.segmentation is nodes.segmentation)
    slicer.util.selectModule("Data")
    node.SetAndObserveTransformNodeID(moved.GetID())
    yield from until(lambda: nodes.segmentation.GetTransformNodeID() == moved.GetID())
    check("the result moves with its CT while Data is open", nodes.raw_ct.GetTransformNodeID() == moved.GetID())
    node.HardenTransform()
    yield 500
    slicer.util.selectModule("LNHGSlicer")
    yield from until(lambda: panel.review.nodes is None)
    check("on a CT that was hardened there it is not shown", "moved" in ui.errorLabel.text, ui.errorLabel.text)
    moved.Inverse()
    node.SetAndObserveTransformNodeID(moved.GetID())
    node.HardenTransform()
    yield from until(lambda: panel.review.nodes is not None)
    check("until that is back", not ui.errorBox.visible and ui.noduleTable.rowCount == count)
    nodes.segmentation.SetAndObserveTransformNodeID(moved.GetID())
    yield from until(lambda: nodes.segmentation.GetTransformNodeID() is None)
    shot("moved-in-data")

    # Names are the reader's own.
    for number, one in enumerate((*nodes.added, node)):
        one.SetName(f"Renamed {number}")
    yield 300
    key("shift+a")
    yield from until(lambda: "accepted" in row_texts(panel, "Verdict"))
    check("renamed nodes are still the result", not ui.errorBox.visible, ui.errorLabel.text)

    # Other voxels in the same node, as a sequence browser puts them there.
    image = node.GetImageData()
    later = type(image)()
    later.DeepCopy(image)
    scalars = vtk_to_numpy(later.GetPointData().GetScalars())
    scalars[:] = scalars[::-1]
    node.SetAndObserveImageData(later)
    yield from until(lambda: panel.review.nodes is None)
    check("on other voxels the result is not shown", "other voxels" in ui.errorLabel.text, ui.errorLabel.text)
    node.SetAndObserveImageData(image)
    yield from until(lambda: panel.review.nodes is not None)
    check("on its own it is again", not ui.errorBox.visible and ui.noduleTable.rowCount == count)

    # Several values a voxel.
    colours = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Two values")
    two = vtk.vtkImageData()
    two.SetDimensions(8, 8, 8)
    two.AllocateScalars(vtk.VTK_SHORT, 2)
    colours.SetAndObserveImageData(two)
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "RGB")
    yield 300
    names = [ui.ctSelector.nodeFromIndex(one).GetName() for one in range(ui.ctSelector.nodeCount())]
    check("a picture in colour is not offered", "RGB" not in names, names)
    ui.ctSelector.setCurrentNode(colours)
    yield 300
    click(ui.segmentButton)
    yield from until(lambda: "several values" in ui.errorLabel.text)
    check("a CT with several values a voxel is refused", not panel.running, ui.errorLabel.text)
    ui.ctSelector.setCurrentNode(node)
    yield from until(lambda: panel.review.nodes is not None)
    slicer.mrmlScene.RemoveNode(colours)

    # Slicer's own undo of the scene.
    slicer.mrmlScene.SetUndoOn()
    for one in (*nodes.added, node):
        one.SetUndoEnabled(True)
    slicer.mrmlScene.SaveStateForUndo()
    key("shift+r")
    yield 500
    slicer.mrmlScene.Undo()
    yield 700
    slicer.mrmlScene.Redo()
    yield 700
    key("shift+n")
    yield 300
    check("undo and redo of the scene break nothing", not ui.errorBox.visible, ui.errorLabel.text)
    slicer.mrmlScene.SetUndoOff()
    shot("undone")

    # The scene is closed during a review, and while an outline is edited.
    for module in ("LNHGSlicer", "SegmentEditor"):
        if module == "SegmentEditor":
            add_result(add_ct())
            yield from until(lambda: panel.review.nodes is not None)
            click(ui.editButton)
            yield from until(lambda: slicer.util.selectedModule() == "SegmentEditor")
            yield 500
        slicer.mrmlScene.Clear(False)
        yield 500
        slicer.util.selectModule("LNHGSlicer")
        yield 500
        check("after the scene was closed there is nothing to review", not ui.reviewGroup.visible)
        check("and no error is told", not ui.errorBox.visible, ui.errorLabel.text)
        check("and a CT is asked for", "Load a chest CT" in ui.segmentButton.toolTip, ui.segmentButton.toolTip)
    shot("closed")

    # The window is closed during a run: Slicer ends, and the drive with it, so that nothing may have failed before.
    if DRIVE.faults:
        return
    add_ct()
    yield 500
    click(ui.segmentButton)
    yield from until(lambda: panel.running)
    yield from until(lambda: ui.progressBar.value > 0, 120)
    DRIVE.answers.append(discard)
    slicer.util.mainWindow().close()
    yield 10_000
    check("Slicer ends when its window is closed during a run", False)


drive(steps)
