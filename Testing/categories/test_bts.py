"""BTS 2015: every bound from both sides, the Brock model inside it, and nodules that were followed."""

from __future__ import annotations

import pytest

from category_cases import answers, ground_glass, part_solid, solid
from lnhg.categories.bts import bts
from lnhg.categories.facts import CALCIFIED, GROWING, STABLE, WITHIN_UNCERTAINTY, Facts
from lnhg.core.answers import Answers

LOW = {"age": 50, "sex": "male", "family_history": "no", "emphysema": "no", "spiculated": "no", "upper_lobe": "no"}
HIGH = {
    "age": 75,
    "sex": "female",
    "family_history": "yes",
    "emphysema": "yes",
    "spiculated": "yes",
    "upper_lobe": "yes",
}


@pytest.mark.parametrize(
    ("volume", "value"),
    [
        (20.0, "no follow-up"),
        (79.0, "no follow-up"),
        (79.4, "no follow-up"),
        (79.5, "CT surveillance"),
        (80.0, "CT surveillance"),
        (299.0, "CT surveillance"),
        (299.4, "CT surveillance"),
        (299.5, "risk to be assessed"),
        (300.0, "risk to be assessed"),
        (5000.0, "risk to be assessed"),
    ],
)
def test_solid_nodules_go_by_volume(volume: float, value: str) -> None:
    assert bts(solid(8.0, volume=volume), Answers()).value == value


def test_what_table_record_and_report_ask_for_is_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = bts(solid(20.0, volume=4200.0), Answers())
    monkeypatch.setattr("lnhg.categories.bts.ruling", None)
    assert bts(solid(20.0, volume=4200.0), Answers()) is first


@pytest.mark.parametrize(
    ("long_axis", "given", "value"),
    [(9.0, LOW, "CT surveillance"), (9.0, HIGH, "PET-CT"), (30.0, HIGH, "PET-CT")],
)
def test_from_300_mm3_on_the_brock_model_decides(long_axis: float, given: dict, value: str) -> None:
    proposal = bts(solid(8.5, volume=320.0, long_axis=long_axis), answers(**given))
    assert proposal.value == value
    assert "Brock" in proposal.ruling.rule and "%" in proposal.ruling.rule


def test_the_brock_probability_has_its_bound_at_10_percent() -> None:
    """Of one patient the longest diameter is found that gives 10%; just under it is surveillance, just above PET-CT."""
    given = answers(**{**LOW, "age": 62})
    sizes = [mm / 10 for mm in range(80, 600)]
    values = [bts(solid(8.5, volume=320.0, long_axis=mm), given).value for mm in sizes]
    assert values == sorted(values)  # surveillance, then PET-CT
    assert {"CT surveillance", "PET-CT"} == set(values)


def test_missing_answers_leave_the_risk_open_unless_all_of_them_give_the_same() -> None:
    open_risk = bts(solid(9.0, volume=400.0, long_axis=14.0), answers(age=70))
    assert open_risk.value == "risk to be assessed"
    assert "not answered: sex, family history, emphysema, spiculated, upper lobe" in open_risk.ruling.rule
    small = bts(solid(5.0, volume=310.0, long_axis=4.0), answers(**{**LOW, "emphysema": "not answered"}))
    assert small.value == "CT surveillance"


@pytest.mark.parametrize(
    ("mm", "value"),
    [
        (3.0, "no follow-up"),
        (4.9, "no follow-up"),
        (4.94, "no follow-up"),
        (4.95, "CT at 3 months"),
        (5.0, "CT at 3 months"),
        (30.0, "CT at 3 months"),
    ],
)
@pytest.mark.parametrize("kind", ["ground glass", "part-solid"])
def test_sub_solid_nodules_are_followed_from_5_mm_on(kind: str, mm: float, value: str) -> None:
    facts = ground_glass(mm) if kind == "ground glass" else part_solid(mm, mm / 2)
    assert bts(facts, Answers()).value == value


@pytest.mark.parametrize(
    ("given", "value"), [(LOW, "CT surveillance"), (HIGH, "options discussed"), ({}, "risk to be assessed")]
)
def test_sub_solid_nodules_that_are_still_there_go_by_risk(given: dict, value: str) -> None:
    assert bts(ground_glass(12.0, course=STABLE), answers(**given)).value == value


@pytest.mark.parametrize(("months", "value"), [(47.0, "CT surveillance"), (48.0, "no follow-up")])
def test_sub_solid_nodules_stable_over_four_years_are_done(months: float, value: str) -> None:
    assert bts(ground_glass(12.0, course=STABLE, months=months), answers(**LOW)).value == value


def test_growing_sub_solid_nodules() -> None:
    assert bts(part_solid(12.0, 5.0, course=GROWING), Answers()).value == "treatment or observation"


@pytest.mark.parametrize(
    ("days", "value"),
    [
        (100, "work-up"),
        (399, "work-up"),
        (400, "work-up"),
        (401, "biopsy or surveillance"),
        (600, "biopsy or surveillance"),
        (601, "discharge or surveillance"),
        (None, "work-up"),
    ],
)
def test_growing_solid_nodules_go_by_doubling_time(days: float | None, value: str) -> None:
    assert bts(solid(8.0, volume=200.0, course=GROWING, doubling_days=days), Answers()).value == value


@pytest.mark.parametrize(
    ("change", "months", "value"),
    [
        (0.24, 12, "no follow-up"),
        (-0.24, 12, "no follow-up"),
        (0.25, 12, "CT surveillance"),
        (0.1, 11, "CT surveillance"),
    ],
)
def test_solid_nodules_stable_for_a_year_are_done(change: float, months: float, value: str) -> None:
    facts = solid(8.0, volume=200.0, course=STABLE, volume_change=change, months=months)
    assert bts(facts, Answers()).value == value


def test_change_within_the_uncertainty_leaves_it_at_surveillance_and_says_so() -> None:
    proposal = bts(solid(8.0, volume=200.0, course=WITHIN_UNCERTAINTY), Answers())
    assert proposal.value == "CT surveillance"
    assert "work-up if it is growing: its change lies within the uncertainty" in proposal.open


@pytest.mark.parametrize(
    ("given", "long_axis", "value"),
    [
        ({"benign_pattern": "yes"}, 20.0, "no follow-up"),
        ({"benign_shape": "yes"}, 9.9, "no follow-up"),
        ({"benign_shape": "yes"}, 10.0, "CT surveillance"),
    ],
)
def test_benign_nodules(given: dict, long_axis: float, value: str) -> None:
    assert bts(solid(9.0, volume=200.0, long_axis=long_axis), answers(**given)).value == value


def test_calcified_nodules() -> None:
    assert bts(Facts(CALCIFIED, 9.0, 10.0, 290.0, 9.0), Answers()).value == "no follow-up"
    assert bts(Facts(CALCIFIED, 9.0, 10.0, 290.0, 9.0), answers(benign_pattern="no")).value == "CT surveillance"


@pytest.mark.parametrize(
    ("volume", "interval", "sentences"),
    [
        (92.0, (75.0, 110.0), ("no follow-up if the volume is 13 mm³ less",)),
        (285.0, (240.0, 330.0), ("risk to be assessed if the volume is 15 mm³ more",)),
        (92.0, (81.0, 110.0), ()),
    ],
)
def test_a_bound_inside_the_interval_of_the_volume_is_told(volume, interval, sentences) -> None:
    assert bts(solid(6.0, volume=volume, volume_interval=interval), Answers()).at_boundary == sentences


def test_a_cut_mass_is_at_least_of_its_class() -> None:
    assert bts(solid(7.0, volume=200.0, cut=True), Answers()).value == "CT surveillance or more"


def test_until_a_year_has_passed_a_stable_nodule_waits_for_the_ct_at_one_year() -> None:
    facts = solid(8.0, volume=200.0, course=STABLE, volume_change=0.02, months=3)
    assert bts(facts, Answers()).ruling.next_step.startswith("CT at 1 year from the first")


@pytest.mark.parametrize("kind", [solid, ground_glass])
def test_growth_of_unknown_rate_is_growth(kind) -> None:
    proposal = bts(kind(8.0, course="larger, rate not known"), Answers())
    assert proposal.value in ("work-up", "treatment or observation")


def test_the_longest_diameter_of_a_solid_nodule_counts_where_it_decides_the_risk() -> None:
    given = answers(**{**LOW, "age": 75, "emphysema": "yes", "upper_lobe": "yes"})
    facts = solid(9.0, volume=400.0, long_axis=9.5, long_axis_interval=(9.0, 10.5), volume_interval=(350.0, 450.0))
    assert bts(facts, given).at_boundary == ("PET-CT if the longest diameter is 0.1 mm more",)


def test_of_a_cut_mass_the_risk_is_a_lower_bound() -> None:
    proposal = bts(solid(12.0, volume=800.0, long_axis=12.0, cut=True), answers(**LOW))
    assert "Brock at least " in proposal.ruling.rule
    assert proposal.value == "CT surveillance or more"


@pytest.mark.parametrize(("mm", "mass"), [(30.0, False), (30.1, True)])
def test_over_30_mm_the_document_does_not_speak_of_it(mm: float, mass: bool) -> None:
    rule = bts(solid(20.0, volume=9000.0, long_axis=mm), Answers()).ruling.rule
    assert ("mass, beyond the document" in rule) == mass
