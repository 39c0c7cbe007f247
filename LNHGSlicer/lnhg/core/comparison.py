"""A nodule against earlier studies of its patient: what the categories ask of it, as it travels with a result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Comparison:
    """What `lnhg follow` found; None: not known.

    Attributes:
        courses: by the name of each document the course, as its own rule of growth tells it (`categories.facts`).
        previous_diameter: the mean of long and short axis in the study before, mm.
        days: since the study before.
        months: since the first study that shows it.
        volume_percent: change of the volume since the study before, in percent.
        beyond: whether that change is beyond the uncertainty of both studies.
        volume_change: change of the volume since the first study that shows it, as a share.
        doubling_days: time in which the volume doubles, at the fastest growth beyond the uncertainty.
        previous_solid_diameter: of the solid part in the study before, mm; 0 where it had none.
    """

    courses: Mapping[str, str]
    previous_diameter: float | None = None
    days: float | None = None
    months: float | None = None
    volume_percent: float | None = None
    beyond: bool = False
    volume_change: float | None = None
    doubling_days: float | None = None
    previous_solid_diameter: float | None = None

    @property
    def text(self) -> str:
        """The change of the volume in words, such as `volume +61% in 90 days, beyond the uncertainty`; or empty."""
        if self.volume_percent is None:
            return ""
        time = "" if self.days is None else f" in {self.days:.0f} days"
        return f"volume {self.volume_percent:+.0f}%{time}, {'beyond' if self.beyond else 'within'} the uncertainty"


def as_record(comparisons: Mapping[int, Comparison]) -> dict[str, Any]:
    """Comparisons by the number of a nodule, as plain values; `comparisons_of_record` reads them."""
    return {str(number): asdict(one) for number, one in sorted(comparisons.items())}


def comparisons_of_record(told: Mapping[str, Mapping[str, Any]]) -> dict[int, Comparison]:
    """The comparisons that `as_record` told; what is not known of one is left out."""
    known = {one.name for one in fields(Comparison)}
    return {
        int(number): Comparison(**{name: value for name, value in one.items() if name in known})
        for number, one in told.items()
    }
