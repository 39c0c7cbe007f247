"""What a CT cannot say and only its reader knows: the questions, written once, and the answers to them.

The command line, the record and the Slicer panel are made from these fields. A question that nobody answered has the
answer `NOT_ANSWERED`; nothing is ever put in its place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any

from ..errors import InputError
from .whole_numbers import is_whole_number

#: The answer to a question that nobody answered.
NOT_ANSWERED = "not answered"
YES, NO = "yes", "no"
OLDEST = 120


def _question(text: str, *choices: str, nodule: bool = False) -> Any:
    return field(default=NOT_ANSWERED, metadata={"text": text, "choices": choices or (YES, NO), "nodule": nodule})


def _of_nodule(text: str, *choices: str) -> Any:
    return _question(text, *choices, nodule=True)


@dataclass(frozen=True)
class Answers:
    """What the reader says of a patient and of one nodule. Raises InputError for an answer that is none of the choices.

    Each field's metadata hold the question (`text`), its `choices` beside `NOT_ANSWERED`, and whether it is asked of
    each `nodule` or once of the patient. `age` is a number of years, None where it was not answered.
    """

    exam: str = _question("What was the CT made for?", "first screening", "later screening", "incidental finding")
    age: int | None = field(default=None, metadata={"text": "Age in years?", "choices": (), "nodule": False})
    sex: str = _question("Sex?", "female", "male")
    risk: str = _question("Risk of lung cancer, as Fleischner 2017 judges it?", "low", "high")
    symptoms: str = _question("Symptoms that may come from lung cancer?")
    cancer_or_immune: str = _question("A known cancer, or a weak immune system?")
    family_history: str = _question("Lung cancer in the family?")
    emphysema: str = _question("Emphysema on the CT?")
    infection: str = _question("Findings that look like an infection or inflammation?")
    incomplete: str = _question("An earlier CT still to come, or a part of the lungs not to be judged?")
    other_finding: str = _question("A significant finding that is not lung cancer (modifier S)?")
    course: str = _of_nodule(
        "Against earlier CT, the nodule is", "first seen", "new", "stable", "growing", "slowly growing"
    )
    previous_lung_rads: str = _of_nodule("Its Lung-RADS category last time?", "2", "3", "4A", "4B")
    benign_pattern: str = _of_nodule("Fat, or calcification that is complete, central, popcorn-like or in rings?")
    benign_shape: str = _of_nodule(
        "At the pleura or a fissure, with smooth margins, and oval, lentiform or triangular?"
    )
    airway: str = _of_nodule("In an airway?", NO, "subsegmental", "segmental or more proximal")
    cyst: str = _of_nodule(
        "An atypical cyst?",
        NO,
        "thin-walled",
        "thick-walled",
        "multilocular",
        "became multilocular",
        "thick-walled, cystic part growing",
        "thick-walled, wall or nodule growing",
        "multilocular, growing or denser",
    )
    suspicious: str = _of_nodule(
        "Signs that make cancer more likely (4X): enlarged lymph nodes, metastases, ground glass doubled in a year?"
    )
    spiculated: str = _of_nodule("Spiculated?")
    upper_lobe: str = _of_nodule("In an upper lobe?")

    def __post_init__(self) -> None:
        for question in fields(self):
            answer, choices = getattr(self, question.name), question.metadata["choices"]
            if choices and answer not in (*choices, NOT_ANSWERED):
                raise InputError(
                    f"The answer to {question.name} is {answer!r}; choose one of {'; '.join((*choices, NOT_ANSWERED))}."
                )
        if self.age is not None and not (isinstance(self.age, int) and 0 <= self.age <= OLDEST):
            raise InputError(f"The age is {self.age!r}; give whole years from 0 to {OLDEST}.")


def questions(*, nodule: bool | None = None) -> tuple[Field[Any], ...]:
    """The questions in the order in which they are asked: all, or those of each nodule (True), or of the patient."""
    return tuple(one for one in fields(Answers) if nodule is None or one.metadata["nodule"] == nodule)


def answered(answers: Answers) -> dict[str, Any]:
    """The questions that were answered, with their answers."""
    told = {one.name: getattr(answers, one.name) for one in fields(Answers)}
    return {name: answer for name, answer in told.items() if answer not in (None, NOT_ANSWERED)}


@dataclass(frozen=True)
class StudyAnswers:
    """The answers of one study.

    Attributes:
        common: of the patient; what it says of a nodule holds for all of them.
        own: by a nodule's id, what was answered of that nodule alone: question -> answer.
    """

    common: Answers = field(default_factory=Answers)
    own: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)

    def of(self, nodule: int) -> Answers:
        """The answers for a nodule by its id."""
        return replace(self.common, **self.own.get(nodule, {}))

    def with_answer(self, name: str, answer: Any, nodule: int | None = None) -> StudyAnswers:
        """These answers and one more: of one nodule, or of the patient and all nodules. Raises InputError."""
        known = {one.name: one for one in fields(Answers)}
        if name not in known:
            raise InputError(f"There is no question {name!r}; ask one of {', '.join(known)}.")
        if nodule is None:
            return replace(self, common=replace(self.common, **{name: answer}))
        if not known[name].metadata["nodule"]:
            raise InputError(f"{name} is asked of the patient, not of a nodule; leave out the nodule's number.")
        own = {**self.own, nodule: {**self.own.get(nodule, {}), name: answer}}
        replace(self.common, **own[nodule])  # raises for an answer that is none
        return replace(self, own=own)

    def renumbered(self, numbers: Mapping[int, int]) -> StudyAnswers:
        """These answers for nodules of which some have a new number (old -> new), without those of the others."""
        return replace(self, own={numbers[old]: told for old, told in self.own.items() if old in numbers})

    def as_record(self) -> dict[str, Any]:
        """As plain values, only what was answered; `answers_of_record` reads it."""
        own = {str(number): dict(told) for number, told in sorted(self.own.items()) if told}
        return {"patient": answered(self.common), "nodules": own}


def answers_of_record(record: Mapping[str, Any]) -> StudyAnswers:
    """The answers that `StudyAnswers.as_record` told. Raises InputError for questions or answers that are not known."""
    read = StudyAnswers()
    for name, answer in record.get("patient", {}).items():
        read = read.with_answer(name, answer)
    for number, told in record.get("nodules", {}).items():
        for name, answer in told.items():
            read = read.with_answer(name, answer, int(number))
    return read


def answers_of_words(words: Iterable[str], before: StudyAnswers | None = None) -> StudyAnswers:
    """The answers `before`, with those of `NAME=ANSWER` (the patient, or all nodules) and `N.NAME=ANSWER` (nodule N) in
    their place. Raises InputError, also for two answers to one question.
    """
    read = before or StudyAnswers()
    told: dict[str, str] = {}
    for word in words:
        name, equals, answer = (part.strip() for part in word.partition("="))
        number, dot, own = name.partition(".")
        if not equals or (dot and not is_whole_number(number, 5)):
            raise InputError(f"{word!r} is no answer; write it as risk=high, or for nodule 2 as 2.airway=no.")
        if answer != NOT_ANSWERED and told.setdefault(name, answer) != answer:
            raise InputError(f"{name} is answered with {told[name]!r} and with {answer!r}; give one answer.")
        value: Any = _years(answer) if name == "age" else answer
        read = read.with_answer(own if dot else name, value, int(number) if dot else None)
    return read


def of_no_nodule(answers: StudyAnswers, nodules: Collection[int]) -> str:
    """The numbers of nodules that were answered for but are not there, as text; empty if there are none."""
    return ", ".join(str(number) for number in sorted(answers.own.keys() - set(nodules)))


def _years(text: str) -> int | None:
    if text == NOT_ANSWERED:
        return None
    if not is_whole_number(text, 3):
        raise InputError(f"The age is {text!r}; give whole years from 0 to {OLDEST}.")
    return int(text)
