"""Nodules followed from an earlier CT: cancelled, followed, both side by side and linked, put back, saved, refused."""

from driving import *

# A dialog of progress, which comes while a scene is opened on a busy computer, has the keyboard when it goes.
DRIVE.expected.append(r"XCB error: 8 \(BadMatch\).*SetInputFocus")

# The simulated patient of `lnhg sample --followed`, on a coarser grid.
SHAPE = (80, 256, 256)
FOLLOWED_S = 1500


def study(number):
    """CT and result of one study of the simulated patient; made by the first drive that needs them."""
    from lnhg import read_ct
    from lnhg.phantom.sample import write_followed_samples
    from lnhg.writers.read_back import load_result

    folder, results = SHARED / "followed", SHARED / f"followed-results-{number}"
    if not folder.exists():
        write_followed_samples(SHARED / "unfinished-followed", shape=SHAPE)
        (SHARED / "unfinished-followed").rename(folder)
    path = folder / f"study-{number}" / "ct.nrrd"
    if not results.exists():
        run_method("segment", str(path), "--output", str(SHARED / "unfinished"), "--for-scene")
        (SHARED / "unfinished").rename(results)
    return load_result(results, read_ct(path))


def add_study(number, name):
    from LNHGSlicerLib.run.segmentation_run import add_and_show

    result = study(number)
    node = slicer.util.addVolumeFromArray(result.ct.hu, result.ct.ijk_to_ras, name)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return add_and_show(node, result).nodes


def rows(panel):
    table = panel.follow.ui.followTable
    return [[table.item(row, column).text() for column in range(table.columnCount)] for row in range(table.rowCount)]


def backgrounds(*names):
    manager = slicer.app.layoutManager()
    return {manager.sliceWidget(name).mrmlSliceCompositeNode().GetBackgroundVolumeID() for name in names}


def middle(name):
    """The point in the middle of a slice view, RAS."""
    node = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode()
    return slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())[:3, 3]


def steps():
    from LNHGSlicerLib.scene.identity import keep_identity
    from LNHGSlicerLib.scene.transforms import point_of_scene

    earlier, this = add_study(1, "Earlier"), add_study(2, "This")
    panel = open_module(420)
    yield 500
    panel.ui.ctSelector.setCurrentNode(this.ct)
    ui = panel.follow.ui
    panel.ui.inputGroup.collapsed = panel.ui.reviewGroup.collapsed = panel.ui.categoriesGroup.collapsed = True
    panel.ui.followGroup.collapsed = False
    yield 500
    check("without an earlier CT the button says what to do", "Choose the earlier CT" in ui.followButton.toolTip)
    ui.priorSelector.setCurrentNode(earlier.ct)
    ui.daysBox.setValue(90)
    layout = slicer.app.layoutManager().layout
    shot("chosen")

    nodes = slicer.mrmlScene.GetNumberOfNodes()
    click(ui.followButton)
    yield from until(lambda: panel.running)
    yield 1000
    check("the button waits for the run", not ui.followButton.enabled)
    click(panel.ui.cancelButton)
    yield from until(lambda: not panel.running)
    check("a cancelled follow-up is told", "Cancelled" in panel.ui.statusLabel.text, panel.ui.statusLabel.text)
    check("and leaves nothing", slicer.mrmlScene.GetNumberOfNodes() == nodes)

    told = set()
    click(ui.followButton)
    yield from until(lambda: panel.running)
    yield from until(lambda: told.add(panel.ui.stageLabel.text) or not panel.running, FOLLOWED_S)
    log("stages", sorted(told))
    yield 1000
    log("status", panel.ui.statusLabel.text, "error", panel.ui.errorLabel.text)
    for row in rows(panel):
        log("row", row)
    log("said", ui.followLabel.text)
    states = [row[2] for row in rows(panel)]
    panel.ui.reviewGroup.collapsed = True
    check("most nodules are matched", states.count("matched") >= 3, states)
    check("one grows or is new", any("new" in row or "grown" in row[5:] for row in rows(panel)))
    shot("followed")
    check("this CT lies in the upper views", backgrounds("Red", "Green", "Yellow") == {this.ct.GetID()})
    check("the earlier one in the lower", backgrounds("Red+", "Green+", "Yellow+") == {earlier.ct.GetID()})

    table = ui.followTable
    for number in range(min(table.rowCount, 3)):
        click(*cell(table, number, 2))
        yield 700
        pair = panel.follow._pairs[number]
        places = [point_of_scene(place, nodes.ct) for place, nodes in zip(pair.places, (earlier, this), strict=True)]
        check("both places lie on each other", np.allclose(*places, atol=1e-3), places)
        off = [np.abs(middle(name) - places[1]).max() for name in ("Red", "Red+", "Yellow", "Yellow+")]
        check("and in the middle of the views", max(off) < 0.01, off)
        shot(f"row-{number}")
    alone = [number for number, state in enumerate(states) if state != "matched"]
    if alone:
        click(*cell(table, alone[0], 2))
        yield 700
        shot("alone")

    panel.ui.exportFolderEdit.currentPath = str(OUT)
    click(ui.followReportButton)
    yield 500
    check("the report has pictures of both studies", (OUT / "follow.html").read_text().count("data:image/jpeg") >= 10)

    slicer.mrmlScene.RemoveNode(earlier.ct.GetParentTransformNode())
    yield from until(lambda: panel.ui.errorBox.visible)
    said = panel.ui.errorLabel.text
    check("a transform that is removed ends the comparison", "moved while they were side by side" in said, said)
    check("the views are on this CT", backgrounds("Red", "Green", "Yellow") == {this.ct.GetID()})
    check("in the layout of before", slicer.app.layoutManager().layout == layout)
    click(*cell(table, 0, 2))
    yield 1500
    check("the row brings both back", backgrounds("Red+", "Green+", "Yellow+") == {earlier.ct.GetID()})
    check("and the sentence goes", not panel.ui.errorBox.visible, panel.ui.errorLabel.text)

    before = middle("Red")[2]
    view = slice_view("Red")
    move(view)
    slicer.app.layoutManager().sliceWidget("Red").sliceController().setSliceOffsetValue(before + 6)
    yield 500
    check("a slice further the other study follows", abs(middle("Red+")[2] - middle("Red")[2]) < 0.01)
    panel._parameters.opacity = 0.2
    yield 300
    check("a layer of this CT stays out of the lower views", backgrounds("Red+") == {earlier.ct.GetID()})

    panel.ui.reviewGroup.collapsed = False
    click(panel.ui.rejectButton)
    yield 700
    check("a verdict since is told", "changed since" in ui.followLabel.text)
    click(panel.ui.undoButton)
    yield 700
    check("and no more when it is taken back", "changed since" not in ui.followLabel.text)

    scene = OUT / "followed.mrb"
    check("the scene is saved", slicer.util.saveScene(str(scene)))
    click(panel.ui.restoreViewsButton)
    yield 700
    check("the layout is that of before", slicer.app.layoutManager().layout == layout)
    check("the earlier CT is where it was", earlier.ct.GetParentTransformNode() is None)
    check("its nodules too", earlier.segmentation.GetParentTransformNode() is None)
    shot("put-back")

    count = table.rowCount
    slicer.mrmlScene.Clear()
    yield 1500
    check("a closed scene has no follow-up", not table.visible or table.rowCount == 0)
    slicer.util.loadScene(str(scene))
    yield 2000
    check("with the CT that was selected", panel.ui.ctSelector.currentNode() is slicer.util.getNode("This"))
    panel.ui.followGroup.collapsed = False
    check("a scene that is opened has its follow-up", table.rowCount == count, table.rowCount)
    shot("opened")
    click(panel.ui.restoreViewsButton)
    yield 700
    check("and what was side by side is put back", slicer.util.getNode("Earlier").GetParentTransformNode() is None)

    for name, patient in (("This", "A-1"), ("Earlier", "B-2")):
        keep_identity(slicer.util.getNode(name), {"PatientID": patient})
    ui.priorSelector.setCurrentNode(slicer.util.getNode("Earlier"))
    yield 300
    click(ui.followButton)
    yield 500
    check("another patient is refused", "differ in patient ID" in panel.ui.errorLabel.text, panel.ui.errorLabel.text)
    check("before anything runs", not panel.running)
    shot("refused")


drive(steps)
