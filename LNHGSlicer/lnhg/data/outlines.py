"""Radiologists' outlines of one scan: from curves in slices to nodules with a bit mask of their readers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from skimage.draw import polygon2mask

from ..core.ct import CT
from ..errors import InputError
from ..stages.axial import AxialOrder
from .cutouts import MOST_READERS, share_of_readers
from .scans import REFERENCE_READERS

#: The LIDC ratings as its files call them, and as `Cutout.ratings` does.
LIDC_RATINGS = {
    "subtlety": "Subtlety",
    "internalStructure": "InternalStructure",
    "calcification": "Calcification",
    "sphericity": "Sphericity",
    "margin": "Margin",
    "lobulation": "Lobulation",
    "spiculation": "Spiculation",
    "texture": "texture",
    "malignancy": "malignancy",
}
# Outlines of one nodule lie closer than a slice is thick; where more than four do, the distance shrinks step by step.
_SHRINK, _SMALLEST_DISTANCE = 0.9, 0.1
# Heights in files are rounded; farther from a slice, in steps of the slices, an outline is that of another series.
_OFF_SLICE = 0.3
_BITS = 8


@dataclass(frozen=True, eq=False)
class Contour:
    """A closed curve just outside a nodule (or, `hole`, around a part that is none of it).

    Attributes:
        points: int `[n, 2]`, (column, row) of the CT as stored.
        z: height of its slice in the patient, mm, as DICOM counts.
    """

    points: np.ndarray
    z: float
    hole: bool = False


@dataclass(frozen=True, eq=False)
class Reading:
    """One nodule as one reader outlined and rated it (names of `LIDC_RATINGS`)."""

    contours: tuple[Contour, ...]
    ratings: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class SeriesReadings:
    """All that was outlined in one CT series.

    Attributes:
        patient, thickness_mm: None where the source does not say.
        contradiction: a sentence where two files say different things of the series; else empty.
    """

    patient: str | None
    thickness_mm: float | None
    readings: tuple[Reading, ...]
    contradiction: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        digest = hashlib.sha256(repr((self.patient, self.thickness_mm)).encode())
        for reading in self.readings:
            digest.update(repr(sorted(reading.ratings.items())).encode())
            for contour in reading.contours:
                digest.update(repr((contour.z, contour.hole)).encode() + contour.points.astype("<i4").tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class OutlinedNodule:
    """One nodule of a scan.

    Attributes:
        start: voxel (slice, row, column) at which `readers` begins in the CT.
        readers: uint8 `[slice, row, column]`, bit r set where reader r outlined the voxel; large enough for all
            outlines.
        reader_count: how many readers outlined the nodule.
        reference: whether it counts as a nodule beyond doubt.
        reader_ratings: each reader's ratings by the names of `Cutout.ratings`; or one, where only means are known.
    """

    start: tuple[int, int, int]
    readers: np.ndarray
    reader_count: int
    reference: bool
    reader_ratings: tuple[Mapping[str, float], ...] = ()

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """Where it lies in the CT."""
        k, j, i = (slice(first, first + size) for first, size in zip(self.start, self.readers.shape, strict=True))
        return k, j, i

    @property
    def consensus(self) -> np.ndarray:
        """Voxels of `readers` outlined by at least half of the readers."""
        return share_of_readers(self.readers, self.reader_count) >= 0.5

    @property
    def ratings(self) -> dict[str, float]:
        """Mean of the readers' ratings."""
        names = dict.fromkeys(name for ratings in self.reader_ratings for name in ratings)
        return {name: float(np.mean([one[name] for one in self.reader_ratings if name in one])) for name in names}


def nodules_of(series: SeriesReadings, ct: CT) -> list[OutlinedNodule]:
    """The nodules of a CT as stored (axial slices), from foot to head.

    Raises InputError where an outline lies on no slice, or outside the image.
    """
    curves = [[_on_slice(contour, ct) for contour in reading.contours] for reading in series.readings]
    groups = _grouped([np.concatenate(one) for one in curves], series.thickness_mm or ct.spacing[2])
    nodules = [_nodule([series.readings[one] for one in group], [curves[one] for one in group]) for group in groups]
    return sorted(nodules, key=lambda nodule: nodule.start)


def of_readers(
    readers: np.ndarray, count: int, ratings: Sequence[Mapping[str, float]] = (), *, sure: bool
) -> OutlinedNodule:
    """The nodule in a bit mask of its readers as large as the CT. Raises InputError if nobody outlined a voxel."""
    points = np.argwhere(readers)
    if not len(points):
        raise InputError("A nodule has no outlined voxel; make its outlines again.")
    first, last = points.min(0), points.max(0) + 1
    box = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    return OutlinedNodule(_triple(first), np.ascontiguousarray(readers[box], np.uint8), count, sure, tuple(ratings))


def is_reference(reader_count: int) -> bool:
    """Whether so many readers make a nodule of LIDC-IDRI certain; more than there were are two nodules taken for
    one.
    """
    return REFERENCE_READERS <= reader_count <= MOST_READERS


def in_view(nodule: OutlinedNodule, view: AxialOrder) -> OutlinedNodule:
    """A nodule of the CT as stored, in its axial view."""
    readers = view.to_axial(nodule.readers)
    start = [nodule.start[axis] for axis in view.axes]
    for axis, flipped in enumerate(view.flips):
        if flipped:
            start[axis] = view.ct.hu.shape[axis] - start[axis] - readers.shape[axis]
    kept = np.ascontiguousarray(readers)
    return OutlinedNodule(_triple(start), kept, nodule.reader_count, nodule.reference, nodule.reader_ratings)


def _triple(values: Sequence[int] | np.ndarray) -> tuple[int, int, int]:
    k, j, i = (int(value) for value in values)
    return k, j, i


def _on_slice(contour: Contour, ct: CT) -> np.ndarray:
    """A contour's points as voxels (slice, row, column)."""
    step = ct.ijk_to_ras[2, 2]
    slice_ = (contour.z - ct.ijk_to_ras[2, 3]) / step
    if abs(slice_ - round(slice_)) > _OFF_SLICE:
        raise InputError(
            f"An outline at {contour.z:g} mm lies between two slices of the CT; give the outlines of this series."
        )
    points = np.column_stack([np.full(len(contour.points), round(slice_)), contour.points[:, ::-1]])
    if (points < 0).any() or (points >= ct.hu.shape).any():
        raise InputError(f"An outline at {contour.z:g} mm lies outside the CT; give the outlines of this series.")
    return points


def _grouped(curves: Sequence[np.ndarray], distance: float) -> list[np.ndarray]:
    """Which readings are of the same nodule, as lists of their numbers.

    The rule of the package pylidc, so that nodules are counted as in the literature: readings whose points lie within
    `distance` (the slice thickness, yet counted in voxels) of each other, or of one in between, belong together.
    """
    if not curves:
        return []
    trees = [cKDTree(points) for points in curves]
    apart = np.array([[tree.query(points)[0].min() for points in curves] for tree in trees])
    while True:
        count, group = connected_components(apart <= distance, directed=False)
        distance *= _SHRINK
        if np.bincount(group).max() <= MOST_READERS or distance < _SMALLEST_DISTANCE:
            return [np.flatnonzero(group == number) for number in range(count)]


def _nodule(readings: Sequence[Reading], curves: Sequence[Sequence[np.ndarray]]) -> OutlinedNodule:
    """The nodule of these readings, given their contours as voxels. Of more than eight readers the first eight are
    kept.
    """
    points = np.concatenate([part for one in curves for part in one])
    start = points.min(0)
    readers = np.zeros(points.max(0) - start + 1, np.uint8)
    for bit, (reading, parts) in enumerate(zip(readings[:_BITS], curves, strict=False)):
        readers |= _filled(reading, [part - start for part in parts], readers.shape).astype(np.uint8) << np.uint8(bit)
    ratings = tuple({LIDC_RATINGS[name]: value for name, value in one.ratings.items()} for one in readings)
    return OutlinedNodule(_triple(start), readers, len(readings), is_reference(len(readings)), ratings)


def _filled(reading: Reading, parts: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """The voxels inside a reading's contours; those on a contour lie outside, also those around a hole."""
    mask = np.zeros(shape, bool)
    ordered = sorted(zip(reading.contours, parts, strict=True), key=lambda pair: pair[0].hole)
    for contour, points in ordered:
        section = mask[points[0, 0]]
        inside = polygon2mask(shape[1:], points[:, 1:])
        inside[points[:, 1], points[:, 2]] = contour.hole
        section[inside] = not contour.hole
    return mask
