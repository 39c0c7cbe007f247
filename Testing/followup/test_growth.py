"""Growth by the rules of the guidelines, doubling times, and pairs of nodules by their cost."""

from __future__ import annotations

import math

import numpy as np
import pytest

from host.handmade import GRIDS, handmade_result
from lnhg.core.interval import UNKNOWN, Interval
from lnhg.followup.growth import BTS, FLEISCHNER, LUNG_RADS, Size, beyond_uncertainty, change_interval, doubling_time
from lnhg.followup.matching import matched


def diameter(value: float, more_or_less: float = 0.5) -> Size:
    return Size(value, Interval(value - more_or_less, value + more_or_less))


def volume(value: float, factor: float = 1.1) -> Size:
    return Size(value, Interval(value / factor, value * factor))


@pytest.mark.parametrize(("later", "said"), [(7.5, "not grown"), (7.6, "grown"), (4.4, "shrunk"), (4.5, "not grown")])
def test_lung_rads_asks_for_more_than_one_and_a_half_mm(later: float, said: str) -> None:
    assert LUNG_RADS.judge(diameter(6.0), diameter(later)) == said


@pytest.mark.parametrize(("later", "said"), [(7.9, "not grown"), (8.0, "grown"), (4.0, "shrunk")])
def test_fleischner_asks_for_two_mm(later: float, said: str) -> None:
    assert FLEISCHNER.judge(diameter(6.0), diameter(later)) == said


@pytest.mark.parametrize(("later", "said"), [(124, "not grown"), (126, "grown"), (79, "shrunk"), (81, "not grown")])
def test_bts_asks_for_a_quarter_of_the_volume(later: float, said: str) -> None:
    assert BTS.judge(volume(100), volume(later)) == said


def test_growth_within_the_uncertainty_of_either_study_is_not_called() -> None:
    assert BTS.judge(volume(100), volume(130, factor=1.4)) == "within the uncertainty"
    assert BTS.judge(volume(100, factor=1.4), volume(130)) == "within the uncertainty"
    assert BTS.judge(volume(100), Size(130, UNKNOWN)) == "within the uncertainty"
    assert not beyond_uncertainty(volume(100), volume(109))


def test_a_volume_that_doubles_in_a_year_has_a_doubling_time_of_a_year() -> None:
    time = doubling_time(volume(100), volume(200), 365)
    assert time.days == pytest.approx(365)
    assert time.shortest < 365 < time.longest < 500


def test_a_change_has_the_interval_of_the_less_certain_study() -> None:
    interval = change_interval(volume(100), volume(150, factor=1.2))
    assert (interval.low, interval.high) == (pytest.approx(25), pytest.approx(80))
    assert math.isnan(change_interval(volume(100), Size(150, UNKNOWN)).low)
    assert math.isnan(doubling_time(volume(100), Size(150, UNKNOWN), 100).shortest)


def test_one_that_halves_has_it_below_zero() -> None:
    time = doubling_time(volume(200), volume(100), 365)
    assert time.days == pytest.approx(-365) and time.shortest < -365 < time.longest < 0


def test_a_change_within_the_uncertainty_leaves_the_doubling_time_open() -> None:
    time = doubling_time(volume(100), volume(104), 100)
    assert math.isinf(time.longest) and 0 < time.shortest < time.days
    assert math.isinf(doubling_time(volume(100), volume(100), 100).days)
    assert math.isnan(doubling_time(Size(100, UNKNOWN), volume(120), 100).shortest)


def test_the_pairs_of_least_total_cost_are_taken() -> None:
    one, two = handmade_result(GRIDS["axial"]).nodules
    places = np.array([one.centre_ras, two.centre_ras]) + 1.0
    assert matched([one, two], places, [two, one]) == [(0, 1), (1, 0)]
    assert matched([one, two], places + 100.0, [two, one]) == []
    assert matched([], np.zeros((0, 3)), [two]) == []
