"""Fleischner 2017: guidelines for nodules found by chance.

MacMahon H et al., Guidelines for management of incidental pulmonary nodules detected on CT images: from the Fleischner
Society 2017. Radiology 2017;284:228-243, table 1 (A: solid, B: subsolid nodules). Diameters are means of long and
short axis, rounded to whole mm ("smaller than 6 mm (those 5 mm or smaller)", recommendation 1); the volumes beside them
in the table are 100 and 250 mm3.
"""

from __future__ import annotations

import math
from dataclasses import replace

from ..core.answers import NOT_ANSWERED, YES, Answers
from .category import MEAN_DIAMETER, NOT_FOR_THIS, SOLID_DIAMETER, Category, Ruling, is_benign, judged, with_mass
from .facts import GREW, GROUND_GLASS, PART_SOLID, SOLID, STABLE, Facts, rounded

SYSTEM = "Fleischner 2017"
#: Younger patients are left out, years.
YOUNGEST = 35
#: Volumes that part the same classes as 6 and 8 mm, mm3.
SMALL_MM3, LARGE_MM3 = 100, 250
#: A benign shape at the pleura or a fissure counts below this: the document says "small" and gives no size; the others
#: say 10 mm.
SHAPE_MM = 10
_ASKS = ("exam", "risk", "cancer_or_immune", "course", "benign_pattern", "benign_shape")
_SECTION = "Fleischner 2017, table 1"
_NONE = "no routine follow-up"
# Solid nodules: by number and size class, what is proposed at low and at high risk.
_SOLID = {
    ("single", "under 6 mm"): (_NONE, "optional CT at 12 months"),
    ("single", "6 to 8 mm"): (
        "CT at 6 to 12 months, then consider CT at 18 to 24 months",
        "CT at 6 to 12 months, then CT at 18 to 24 months",
    ),
    ("single", "over 8 mm"): ("consider CT at 3 months, PET/CT or tissue sampling",) * 2,
    ("multiple", "under 6 mm"): (_NONE, "optional CT at 12 months"),
    ("multiple", "6 to 8 mm"): (
        "CT at 3 to 6 months, then consider CT at 18 to 24 months",
        "CT at 3 to 6 months, then CT at 18 to 24 months",
    ),
}
_SOLID["multiple", "over 8 mm"] = _SOLID["multiple", "6 to 8 mm"]


def fleischner(facts: Facts, answers: Answers) -> Category:
    """The line of Fleischner 2017 for one nodule, with what would change it; of several the most suspicious counts."""
    sizes = (MEAN_DIAMETER, SOLID_DIAMETER)
    return judged(SYSTEM, ruling, facts, answers, _ASKS, sizes, by_volume=_with_volumes_class)


def _with_volumes_class(facts: Facts) -> Facts:
    """A diameter inside of the class that the volume lies in."""
    volume = rounded(facts.volume)
    inside = 5.0 if volume < SMALL_MM3 else 7.0 if volume <= LARGE_MM3 else max(9.0, facts.mean_diameter)
    return replace(facts, mean_diameter=inside)


def ruling(facts: Facts, answers: Answers) -> Ruling:
    """The line of the table that holds."""
    outside = _why_not(answers)
    if outside:
        return Ruling(NOT_FOR_THIS, outside, "Fleischner 2017, scope")
    if is_benign(facts, answers):
        return Ruling("benign pattern", "fat, or calcification of a benign pattern", f"{_SECTION}, comments", _NONE)
    number = "single" if facts.count <= 1 else "multiple"
    subsolid = facts.kind in (PART_SOLID, GROUND_GLASS)
    course = facts.course if answers.course == NOT_ANSWERED else answers.course
    if course in GREW:
        return _growing(facts, subsolid)
    if subsolid:
        return _followed(_subsolid(facts, number), facts, course)
    if answers.benign_shape == YES and rounded(facts.mean_diameter) < SHAPE_MM:
        return Ruling(
            "perifissural", "solid, at the pleura or a fissure, smooth, with a benign shape",
            "Fleischner 2017, perifissural and other juxtapleural nodules", _NONE,
        )  # fmt: skip
    return _followed(_solid(facts, number, answers.risk), facts, course)


def _growing(facts: Facts, subsolid: bool) -> Ruling:
    """The table is of nodules as they are first seen; of growth it speaks in the comments on sub-solid ones alone."""
    if subsolid:
        rule = f"{facts.kind}, growing; the comments of the table say what then"
        return Ruling(f"{facts.kind}, growing", with_mass(rule, facts), f"{_SECTION}B, comments", "consider resection")
    rule = "solid, growing; the table has no line for growth"
    step = "the reader decides on work-up, as PET/CT or tissue sampling"
    return Ruling("solid, growing", with_mass(rule, facts), f"{_SECTION}A", step)


def _followed(line: Ruling, facts: Facts, course: str | None) -> Ruling:
    """The line of a nodule that was seen before: its dates count from the first CT, and the last of them ends it."""
    line = replace(line, rule=with_mass(line.rule, facts))
    if course != STABLE or facts.months is None or line.next_step == _NONE:
        return line
    months = rounded(facts.months)
    if months >= _last_date(facts):
        return replace(line, rule=f"{line.rule}, stable for {months:.0f} months", next_step=_NONE)
    return replace(line, next_step=f"{line.next_step} (counted from its first CT, {months:.0f} months ago)")


def _last_date(facts: Facts) -> float:
    """Months from the first CT from which a stable nodule needs no more CT: the last date of its line; endless without
    one.
    """
    size, solid = rounded(facts.mean_diameter), rounded(facts.solid_diameter)
    if facts.kind not in (PART_SOLID, GROUND_GLASS):
        return 12 if size < 6 else 18 if size <= 8 or facts.count > 1 else math.inf
    if facts.kind == PART_SOLID and size >= 6 and solid >= 6:
        return math.inf
    return 48 if size < 6 else 60


def _why_not(answers: Answers) -> str:
    if answers.exam in ("first screening", "later screening"):
        return "the CT was made for screening; the guideline is for nodules found by chance"
    if answers.cancer_or_immune == YES:
        return "a known cancer or a weak immune system"
    if answers.age is not None and answers.age < YOUNGEST:
        return f"younger than {YOUNGEST} years"
    return ""


def _solid(facts: Facts, number: str, risk: str) -> Ruling:
    size = rounded(facts.mean_diameter)
    span = "under 6 mm" if size < 6 else "6 to 8 mm" if size <= 8 else "over 8 mm"
    low, high = _SOLID[number, span]
    if low == high:
        step = low
    elif risk == NOT_ANSWERED:
        step = f"at low risk {low}; at high risk {high}"
    else:
        step = low if risk == "low" else high
    return Ruling(f"{SOLID}, {number}, {span}", f"{number} {SOLID} nodule, {span}", f"{_SECTION}A, {number}", step)


def _subsolid(facts: Facts, number: str) -> Ruling:
    size, solid = rounded(facts.mean_diameter), rounded(facts.solid_diameter)
    span = "under 6 mm" if size < 6 else "6 mm or more"
    part = ""
    if facts.kind == PART_SOLID and size >= 6:
        part = f", solid part {'under 6 mm' if solid < 6 else 'of 6 mm or more'}"
    value = f"{facts.kind}, {number}, {span}{part}"
    rule = f"{number} {facts.kind} nodule, {span}{part}"
    return Ruling(value, rule, f"{_SECTION}B, {number}", _step(facts, size, solid, number))


def _step(facts: Facts, size: float, solid: float, number: str) -> str:
    if number == "multiple":
        if size < 6:
            return "CT at 3 to 6 months; if stable, consider CT at 2 and 4 years"
        return "CT at 3 to 6 months; then by the most suspicious nodule"
    if size < 6:
        return _NONE
    if facts.kind == GROUND_GLASS:
        return "CT at 6 to 12 months, then, if it persists, every 2 years until 5 years"
    if solid < 6:
        return "CT at 3 to 6 months; if unchanged and its solid part stays under 6 mm, every year for 5 years"
    return "CT at 3 to 6 months; a solid part of 6 mm or more that persists is highly suspicious"
