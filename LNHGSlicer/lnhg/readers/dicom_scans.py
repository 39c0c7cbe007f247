"""Which DICOM slices make one scan: told apart by patient, study, grid, acquisition and phase; and which scan to
take.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..core.whole_numbers import is_whole_number
from ..errors import InputError
from .dicom_headers import APART, SERIES, Slice
from .files import few

# Slices of two scans never share these; patients without an ID differ by their names.
_OWN = ("PatientID", "PatientName", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
# Orientation (cosines) and pixel spacing (mm) within one scan may differ by rounding.
_SAME_PLANE = 1e-3
# Slices closer than this are the same slice twice.
_SAME_MM = 0.01
# Slice distances may stray by this share, and by the rounding of positions to a tenth of a millimetre.
_UNEVEN, _ROUNDING_MM = 0.1, 0.11
# So many wide steps in a row, all alike, are another distance of the slices and not slices that are missing.
_LEAST_GAPS = 3
# A slice's corner may lie this far from the straight stack.
_ASTRAY_MM = 1.0
# Slices are axial when their normal lies this close to head-foot (cosine).
_AXIAL_COSINE = 0.8
# A scan of fewer slices, or of fewer places, comes after longer ones, however thin.
_FEW = 10
# Most figures of a number in DICOM (IS).
_FIGURES = 12
# What begins within so many steps of a scan's end goes on from it.
_NEXT_STEPS = 2.5
# So many single slices can be seen to be one stack.
_LEAST_STACK = 3
# Scans that cover this share of what the longest covers, or a whole chest (mm), cover enough to be chosen by their
# thickness.
_ENOUGH, _CHEST_MM = 0.8, 250.0
_REFORMATTED = ("REFORMATTED", "MPR")
# Words of a description that name slabs put together by their highest or lowest values.
_PROJECTED = re.compile(r"\b(mip|minip|mips|maximum intensity|minimum intensity|vrt)\b", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Scan:
    """Slices of one scan, from foot to head (where axial)."""

    slices: tuple[Slice, ...]

    @property
    def first(self) -> Slice:
        return self.slices[0]

    @cached_property
    def upward(self) -> np.ndarray:
        """Unit normal of the slices (LPS), along the patient axis it lies closest to: to the head where axial."""
        return _upward(self.first)

    @cached_property
    def corners(self) -> np.ndarray:
        """Centre of each slice's first pixel, LPS mm `[slice, 3]`."""
        return np.array([one.position for one in self.slices], float)

    @property
    def axial(self) -> bool:
        return bool(abs(self.upward[2]) > _AXIAL_COSINE)

    @property
    def step(self) -> np.ndarray:
        """From one slice's corner to the next one's (LPS mm), tilt included."""
        if len(self.slices) > 1:
            return np.asarray((self.corners[-1] - self.corners[0]) / (len(self.corners) - 1))
        return self.upward * (self.first.thickness or 1.0)

    @cached_property
    def problem(self) -> str:
        """Why the slices are no even, straight stack, and what to do; empty if they are one."""
        positions = self.corners @ self.upward
        return _uneven(positions) or _crooked(self.corners)

    @property
    def places(self) -> int:
        """How many places along the normal have a slice."""
        return int((np.diff(self.corners @ self.upward) >= _SAME_MM).sum()) + 1

    @property
    def covered_mm(self) -> float:
        """How much of the patient, along the normal, lies within a slice: gaps between thin slices do not count."""
        gaps = np.diff(self.corners @ self.upward)
        thickness = self.thicknesses[1]
        usual = float(np.median(gaps[gaps >= _SAME_MM])) if (gaps >= _SAME_MM).any() else thickness or 1.0
        return self.places * min(usual, thickness or usual)

    @property
    def thicknesses(self) -> tuple[float, float]:
        """The least and the largest thickness that the headers name, mm; 0 where they name none."""
        known = [one.thickness for one in self.slices if one.thickness] or [0.0]
        return min(known), max(known)

    @property
    def counted_in_turn(self) -> bool:
        """Whether the numbers of the images rise, or fall, from slice to slice."""
        numbers = [one.instance for one in self.slices]
        steps = np.diff([number for number in numbers if number is not None])
        return None not in numbers and bool((steps > 0).all() or (steps < 0).all())

    @property
    def reformatted(self) -> bool:
        named = any(name in part for part in self.first.image_type for name in _REFORMATTED)
        return named or self.projected

    @property
    def projected(self) -> bool:
        """Whether its description names it a projection of slabs, in which vessels and nodules look alike."""
        return bool(_PROJECTED.search(self.first.texts["SeriesDescription"].replace("_", " ")))

    @property
    def acquisitions(self) -> int:
        """How many acquisitions of several slices stand one upon another in this scan."""
        counts = Counter(one.texts["AcquisitionNumber"] for one in self.slices)
        return len(counts) if len(counts) > 1 and min(counts.values()) > 1 else 1

    @property
    def label(self) -> str:
        """What may be kept with results: numbers of series, acquisition and time point, and how many slices."""
        return self._named("")

    @property
    def name(self) -> str:
        """The label with the description of the series, for the screen."""
        return self._named(self.first.texts["SeriesDescription"] or "no description")

    def _named(self, description: str) -> str:
        parts = [description] if description else []
        for name, word in (("AcquisitionNumber", "acquisition"), ("TemporalPositionIdentifier", "time point")):
            number = self.first.texts[name]
            if is_whole_number(number, _FIGURES) and self.acquisitions == 1:
                parts.append(f"{word} {number}")
        count = "1 slice" if len(self.slices) == 1 else f"{len(self.slices)} slices"
        number = self.first.texts["SeriesNumber"]
        told = number if is_whole_number(number.removeprefix("-"), _FIGURES) else "without a number"
        return f"series {told} ({', '.join([*parts, count])})"


def scans_of(slices: Iterable[Slice]) -> list[Scan]:
    """The scans that slices belong to, by series, acquisition and first slice."""
    groups: dict[tuple[Any, ...], list[list[Slice]]] = {}
    for one in slices:
        key = (*(one.texts[name] for name in _OWN), one.rows, one.columns, one.image_type)
        planes = groups.setdefault(key, [])
        plane = next((plane for plane in planes if _same_plane(plane[0], one)), None)
        if plane is None:
            planes.append(plane := [])
        plane.append(one)
    scans = [_scan(part) for planes in groups.values() for plane in planes for part in _parts(plane, APART)]
    return sorted(scans, key=_in_list)


def _same_plane(one: Slice, other: Slice) -> bool:
    return np.allclose((*one.along, *one.spacing), (*other.along, *other.spacing), rtol=0, atol=_SAME_PLANE)


def _upward(one: Slice) -> np.ndarray:
    normal = np.cross(one.along[:3], one.along[3:])
    return np.asarray(normal * np.sign(normal[np.argmax(np.abs(normal))]))


def _scan(slices: Sequence[Slice]) -> Scan:
    upward = _upward(slices[0])
    return Scan(tuple(sorted(slices, key=lambda one: float(np.dot(one.position, upward)))))


def _in_list(scan: Scan) -> tuple[Any, ...]:
    first = scan.first
    numbers = [first.texts[name] for name in ("SeriesNumber", "AcquisitionNumber", "TemporalPositionIdentifier")]
    counted = [int(number) if is_whole_number(number, _FIGURES) else -1 for number in numbers]
    return (
        *counted,
        first.texts["SeriesInstanceUID"],
        *(first.texts[name] for name in _OWN),
        first.instance or 0,
        str(first.file),
    )


def _parts(slices: list[Slice], names: Sequence[str]) -> list[list[Slice]]:
    """The scans in slices of one series and plane, told apart by the first of the named elements that does, and so
    on.
    """
    for number, name in enumerate(names):
        groups: dict[str, list[Slice]] = {}
        for one in slices:
            groups.setdefault(one.texts[name], []).append(one)
        if len(groups) > 1 and _stand_apart(slices, groups, name):
            return [part for group in groups.values() for part in _parts(group, names[number + 1 :])]
    return _by_turns(slices)


def _stand_apart(slices: list[Slice], groups: Mapping[str, list[Slice]], name: str) -> bool:
    """Whether groups of slices, told apart by the named element, are scans of their own.

    They are where all together make no stack but one of them does, and where each is a stack and they lie between one
    another. They are not where they stand one upon another as one even stack, as acquisitions of a stepwise scan do,
    nor where but the thickness differs in one even stack whose images are counted in turn.
    """
    whole = _scan(slices)
    stacks = [len(group) > 1 and not _scan(group).problem for group in groups.values()]
    if whole.problem:
        return any(stacks)
    if name == "SliceThickness" and whole.counted_in_turn:
        return False
    group_of = {id(one): number for number, group in enumerate(groups.values()) for one in group}
    runs = len(list(itertools.groupby(whole.slices, key=lambda one: group_of[id(one)])))
    return runs > len(groups) and all(stacks)


def _by_turns(slices: list[Slice]) -> list[list[Slice]]:
    """Phases that nothing but the order of the image numbers tells apart: every place has as many images, each its
    number.
    """
    whole = _scan(slices)
    numbers = [one.instance for one in slices]
    if whole.places < 2 or len(slices) == whole.places or None in numbers or len(set(numbers)) < len(numbers):
        return [slices]
    phases: dict[int, list[Slice]] = {}
    at = np.cumsum([0, *(np.diff(whole.corners @ whole.upward) >= _SAME_MM)])
    for _, place in itertools.groupby(zip(at, whole.slices, strict=True), key=lambda pair: pair[0]):
        for turn, one in enumerate(sorted((one for _, one in place), key=lambda one: one.instance or 0)):
            phases.setdefault(turn, []).append(one)
    even = len({len(phase) for phase in phases.values()}) == 1
    return list(phases.values()) if even else [slices]


# ---------------------------------------------------------------- the choice


def chosen(scans: Sequence[Scan], place: Path, series: str | None, number: int | None) -> tuple[Scan, list[Scan]]:
    """The scan to read, and those in the list it is from: of the series that is asked for, or all.

    Raises InputError where none or several series fit, or the list has no scan of this `number` (from 1).
    """
    listed = list(scans) if series is None else _fitting(scans, place, series, number)
    if number is not None:
        if not 1 <= number <= len(listed):
            raise InputError(f"{place.name} has no CT number {number}; give one of these: {as_list(listed)}.")
        return listed[number - 1], listed
    return min(listed, key=_rank(listed)), listed


def scattered(scan: Scan, scans: Sequence[Scan]) -> tuple[str, ...]:
    """The elements that differ in every one of the single slices that `scan` is one of, though together they are a
    stack, as programs that take names out leave it; none where `scan` has several slices, or is of no such stack.
    """
    if len(scan.slices) > 1:
        return ()
    alike = [
        one.first
        for one in scans
        if len(one.slices) == 1
        and (one.first.rows, one.first.columns) == (scan.first.rows, scan.first.columns)
        and _same_plane(one.first, scan.first)
    ]
    if len(alike) < _LEAST_STACK or _scan(alike).problem:
        return ()
    return tuple(name for name in _OWN if len({one.texts[name] for one in alike}) == len(alike))


def goes_on(scan: Scan, other: Scan) -> bool:
    """Whether another scan of the same series shows what lies next to this one, above or below, and nothing of what
    this one shows. One of another patient, study or frame of reference does where both are one stack: an anonymiser or
    a correction of names left them so.
    """
    if other is scan or scan.first.texts["SeriesInstanceUID"] != other.first.texts["SeriesInstanceUID"]:
        return False
    if abs(scan.upward @ other.upward) < _AXIAL_COSINE:
        return False
    ends = [np.sort((one.corners @ scan.upward)[[0, -1]]) for one in (scan, other)]
    step = float(abs(scan.step @ scan.upward))
    between = max(ends[1][0] - ends[0][1], ends[0][0] - ends[1][1])
    if all(scan.first.texts[name] == other.first.texts[name] for name in _OWN):
        return bool(_SAME_MM < between < _NEXT_STEPS * step)
    sizes = {(one.first.rows, one.first.columns) for one in (scan, other)}
    alike = len(sizes) == 1 and _same_plane(scan.first, other.first)
    return alike and between > _SAME_MM and not _scan([*scan.slices, *other.slices]).problem


def lies_between(scan: Scan, other: Scan) -> bool:
    """Whether another scan of the same series and acquisition lies half-way between the slices of this one, so that
    both together make one even stack.
    """
    names = ("SeriesInstanceUID", "AcquisitionNumber", "TemporalPositionIdentifier", "TemporalPositionIndex")
    of_one = all(scan.first.texts[name] == other.first.texts[name] for name in names)
    sizes = {(one.first.rows, one.first.columns) for one in (scan, other)}
    if other is scan or not of_one or len(sizes) > 1 or abs(scan.upward @ other.upward) < _AXIAL_COSINE:
        return False
    whole = _scan([*scan.slices, *other.slices])
    own = set(map(id, scan.slices))
    turns = [id(one) in own for one in whole.slices]
    return not whole.problem and len(turns) > 2 and all(a != b for a, b in itertools.pairwise(turns))


def as_list(scans: Sequence[Scan]) -> str:
    """The scans with their numbers and descriptions, for the screen."""
    return "; ".join(f"{number}: {scan.name}" for number, scan in enumerate(scans, 1))


def _fitting(scans: Sequence[Scan], place: Path, series: str, number: int | None) -> list[Scan]:
    fitting = [one for one in scans if series in (one.first.texts[name] for name in SERIES)]
    fitting = fitting or [one for one in scans if _describes(one, series)]
    if not fitting:
        raise InputError(f"No CT series in {place.name} fits {series!r}; give one of these: {as_list(scans)}.")
    if len({one.first.texts["SeriesInstanceUID"] for one in fitting}) > 1 and number is None:
        listed = "; ".join(f"{one.name}, UID {one.first.texts['SeriesInstanceUID']}" for one in fitting)
        raise InputError(f"More than one CT series in {place.name} fits {series!r}; give the UID of one: {listed}.")
    return fitting


def _describes(scan: Scan, wanted: str) -> bool:
    return not wanted.isdigit() and wanted.lower() in scan.first.texts["SeriesDescription"].lower()


def _rank(scans: Sequence[Scan]) -> Callable[[Scan], tuple[Any, ...]]:
    """Sorts the scan to read first: long, axial, covering enough without gaps, whole, not reformatted, thin."""
    covered = [scan.covered_mm for scan in scans if scan.axial and scan.places >= _FEW] or [
        scan.covered_mm for scan in scans
    ]
    enough = min(_ENOUGH * max(covered), _CHEST_MM)

    def rank(scan: Scan) -> tuple[Any, ...]:
        return (
            scan.places < _FEW,
            not scan.axial,
            scan.covered_mm < enough,
            bool(scan.problem),
            scan.reformatted,
            scan.thicknesses[1] or float(np.linalg.norm(scan.step)),
            -len(scan.slices),
        )

    return rank


# ---------------------------------------------------------------- even and straight


def _uneven(positions: np.ndarray) -> str:
    """What is wrong with rising positions along the normal, mm: slices twice, missing, or unevenly placed."""
    gaps = np.diff(positions)
    if not len(gaps):
        return ""
    if (gaps < _SAME_MM).any():
        same = few([f"{position:.1f}" for position in np.unique(positions[1:][gaps < _SAME_MM])])
        return f"The CT has more than one slice at {same} mm; remove the duplicates or choose a series."
    usual = float(np.quantile(gaps, 0.5, method="lower"))
    spans = [f"{a:.1f} and {b:.1f}" for a, b in itertools.pairwise(positions)]
    allowed = max(_UNEVEN * usual, _ROUNDING_MM)
    wide = np.flatnonzero(gaps > 1.5 * usual)
    if len(wide) >= _LEAST_GAPS and (np.diff(wide) == 1).all() and np.ptp(gaps[wide]) <= allowed:
        start, end = positions[wide[0]], positions[wide[-1] + 1]
        return (
            f"The CT's slices lie {usual:.2f} mm apart, but {gaps[wide].mean():.2f} mm from {start:.1f} to {end:.1f} "
            "mm; export them evenly spaced, or each part as a series of its own."
        )
    if len(wide):
        return (
            f"Slices of the CT are missing between {few([spans[k] for k in wide])} mm; export the whole series again."
        )
    uneven = [span for span, gap in zip(spans, gaps, strict=True) if abs(gap - usual) > allowed]
    if uneven:
        return f"The CT's slices lie {usual:.2f} mm apart, but not between {few(uneven)} mm; export them evenly spaced."
    return ""


def _crooked(corners: np.ndarray) -> str:
    even = np.linspace(corners[0], corners[-1], len(corners))
    astray = float(np.linalg.norm(corners - even, axis=1).max())
    if astray <= _ASTRAY_MM:
        return ""
    return f"The CT's slices lie up to {astray:.1f} mm off a straight stack; export them as one straight series."
