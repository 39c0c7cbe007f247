"""The panel's part for a reader study: how useful each reader finds the map, nodule by nodule."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from lnhg.errors import LNHGError

from .guard import Guard
from .paths import on_path

_IMPRESSIONS = ("uncertain", "benign", "malignant")


class StudyGroup:
    """Rates the selected nodule for the reader who is named; another name sees another table."""

    def __init__(self, ui: Any, go_on: Callable[[], None], tell: Callable[[str], None], guard: Guard) -> None:
        self.ui = ui
        self._go_on, self._tell = go_on, tell
        self._nodes: Any = None
        self._segment_id: str | None = None
        self._study: Any = None
        for text in (_("uncertain"), _("benign"), _("malignant")):
            ui.impressionBox.addItem(text)
        ui.summaryText.setVisible(False)
        ui.studyGroup.setVisible(False)
        ui.readerEdit.editingFinished.connect(guard(self._reader_changed))
        ui.rateButton.clicked.connect(guard(lambda *_: self.rate()))
        ui.studyExportButton.clicked.connect(guard(lambda *_: self.export()))
        ui.summaryButton.toggled.connect(guard(self._show_summary))
        on_path(ui.exportFolderEdit, guard(lambda path: self._update()))
        self._update()

    def show(self, nodes: Any, segment_id: str | None) -> None:
        """The nodule that the reader is at; its rating is shown, if the reader gave one."""
        if nodes is not self._nodes:
            self._nodes = nodes
            self.ui.studyGroup.setVisible(nodes is not None)
            self.ui.summaryButton.setChecked(False)
            self._open_study()
        self._segment_id = segment_id
        if self._study is not None and segment_id is not None:
            self._study.begin(segment_id)
            self._show_rating(self._study.rating(segment_id))
        self._update()

    def stop(self) -> None:
        """The reader turns to something else: the time is counted no more."""
        if self._study is not None:
            self._study.stop()

    def rate(self) -> None:
        """Keep the rating of this nodule, and go to the next one."""
        self._study.rate(
            self._segment_id,
            score=self.ui.scoreSlider.property("value"),
            impression=_IMPRESSIONS[self.ui.impressionBox.property("currentIndex")],
            comment=self.ui.commentEdit.property("text"),
        )
        self._go_on()
        self._update()

    def export(self) -> None:
        """Write this reader's ratings as CSV."""
        reader = re.sub(r"[^\w-]+", "_", self._study.reader)
        path = Path(self.ui.exportFolderEdit.property("currentPath")) / f"reader-study-{reader}.csv"
        try:
            self._study.export_csv(path)
        except (LNHGError, OSError) as error:
            self._tell(_("Nothing was written: {reason}").format(reason=error))
        else:
            self._tell(_("Written: {path}").format(path=path))

    def _reader_changed(self) -> None:
        self._open_study()
        self.show(self._nodes, self._segment_id)

    def _open_study(self) -> None:
        self.stop()
        name = self.ui.readerEdit.property("text").strip()
        self._study = None
        if name and self._nodes is not None:
            from ..review.reader_study import ReaderStudy

            self._study = ReaderStudy(self._nodes, name)

    def _show_rating(self, rating: Any) -> None:
        self.ui.scoreSlider.setValue(50 if rating is None or rating.score is None else rating.score)
        self.ui.impressionBox.setCurrentIndex(_IMPRESSIONS.index(rating.impression or "uncertain") if rating else 0)
        self.ui.commentEdit.setText(rating.comment if rating else "")

    def _show_summary(self, shown: bool) -> None:
        self.ui.summaryText.setVisible(shown)
        if shown:
            from ..review.reader_study import studies_of, summary

            self.ui.summaryText.setPlainText("\n".join(summary(studies_of(self._nodes))))

    def _update(self) -> None:
        ready = self._study is not None and self._segment_id is not None
        reason = "" if ready else _("Write your name first.")
        for box in (self.ui.scoreSlider, self.ui.impressionBox, self.ui.commentEdit, self.ui.rateButton):
            box.setEnabled(ready)
        self.ui.rateButton.setToolTip(
            reason or _("Keep the rating of this nodule and go to the next one (Shift+Return).")
        )
        folder = self.ui.exportFolderEdit.property("currentPath")
        self.ui.studyExportButton.setEnabled(ready and bool(folder))
        count = (self._study.rated, self._study.total) if self._study is not None else (0, 0)
        self.ui.ratedLabel.setText(_("rated {done} of {all}").format(done=count[0], all=count[1]) if count[1] else "")
