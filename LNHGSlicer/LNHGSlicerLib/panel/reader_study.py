"""The panel's part for a reader study: how useful each reader finds the map, nodule by nodule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from slicer.i18n import tr as _

from lnhg.errors import InputError, LNHGError

from .guard import Guard
from .keys import GIVEN
from .lists import scroll_to
from .paths import on_path

_IMPRESSIONS = ("uncertain", "benign", "malignant")
# The entries of the map's box: kinds of `Options.heterogeneity`, and one of them, drawn for each nodule.
_EITHER = "either"
_MAPS = ("deviation", "inverse", _EITHER)
# Where the slider stands as long as no score was given.
_MIDDLE = 50


class Display(Protocol):
    """What the study asks of the part that shows the nodules."""

    @property
    def selected(self) -> str | None: ...

    @property
    def kind(self) -> str:
        """Of the map that is shown: `Options.map_kind`; empty without a result."""

    def go_to_next(self) -> None: ...

    def why_no_map(self, kind: str) -> str:
        """Why a kind of map is not to be had, in one sentence; empty if it is."""

    def show_kind(self, kind: str) -> None: ...

    def set_blind(self, kinds: dict[str, str], at: str | None) -> None:
        """Each nodule in the kind that is named, in that order, without a word on which, at one of them; empty: as
        before.
        """


class StudyGroup:
    """Rates the selected nodule for the reader who is named; another name sees another table."""

    def __init__(self, ui: Any, display: Callable[[], Display], tell: Callable[[str], None], guard: Guard) -> None:
        self.ui = ui
        self._display_of, self._tell = display, tell
        self._nodes: Any = None
        self._segment_id: str | None = None
        self._study: Any = None
        self._filled_for: tuple[Any, str] | None = None  # whose rating, of which nodule, the widgets hold
        self._refused = ""
        self._either = self._unscored = False
        for text in (_("uncertain"), _("benign"), _("malignant")):
            ui.impressionBox.addItem(text)
        for text in (_("unevenness, from the CT alone"), _("h(x) of the paper"), _("either, in random order, blind")):
            ui.studyMapBox.addItem(text)
        ui.summaryText.setVisible(False)
        ui.studyGroup.setVisible(False)
        ui.scoreSlider.valueChanged.connect(guard(lambda *_: self._score_given()))
        ui.readerEdit.editingFinished.connect(guard(self._reader_changed))
        for edit in (ui.readerEdit, ui.commentEdit):  # else the digits of a score would be written into it
            edit.returnPressed.connect(guard(lambda *_: ui.noduleTable.setFocus()))
        ui.studyMapBox.currentIndexChanged.connect(guard(lambda *_: self._choose_map()))
        ui.endBlindButton.clicked.connect(guard(lambda *_: self.end_blind()))
        ui.rateButton.clicked.connect(guard(lambda *_: self.rate()))
        ui.studyExportButton.clicked.connect(guard(lambda *_: self.export()))
        ui.summaryButton.toggled.connect(guard(self._show_summary))
        on_path(ui.exportFolderEdit, guard(lambda path: self.update()))
        self.update()

    def show(self, nodes: Any, segment_id: str | None) -> None:
        """The nodule that the reader is at; its rating is shown, if the reader gave one."""
        if nodes is not self._nodes:
            self._nodes = nodes
            self.ui.studyGroup.setVisible(nodes is not None)
            self.ui.summaryButton.setChecked(False)
            self._name_who_was_at_it()
            self._open_study()
            segment_id = None if nodes is None else self._display.selected
        self._segment_id = segment_id
        if self._study is not None and segment_id is not None:
            self._study.begin(segment_id)
            if (self._study, segment_id) != self._filled_for:  # else what the reader has typed would be lost
                self._filled_for = (self._study, segment_id)
                self._show_rating(self._study.rating(segment_id))
        elif self._study is not None:
            self._study.stop()
        self.update()

    def stop(self) -> None:
        """The reader turns to something else: the time is counted no more."""
        if self._study is not None:
            self._study.stop()

    def rate(self) -> None:
        """Keep the rating of this nodule, and go to the next one; without a score say that one is wanted."""
        self._unscored = not self.ui.scoreSlider.property(GIVEN)
        if self._unscored:
            self.update()
            scroll_to(self.ui.blindBox)
            return
        self._study.rate(
            self._segment_id,
            score=self.ui.scoreSlider.property("value"),
            impression=_IMPRESSIONS[self.ui.impressionBox.property("currentIndex")],
            comment=self.ui.commentEdit.property("text"),
            kind=self._display.kind,
        )
        self._display.go_to_next()
        self.update()

    def end_blind(self) -> None:
        """The reader has rated all nodules: the maps are told again."""
        self._study.end_blind()
        self._show_blind()
        self.show(self._nodes, self._display.selected)

    def export(self) -> None:
        """Write this reader's ratings as CSV."""
        from lnhg.core.names import own_name

        name = f"reader-study-{own_name(self._study.reader, 'reader')}.csv"
        path = Path(self.ui.exportFolderEdit.property("currentPath")) / name
        try:
            self._study.export_csv(path)
        except (LNHGError, OSError) as error:
            self._tell(_("Nothing was written: {reason}").format(reason=error))
        else:
            self._tell(_("Written: {path}").format(path=path))

    @property
    def _display(self) -> Display:
        return self._display_of()

    def _reader_changed(self) -> None:
        from ..review.reader_study import same_reader

        name = self.ui.readerEdit.property("text")
        # The field tells of its end twice.
        if self._study is None or same_reader(self._study.reader) != same_reader(name):
            if self._study is not None:
                self._study.leave_blind()  # who has rated nothing keeps nobody waiting for the end
            self._open_study()
            self.show(self._nodes, self._display.selected)

    def _name_who_was_at_it(self) -> None:
        """A scene that was saved in the middle of a blind study goes on blind."""
        from ..review.reader_study import blind_reader

        if self._nodes is not None and blind_reader(self._nodes):
            self.ui.readerEdit.setText(blind_reader(self._nodes))

    def _open_study(self) -> None:
        self.stop()
        name = self.ui.readerEdit.property("text").strip()
        self._study, self._refused = None, ""
        if self._nodes is None:
            return
        if name:
            from ..review.reader_study import ReaderStudy

            self._study = ReaderStudy(self._nodes, name)
            if self._either and not self._study.has_begun:
                self._begin_blind()
        self._show_blind()

    def _choose_map(self) -> None:
        """The reader, or who leads the study, chose which map is rated."""
        chosen, self._refused = _MAPS[self.ui.studyMapBox.property("currentIndex")], ""
        self._either = chosen == _EITHER
        if self._either:
            if self._study is not None:
                self._begin_blind()
            self._show_blind()
        else:
            if self._study is not None:
                self._study.leave_blind()
            self._show_blind()
            self._refused = self._display.why_no_map(chosen)
            if not self._refused:
                self._display.show_kind(chosen)
        self.show(self._nodes, self._display.selected)

    def _begin_blind(self) -> None:
        self._refused = next(filter(None, map(self._display.why_no_map, _MAPS[:2])), "")
        if not self._refused:
            try:
                self._study.begin_blind()
            except InputError as error:
                self._refused = str(error)
        self._either = not self._refused

    def _show_blind(self) -> None:
        """The nodules blind where such a study runs, at the first one that is not rated; else as before."""
        from ..review.reader_study import set_blind_reader

        blind = self._study is not None and self._study.is_blind
        kinds = self._study.drawn if blind else {}
        set_blind_reader(self._nodes, self._study.reader if blind else "")
        self._display.set_blind(kinds, next((one for one in kinds if self._study.rating(one) is None), None))

    def _score_given(self) -> None:
        self.ui.scoreSlider.setProperty(GIVEN, True)
        if self._unscored:
            self._unscored = False
            self.update()

    def _show_rating(self, rating: Any) -> None:
        self._unscored, scored = False, rating is not None and rating.score is not None
        self.ui.scoreSlider.setValue(rating.score if scored else _MIDDLE)
        self.ui.scoreSlider.setProperty(GIVEN, scored)
        self.ui.impressionBox.setCurrentIndex(_IMPRESSIONS.index(rating.impression or "uncertain") if rating else 0)
        self.ui.commentEdit.setText(rating.comment if rating else "")

    def _show_summary(self, shown: bool) -> None:
        self.ui.summaryText.setVisible(shown)
        if shown:
            from ..review.reader_study import studies_of
            from ..review.study_summary import summary

            self.ui.summaryText.setPlainText("\n".join(summary(studies_of(self._nodes))))

    def update(self) -> None:
        """Bring the widgets to what is known of the reader, the nodule and the map."""
        study = self._study
        reason = _("Write your name first.")
        if study is not None:
            reason = _("Choose a nodule above.")
            if self._segment_id is not None:
                reason = study.why_not_rate(self._segment_id)
        for box in (self.ui.scoreSlider, self.ui.impressionBox, self.ui.commentEdit, self.ui.rateButton):
            box.setEnabled(not reason)
        self.ui.rateButton.setToolTip(
            reason or _("Keep the rating of this nodule and go to the next one (Shift+Return).")
        )
        folder = self.ui.exportFolderEdit.property("currentPath")
        self.ui.studyExportButton.setEnabled(study is not None and bool(folder))
        count = (study.rated, study.total) if study is not None else (0, 0)
        self.ui.ratedLabel.setText(_("rated {done} of {all}").format(done=count[0], all=count[1]) if count[1] else "")
        self._update_map()

    def _update_map(self) -> None:
        study, told = self._study, self._refused
        blind, ended = study is not None and study.is_blind, study is not None and study.has_ended
        if self._unscored:
            told = _("Give a score first: move the slider, or press a digit (5 for 50).")
        elif blind:
            told = _("Blind: each nodule has one of the two maps. Rate them all, then end.")
        elif ended:
            told = _("You have ended this blind study; its ratings stay as they are.")
        elif self._either and study is None:
            told = _("Blind, as soon as the reader's name is written.")
        self.ui.blindLabel.setText(told)
        self.ui.blindBox.setVisible(bool(told))
        self.ui.endBlindButton.setVisible(blind)
        self.ui.endBlindButton.setEnabled(blind and study.rated == study.total)
        self.ui.studyMapBox.setEnabled(not ended and not (blind and study.has_begun))
        kind = "" if self._nodes is None else self._display.kind
        shown = _EITHER if blind or (self._either and study is None) else kind
        blocked = self.ui.studyMapBox.blockSignals(True)
        self.ui.studyMapBox.setCurrentIndex(_MAPS.index(shown) if shown in _MAPS else -1)
        self.ui.studyMapBox.blockSignals(blocked)
