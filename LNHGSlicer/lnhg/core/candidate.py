"""Candidates: where the detector, or a person's seed, says that a nodule may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .ct import CT


@dataclass(frozen=True)
class Ball:
    """A ball of tissue: its middle as a fractional voxel (i, j, k) of the axial view, its diameter in mm."""

    centre_ijk: tuple[float, float, float]
    diameter: float

    def box(self, ct: CT) -> tuple[slice, slice, slice]:
        """The box around it, as an index of the CT's arrays."""
        k, j, i = (
            slice(max(0, round(at - self.diameter / 2 / spacing)), max(1, round(at + self.diameter / 2 / spacing) + 1))
            for at, spacing in zip(self.centre_ijk[::-1], ct.spacing[::-1], strict=True)
        )
        return k, j, i

    def voxels(self, ct: CT) -> np.ndarray:
        """The voxels of its box whose centre lies in it, bool `[slice, row, column]`."""
        index = np.ogrid[tuple(slice(*one.indices(n)) for one, n in zip(self.box(ct), ct.hu.shape, strict=True))]
        offsets = zip(index, self.centre_ijk[::-1], ct.spacing[::-1], strict=True)
        squares = [((n - at) * spacing) ** 2 for n, at, spacing in offsets]
        return np.asarray(squares[0] + squares[1] + squares[2] <= (self.diameter / 2) ** 2)


@dataclass(frozen=True, eq=False)
class Candidate:
    """One place in 3D.

    Attributes:
        boxes: for each slice k of the axial view its box `(x0, y0, x1, y1)` in CT pixels; pixel column c covers c to c
            + 1.
        score: detector score, 0 to 1; 1 for a seed.
        seed: the voxel (i, j, k) of the axial view that a person pointed at, or None for a detection of the detector.
        mass: where it lies in the middle of a mass, the largest ball of tissue there.
    """

    boxes: Mapping[int, tuple[float, float, float, float]]
    score: float
    seed: tuple[int, int, int] | None = None
    mass: Ball | None = None

    def width(self, ct: CT) -> float:
        """Width of its largest box, mm: that of a square of the same area; at least that of its mass."""
        area = max((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in self.boxes.values())
        width = float((area * ct.spacing[0] * ct.spacing[1]) ** 0.5)
        return width if self.mass is None else max(width, self.mass.diameter)

    @property
    def centre_ijk(self) -> np.ndarray:
        """Centre as a fractional voxel (i, j, k) of the axial view: mean over slices, weighted by the boxes' areas."""
        slices = np.array(sorted(self.boxes), float)
        boxes = np.array([self.boxes[int(k)] for k in slices], float)
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        centres = np.column_stack([boxes[:, [0, 2]].mean(1) - 0.5, boxes[:, [1, 3]].mean(1) - 0.5, slices])
        return np.average(centres, axis=0, weights=areas)

    def as_record(self, ct: CT) -> dict[str, object]:
        """As values for display and files: score, origin, centre and extent, and the corners of each slice's box (RAS,
        mm).
        """
        boxes = np.array(list(self.boxes.values()))
        sides = (
            (boxes[:, 2].max() - boxes[:, 0].min()) * ct.spacing[0],
            (boxes[:, 3].max() - boxes[:, 1].min()) * ct.spacing[1],
        )
        corners = [
            ct.to_ras(np.array([[x0, y0, k], [x1, y0, k], [x1, y1, k], [x0, y1, k]]) - (0.5, 0.5, 0)).round(2).tolist()
            for k, (x0, y0, x1, y1) in sorted(self.boxes.items())
        ]
        return {
            "score": round(self.score, 4),
            "origin": "detector" if self.seed is None else "seed",
            "centre_ras": ct.to_ras(self.centre_ijk).round(2).tolist(),
            "size_mm": [round(float(side), 2) for side in (*sides, len(self.boxes) * ct.spacing[2])],
            "boxes_ras": corners,
        }
