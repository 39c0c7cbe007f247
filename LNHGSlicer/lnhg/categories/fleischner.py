"""Fleischner 2017: guidelines for nodules found by chance.

MacMahon H et al., Guidelines for management of incidental pulmonary nodules detected on CT images: from the Fleischner
Society 2017. Radiology 2017;284:228-243, table 1 (A: solid, B: subsolid nodules). Diameters are means of long and
short axis, rounded to whole mm.
"""

from __future__ import annotations

from ..core.answers import NOT_ANSWERED, YES, Answers
from .category import MEAN_DIAMETER, NOT_FOR_THIS, SOLID_DIAMETER, Category, Ruling, judged
from .facts import CALCIFIED, GROUND_GLASS, PART_SOLID, SOLID, Facts, rounded

SYSTEM = "Fleischner 2017"
#: Younger patients are left out, years.
YOUNGEST = 35
_ASKS = ("exam", "risk", "cancer_or_immune", "benign_pattern", "benign_shape")
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
    return judged(SYSTEM, ruling, facts, answers, _ASKS, (MEAN_DIAMETER, SOLID_DIAMETER))


def ruling(facts: Facts, answers: Answers) -> Ruling:
    """The line of the table that holds."""
    outside = _why_not(answers)
    if outside:
        return Ruling(NOT_FOR_THIS, outside, "Fleischner 2017, scope")
    if answers.benign_pattern == YES or (facts.kind == CALCIFIED and answers.benign_pattern == NOT_ANSWERED):
        return Ruling("benign pattern", "fat, or calcification of a benign pattern", f"{_SECTION}, comments", _NONE)
    number = "single" if facts.count <= 1 else "multiple"
    if facts.kind in (PART_SOLID, GROUND_GLASS):
        return _subsolid(facts, number)
    if answers.benign_shape == YES:
        return Ruling(
            "perifissural", "solid, at the pleura or a fissure, smooth, with a benign shape",
            "Fleischner 2017, perifissural and other juxtapleural nodules", _NONE,
        )  # fmt: skip
    return _solid(facts, number, answers.risk)


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
