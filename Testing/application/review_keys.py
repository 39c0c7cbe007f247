"""A result is reviewed without the mouse: verdicts, undo, layers, zoom; then columns, and a row that is not
selected.
"""

from driving import *


def torn_tooltips(panel):
    """Slicer makes tooltips rich text when it first shows them: one that was read back and put together anew has marks
    in its middle.
    """
    widgets = slicer.util.findChildren(panel.root)
    return [one.toolTip for one in widgets if re.search(r".<p>|</p>.", getattr(one, "toolTip", "") or "", re.DOTALL)]


def steps():
    node = add_ct()
    nodes = add_result(node)
    panel = open_module()
    yield 700
    count = panel.ui.noduleTable.rowCount
    verdicts = lambda: row_texts(panel, "Verdict")  # noqa: E731
    check("the first nodule is selected", panel.review.selected == "Nodule_1")
    key("shift+a")
    yield from until(lambda: verdicts()[0] == "accepted")
    check("accepted with one key, and on to the next", panel.review.selected == "Nodule_2", panel.review.selected)
    key("shift+r")
    yield from until(lambda: verdicts()[1] == "rejected")
    display = nodes.segmentation.GetDisplayNode()
    check("a rejected nodule is hidden", not display.GetSegmentVisibility("Nodule_2"))
    key("shift+u")
    yield from until(lambda: verdicts()[1] == "to review")
    check("undo brings it back", display.GetSegmentVisibility("Nodule_2"), verdicts())
    selected = panel.review.selected
    key("shift+n")
    yield from until(lambda: panel.review.selected != selected)
    key("shift+p")
    yield from until(lambda: panel.review.selected == selected)
    check("next and previous", True)
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    for name, seen in (
        ("shift+h", lambda: composite.GetForegroundVolumeID() is None),
        ("shift+h", lambda: composite.GetForegroundVolumeID() is not None),
        ("shift+o", lambda: not display.GetVisibility2D()),
        ("shift+o", lambda: display.GetVisibility2D()),
        ("shift+l", lambda: nodes.boxes.GetDisplayNode().GetVisibility()),
        ("shift+k", lambda: nodes.heterogeneity.GetAttribute("LNHG.Normalisation") == "fixed"),
        ("shift+t", lambda: slice_view().mrmlSliceNode().GetSlabReconstructionEnabled()),
        ("shift+t", lambda: not slice_view().mrmlSliceNode().GetSlabReconstructionEnabled()),
        ("shift+z", lambda: not panel._parameters.zoom),
        ("shift+z", lambda: panel._parameters.zoom),
    ):
        key(name)
        yield from until(seen)
        check(f"{name} does what its tooltip says", seen())
    shot("keys")

    header = panel.ui.noduleTable.horizontalHeader()
    titles = [panel.ui.noduleTable.horizontalHeaderItem(one).text() for one in range(panel.ui.noduleTable.columnCount)]

    def title_place():
        """The arrow of the sorted column moves the others."""
        index = titles.index("mm")
        return header.sectionViewportPosition(index) + header.sectionSize(index) // 2, header.height // 2

    click(header.viewport(), *title_place())
    yield 900  # two clicks, no double click
    sizes = [float(one) for one in row_texts(panel, "mm")]
    check("a click on a title sorts", sizes == sorted(sizes), sizes)
    click(header.viewport(), *title_place())
    yield from until(lambda: [float(one) for one in row_texts(panel, "mm")] == sizes[::-1])
    check("a second one the other way round", [float(one) for one in row_texts(panel, "mm")] == sizes[::-1])
    click(header.viewport(), *title_place(), button=3)
    yield 500
    check("a right click offers the columns", panel.review._menu is not None and panel.review._menu.visible)
    shot("columns")
    action = next(one for one in panel.review._menu.actions() if "Volume" in one.text)
    box = panel.review._menu.actionGeometry(action).center()
    click(panel.review._menu, box.x(), box.y())
    yield 300
    check("a column is added", not panel.ui.noduleTable.isColumnHidden(titles.index("mm³")))

    panel.ui.noduleTable.setFocus()
    key("Tab")
    yield 200
    at = slicer.app.focusWidget()
    check("Tab goes on from the table", at is not None and at.objectName != "noduleTable", at and at.objectName)
    panel.ui.noduleTable.clearSelection()
    yield 200
    before = verdicts()
    key("shift+a")
    yield 300
    check("without a selected row nothing is accepted", verdicts() == before and not panel.ui.acceptButton.enabled)

    slicer.util.selectModule("Data")
    yield 500
    slicer.util.selectModule("LNHGSlicer")
    yield 500
    check("the same rows are there on return", panel.ui.noduleTable.rowCount == count)
    slicer.modules.LNHGSlicerWidget.onReload()
    yield 500
    panel = slicer.modules.LNHGSlicerWidget.panel
    check("after Reload the rows are there", panel.ui.noduleTable.rowCount == count)
    check("no tooltip is torn", not torn_tooltips(panel), torn_tooltips(panel))
    focus(slicer.util.mainWindow())
    panel.ui.noduleTable.selectRow(0)
    first = panel.review.selected
    key("shift+n")
    yield from until(lambda: panel.review.selected != first)
    check("and the keys work", panel.review.selected != first)


drive(steps)
