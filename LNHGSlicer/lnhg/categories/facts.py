"""What of a nodule the guidelines ask for, as the CT and the comparison with an earlier one give it."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: The kinds of a nodule that guidelines part.
SOLID, PART_SOLID, GROUND_GLASS, CALCIFIED = "solid", "part-solid", "ground glass", "calcified"
#: The course of a nodule against earlier CT. `WITHIN_UNCERTAINTY`: it may have grown or not.
FIRST_SEEN, NEW, STABLE, GROWING, SLOWLY_GROWING = "first seen", "new", "stable", "growing", "slowly growing"
WITHIN_UNCERTAINTY = "change within the uncertainty"
#: It grew by more than the uncertainty, but over more than a year or an unknown time: perhaps slowly.
RATE_NOT_KNOWN = "larger, rate not known"
#: The courses of a nodule that grew.
GREW = (GROWING, SLOWLY_GROWING, RATE_NOT_KNOWN)
DAYS_A_MONTH = 365.25 / 12
#: A nodule over this is a mass, mm.
MASS_MM = 30


@dataclass(frozen=True)
class Facts:
    """One nodule. Lengths are mm, volumes mm3, intervals are (low, high), those that hold 95%; None: not known.

    Attributes:
        kind: `SOLID`, `PART_SOLID`, `GROUND_GLASS` or `CALCIFIED`.
        mean_diameter: mean of long and short axis.
        long_axis: the longest diameter.
        volume: of the whole nodule.
        solid_diameter: mean of long and short axis of the solid part.
        mean_diameter_interval, long_axis_interval, volume_interval, solid_diameter_interval: of these sizes.
        cut: whether the sizes are lower bounds.
        course: against earlier CT; None: not compared.
        previous_diameter: its mean diameter at the earlier CT.
        previous_solid_diameter: that of its solid part there.
        doubling_days: time in which its volume doubles; None: not known or not growing.
        volume_change: share by which the volume changed against the earlier CT.
        months: between its first CT and this one.
        waited: months between the CT before and this one.
        upper_lobe: whether it lies in an upper lobe.
        count: number of nodules on the CT.
    """

    kind: str
    mean_diameter: float
    long_axis: float
    volume: float
    solid_diameter: float = 0.0
    mean_diameter_interval: tuple[float, float] | None = None
    long_axis_interval: tuple[float, float] | None = None
    volume_interval: tuple[float, float] | None = None
    solid_diameter_interval: tuple[float, float] | None = None
    cut: bool = False
    course: str | None = None
    previous_diameter: float | None = None
    previous_solid_diameter: float | None = None
    doubling_days: float | None = None
    volume_change: float | None = None
    months: float | None = None
    waited: float | None = None
    upper_lobe: bool | None = None
    count: int = 1

    @property
    def measured(self) -> bool:
        """Whether kind and sizes are known; in tables of other versions they may not be."""
        sizes = (self.mean_diameter, self.long_axis, self.volume, self.solid_diameter)
        return self.kind in (SOLID, PART_SOLID, GROUND_GLASS, CALCIFIED) and all(size >= 0 for size in sizes)


def rounded(value: float, digits: int = 0) -> float:
    """Rounded to so many decimal places, halves up, as a reader rounds: 5.95 is 6.0, 5.5 is 6."""
    # A size of 5.95 is 5.9500000000000002 or 5.949999999999999 in binary: what lies so close to a half is one.
    return math.floor(value * 10**digits + 0.5 + 1e-9) / 10**digits
