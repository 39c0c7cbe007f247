"""What changed of a nodule between two studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..categories.facts import GROUND_GLASS, PART_SOLID
from ..core.interval import UNKNOWN, Interval
from ..core.nodule import Nodule
from .growth import (
    BTS,
    BTS_SUBSOLID,
    FLEISCHNER,
    GROWN,
    LUNG_RADS,
    RULES,
    STABLE,
    UNSURE,
    DoublingTime,
    GrowthRule,
    Size,
    beyond_uncertainty,
    change_interval,
    doubling_time,
)


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
        doubling: the doubling time; None without days, and within one.
        beyond: whether the volume changed by more than the uncertainty of both studies.
        growth: by the name of each guideline what its rule says (`growth_by_rules`).
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
    return _size(nodule, "edge_volume" if to_edge else "volume", same_protocol)


def _size(nodule: Nodule, name: str, same_protocol: bool) -> Size:
    return Size(getattr(nodule, name), getattr(nodule, f"{name}_{'same' if same_protocol else 'other'}"))


def volumes_of(nodules: Sequence[Nodule | None]) -> list[float | None]:
    """The volumes that are told of one nodule in several studies, mm3: all to the half-height edge, or all of the
    outlines where that was not measured of one. None where the nodule is not.
    """
    to_edge = has_edge(*filter(None, nodules))
    return [None if one is None else one.edge_volume if to_edge else one.volume for one in nodules]


def has_edge(*nodules: Nodule) -> bool:
    """Whether the volume to the half-height edge was measured of all, so that like is compared with like."""
    return all(nodule.edge_volume > 0 for nodule in nodules)


def change(earlier: Nodule, later: Nodule, days: float | None, *, same_protocol: bool) -> Change:
    """The change of one nodule over `days` (0 or more, or None)."""
    to_edge = has_edge(earlier, later)
    volumes = [volume_size(one, same_protocol=same_protocol, to_edge=to_edge) for one in (earlier, later)]
    if earlier.cut or later.cut:  # sizes that are lower bounds have no interval
        volumes = [Size(one.value, UNKNOWN) for one in volumes]
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
        doubling_time(volumes[0], volumes[1], days) if days else None,
        beyond_uncertainty(volumes[0], volumes[1]),
        growth_by_rules(earlier, later, same_protocol=same_protocol),
    )


def growth_by_rules(earlier: Nodule, later: Nodule, *, same_protocol: bool) -> dict[str, str]:
    """What the rule of each guideline says, by its name; of sizes that are lower bounds nobody knows."""
    if earlier.cut or later.cut:
        return dict.fromkeys((rule.name for rule in RULES), UNSURE)

    def said(rule: GrowthRule, name: str) -> str:
        return rule.judge(*(_size(one, name, same_protocol) for one in (earlier, later)))

    def of_solid_part(rule: GrowthRule) -> str:
        """One that had none before has none whose size could be compared."""
        had_one = earlier.type == PART_SOLID
        before = _size(earlier, "solid_diameter", same_protocol) if had_one else Size(earlier.solid_diameter, UNKNOWN)
        return rule.judge(before, _size(later, "solid_diameter", same_protocol)) if later.type == PART_SOLID else STABLE

    by_bts = said(BTS, "edge_volume" if has_edge(earlier, later) else "volume")
    if later.type in (PART_SOLID, GROUND_GLASS):
        by_bts = _stronger(said(BTS_SUBSOLID, "long_axis"), of_solid_part(BTS_SUBSOLID))
    return {
        LUNG_RADS.name: _stronger(said(LUNG_RADS, "mean_axis"), of_solid_part(LUNG_RADS)),
        FLEISCHNER.name: said(FLEISCHNER, "mean_axis"),
        BTS.name: by_bts,
    }


def _stronger(one: str, other: str) -> str:
    return next((word for word in (GROWN, UNSURE) if word in (one, other)), one)
