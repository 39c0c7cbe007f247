"""A category with its reasons: what it hangs on, and what would change it. The reader decides."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from ..core.answers import NOT_ANSWERED, YES, Answers
from .facts import (
    CALCIFIED,
    GROWING,
    MASS_MM,
    PART_SOLID,
    RATE_NOT_KNOWN,
    SLOWLY_GROWING,
    STABLE,
    WITHIN_UNCERTAINTY,
    Facts,
)

#: What is said of every category.
READER_DECIDES = "A proposal by rule from measurements and answers; the reader decides."
#: The value of a category where its document does not speak of such a case.
NOT_FOR_THIS = "does not apply"
#: The value of a category of a nodule whose size or type was not measured.
NOT_KNOWN = "not known"


@dataclass(frozen=True)
class Ruling:
    """What one line of a document says.

    Attributes:
        value: the category, such as `4A`.
        rule: the line in words.
        section: where it stands in the document.
        next_step: what the document proposes to do.
    """

    value: str
    rule: str
    section: str
    next_step: str = ""

    @property
    def outcome(self) -> tuple[str, str]:
        """What two cases must have in common to count as the same."""
        return self.value, self.next_step


@dataclass(frozen=True)
class Category:
    """A proposal of one document for one nodule.

    Attributes:
        system: the document, such as `Lung-RADS 2022`.
        ruling: the line that holds.
        or_higher: whether a larger size would give another category and the size is a lower bound.
        at_boundary: sentences on categories inside the interval of the size, such as `3 if the mean diameter is 0.4 mm
            less`.
        by_volume: the category that the document's volumes give, where it is another one; else empty.
        open: sentences on categories that an answer would give that is missing.
    """

    system: str
    ruling: Ruling
    or_higher: bool = False
    at_boundary: tuple[str, ...] = ()
    by_volume: str = ""
    open: tuple[str, ...] = ()

    @property
    def value(self) -> str:
        return f"{self.ruling.value} or {_MORE.get(self.system, 'higher')}" if self.or_higher else self.ruling.value

    @property
    def by_size(self) -> tuple[str, ...]:
        """Sentences on categories that another size gives: inside the interval, or by the volume."""
        return (*self.at_boundary, *filter(None, [self.by_volume]))

    @property
    def text(self) -> str:
        """The category with what it hangs on, such as `4A; 3 if the mean diameter is 0.4 mm less`."""
        return "; ".join((self.value, *self.by_size, *self.open))


@dataclass(frozen=True)
class Measure:
    """A size that a document parts by: its field in `Facts`, its name and unit, the step it is rounded to."""

    field: str
    name: str
    unit: str
    step: float


MEAN_DIAMETER = Measure("mean_diameter", "mean diameter", "mm", 0.1)
LONG_AXIS = Measure("long_axis", "longest diameter", "mm", 0.1)
SOLID_DIAMETER = Measure("solid_diameter", "diameter of the solid part", "mm", 0.1)
VOLUME = Measure("volume", "volume", "mm³", 1.0)

Rule = Callable[[Facts, Answers], Ruling]

# How the category of a larger size is called, where it is not a number that rises.
_MORE = {"Fleischner 2017": "larger", "BTS 2015": "more"}
# Sizes above all bounds of all documents: mm and mm3.
_BEYOND = {"mm": 1e3, "mm³": 1e6}


def judged(
    system: str,
    rule: Rule,
    facts: Facts,
    answers: Answers,
    asks: Sequence[str],
    measures: Sequence[Measure],
    *,
    by_volume: Callable[[Facts], Facts] | None = None,
) -> Category:
    """The category by `rule`, with all that would change it.

    Args:
        system: the document.
        rule: gives the line that holds for facts and answers.
        facts, answers: of the nodule.
        asks: names of the questions that the document asks.
        measures: sizes that the document parts by; that of the solid part counts for part-solid nodules only.
        by_volume: gives facts whose diameter is that of the volume; None: the document has no volumes beside diameters.
    """
    if not facts.measured:
        return Category(system, Ruling(NOT_KNOWN, "its size or its type was not measured", ""))
    ruling = rule(facts, answers)
    held = [one for one in measures if one != SOLID_DIAMETER or facts.kind == PART_SOLID]
    lower_bound = facts.cut and any(
        rule(_with_size(facts, one, _BEYOND[one.unit]), answers).value != ruling.value for one in held
    )
    near = [sentence for one in held for sentence in _at_boundary(rule, facts, answers, ruling, one)]
    other = "" if by_volume is None or facts.cut else _by_volume(rule, by_volume(facts), answers, ruling)
    return Category(system, ruling, lower_bound, tuple(near), other, tuple(_open(rule, facts, answers, ruling, asks)))


def is_benign(facts: Facts, answers: Answers) -> bool:
    """Whether it has fat or calcification of a benign pattern: as the reader says, else by the HU of a whole nodule."""
    by_hu = facts.kind == CALCIFIED and not facts.cut
    return answers.benign_pattern == YES or (by_hu and answers.benign_pattern == NOT_ANSWERED)


def with_mass(rule: str, facts: Facts) -> str:
    """The rule, and that the nodule is a mass where it is one, of which the documents do not speak."""
    return f"{rule}; over {MASS_MM} mm it is a mass, beyond the document" if facts.long_axis > MASS_MM else rule


def _by_volume(rule: Rule, facts: Facts, answers: Answers, ruling: Ruling) -> str:
    other = rule(facts, answers)
    return (
        "" if other.outcome == ruling.outcome else f"{_called(other, ruling)} by its volume of {facts.volume:.0f} mm³"
    )


def _with_size(facts: Facts, measure: Measure, size: float) -> Facts:
    changed: dict[str, Any] = {measure.field: size}
    return replace(facts, **changed)


def _at_boundary(rule: Rule, facts: Facts, answers: Answers, ruling: Ruling, measure: Measure) -> list[str]:
    """The nearest other category below and above, inside the interval of a size."""
    interval = getattr(facts, f"{measure.field}_interval")
    size, sentences = getattr(facts, measure.field), list[str]()
    if interval is None or math.isnan(size) or is_benign(facts, answers):
        return []
    for end, word in ((interval[0], "less"), (interval[1], "more")):
        if facts.cut and word == "less":
            continue  # it is at least as large as measured
        steps = int(abs(end - size) / measure.step + 1e-6)
        sign = -1 if word == "less" else 1
        for step in range(1, steps + 1):
            other = rule(_with_size(facts, measure, size + sign * step * measure.step), answers)
            if other.outcome != ruling.outcome:
                away = f"{step * measure.step:.1f}" if measure.step < 1 else f"{step * measure.step:.0f}"
                sentences.append(f"{_called(other, ruling)} if the {measure.name} is {away} {measure.unit} {word}")
                break
    return sentences


def _open(rule: Rule, facts: Facts, answers: Answers, ruling: Ruling, asks: Sequence[str]) -> list[str]:
    """What each missing answer would change."""
    sentences = []
    for question in fields(Answers):
        if question.name not in asks or getattr(answers, question.name) != NOT_ANSWERED:
            continue
        if question.name == "course" and facts.course is None and answers.exam == "first screening":
            continue  # there is no earlier CT
        if question.name == "course" and facts.course is not None:
            sentences += _if_it_grew(rule, facts, answers, ruling)
            continue
        outcomes: dict[str, list[str]] = {}
        for choice in question.metadata["choices"]:
            other = rule(facts, replace(answers, **{question.name: choice}))
            if other.outcome != ruling.outcome:
                outcomes.setdefault(_called(other, ruling), []).append(choice)
        sentences += [
            f"{called} if {_NAMES.get(question.name, question.name)}: {' or '.join(choices)}"
            for called, choices in outcomes.items()
        ]
    return sentences


def _if_it_grew(rule: Rule, facts: Facts, answers: Answers, ruling: Ruling) -> list[str]:
    courses, why = _UNSURE.get(facts.course or "", ((), ""))
    others: dict[str, Any] = {course: rule(facts, replace(answers, course=course)) for course in courses}
    return [
        f"{_called(other, ruling)} if it is {course}: {why}"
        for course, other in others.items()
        if other.outcome != ruling.outcome
    ]


def _called(other: Ruling, ruling: Ruling) -> str:
    """The other category, or what it proposes where both have one name."""
    return other.value if other.value != ruling.value else f"“{other.next_step}”"


# Courses that are not certain: what each may be, and why.
_UNSURE = {
    WITHIN_UNCERTAINTY: ((GROWING, STABLE), "its change lies within the uncertainty"),
    RATE_NOT_KNOWN: ((GROWING, SLOWLY_GROWING), "how much it grew within 12 months is not known"),
}
# How a question is named in "4X if ...".
_NAMES = {
    "exam": "the CT was made for",
    "cancer_or_immune": "known cancer or weak immune system",
    "family_history": "lung cancer in the family",
    "infection": "signs of infection or inflammation",
    "incomplete": "an earlier CT to come, or lungs not wholly judged",
    "course": "against earlier CT",
    "previous_lung_rads": "its last category",
    "benign_pattern": "fat or a benign pattern of calcification",
    "benign_shape": "at the pleura or a fissure, smooth, and oval, lentiform or triangular",
    "airway": "in an airway",
    "cyst": "an atypical cyst",
    "suspicious": "other suspicious signs",
    "upper_lobe": "in an upper lobe",
}
