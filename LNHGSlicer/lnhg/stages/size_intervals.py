"""How much the sizes of a nodule change when it is scanned again: 95% intervals from what `lnhg repeats` measured.

The uncertainty of an edge is a length, so that of a volume falls with the diameter d: a repeat lies between
V exp(-6 e / d) and V exp(6 e / d), that of a diameter between D - e and D + e, with an edge uncertain by

    e = a + b (distance of slices) + c (share of the surface that is attached) + d (1 if subsolid)   [mm]

and a, b, c, d of each size and protocol fitted to repeats (`Resources/Models/size_uncertainty.json`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..core.interval import UNKNOWN, Interval
from ..core.resources import resource

#: The two ways of scanning again: with the same protocol, or another kernel, dose or slice thickness.
PROTOCOLS = ("same", "other")
#: Sizes that have an interval, and whether each is a volume.
SIZES = {"volume": True, "edge_volume": True, "long_axis": False, "mean_axis": False, "solid_diameter": False}
#: Format of the file of uncertainties.
FORMAT = 1


@dataclass(frozen=True)
class Conditions:
    """What the uncertainty of a nodule's sizes hangs on.

    Attributes:
        diameter: of the sphere of equal volume, mm.
        slice_mm: distance of the slices.
        attached: share of its surface at other tissue, 0 to 1; NaN counts as all.
        subsolid: whether it is ground glass or part-solid.
    """

    diameter: float
    slice_mm: float
    attached: float
    subsolid: bool

    def terms(self) -> tuple[float, float, float, float]:
        """What the four weights of an edge's uncertainty are multiplied with."""
        return 1.0, self.slice_mm, 1.0 if math.isnan(self.attached) else self.attached, float(self.subsolid)


@dataclass(frozen=True)
class SizeUncertainty:
    """The measured uncertainties.

    Attributes:
        weights: by size and protocol the four weights (a, b, c, d) above, mm.
        generator: SHA-256 of the generator whose outlines were measured.
        measured: what was measured: numbers of nodules and repeats, coverage of held-out repeats.
    """

    weights: Mapping[str, Mapping[str, tuple[float, ...]]]
    generator: str
    measured: Mapping[str, Any]

    def edge_mm(self, size: str, protocol: str, conditions: Conditions) -> float:
        """How far the edge of a repeat lies from this one, mm."""
        return float(sum(w * x for w, x in zip(self.weights[size][protocol], conditions.terms(), strict=True)))

    def interval(self, size: str, protocol: str, value: float, conditions: Conditions) -> Interval:
        """Where a repeat of a size (of `SIZES`; a volume in mm3, a diameter in mm) lies."""
        if math.isnan(value) or (size == "solid_diameter" and not value):
            return UNKNOWN  # a nodule without a solid part has none whose size could be uncertain
        edge = self.edge_mm(size, protocol, conditions)
        if not SIZES[size]:
            return Interval(max(0.0, value - edge), value + edge)
        factor = math.exp(6 * edge / conditions.diameter)
        return Interval(value / factor, value * factor)


@cache
def size_uncertainty() -> SizeUncertainty:
    """The uncertainties that come with the method."""
    values = json.loads(resource("Models", "size_uncertainty.json").read_text(encoding="utf-8"))
    return SizeUncertainty(
        {size: {name: tuple(one) for name, one in parts.items()} for size, parts in values["weights_mm"].items()},
        values["generator_sha256"],
        values["measured"],
    )
