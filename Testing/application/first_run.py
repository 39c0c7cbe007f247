"""A chest CT is segmented with one click; the nodules are looked at, and the views put back."""

from driving import *


def steps():
    node = add_ct()
    panel = open_module()
    yield 700
    before = [view.GetFieldOfView() for view in nodes_of("vtkMRMLSliceNode")]
    check("the CT is selected", panel.ui.ctSelector.currentNode() is node)
    check("the button is enabled", panel.ui.segmentButton.enabled, panel.ui.segmentButton.toolTip)
    shot("start")
    click(panel.ui.segmentButton)
    yield from until(lambda: panel.running)
    check("the bar is shown", panel.ui.runBox.visible)
    yield from until(lambda: panel.ui.progressBar.value > 5, 200)
    check("the stage is told", "..." not in panel.ui.stageLabel.text, panel.ui.stageLabel.text)
    shot("running")
    yield from until(lambda: not panel.running, 400)
    yield 700
    table = panel.ui.noduleTable
    check("no error is told", not panel.ui.errorLabel.text, panel.ui.errorLabel.text)
    check("the number of nodules is told", f"Nodules found: {table.rowCount}." in panel.ui.statusLabel.text)
    check("the table has rows", table.rowCount >= 2, table.rowCount)
    fields = [min(view.GetFieldOfView()[:2]) for view in nodes_of("vtkMRMLSliceNode")]
    check("each view shows 50 mm", np.allclose(fields, 50), np.round(fields, 1))
    legends = [one.GetViewNodeIDs() for one in nodes_of("vtkMRMLColorLegendDisplayNode")]
    check("the legend is in one view", all(len(views) == 1 for views in legends), legends)
    shot("result")
    click(*cell(table, table.rowCount - 1, 1))
    yield 700
    check("the row that was clicked is selected", panel.review.selected == f"Nodule_{table.rowCount}")
    centre = panel.review.nodes.segmentation.GetSegmentCenterRAS(panel.review.selected)
    off = off_middle(slice_view(), centre)
    check("the nodule is in the middle", off < 2, f"{off:.1f} mm")
    shot("row")
    for width in (470, 400):
        for dock in slicer.util.findChildren(slicer.util.mainWindow(), name="PanelDockWidget"):
            slicer.util.mainWindow().resizeDocks([dock], [width], qt.Qt.Horizontal)
        yield 500
        bar = table.horizontalScrollBar()
        check(
            f"the columns fit a panel of {width} points",
            bar.maximum == 0,
            (bar.maximum, table.viewport().width, table.width),
        )
    shot("narrow")
    click(panel.ui.restoreViewsButton)
    yield 500
    check(
        "the views are as before", np.allclose(before, [view.GetFieldOfView() for view in nodes_of("vtkMRMLSliceNode")])
    )
    shot("put-back")


drive(steps)
