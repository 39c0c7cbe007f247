"""Fleischner 2017: every bound from both sides, single and multiple, low and high risk."""

from __future__ import annotations

import pytest

from category_cases import answers, ground_glass, part_solid, solid
from lnhg.categories.category import NOT_FOR_THIS
from lnhg.categories.facts import CALCIFIED, GROWING, RATE_NOT_KNOWN, STABLE, WITHIN_UNCERTAINTY, Facts
from lnhg.categories.fleischner import fleischner
from lnhg.core.answers import Answers

NONE, OPTIONAL = "no routine follow-up", "optional CT at 12 months"
CONSIDER = "consider CT at 3 months, PET/CT or tissue sampling"


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    ("mm", "span"),
    [
        (3.0, "under 6 mm"),
        (5.4, "under 6 mm"),
        (5.49, "under 6 mm"),
        (5.5, "6 to 8 mm"),
        (6.0, "6 to 8 mm"),
        (8.0, "6 to 8 mm"),
        (8.49, "6 to 8 mm"),
        (8.5, "over 8 mm"),
        (30.0, "over 8 mm"),
    ],
)
def test_solid_nodules_are_parted_at_whole_millimetres(count: int, mm: float, span: str) -> None:
    number = "single" if count == 1 else "multiple"
    assert fleischner(solid(mm, count=count), Answers()).value == f"solid, {number}, {span}"


@pytest.mark.parametrize(
    ("count", "mm", "risk", "step"),
    [
        (1, 5.0, "low", NONE),
        (1, 5.0, "high", OPTIONAL),
        (1, 7.0, "low", "CT at 6 to 12 months, then consider CT at 18 to 24 months"),
        (1, 7.0, "high", "CT at 6 to 12 months, then CT at 18 to 24 months"),
        (1, 9.0, "low", CONSIDER),
        (1, 9.0, "high", CONSIDER),
        (2, 5.0, "low", NONE),
        (2, 5.0, "high", OPTIONAL),
        (2, 7.0, "low", "CT at 3 to 6 months, then consider CT at 18 to 24 months"),
        (2, 7.0, "high", "CT at 3 to 6 months, then CT at 18 to 24 months"),
        (2, 9.0, "low", "CT at 3 to 6 months, then consider CT at 18 to 24 months"),
        (2, 9.0, "high", "CT at 3 to 6 months, then CT at 18 to 24 months"),
    ],
)
def test_what_is_proposed_of_solid_nodules(count: int, mm: float, risk: str, step: str) -> None:
    assert fleischner(solid(mm, count=count), answers(risk=risk)).ruling.next_step == step


@pytest.mark.parametrize(
    ("count", "mm", "span", "step"),
    [
        (1, 5.4, "under 6 mm", NONE),
        (1, 5.5, "6 mm or more", "CT at 6 to 12 months, then, if it persists, every 2 years until 5 years"),
        (1, 40.0, "6 mm or more", "CT at 6 to 12 months, then, if it persists, every 2 years until 5 years"),
        (2, 5.4, "under 6 mm", "CT at 3 to 6 months; if stable, consider CT at 2 and 4 years"),
        (2, 5.5, "6 mm or more", "CT at 3 to 6 months; then by the most suspicious nodule"),
    ],
)
def test_ground_glass_nodules(count: int, mm: float, span: str, step: str) -> None:
    ruling = fleischner(ground_glass(mm, count=count), Answers()).ruling
    assert (ruling.value.split(", ", 2)[2], ruling.next_step) == (span, step)


@pytest.mark.parametrize(
    ("count", "mm", "part", "ending", "step"),
    [
        (1, 5.4, 4.0, "under 6 mm", NONE),
        (1, 5.5, 4.0, "solid part under 6 mm", "CT at 3 to 6 months; if unchanged"),
        (1, 12.0, 5.49, "solid part under 6 mm", "CT at 3 to 6 months; if unchanged"),
        (1, 12.0, 5.5, "solid part of 6 mm or more", "CT at 3 to 6 months; a solid part of 6 mm or more"),
        (1, 12.0, 9.0, "solid part of 6 mm or more", "CT at 3 to 6 months; a solid part of 6 mm or more"),
        (2, 5.4, 4.0, "under 6 mm", "CT at 3 to 6 months; if stable"),
        (2, 12.0, 4.0, "solid part under 6 mm", "CT at 3 to 6 months; then by the most suspicious"),
    ],
)
def test_part_solid_nodules(count: int, mm: float, part: float, ending: str, step: str) -> None:
    ruling = fleischner(part_solid(mm, part, count=count), Answers()).ruling
    assert ruling.value.endswith(ending)
    assert ruling.next_step.startswith(step)


@pytest.mark.parametrize(
    ("given", "applies"),
    [
        ({"age": 34}, False),
        ({"age": 35}, True),
        ({"cancer_or_immune": "yes"}, False),
        ({"cancer_or_immune": "no"}, True),
        ({"exam": "first screening"}, False),
        ({"exam": "later screening"}, False),
        ({"exam": "incidental finding"}, True),
    ],
)
def test_it_is_for_adults_from_35_without_cancer_whose_nodule_was_found_by_chance(given: dict, applies: bool) -> None:
    assert (fleischner(solid(7.0), answers(**given)).value != NOT_FOR_THIS) == applies


def test_without_an_answer_on_risk_both_ways_are_told() -> None:
    proposal = fleischner(solid(7.0), Answers())
    assert proposal.ruling.next_step == (
        "at low risk CT at 6 to 12 months, then consider CT at 18 to 24 months; "
        "at high risk CT at 6 to 12 months, then CT at 18 to 24 months"
    )
    assert "“CT at 6 to 12 months, then CT at 18 to 24 months” if risk: high" in proposal.open


@pytest.mark.parametrize(
    ("given", "value"), [({"benign_pattern": "yes"}, "benign pattern"), ({"benign_shape": "yes"}, "perifissural")]
)
def test_benign_nodules_have_no_routine_follow_up(given: dict, value: str) -> None:
    ruling = fleischner(solid(9.0), answers(**given)).ruling
    assert (ruling.value, ruling.next_step) == (value, NONE)


def test_calcified_nodules_are_judged_by_size_if_the_pattern_is_not_benign() -> None:
    calcified = Facts(CALCIFIED, 9.0, 10.0, 300.0, 9.0)
    assert fleischner(calcified, Answers()).value == "benign pattern"
    assert fleischner(calcified, answers(benign_pattern="no")).value == "solid, single, over 8 mm"


def test_a_bound_inside_the_interval_is_told_of_a_calcified_nodule_that_is_not_benign() -> None:
    calcified = Facts(CALCIFIED, 8.2, 8.5, 300.0, 8.2, mean_diameter_interval=(7.8, 8.6))
    assert fleischner(calcified, Answers()).at_boundary == ()
    told = fleischner(calcified, answers(benign_pattern="no")).at_boundary
    assert told == ("solid, single, over 8 mm if the mean diameter is 0.3 mm more",)


@pytest.mark.parametrize(
    ("mm", "interval", "sentence"),
    [
        (5.7, (5.3, 6.2), "solid, single, under 6 mm if the mean diameter is 0.3 mm less"),
        (8.2, (7.8, 8.6), "solid, single, over 8 mm if the mean diameter is 0.3 mm more"),
        (7.0, (6.0, 8.0), None),
    ],
)
def test_a_bound_inside_the_interval_is_told(mm, interval, sentence) -> None:
    proposal = fleischner(solid(mm, mean_diameter_interval=interval), answers(risk="low"))
    assert proposal.at_boundary == ((sentence,) if sentence else ())


def test_a_cut_mass_is_at_least_of_its_class() -> None:
    assert fleischner(solid(7.0, cut=True), Answers()).value == "solid, single, 6 to 8 mm or larger"
    assert fleischner(solid(30.0, cut=True), Answers()).value == "solid, single, over 8 mm"


@pytest.mark.parametrize(
    ("mm", "volume", "told"),
    [
        (5.4, 99.0, ""),
        (5.4, 99.4, ""),
        (5.4, 99.5, "solid, single, 6 to 8 mm by its volume of 100 mm³"),
        (5.4, 250.0, "solid, single, 6 to 8 mm by its volume of 250 mm³"),
        (7.0, 99.0, "solid, single, under 6 mm by its volume of 99 mm³"),
        (7.0, 250.0, ""),
        (7.0, 251.0, "solid, single, over 8 mm by its volume of 251 mm³"),
        (9.0, 250.0, "solid, single, 6 to 8 mm by its volume of 250 mm³"),
        (9.0, 400.0, ""),
    ],
)
def test_a_volume_of_another_class_is_told(mm: float, volume: float, told: str) -> None:
    assert fleischner(solid(mm, volume=volume), answers(risk="low")).by_volume == told


@pytest.mark.parametrize("course", [GROWING, RATE_NOT_KNOWN])
def test_growth_is_not_hidden_behind_a_line_of_the_table(course: str) -> None:
    assert fleischner(solid(5.0, course=course), answers(risk="low")).value == "solid, growing"
    subsolid = fleischner(ground_glass(8.0, course=course), answers(risk="low")).ruling
    assert (subsolid.value, subsolid.next_step) == ("ground glass, growing", "consider resection")


def test_the_reader_may_say_that_it_grows() -> None:
    assert "solid, growing if against earlier CT: growing or slowly growing" in fleischner(solid(7.0), Answers()).open
    assert fleischner(solid(7.0), answers(course="growing")).value == "solid, growing"


def test_change_within_the_uncertainty_keeps_the_line_and_says_so() -> None:
    proposal = fleischner(solid(7.0, course=WITHIN_UNCERTAINTY), answers(risk="high"))
    assert proposal.value == "solid, single, 6 to 8 mm"
    assert "solid, growing if it is growing: its change lies within the uncertainty" in proposal.open


@pytest.mark.parametrize(
    ("facts", "ended"),
    [
        (solid(7.0, course=STABLE, months=17), False),
        (solid(7.0, course=STABLE, months=18), True),
        (solid(9.0, course=STABLE, months=24), False),
        (solid(5.0, course=STABLE, months=11), False),
        (solid(5.0, course=STABLE, months=12), True),
        (ground_glass(5.0, course=STABLE, months=47, count=2), False),
        (ground_glass(5.0, course=STABLE, months=48, count=2), True),
        (ground_glass(9.0, course=STABLE, months=59), False),
        (ground_glass(9.0, course=STABLE, months=60), True),
        (part_solid(9.0, 5.0, course=STABLE, months=60), True),
        (part_solid(9.0, 6.0, course=STABLE, months=60), False),
    ],
)
def test_a_stable_nodule_is_done_at_the_last_date_of_its_line(facts: Facts, ended: bool) -> None:
    step = fleischner(facts, answers(risk="high")).ruling.next_step
    assert (step == NONE) == ended
    assert ended or f"(counted from its first CT, {facts.months:.0f} months ago)" in step


@pytest.mark.parametrize(
    ("mm", "value"), [(9.0, "perifissural"), (9.49, "perifissural"), (9.5, "solid, single, over 8 mm")]
)
def test_a_benign_shape_counts_below_10_mm(mm: float, value: str) -> None:
    assert fleischner(solid(mm), answers(benign_shape="yes")).value == value


@pytest.mark.parametrize(("mm", "mass"), [(30.0, False), (30.1, True), (60.0, True)])
def test_over_30_mm_the_document_does_not_speak_of_it(mm: float, mass: bool) -> None:
    assert ("mass, beyond the document" in fleischner(solid(mm), Answers()).ruling.rule) == mass
