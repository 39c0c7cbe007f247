"""What growth of a followed nodule does to its categories: by each document's rule, and only beyond the uncertainty."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from host.handmade import GRIDS, handmade_result
from lnhg.categories.dictation import dictated
from lnhg.core.answers import answers_of_words
from lnhg.core.comparison import comparisons_of_record
from lnhg.core.interval import Interval
from lnhg.followup.change import change
from lnhg.followup.comparisons import with_comparisons
from lnhg.followup.follow import MATCHED, NEW, OUTSIDE, FollowUp, Interlude, Pair
from lnhg.followup.read_back import change_of
from lnhg.followup.study import Study
from lnhg.followup.written import _TITLES, _pair, table
from lnhg.writers.record import run_record

RESULT = replace(handmade_result(GRIDS["axial"]), answers=answers_of_words(["risk=low"]))
HERE = np.zeros(3)


def nodule(mm: float, *, error: float = 0.2, kind: str = "solid", solid: float | None = None, cut: bool = False) -> Any:
    """A ball of a diameter, with sizes that a repeat gives within `error` mm."""
    volume, ends = np.pi / 6 * mm**3, (np.pi / 6 * (mm - error) ** 3, np.pi / 6 * (mm + error) ** 3)
    sizes = dict.fromkeys(("mean_axis", "long_axis", "short_axis", "equivalent_diameter"), mm)
    length, space = Interval(mm - error, mm + error), Interval(volume**2 / ends[1], ends[1])
    part = mm if solid is None else solid
    intervals = {f"{name}_{way}": length for name in ("mean_axis", "long_axis") for way in ("same", "other")}
    intervals |= {f"{name}_{way}": space for name in ("volume", "edge_volume") for way in ("same", "other")}
    intervals |= {f"solid_diameter_{way}": Interval(part - error, part + error) for way in ("same", "other")}
    return replace(
        RESULT.nodules[0],
        **sizes,
        **intervals,
        volume=volume,
        edge_volume=volume,
        type=kind,
        solid_diameter=part,
        cut=cut,
    )


def followed(*rows: Any, days: float | None = 90) -> FollowUp:
    """One nodule through studies, each `days` after the one before; None where a study shows its place without it."""
    studies = [
        Study(f"study {n}", replace(RESULT, nodules=() if row is None else (row,))) for n, row in enumerate(rows, 1)
    ]
    interludes = []
    for before, after in itertools.pairwise(rows):
        told = None if before is None or after is None else change(before, after, days, same_protocol=True)
        state = MATCHED if told else NEW
        interludes.append(Interlude(days, None, True, (Pair(state, before, after, (HERE, HERE), told),), np.eye(4)))  # type: ignore[arg-type]
    track = tuple(None if row is None else row.id for row in rows)
    return with_comparisons(FollowUp(tuple(studies), tuple(interludes), (track,), ()))


def last(follow_up: FollowUp) -> Any:
    (told,) = follow_up.proposals(len(follow_up.studies) - 1).values()
    return told


def test_growth_raises_the_category_of_each_document():
    told = last(followed(nodule(6.2), nodule(7.9)))
    assert [one.value for one in told.categories] == ["4A", "solid, single, 6 to 8 mm", "work-up"]
    assert told.course == "growing"
    told = last(followed(nodule(6.2), nodule(8.4)))
    assert [one.value for one in told.categories] == ["4B", "solid, growing", "work-up"]


def test_a_first_study_is_compared_with_nothing():
    assert followed(nodule(6.2), nodule(7.9)).studies[0].result.comparisons == {}


def test_growth_within_the_uncertainty_says_so_and_names_both_ways():
    told = last(followed(nodule(6.2, error=1.8), nodule(7.8, error=1.8)))
    assert told.course == "change within the uncertainty"
    assert told.lung_rads.value == "3"
    assert "4A if it is growing: its change lies within the uncertainty" in told.lung_rads.open
    assert "work-up if it is growing: its change lies within the uncertainty" in told.bts.open


def test_a_stable_nodule_is_called_so_and_a_smaller_one_too():
    for mm in (7.1, 5.0):
        assert last(followed(nodule(7.0), nodule(mm))).course == "stable"


def test_a_new_nodule_has_the_bounds_of_new_ones():
    told = last(followed(None, nodule(5.0)))
    assert (told.course, told.lung_rads.value) == ("new", "3")


def test_a_nodule_whose_place_the_earlier_study_does_not_show_is_not_compared():
    made = followed(None, nodule(5.0))
    (one,) = made.interludes
    outside = replace(one, pairs=(replace(one.pairs[0], state=OUTSIDE),))
    told = last(with_comparisons(replace(made, interludes=(outside,))))
    assert (told.course, told.lung_rads.value) == (None, "2")


def test_growth_over_several_studies_that_is_slower_than_1_5_mm_a_year_is_slow_growth():
    told = last(followed(nodule(6.0), nodule(6.9), nodule(7.8), days=400))
    assert (told.course, told.lung_rads.value) == ("slowly growing", "4B")


@pytest.mark.parametrize("days", [None, 730])
def test_growth_of_unknown_rate_says_so(days: float | None):
    told = last(followed(nodule(6.0), nodule(7.8), days=days))
    assert told.course == "larger, rate not known"
    assert "4B if it is slowly growing: how much it grew within 12 months is not known" in told.lung_rads.open


def test_a_growing_solid_part_is_growth_of_a_part_solid_nodule():
    before, after = (nodule(12.0, kind="part-solid", solid=part) for part in (3.0, 5.0))
    told = last(followed(before, after))
    assert (told.course, told.lung_rads.value) == ("growing", "4B")
    assert told.bts.value == "treatment or observation"


def test_of_a_cut_mass_nobody_says_that_it_stayed():
    told = last(followed(nodule(40.0, cut=True), nodule(40.0, cut=True)))
    assert set(told.comparison.courses.values()) == {"change within the uncertainty"}


def test_a_solid_nodule_stable_since_its_first_ct_a_year_ago_is_done_by_bts():
    rows = [nodule(mm) for mm in (6.5, 6.55, 6.5)]
    assert last(followed(*rows, days=100)).bts.ruling.next_step.startswith("CT at 1 year from the first")
    assert last(followed(*rows, days=183)).bts.value == "no follow-up"


def test_the_sentence_tells_the_change():
    told = last(followed(nodule(6.2), nodule(7.9)))
    assert "growing (volume +107% in 90 days, beyond the uncertainty); Lung-RADS 4A" in dictated(told)
    assert "change" in dictated(last(followed(nodule(6.2, error=1.8), nodule(7.8, error=1.8)))).split(";")[0]


def test_the_table_has_the_categories_of_the_later_study():
    made = followed(nodule(6.2), nodule(7.9))
    (row,) = table(made)
    cells = dict(zip(_TITLES, row, strict=True))
    assert cells["after: Lung-RADS 2022: proposed"] == "4A"
    assert cells["after: course against earlier CT"] == "growing"


def test_the_record_keeps_the_comparison():
    result = followed(nodule(6.2), nodule(7.9)).studies[1].result
    kept = json.loads(json.dumps(run_record(result, "", with_identity=False)))["comparisons"]
    assert comparisons_of_record(kept) == result.comparisons


def test_the_change_of_the_unevenness_is_told_in_table_and_record_and_read_back():
    rows = [replace(nodule(8), unevenness=hu) for hu in (12.0, 30.5)]
    titles, (row,) = list(_TITLES), table(followed(*rows))
    assert row[titles.index("change of unevenness (HU)")] == 18.5
    told = _pair(followed(*rows).interludes[0].pairs[0])
    assert told["unevenness_hu"] == 18.5
    assert change_of(told, 90).unevenness == 18.5
    del told["unevenness_hu"]  # as older versions wrote it
    assert np.isnan(change_of(told, 90).unevenness)
