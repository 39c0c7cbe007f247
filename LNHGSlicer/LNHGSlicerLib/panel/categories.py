"""The panel's part with the questions that a CT cannot answer, the categories proposed, and the sentence to copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from lnhg.core.answers import NOT_ANSWERED, OLDEST, Answers, questions
from lnhg.errors import LNHGError
from lnhg.options import SENTENCE

from .colours import set_bold
from .guard import Guard

_NO_AGE = -1


class CategoriesGroup:
    """Questions of the patient and of the selected nodule; its categories; a button that copies its sentence."""

    def __init__(self, ui: Any, on_error: Callable[[str], None], on_answer: Callable[[], None], guard: Guard) -> None:
        self.ui, self._on_error, self._on_answer, self._guard = ui, on_error, on_answer, guard
        self._nodes: Any = None
        self._segment_id: str | None = None
        self._boxes: dict[str, Any] = {}
        self._filling = False
        column = qt.QVBoxLayout(ui.questionsBox)  # questions stand above their answers: panels are narrow
        for title, nodule in ((_("The patient:"), False), (_("This nodule:"), True)):
            heading = qt.QLabel(title)
            set_bold(heading)
            column.addWidget(heading)
            for question in questions(nodule=nodule):
                self._add(column, question)
        ui.copySentenceButton.clicked.connect(guard(lambda *_: self.copy()))
        ui.sentenceEdit.editingFinished.connect(guard(lambda *_: self.take_sentence()))
        ui.lobesButton.clicked.connect(guard(lambda *_: self.tell_lobes()))
        self.show(None, None)

    def show(self, nodes: Any, segment_id: str | None) -> None:
        """The result that is shown, and the nodule that the reader is at."""
        if nodes is not self._nodes:
            self.ui.lobesLabel.setText("")
            if nodes is not None:
                self.ui.sentenceEdit.setText(nodes.options.sentence)
                self.ui.sentenceEdit.setCursorPosition(0)  # it is longer than the field
        self._nodes, self._segment_id = nodes, segment_id
        self.ui.categoriesGroup.setVisible(nodes is not None)
        self.update()

    def update(self) -> None:
        """Answers and categories as they are now."""
        proposal = self._proposal()
        self._fill()
        for name, box in self._boxes.items():
            box.setEnabled(proposal is not None or not _is_of_nodule(name))
        self.ui.copySentenceButton.setEnabled(proposal is not None)
        if proposal is None:
            self.ui.categoriesLabel.setText(_("Select a nodule that is not rejected."))
            self.ui.sentenceLabel.setText("")
            return
        from ..review.answers import category_lines, open_questions, sentence_of

        missing = open_questions(proposal)
        more = [_("Missing answers could change it in {count} ways; the report names them.").format(count=missing)]
        lines = [*category_lines(proposal), *(more if missing else []), _("Proposed by rule; you decide.")]
        self.ui.categoriesLabel.setText("\n".join(lines))
        self.ui.sentenceLabel.setText(sentence_of(self._nodes, proposal))

    def copy(self) -> None:
        """Put the sentence into the clipboard."""
        qt.QApplication.clipboard().setText(self.ui.sentenceLabel.property("text"))

    def take_sentence(self) -> None:
        """Use the template that was typed for the sentences of this result; the usual one where nothing was."""
        from ..review.answers import set_sentence

        if not self.ui.sentenceEdit.property("text").strip():
            self.ui.sentenceEdit.setText(SENTENCE)
        typed = self.ui.sentenceEdit.property("text")
        if self._nodes is None or typed == self._nodes.options.sentence:
            return
        try:
            set_sentence(self._nodes, typed)
        except LNHGError as error:
            self._on_error(str(error))
            return
        self.update()

    def tell_lobes(self) -> None:
        """Tell the lobes of all nodules by the segmentation that is chosen."""
        lobes, nodes = self.ui.lobesSelector.currentNode(), self._nodes
        if lobes is None or nodes is None:
            self.ui.lobesLabel.setText(_("Choose a segmentation of the lobes or lungs first."))
            return
        from ..review.nodule_lobes import tell_lobes

        try:
            count, all_of_them = tell_lobes(nodes, lobes), len(nodes.segment_ids)
        except LNHGError as error:
            self.ui.lobesLabel.setText(str(error))
            return
        told = _("{count} of {all} nodules lie in a lobe or lung of it.")
        self.ui.lobesLabel.setText(told.format(count=count, all=all_of_them))
        self.update()

    def _proposal(self) -> Any:
        if self._nodes is None or self._segment_id is None:
            return None
        from ..review.answers import proposal_of

        return proposal_of(self._nodes, self._segment_id)

    def _add(self, column: Any, question: Any) -> None:
        choices = question.metadata["choices"]
        box = qt.QComboBox() if choices else qt.QSpinBox()
        box.setObjectName(f"{question.name}Answer")
        if choices:
            box.addItems([NOT_ANSWERED, *choices])
            box.currentIndexChanged.connect(self._guard(lambda *_: self._answer(question.name)))
        else:
            box.setMinimum(_NO_AGE)
            box.setMaximum(OLDEST)
            box.setSpecialValueText(NOT_ANSWERED)
            box.valueChanged.connect(self._guard(lambda *_: self._answer(question.name)))
        text = question.metadata["text"]
        box.setToolTip(_("This nodule: {question}").format(question=text) if question.metadata["nodule"] else text)
        label = qt.QLabel(text)
        label.setWordWrap(True)
        column.addWidget(label)
        column.addWidget(box)
        self._boxes[question.name] = box

    def _answer(self, name: str) -> None:
        if self._filling or self._nodes is None:
            return
        from ..review.answers import answer

        nodule = _number_of(self._segment_id) if _is_of_nodule(name) and self._segment_id else None
        try:
            answer(self._nodes, name, self._value(name), nodule)
        except LNHGError as error:
            self._on_error(str(error))
        self.update()
        self._on_answer()

    def _value(self, name: str) -> Any:
        box = self._boxes[name]
        if name == "age":
            years = int(box.property("value"))
            return None if years == _NO_AGE else years
        index = int(box.property("currentIndex"))
        return [NOT_ANSWERED, *_choices(name)][index]

    def _fill(self) -> None:
        """The widgets as the scene has it."""
        answers = Answers()
        if self._nodes is not None:
            from ..review.answers import answers_of

            kept = answers_of(self._nodes)
            answers = kept.of(_number_of(self._segment_id)) if self._segment_id else kept.common
        self._filling = True
        for name, box in self._boxes.items():
            value = getattr(answers, name)
            if name == "age":
                box.setValue(_NO_AGE if value is None else value)
            else:
                box.setCurrentIndex([NOT_ANSWERED, *_choices(name)].index(value))
        self._filling = False


def _choices(name: str) -> tuple[str, ...]:
    return next(tuple(one.metadata["choices"]) for one in questions() if one.name == name)


def _is_of_nodule(name: str) -> bool:
    return any(one.name == name for one in questions(nodule=True))


def _number_of(segment_id: str) -> int:
    from lnhg.writers.seg_nrrd import number_of_segment  # needs packages that may be missing when the panel is loaded

    return number_of_segment(segment_id)
