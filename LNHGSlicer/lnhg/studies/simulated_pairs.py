"""Pairs of studies of one patient, simulated: real scans with planted nodules, moved, breathed and scanned otherwise.

The later CT is the earlier one warped by a smooth field as breathing makes it, shifted, turned and cropped, with other
noise, kernel and spacing. Of the planted nodules some keep their size, some grow or shrink, some are in one study only.
Each study has the nodules that a detector would have found: a share of the planted ones, and some vessels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.ct import CT
from ..core.nodule import Nodule
from ..errors import InputError
from ..followup.follow import MATCHED, NEW, RESOLVED, FollowUp, follow
from ..followup.study import study_of
from ..networks.models import Models
from ..options import Options
from ..phantom.simulated_nodules import SimulatedNodule, simulate
from ..pipeline import segment
from ..stages.axial import axial_order
from ..stages.lungs import lung_regions

# Planted in a pair: alike in both studies, changed, in the earlier only, in the later only. Making and registering a
# pair takes most of the time, so each holds many. Radii and depths are mm.
_SAME, _CHANGED, _LEAVE, _COME = 3, 4, 1, 1
#: Nodules planted in each pair.
PLANTED = _SAME + _CHANGED + _LEAVE + _COME
_RADIUS_MM, _DEPTH_MM, _APART_MM, _NEAR_MM = (2.5, 7.5), 6.0, 12.0, 15.0
# A change of radius, of those that change; how many are found without a look, and vessels taken for nodules.
_CHANGE, _FOUND, _FALSE = (0.75, 1.6), 0.85, 2
# The warp: breathing along the body, front to back and sideways; shifts and turns of the patient on the table.
_BREATH_MM, _SHIFT_MM, _TURN, _NODES = (12.0, 5.0, 3.0), 20.0, 4.0, 5
# Nodes by which the field is widened at each side, as map_coordinates widens it.
_WIDER = 12
# The field is smooth: it is worked out at every fourth pixel.
_EVERY = 4
_OPTIONS = Options(seeds_only=True)


@dataclass(frozen=True, eq=False)
class Planted:
    """A nodule at a point of the scan (RAS mm); `factors`: its size in the two studies, 0 where it is not."""

    centre: np.ndarray
    body: SimulatedNodule
    factors: tuple[float, float]
    near: bool

    def radius(self, study: int) -> float:
        return self.body.radius * self.factors[study]


@dataclass(frozen=True)
class PairCounts:
    """What became of the planted nodules of one pair, and how far off the registration was.

    Attributes:
        counts: `both`, `both matched`, `near`, `near matched`, `new`, `new told`, `resolved`, `resolved told`,
            `matches`, `wrong matches`, `unseen` (found in neither study, so not counted).
        median_mm, most_mm: error of the registration at points in the lungs: median, 95%.
        told_median_mm, told_most_mm: what the follow-up itself says of it.
    """

    scan: str
    counts: dict[str, int]
    median_mm: float
    most_mm: float
    told_median_mm: float
    told_most_mm: float


class Warp:
    """Where points of the later study were in the earlier one, RAS mm, and back."""

    def __init__(self, low: np.ndarray, high: np.ndarray, rng: np.random.Generator) -> None:
        self.low, self.high, self.middle = low, high, (low + high) / 2
        nodes = ndimage.gaussian_filter(rng.standard_normal((3, *[_NODES] * 3)), (0, 0.7, 0.7, 0.7))
        amounts = np.array(_BREATH_MM)[[2, 1, 0]] * rng.uniform(0.4, 1.0)
        nodes = nodes / np.abs(nodes).max((1, 2, 3), keepdims=True) * amounts[:, None, None, None]
        # Filtered once, for all points.
        self.splines = [ndimage.spline_filter(np.pad(one, _WIDER, "edge"), mode="nearest") for one in nodes]
        x, y, z = np.radians(rng.uniform(-_TURN, _TURN, 3))
        turn, _ = np.linalg.qr(np.array([[1, -z, y], [z, 1, -x], [-y, x, 1]]))
        self.turn, self.shift = turn * np.sign(np.diag(turn)), rng.uniform(-_SHIFT_MM, _SHIFT_MM, 3)

    def to_earlier(self, ras: np.ndarray) -> np.ndarray:
        """Points `[..., 3]` of the later study."""
        places = ((ras.reshape(-1, 3) - self.low) / (self.high - self.low) * (_NODES - 1)).T + _WIDER
        moved = [ndimage.map_coordinates(one, places, mode="nearest", prefilter=False) for one in self.splines]
        breathed = np.stack(moved, -1).reshape(ras.shape)
        return np.asarray((ras - self.middle) @ self.turn.T + self.middle + self.shift + breathed)

    def to_later(self, ras: np.ndarray) -> np.ndarray:
        """Points `[..., 3]` of the earlier study."""
        found = (ras - self.shift - self.middle) @ self.turn + self.middle
        for _ in range(15):
            found = found + (ras - self.to_earlier(found)) @ self.turn
        return found


# ---------------------------------------------------------------- making a pair


def plant(ct: CT, planted: Sequence[Planted], study: int) -> CT:
    """The CT with the nodules of a study drawn into it."""
    hu = ct.hu.astype(np.float32)
    for one in planted:
        if not one.factors[study]:
            continue
        reach = 2.2 * one.radius(study) + max(ct.spacing)
        ijk = ct.to_ijk(one.centre)[::-1]
        wide = np.ceil(reach / np.array(ct.spacing[::-1])).astype(int)
        box = tuple(
            slice(max(0, int(at) - w), min(n, int(at) + w + 2)) for at, w, n in zip(ijk, wide, hu.shape, strict=True)
        )
        index = np.stack(np.meshgrid(*[np.arange(b.start, b.stop) for b in box], indexing="ij"), -1)
        offset = (ct.to_ras(index[..., ::-1]) - one.centre) / one.factors[study]
        share, tissue = one.body.at(offset, max(one.body.softness, max(ct.spacing) / 2) / one.factors[study])
        hu[box] = np.maximum(hu[box], hu[box] + share * (tissue - hu[box]))
    return CT(np.clip(np.rint(hu), -1024, 3071).astype(np.int16), ct.ijk_to_ras)


def scanned_later(ct: CT, warp: Warp, rng: np.random.Generator) -> CT:
    """`ct` warped, cropped at one end, with other spacing, kernel and noise."""
    old = np.array(ct.spacing)
    step = np.array([old[0] * rng.uniform(0.9, 1.2)] * 2 + [max(1.0, old[2] * rng.uniform(0.8, 1.2))])
    low, high = _corners(ct)
    low, high = low.copy(), high.copy()
    cropped = rng.uniform(0, 0.12) * (high[2] - low[2])
    low[2], high[2] = (low[2] + cropped, high[2]) if rng.random() < 0.5 else (low[2], high[2] - cropped)
    size = np.floor((high - low) / step).astype(int)
    matrix = np.diag([-step[0], -step[1], step[2], 1.0])
    matrix[:3, 3] = high[0], high[1], low[2]
    hu = np.empty(size[::-1], np.float32)
    smooth = np.sqrt(np.maximum(0, (step[::-1] / old[::-1]) ** 2 - 1) / 12)
    source = ndimage.gaussian_filter(ct.hu.astype(np.float32), smooth)
    rows, columns = (np.arange(0, n + _EVERY, _EVERY) for n in (size[1], size[0]))
    for k in range(size[2]):
        j, i = np.meshgrid(rows, columns, indexing="ij")
        ras = np.stack([i, j, np.full_like(i, k)], -1) @ matrix[:3, :3].T + matrix[:3, 3]
        coarse = np.moveaxis(ct.to_ijk(warp.to_earlier(ras))[..., ::-1], -1, 0)
        fine = np.meshgrid(np.arange(size[1]) / _EVERY, np.arange(size[0]) / _EVERY, indexing="ij")
        places = np.stack([ndimage.map_coordinates(one, fine, order=1) for one in coarse])
        hu[k] = ndimage.map_coordinates(source, places, order=1, cval=-1024)
    blur = rng.uniform(0.0, 0.7)
    grain = ndimage.gaussian_filter(rng.standard_normal(hu.shape, np.float32), (0, 0.5 + blur, 0.5 + blur))
    hu = ndimage.gaussian_filter(hu, (0, blur, blur)) + grain * (rng.uniform(10, 30) / grain.std())
    return CT(np.clip(np.rint(hu), -1024, 3071).astype(np.int16), matrix)


def _corners(ct: CT) -> tuple[np.ndarray, np.ndarray]:
    corners = ct.to_ras(np.argwhere(np.ones((2, 2, 2))) * (np.array(ct.hu.shape[::-1]) - 1))
    return corners.min(0), corners.max(0)


def planted_nodules(ct: CT, lungs: np.ndarray, rng: np.random.Generator) -> tuple[list[Planted], np.ndarray]:
    """Nodules for a CT in the axial view, and points in its vessels (RAS mm `[n, 3]`)."""
    spacing = np.array(ct.spacing[::-1])
    steps = tuple(max(1, round(2.0 / one)) for one in spacing)
    coarse = lungs[tuple(slice(None, None, step) for step in steps)]
    hu = ct.hu[tuple(slice(None, None, step) for step in steps)]
    depth = ndimage.distance_transform_edt(coarse, spacing * steps)
    vessel = (depth > _DEPTH_MM) & (hu > -400)
    to_vessel = ndimage.distance_transform_edt(~vessel, spacing * steps)
    free = np.argwhere((depth > _DEPTH_MM) & (to_vessel > 3.0))
    strands = np.argwhere(vessel)
    if len(free) < 50 or len(strands) < 10:
        raise InputError("A scan shows too little lung to plant nodules in; leave it out.")
    chosen: list[Planted] = []
    kinds = [*[(1.0, 1.0)] * _SAME, *[None] * _CHANGED, *[(1.0, 0.0)] * _LEAVE, *[(0.0, 1.0)] * _COME]
    rng.shuffle(kinds)  # where a scan has room for fewer
    for cell in rng.permutation(free):
        if len(chosen) == len(kinds):
            break
        centre = ct.to_ras((cell * steps)[::-1])
        if all(np.linalg.norm(centre - one.centre) > _APART_MM for one in chosen):
            kind = kinds[len(chosen)]
            factors = (1.0, float(rng.uniform(*_CHANGE))) if kind is None else kind
            body = simulate(float(rng.uniform(*_RADIUS_MM)), rng, ground_glass=rng.random() < 0.2)
            chosen.append(Planted(centre, body, factors, near=bool(to_vessel[tuple(cell)] < _NEAR_MM)))
    return chosen, ct.to_ras((rng.permutation(strands)[: 4 * _FALSE] * steps)[:, ::-1])


# ---------------------------------------------------------------- counting


def followed_pair(name: str, ct: CT, models: Models, rng: np.random.Generator) -> PairCounts:
    """Simulate one pair from a scan, follow it, and count."""
    view = axial_order(ct).ct
    lungs = lung_regions(view) > 0
    planted, vessels = planted_nodules(view, lungs, rng)
    warp = Warp(*_corners(view), rng)
    cts = plant(view, planted, 0), scanned_later(plant(view, planted, 1), warp, rng)
    studies = []
    for number, one in enumerate(cts):
        seeds = [p.centre for p in planted if p.factors[number] and rng.random() < _FOUND]
        seeds += list(vessels[number * _FALSE : (number + 1) * _FALSE])
        points = np.array(seeds) if number == 0 else warp.to_later(np.array(seeds))
        inside = [point.tolist() for point in points if _shows(one, point)]
        studies.append(study_of(f"study {number + 1}", segment(one, _OPTIONS, inside, models=models)))
    follow_up = follow(*studies, days=[180], same_patient=True, options=_OPTIONS, models=models)
    points = view.to_ras(rng.permutation(np.argwhere(lungs))[:400, ::-1])
    return PairCounts(name, counted(follow_up, planted, warp), *_errors(follow_up, points, warp))


def _shows(ct: CT, ras: np.ndarray) -> bool:
    ijk = ct.to_ijk(ras)
    return bool((ijk >= 0).all() and (ijk <= np.array(ct.hu.shape[::-1]) - 1).all())


def _errors(follow_up: FollowUp, points: np.ndarray, warp: Warp) -> tuple[float, float, float, float]:
    (step,) = follow_up.interludes
    registration = step.registration
    assert registration is not None
    truth = warp.to_later(points)
    seen = np.array([registration.moving.shows(point) for point in truth])
    error = np.linalg.norm(registration.to_moving(points[seen]) - truth[seen], axis=1)
    return float(np.median(error)), float(np.quantile(error, 0.95)), step.fit.median_mm, step.fit.most_mm


def counted(follow_up: FollowUp, planted: Sequence[Planted], warp: Warp) -> dict[str, int]:
    """The counts of `PairCounts`."""
    counts: Counter[str] = Counter()
    later = follow_up.studies[1].result.ct
    (step,) = follow_up.interludes
    places = [warp.to_later(one.centre) for one in planted]
    for one, place in zip(planted, places, strict=True):
        held = [
            n
            for n, pair in enumerate(step.pairs)
            if _is(pair.earlier, one.centre, one.radius(0)) or _is(pair.later, place, one.radius(1))
        ]
        states = {step.pairs[n].state for n in held}
        if not _shows(later, place):
            continue
        if not held:
            counts["unseen"] += 1
        elif all(one.factors):
            right = [n for n in held if step.pairs[n].state == MATCHED and _both(step.pairs[n], one, place)]
            counts["both"] += 1
            counts["both matched"] += bool(right)
            counts["near"] += one.near
            counts["near matched"] += one.near and bool(right)
        else:
            kind, state = ("resolved", RESOLVED) if one.factors[0] else ("new", NEW)
            counts[kind] += 1
            counts[f"{kind} told"] += states == {state}
    for pair in step.pairs:
        if pair.state != MATCHED:
            continue
        assert pair.earlier is not None and pair.later is not None
        counts["matches"] += 1
        expected = warp.to_later(np.asarray(pair.earlier.centre_ras))
        apart = float(np.linalg.norm(np.asarray(pair.later.centre_ras) - expected))
        gone = any(_is(pair.earlier, one.centre, one.radius(0)) and not one.factors[1] for one in planted)
        came = any(
            _is(pair.later, place, one.radius(1)) and not one.factors[0]
            for one, place in zip(planted, places, strict=True)
        )
        counts["wrong matches"] += gone or came or apart > max(5.0, pair.earlier.long_axis / 2)
    return dict(counts)


def _is(row: Nodule | None, centre: np.ndarray, radius: float) -> bool:
    return row is not None and radius > 0 and float(np.linalg.norm(row.centre_ras - centre)) <= max(3.0, radius)


def _both(pair: object, one: Planted, place: np.ndarray) -> bool:
    earlier, later = getattr(pair, "earlier", None), getattr(pair, "later", None)
    return _is(earlier, one.centre, one.radius(0)) and _is(later, place, one.radius(1))


def followed_pairs(
    scans: Sequence[tuple[str, Callable[[], CT]]],
    count: int,
    models: Models,
    first: int = 0,
    done: Callable[[PairCounts], None] = lambda pair: None,
) -> list[PairCounts]:
    """Pairs `first` to `first + count`, from the scans in turn; each hangs on its number alone."""
    found = []
    for number in range(first, first + count):
        name, read = scans[number % len(scans)]
        found.append(followed_pair(name, read(), models, np.random.default_rng((7, number))))
        done(found[-1])
    return found
