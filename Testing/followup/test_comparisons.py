"""What growth of a followed nodule does to its categories: by each document's rule, and only beyond the uncertainty."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from host.handmade import GRIDS, handmade_result
from lnhg.categories.dictation import dictated
from lnhg.categories.proposals import proposals_of
from lnhg.core.answers import answers_of_words
from lnhg.core.comparison import comparisons_of_record
from lnhg.core.interval import Interval
from lnhg.followup.change import change
from lnhg.followup.comparisons import with_comparisons
from lnhg.followup.follow import (
    MATCHED,
    NEW,
    OUTSIDE,
    RESOLVED,
    SEEN_AGAIN,
    FollowUp,
    Interlude,
    Pair,
    _days,
    with_gaps_bridged,
)
from lnhg.followup.growth import RULES
from lnhg.followup.read_back import change_of
from lnhg.followup.report import volume_figure
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


def said(follow_up: FollowUp) -> dict[str, str]:
    """The columns on growth in the last row of the table."""
    *_, row = table(follow_up)
    cells = dict(zip(_TITLES, row, strict=True))
    return {rule.name: cells[rule.name] for rule in RULES}


@pytest.mark.parametrize(
    "pair",
    [
        (nodule(18.0, kind="part-solid", solid=5.0), nodule(18.3, kind="part-solid", solid=9.5)),
        (nodule(10.0, kind="ground glass", solid=0.0), nodule(11.2, kind="ground glass", solid=0.0)),
        (nodule(10.0, kind="ground glass", solid=0.0), nodule(12.2, kind="ground glass", solid=0.0)),
        (nodule(6.2), nodule(7.9)),
        (nodule(40.0, cut=True), nodule(45.0, cut=True)),
    ],
    ids=["solid part grew", "ground glass under 2 mm", "ground glass over 2 mm", "solid grew", "cut"],
)
def test_the_columns_on_growth_say_what_the_categories_go_by(pair: Any):
    words = {"grown": "growing", "not grown": "stable", "within the uncertainty": "change within the uncertainty"}
    made = followed(*pair)
    assert {name: words[word] for name, word in said(made).items()} == last(made).comparison.courses


def test_a_growing_solid_part_is_growth_in_the_table_too():
    before, after = (nodule(12.0, kind="part-solid", solid=part) for part in (3.0, 5.0))
    assert said(followed(before, after)) == {
        "Lung-RADS 2022": "grown",
        "Fleischner 2017": "not grown",
        "BTS 2015": "grown",
    }


def on_days(*apart: float | None) -> FollowUp:
    """One nodule that grows in the last of several studies, with days between them."""
    made = followed(*[nodule(8.0)] * len(apart), nodule(10.4))
    steps = [replace(one, days=days) for one, days in zip(made.interludes, apart, strict=True)]
    return with_comparisons(replace(made, interludes=tuple(steps)))


def test_an_unknown_date_leaves_the_later_intervals_known():
    told = last(on_days(None, 700)).comparison
    assert (told.days, told.months) == (700, None)
    assert told.doubling_days == pytest.approx(700 * np.log(2) / np.log((10.4 / 8.0) ** 3))


def test_two_studies_of_one_day_leave_the_later_intervals_known():
    days = [date(2020, 1, 1), date(2020, 1, 1), date(2021, 12, 1)]
    studies = [Study(f"study {number}", RESULT, made=day) for number, day in enumerate(days, 1)]
    made = on_days(*_days(studies, None, []))
    assert made.days == [0, 0, 700]
    assert last(made).comparison.months == pytest.approx(700 / 365.25 * 12)
    assert next(iter(made.proposals(1).values())).change.endswith("in 0 days, within the uncertainty")


def test_a_solid_part_that_crosses_a_bound_goes_by_its_size():
    before, after = (nodule(12.0, kind="part-solid", solid=part) for part in (5.8, 6.2))
    made = followed(before, after, days=200)
    (told,) = made.studies[1].result.comparisons.values()
    assert told.previous_solid_diameter == 5.8
    result = replace(made.studies[1].result, answers=answers_of_words(["previous_lung_rads=3"]))
    assert [one.lung_rads.value for one in proposals_of(result)] == ["4A"]


def test_comparisons_of_before_the_solid_part_was_kept_are_read():
    kept = {"1": {"courses": {}, "previous_diameter": 8.0}}
    assert comparisons_of_record(kept)[1].previous_solid_diameter is None


def test_the_volumes_of_a_row_differ_by_its_change_where_one_has_no_edge():
    made = followed(replace(nodule(8.0), edge_volume=200.0), replace(nodule(9.0), edge_volume=np.nan))
    cells = dict(zip(_TITLES, next(iter(table(made))), strict=True))
    before, after = cells["volume before (mm3)"], cells["volume after (mm3)"]
    assert after - before == pytest.approx(cells["change of volume (mm3)"], abs=1e-3)


def test_the_curve_of_a_nodule_has_volumes_of_one_kind():
    rows = [replace(nodule(8.0), edge_volume=200.0), replace(nodule(9.0), edge_volume=np.nan)]
    (axes,) = volume_figure(followed(*rows), [(1, (1, 1))]).axes
    assert axes.lines[0].get_ydata().tolist() == [row.volume for row in rows]


def gap(first: str, second: str, *, apart: float = 0.0, later: Any = None) -> FollowUp:
    """A nodule in the first and in the third of three studies, where the second shows nothing of it."""
    rows = (nodule(9.0), None, later or nodule(9.0))
    there = np.array(RESULT.nodules[0].centre_ras)
    studies = [Study(f"study {n}", replace(RESULT, nodules=(row,) if row else ())) for n, row in enumerate(rows, 1)]
    pairs = (
        Pair(first, rows[0], None, (there, there), None),
        Pair(second, None, rows[2], (there + np.array([apart, 0, 0]), there), None),
    )
    steps = [Interlude(90.0, None, True, (pair,), np.eye(4)) for pair in pairs]  # type: ignore[arg-type]
    made = FollowUp(tuple(studies), tuple(steps), ((1, None, None), (None, None, 1)), ())
    return with_comparisons(with_gaps_bridged(made))


def test_a_nodule_that_one_study_does_not_show_is_no_new_one_afterwards():
    made = gap(RESOLVED, NEW)
    assert made.tracks == ((1, None, 1),)
    assert [pair.state for one in made.interludes for pair in one.pairs] == [RESOLVED, SEEN_AGAIN]
    assert (last(made).course, last(made).comparison.days) == ("stable", 180)


def test_growth_across_a_study_whose_field_leaves_the_nodule_out_is_found():
    made = gap(OUTSIDE, OUTSIDE, later=nodule(13.0))
    assert last(made).course == "growing"
    assert {pair.state for one in made.interludes for pair in one.pairs} == {OUTSIDE}


@pytest.mark.parametrize(("apart", "later"), [(6.0, nodule(9.0)), (0.0, nodule(80.0))], ids=["elsewhere", "too large"])
def test_a_new_nodule_that_cannot_be_the_one_that_resolved_stays_new(apart: float, later: Any):
    made = gap(RESOLVED, NEW, apart=apart, later=later)
    assert len(made.tracks) == 2 and last(made).course == "new"
