"""The panel's part to write a result into files of one folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from lnhg.errors import LNHGError

from .guard import Guard
from .paths import on_path


class ExportGroup:
    """Table, report and DICOM of the result that is shown; `before` is called before anything is written."""

    def __init__(self, ui: Any, before: Callable[[], object], guard: Guard) -> None:
        self.ui, self._before = ui, before
        self._nodes: Any = None
        self._buttons = (ui.exportTableButton, ui.exportReportButton, ui.exportDicomButton)
        self._tips = (
            _("Write the nodule table, one row a nodule."),
            _("Write a report with pictures of each nodule."),
            _("Write the outlines as a DICOM segmentation. Needs a CT that was loaded from DICOM."),
        )
        ui.exportTableButton.clicked.connect(guard(lambda *_: self._write(_table)))
        ui.exportReportButton.clicked.connect(guard(lambda *_: self._write(_report)))
        ui.exportDicomButton.clicked.connect(guard(lambda *_: self._write(_dicom)))
        on_path(ui.exportFolderEdit, guard(lambda path: self._update()))
        self.tell("")
        self._update()

    def show(self, nodes: Any) -> None:
        """The result that would be written, or None."""
        if nodes is not self._nodes:
            self.tell("")
        self._nodes = nodes
        self.ui.exportGroup.setVisible(nodes is not None)
        self._update()

    def tell(self, sentence: str) -> None:
        """Say what was written, or why not."""
        self.ui.exportLabel.setText(sentence)
        self.ui.exportLabel.setVisible(bool(sentence))

    def _update(self) -> None:
        reason = "" if self.ui.exportFolderEdit.property("currentPath") else _("Choose a folder first.")
        for button, tip in zip(self._buttons, self._tips, strict=True):
            button.setEnabled(not reason)
            button.setToolTip(reason or tip)

    def _write(self, write: Callable[[Any, Path], Path]) -> None:
        try:
            self._before()
            written = write(self._nodes, Path(self.ui.exportFolderEdit.property("currentPath")))
        except (LNHGError, OSError) as error:
            self.tell(_("Nothing was written: {reason}").format(reason=error))
        else:
            self.tell(_("Written: {path}").format(path=written))


def _table(nodes: Any, folder: Path) -> Path:
    from ..review.export import export_csv

    path = folder / "nodules.csv"
    export_csv(nodes, path)
    return path


def _report(nodes: Any, folder: Path) -> Path:
    from ..review.export import export_report

    path = folder / "report.html"
    export_report(nodes, path)
    return path


def _dicom(nodes: Any, folder: Path) -> Path:
    from ..review.export import export_dicom

    return export_dicom(nodes, folder)
