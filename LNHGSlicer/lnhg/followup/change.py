"""What changed of a nodule between two studies."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..core.interval import UNKNOWN, Interval
from ..core.nodule import Nodule
from .growth import RULES, DoublingTime, Size, beyond_uncertainty, change_interval, doubling_time


@dataclass(frozen=True)
class Change:
    """Later less earlier; NaN where one of them was not measured.

    Attributes:
        volume, volume_percent: mm3, and as a share of the earlier one in percent.
        percent_interval: of `volume_percent`, from the uncertainty of both studies.
        diameter: of the mean of long and short axis, mm.
        density: of the mean density, HU.
        solid_diameter: of the solid part's diameter, mm.
        heterogeneity: of the mean of the heterogeneity map in the core.
        unevenness: of the unevenness, HU: it repeats better than that mean, and hangs on no kind of map.
        days: between the studies; None where that is not known.
        doubling: the doubling time; None without days.
        beyond: whether the volume changed by more than the uncertainty of both studies.
        growth: by the name of each guideline what its rule says.
    """

    volume: float
    volume_percent: float
    percent_interval: Interval
    diameter: float
    density: float
    solid_diameter: float
    heterogeneity: float
    unevenness: float
    days: float | None
    doubling: DoublingTime | None
    beyond: bool
    growth: dict[str, str]


def volume_size(nodule: Nodule, *, same_protocol: bool, to_edge: bool = True) -> Size:
    """The volume with its interval: to the half-height edge of the CT (`to_edge`), else of the outline's voxels."""
    if to_edge:
        return Size(nodule.edge_volume, nodule.edge_volume_same if same_protocol else nodule.edge_volume_other)
    return Size(nodule.volume, nodule.volume_same if same_protocol else nodule.volume_other)


def volume_of(nodule: Nodule) -> float:
    """The volume that is told: to the half-height edge, or of the outline where that was not measured; mm3."""
    return nodule.edge_volume if has_edge(nodule) else nodule.volume


def diameter_size(nodule: Nodule, *, same_protocol: bool) -> Size:
    """The mean of long and short axis with its interval."""
    return Size(nodule.mean_axis, nodule.mean_axis_same if same_protocol else nodule.mean_axis_other)


def has_edge(*nodules: Nodule) -> bool:
    """Whether the volume to the half-height edge was measured of all, so that like is compared with like."""
    return not any(math.isnan(nodule.edge_volume) for nodule in nodules)


def change(earlier: Nodule, later: Nodule, days: float | None, *, same_protocol: bool) -> Change:
    """The change of one nodule over `days` (above 0, or None)."""
    to_edge = has_edge(earlier, later)
    volumes = [volume_size(one, same_protocol=same_protocol, to_edge=to_edge) for one in (earlier, later)]
    diameters = [diameter_size(one, same_protocol=same_protocol) for one in (earlier, later)]
    if earlier.cut or later.cut:  # sizes that are lower bounds have no interval
        volumes = [Size(one.value, UNKNOWN) for one in volumes]
        diameters = [Size(one.value, UNKNOWN) for one in diameters]
    return Change(
        volumes[1].value - volumes[0].value,
        100 * (volumes[1].value / volumes[0].value - 1),
        change_interval(*volumes),
        later.mean_axis - earlier.mean_axis,
        later.hu_mean - earlier.hu_mean,
        later.solid_diameter - earlier.solid_diameter,
        later.core.mean - earlier.core.mean,
        later.unevenness - earlier.unevenness,
        days,
        None if days is None else doubling_time(volumes[0], volumes[1], days),
        beyond_uncertainty(volumes[0], volumes[1]),
        {rule.name: rule.judge(*(volumes if rule.on_volume else diameters)) for rule in RULES},
    )
