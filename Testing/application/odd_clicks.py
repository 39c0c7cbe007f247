"""Clicks in an order that nobody expects: two starts at once, nodes deleted, moved and copied, other layouts."""

from driving import *

# Slicer's own, when the display node of a model is deleted.
DRIVE.expected += [r"setColorAndTerminologyToDisplayableNode.*No display node"]


def steps():
    node = add_ct()
    panel = open_module()
    yield 500
    ui = panel.ui
    red = slice_view("Red")

    click(ui.addNoduleButton)
    yield from until(lambda: panel.place.waiting)
    click(ui.segmentButton)
    yield from until(lambda: panel.running)
    check("a run ends the placing of a point", not panel.place.waiting, ui.addNoduleButton.text)
    click(red, 60, 60)
    yield 300
    key("shift+c")
    yield from until(lambda: not panel.running)
    yield 500
    check("and a click in a view starts no second run", not panel.running and "Cancelled" in ui.statusLabel.text)

    click(ui.addNoduleButton)
    yield from until(lambda: panel.place.waiting)
    slicer.mrmlScene.RemoveNode(nodes_of("vtkMRMLMarkupsFiducialNode")[0])
    yield from until(lambda: not panel.place.waiting)
    check("a deleted point ends the placing", ui.addNoduleButton.text == "Add nodule here...", ui.addNoduleButton.text)

    nodes = add_result(node)
    yield from until(lambda: panel.review.nodes is not None)
    count = ui.noduleTable.rowCount
    check("a result that was made by code is shown", count >= 2, count)
    double_click(ui.acceptButton)
    yield 1500
    check("a double click accepts one nodule", row_texts(panel, "Verdict").count("accepted") == 1)

    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutThreeOverThreeView)
    views = lambda: nodes_of("vtkMRMLSliceCompositeNode")  # noqa: E731
    yield from until(lambda: all(one.GetForegroundVolumeID() == nodes.heterogeneity.GetID() for one in views()))
    check("the views of another layout show CT and map", len(views()) == 6, len(views()))
    shot("layout")
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Moved")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.diag([1.0, 1, 1, 1]) + np.eye(4, k=3) * 30))
    node.SetAndObserveTransformNodeID(transform.GetID())
    yield from until(lambda: nodes.segmentation.GetTransformNodeID() == transform.GetID())
    check("the result moves with its CT", nodes.heterogeneity.GetTransformNodeID() == transform.GetID())
    node.SetAndObserveTransformNodeID(None)
    yield 300
    origin = node.GetOrigin()
    node.SetOrigin(0, 0, 0)
    yield from until(lambda: panel.review.nodes is None)
    check("on a CT that was moved it is not shown", "moved" in ui.errorLabel.text, ui.errorLabel.text)
    node.SetOrigin(*origin)
    yield from until(lambda: panel.review.nodes is not None)
    check("until that is back", not ui.errorBox.visible and ui.noduleTable.rowCount == count)

    for one in (nodes.boxes, nodes.heterogeneity):
        for number in reversed(range(one.GetNumberOfDisplayNodes())):
            slicer.mrmlScene.RemoveNode(one.GetNthDisplayNode(number))
    yield from until(lambda: nodes.heterogeneity.GetDisplayNode() and nodes.boxes.GetDisplayNode())
    key("shift+l")
    yield from until(lambda: nodes.boxes.GetDisplayNode().GetVisibility())
    check("what was deleted of the display is there again", not ui.errorBox.visible, ui.errorLabel.text)

    later = add_result(node)
    yield from until(lambda: panel.review.nodes.segmentation is later.segmentation)
    slicer.mrmlScene.RemoveNode(later.segmentation)
    yield from until(lambda: panel.review.nodes is not None)
    check("without the later result the earlier one is shown", panel.review.nodes.segmentation is nodes.segmentation)
    check("with its verdicts", row_texts(panel, "Verdict")[0] == "accepted", row_texts(panel, "Verdict"))
    slicer.mrmlScene.RemoveNode(nodes.table)
    yield from until(lambda: panel.review.nodes is None)
    key("shift+v")
    yield 300
    check("without a result the views can be put back", not ui.restoreViewsButton.enabled)
    check("and why there is none is told", "A part of this result was removed" in ui.errorLabel.text)

    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
    yield 300
    ui.ctSelector.setCurrentNode(empty)
    yield 300
    check("an empty volume is refused", not ui.segmentButton.enabled and "empty" in ui.segmentButton.toolTip)
    names = [ui.ctSelector.nodeFromIndex(one).GetName() for one in range(ui.ctSelector.nodeCount())]
    check("what is no CT is not offered", "Labels" not in names and "Raw CT in the same colours" not in names, names)
    slicer.mrmlScene.RemoveNode(empty)
    ui.ctSelector.setCurrentNode(node)
    click(ui.addNoduleButton)
    yield from until(lambda: panel.place.waiting)
    slicer.mrmlScene.RemoveNode(node)
    yield 300
    click(red, 100, 100)
    yield from until(lambda: not panel.place.waiting)
    check("a point without a CT is answered", "Load a chest CT" in ui.errorLabel.text, ui.errorLabel.text)
    shot("end")


drive(steps)
