"""Lung-RADS 2022: American College of Radiology, Lung-RADS v2022, November 2022, its table and notes 1 to 15.

Christensen J et al., ACR Lung-RADS v2022: assessment categories and management recommendations. Chest 2024;165:738-753.
Each line of the table is told by its row and finding. Diameters are means of long and short axis, to 0.1 mm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from ..core.answers import NO, NOT_ANSWERED, YES, Answers
from ..core.geometry import equivalent_diameter
from .category import MEAN_DIAMETER, NOT_FOR_THIS, SOLID_DIAMETER, Category, Ruling, is_benign, judged
from .facts import (
    FIRST_SEEN,
    GREW,
    GROUND_GLASS,
    GROWING,
    NEW,
    PART_SOLID,
    RATE_NOT_KNOWN,
    SLOWLY_GROWING,
    STABLE,
    WITHIN_UNCERTAINTY,
    Facts,
    rounded,
)

SYSTEM = "Lung-RADS 2022"
#: A nodule grows if its mean diameter gains more than this within 12 months, mm (note on growth).
GROWTH_MM, GROWTH_MONTHS = 1.5, 12.0
_ASKS = (
    "exam", "symptoms", "infection", "incomplete", "course", "previous_lung_rads", "benign_pattern", "benign_shape",
    "airway", "cyst", "suspicious", "spiculated",
)  # fmt: skip
_RISING = ("1", "2", "3", "4A", "4B", "4X")
# What asks for a look: a study that cannot be judged yet, before those that can wait half a year.
_PRESSING = ("1", "2", "0", "3", "4A", "4B", "4X")
_STEPS = {
    "0": "CT again after 1 to 3 months, or comparison with earlier CT",
    "1": "screening CT in 12 months",
    "2": "screening CT in 12 months",
    "3": "CT in 6 months",
    "4A": "CT in 3 months; PET/CT may be considered with a solid nodule or part of 8 mm or more",
    "4B": "further clinical evaluation: diagnostic CT, PET/CT with a solid nodule or part of 8 mm or more, or tissue "
    "sampling",
}
_STEPS["4X"] = _STEPS["4B"]
# From which category a stable nodule steps down, to which, and at the CT after how many months.
_STEPS_DOWN = {"3": ("2", 6), "4A": ("3", 3)}
# A CT so many months before it was due counts as that CT; the document does not say how exact its months are.
_EARLY_MONTHS = 0.5
_CYSTS = {
    "thick-walled": "4A",
    "multilocular": "4A",
    "became multilocular": "4A",
    "thick-walled, cystic part growing": "3",
    "thick-walled, wall or nodule growing": "4B",
    "multilocular, growing or denser": "4B",
}


@lru_cache(maxsize=1024)  # a panel asks for all its rows at each click
def lung_rads(facts: Facts, answers: Answers) -> Category:
    """The category of Lung-RADS 2022 for one nodule, with what would change it."""
    sizes = (MEAN_DIAMETER, SOLID_DIAMETER)
    return judged(SYSTEM, ruling, facts, answers, _ASKS, sizes, by_volume=_with_volumes_diameter)


def _with_volumes_diameter(facts: Facts) -> Facts:
    """The diameter of the sphere of its volume: the table's volumes are those of its diameters (6 mm is 113 mm3). It is
    taken to have had the same shape at the earlier CT.
    """
    sphere, before = equivalent_diameter(facts.volume), facts.previous_diameter
    if before is not None and facts.mean_diameter > 0:
        before *= sphere / facts.mean_diameter
    return replace(facts, mean_diameter=sphere, previous_diameter=before)


def ruling(facts: Facts, answers: Answers) -> Ruling:
    """The line of the table that holds; with other signs of cancer a 3 or 4 becomes 4X, and S is added."""
    line = _line(facts, answers)
    if _is_suspicious(answers) and line.value in ("3", "4A", "4B"):
        line = _ruling("4X", f"{line.value} ({line.rule}) with other signs that make cancer more likely", "additional")
    if answers.other_finding == YES and line.value in _STEPS:
        return replace(line, value=f"{line.value}S", rule=f"{line.rule}; S: another significant finding")
    return line


def _is_suspicious(answers: Answers) -> bool:
    """Whether there are signs for 4X; spiculation is one, unless the reader says that there is none."""
    return answers.suspicious == YES or (answers.suspicious == NOT_ANSWERED and answers.spiculated == YES)


def pressing(value: str) -> tuple[int, bool]:
    """How pressing a category is, and whether it may be a higher one; what is none is the least."""
    plain = value.removesuffix(" or higher")
    category = plain.removesuffix("S")
    return (_PRESSING.index(category) if category in _PRESSING else -1), plain != value


def _ruling(value: str, rule: str, finding: str) -> Ruling:
    return Ruling(value, rule, f"Lung-RADS v2022, table, category {value}, {finding}", _STEPS[value])


def _line(facts: Facts, answers: Answers) -> Ruling:
    if answers.exam == "incidental finding" or answers.symptoms == YES:
        why = "the CT was not made for screening" if answers.symptoms != YES else "there are symptoms of lung cancer"
        return Ruling(NOT_FOR_THIS, f"{why}; Lung-RADS is for screening", "Lung-RADS v2022, title")
    if answers.infection == YES:
        return _ruling("0", "findings of an infection or inflammation", "suspected infection or inflammation")
    if answers.incomplete == YES:
        return _ruling("0", "an earlier CT still to come, or a part of the lungs not to be judged", "incomplete")
    if is_benign(facts, answers):
        return _ruling("1", "fat, or calcification of a benign pattern", "benign features")
    course = course_of(facts, answers)
    special = _airway(answers, course) or _cyst(facts, answers, course)
    if special is not None:
        return special
    size = rounded(facts.mean_diameter, 1)
    is_solid = facts.kind not in (PART_SOLID, GROUND_GLASS)
    if is_solid and answers.benign_shape == YES and size < 10 and course not in GREW:
        return _ruling("2", "solid, under 10 mm, at the pleura, smooth, oval, lentiform or triangular", "juxtapleural")
    if course == SLOWLY_GROWING and facts.kind != GROUND_GLASS:
        return _ruling("4B", f"{facts.kind}, growing slowly over several CT", "slow growing solid or part-solid nodule")
    if course == STABLE and answers.previous_lung_rads != NOT_ANSWERED:
        return _stepped(facts, answers.previous_lung_rads)
    return by_size(facts, course)


def course_of(facts: Facts, answers: Answers) -> str | None:
    """The course: as the reader says, else as compared, else `FIRST_SEEN` at a first screening; None: not known."""
    if answers.course != NOT_ANSWERED:
        return answers.course
    if facts.course is not None:
        return facts.course
    return FIRST_SEEN if answers.exam == "first screening" else None


def _airway(answers: Answers, course: str | None) -> Ruling | None:
    if answers.airway == "segmental or more proximal":
        if course in (None, FIRST_SEEN, NEW):
            return _ruling("4A", "in a segmental or larger airway, first seen", "airway nodule")
        return _ruling("4B", "in a segmental or larger airway, stable or growing", "airway nodule")
    if answers.airway == "subsegmental" and course not in GREW:
        return _ruling("2", "in a subsegmental airway, first seen, new or stable", "airway nodule")
    return None


def _cyst(facts: Facts, answers: Answers, course: str | None) -> Ruling | None:
    if answers.cyst in (NOT_ANSWERED, NO):
        return None
    if answers.cyst == "thin-walled":
        return Ruling(NOT_FOR_THIS, "thin-walled cysts are not classified", "Lung-RADS v2022, note on atypical cysts")
    if course == STABLE and answers.previous_lung_rads != NOT_ANSWERED and "growing" not in answers.cyst:
        return _after(facts, answers.previous_lung_rads)
    return _ruling(_CYSTS[answers.cyst], f"atypical cyst, {answers.cyst}", "atypical pulmonary cyst")


def _stepped(facts: Facts, previous: str) -> Ruling:
    """A stable nodule steps down from 3 and 4A (stepped management), unless it has crossed a bound of size."""
    if facts.kind == GROUND_GLASS:
        return _ruling("2", "ground glass, stable", "ground glass nodule")
    line = by_size(facts, FIRST_SEEN)
    if facts.previous_diameter is not None:
        before = by_size(_before(facts, facts.previous_diameter), FIRST_SEEN)
        if _RISING.index(line.value) > _RISING.index(before.value):
            return _ruling(line.value, f"{line.rule}, and smaller than that before: by its size", "size thresholds")
    return _after(facts, previous)


def _after(facts: Facts, previous: str) -> Ruling:
    """What a stable finding is after its last category: one step lower once the CT of that category was due."""
    lower, wait = _STEPS_DOWN.get(previous, (previous, 0))
    if lower == previous:
        return _ruling(previous, f"{previous} last time and stable", "stepped management")
    if facts.waited is not None and facts.waited < wait - _EARLY_MONTHS:
        rule = f"{previous} last time and stable after {facts.waited:.1f} months; its CT was due after {wait}"
        return _ruling(previous, rule, "stepped management")
    return _ruling(lower, f"{previous} last time and stable at the CT after {wait} months", "stepped management")


def _before(facts: Facts, diameter: float) -> Facts:
    """With the sizes at the earlier CT, as far as they are known."""
    solid = facts.solid_diameter if facts.previous_solid_diameter is None else facts.previous_solid_diameter
    return replace(facts, mean_diameter=diameter, solid_diameter=solid)


def by_size(facts: Facts, course: str | None) -> Ruling:
    """The line by kind, size and course alone; a course that is not known or not certain counts as first seen, growth
    of which the rate is not known as growth.
    """
    course = GROWING if course == RATE_NOT_KNOWN else course
    course = FIRST_SEEN if course in (None, WITHIN_UNCERTAINTY) else course
    size, solid = rounded(facts.mean_diameter, 1), rounded(facts.solid_diameter, 1)
    if facts.kind == GROUND_GLASS:
        return _ground_glass(size, course)
    if facts.kind == PART_SOLID:
        return _part_solid(size, solid, course)
    return _solid(size, course)


def _solid(size: float, course: str) -> Ruling:
    if course in GREW:
        return _banded("solid, growing", size, ((8, "4A"),), "4B", "solid nodule")
    if course == NEW:
        return _banded("solid, new", size, ((4, "2"), (6, "3"), (8, "4A")), "4B", "solid nodule")
    return _banded("solid", size, ((6, "2"), (8, "3"), (15, "4A")), "4B", "solid nodule")


def _part_solid(size: float, solid: float, course: str) -> Ruling:
    finding = "part-solid nodule"
    if course in GREW or (course == NEW and (size >= 6 or solid >= 4)):
        return _banded(f"part-solid, {course}, {_solid_part(solid)}", solid, ((4, "4A"),), "4B", finding)
    if size < 6:
        value = "3" if course == NEW else "2"
        return _ruling(value, f"part-solid{', new' if course == NEW else ''}, under 6 mm in all", finding)
    whole = f"part-solid, 6 mm or more in all, {_solid_part(solid)}"
    return _banded(whole, solid, ((6, "3"), (8, "4A")), "4B", finding)


def _solid_part(solid: float) -> str:
    return "its solid part" if solid else "its solid part too small to measure,"


def _ground_glass(size: float, course: str) -> Ruling:
    finding = "ground glass nodule"
    if size < 30:
        return _ruling("2", "ground glass, under 30 mm", finding)
    if course in (STABLE, SLOWLY_GROWING):
        return _ruling("2", f"ground glass, 30 mm or more, {course}", finding)
    # A growing one of 30 mm or more has no line of its own; it is never less than one that is first seen.
    return _ruling("3", "ground glass, 30 mm or more", finding)


def _banded(what: str, size: float, bands: Sequence[tuple[float, str]], above: str, finding: str) -> Ruling:
    """The line of the band that a size lies in: (upper bound, category) in rising order, and the category above."""
    low = 0.0
    for bound, value in bands:
        if size < bound:
            span = f"under {bound:g} mm" if not low else f"{low:g} to under {bound:g} mm"
            return _ruling(value, f"{what} {span}", finding)
        low = bound
    return _ruling(above, f"{what} {low:g} mm or more", finding)


def rate(gain: float, months: float | None) -> str:
    """`GROWING` for a gain of the mean diameter (mm) that is over 1.5 mm within 12 months, else `RATE_NOT_KNOWN`.

    Over more than 12 months the gain of each 12 is not known: it is surely more than 1.5 mm in one of them where there
    are more than 1.5 mm for each. `months` is None where the time is not known.
    """
    years = math.inf if months is None else max(1.0, months / GROWTH_MONTHS)
    return GROWING if rounded(gain, 1) > GROWTH_MM * years else RATE_NOT_KNOWN
