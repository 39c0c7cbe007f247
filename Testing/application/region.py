"""A region that is chosen before it is placed, and a second run inside it."""

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
    region.SetXYZ(*nodes.segmentation.GetSegmentCenterRAS("Nodule_2"))
    region.SetRadiusXYZ(40, 40, 30)
    yield 300
    check("once it is placed the run can begin", panel.ui.segmentButton.enabled, panel.ui.segmentButton.toolTip)
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
