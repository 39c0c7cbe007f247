"""Tests and intervals. A patient's nodules are not independent, so intervals resample patients, not nodules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95% interval."""

    value: float
    low: float
    high: float

    def told(self, form: str = ".3f") -> str:
        """As text, each number in the given format: `0.835 (0.818 to 0.850)`."""
        return f"{self.value:{form}} ({self.low:{form}} to {self.high:{form}})"


@dataclass(frozen=True)
class Significance:
    """The statistic of a test and its two-sided P."""

    statistic: float
    p: float


def welch(one: np.ndarray, other: np.ndarray) -> Significance:
    """Welch's t test: are the means of two groups of different nodules equal? Variances may differ."""
    result = stats.ttest_ind(one, other, equal_var=False)
    return Significance(float(result.statistic), float(result.pvalue))


def paired_t(one: np.ndarray, other: np.ndarray) -> Significance:
    """Paired t test: two systems on the same nodules, in the same order; P is 1 where they never differ."""
    if np.array_equal(one, other):
        return Significance(0.0, 1.0)
    result = stats.ttest_rel(one, other)
    return Significance(float(result.statistic), float(result.pvalue))


def wilcoxon(one: np.ndarray, other: np.ndarray) -> Significance:
    """Wilcoxon's signed-rank test: two systems on the same nodules, in the same order, whatever the distribution.

    P is 1 where they never differ.
    """
    if np.array_equal(one, other):
        return Significance(0.0, 1.0)
    result = stats.wilcoxon(one, other)
    return Significance(float(result.statistic), float(result.pvalue))


def mean_interval(values: np.ndarray) -> Estimate:
    """The mean of independent values and its 95% interval by Student's t; an interval of NaN for a single one."""
    mean = float(values.mean())
    if len(values) < 2:
        return Estimate(mean, float("nan"), float("nan"))
    reach = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return Estimate(mean, mean - reach, mean + reach)


def bootstrap_interval(
    values: np.ndarray,
    patients: Sequence[str],
    statistic: Callable[[np.ndarray], float] = np.mean,
    count: int = 2000,
    seed: int = 0,
) -> Estimate:
    """A statistic of values (one a nodule, with its patient) and its bootstrap 95% interval over patients."""
    _, group = np.unique(np.asarray(patients), return_inverse=True)
    of_patient = [np.flatnonzero(group == number) for number in range(group.max() + 1)]
    (interval,) = bootstrap(
        len(of_patient),
        lambda chosen: np.atleast_1d(statistic(values[np.concatenate([of_patient[n] for n in chosen])])),
        count,
        seed,
    )
    return interval


def bootstrap(groups: int, statistic: Callable[[np.ndarray], np.ndarray], count: int, seed: int) -> list[Estimate]:
    """Percentile intervals of each figure that `statistic` makes of the numbers of chosen groups (patients, scans).

    Samples that give nan (none of the groups chosen holds a nodule) are left out.
    """
    random = np.random.default_rng(seed)
    samples = np.array([statistic(random.integers(0, groups, groups)) for _ in range(count)])
    low, high = np.nanpercentile(samples, (2.5, 97.5), axis=0)
    whole = statistic(np.arange(groups))
    return [Estimate(float(a), float(b), float(c)) for a, b, c in zip(whole, low, high, strict=True)]


def poisson_rate(count: int, units: int) -> Estimate:
    """Events a unit (false positives a scan), and the exact 95% interval of a Poisson count (Garwood, 1936)."""
    low = float(stats.chi2.ppf(0.025, 2 * count)) / 2 if count else 0.0
    high = float(stats.chi2.ppf(0.975, 2 * count + 2)) / 2
    return Estimate(count / units, low / units, high / units)


def wilson_share(count: int, of: int) -> Estimate:
    """A share of `of` (1 or more) and Wilson's 95% interval."""
    interval = stats.binomtest(count, of).proportion_ci(method="wilson")
    return Estimate(count / of, float(interval.low), float(interval.high))
