"""Nodules at which readers stumble, each judged by all three documents as it would be at the workstation."""

from __future__ import annotations

import pytest

from category_cases import answers, ground_glass, part_solid, solid
from lnhg.categories.bts import bts
from lnhg.categories.category import NOT_FOR_THIS
from lnhg.categories.facts import RATE_NOT_KNOWN, WITHIN_UNCERTAINTY, Facts
from lnhg.categories.fleischner import fleischner
from lnhg.categories.lung_rads import lung_rads

FIRST = {"course": "first seen"}
NEW = {"course": "new"}
LATER, CHANCE = {"exam": "later screening"}, {"exam": "incidental finding"}
NO_FOLLOW_UP, SURVEILLANCE = "no follow-up", "CT surveillance"
TO_ASSESS, FIRST_CT = "risk to be assessed", "CT at 3 months"
LARGE, SMALL = "solid, single, over 8 mm", "solid, single, under 6 mm"


def sphere(mm: float) -> float:
    return 3.14159265 / 6 * mm**3


def ball(mm: float, **more) -> Facts:
    return solid(mm, volume=sphere(mm), **more)


@pytest.mark.parametrize(
    ("facts", "given", "categories"),
    [
        pytest.param(
            ball(9.0), {**FIRST, "benign_shape": "yes"}, ("2", "perifissural", NO_FOLLOW_UP), id="juxtapleural, 9 mm"
        ),
        pytest.param(
            ball(9.0, course=RATE_NOT_KNOWN), {"benign_shape": "yes"}, ("4B", "solid, growing", "work-up"),
            id="juxtapleural, 9 mm, larger than years ago",
        ),
        pytest.param(
            ball(10.0), {**FIRST, "benign_shape": "yes"}, ("4A", LARGE, TO_ASSESS), id="juxtapleural, 10 mm"
        ),
        pytest.param(
            ground_glass(29.0), FIRST, ("2", "ground glass, single, 6 mm or more", FIRST_CT), id="ground glass, 29 mm"
        ),
        pytest.param(
            ground_glass(30.0), FIRST, ("3", "ground glass, single, 6 mm or more", FIRST_CT), id="ground glass, 30 mm"
        ),
        *[
            pytest.param(
                part_solid(12.0, part), FIRST,
                (screening, f"part-solid, single, 6 mm or more, solid part {span}", FIRST_CT),
                id=f"part-solid, solid part {part} mm",
            )
            for part, screening, span in [
                (3.9, "3", "under 6 mm"),
                (4.0, "3", "under 6 mm"),
                (6.0, "4A", "of 6 mm or more"),
                (8.0, "4B", "of 6 mm or more"),
            ]
        ],
        *[
            pytest.param(part_solid(12.0, part), NEW, (screening, None, FIRST_CT), id=f"new part-solid, {part} mm")
            for part, screening in [(3.9, "4A"), (4.0, "4B"), (6.0, "4B"), (8.0, "4B")]
        ],
        *[
            pytest.param(ball(mm), NEW, found, id=f"new solid, {mm} mm")
            for mm, found in [
                (3.9, ("2", SMALL, NO_FOLLOW_UP)),
                (4.0, ("3", SMALL, NO_FOLLOW_UP)),
                (6.0, ("4A", "solid, single, 6 to 8 mm", SURVEILLANCE)),
                (8.0, ("4B", "solid, single, 6 to 8 mm", SURVEILLANCE)),
            ]
        ],
        pytest.param(ball(12.0, count=4), FIRST, ("4A", "solid, multiple, over 8 mm", TO_ASSESS), id="one of four"),
        pytest.param(
            ground_glass(5.0, count=3), FIRST, ("2", "ground glass, multiple, under 6 mm", FIRST_CT),
            id="three of ground glass, 5 mm",
        ),
        pytest.param(
            ball(40.0, cut=True), {**FIRST, "suspicious": "yes"}, ("4X", LARGE, TO_ASSESS), id="a part of a mass"
        ),
        *[
            pytest.param(ball(7.0), {**FIRST, "age": age}, ("3", chance, SURVEILLANCE), id=f"age {age}")
            for age, chance in [(34, NOT_FOR_THIS), (35, "solid, single, 6 to 8 mm")]
        ],
        pytest.param(
            ball(7.0), {**FIRST, "cancer_or_immune": "yes"}, ("3", NOT_FOR_THIS, SURVEILLANCE), id="a known cancer"
        ),
        pytest.param(
            ball(5.0), {**FIRST, **CHANCE, "symptoms": "yes"}, (NOT_FOR_THIS, SMALL, NO_FOLLOW_UP), id="symptoms"
        ),
        pytest.param(
            ball(20.0, course="stable", months=24, volume_change=0.05), {**LATER, "previous_lung_rads": "4B"},
            ("4B", NOT_FOR_THIS, NO_FOLLOW_UP), id="20 mm, the same for two years",
        ),
        pytest.param(
            ball(7.0, course="growing", doubling_days=800), {}, ("4A", "solid, growing", "discharge or surveillance"),
            id="doubles in 800 days",
        ),
    ],
)  # fmt: skip
def test_a_difficult_nodule(facts: Facts, given: dict, categories: tuple[str, str | None, str]) -> None:
    told = answers(**given)
    screening, chance, british = categories
    assert lung_rads(facts, told).value == screening
    assert chance is None or fleischner(facts, told).value == chance
    assert bts(facts, told).value == british


@pytest.mark.parametrize("course", ["stable", "growing", "slowly growing", WITHIN_UNCERTAINTY, RATE_NOT_KNOWN])
def test_a_nodule_in_a_large_airway_that_was_there_before_is_4b_however_it_changed(course: str) -> None:
    assert lung_rads(solid(7.0, course=course), answers(airway="segmental or more proximal")).value == "4B"


def test_a_nodule_in_a_small_airway_that_grew_is_judged_by_its_growth_though_the_rate_is_not_known() -> None:
    assert lung_rads(solid(7.0, course=RATE_NOT_KNOWN), answers(airway="subsegmental")).value == "4A"
    assert lung_rads(solid(7.0, course=WITHIN_UNCERTAINTY), answers(airway="subsegmental")).value == "2"


@pytest.mark.parametrize("course", ["growing", "slowly growing", RATE_NOT_KNOWN])
def test_growth_is_never_hidden_behind_a_benign_shape(course: str) -> None:
    facts, told = solid(7.0, course=course), answers(benign_shape="yes")
    assert lung_rads(facts, told).value in ("4A", "4B")
    assert fleischner(facts, told).value == "solid, growing"
    assert bts(facts, told).value == "work-up"


@pytest.mark.parametrize(("mm", "value"), [(9.94, NO_FOLLOW_UP), (9.95, SURVEILLANCE)])
def test_the_benign_shape_of_bts_ends_at_10_mm_to_one_decimal_place(mm: float, value: str) -> None:
    assert bts(solid(8.0, volume=200.0, long_axis=mm), answers(benign_shape="yes")).value == value
