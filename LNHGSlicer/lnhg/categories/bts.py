"""BTS 2015: British Thoracic Society guidelines for the investigation and management of pulmonary nodules.

Callister MEJ, Baldwin DR, Akram AR et al., Thorax 2015;70(Suppl 2):ii1-ii54, algorithms 1 (initial approach to solid
nodules), 2 (surveillance of solid nodules) and 3 (sub-solid nodules). Solid nodules go by their volume to 1 mm3, which
the guideline prefers where it is measured (its diameters, 5, 6 and 8 mm, are not used); sub-solid ones by their longest
diameter to 0.1 mm.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

from ..core.answers import NOT_ANSWERED, YES, Answers
from .brock import brock
from .category import LONG_AXIS, VOLUME, Category, Ruling, is_benign, judged, with_mass
from .facts import GREW, GROUND_GLASS, NEW, PART_SOLID, STABLE, WITHIN_UNCERTAINTY, Facts, rounded

SYSTEM = "BTS 2015"
#: Volumes (mm3) from which a solid nodule is followed, and from which its risk is assessed; and the probability from
#: which more than surveillance is proposed.
FOLLOWED_MM3, ASSESSED_MM3, RISK = 80, 300, 0.1
#: Sub-solid nodules are followed from this longest diameter, mm.
FOLLOWED_MM = 5
#: A nodule that grows in less than the first is worked up, in more than the second hardly grows, days; a change of
#: volume below the share is none.
FAST_DAYS, SLOW_DAYS, SAME_SHARE = 400, 600, 0.25
_NONE = "no follow-up"
_ASKS = (
    "sex", "family_history", "emphysema", "course", "benign_pattern", "benign_shape", "spiculated", "upper_lobe",
)  # fmt: skip


# Thousands of volumes are tried for a large nodule, and table, record and report ask for the same.
@lru_cache(maxsize=256)
def bts(facts: Facts, answers: Answers) -> Category:
    """The proposal of BTS 2015 for one nodule, with what would change it."""
    # The risk of a solid nodule hangs on its longest diameter too.
    measures = (LONG_AXIS,) if facts.kind in (PART_SOLID, GROUND_GLASS) else (VOLUME, LONG_AXIS)
    return judged(SYSTEM, ruling, facts, answers, _ASKS, measures)


def ruling(facts: Facts, answers: Answers) -> Ruling:
    """The box of the algorithms that holds."""
    box = _box_of(facts, answers)
    return replace(box, rule=with_mass(box.rule, facts))


def _box_of(facts: Facts, answers: Answers) -> Ruling:
    if is_benign(facts, answers):
        return _box(1, _NONE, "fat, or calcification of a benign pattern")
    if facts.kind in (PART_SOLID, GROUND_GLASS):
        return _subsolid(facts, answers)
    if answers.benign_shape == YES and rounded(facts.long_axis, 1) < 10 and _course(facts, answers) not in GREW:
        return _box(1, _NONE, "solid, under 10 mm, near the pleura or a fissure, smooth, with a benign shape")
    return _solid(facts, answers)


def _box(algorithm: int, value: str, rule: str, step: str = "") -> Ruling:
    return Ruling(value, rule, f"BTS 2015, algorithm {algorithm}", step or value)


def _course(facts: Facts, answers: Answers) -> str | None:
    return facts.course if answers.course == NOT_ANSWERED else answers.course


def _solid(facts: Facts, answers: Answers) -> Ruling:
    course = _course(facts, answers)
    followed = _followed(facts, course)
    if followed is not None:
        return followed
    volume = rounded(facts.volume)
    if volume < FOLLOWED_MM3:
        return _box(1, _NONE, f"solid, under {FOLLOWED_MM3} mm³")
    surveillance = "CT at 3 months and at 1 year, by the time in which the volume doubles"
    if course == STABLE:
        surveillance = "CT at 1 year from the first, by the time in which the volume doubles"
    if volume < ASSESSED_MM3:
        return _box(1, "CT surveillance", f"solid, {FOLLOWED_MM3} to under {ASSESSED_MM3} mm³", surveillance)
    what = f"solid, {ASSESSED_MM3} mm³ or more"
    return _by_risk(facts, answers, 1, what, surveillance, ("PET-CT", "PET-CT, then risk by the Herder model"))


def _followed(facts: Facts, course: str | None) -> Ruling | None:
    """A solid nodule that was compared with earlier CT (algorithm 2); None where that decides nothing."""
    days, change = facts.doubling_days, facts.volume_change
    if course in (WITHIN_UNCERTAINTY, NEW):
        return None
    grows = course in GREW
    if grows and days is not None and days > FAST_DAYS:
        if days <= SLOW_DAYS:
            step = "consider biopsy or further CT, as the patient prefers"
            return _box(2, "biopsy or surveillance", f"solid, doubles in {FAST_DAYS} to {SLOW_DAYS} days", step)
        step = "consider an end of follow-up, or further CT, as the patient prefers"
        return _box(2, "discharge or surveillance", f"solid, doubles in over {SLOW_DAYS} days", step)
    if grows:
        step = "further work-up, and consider definitive treatment"
        return _box(2, "work-up", f"solid, doubles in {FAST_DAYS} days or less, or clearly grows", step)
    if course == STABLE and change is not None and abs(change) < SAME_SHARE and (facts.months or 0) >= 11.5:
        return _box(2, _NONE, "solid, volume changed by less than 25% over a year")
    return None


def _subsolid(facts: Facts, answers: Answers) -> Ruling:
    course, size = _course(facts, answers), rounded(facts.long_axis, 1)
    if size < FOLLOWED_MM:
        return _box(3, _NONE, f"{facts.kind}, under {FOLLOWED_MM} mm")
    if course in GREW:
        step = "consider resection or other treatment, or observation"
        return _box(
            3, "treatment or observation", f"{facts.kind}, growing by 2 mm or more, or with more solid part", step
        )
    if course == STABLE:
        if (facts.months or 0) >= 47.5:
            return _box(3, _NONE, f"{facts.kind}, stable over 4 years")
        what = f"{facts.kind}, {FOLLOWED_MM} mm or more, still there"
        options = ("options discussed", "discuss CT surveillance, biopsy and resection")
        return _by_risk(facts, answers, 3, what, "CT at 1, 2 and 4 years from the first", options)
    return _box(3, "CT at 3 months", f"{facts.kind}, {FOLLOWED_MM} mm or more", "thin-section CT at 3 months")


def _by_risk(
    facts: Facts, answers: Answers, algorithm: int, what: str, surveillance: str, high: tuple[str, str]
) -> Ruling:
    risk = brock(facts, answers)
    told = f"{what}, Brock {risk.text}"
    if math.isnan(risk.low) or risk.low < RISK <= risk.high:
        step = f"under {RISK:.0%} CT surveillance ({surveillance}); from {RISK:.0%} on {high[1]}"
        return _box(algorithm, "risk to be assessed", told, step)
    if risk.high < RISK:
        return _box(algorithm, "CT surveillance", told, surveillance)
    return _box(algorithm, high[0], told, high[1])
