"""Candidates scored again by a small 3D network that looks at each in its surroundings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..core.candidate import Candidate
from ..core.ct import CT
from .grid import NetworkGrid
from .runtime import Scores

#: Planes of 40 x 40 pixels of 0.7 mm, 2 mm apart: 28 mm in the slice, 12 mm across.
RESCORER_GRID = NetworkGrid("fixed", 0.7)
PLANES, PIXELS = 7, 40
_PLANE_MM = 2.0

# Half width of what is cut from a CT. Cut-outs of nodules, which the network learned from, are as small.
_REACH_MM = 15.0


@dataclass(frozen=True, eq=False)
class Surroundings:
    """A piece of CT about a candidate: its slices and one more at either end.

    Attributes:
        hu: int16 `[slice, row, column]`.
        spacing: (column, row, slice) mm.
        centre: (slice, row, column) of the candidate in `hu`.
    """

    hu: np.ndarray
    spacing: tuple[float, float, float]
    centre: tuple[float, float, float]


@dataclass(frozen=True)
class Pose:
    """How a piece is looked at: turned in the slice (radians), magnified, mirrored, moved by `shift` (z, y, x) mm."""

    angle: float = 0.0
    zoom: float = 1.0
    mirrored: bool = False
    reversed: bool = False
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)


def surroundings(ct: CT, candidate: Candidate) -> Surroundings:
    """The piece of the CT (axial view) about a candidate's centre."""
    i, j, k = candidate.centre_ijk
    first, last = max(0, min(candidate.boxes) - 1), min(len(ct.hu) - 1, max(candidate.boxes) + 1)
    ranges = []
    for middle, pixel, size in ((j, ct.spacing[1], ct.hu.shape[1]), (i, ct.spacing[0], ct.hu.shape[2])):
        ranges.append(slice(max(0, int(middle - _REACH_MM / pixel)), min(size, int(middle + _REACH_MM / pixel) + 2)))
    rows, columns = ranges
    centre = (float(k - first), float(j - rows.start), float(i - columns.start))
    return Surroundings(ct.hu[first : last + 1, rows, columns], ct.spacing, centre)


def planes(piece: Surroundings, pose: Pose | None = None) -> np.ndarray:
    """What the network sees of a piece, in HU: `[PLANES, PIXELS, PIXELS]` float32.

    Trilinear. Beyond its first and last slice the piece goes on; beyond its border in the slice it is mirrored.
    """
    pose = pose or Pose()
    z = (np.arange(PLANES) - (PLANES - 1) / 2) * _PLANE_MM * (-1 if pose.reversed else 1)
    across = (np.arange(PIXELS) - (PIXELS - 1) / 2) * RESCORER_GRID.pixel_mm
    rows, columns = np.meshgrid(across, across * (-1 if pose.mirrored else 1), indexing="ij")
    turned = np.array([[np.cos(pose.angle), -np.sin(pose.angle)], [np.sin(pose.angle), np.cos(pose.angle)]])
    y, x = np.tensordot(turned, np.stack([rows, columns]), 1)
    points = np.empty((3, PLANES, PIXELS, PIXELS))
    for axis, offset in enumerate((z[:, None, None], y[None], x[None])):
        points[axis] = (offset / pose.zoom + pose.shift[axis]) / piece.spacing[2 - axis] + piece.centre[axis]
    points[0] = np.clip(points[0], 0, len(piece.hu) - 1)
    return ndimage.map_coordinates(piece.hu.astype(np.float32), points, order=1, mode="reflect")


def network_input(piece: Surroundings) -> np.ndarray:
    """A piece as the network takes it: planes `[1, PLANES, PIXELS, PIXELS]` in 0..1."""
    return RESCORER_GRID.normalise(planes(piece))[None]


def rescore(ct: CT, candidates: Sequence[Candidate], scores: Scores) -> tuple[Candidate, ...]:
    """The candidates with new scores: the geometric mean of the detector's and the network's, best first.

    `scores` gives the network's probabilities for its inputs (see `network_input`). Seeds keep their score.
    """
    asked = [candidate for candidate in candidates if candidate.seed is None]
    seen = [network_input(surroundings(ct, candidate)) for candidate in asked]
    seconds = scores(seen) if seen else []
    again = [replace(one, score=float(np.sqrt(one.score * second))) for one, second in zip(asked, seconds, strict=True)]
    seeds = [candidate for candidate in candidates if candidate.seed is not None]
    return tuple(sorted([*again, *seeds], key=lambda candidate: -candidate.score))
