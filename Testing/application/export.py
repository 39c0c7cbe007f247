"""Table, report and DICOM of a review are written; what cannot be written is said in a sentence."""

import csv

from driving import *


def steps():
    node = add_ct()
    add_result(node)
    panel = open_module()
    yield 500
    ui = panel.ui
    ui.exportGroup.collapsed = False
    yield 200
    check("without a folder nothing can be written", not ui.exportTableButton.enabled, ui.exportTableButton.toolTip)
    key("shift+r")
    yield from until(lambda: row_texts(panel, "Verdict")[0] == "rejected")
    ui.exportFolderEdit.setCurrentPath(str(OUT))
    yield 200
    field = slicer.util.findChildren(ui.exportFolderEdit, className="QComboBox")[0].lineEdit()
    click(field)
    key("ctrl+a")
    key("Delete")
    yield 300
    check("nor when the folder is taken out by hand", not ui.exportTableButton.enabled and not field.text, field.text)
    ui.exportFolderEdit.setCurrentPath(str(OUT))
    yield 200
    click(ui.exportTableButton)
    yield from until(lambda: "nodules.csv" in ui.exportLabel.text)
    with (OUT / "nodules.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    check(
        "the table has verdicts and times",
        [rows[0]["verdict"], float(rows[0]["time (s)"]) > 0] == ["rejected", True],
        rows[0],
    )
    click(ui.exportReportButton)
    yield from until(lambda: "report.html" in ui.exportLabel.text, 60)
    check("the report is there", (OUT / "report.html").stat().st_size > 1000)
    click(ui.exportDicomButton)
    yield 1000
    check("why there is no DICOM is said", ui.exportLabel.text.startswith("Nothing was written"), ui.exportLabel.text)
    check("nothing half-written is left", not list(OUT.glob("*.dcm")))
    shot("written")
    blocked = OUT / "file"
    blocked.write_text("")
    for folder in (blocked / "folder", OUT / "not there"):
        ui.exportFolderEdit.setCurrentPath(str(folder))
        yield 200
        for button in (ui.exportTableButton, ui.exportReportButton, ui.exportDicomButton):
            panel.export.tell("-")  # what was said before
            click(button)
            yield from until(lambda: ui.exportLabel.text.startswith("Nothing was written"), 60)
            check(
                "a folder that cannot be is said",
                ui.exportLabel.text.startswith("Nothing was written"),
                ui.exportLabel.text,
            )
        check("and none is made", not folder.exists())
    shot("blocked")


drive(steps)
