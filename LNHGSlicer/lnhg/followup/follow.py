"""The way of one patient's studies: who and when, registration, matching, looks with seeds, changes; their order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise, product
from pathlib import Path

import numpy as np

from ..categories.proposals import Proposal, proposals_of
from ..core.nodule import Nodule
from ..errors import InputError
from ..networks.models import Models, open_models
from ..options import Options
from ..progress import Progress, ProgressCallback, ProgressReporter
from ..stages.axial import axial_order
from .change import Change, change
from .comparisons import with_comparisons
from .fit import Fit
from .looking import Looked, look, places_of
from .matching import cost, matched
from .measured_anew import measured_anew
from .registration import Registration, register
from .study import Study, check_person, is_segmented, read_study

#: What can be said of a nodule between two studies.
MATCHED, NEW, RESOLVED, OUTSIDE = "matched", "new", "resolved", "outside the field"
#: As new, but a study before shows it.
SEEN_AGAIN = "seen again"
#: Its place lies in a nodule of the other study that is another one's: they may have grown together.
MERGED = "part of another nodule"
# Across a study that shows neither, places of one nodule lie this close, mm: nobody looked from one to the other.
_GAP_MM = 5.0


@dataclass(frozen=True, eq=False)
class Pair:
    """One nodule in two studies.

    Attributes:
        state: `matched`; `new` or `resolved`: the place in the other study is in its field, was looked at with a seed,
            and holds nothing; `seen again`: new, but a study before those two shows it; `outside the field` of the
            other study; or `part of another nodule` there.
        earlier, later: the nodule in each; None where it is not.
        places: where it lies, or would lie, in the earlier and the later study, RAS mm.
        change: of a matched one.
    """

    state: str
    earlier: Nodule | None
    later: Nodule | None
    places: tuple[np.ndarray, np.ndarray]
    change: Change | None

    @property
    def is_new(self) -> bool:
        return self.state == NEW


@dataclass(frozen=True, eq=False)
class Interlude:
    """Two studies, one after the other.

    Attributes:
        days: between them, 0 within one day; None where that is not known.
        fit: how well their lungs lie on each other.
        same_protocol: whether both were scanned alike, as far as the files say.
        pairs: all nodules of both, matched ones first.
        rigid: 4 x 4, RAS mm of the earlier to the later study.
        registration: all of it, where the follow-up was just made.
    """

    days: float | None
    fit: Fit
    same_protocol: bool
    pairs: tuple[Pair, ...]
    rigid: np.ndarray
    registration: Registration | None = None

    def place(self, ras: np.ndarray) -> np.ndarray:
        """Where a point of the earlier study lies in the later one, RAS mm."""
        if self.registration is None:
            return np.asarray((self.rigid @ [*ras, 1.0])[:3])
        return self.registration.forward.place(ras)


@dataclass(frozen=True, eq=False)
class FollowUp:
    """What `lnhg.follow` returns.

    Attributes:
        studies: in their order, each with the nodules that a seed found in it, compared with those before.
        interludes: between each and the next.
        tracks: for each nodule of the patient its number in each study, from 1; None where it is not.
        notes: sentences a reader should see.
    """

    studies: tuple[Study, ...]
    interludes: tuple[Interlude, ...]
    tracks: tuple[tuple[int | None, ...], ...]
    notes: tuple[str, ...]

    @property
    def days(self) -> list[float | None]:
        """Of each study the days since the first."""
        return [self.days_between(0, number) for number in range(len(self.studies))]

    def days_between(self, first: int, second: int) -> float | None:
        """The days between two studies (from 0), the earlier first; None where those of a step are not known."""
        steps = [one.days for one in self.interludes[first:second]]
        return None if None in steps else math.fsum(filter(None, steps))

    def track_of(self, number: int, pair: Pair) -> int:
        """The number, from 1, of the track that a pair between study `number` (from 0) and the next belongs to."""
        at, row = (number, pair.earlier) if pair.earlier is not None else (number + 1, pair.later)
        assert row is not None
        return 1 + next(n for n, track in enumerate(self.tracks) if track[at] == row.id)

    def proposals(self, study: int) -> dict[int, Proposal]:
        """What the guidelines propose of the nodules of a study, by their numbers."""
        return {one.nodule.id: one for one in proposals_of(self.studies[study].result)}

    def nodule(self, track: Sequence[int | None], study: int) -> Nodule | None:
        """The nodule of a track in a study."""
        number = track[study]
        return None if number is None else self.studies[study].result.nodules[number - 1]


def follow(
    *places: str | Path | Study,
    days: Sequence[float] | None = None,
    same_patient: bool = False,
    options: Options | None = None,
    progress: ProgressCallback | None = None,
    models: Models | None = None,
) -> FollowUp:
    """Follow the nodules of one patient through two or more studies.

    Args:
        places: the studies, earliest first, each as `read_study` takes it, or read before.
        days: between each study and the next, where the files do not say; they count before the files.
        same_patient: the studies are of one patient, whatever their files say, and are compared however badly their
            lungs lie on each other.
        options: of runs on CTs that are not segmented yet, and of looks.
        progress: called with each step's `Progress`; returning False cancels.
        models: networks loaded before.

    Raises InputError for fewer than two studies, for studies of different patients, and where the lungs of two studies
    do not lie on each other.
    """
    if len(places) < 2:
        raise InputError("One study cannot be followed; give two or more, the earliest first.")
    options = options or Options()
    models = models or open_models(options.weights, options.runtime, options.device)
    report = _reporter(places, progress)
    studies = [_read(place, number, options, models, report) for number, place in enumerate(places)]
    notes = [*check_person(studies, same_patient=same_patient), *_of_one_ct(studies)]
    apart = _days(studies, days, notes)
    steps: list[_Step] = []
    for number, between in enumerate(apart):
        report(_register(number), 0.0)
        known = len(studies[number].result.nodules)
        registration = _registered(studies[number], studies[number + 1], same_patient, notes)
        report(_look(number), 0.0)
        steps.append(_compared(studies, number, between, registration, models, notes))
        _look_further_back(studies, steps, number, studies[number].result.nodules[known:], models)
    report(_look(len(apart) - 1), 1.0)
    interludes = [step.interlude(studies[number : number + 2]) for number, step in enumerate(steps)]
    followed = FollowUp(tuple(studies), tuple(interludes), _tracks(studies, interludes), tuple(notes))
    return with_comparisons(with_gaps_bridged(followed))


def _reporter(places: Sequence[str | Path | Study], progress: ProgressCallback | None) -> ProgressReporter:
    """Shares of the time: segmenting a CT, or reading what was segmented; laying two on each other; looks."""
    shares = {_reading(number): 2.0 if is_segmented(place) else 50.0 for number, place in enumerate(places)}
    for number in range(len(places) - 1):
        shares |= {_register(number): 20.0, _look(number): 15.0}
    return ProgressReporter(shares, progress)


def _reading(number: int) -> str:
    return f"read study {number + 1}"


def _register(number: int) -> str:
    return f"register study {number + 1} and {number + 2}"


def _look(number: int) -> str:
    return f"look in study {number + 1} and {number + 2}"


def _read(place: str | Path | Study, number: int, options: Options, models: Models, report: ProgressReporter) -> Study:
    def inside(progress: Progress) -> None:
        report(_reading(number), progress.fraction)

    report(_reading(number), 0.0)
    read = place if isinstance(place, Study) else read_study(place, f"study {number + 1}", options, models, inside)
    return replace(read, result=measured_anew(read.result))


def _of_one_ct(studies: Sequence[Study]) -> list[str]:
    """Sentences on studies that hold the same voxels, as where one CT was given twice, or in two formats, which may
    keep its axes in another order.
    """
    axial = [axial_order(study.result.ct).ct.hu for study in studies]
    return [
        f"{one.name.capitalize()} and {other.name} are the same CT, voxel for voxel: that nothing changed between them "
        "says nothing of the patient."
        for (one, hu), (other, other_hu) in combinations(zip(studies, axial, strict=True), 2)
        if np.array_equal(hu, other_hu)
    ]


def _days(studies: Sequence[Study], given: Sequence[float] | None, notes: list[str]) -> list[float | None]:
    """Days between each study and the next."""
    if given is not None:
        if len(given) != len(studies) - 1 or not all(one > 0 for one in given):
            raise InputError("Give the days between each study and the next, each above 0 (--days).")
        return [float(one) for one in given]
    apart: list[float | None] = []
    for earlier, later in pairwise(studies):
        if earlier.made is None or later.made is None:
            notes.append(
                f"When {earlier.name} and {later.name} were made is not known, so there is no doubling time; give the "
                f"days between them (--days)."
            )
            apart.append(None)
            continue
        between = (later.made - earlier.made).days
        if between < 0:
            notes.append(
                f"{earlier.name.capitalize()} was made {-between} days after {later.name}: the order given is not that "
                f"of the dates, and growth is told backwards."
            )
        if between == 0:
            notes.append(f"{earlier.name.capitalize()} and {later.name} are of one day: there is no doubling time.")
        apart.append(float(between) if between >= 0 else None)
    return apart


# A nodule by its numbers in the earlier and the later study, None where it is not; and its places in both, RAS mm.
_Link = tuple[str, int | None, int | None, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class _Step:
    """An interlude in the making: nodules by their numbers, since rows come to studies until the end."""

    days: float | None
    registration: Registration
    same_protocol: bool
    links: list[_Link]

    def interlude(self, studies: Sequence[Study]) -> Interlude:
        pairs = []
        for state, *numbers, places in self.links:
            a, b = (
                None if number is None else study.result.nodules[number - 1]
                for number, study in zip(numbers, studies, strict=True)
            )
            changed = change(a, b, self.days, same_protocol=self.same_protocol) if a and b else None
            pairs.append(Pair(state, a, b, places, changed))
        pairs.sort(key=lambda pair: pair.state != MATCHED)
        made = self.registration
        return Interlude(self.days, made.fit, self.same_protocol, tuple(pairs), made.rigid, made)


def _registered(earlier: Study, later: Study, same_patient: bool, notes: list[str]) -> Registration:
    registration = register(earlier.lungs, later.lungs)
    if registration.fit.fits:
        return registration
    sentence = (
        f"The lungs of {earlier.name} and {later.name} do not lie on each other: only {registration.fit.found:.0%} of "
        f"the vessels are found again"
    )
    if not same_patient:
        raise InputError(
            f"{sentence}; they may be of two patients, show different parts of the chest, or one be mirrored "
            f"(--same-patient compares them all the same)."
        )
    notes.append(f"{sentence}; pairs of nodules can be wrong.")
    return registration


def _compared(
    studies: list[Study],
    number: int,
    days: float | None,
    registration: Registration,
    models: Models,
    notes: list[str],
) -> _Step:
    """Study `number` and the next; what a look finds comes to their nodules, in `studies`."""
    earlier, later = studies[number], studies[number + 1]
    before, after = earlier.result.nodules, later.result.nodules
    places = places_of(earlier, before, registration.forward)
    found = dict(matched(before, places, after))
    links: list[_Link] = [
        (MATCHED, before[a].id, after[b].id, (_centre(before[a]), _centre(after[b]))) for a, b in found.items()
    ]
    alone = [n for n in range(len(before)) if n not in found]
    rest = [row for n, row in enumerate(after) if n not in found.values()]
    looked = look(earlier, [before[n] for n in alone], places[alone], later, registration.forward, models)
    for at, n in enumerate(alone):
        state = _state(looked, at, RESOLVED)
        links.append((state, before[n].id, looked.found[at], (_centre(before[n]), looked.places[at])))
    studies[number + 1] = _anew(looked.study)
    studies[number], back = _looked_back(later, rest, earlier, registration, models)
    same, reasons = _same_protocol(earlier, later)
    notes += reasons
    return _Step(days, registration, same, [*links, *back])


def _looked_back(
    later: Study, rows: Sequence[Nodule], earlier: Study, registration: Registration, models: Models
) -> tuple[Study, list[_Link]]:
    """The earlier study with what was found of these nodules of the later one, and their links."""
    places = places_of(later, rows, registration.backward)
    looked = look(later, rows, places, earlier, registration.backward, models)
    links: list[_Link] = []
    for n, row in enumerate(rows):
        links.append((_state(looked, n, NEW), looked.found[n], row.id, (looked.places[n], _centre(row))))
    return _anew(looked.study), links


def _state(looked: Looked, n: int, nothing: str) -> str:
    """What a look says of nodule n; `nothing`: where its place is shown and holds nothing."""
    if looked.found[n] is not None:
        return MATCHED
    if not looked.shown[n]:
        return OUTSIDE
    return nothing if looked.held[n] is None else MERGED


def _look_further_back(
    studies: list[Study], steps: list[_Step], number: int, rows: Sequence[Nodule], models: Models
) -> None:
    """Nodules that a later study led to are looked for in the studies before, too."""
    while rows and number > 0:
        number -= 1
        known = len(studies[number].result.nodules)
        registration = steps[number].registration
        studies[number], links = _looked_back(studies[number + 1], rows, studies[number], registration, models)
        steps[number].links.extend(links)
        rows = studies[number].result.nodules[known:]


def _centre(nodule: Nodule) -> np.ndarray:
    return np.asarray(nodule.centre_ras)


def _anew(study: Study) -> Study:
    return replace(study, result=measured_anew(study.result))


def _same_protocol(earlier: Study, later: Study) -> tuple[bool, list[str]]:
    """Whether both were scanned alike, and a sentence where that is not so or not known."""
    (thick, kernel), (other_thick, other_kernel) = earlier.protocol, later.protocol
    if abs(thick - other_thick) > 0.1 * max(thick, other_thick) or kernel != other_kernel:
        how = [f"slices {mm:g} mm, kernel {name or 'unknown'}" for mm, name in (earlier.protocol, later.protocol)]
        return False, [
            f"{earlier.name.capitalize()} and {later.name} were not scanned alike ({'; '.join(how)}), so only a larger "
            f"change is beyond the uncertainty."
        ]
    if not kernel:
        return False, [
            f"The kernels of {earlier.name} and {later.name} are not known, so the uncertainty is that "
            f"of two protocols."
        ]
    return True, []


def _tracks(studies: Sequence[Study], interludes: Sequence[Interlude]) -> tuple[tuple[int | None, ...], ...]:
    """Pairs chained to one line a nodule, in the order of the studies and of the numbers in each."""
    links = [
        {pair.earlier.id: pair.later.id for pair in one.pairs if pair.earlier is not None and pair.later is not None}
        for one in interludes
    ]
    tracks: list[tuple[int | None, ...]] = []
    used: set[tuple[int, int]] = set()
    for number, study in enumerate(studies):
        for row in study.result.nodules:
            if (number, row.id) in used:
                continue
            track: list[int | None] = [None] * len(studies)
            at: int | None = row.id
            for step in range(number, len(studies)):
                if at is None:
                    break
                track[step] = at
                used.add((step, at))
                at = links[step].get(at) if step < len(links) else None
            tracks.append(tuple(track))
    return tuple(tracks)


def with_gaps_bridged(follow_up: FollowUp) -> FollowUp:
    """The follow-up with one track for a nodule that a study between two others does not show: where a resolved one
    lay, or one outside the field, a later study shows one that can be the same. It is seen again, not new.
    """
    pairs = [(number, pair) for number, one in enumerate(follow_up.interludes) for pair in one.pairs]
    gone = [one for one in pairs if one[1].later is None and one[1].state in (RESOLVED, OUTSIDE)]
    come = [one for one in pairs if one[1].earlier is None and one[1].state in (NEW, OUTSIDE)]
    costs = {(a, b): _cost_of_gap(follow_up, gone[a], come[b]) for a, b in product(range(len(gone)), range(len(come)))}
    bridges: list[tuple[int, int]] = []
    for a, b in sorted(costs, key=costs.__getitem__):
        if math.isfinite(costs[a, b]) and not any(a == one or b == other for one, other in bridges):
            bridges.append((a, b))
    tracks = dict(enumerate(follow_up.tracks, 1))
    # The latest gap first: a track takes along what was joined to it.
    for a, b in sorted(bridges, key=lambda bridge: gone[bridge[0]][0], reverse=True):
        before, behind = follow_up.track_of(*gone[a]), tracks.pop(follow_up.track_of(*come[b]))
        tracks[before] = tuple(
            one if one is not None else other for one, other in zip(tracks[before], behind, strict=True)
        )
    again = [come[b][1] for _, b in bridges if come[b][1].is_new]
    interludes = [
        replace(one, pairs=tuple(replace(pair, state=SEEN_AGAIN) if pair in again else pair for pair in one.pairs))
        for one in follow_up.interludes
    ]
    return replace(follow_up, tracks=tuple(tracks.values()), interludes=tuple(interludes))


def _cost_of_gap(follow_up: FollowUp, gone: tuple[int, Pair], come: tuple[int, Pair]) -> float:
    """The cost of a pair across a gap, each with the number of its interlude; infinite for one that cannot be."""
    (first, end), (second, start) = gone, come
    if first >= second or end.earlier is None or start.later is None:
        return math.inf
    place = end.places[1]
    for one in follow_up.interludes[first + 1 : second]:
        place = one.place(place)
    apart = place - start.places[0]
    if np.linalg.norm(apart) > _GAP_MM:
        return math.inf
    return cost(end.earlier, _centre(start.later) + apart, start.later)
