"""A nodule that the detector missed is added with a click, and what ends the placing is seen by the panel."""

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
    yield from until(lambda: panel.running)
    shot("running")
    yield from until(lambda: not panel.running, 200)
    yield 500
    check("no error is told", not panel.ui.errorLabel.text, panel.ui.errorLabel.text)
    check("the nodule has its row", panel.ui.noduleTable.rowCount == before + 1, panel.ui.noduleTable.rowCount)
    check("it counts as accepted", row_texts(panel, "Verdict")[-1] == "accepted", row_texts(panel, "Verdict"))
    centre = reviewed.segmentation.GetSegmentCenterRAS(panel.review.selected)
    check("it lies where the click was", np.linalg.norm(np.subtract(centre, MISSED)) < 15, np.round(centre, 1))
    check("one segmentation is left", len(nodes_of("vtkMRMLSegmentationNode")) == 1)
    check("no markup is left", not nodes_of("vtkMRMLMarkupsFiducialNode"))
    shot("added")

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


drive(steps)
