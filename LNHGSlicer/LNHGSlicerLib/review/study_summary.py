"""What a reader study says when it is over: scores, time, and how far the readers agree, for each kind of map."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lnhg.evaluation.agreement import absolute_agreement, one_way_agreement
from lnhg.evaluation.statistics import mean_interval

from ..translation import _
from .reader_study import KINDS, all_rows, is_under_way, reader_of, result_of, same_reader


def summary(tables: Sequence[Any]) -> list[str]:
    """Lines of text: mean score and time of each reader, then how far the readers agree, for each kind of map.

    While a blind study is under way nothing is told of the kinds. Tables of several scans can be summed up together.
    """
    names = _names(tables)
    ratings = _ratings(tables, names)
    under_way = sorted({names[reader_of(table)] for table in tables if is_under_way(table)})
    readers = sorted(set(names.values()))
    if under_way:
        told = _(
            "What is told of each map, and how far the readers agree: when every reader has ended ({readers} not)."
        )
        return [*_of_readers(readers, ratings), told.format(readers=", ".join(under_way))]
    kinds = sorted({one.kind for one in ratings})
    if len(kinds) < 2:
        return [*_of_readers(readers, ratings), *_agreement_of_all(readers, ratings)]
    lines = []
    for kind in kinds:
        of_kind = [one for one in ratings if one.kind == kind]
        lines += [_("Map {kind}:").format(kind=kind or _("not told"))]
        lines += [*_of_readers(sorted({one.reader for one in of_kind}), of_kind), *_agreement_of_some(of_kind)]
    return [*lines, *_difference(ratings)]


@dataclass(frozen=True)
class _Given:
    """One row of a reader's table: what is missing is NaN or empty."""

    reader: str
    nodule: tuple[str, str]
    kind: str
    score: float
    impression: str
    seconds: float


def _names(tables: Sequence[Any]) -> dict[str, str]:
    """For each name as it was written the one that is told: the first of this reader."""
    first: dict[str, str] = {}
    return {name: first.setdefault(same_reader(name), name) for name in map(reader_of, tables)}


def _ratings(tables: Sequence[Any], names: Mapping[str, str]) -> list[_Given]:
    """The rows in which something was said; of two by one reader of a nodule the first."""
    given: dict[Any, _Given] = {}
    for table in tables:
        reader = names[reader_of(table)]
        for one in all_rows(table):
            nodule = result_of(table), one["nodule"]
            if not math.isnan(one["score"]) or one["impression"]:
                rating = _Given(reader, nodule, one["map"], one["score"], one["impression"], one["seconds"])
                given.setdefault((reader, nodule), rating)
    return list(given.values())


def _of_readers(readers: Sequence[str], ratings: Sequence[_Given]) -> list[str]:
    return [_of_one(reader, [one for one in ratings if one.reader == reader]) for reader in readers]


def _of_one(reader: str, ratings: Sequence[_Given]) -> str:
    scored = [one for one in ratings if not math.isnan(one.score)]
    if not scored:
        return _("{reader}: no score yet").format(reader=reader)
    scores = [one.score for one in scored]
    deviation = float(np.std(scores, ddof=1)) if len(scores) > 1 else math.nan
    told = _(
        "{reader}: mean score {mean:.1f}, standard deviation {deviation}, mean time {seconds:.1f} s (nodules: {n})"
    )
    seconds = float(np.mean([one.seconds for one in scored]))
    return told.format(
        reader=reader, mean=np.mean(scores), deviation=_number(deviation, 1), seconds=seconds, n=len(scores)
    )


def _agreement_of_all(readers: Sequence[str], ratings: Sequence[_Given]) -> list[str]:
    """How far readers agree who all saw the same, over the nodules that all of them rated."""
    if len(readers) < 2:
        return [_("Agreement needs the ratings of at least two readers.")]
    scores = _of_all(readers, {(one.reader, one.nodule): one.score for one in ratings if not math.isnan(one.score)})
    impressions = _of_all(readers, {(one.reader, one.nodule): one.impression for one in ratings if one.impression})
    icc = absolute_agreement(np.array(scores, float).reshape(-1, len(readers))).value
    return [
        _("Agreement of scores, ICC(2,1): {icc} (nodules scored by all {readers} readers: {nodules})").format(
            icc=_number(icc), readers=len(readers), nodules=len(scores)
        ),
        _("Agreement of impressions, Fleiss' kappa: {kappa} (nodules judged by all: {nodules})").format(
            kappa=_number(fleiss_kappa(impressions)), nodules=len(impressions)
        ),
    ]


def _agreement_of_some(ratings: Sequence[_Given]) -> list[str]:
    """How far readers agree where each nodule was rated with this map by some of them, not by the same ones."""
    scores = _by_nodule((one.nodule, one.score) for one in ratings if not math.isnan(one.score))
    impressions = _by_nodule((one.nodule, one.impression) for one in ratings if one.impression)
    shared, judged = ([one for one in some.values() if len(one) > 1] for some in (scores, impressions))
    return [
        _("Agreement of scores, ICC(1,1): {icc} (nodules scored with it by two readers or more: {nodules})").format(
            icc=_number(one_way_agreement(shared).value), nodules=len(shared)
        ),
        _("Agreement of impressions, Fleiss' kappa: {kappa} (nodules judged with it by two or more: {nodules})").format(
            kappa=_number(fleiss_kappa(judged)), nodules=len(judged)
        ),
    ]


def _difference(ratings: Sequence[_Given]) -> list[str]:
    """By how much one of the two maps of a blind study was scored higher, over the nodules scored with both."""
    scores = [
        _by_nodule((one.nodule, one.score) for one in ratings if one.kind == kind and not math.isnan(one.score))
        for kind in KINDS
    ]
    both = sorted(scores[0].keys() & scores[1].keys())
    if not both:
        return []
    less = mean_interval(np.array([np.mean(scores[0][one]) - np.mean(scores[1][one]) for one in both]))
    interval = "" if math.isnan(less.low) else _(", 95% {low:.1f} to {high:.1f}").format(low=less.low, high=less.high)
    told = _("Score with {one} less that with {other}: {value:.1f}{interval} (nodules scored with both: {nodules})")
    return [told.format(one=KINDS[0], other=KINDS[1], value=less.value, interval=interval, nodules=len(both))]


def _of_all(readers: Sequence[str], given: Mapping[tuple[str, Any], Any]) -> list[list[Any]]:
    """`[nodule][reader]`, of the nodules that every reader rated."""
    nodules = sorted({nodule for _, nodule in given})
    rows = [[given.get((reader, nodule)) for reader in readers] for nodule in nodules]
    return [row for row in rows if None not in row]


def _by_nodule(given: Iterable[tuple[Any, Any]]) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = {}
    for nodule, value in given:
        found.setdefault(nodule, []).append(value)
    return found


def _number(value: float, digits: int = 2) -> str:
    return _("not defined") if math.isnan(value) else f"{value:.{digits}f}"


def fleiss_kappa(impressions: Sequence[Sequence[str]]) -> float:
    """Agreement on categories `[nodule][rating]` beyond chance: kappa of Fleiss, Psychological Bulletin 76, 1971.

    Nodules may have been judged by different readers, and by more or fewer; those judged once are left out. NaN where
    none is left, or if all readers only ever gave one category.
    """
    given = [list(one) for one in impressions if len(one) > 1]
    categories = sorted({category for one in given for category in one})
    if not given:
        return math.nan
    counts = np.array([[one.count(category) for category in categories] for one in given])
    ratings = counts.sum(1)
    agreement = ((counts**2).sum(1) - ratings) / (ratings * (ratings - 1))
    chance = ((counts.sum(0) / counts.sum()) ** 2).sum()
    return float((agreement.mean() - chance) / (1 - chance)) if chance < 1 else math.nan
