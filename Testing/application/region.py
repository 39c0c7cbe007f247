"""A region that is chosen before it is placed; another one, drawn with the mouse, and a second run inside it."""

from driving import *


def steps():
    node = add_ct()
    nodes = add_result(node)
    panel = open_module()
    yield 700
    region = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Left")
    panel.ui.regionSelector.setCurrentNode(region)
    yield 300
    check("a region that is not placed is refused", not panel.ui.segmentButton.enabled, panel.ui.segmentButton.toolTip)
    region.SetRadiusXYZ(40, 40, 30)
    yield 300
    check("once it is placed the run can begin", panel.ui.segmentButton.enabled, panel.ui.segmentButton.toolTip)

    panel.ui.regionSelector.setCurrentNode(None)
    slicer.mrmlScene.RemoveNode(region)
    yield 300
    red, button = slice_view("Red"), panel.ui.drawRegionButton
    click(button)
    yield from until(lambda: panel.region.waiting)
    check("the button says what to do", "two corners" in button.text, button.text)
    click(red, 60, 60, button=3)
    yield from until(lambda: not panel.region.waiting)
    check("a right click gives up", button.text == "Draw...", button.text)
    check("and leaves no region behind", not nodes_of("vtkMRMLMarkupsROINode"))
    check("nor is one chosen", panel.ui.regionSelector.currentNode() is None)

    key("shift+v")
    yield 500
    centre = np.array(nodes.segmentation.GetSegmentCenterRAS("Nodule_2"))
    show_place(centre)
    yield 500
    click(button)
    yield from until(lambda: panel.region.waiting)
    for corner in (-35, 35):
        at = in_view(red, centre + np.array([corner, corner, 0]))
        move(red, *at)
        yield 300
        click(red, *at)
        yield 500
    yield from until(lambda: panel.ui.regionSelector.currentNode() is not None)
    region, bounds = panel.ui.regionSelector.currentNode(), [0.0] * 6
    region.GetRASBounds(bounds)
    sides = np.diff(np.reshape(bounds, (3, 2)))[:, 0]
    check("two clicks draw a box, as deep as it is wide", np.allclose(sides, 70, atol=4), sides)
    check("around the nodule", np.allclose(np.reshape(bounds, (3, 2)).mean(1), centre, atol=4), bounds)
    check("the mouse does again what it did", not panel.region.waiting and button.text == "Draw...")
    shot("region")
    key("shift+s")
    yield from until(lambda: panel.running)
    yield from until(lambda: not panel.running, 400)
    yield 500
    said = panel.ui.statusLabel.text
    check("no error is told", not panel.ui.errorLabel.text, panel.ui.errorLabel.text)
    check("what lay outside is told apart from what was not found", "Outside the region" in said, said)
    check("nothing inside was lost", "Not found again" not in said, said)
    shot("result")


drive(steps)
