"""The tables of the heterogeneity study."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ..evaluation.agreement import Intraclass
from ..evaluation.statistics import Estimate
from .meaning import RATINGS, Contrast, Discrimination, RankCorrelation
from .perturbations import PERTURBATIONS
from .repeatability import ALL, Repeatability
from .stability import Stability
from .tables import Table

#: The indices that the page shows; the CSV files hold all.
SHOWN = (
    "diameter",
    "h whole mean",
    "h whole deviation",
    "h core mean",
    "h core deviation",
    "h core entropy",
    "h core maximum",
    "D core mean",
    "D core deviation",
    "D core maximum",
    "unevenness",
    "T core mean",
    "T core deviation",
    "T core maximum",
    "h rim mean",
    "h rim deviation",
    "G core mean",
    "G core deviation",
    "G core entropy",
    "G rim mean",
    "CT core mean",
    "CT core deviation",
    "CT core entropy",
    "CT core co-occurrence contrast",
    "CT core co-occurrence homogeneity",
    "CT whole deviation",
    "CT whole entropy",
    "CT whole co-occurrence contrast",
    "CT whole co-occurrence homogeneity",
)
_RATING_NAMES = {"InternalStructure": "internal structure"}


def repeatability_table(rows: Sequence[Repeatability], indices: Iterable[str], region: str) -> Table:
    """Intra-class correlation of each index: over all perturbations together with its interval, and one by one."""
    found = {(row.index, row.perturbation): row for row in rows if row.region == region}
    names = [one.name for one in PERTURBATIONS]
    body = tuple(
        (
            index,
            str(found[index, ALL].agreement.subjects),
            _interval(found[index, ALL].agreement),
            _interval(found[index, ALL].consistency),
            *(_number(found[index, name].agreement.value) for name in names),
        )
        for index in indices
    )
    meaning = "; ".join(f"{one.name}: {one.meaning}" for one in PERTURBATIONS)
    return Table(
        f"Repeatability in the {region}",
        ("index", "n", "ICC(2,1), all", "ICC(3,1), all", *names),
        body,
        "Intra-class correlation with 95% interval over the nodule as it is and all perturbations; then ICC(2,1) of "
        f"each against the nodule as it is. {meaning}.",
    )


def contrast_table(rows: Sequence[Contrast]) -> Table:
    """The maximum of h and of the other maps of nodules rated benign and malignant."""
    body = tuple(
        (
            row.index,
            row.region,
            row.rated,
            str(row.nodules),
            _number(row.median),
            *map(_percent, (row.below_half, row.reaching)),
        )
        for row in rows
    )
    return Table(
        "The paper's contrast: benign below about 0.5, malignant reach 1",
        ("maximum of the map", "region", "rated", "n", "median", "below 0.5", "0.9 or more"),
        body,
        "h(x) = 1 - G(x) / max G within the nodule. The method's own outline ends at a share of the nodule's peak, so "
        "h in its whole cannot pass 1 less that share: there the contrast can show in the core or in the readers' "
        "consensus alone.",
    )


def correlation_table(rows: Sequence[RankCorrelation], indices: Iterable[str], region: str) -> Table:
    """Spearman's correlation of each index with each rating; rows are of one region."""
    found = {(row.index, row.rating): row for row in rows}
    ratings = [rating for rating in RATINGS if any(row.rating == rating for row in rows)]
    body = []
    for index in indices:
        cells = [found.get((index, rating)) for rating in ratings]
        known = [cell for cell in cells if cell is not None]
        counted = str(max(cell.nodules for cell in known)) if known else "0"
        body.append((index, counted, *("" if cell is None else _correlation(cell) for cell in cells)))
    names = [_RATING_NAMES.get(rating, rating.lower()) for rating in ratings]
    return Table(
        f"Rank correlation with the readers' ratings, {region}",
        ("index", "n", *names),
        tuple(body),
        "Spearman's; * P < 0.05, not corrected for their number; in brackets the partial correlation with the "
        "diameter taken out. Texture: 1 ground glass to 5 solid; margin: 1 poorly defined to 5 sharp; the others rise "
        "with what they name.",
    )


def discrimination_table(rows: Sequence[Discrimination], indices: Iterable[str], region: str) -> Table:
    """Areas under the ROC of each index, beside size and added to it; rows are of one region."""
    found = {row.index: row for row in rows}
    body = tuple(
        (
            row.index,
            f"{row.benign} / {row.malignant}",
            *map(_interval, (row.alone, row.size_alone, row.size_modelled, row.with_size)),
            _signed(row.gain),
        )
        for row in (found[index] for index in indices if index in found)
    )
    return Table(
        f"Rated malignant against benign, {region}",
        (
            "index",
            "benign / malignant",
            "index alone",
            "diameter alone",
            "model: diameter",
            "model: diameter and index",
            "gain",
        ),
        body,
        "Area under the ROC with 95% interval (bootstrap over patients). The readers' mean rating, not pathology: "
        "below 3 benign, above 3 malignant. Below 0.5: lower in malignant nodules. Models: logistic regression, five "
        "folds by patient.",
    )


def stability_table(rows: Sequence[Stability]) -> Table:
    """Maps and indices of generators trained for different lengths."""
    indices = list(rows[0].indices)
    body = tuple(
        (
            f"{row.length} / {row.last}",
            str(row.nodules),
            f"{_number(row.map_correlation)} [{_number(row.map_quartiles[0])}, {_number(row.map_quartiles[1])}]",
            *(_number(row.indices[index]) for index in indices),
        )
        for row in rows
    )
    return Table(
        "Stability over training",
        ("trained", "n", "map inside the nodule", *indices),
        body,
        "Each length against the last. Map: median [quartiles] over nodules of Pearson's correlation of G(x) in the "
        "readers' consensus; indices: Spearman's correlation over nodules, of h, G and T (the map `twin`) in the "
        "consensus, of D (`deviation`) and unevenness in the own outline.",
    )


def _interval(one: Estimate | Intraclass) -> str:
    return "" if math.isnan(one.value) else f"{_number(one.value)} [{_number(one.low)}, {_number(one.high)}]"


def _signed(one: Estimate) -> str:
    return f"{one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"


def _correlation(one: RankCorrelation) -> str:
    if math.isnan(one.rho):
        return ""  # all nodules have one rating
    beside = "" if math.isnan(one.rho_beside_size) else f" ({one.rho_beside_size:+.2f})"
    return f"{one.rho:+.2f}{'*' if one.p < 0.05 else ''}{beside}"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"
