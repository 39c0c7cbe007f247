"""A reader rates every nodule with three keys, without the mouse; another reader sees nothing of it. A third rates them
blind, each with one of two maps: nothing says which, also in the scene that was saved in between, until the end.
"""

import csv

from driving import *

#: What tells the map, or another picture of the same nodule.
TELLING = ("layerBox", "normalisationBox", "heterogeneityBox", "histogramTitle", "histogramLabel", "valueLabel")
BLIND = "Map of the reader study"


def steps():
    node = add_ct()
    add_result(node)
    panel = open_module()
    yield 500
    ui, count = panel.ui, panel.ui.noduleTable.rowCount
    ui.studyGroup.collapsed = False
    yield 300
    click(ui.readerEdit)
    write("Ada A7")
    key("Return")
    yield from until(lambda: ui.rateButton.enabled)
    check("a digit in a text field is written there", ui.readerEdit.text == "Ada A7", ui.readerEdit.text)
    key("shift+Return")
    yield from until(lambda: "Give a score" in ui.blindLabel.text)
    check("a score that nobody gave is not saved", "rated 0" in ui.ratedLabel.text, ui.ratedLabel.text)
    yield 500
    in_sight = not ui.blindLabel.visibleRegion().isEmpty()
    check("the sentence is in sight", in_sight)
    shot("no-score")
    for number in range(count):
        selected = panel.review.selected
        for one in (str(number + 6), ("shift+b", "shift+m", "shift+i")[number % 3], "shift+Return"):
            key(one)
        yield from until(lambda: panel.review.selected != selected)  # noqa: B023
        check(
            f"nodule {number + 1} is rated with three keys",
            f"rated {number + 1} of" in ui.ratedLabel.text,
            ui.ratedLabel.text,
        )
    check("the first rating is shown again", ui.scoreSlider.value == 60 and ui.impressionBox.currentIndex == 1)
    shot("rated")
    ui.readerEdit.setText("")
    click(ui.readerEdit)
    write("Grace")
    key("Return")
    yield from until(lambda: "rated 0" in ui.ratedLabel.text)
    check("another reader begins anew", "rated 0" in ui.ratedLabel.text, ui.ratedLabel.text)
    ui.exportFolderEdit.setCurrentPath(str(OUT))
    yield 200
    click(ui.studyExportButton)
    yield from until(lambda: list(OUT.glob("reader-study-*.csv")))
    click(ui.summaryButton)
    yield from until(lambda: "Grace" in ui.summaryText.plainText)
    check(
        "the summary knows both",
        all(name in ui.summaryText.plainText for name in ("Ada", "Grace")),
        ui.summaryText.plainText,
    )
    shot("summary")
    click(ui.summaryButton)
    yield from blind(panel)


def blind(panel):
    ui, count = panel.ui, panel.ui.noduleTable.rowCount
    named = foregrounds()
    ui.readerEdit.setText("")
    click(ui.readerEdit)
    key("Return")
    yield from until(lambda: not ui.rateButton.enabled)
    choose(ui.studyMapBox, "blind")
    yield from until(lambda: "as soon as" in ui.blindLabel.text)
    click(ui.readerEdit)
    write("Hopper")
    key("Return")
    yield from until(lambda: foregrounds() == {BLIND})
    yield 500
    ui.noduleTable.setFocus()
    check_nothing_is_told(panel)
    click(slice_view("Red"))
    for number in range(count):
        move(slice_view("Red"))
        yield 300
        shot(f"blind-{number + 1}")
        check("the legend names no map", legend() == "Map", legend())
        if number == 1:
            yield from saved_and_opened(panel)
        before = ui.ratedLabel.text
        for one in ("7", "shift+Return"):
            key(one)
        yield from until(lambda: ui.ratedLabel.text != before)  # noqa: B023
        check("one key a rating", f"rated {number + 1} of {count}" in ui.ratedLabel.text, ui.ratedLabel.text)
        for one in ("shift+l", "shift+k"):
            key(one)
        yield 100
        check("no key shows another map", foregrounds() == {BLIND}, foregrounds())
    ui.exportFolderEdit.setCurrentPath(str(OUT))
    yield 200
    click(ui.studyExportButton)
    yield from until(lambda: (OUT / "reader-study-Hopper.csv").exists())
    check("the file tells no map before the end", maps_written() == {"blind"}, maps_written())
    click(ui.endBlindButton)
    yield from until(lambda: foregrounds() == named)
    yield 300
    check("all that tells the map is back", all(getattr(ui, name).visible for name in TELLING[:2] + TELLING[3:]))
    check("the legend names the map again", legend().startswith("Unevenness"), legend())
    click(ui.studyExportButton)
    yield from until(lambda: maps_written() != {"blind"})
    check("the file tells which map was rated", maps_written() == {"deviation", "inverse"}, maps_written())
    click(ui.summaryButton)
    yield from until(lambda: "Map inverse:" in ui.summaryText.plainText)
    check("the summary tells each map", "Map inverse:" in ui.summaryText.plainText, ui.summaryText.plainText)
    shot("ended")


def saved_and_opened(panel):
    """The scene is saved in the middle of the study, closed and opened: it goes on blind, without a name written."""
    rated, rows = panel.ui.ratedLabel.text, row_texts(panel, "No.")
    path = OUT / "study.mrb"
    check("the scene is saved", slicer.util.saveScene(str(path)))
    panel.ui.readerEdit.setText("")
    slicer.mrmlScene.Clear(False)
    yield 500
    check("it is opened", slicer.util.loadScene(str(path)))
    yield from until(lambda: panel.ui.readerEdit.text == "Hopper" and foregrounds() == {BLIND})
    yield 500
    check("with what was rated", panel.ui.ratedLabel.text == rated, panel.ui.ratedLabel.text)
    check("in the same order", row_texts(panel, "No.") == rows, (rows, row_texts(panel, "No.")))
    check_nothing_is_told(panel)
    panel.ui.noduleTable.setFocus()
    shot("blind-opened")


def check_nothing_is_told(panel):
    seen = [name for name in TELLING if getattr(panel.ui, name).visible]
    check("nothing on the panel tells the map", not seen, seen)
    table = panel.ui.noduleTable
    titles = [table.horizontalHeaderItem(n).text() for n in range(table.columnCount) if not table.isColumnHidden(n)]
    check("no column tells it", not {"Het.", "Uneven HU"} & set(titles), titles)


def foregrounds():
    views = nodes_of("vtkMRMLSliceCompositeNode")
    return {slicer.mrmlScene.GetNodeByID(view.GetForegroundVolumeID()).GetName() for view in views}


def legend():
    """The title of the legend of what lies over the CT in the red view."""
    view = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    volume = slicer.mrmlScene.GetNodeByID(view.GetForegroundVolumeID())
    return slicer.modules.colors.logic().GetColorLegendDisplayNode(volume).GetTitleText()


def maps_written():
    with (OUT / "reader-study-Hopper.csv").open(newline="", encoding="utf-8") as file:
        return {row["map"] for row in csv.DictReader(file)}


drive(steps)
