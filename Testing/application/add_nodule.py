"""A nodule that the detector missed is added with a click, and what ends the placing is seen by the panel."""

import time
from dataclasses import replace

from driving import *


def steps():
    node = add_ct()
    reviewed = add_result(node)
    panel = open_module()
    yield 500
    before = panel.ui.noduleTable.rowCount
    check("the result is in the table", before >= 2, before)
    interaction = slicer.mrmlScene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    button = panel.ui.addNoduleButton

    click(button)
    yield from until(lambda: panel.place.waiting)
    check("the panel waits for the click", button.text == "Click on the nodule...", button.text)
    red = slice_view("Red")
    click(red, 60, 60, button=3)
    yield from until(lambda: not panel.place.waiting)
    check("a right click ends it, and the panel knows", button.text == "Add nodule here...", button.text)
    key("Escape")  # the view's menu
    yield 300
    click(button)
    yield from until(lambda: panel.place.waiting)
    interaction.SetCurrentInteractionMode(interaction.ViewTransform)
    yield 300
    check("so does Slicer's arrow", button.text == "Add nodule here..." and not panel.place.waiting, button.text)
    check("nothing is left of it", not nodes_of("vtkMRMLMarkupsFiducialNode"))

    click(button)
    yield from until(lambda: panel.place.waiting)
    three_d = slicer.app.layoutManager().threeDWidget(0).threeDView()
    click(three_d, 200, 200)
    yield from until(lambda: not panel.place.waiting)
    check("a click in the 3D view starts no run", not panel.running)
    check("and is refused with a sentence", "slice view" in panel.ui.errorLabel.text, panel.ui.errorLabel.text)
    check("nothing is left of it", not nodes_of("vtkMRMLMarkupsFiducialNode") and not panel.place.waiting)

    click(button)
    yield from until(lambda: panel.place.waiting)
    at = show_place(MISSED)
    yield 500
    move(red, at[0] + 30, at[1])
    yield 200
    click(red, *at)
    began = [time.monotonic()]
    yield from until(lambda: panel.running)
    shot("running")
    yield from until(lambda: not panel.running, 200)
    began.append(time.monotonic())
    yield 500
    check("no error is told", not panel.ui.errorLabel.text, panel.ui.errorLabel.text)
    check("the nodule has its row", panel.ui.noduleTable.rowCount == before + 1, panel.ui.noduleTable.rowCount)
    check("it counts as accepted", row_texts(panel, "Verdict")[-1] == "accepted", row_texts(panel, "Verdict"))
    centre = reviewed.segmentation.GetSegmentCenterRAS(panel.review.selected)
    check("it lies where the click was", np.linalg.norm(np.subtract(centre, MISSED)) < 15, np.round(centre, 1))
    check("one segmentation is left", len(nodes_of("vtkMRMLSegmentationNode")) == 1)
    check("no markup is left", not nodes_of("vtkMRMLMarkupsFiducialNode"))
    shot("added")
    first = panel.review.nodes.rows[-1]
    click(panel.ui.undoButton)
    yield from until(lambda: panel.ui.noduleTable.rowCount == before)
    check("Undo takes it away", not panel.ui.errorLabel.text and len(panel.review._ids) == before)
    yield from second_click(panel, node, first, began)

    volumes = len(nodes_of("vtkMRMLScalarVolumeNode"))
    verdicts = row_texts(panel, "Verdict")
    click(button)
    yield from until(lambda: panel.place.waiting)
    at = show_place(NOTHING)  # air outside the patient
    yield 500
    move(red, at[0] + 30, at[1])
    click(red, *at)
    yield from until(lambda: panel.running)
    yield from until(lambda: not panel.running, 200)
    yield 500
    said = panel.ui.errorLabel.text or panel.ui.statusLabel.text
    check("a click that finds nothing is answered", "nothing" in said.lower(), said)
    check("it adds no row", row_texts(panel, "Verdict") == verdicts, row_texts(panel, "Verdict"))
    check(
        "and no volume", len(nodes_of("vtkMRMLScalarVolumeNode")) == volumes, len(nodes_of("vtkMRMLScalarVolumeNode"))
    )


def second_click(panel, node, first, began):
    """The CT is ready now: the same process answers, and as a process of its own does."""
    from lnhg.core.nodule import as_row

    count, process = panel.ui.noduleTable.rowCount, answering(panel)
    click(panel.ui.addNoduleButton)
    yield from until(lambda: panel.place.waiting)
    at = show_place(MISSED)
    yield 500
    click(slice_view("Red"), *at)
    clicked = time.monotonic()
    yield from until(lambda: panel.ui.noduleTable.rowCount == count + 1, 60)
    log(f"the second click took {time.monotonic() - clicked:.1f} s, the first {began[1] - began[0]:.1f} s")
    check("the process that answered the first has answered it", answering(panel) == process, process)
    second = panel.review.nodes.rows[-1]
    check("it gives the same", as_row(replace(second, id=first.id)) == as_row(first))
    shot("added-again")
    ends = []
    point = (second.centre_r, second.centre_a, second.centre_s)
    ready = panel.logic.startClick(node, [point], onFinished=lambda *end: ends.append(end), options=seeds_only(panel))
    yield from until(lambda: len(ends) == 1, 60)
    check("a click can be asked from code", ready.running is False and ends[0][1].status == "finished")
    panel.logic.startSegmentNodules(
        node, onFinished=lambda *end: ends.append(end), options=seeds_only(panel), seeds=[point]
    )
    yield from until(lambda: len(ends) == 2, 200)
    (told,), (fresh,) = ends[0][0].rows, ends[1][0].rows
    check("it is what a process of its own gives", as_row(told) == as_row(fresh))
    for one in ends[1][0].nodes.added:
        slicer.mrmlScene.RemoveNode(one)
    yield from until(lambda: panel.ui.noduleTable.rowCount == count + 1)


def answering(panel):
    """The ID of the process that keeps the CT ready."""
    return panel.logic._clicks._ready._process._process.pid


def seeds_only(panel):
    from LNHGSlicerLib.run.parameters import options_of

    return options_of(panel.parameters, seeds_only=True)


drive(steps)
