"""A size with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Interval:
    """Between which values a size of the same nodule lies when it is scanned again, 95 times of 100.

    NaN where it was not measured.
    """

    low: float = field(metadata={"header": "from", "unit": None})  # None: the unit of the size
    high: float = field(metadata={"header": "to", "unit": None})

    def holds(self, value: float) -> bool:
        """Whether a value lies in it; never in one that was not measured."""
        return self.low <= value <= self.high

    def crosses(self, boundary: float) -> bool:
        """Whether sizes on both sides of a boundary are within it."""
        return self.low < boundary <= self.high


UNKNOWN = Interval(float("nan"), float("nan"))
