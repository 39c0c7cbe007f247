"""A review is saved with the scene, also an outline that was changed at last, closed and opened again."""

from driving import *


def steps():
    add_ct("First")
    node = add_ct()
    nodes = add_result(node)
    panel = open_module()
    panel.ui.ctSelector.setCurrentNode(node)
    yield 700
    key("shift+a")
    yield from until(lambda: row_texts(panel, "Verdict")[0] == "accepted")
    key("shift+r")
    yield from until(lambda: row_texts(panel, "Verdict")[1] == "rejected")
    yield 300
    volume = panel.review._review.rows()[2].nodule.volume
    slicer.util.selectModule("Data")
    half = slicer.util.arrayFromSegmentBinaryLabelmap(nodes.segmentation, "Nodule_3", node).copy()
    half[:, :, : int(np.median(np.argwhere(half)[:, 2])) + 1] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(half, nodes.segmentation, "Nodule_3", node)
    path = OUT / "review.mrb"
    check("the scene is saved", slicer.util.saveScene(str(path)))
    slicer.mrmlScene.Clear(False)
    yield 500
    slicer.util.selectModule("LNHGSlicer")
    yield 500
    check(
        "a closed scene leaves an empty panel", not panel.ui.reviewGroup.visible and not panel.ui.segmentButton.enabled
    )
    shot("closed")
    check("it is opened", slicer.util.loadScene(str(path)))
    yield from until(lambda: row_texts(panel, "Verdict")[2] == "edited")
    name = panel.ui.ctSelector.currentNode().GetName()
    check("with the CT that was selected", name == node.GetName() == "Chest", name)
    verdicts = row_texts(panel, "Verdict")
    check("the verdicts are there", verdicts[:2] == ["accepted", "rejected"], verdicts)
    check("the outline that was changed at last is measured", verdicts[2] == "edited", verdicts)
    now = panel.review._review.rows()[2].nodule.volume
    check("and its volume is smaller", now < volume, (volume, now))
    check("the time is there", panel.review._review.rows()[0].seconds > 0, panel.review._review.rows()[0].seconds)
    shot("opened")


drive(steps)
