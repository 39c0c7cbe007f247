"""Growth between two studies by the rules of the guidelines, each named, and the doubling time of the volume.

A rule says growth only where the change is beyond the uncertainty of both studies: the later size lies outside of the
interval of the earlier one, and the earlier outside of that of the later.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..core.interval import Interval

#: What a rule can say.
GROWN, SHRUNK, STABLE, UNSURE = "grown", "shrunk", "not grown", "within the uncertainty"


@dataclass(frozen=True)
class Size:
    """A size in one study with its 95% interval: mm, or mm3."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class GrowthRule:
    """A rule of a guideline.

    Attributes:
        name: the guideline.
        rule: what it asks, in words.
        on_volume: whether it looks at the volume; else at a diameter.
        least: the least change that counts: mm, or a share of the volume.
    """

    name: str
    rule: str
    on_volume: bool
    least: float

    def judge(self, earlier: Size, later: Size) -> str:
        """`GROWN`, `SHRUNK`, `STABLE`, or `UNSURE` where the rule is met within the uncertainty."""
        change = later.value / earlier.value - 1 if self.on_volume else later.value - earlier.value
        # Guidelines measure diameters to a tenth of a millimetre.
        change = change if self.on_volume else round(change, 1)
        met = change >= self.least if self.at_least else change > self.least
        # A volume that halves changes as much as one that doubles.
        least_fall = 1 / (1 + self.least) - 1 if self.on_volume else -self.least
        fell = change <= least_fall if self.at_least else change < least_fall
        if not met and not fell:
            return STABLE
        if not beyond_uncertainty(earlier, later):
            return UNSURE
        return GROWN if met else SHRUNK

    @property
    def at_least(self) -> bool:
        """Whether a change of exactly `least` counts."""
        return self.name != LUNG_RADS.name


LUNG_RADS = GrowthRule(
    "Lung-RADS 2022", "mean diameter, or that of the solid part, larger by more than 1.5 mm", False, 1.5
)
FLEISCHNER = GrowthRule("Fleischner 2017", "mean diameter larger by 2 mm or more", False, 2.0)
BTS = GrowthRule(
    "BTS 2015",
    "volume larger by 25% or more, or of sub-solid nodules the longest diameter or that of the solid part by 2 mm or "
    "more",
    True,
    0.25,
)
RULES = (LUNG_RADS, FLEISCHNER, BTS)
#: BTS 2015, algorithm 3: what growth of a sub-solid nodule is.
BTS_SUBSOLID = GrowthRule("BTS 2015, sub-solid", "longest diameter larger by 2 mm or more", False, 2.0)


def beyond_uncertainty(earlier: Size, later: Size) -> bool:
    """Whether a size changed by more than a repeat of either study would; False where an interval is not known."""
    known = not any(math.isnan(one.interval.low) for one in (earlier, later))
    return known and not earlier.interval.holds(later.value) and not later.interval.holds(earlier.value)


@dataclass(frozen=True)
class DoublingTime:
    """Time in which the volume doubles at the rate between two studies, days; below 0 it halves in that time.

    Attributes:
        days: infinite where the volume did not change.
        shortest, longest: its 95% interval. `longest` is infinite where no growth is within the uncertainty; both are
            NaN where the uncertainty is not known.
    """

    days: float
    shortest: float
    longest: float


def doubling_time(earlier: Size, later: Size, days: float) -> DoublingTime:
    """The doubling time of a volume between two studies `days` apart, days > 0.

    log V changes by its measured change, more or less the wider of both studies' intervals.
    """
    change = math.log(later.value / earlier.value)
    spread = _wider_spread(earlier, later)
    rates = [(change + sign * spread) / days for sign in (-1, 1)]
    if math.isnan(spread):
        return DoublingTime(_time(change / days), math.nan, math.nan)
    if rates[0] < 0 < rates[1]:
        return DoublingTime(_time(change / days), _time(rates[1]), math.inf)
    ends = sorted(_time(rate) for rate in rates)
    return DoublingTime(_time(change / days), ends[0], ends[1])


def change_interval(earlier: Size, later: Size) -> Interval:
    """The 95% interval of the change of a volume, in percent of the earlier one; NaN where a study's is not known.

    log V changes by its measured change, more or less the wider of both studies' intervals.
    """
    change, spread = math.log(later.value / earlier.value), _wider_spread(earlier, later)
    low, high = (100 * math.expm1(change + sign * spread) for sign in (-1, 1))
    return Interval(low, high)


def _time(rate: float) -> float:
    return math.log(2) / rate if rate else math.inf


def _wider_spread(earlier: Size, later: Size) -> float:
    """The wider of both; NaN where one is not known, which `max` may pass over."""
    spreads = _spread(earlier), _spread(later)
    return math.nan if any(map(math.isnan, spreads)) else max(spreads)


def _spread(size: Size) -> float:
    """Half the width of the interval of log V: a single number, since the interval is V/f to V f."""
    return math.log(size.interval.high / size.interval.low) / 2
