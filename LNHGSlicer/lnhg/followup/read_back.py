"""What the files of a follow-up hold, read back; nothing here imports networks or registration."""

from __future__ import annotations

import math
from typing import Any

from ..core.interval import Interval
from .change import Change
from .growth import DoublingTime

#: The files of a follow-up, by what they are; `study-N` beside them is the folder of the results of study N.
FILES = {"record": "follow.json", "table": "follow.csv", "report": "follow.html", "scene": "follow.mrb"}
#: In the folder of a study that is written for a scene.
CT_FILE = "ct.nrrd"
_FIGURES = (
    "volume_mm3",
    "volume_percent",
    "diameter_mm",
    "density_hu",
    "solid_diameter_mm",
    "heterogeneity",
    "unevenness_hu",
)


def change_of(told: dict[str, Any], days: float | None) -> Change | None:
    """The change in a pair of a record, over the interlude's `days`; None where it has none."""
    if "volume_mm3" not in told:
        return None
    figure = {name: _of_number(told.get(name)) for name in _FIGURES}  # older versions do not tell all
    return Change(
        figure["volume_mm3"],
        figure["volume_percent"],
        Interval(*map(_of_number, told["volume_percent_interval"])),
        figure["diameter_mm"],
        figure["density_hu"],
        figure["solid_diameter_mm"],
        figure["heterogeneity"],
        figure["unevenness_hu"],
        days,
        _doubling_of(told["doubling_days"]),
        told["beyond_uncertainty"],
        dict(told["growth"]),
    )


def _doubling_of(told: dict[str, float | None] | None) -> DoublingTime | None:
    if told is None:
        return None
    value, shortest, longest = told["value"], _of_number(told["from"]), told["to"]
    endless = math.nan if math.isnan(shortest) else math.inf  # the record has neither
    return DoublingTime(math.inf if value is None else value, shortest, endless if longest is None else longest)


def _of_number(value: float | None) -> float:
    return math.nan if value is None else value
