"""Questions are answered, categories follow, lobes are told from a segmentation, and the sentence is copied."""

from driving import *


def lobes(ct, names):
    """A segmentation of the CT's halves: right and left of the middle, and the upper part of each side."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Lobes")
    node.SetReferenceImageGeometryParameterFromVolumeNode(ct)
    slices, rows, columns = slicer.util.arrayFromVolume(ct).shape
    k, _, i = np.indices((slices, rows, columns))
    upper, right = k >= slices // 2, i < columns // 2  # columns run to the left, slices to the head
    for name, part in zip(names, (upper & right, upper & ~right, ~upper & right, ~upper & ~right), strict=True):
        segment = node.GetSegmentation().AddEmptySegment("", name)
        slicer.util.updateSegmentBinaryLabelmapFromArray(part.astype(np.uint8), node, segment, ct)
    return node


def steps():
    node = add_ct()
    add_result(node)
    panel = open_module()
    yield 500
    ui = panel.ui
    ui.categoriesGroup.collapsed = False
    yield 300
    said = ui.categoriesLabel
    check(
        "a category stands there, and who decides",
        "Lung-RADS 2022: " in said.text and "you decide" in said.text,
        said.text,
    )
    check("missing answers are counted", "Missing answers could change it" in said.text, said.text)

    airway = slicer.util.findChild(ui.questionsBox, "airwayAnswer")
    click(airway)
    yield 500
    key("Down"), key("Down"), key("Down")
    key("Return")
    yield from until(lambda: airway.currentText == "segmental or more proximal")
    check("an answer by keys changes the category", "Lung-RADS 2022: 4A" in said.text, said.text)
    shot("answered")
    click(ui.nextButton)
    yield from until(lambda: "segmental" not in said.text)
    check("of that nodule alone", airway.currentText == "not answered", said.text)
    click(ui.previousButton)
    yield from until(lambda: "segmental" in said.text)

    age = slicer.util.findChild(ui.questionsBox, "ageAnswer")
    choose(slicer.util.findChild(ui.questionsBox, "examAnswer"), "incidental")
    age.setValue(30)
    yield from until(lambda: "younger than 35" in said.text)
    check("the exam counts too", "Lung-RADS 2022: does not apply" in said.text, said.text)
    age.setValue(-1)
    choose(slicer.util.findChild(ui.questionsBox, "examAnswer"), "later")

    click(ui.lobesButton)
    yield from until(lambda: ui.lobesLabel.text.startswith("Choose a segmentation"))
    wrong = lobes(node, ("Liver", "Spleen", "Heart", "Aorta"))
    ui.lobesSelector.setCurrentNode(wrong)
    click(ui.lobesButton)
    yield from until(lambda: "no lobes or lungs" in ui.lobesLabel.text)
    # TotalSegmentator's names
    names = ("lung_upper_lobe_right", "lung_upper_lobe_left", "lung_lower_lobe_right", "lung_lower_lobe_left")
    ui.lobesSelector.setCurrentNode(lobes(node, names))
    click(ui.lobesButton)
    yield from until(lambda: "nodules lie in" in ui.lobesLabel.text, 60)
    check("the sentence names the lobe", " lobe" in ui.sentenceLabel.text.split(",")[0], ui.sentenceLabel.text)

    slicer.app.clipboard().setText("")
    click(ui.copySentenceButton)
    yield from until(lambda: slicer.app.clipboard().text() == ui.sentenceLabel.text)
    check("it ends with the category", ui.sentenceLabel.text.endswith("Lung-RADS 4A"), ui.sentenceLabel.text)
    shot("lobes")

    click(ui.sentenceEdit)
    key("ctrl+a")
    write("Nodule {number}, {lung_rads}")
    key("Return")
    yield from until(lambda: ui.sentenceLabel.text == "Nodule 1, 4A")
    shot("template")
    key("ctrl+a")
    write("{colour}")
    key("Return")
    yield from until(lambda: "names 'colour'" in ui.errorLabel.text)
    check("a template that cannot be filled in leaves the sentence", ui.sentenceLabel.text == "Nodule 1, 4A")
    key("ctrl+a")
    key("BackSpace")
    key("Return")
    yield from until(lambda: ui.sentenceLabel.text.endswith("Lung-RADS 4A"))

    click(ui.rejectButton)
    yield from until(lambda: row_texts(panel, "Verdict")[0] == "rejected")
    click(ui.previousButton)
    yield from until(lambda: "not rejected" in said.text)
    check("a rejected nodule has no sentence to copy", not ui.copySentenceButton.enabled)
    shot("rejected")


drive(steps)
