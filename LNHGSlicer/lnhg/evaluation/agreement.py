"""Intra-class correlation: how far repeated measurements of the same nodules agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Intraclass:
    """An intra-class correlation of single measurements with its confidence interval; NaN where it is not defined.

    Attributes:
        value: 1: repeats differ less than can be seen; 0 (or less): they differ as much as the nodules do.
        low, high: ends of the interval.
        subjects: how many nodules it rests on.
    """

    value: float
    low: float
    high: float
    subjects: int


def absolute_agreement(measured: np.ndarray, confidence: float = 0.95) -> Intraclass:
    """ICC(2,1), also called ICC(A,1): of single values that must be the same, repeats taken as a random sample.

    `measured` is `[subject, repeat]`; subjects with a value that is not finite are left out. NaN for under two subjects
    or repeats, or if all values are the same. Value: Shrout and Fleiss, Psychological Bulletin 86, 1979. Interval:
    McGraw and Wong, Psychological Methods 1, 1996, table 7.
    """
    whole = _complete(measured)
    n, k = whole.shape
    if not _can_vary(whole):
        return Intraclass(math.nan, math.nan, math.nan, n)
    between, repeats, error = _mean_squares(whole)
    value = (between - error) / (between + (k - 1) * error + k * (repeats - error) / n)
    if error <= 1e-12 * between and repeats <= 1e-12 * between:
        return Intraclass(1.0, 1.0, 1.0, n)
    a, b = k * value / (n * (1 - value)), 1 + k * value * (n - 1) / (n * (1 - value))
    freedom = (a * repeats + b * error) ** 2 / ((a * repeats) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1)))
    upper = (1 + confidence) / 2
    below, above = stats.f.ppf(upper, n - 1, freedom), stats.f.ppf(upper, freedom, n - 1)
    rest = k * repeats + (k * n - k - n) * error
    # Both fractions are shortened by the quantile, which is infinite where hardly any freedom is left.
    low = n * (between / below - error) / (rest + n * between / below)
    high = n * (between - error / above) / (rest / above + n * between)
    return Intraclass(float(value), float(low), float(high), n)


def one_way_agreement(measured: Sequence[Sequence[float]], confidence: float = 0.95) -> Intraclass:
    """ICC(1,1): of single values `[subject][repeat]` that must be the same, where the repeats of each subject are
    another sample and may be more or fewer.

    Subjects with fewer than two values are left out. NaN for under two subjects, or if all values are the same. Value
    and interval: Shrout and Fleiss, Psychological Bulletin 86, 1979, with the mean number of repeats of an analysis of
    variance of unequal groups.
    """
    groups = [np.asarray(one, float) for one in measured if len(one) > 1]
    n, total = len(groups), sum(map(len, groups))
    if n < 2 or np.ptp(np.concatenate(groups)) == 0:
        return Intraclass(math.nan, math.nan, math.nan, n)
    mean = float(np.concatenate(groups).mean())
    between = sum(len(one) * (float(one.mean()) - mean) ** 2 for one in groups) / (n - 1)
    within = sum(float(((one - one.mean()) ** 2).sum()) for one in groups) / (total - n)
    repeats = (total - sum(len(one) ** 2 for one in groups) / total) / (n - 1)
    if within <= 1e-12 * between:
        return Intraclass(1.0, 1.0, 1.0, n)
    upper, ratio = (1 + confidence) / 2, between / within
    low, high = ratio / stats.f.ppf(upper, n - 1, total - n), ratio * stats.f.ppf(upper, total - n, n - 1)
    value, below, above = (float((f - 1) / (f + repeats - 1)) for f in (ratio, low, high))
    return Intraclass(value, below, above, n)


def consistency(measured: np.ndarray, confidence: float = 0.95) -> Intraclass:
    """ICC(3,1), also called ICC(C,1): of single values that may differ by a constant for each repeat.

    Arguments, sources and missing values as for `absolute_agreement`.
    """
    whole = _complete(measured)
    n, k = whole.shape
    if not _can_vary(whole):
        return Intraclass(math.nan, math.nan, math.nan, n)
    between, _, error = _mean_squares(whole)
    if error <= 1e-12 * between:
        return Intraclass(1.0, 1.0, 1.0, n)
    ratio, upper = between / error, (1 + confidence) / 2
    low = ratio / stats.f.ppf(upper, n - 1, (n - 1) * (k - 1))
    high = ratio * stats.f.ppf(upper, (n - 1) * (k - 1), n - 1)
    value, below, above = (float((f - 1) / (f + k - 1)) for f in (ratio, low, high))
    return Intraclass(value, below, above, n)


def _complete(measured: np.ndarray) -> np.ndarray:
    values = np.asarray(measured, float)
    return values[np.isfinite(values).all(1)]


def _can_vary(values: np.ndarray) -> bool:
    return min(values.shape) >= 2 and float(np.ptp(values)) > 0


def _mean_squares(values: np.ndarray) -> tuple[float, float, float]:
    """Mean squares between subjects, between repeats, and of what is left, of `[subject, repeat]`."""
    n, k = values.shape
    subjects, repeats, mean = values.mean(1, keepdims=True), values.mean(0, keepdims=True), values.mean()
    left = ((values - subjects - repeats + mean) ** 2).sum() / ((n - 1) * (k - 1))
    return (
        k * float(((subjects - mean) ** 2).sum()) / (n - 1),
        n * float(((repeats - mean) ** 2).sum()) / (k - 1),
        float(left),
    )
