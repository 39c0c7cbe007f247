"""The Brock model against what its paper printed: odds ratios, and probabilities computed from its table by hand."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from category_cases import answers, solid
from lnhg.categories.brock import brock, brock_probability

NOBODY: dict[str, Any] = {
    "age": 62, "female": False, "family_history": False, "emphysema": False, "long_axis": 4.0, "kind": "solid",
    "upper_lobe": False, "count": 4, "spiculated": False,
}  # fmt: skip


def odds(**changed: Any) -> float:
    probability = brock_probability(**{**NOBODY, **changed})
    return probability / (1 - probability)


@pytest.mark.parametrize(
    ("changed", "printed"),
    [
        ({"age": 63}, 1.03),
        ({"female": True}, 1.82),
        ({"family_history": True}, 1.34),
        ({"emphysema": True}, 1.34),
        ({"kind": "ground glass"}, 0.88),
        ({"kind": "part-solid"}, 1.46),
        ({"upper_lobe": True}, 1.93),
        ({"count": 5}, 0.92),
        ({"spiculated": True}, 2.17),
    ],
)
def test_each_factor_has_the_odds_ratio_of_table_2(changed: dict, printed: float) -> None:
    assert odds(**changed) / odds() == pytest.approx(printed, abs=0.0051)


def test_the_constant_is_the_log_odds_of_the_person_at_whom_the_model_is_centred() -> None:
    assert math.log(odds()) == pytest.approx(-6.7892, abs=1e-6)


@pytest.mark.parametrize(
    ("patient", "log_odds"),
    [
        # log odds summed by hand from table 2 of the paper
        ({"age": 62, "long_axis": 10.0, "count": 4}, -6.7892 - 5.3854 * (1 - 1.58113883)),
        (
            {"age": 70, "female": True, "long_axis": 20.0, "upper_lobe": True, "spiculated": True, "count": 1},
            -6.7892 + 8 * 0.0287 + 0.6011 - 5.3854 * (0.70710678 - 1.58113883) + 0.6581 + 0.7729 + 3 * 0.0824,
        ),
        (
            {"age": 55, "emphysema": True, "long_axis": 7.0, "count": 1},
            -6.7892 - 7 * 0.0287 + 0.2953 - 5.3854 * (1.19522861 - 1.58113883) + 3 * 0.0824,
        ),
        (
            {"age": 66, "female": True, "long_axis": 16.0, "kind": "part-solid", "upper_lobe": True, "count": 2},
            -6.7892 + 4 * 0.0287 + 0.6011 - 5.3854 * (0.79056942 - 1.58113883) + 0.3770 + 0.6581 + 2 * 0.0824,
        ),
        (
            {"age": 58, "family_history": True, "long_axis": 25.0, "kind": "ground glass", "count": 5},
            -6.7892 - 4 * 0.0287 + 0.2961 - 5.3854 * (0.63245553 - 1.58113883) - 0.1276 - 0.0824,
        ),
        (
            {"age": 80, "emphysema": True, "family_history": True, "long_axis": 4.0, "spiculated": True, "count": 12},
            -6.7892 + 18 * 0.0287 + 0.2953 + 0.2961 + 0.7729 - 8 * 0.0824,
        ),
    ],
)
def test_whole_patients(patient: dict, log_odds: float) -> None:
    assert brock_probability(**{**NOBODY, **patient}) == pytest.approx(1 / (1 + math.exp(-log_odds)), rel=1e-6)


def test_it_is_the_same_as_another_authors_table_of_the_model() -> None:
    """Table 2 of Eur Radiol 2019;29:5367-5377 (PMC6717521), where age, size and count are not centred."""
    for age, female, family, emphysema, mm, kind, upper, count, spiculated in itertools.product(
        (50, 75),
        (0, 1),
        (0, 1),
        (0, 1),
        (4.0, 12.0, 30.0),
        ("solid", "part-solid", "ground glass"),
        (0, 1),
        (1, 6),
        (0, 1),
    ):
        x = (
            0.2761 + 0.0287 * age + 0.6011 * female + 0.2961 * family + 0.2953 * emphysema
            - 5.3854 * (mm / 10) ** -0.5 + {"solid": 0, "part-solid": 0.377, "ground glass": -0.1276}[kind]
            + 0.6581 * upper - 0.0824 * count + 0.7729 * spiculated
        )  # fmt: skip
        ours = brock_probability(
            age=age, female=bool(female), family_history=bool(family), emphysema=bool(emphysema), long_axis=mm,
            kind=kind, upper_lobe=bool(upper), count=count, spiculated=bool(spiculated),
        )  # fmt: skip
        assert ours == pytest.approx(math.exp(x) / (1 + math.exp(x)), rel=2e-4)


def test_a_larger_nodule_is_more_likely_cancer() -> None:
    risks = [brock_probability(**{**NOBODY, "long_axis": float(mm)}) for mm in range(3, 60)]
    assert risks == sorted(risks)


@pytest.mark.parametrize("wrong", [{"long_axis": 0.0}, {"count": 0}])
def test_impossible_sizes_and_counts_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="above 0"):
        brock_probability(**{**NOBODY, **wrong})


def test_missing_answers_give_a_range_and_are_named() -> None:
    facts = solid(9.0, long_axis=10.0)
    known = {"age": 62, "sex": "male", "family_history": "no", "emphysema": "no", "upper_lobe": "no"}
    part, whole = brock(facts, answers(**known)), brock(facts, answers(**known, spiculated="yes"))
    assert part.missing == ("spiculated",)
    assert part.low < part.high == whole.low == whole.high
    assert part.text.endswith("(not answered: spiculated)") and " to " in part.text


def test_without_an_age_there_is_no_probability() -> None:
    risk = brock(solid(9.0), answers(sex="male"))
    assert math.isnan(risk.low)
    assert risk.text == "not computed (not answered: age, family history, emphysema, spiculated, upper lobe)"


def test_the_lobe_that_is_known_from_the_ct_need_not_be_answered() -> None:
    assert "upper_lobe" not in brock(solid(9.0, upper_lobe=True), answers(age=60)).missing
