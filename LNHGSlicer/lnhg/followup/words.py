"""Changes in words, as report and panel show them."""

from __future__ import annotations

import math

from ..writers.html_templates import MISSING
from .change import Change
from .growth import DoublingTime


def percent_text(change: Change) -> str:
    """A change of volume with its interval, in words."""
    percent, ends = signed(change.volume_percent, 0), change.percent_interval
    if math.isnan(ends.low):
        return f"{percent} % (uncertainty not known)"
    return f"{percent} % ({signed(ends.low, 0)} to {signed(ends.high, 0)})"


def doubling_text(time: DoublingTime) -> str:
    """A doubling time with its interval, in words."""
    if math.isnan(time.shortest):
        return f"{_days(time.days)}, uncertainty not known"
    if math.isinf(time.longest):
        return f"not told apart from no change (not shorter than {time.shortest:.0f} days)"
    ends = sorted(map(abs, (time.shortest, time.longest)))
    return f"{_days(time.days)} ({ends[0]:.0f} to {ends[1]:.0f})"


def _days(days: float) -> str:
    return "no change" if math.isinf(days) else f"{days:.0f} days" if days > 0 else f"halves in {-days:.0f} days"


def signed(value: float, digits: int) -> str:
    """A number with its sign; a dash where it was not measured."""
    return MISSING if math.isnan(value) else f"{value:+.{digits}f}".replace("-", "−")
