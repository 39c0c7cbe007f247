"""What categories ask of a nodule that was followed: its course by each document, against all earlier studies."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from ..categories import bts, fleischner, lung_rads
from ..categories.facts import (
    DAYS_A_MONTH,
    GROWING,
    RATE_NOT_KNOWN,
    SLOWLY_GROWING,
    WITHIN_UNCERTAINTY,
)
from ..categories.facts import NEW as NEW_COURSE
from ..categories.facts import STABLE as STABLE_COURSE
from ..core.comparison import Comparison
from ..core.nodule import Nodule
from .change import Change, change
from .growth import BTS, FLEISCHNER, GROWN, LUNG_RADS, UNSURE

if TYPE_CHECKING:
    from .follow import FollowUp


def with_comparisons(follow_up: FollowUp) -> FollowUp:
    """The follow-up with, in each study but the first, its nodules against those of the studies before."""
    studies = [
        replace(study, result=replace(study.result, comparisons=_of_study(follow_up, number)))
        for number, study in enumerate(follow_up.studies)
    ]
    return replace(follow_up, studies=tuple(studies))


def _of_study(follow_up: FollowUp, number: int) -> dict[int, Comparison]:
    """By the number of a nodule; one whose place no earlier study shows is left out, it cannot be compared."""
    found = {}
    for track in follow_up.tracks:
        row = follow_up.nodule(track, number)
        if row is None or number == 0:
            continue
        steps = _steps(follow_up, track[:number], row, number)
        if steps:
            found[row.id] = _compared(steps, row)
        elif _is_new(follow_up, number, row):
            found[row.id] = Comparison(dict.fromkeys((lung_rads.SYSTEM, fleischner.SYSTEM, bts.SYSTEM), NEW_COURSE))
    return found


# A nodule as an earlier study has it, and its change since.
_Step = tuple[Nodule, Change]


def _steps(follow_up: FollowUp, track: tuple[int | None, ...], row: Nodule, number: int) -> list[_Step]:
    steps = []
    for n in range(len(track)):
        earlier = follow_up.nodule(track, n)
        if earlier is not None:
            same = all(one.same_protocol for one in follow_up.interludes[n:number])
            steps.append((earlier, change(earlier, row, follow_up.days_between(n, number), same_protocol=same)))
    return steps


def _is_new(follow_up: FollowUp, number: int, row: Nodule) -> bool:
    pairs = follow_up.interludes[number - 1].pairs
    return any(pair.is_new and pair.later is not None and pair.later.id == row.id for pair in pairs)


def _compared(steps: list[_Step], row: Nodule) -> Comparison:
    (first, since_first), (before, last) = steps[0], steps[-1]
    grown = [one.doubling.days for _, one in steps if one.doubling is not None and _volume_grew(one)]
    return Comparison(
        {
            lung_rads.SYSTEM: _by_lung_rads([one for _, one in steps]),
            fleischner.SYSTEM: _course([one.growth[FLEISCHNER.name] for _, one in steps]),
            bts.SYSTEM: _course([one.growth[BTS.name] for _, one in steps]),
        },
        previous_diameter=before.mean_axis,
        previous_solid_diameter=_known(before.solid_diameter),
        days=last.days,
        months=None if since_first.days is None else since_first.days / DAYS_A_MONTH,
        volume_percent=_known(last.volume_percent),
        beyond=last.beyond,
        volume_change=None if first.cut or row.cut else _known(since_first.volume_percent / 100),
        doubling_days=min((days for days in grown if 0 < days < math.inf), default=None),
    )


def _volume_grew(one: Change) -> bool:
    return one.beyond and one.volume_percent >= 100 * BTS.least


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _course(words: list[str]) -> str:
    if GROWN in words:
        return GROWING
    return WITHIN_UNCERTAINTY if UNSURE in words else STABLE_COURSE


def _by_lung_rads(changes: list[Change]) -> str:
    """Growth by over 1.5 mm within 12 months against any earlier study; growth over several studies that was slower is
    slow growth, and over two of which the time is long or not known its rate is not known.
    """
    words = [one.growth[LUNG_RADS.name] for one in changes]
    if GROWN not in words:
        return _course(words)
    rates = {_rate(one) for word, one in zip(words, changes, strict=True) if word == GROWN}
    if GROWING in rates:
        return GROWING
    slowly = len(changes) > 1 and words[-1] != GROWN and all(one.days is not None for one in changes)
    return SLOWLY_GROWING if slowly else RATE_NOT_KNOWN


def _rate(one: Change) -> str:
    months = None if one.days is None else one.days / DAYS_A_MONTH
    return lung_rads.rate(max(one.diameter, one.solid_diameter), months)
