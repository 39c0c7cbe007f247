"""How well a map points at planted unevenness, case by case; and the cases as files, so that any map can be scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from ..core.atomic_file import write_atomic
from ..core.csv_text import csv_text
from ..core.nrrd_file import write_nrrd
from ..data.images import read_label_image
from ..errors import InputError
from .planted_nodules import EVEN, TEXTURE, PlantedCase

# What counts as uneven and as even: shares of the strongest unevenness; of a texture, percentiles in the core.
_UNEVEN, _AS_EVEN, _TEXTURE_UNEVEN, _TEXTURE_EVEN = 0.5, 0.1, 75, 50
# Fewer voxels of either kind give no area.
_LEAST_UNEVEN, _LEAST_EVEN = 3, 5


@dataclass(frozen=True)
class PlantedScore:
    """One map of one case; NaN where a figure is not defined.

    Attributes:
        case, nodule, source, kind: of the case.
        size_mm, contrast_hu, noise_hu, depth_mm, slice_mm, diameter_mm, ground_glass: of the case.
        map: name of the map.
        area: area under the ROC by voxel in the core, uneven voxels against even ones.
        area_whole: the same in the whole nodule, rim included.
        correlation: rank correlation of the map with the unevenness by voxel, in the core.
        core_mean, core_high: mean and 95th percentile of the map in the core.
        spot_mean: mean of the map over the uneven voxels.
    """

    case: str
    nodule: str
    source: str
    kind: str
    size_mm: float
    contrast_hu: float
    noise_hu: float
    depth_mm: float
    slice_mm: float
    diameter_mm: float
    ground_glass: bool
    map: str
    area: float
    area_whole: float
    correlation: float
    core_mean: float
    core_high: float
    spot_mean: float


def planted_score(case: PlantedCase, name: str, values: np.ndarray) -> PlantedScore:
    """The score of one map: `values` on the case's grid, larger where it says uneven; only the nodule's count."""
    core, uneven, even = case.core, *_parts(case)
    inside = values[core] if core.any() else values[case.nodule]
    return PlantedScore(
        case.name, case.nodule_name, case.source, case.kind, case.size_mm, case.contrast_hu, case.noise_hu,
        case.depth_mm, case.ct.spacing[2], case.diameter, case.ground_glass, name,
        area=_area(values[uneven & core], values[even & core]),
        area_whole=_area(values[uneven], values[even]),
        correlation=_rank_correlation(values[core], case.uneven[core]) if case.kind != EVEN else float("nan"),
        core_mean=float(inside.mean()),
        core_high=float(np.percentile(inside, 95)),
        spot_mean=float(values[uneven].mean()) if uneven.any() else float("nan"),
    )  # fmt: skip


def _parts(case: PlantedCase) -> tuple[np.ndarray, np.ndarray]:
    """Which voxels of the nodule are uneven, and which even; those between count as neither."""
    if case.kind == EVEN or not case.uneven.any():
        return np.zeros_like(case.nodule), case.nodule
    core = case.core if case.core.any() else case.nodule
    if case.kind == TEXTURE:
        high, low = np.percentile(case.uneven[core], (_TEXTURE_UNEVEN, _TEXTURE_EVEN))
    else:
        high, low = _UNEVEN * case.uneven[case.nodule].max(), _AS_EVEN * case.uneven[case.nodule].max()
    return case.nodule & (case.uneven > high), case.nodule & (case.uneven < low)


def _area(uneven: np.ndarray, even: np.ndarray) -> float:
    if len(uneven) < _LEAST_UNEVEN or len(even) < _LEAST_EVEN:
        return float("nan")
    ranks = rankdata(np.concatenate([uneven, even]))[: len(uneven)]
    return float((ranks.sum() - len(uneven) * (len(uneven) + 1) / 2) / (len(uneven) * len(even)))


def _rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    if len(one) < _LEAST_EVEN or one.min() == one.max() or other.min() == other.max():
        return float("nan")
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])


# ---------------------------------------------------------------- files


def write_case(case: PlantedCase, folder: Path) -> dict[str, object]:
    """Write a case as `NAME.ct.nrrd`, `NAME.nodule.nrrd` and `NAME.uneven.nrrd`; returns its row of the table."""
    grid = case.ct.ijk_to_ras
    write_nrrd(folder / f"{case.name}.ct.nrrd", case.ct.hu, grid)
    write_nrrd(folder / f"{case.name}.nodule.nrrd", case.nodule.astype(np.uint8), grid)
    write_nrrd(folder / f"{case.name}.uneven.nrrd", case.uneven, grid)
    names = ("name", "nodule_name", "patient", "source", "kind", "size_mm", "contrast_hu", "noise_hu", "depth_mm")
    return {name: getattr(case, name) for name in names} | {
        "ground_glass": case.ground_glass,
        "diameter_mm": case.diameter,
        "slice_mm": case.ct.spacing[2],
    }


def write_table(rows: Sequence[Mapping[str, object]], path: Path) -> None:
    """Write rows with the same columns as CSV; figures that are not defined are empty."""
    header = list(rows[0]) if rows else []
    write_atomic(path, csv_text([header, *[[_cell(row[name]) for name in header] for row in rows]]))


def score_row(score: PlantedScore) -> dict[str, object]:
    """A score as a row of the table."""
    return {field.name: getattr(score, field.name) for field in fields(score)}


def read_map(case: PlantedCase, folder: Path) -> np.ndarray:
    """The map of another system for a case: `NAME.nrrd` in `folder`, any numbers, on the grid of the case's CT.

    Raises InputError where it is missing, on another grid, or not a number inside the nodule.
    """
    values = np.asarray(read_label_image(folder / f"{case.name}.nrrd", case.ct), np.float32)
    if not np.isfinite(values[case.nodule]).all():
        raise InputError(f"The map {case.name}.nrrd in {folder.name} is not a number inside the nodule; make it again.")
    return values


def _cell(value: object) -> object:
    if isinstance(value, float):
        return "" if np.isnan(value) else round(value, 5)
    return value
