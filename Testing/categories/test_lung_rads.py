"""Lung-RADS v2022: every bound of its table from both sides, and what would change a category."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from category_cases import answers, ground_glass, part_solid, solid
from lnhg.categories.brock import brock
from lnhg.categories.category import NOT_FOR_THIS, NOT_KNOWN
from lnhg.categories.facts import CALCIFIED, GROWING, RATE_NOT_KNOWN, WITHIN_UNCERTAINTY, Facts
from lnhg.categories.lung_rads import lung_rads, rate
from lnhg.core.answers import Answers


def value(facts: Facts, given: Answers | None = None) -> str:
    return lung_rads(facts, given or Answers()).value


@pytest.mark.parametrize(
    ("course", "mm", "category"),
    [
        *[
            ("first seen", mm, c)
            for mm, c in [(3.0, "2"), (5.9, "2"), (5.94, "2"), (5.95, "3"), (6.0, "3"), (7.9, "3")]
        ],
        *[("first seen", mm, c) for mm, c in [(7.94, "3"), (7.95, "4A"), (8.0, "4A"), (14.9, "4A"), (14.94, "4A")]],
        *[("first seen", mm, c) for mm, c in [(14.95, "4B"), (15.0, "4B"), (59.0, "4B")]],
        *[("new", mm, c) for mm, c in [(3.0, "2"), (3.9, "2"), (3.94, "2"), (3.95, "3"), (4.0, "3"), (5.9, "3")]],
        *[("new", mm, c) for mm, c in [(5.94, "3"), (6.0, "4A"), (7.9, "4A"), (7.94, "4A"), (8.0, "4B"), (20.0, "4B")]],
        *[("growing", mm, c) for mm, c in [(4.0, "4A"), (7.9, "4A"), (7.94, "4A"), (7.95, "4B"), (8.0, "4B")]],
        *[("slowly growing", mm, c) for mm, c in [(4.0, "4B"), (7.9, "4B"), (8.0, "4B"), (15.0, "4B")]],
    ],
)
def test_solid_nodules_by_size_and_course(course: str, mm: float, category: str) -> None:
    assert value(solid(mm), answers(course=course)) == category


@pytest.mark.parametrize(
    ("course", "mm", "part", "category"),
    [
        *[("first seen", *c) for c in [(5.9, 5.0, "2"), (5.94, 5.9, "2"), (6.0, 1.0, "3"), (6.0, 5.9, "3")]],
        *[("first seen", *c) for c in [(20.0, 5.94, "3"), (20.0, 5.95, "4A"), (20.0, 6.0, "4A"), (20.0, 7.9, "4A")]],
        *[("first seen", *c) for c in [(20.0, 7.94, "4A"), (20.0, 7.95, "4B"), (20.0, 8.0, "4B"), (40.0, 15.0, "4B")]],
        *[("new", *c) for c in [(5.9, 2.0, "3"), (5.9, 3.9, "3"), (6.0, 2.0, "4A"), (6.0, 3.9, "4A")]],
        *[("new", *c) for c in [(6.0, 3.94, "4A"), (6.0, 4.0, "4B"), (5.9, 4.0, "4B"), (20.0, 9.0, "4B")]],
        *[("growing", *c) for c in [(5.9, 2.0, "4A"), (12.0, 3.9, "4A"), (12.0, 3.94, "4A"), (12.0, 3.95, "4B")]],
        *[("growing", *c) for c in [(12.0, 4.0, "4B"), (12.0, 8.0, "4B")]],
        *[("slowly growing", *c) for c in [(5.9, 2.0, "4B"), (12.0, 3.0, "4B")]],
    ],
)
def test_part_solid_nodules_go_by_their_solid_part(course: str, mm: float, part: float, category: str) -> None:
    assert value(part_solid(mm, part), answers(course=course)) == category


@pytest.mark.parametrize(
    ("course", "mm", "category"),
    [
        *[("first seen", mm, c) for mm, c in [(4.0, "2"), (29.9, "2"), (29.94, "2"), (29.95, "3"), (30.0, "3")]],
        *[("new", mm, c) for mm, c in [(4.0, "2"), (29.9, "2"), (30.0, "3"), (45.0, "3")]],
        *[("growing", mm, c) for mm, c in [(8.0, "2"), (29.9, "2"), (30.0, "3")]],
        *[("stable", mm, c) for mm, c in [(8.0, "2"), (29.9, "2"), (30.0, "2"), (45.0, "2")]],
        *[("slowly growing", mm, c) for mm, c in [(8.0, "2"), (29.9, "2"), (30.0, "2")]],
    ],
)
def test_ground_glass_nodules(course: str, mm: float, category: str) -> None:
    assert value(ground_glass(mm), answers(course=course)) == category


@pytest.mark.parametrize(
    ("mm", "course", "category"),
    [
        *[(mm, course, "2") for mm in (6.0, 7.9, 8.0, 9.9, 9.94) for course in ("first seen", "new", "stable")],
        (9.95, "first seen", "4A"),
        (10.0, "first seen", "4A"),
        (10.0, "new", "4B"),
        (7.0, "growing", "4A"),
        (9.0, "growing", "4B"),
    ],
)
def test_the_juxtapleural_rule_is_for_solid_nodules_under_10_mm_that_do_not_grow(mm, course, category) -> None:
    assert value(solid(mm), answers(benign_shape="yes", course=course)) == category


def test_the_juxtapleural_rule_is_not_for_part_solid_nodules() -> None:
    assert value(part_solid(9.0, 7.0), answers(benign_shape="yes", course="first seen")) == "4A"


@pytest.mark.parametrize(
    ("airway", "course", "category"),
    [
        *[("segmental or more proximal", course, "4A") for course in ("first seen", "new")],
        *[("segmental or more proximal", course, "4B") for course in ("stable", "growing", "slowly growing")],
        *[("subsegmental", course, "2") for course in ("first seen", "new", "stable")],
        ("subsegmental", "growing", "4A"),
        ("no", "first seen", "3"),
    ],
)
def test_nodules_in_airways(airway: str, course: str, category: str) -> None:
    assert value(solid(7.0), answers(airway=airway, course=course)) == category


@pytest.mark.parametrize(
    ("cyst", "category"),
    [
        ("thin-walled", NOT_FOR_THIS),
        ("thick-walled", "4A"),
        ("multilocular", "4A"),
        ("became multilocular", "4A"),
        ("thick-walled, cystic part growing", "3"),
        ("thick-walled, wall or nodule growing", "4B"),
        ("multilocular, growing or denser", "4B"),
        ("no", "2"),
    ],
)
def test_atypical_cysts(cyst: str, category: str) -> None:
    assert value(solid(5.0), answers(cyst=cyst, course="first seen")) == category


@pytest.mark.parametrize(
    ("mm", "before", "previous", "category"),
    [
        (7.0, None, "2", "2"),
        (7.0, 7.0, "3", "2"),
        (7.9, 7.9, "3", "2"),
        (8.0, 7.5, "3", "4A"),  # crosses a bound of size without growth by the definition
        (7.9, 7.0, "3", "2"),
        (6.0, 5.9, "2", "3"),
        (9.0, 9.0, "4A", "3"),
        (8.0, 9.0, "4A", "3"),
        (15.0, 14.5, "4A", "4B"),
        (16.0, 16.0, "4B", "4B"),
    ],
)
def test_stable_nodules_step_down_unless_they_crossed_a_bound(mm, before, previous, category) -> None:
    given = answers(course="stable", previous_lung_rads=previous)
    assert value(solid(mm, previous_diameter=before), given) == category


@pytest.mark.parametrize(
    ("part", "before", "previous", "category"),
    [(6.2, 5.8, "3", "4A"), (8.2, 7.6, "4A", "4B"), (6.2, 6.2, "4A", "3"), (5.8, 5.5, "3", "2"), (6.2, None, "3", "2")],
)
def test_a_solid_part_that_crossed_a_bound_is_not_stepped_down(part, before, previous, category) -> None:
    facts = part_solid(12.0, part, previous_diameter=12.0, previous_solid_diameter=before)
    assert value(facts, answers(course="stable", previous_lung_rads=previous)) == category


def test_stable_ground_glass_of_any_size_stays_2() -> None:
    given = answers(course="stable", previous_lung_rads="2")
    assert value(ground_glass(30.2, previous_diameter=29.5), given) == "2"


def test_a_volume_is_compared_with_the_size_before_in_the_same_shape() -> None:
    given = answers(course="stable", previous_lung_rads="3")  # its volume is that of a ball of 8.3 mm, as it was before
    assert lung_rads(solid(7.1, volume=300.0, previous_diameter=7.0), given).by_volume == ""


@pytest.mark.parametrize(
    ("previous", "waited", "category"),
    [
        *[("3", months, "3") for months in (1.0, 3.0, 5.4)],
        *[("3", months, "2") for months in (5.5, 6.0, 12.0, None)],
        *[("4A", months, "4A") for months in (1.0, 2.4)],
        *[("4A", months, "3") for months in (2.5, 3.0, 12.0, None)],
        *[("2", months, "2") for months in (1.0, 12.0)],
        *[("4B", months, "4B") for months in (1.0, 3.0, 12.0)],
    ],
)
def test_a_step_down_waits_for_the_ct_that_was_due(previous: str, waited: float | None, category: str) -> None:
    given = answers(course="stable", previous_lung_rads=previous)
    assert value(solid(7.0, previous_diameter=7.0, waited=waited), given) == category


def test_a_ct_before_its_time_says_why_nothing_steps_down() -> None:
    given = answers(course="stable", previous_lung_rads="4A")
    ruling = lung_rads(solid(9.0, previous_diameter=9.0, waited=1.2), given).ruling
    assert ruling.rule == "4A last time and stable after 1.2 months; its CT was due after 3"
    assert ruling.next_step.startswith("CT in 3 months")


@pytest.mark.parametrize("cyst", ["thick-walled", "multilocular", "became multilocular"])
@pytest.mark.parametrize(("previous", "category"), [("4A", "3"), ("3", "2"), ("2", "2"), ("4B", "4B")])
def test_a_stable_cyst_steps_down_too(cyst: str, previous: str, category: str) -> None:
    assert value(solid(12.0), answers(cyst=cyst, course="stable", previous_lung_rads=previous)) == category


@pytest.mark.parametrize(
    ("cyst", "category"),
    [
        ("thick-walled, cystic part growing", "3"),
        ("thick-walled, wall or nodule growing", "4B"),
        ("multilocular, growing or denser", "4B"),
    ],
)
def test_a_cyst_that_grows_never_steps_down(cyst: str, category: str) -> None:
    assert value(solid(12.0), answers(cyst=cyst, course="stable", previous_lung_rads="4A")) == category


def test_a_stable_nodule_in_a_large_airway_never_steps_down() -> None:
    given = answers(airway="segmental or more proximal", course="stable", previous_lung_rads="4A")
    assert value(solid(7.0), given) == "4B"


@pytest.mark.parametrize(
    ("mm", "suspicious", "category"),
    [(5.9, "yes", "2"), (6.0, "yes", "4X"), (8.0, "yes", "4X"), (15.0, "yes", "4X"), (6.0, "no", "3")],
)
def test_other_suspicious_signs_make_a_3_or_4_a_4x(mm: float, suspicious: str, category: str) -> None:
    assert value(solid(mm), answers(suspicious=suspicious, course="first seen")) == category


@pytest.mark.parametrize(
    ("spiculated", "suspicious", "category"),
    [("yes", "not answered", "4X"), ("yes", "no", "3"), ("no", "not answered", "3"), ("no", "yes", "4X")],
)
def test_spiculation_is_such_a_sign_unless_the_reader_says_there_is_none(spiculated, suspicious, category) -> None:
    given = answers(spiculated=spiculated, suspicious=suspicious, course="first seen")
    assert value(solid(7.0), given) == category


@pytest.mark.parametrize(
    ("given", "category"),
    [
        ({}, "3S"),
        ({"suspicious": "yes"}, "4XS"),
        ({"infection": "yes"}, "0S"),
        ({"benign_pattern": "yes"}, "1S"),
        ({"exam": "incidental finding"}, NOT_FOR_THIS),
    ],
)
def test_another_significant_finding_adds_an_s(given: dict, category: str) -> None:
    proposal = lung_rads(solid(7.0), answers(other_finding="yes", course="first seen", **given))
    assert proposal.value == category


def test_an_s_does_not_hide_that_the_size_is_a_lower_bound() -> None:
    assert value(solid(7.0, cut=True), answers(other_finding="yes", course="first seen")) == "3S or higher"


def test_an_earlier_ct_still_to_come_is_0() -> None:
    proposal = lung_rads(solid(9.0), answers(incomplete="yes"))
    assert (proposal.value, proposal.ruling.next_step.split(",")[0]) == ("0", "CT again after 1 to 3 months")


@pytest.mark.parametrize(
    ("mm", "volume", "told"),
    [
        (5.9, 113.0, "3 by its volume of 113 mm³"),  # 6 mm, to one decimal place
        (5.9, 110.0, ""),
        (5.8, 114.0, "3 by its volume of 114 mm³"),
        (6.2, 100.0, "2 by its volume of 100 mm³"),
        (8.3, 260.0, "3 by its volume of 260 mm³"),
        (7.5, 269.0, "4A by its volume of 269 mm³"),
        (14.5, 1768.0, "4B by its volume of 1768 mm³"),
        (8.3, 300.0, ""),
    ],
)
def test_a_volume_of_another_category_is_told(mm: float, volume: float, told: str) -> None:
    proposal = lung_rads(solid(mm, volume=volume), answers(course="first seen"))
    assert proposal.by_volume == told
    assert told in proposal.text


def test_the_volume_of_a_cut_mass_is_a_lower_bound_too_and_tells_nothing() -> None:
    assert lung_rads(solid(8.3, volume=100.0, cut=True), answers(course="first seen")).by_volume == ""


def test_a_part_solid_nodule_without_a_solid_part_that_can_be_measured_says_so() -> None:
    proposal = lung_rads(part_solid(12.0, 0.0), answers(course="first seen"))
    assert (proposal.value, proposal.ruling.rule) == (
        "3", "part-solid, 6 mm or more in all, its solid part too small to measure, under 6 mm",
    )  # fmt: skip


def test_a_calcified_mass_that_is_cut_is_not_taken_for_benign() -> None:
    assert value(Facts(CALCIFIED, 60.0, 60.0, 9e4, 60.0, cut=True), answers(course="first seen")) == "4B"


def test_fat_or_a_benign_calcification_is_1() -> None:
    assert value(solid(20.0), answers(benign_pattern="yes")) == "1"


def test_a_nodule_calcified_by_hu_is_1_but_says_what_it_is_if_the_pattern_is_not_benign() -> None:
    calcified = Facts(CALCIFIED, 9.0, 10.0, 300.0, 9.0)
    proposal = lung_rads(calcified, Answers())
    assert proposal.value == "1"
    assert "4A if fat or a benign pattern of calcification: no" in proposal.open
    assert value(calcified, answers(benign_pattern="no")) == "4A"


def test_an_infection_waits_for_another_ct() -> None:
    assert value(solid(20.0), answers(infection="yes")) == "0"


@pytest.mark.parametrize("given", [{"exam": "incidental finding"}, {"symptoms": "yes"}])
def test_it_is_for_screening_of_persons_without_symptoms(given: dict) -> None:
    assert value(solid(7.0), answers(**given)) == NOT_FOR_THIS


def test_at_a_first_screening_a_nodule_is_first_seen() -> None:
    proposal = lung_rads(solid(7.0), answers(exam="first screening"))
    assert proposal.value == "3"
    assert proposal.ruling.rule == "solid 6 to under 8 mm"
    assert proposal.ruling.section == "Lung-RADS v2022, table, category 3, solid nodule"
    assert proposal.ruling.next_step == "CT in 6 months"


def test_what_was_not_answered_is_named_with_what_it_would_change() -> None:
    proposal = lung_rads(solid(7.0), Answers())
    assert "4A if against earlier CT: new or growing" in proposal.open
    assert "4X if other suspicious signs: yes" in proposal.open
    assert "2 if at the pleura or a fissure, smooth, and oval, lentiform or triangular: yes" in proposal.open


def test_a_fully_answered_nodule_has_nothing_open() -> None:
    given = answers(
        exam="first screening", symptoms="no", infection="no", course="first seen", benign_pattern="no",
        benign_shape="no", airway="no", cyst="no", suspicious="no", incomplete="no", spiculated="no",
    )  # fmt: skip
    assert lung_rads(solid(7.0), given).text == "3"


@pytest.mark.parametrize(
    ("mm", "interval", "sentence"),
    [
        (8.3, (7.7, 8.9), "3 if the mean diameter is 0.4 mm less"),
        (8.3, (7.9, 8.9), "3 if the mean diameter is 0.4 mm less"),
        (8.3, (8.0, 8.9), None),
        (7.7, (7.2, 8.0), "4A if the mean diameter is 0.3 mm more"),
        (7.7, (7.2, 7.9), None),
    ],
)
def test_a_bound_inside_the_interval_of_the_size_is_told(mm, interval, sentence) -> None:
    proposal = lung_rads(solid(mm, mean_diameter_interval=interval), answers(course="first seen"))
    assert proposal.at_boundary == ((sentence,) if sentence else ())


def test_of_a_part_solid_nodule_the_interval_of_the_solid_part_counts() -> None:
    facts = part_solid(12.0, 6.2, solid_diameter_interval=(5.5, 6.9), mean_diameter_interval=(11.0, 13.0))
    proposal = lung_rads(facts, answers(course="first seen"))
    assert proposal.at_boundary == ("3 if the diameter of the solid part is 0.3 mm less",)


def test_the_size_of_a_cut_mass_is_a_lower_bound() -> None:
    assert value(solid(12.0, cut=True), answers(course="first seen")) == "4A or higher"
    assert value(solid(20.0, cut=True), answers(course="first seen")) == "4B"
    assert value(ground_glass(35.0, cut=True), answers(course="first seen")) == "3"
    near = lung_rads(solid(8.2, cut=True, mean_diameter_interval=(7.5, 9.0)), answers(course="first seen"))
    assert near.at_boundary == ()  # it cannot be smaller


def test_growth_within_the_uncertainty_is_neither_growth_nor_none() -> None:
    proposal = lung_rads(solid(7.0, course=WITHIN_UNCERTAINTY), Answers())
    assert proposal.value == "3"
    assert "4A if it is growing: its change lies within the uncertainty" in proposal.open


def test_a_ct_of_a_first_screening_that_was_compared_all_the_same_says_what_growth_would_be() -> None:
    proposal = lung_rads(solid(7.0, course=WITHIN_UNCERTAINTY), answers(exam="first screening"))
    assert "4A if it is growing: its change lies within the uncertainty" in proposal.open


def test_the_reader_overrules_the_comparison() -> None:
    assert value(solid(7.0, course=GROWING), answers(course="stable", previous_lung_rads="2")) == "2"
    assert value(solid(7.0, course=GROWING)) == "4A"


@pytest.mark.parametrize(
    ("gain", "months", "course"),
    [
        *[(1.6, months, GROWING) for months in (0.5, 3, 12)],
        (1.54, 3, RATE_NOT_KNOWN),  # 1.5 mm to one decimal place
        (1.6, None, RATE_NOT_KNOWN),
        (1.6, 12.7, GROWING),
        (1.6, 13, RATE_NOT_KNOWN),
        (2.0, 24, RATE_NOT_KNOWN),
        (3.0, 24, RATE_NOT_KNOWN),
        (3.1, 24, GROWING),
        (4.5, 36, RATE_NOT_KNOWN),
        (4.6, 36, GROWING),
    ],
)
def test_growth_is_more_than_1_5_mm_within_12_months(gain: float, months: float | None, course: str) -> None:
    assert rate(gain, months) == course


@pytest.mark.parametrize(("mm", "category"), [(7.0, "4A"), (8.0, "4B")])
def test_growth_of_unknown_rate_counts_as_growth_and_says_what_slow_growth_would_be(mm: float, category: str) -> None:
    proposal = lung_rads(solid(mm, course=RATE_NOT_KNOWN), Answers())
    assert proposal.value == category
    told = "4B if it is slowly growing: how much it grew within 12 months is not known"
    assert (told in proposal.open) == (category != "4B")


@pytest.mark.parametrize(
    "facts", [solid(math.nan), solid(8.0, volume=math.nan), Facts("not measured", 8.0, 8.0, 200.0)]
)
def test_of_a_nodule_that_was_not_measured_nothing_is_said(facts: Facts) -> None:
    proposal = lung_rads(facts, answers(course="first seen"))
    assert (proposal.value, proposal.open) == (NOT_KNOWN, ())
    assert brock(facts, answers(age=60)).text == "not computed (not answered: size or type)"


def test_the_same_nodule_twice_gives_the_same_category() -> None:
    facts = solid(9.0)
    assert lung_rads(facts, Answers()) == lung_rads(replace(facts), Answers())
