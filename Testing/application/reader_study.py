"""A reader rates every nodule with three keys, without the mouse; another reader sees nothing of it."""

from driving import *


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
    ui.noduleTable.setFocus()
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
    yield 300
    check(
        "the summary knows both",
        all(name in ui.summaryText.plainText for name in ("Ada", "Grace")),
        ui.summaryText.plainText,
    )
    shot("summary")


drive(steps)
