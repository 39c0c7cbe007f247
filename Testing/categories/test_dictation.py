"""The sentence to dictate, and what is proposed of the nodules of a result."""

from __future__ import annotations

from dataclasses import replace

import pytest

from host.handmade import GRIDS, handmade_result
from lnhg.categories.dictation import dictated
from lnhg.categories.proposals import proposal_header, proposal_row, proposals
from lnhg.core.answers import StudyAnswers, answers_of_words
from lnhg.core.comparison import Comparison
from lnhg.core.nodule import ComponentVolumes
from lnhg.errors import InputError
from lnhg.options import SENTENCE, SENTENCE_FIELDS, Options

NODULE = replace(
    handmade_result(GRIDS["axial"]).nodules[0],
    long_axis=8.4, short_axis=6.9, mean_axis=7.65, volume=214.2, lobe="right upper lobe", side="right",
)  # fmt: skip


def proposed(*words: str, **changed):
    (told,) = proposals([replace(NODULE, **changed)], answers_of_words(words))
    return told


def said(*words: str, template: str = SENTENCE, **changed) -> str:
    return dictated(proposed(*words, **changed), template)


def test_the_sentence_that_a_radiologist_would_dictate():
    assert said("course=new") == (
        "Right upper lobe, solid, 8.4 x 6.9 mm (mean 7.7, 95% not known), 214 mm3, new; Lung-RADS 4A"
    ).replace(", 95% not known", "")


def test_its_interval_is_told_where_it_was_measured():
    one = proposed("course=new")
    one = replace(one, facts=replace(one.facts, mean_diameter_interval=(7.1, 8.3)))
    assert dictated(one).startswith("Right upper lobe, solid, 8.4 x 6.9 mm (mean 7.7, 95% 7.1 to 8.3), 214 mm3")


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"lobe": "right upper lobe / right middle lobe"}, "Right upper lobe at the fissure to the right middle lobe,"),
        ({"lobe": "no segmentation", "third": "lower"}, "Right lung, lower third,"),
        ({"lobe": "outside", "third": "unknown"}, "Right lung,"),
        ({"lobe": "not measured", "third": "not measured", "side": "unknown"}, "Lung, side not known,"),
    ],
)
def test_the_place_is_told_as_far_as_it_is_known(changed: dict, place: str):
    assert said(**changed).startswith(place)


def test_a_cut_mass_and_a_part_solid_nodule_say_so():
    assert "at least 8.4 x 6.9 mm" in said(cut=True)
    assert "Lung-RADS 3 or higher" in said("course=first seen", cut=True)
    assert "solid part 4.0 mm" in said(type="part-solid", solid_diameter=4.0)


def test_hints_for_benign_kinds_are_in_it():
    fat = ComponentVolumes(0, 0, 0, 0, 30.0)
    assert ", calcified, central, fat, perifissural shape;" in said(
        calcification="central", components=fat, perifissural=True
    )
    assert "calcified" not in said(calcification="none")


def test_the_user_may_change_the_template():
    assert said(template="nodule {number}[ ({course})] on slice {slice}[, {doubling_days} days]") == (
        f"Nodule 1 on slice {NODULE.slice}"
    )
    assert said(template="{doubling_days}").endswith("ot known")


def test_every_name_can_be_filled_in():
    for name in SENTENCE_FIELDS:
        assert "{" not in said(template=f"{{{name}}}")


@pytest.mark.parametrize(
    ("template", "said"),
    [("{colour}", "names 'colour'"), ("{long", "brace"), ("a [b", "brackets"), ("a [b [c] d]", "brackets")],
)
def test_a_template_that_cannot_be_filled_in_is_refused(template: str, said: str):
    with pytest.raises(InputError, match=said):
        Options(sentence=template)


def test_a_row_has_a_cell_for_each_column():
    one = proposed("age=60", "course=new")
    row = dict(zip(proposal_header(), proposal_row(one, "sentence"), strict=True))
    assert row["Lung-RADS 2022: proposed"] == "4A"
    assert row["BTS 2015: rule"] == "solid, 80 to under 300 mm³"
    assert float(row["Brock probability: lowest (%)"]) < float(row["Brock probability: highest (%)"])
    empty = dict(zip(proposal_header(), proposal_row(proposed(), ""), strict=True))
    assert empty["Brock probability: lowest (%)"] == ""


def test_all_nodules_count_and_an_upper_lobe_is_known_from_the_lobe():
    told = proposals([NODULE, replace(NODULE, id=2, lobe="left lower lobe")], StudyAnswers())
    assert [one.facts.count for one in told] == [2, 2]
    assert [one.facts.upper_lobe for one in told] == [True, False]
    assert told[0].fleischner.value == "solid, multiple, 6 to 8 mm"


@pytest.mark.parametrize(("days", "category"), [(30.0, "3"), (182.0, "2"), (None, "2")])
def test_the_days_since_the_study_before_tell_whether_a_step_down_is_due(days: float | None, category: str):
    compared = Comparison({"Lung-RADS 2022": "stable"}, previous_diameter=7.7, days=days)
    (told,) = proposals([NODULE], answers_of_words(["previous_lung_rads=3"]), {NODULE.id: compared})
    assert told.lung_rads.value == category
