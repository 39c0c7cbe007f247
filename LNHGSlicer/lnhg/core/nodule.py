"""The nodule table: one row a nodule, and its way to cells of text and back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, get_type_hints

from ..errors import InputError
from .interval import UNKNOWN, Interval

#: What a column of text says where the version that wrote a table did not have the column.
NOT_MEASURED = "not measured"
#: Columns of other versions, by title and by key, whose place the categories have taken: `lnhg.categories`.
FORMER_COLUMNS = (
    "Lung-RADS 2022 class by size and type only",
    "Fleischner 2017 class by size and type only",
    "lung_rads",
    "fleischner",
)
#: What the hint on calcification says of a nodule without any.
NO_CALCIUM = "none"


@dataclass(frozen=True)
class HeterogeneityFigures:
    """How even the values of one region are. NaN where the region is empty or the figure is not defined.

    Attributes:
        mean, deviation: mean and standard deviation, in the unit of the values.
        variation: coefficient of variation, deviation / mean.
        entropy: -sum p log2 p over 32 equal bins of 0..1, bits; at most 5, and at most log2 of the number of voxels.
        strong_share: share of the values above 0.5.
    """

    mean: float = field(metadata={"header": "mean", "unit": None})  # None: the unit of the values
    deviation: float = field(metadata={"header": "standard deviation", "unit": None})
    variation: float = field(metadata={"header": "coefficient of variation", "unit": ""})
    entropy: float = field(metadata={"header": "entropy", "unit": "bit"})
    strong_share: float = field(metadata={"header": "share above 0.5", "unit": ""})


@dataclass(frozen=True)
class ComponentVolumes:
    """Volumes of what a nodule consists of, mm3, by the rules of `lnhg.stages.components`; together the nodule's.

    Attributes:
        solid: above -300 HU, without calcium and fat.
        ground_glass: between solid tissue and air.
        air: cavities and bronchograms, below -850 HU.
        calcium: above 200 HU.
        fat: from -120 to -40 HU.
    """

    solid: float = field(metadata={"header": "solid", "unit": "mm3"})
    ground_glass: float = field(metadata={"header": "ground glass", "unit": "mm3"})
    air: float = field(metadata={"header": "air", "unit": "mm3"})
    calcium: float = field(metadata={"header": "calcium", "unit": "mm3"})
    fat: float = field(metadata={"header": "fat", "unit": "mm3"})


#: Of tables of versions that did not measure them.
_NO_VOLUMES = ComponentVolumes(*[math.nan] * 5)


def _column(header: str, unit: str = "", **more: Any) -> dict[str, Any]:
    return {"header": header, "unit": unit, **more}


# No figure of a nodule is as large, not that of the volume (mm3) of a whole lung.
_MOST = 1e7
_TO_EDGE = "volume to the edge of the CT"


def _repeats(title: str, protocol: str, unit: str) -> dict[str, Any]:
    told = "the same protocol" if protocol == "same" else "another protocol"
    return _column(f"{title}, 95% of repeats with {told}", unit, columns=Interval)


@dataclass(frozen=True)
class Nodule:
    """One row of the table. Lengths are millimetres; NaN or None where a value does not exist.

    Attributes:
        id: the label.
        status: `confirmed`, `detector only`, `seeded` or `edited`.
        score: detector score, 0 to 1.
        centre_r, centre_a, centre_s: mean position of the voxels, RAS.
        slice: number k, from 0, of the axial slice with the largest area (of several, the one nearest the head).
        instance_number: DICOM instance number of that slice.
        side: `right`, `left`: the lung that holds most of its voxels, or the nearest within 10 mm; else, or where the
            field of view does not show which lung that is, `unknown`.
        volume: voxels times the volume of one.
        equivalent_diameter: of the sphere of the same volume.
        long_axis, short_axis: on that slice, the longest diameter and the longest chord at right angles to it; the
            outline runs midway between the centres of neighbouring voxels inside and outside.
        mean_axis: mean of the two.
        sphericity: surface of the sphere of equal volume over the surface, from one triangle mesh of the mask
            smoothed by 0.7 voxels; a ball of voxels gets 0.91 to 0.99, the lower values where slices are thick.
        hu_mean, hu_deviation: mean and standard deviation of its HU.
        share_solid, share_aerated: shares of its voxels above -300 HU and below -600 HU.
        type: by the HU of its core (all but the outer millimetre; the deepest third where that leaves under 5 voxels):
            `calcified` if at least half of the core is above 200 HU; else `solid` if at least 60% is above -300 HU,
            `ground glass` if under 10% is, `part-solid` between.
        solid_diameter: mean axis of the solid part: of the whole nodule if solid or calcified, 0 if ground glass,
            of the largest connected piece of the solid part (`components.solid_part`) if part-solid.
        touches_pleura: whether tissue (above -500 HU) outside the lungs (chest wall, diaphragm, mediastinum) lies
            within 2 mm of its surface. Fissures are not seen. None where no lungs are in the field of view.
        touches_vessel: whether a strand above -500 HU inside the lungs, clear of the pleura by more than 2 mm, begins
            within 1 mm of its surface and reaches 5 mm away; airway walls and scars count too. None as above.
        whole, core, rim: figures of the heterogeneity map in the nodule, without its rim, in its rim.
        raw_whole, raw_core, raw_rim: the same of the raw CT (`raw_ct_figures`).
        cut: whether the outline ends where the nodule does not, so that sizes are lower bounds and categories say `or
            higher`: it is 60 mm wide, as far as the method outlines, or ends at the limit of what was searched for it,
            at the border of the CT, or in the middle of tissue. None in tables of versions that did not tell.
        lobe: by a segmentation that was given: a name of `core.lobes`, two at a fissure (`place.lobe_of`), or why none.
        third: `upper`, `middle` or `lower` third of its lung's height; `unknown` where the scan does not show it whole.
        pleura_distance: from its outline to the surface of the lungs, to about 2 mm; fissures are not seen.
        dense_hu: 95th percentile of its HU, by which calcification is told.
        calcification: a hint: `none`, or where the calcium lies (`benign_hints.calcification`).
        perifissural: a hint: whether it lies at a fissure and is solid, small and smooth; None without lobes.
        components: volumes of solid tissue, ground glass, air, calcium and fat; NaN in tables of versions that did not
            measure them.
        edge_volume: to the half-height edge of the CT, apart from the outline (`lnhg.stages.edge_volume`).
        attached: share of its surroundings that is other tissue (vessel, pleura), where that edge is not seen.
        volume_same, volume_other: where 95 of 100 repeats of `volume` lie, scanned with the same protocol, or with
            another kernel, dose or slice thickness; NaN of nodules that are cut (`lnhg.stages.size_intervals`).
        edge_volume_same, ... solid_diameter_other: likewise of these sizes.
        strongest_depth, strongest_hu: where the map is strongest in the core (in the whole nodule where there is no
            core): how deep that voxel's middle lies below the surface, and the mean HU of it and its neighbours in the
            slice. NaN as above, and where the map is flat.
        unevenness: how far its HU lie from its typical tissue beyond noise and edge, the mean weighted by depth; of the
            CT alone, whatever the map (`heterogeneity_from_ct.unevenness`). NaN as above.
    """

    id: int = field(metadata=_column("id"))
    status: str = field(metadata=_column("status"))
    score: float | None = field(metadata=_column("detector score"))
    centre_r: float = field(metadata=_column("centre R", "mm"))
    centre_a: float = field(metadata=_column("centre A", "mm"))
    centre_s: float = field(metadata=_column("centre S", "mm"))
    slice: int = field(metadata=_column("slice"))
    instance_number: int | None = field(metadata=_column("instance number"))
    side: str = field(metadata=_column("side"))
    volume: float = field(metadata=_column("volume", "mm3"))
    equivalent_diameter: float = field(metadata=_column("equivalent diameter", "mm"))
    long_axis: float = field(metadata=_column("long axis", "mm"))
    short_axis: float = field(metadata=_column("short axis", "mm"))
    mean_axis: float = field(metadata=_column("mean of long and short axis", "mm"))
    sphericity: float = field(metadata=_column("sphericity"))
    hu_mean: float = field(metadata=_column("mean density", "HU"))
    hu_deviation: float = field(metadata=_column("standard deviation of density", "HU"))
    share_solid: float = field(metadata=_column("share above -300 HU"))
    share_aerated: float = field(metadata=_column("share below -600 HU"))
    type: str = field(metadata=_column("type"))
    solid_diameter: float = field(metadata=_column("diameter of solid part", "mm"))
    touches_pleura: bool | None = field(metadata=_column("touches pleura"))
    touches_vessel: bool | None = field(metadata=_column("touches vessel"))
    whole: HeterogeneityFigures = field(metadata=_column("heterogeneity, whole", columns=HeterogeneityFigures))
    core: HeterogeneityFigures = field(metadata=_column("heterogeneity, core", columns=HeterogeneityFigures))
    rim: HeterogeneityFigures = field(metadata=_column("heterogeneity, rim", columns=HeterogeneityFigures))
    raw_whole: HeterogeneityFigures = field(metadata=_column("raw CT, whole", "HU", columns=HeterogeneityFigures))
    raw_core: HeterogeneityFigures = field(metadata=_column("raw CT, core", "HU", columns=HeterogeneityFigures))
    raw_rim: HeterogeneityFigures = field(metadata=_column("raw CT, rim", "HU", columns=HeterogeneityFigures))
    cut: bool | None = field(default=None, metadata=_column("cut, sizes are lower bounds"))
    components: ComponentVolumes = field(
        default=_NO_VOLUMES, metadata=_column("volume of components", columns=ComponentVolumes)
    )
    edge_volume: float = field(default=math.nan, metadata=_column(_TO_EDGE, "mm3"))
    attached: float = field(default=math.nan, metadata=_column("share of the surroundings that is other tissue"))
    volume_same: Interval = field(default=UNKNOWN, metadata=_repeats("volume", "same", "mm3"))
    volume_other: Interval = field(default=UNKNOWN, metadata=_repeats("volume", "other", "mm3"))
    edge_volume_same: Interval = field(default=UNKNOWN, metadata=_repeats(_TO_EDGE, "same", "mm3"))
    edge_volume_other: Interval = field(default=UNKNOWN, metadata=_repeats(_TO_EDGE, "other", "mm3"))
    long_axis_same: Interval = field(default=UNKNOWN, metadata=_repeats("long axis", "same", "mm"))
    long_axis_other: Interval = field(default=UNKNOWN, metadata=_repeats("long axis", "other", "mm"))
    mean_axis_same: Interval = field(default=UNKNOWN, metadata=_repeats("mean of long and short axis", "same", "mm"))
    mean_axis_other: Interval = field(default=UNKNOWN, metadata=_repeats("mean of long and short axis", "other", "mm"))
    solid_diameter_same: Interval = field(default=UNKNOWN, metadata=_repeats("diameter of solid part", "same", "mm"))
    solid_diameter_other: Interval = field(default=UNKNOWN, metadata=_repeats("diameter of solid part", "other", "mm"))
    strongest_depth: float = field(default=math.nan, metadata=_column("depth of the strongest spot of the map", "mm"))
    strongest_hu: float = field(default=math.nan, metadata=_column("density at the strongest spot of the map", "HU"))
    unevenness: float = field(default=math.nan, metadata=_column("unevenness", "HU"))
    lobe: str = field(default=NOT_MEASURED, metadata=_column("lobe by segmentation"))
    third: str = field(default=NOT_MEASURED, metadata=_column("third of the lung"))
    pleura_distance: float = field(default=math.nan, metadata=_column("distance to the pleura", "mm"))
    dense_hu: float = field(default=math.nan, metadata=_column("95th percentile of density", "HU"))
    calcification: str = field(default=NOT_MEASURED, metadata=_column("calcification, a hint"))
    perifissural: bool | None = field(default=None, metadata=_column("perifissural shape, a hint"))

    @property
    def at_least(self) -> str:
        """What stands before a size that is a lower bound."""
        return "at least " if self.cut else ""

    @property
    def centre_ras(self) -> tuple[float, float, float]:
        """Centre as one RAS point, mm."""
        return self.centre_r, self.centre_a, self.centre_s


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        key: its name in `result.json`, with the unit at its end, such as `volume_mm3`.
        title: its title in tables, such as `volume (mm3)`.
        kind: type of its values.
    """

    key: str
    title: str
    kind: Any


@cache
def columns() -> tuple[Column, ...]:
    """The table's columns, in the order of `as_row`."""
    return tuple(column for some in _columns_by_field().values() for column in some)


@cache
def _columns_by_field() -> dict[str, list[Column]]:
    """The columns of each field of `Nodule`, by the field's title."""
    kinds, made = get_type_hints(Nodule), dict[str, list[Column]]()
    for one in fields(Nodule):
        name, unit = one.metadata["header"], one.metadata["unit"]
        if "columns" not in one.metadata:
            made[name] = [_named(one.name, name, unit, kinds[one.name])]
            continue
        made[name] = []
        for part in fields(one.metadata["columns"]):
            own = part.metadata["unit"]
            title = f"{name}: {part.metadata['header']}"
            made[name].append(_named(f"{one.name}_{part.name}", title, unit if own is None else own, float))
    return made


def _named(key: str, title: str, unit: str, kind: Any) -> Column:
    said = not unit or unit.lower() in key.split("_")
    return Column(key if said else f"{key}_{unit.lower()}", f"{title} ({unit})" if unit else title, kind)


def header() -> list[str]:
    """The table's column titles with units, such as `volume (mm3)`, in the order of `as_row`."""
    return [column.title for column in columns()]


def as_row(nodule: Nodule) -> list[Any]:
    """The nodule's values, one for each title of `header`; figures rounded to 4 places, missing ones empty."""
    values: list[Any] = []
    for column in fields(nodule):
        value = getattr(nodule, column.name)
        values += [getattr(value, part.name) for part in fields(value)] if is_dataclass(value) else [value]
    return [_cell(value) for value in values]


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return round(value, 4) if isinstance(value, float) else value


def from_row(cells: Mapping[str, Any]) -> Nodule:
    """The nodule of which `as_row` made these cells, by the titles or by the keys of their columns.

    A missing value may be empty, None or NaN there, a number text. A column that is missing was not measured: NaN,
    None, or `NOT_MEASURED` in place of text. Columns that are not known are left out (`note_on_columns` names both).
    Raises InputError when a whole number that every nodule has (its id, its slice) is missing, and for a value that its
    column cannot hold, such as an infinite one.
    """
    values = iter([_value(column, cells) for column in columns()])
    read: dict[str, Any] = {}
    for one in fields(Nodule):
        group = one.metadata.get("columns")
        read[one.name] = next(values) if group is None else group(*[next(values) for _ in fields(group)])
        if isinstance(read[one.name], Interval) and not _is_range(read[one.name]):
            raise InputError(
                f"The nodule table holds a range of {one.name.replace('_', ' ')} that is none; segment the CT again."
            )
    return Nodule(**read)


def _is_range(interval: Interval) -> bool:
    """Whether a size can lie in it, or it was not measured."""
    unknown = math.isnan(interval.low) and math.isnan(interval.high)
    return unknown or interval.low <= interval.high


def note_on_columns(names: Iterable[str]) -> str:
    """A sentence on a table of another version, by the titles or keys of its columns; empty where none is missing or
    new.
    """
    there, known = set(names), columns()
    missing = list[str]()
    for name, some in _columns_by_field().items():
        lacking = [column.title for column in some if not {column.title, column.key} & there]
        missing += [name] if len(lacking) == len(some) > 1 else lacking
    others = sorted(there - {name for column in known for name in (column.title, column.key)} - set(FORMER_COLUMNS))
    told = [f"not measured then: {', '.join(missing)}"] if missing else []
    told += [f"not known to this version and left out: {', '.join(others)}"] if others else []
    return f"The nodule table was written by another version of LNHG ({'; '.join(told)})." if told else ""


def _value(column: Column, cells: Mapping[str, Any]) -> Any:
    """The value of a column in its own type."""
    name = column.title if column.title in cells else column.key
    if column.kind is str:
        return str(cells.get(name) or NOT_MEASURED)
    cell = cells.get(name)
    if cell in (None, "", "nan") or cell != cell:
        if column.kind in (int, bool):
            raise InputError(
                f"The nodule table lacks the column {column.title} or a value in it; segment the CT again."
            )
        return math.nan if column.kind is float else None
    try:
        if column.kind in (bool, bool | None):
            return {"yes": True, "no": False}[cell]
        return int(float(cell)) if column.kind in (int, int | None) else _figure(cell)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise InputError(
            f"The nodule table holds {str(cell)[:20]!r} in its column {column.title}; segment the CT again."
        ) from error


def _figure(cell: Any) -> float:
    number = float(cell)
    if not abs(number) <= _MOST:
        raise ValueError(cell)
    return number


@dataclass(frozen=True)
class Tracking:
    """What tells in DICOM that nodules of several studies are one: a name and a UID (PS3.16, TID 1419)."""

    identifier: str
    uid: str
