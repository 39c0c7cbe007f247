"""What the indices say of a nodule: against the readers' ratings, and for nodules rated benign against malignant.

LIDC-IDRI has no pathology for these nodules: benign and malignant are what the readers thought, mean rating below or
above 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ..evaluation.statistics import Estimate, bootstrap, bootstrap_interval
from .heterogeneity_indices import Measured

#: Ratings that indices are compared with, where the data holds them.
RATINGS = ("malignancy", "texture", "Spiculation", "Lobulation", "Margin", "InternalStructure")
SIZE = "diameter"

_MIDDLE = 3.0
_FOLDS, _SAMPLES = 5, 1000
# "Reach 1" and "below about 0.5" of the paper's examples, as figures.
_REACHES, _BELOW = 0.9, 0.5


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's correlation of one index with one rating.

    Attributes:
        index, region, rating: what was compared.
        nodules: how many have both.
        rho, p: correlation, and P of no correlation.
        rho_beside_size: the partial correlation, ranks of the diameter taken out of both.
    """

    index: str
    region: str
    rating: str
    nodules: int
    rho: float
    p: float
    rho_beside_size: float


@dataclass(frozen=True)
class Discrimination:
    """How well one index tells nodules rated malignant from those rated benign; middling ones (3) are left out.

    Areas under the ROC; below 0.5: lower in malignant nodules. Intervals: 95%, bootstrap over patients.

    Attributes:
        index, region: what was measured where.
        benign, malignant: how many nodules have the index.
        alone: of the index itself.
        size_alone: of the diameter, same nodules.
        size_modelled, with_size: of logistic regressions on the (log) diameter, and on it and the index,
            cross-validated by patient.
        gain: with_size - size_modelled.
    """

    index: str
    region: str
    benign: int
    malignant: int
    alone: Estimate
    size_alone: Estimate
    size_modelled: Estimate
    with_size: Estimate
    gain: Estimate


@dataclass(frozen=True)
class Contrast:
    """The paper's examples put to the test: benign nodules stay below about 0.5, malignant ones reach 1.

    Attributes:
        index, region: the maximum of the map that is looked at.
        rated: `benign` or `malignant`.
        nodules: how many.
        median: of the maximum.
        below_half, reaching: shares of nodules whose maximum is below 0.5, and at least 0.9.
    """

    index: str
    region: str
    rated: str
    nodules: int
    median: float
    below_half: float
    reaching: float


def rank_correlations(rows: Sequence[Measured]) -> list[RankCorrelation]:
    """Every index of nodules measured in one region against every rating of `RATINGS` that the data holds."""
    found = []
    for rating in RATINGS:
        rated = np.array([row.ratings.get(rating, math.nan) for row in rows])
        if np.unique(rated[np.isfinite(rated)]).size < 2:
            continue
        for index in rows[0].indices:
            values, size = column(rows, index), column(rows, SIZE)
            both = np.isfinite(values) & np.isfinite(rated)
            if both.sum() < 3 or np.ptp(values[both]) == 0:
                continue
            rho, p = stats.spearmanr(values[both], rated[both])
            beside = partial_rank_correlation(values[both], rated[both], size[both]) if index != SIZE else math.nan
            found.append(RankCorrelation(index, rows[0].region, rating, int(both.sum()), float(rho), float(p), beside))
    return found


def partial_rank_correlation(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> float:
    """Spearman's correlation of a and b with `out` taken out: (r_ab - r_ao r_bo) / sqrt((1 - r_ao^2) (1 - r_bo^2))."""
    ab, ao, bo = (float(stats.spearmanr(x, y)[0]) for x, y in ((a, b), (a, out), (b, out)))
    rest = (1 - ao**2) * (1 - bo**2)
    return (ab - ao * bo) / math.sqrt(rest) if rest > 1e-12 else math.nan


def discriminations(rows: Sequence[Measured]) -> list[Discrimination]:
    """Every index of nodules measured in one region; indices too rare for the folds are left out."""
    rated = _rated(rows)
    found = (_discrimination(rated, index) for index in rows[0].indices)
    return [one for one in found if one is not None]


def _discrimination(rated: Sequence[Measured], index: str) -> Discrimination | None:
    rows = [row for row in rated if math.isfinite(row.indices[index]) and math.isfinite(row.indices[SIZE])]
    malignant = is_malignant(rows)
    patients = np.array([row.patient for row in rows])
    if not _FOLDS <= malignant.sum() <= len(rows) - _FOLDS or np.unique(patients).size < _FOLDS:
        return None
    values, size = column(rows, index), column(rows, SIZE)
    modelled = modelled_chance(np.log(size)[:, None], malignant, patients)
    chance = (
        modelled if index == SIZE else modelled_chance(np.column_stack([np.log(size), values]), malignant, patients)
    )

    columns = np.column_stack([malignant, values, size, modelled, chance])
    groups = [np.flatnonzero(patients == patient) for patient in np.unique(patients)]

    def figures(chosen: np.ndarray) -> np.ndarray:
        found = areas(columns[np.concatenate([groups[number] for number in chosen])])
        return np.append(found, found[3] - found[2])

    counts = int((~malignant).sum()), int(malignant.sum())
    return Discrimination(index, rows[0].region, *counts, *bootstrap(len(groups), figures, _SAMPLES, seed=0))


def modelled_chance(features: np.ndarray, malignant: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """Chance of each nodule by a logistic regression on the nodules of other patients; features `[nodule, feature]`."""
    model = make_pipeline(StandardScaler(), LogisticRegression())
    folds = GroupKFold(_FOLDS, shuffle=True, random_state=0)
    return cross_val_predict(model, features, malignant, groups=patients, cv=folds, method="predict_proba")[:, 1]


def contrasts(rows: Sequence[Measured]) -> list[Contrast]:
    """The maximum of h(x) in the whole nodule, and of each map in the core, of nodules measured in one region."""
    found = []
    shown = ("h whole maximum", "h core maximum", "D core maximum", "T core maximum")
    for index in [one for one in shown if one in rows[0].indices]:
        for rated, chosen in (
            ("benign", lambda rating: rating < _MIDDLE),
            ("malignant", lambda rating: rating > _MIDDLE),
        ):
            values = column([row for row in rows if chosen(row.ratings["malignancy"])], index)
            values = values[np.isfinite(values)]
            if values.size:
                shares = float((values < _BELOW).mean()), float((values >= _REACHES).mean())
                found.append(Contrast(index, rows[0].region, rated, values.size, float(np.median(values)), *shares))
    return found


def roc_curves(rows: Sequence[Measured]) -> dict[str, tuple[np.ndarray, np.ndarray, Estimate]]:
    """For the ROC figure: name -> whether each nodule is malignant, its value, the area; all on the same nodules.

    Rated nodules with a core: the diameter, h and the raw CT in the core, and models with and without h,
    cross-validated.
    """
    used = [SIZE, "h core mean", "h core deviation", "CT core mean", "CT core deviation"]
    known = [row for row in _rated(rows) if all(math.isfinite(row.indices[index]) for index in used)]
    malignant, patients = is_malignant(known), np.array([row.patient for row in known])
    values = {index: column(known, index) for index in used}
    size = np.log(values[SIZE])
    values["model: diameter"] = modelled_chance(size[:, None], malignant, patients)
    with_map = np.column_stack([size, values["h core mean"]])
    values["model: diameter, h core mean"] = modelled_chance(with_map, malignant, patients)
    return {name: (malignant, one, area(one, malignant, patients)) for name, one in values.items()}


def _rated(rows: Sequence[Measured]) -> list[Measured]:
    """Rated benign or malignant: not 3, not unknown."""
    return [row for row in rows if row.ratings["malignancy"] < _MIDDLE or row.ratings["malignancy"] > _MIDDLE]


def is_malignant(rows: Sequence[Measured]) -> np.ndarray:
    """Whether each nodule is rated above 3, bool."""
    return np.array([row.ratings["malignancy"] > _MIDDLE for row in rows])


def column(rows: Sequence[Measured], index: str) -> np.ndarray:
    """One index of all rows, float."""
    return np.array([row.indices[index] for row in rows], float)


def area(values: np.ndarray, malignant: np.ndarray, patients: np.ndarray) -> Estimate:
    """Area under the ROC of one value a nodule, with its interval."""
    rows = np.column_stack([malignant, values])
    return bootstrap_interval(rows, patients.tolist(), lambda drawn: float(areas(drawn)[0]), _SAMPLES)


def areas(rows: np.ndarray) -> np.ndarray:
    """Areas under the ROC of all columns but the first, which tells the malignant (1) from the benign (0).

    From ranks (Hanley and McNeil, 1982), since the bootstrap asks for thousands; NaN where one kind is missing.
    """
    malignant = rows[:, 0] > 0
    ill, well = np.count_nonzero(malignant), np.count_nonzero(~malignant)
    if not ill or not well:
        return np.full(rows.shape[1] - 1, np.nan)
    ranks = stats.rankdata(rows[:, 1:], axis=0)[malignant].sum(0)
    return (ranks - ill * (ill + 1) / 2) / (ill * well)
