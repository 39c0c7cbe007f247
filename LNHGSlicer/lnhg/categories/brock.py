"""The Brock model: the probability that a nodule of a first screening CT is cancer.

McWilliams A, Tammemagi MC, Mayo JR et al., Probability of cancer in pulmonary nodules detected on first screening CT.
N Engl J Med 2013;369:910-919, table 2, full model with spiculation (model 2b). BTS 2015 uses it. The model without
spiculation (2a) has other coefficients; here a question that is not answered gives a range instead.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..core.answers import NOT_ANSWERED, YES, Answers
from .facts import GROUND_GLASS, PART_SOLID, Facts

# Coefficients of the log odds. Age, size and count are centred at 62 years, 4 mm and 4 nodules.
_CONSTANT = -6.7892
_AGE, _AGE_AT = 0.0287, 62
_FEMALE, _FAMILY, _EMPHYSEMA, _UPPER_LOBE, _SPICULATED = 0.6011, 0.2961, 0.2953, 0.6581, 0.7729
_SIZE, _SIZE_AT = -5.3854, 1.58113883
_COUNT, _COUNT_AT = -0.0824, 4
_KIND = {GROUND_GLASS: -0.1276, PART_SOLID: 0.3770}
_ASKED = {"sex": ("female", "male"), **dict.fromkeys(("family_history", "emphysema", "spiculated", "upper_lobe"))}


def brock_probability(
    *,
    age: float,
    female: bool,
    family_history: bool,
    emphysema: bool,
    long_axis: float,
    kind: str,
    upper_lobe: bool,
    count: int,
    spiculated: bool,
) -> float:
    """Probability of cancer, 0 to 1; `long_axis` in mm, `kind` as in `Facts`: all but ground glass and part-solid count
    as solid.
    """
    if not (long_axis > 0 and count >= 1):
        raise ValueError("The Brock model needs a size above 0 and at least one nodule.")
    odds = (
        _CONSTANT
        + _AGE * (age - _AGE_AT)
        + _FEMALE * female
        + _FAMILY * family_history
        + _EMPHYSEMA * emphysema
        + _SIZE * ((long_axis / 10) ** -0.5 - _SIZE_AT)
        + _KIND.get(kind, 0.0)
        + _UPPER_LOBE * upper_lobe
        + _COUNT * (count - _COUNT_AT)
        + _SPICULATED * spiculated
    )
    return 1 / (1 + math.exp(-odds))


@dataclass(frozen=True)
class Probability:
    """The probability for one nodule: the lowest and highest over the answers that are missing; NaN without an age.

    Attributes:
        low, high: 0 to 1; equal where all is answered.
        missing: names of the questions that are not answered.
        lower_bound: whether the size is a lower bound, and the probability with it.
    """

    low: float
    high: float
    missing: tuple[str, ...]
    lower_bound: bool = False

    @property
    def text(self) -> str:
        """Such as `4.2%`, `2.1% to 8.0% (not answered: emphysema)` or `not computed (not answered: age)`."""
        told = f" (not answered: {', '.join(name.replace('_', ' ') for name in self.missing)})" if self.missing else ""
        if math.isnan(self.low):
            return f"not computed{told}"
        ends = [f"{100 * end:.1f}%" for end in (self.low, self.high)]
        at_least = "at least " if self.lower_bound else ""
        return at_least + (ends[0] if ends[0] == ends[1] else " to ".join(ends)) + told


def brock(facts: Facts, answers: Answers) -> Probability:
    """The probability for a nodule; where answers are missing, its range over all that they could be."""
    if facts.upper_lobe is not None and answers.upper_lobe == NOT_ANSWERED:
        answers = replace(answers, upper_lobe=YES if facts.upper_lobe else "no")
    if not facts.measured or facts.long_axis <= 0:
        return Probability(math.nan, math.nan, ("size_or_type",))
    missing = tuple(name for name in _ASKED if getattr(answers, name) == NOT_ANSWERED)
    if answers.age is None:
        return Probability(math.nan, math.nan, ("age", *missing))
    all_of_them = [_of(facts, one) for one in _completed(answers, missing)]
    return Probability(min(all_of_them), max(all_of_them), missing, facts.cut)


def _completed(answers: Answers, missing: tuple[str, ...]) -> Iterator[Answers]:
    choices = [_ASKED[name] or (YES, "no") for name in missing]
    for chosen in itertools.product(*choices):
        yield replace(answers, **dict(zip(missing, chosen, strict=True)))


def _of(facts: Facts, answers: Answers) -> float:
    assert answers.age is not None
    return brock_probability(
        age=answers.age,
        female=answers.sex == "female",
        family_history=answers.family_history == YES,
        emphysema=answers.emphysema == YES,
        long_axis=facts.long_axis,
        kind=facts.kind,
        upper_lobe=answers.upper_lobe == YES,
        count=max(1, facts.count),
        spiculated=answers.spiculated == YES,
    )
