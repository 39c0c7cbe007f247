"""Looking with seeds: a nodule that one study shows is looked for at its place in the other before anything is said.

A seed outlines whatever is there, vessels too. What it outlined is the nodule only if a pair of both costs little
enough (`matching`), it is no strand, and the first study does not show it too, beside its nodule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..core.boxes import label_boxes
from ..core.nodule import Nodule
from ..networks.models import Models
from ..pipeline import segment
from .matching import cost
from .registration import FOUND, PATCH_MM, PointMap, found_again, lattice
from .study import Study, with_added

# A strand is longer than this many times its width.
_STRAND = 2.5
# What lies on tissue of the first study beside its nodule, farther than this from it, was there before; the largest
# share of an outline that may.
_TISSUE_HU, _BESIDE_MM, _BEFORE_SHARE = -500.0, 2.0, 0.4
# A nodule of the other study this close to a place holds it, mm.
_HELD_MM = 2.0
# The field is rarely off by more than some millimetres; a neighbour that looks alike lies farther away.
_TRUSTED_MM = 12.0
# Voxels of an outline that are looked at.
_VOXELS = 400


@dataclass(frozen=True, eq=False)
class Looked:
    """What became of the looks.

    Attributes:
        study: the study that was looked at, with the nodules that were found.
        places: where each nodule of the first study lies in it, RAS mm `[n, 3]`.
        shown: for each whether that place is in the field of view.
        found: for each the number of the nodule that was found there, or None.
        held: for each that was not found the number of a nodule of the other study that holds its place, or None: it
            may have grown together with that one.
    """

    study: Study
    places: np.ndarray
    shown: list[bool]
    found: list[int | None]
    held: list[int | None]


def places_of(first: Study, nodules: Sequence[Nodule], points: PointMap) -> np.ndarray:
    """Where nodules of the first study lie in the other, RAS mm `[n, 3]`: by the surroundings of each, else the field.

    The nodule itself is hidden: another one must not draw its place.
    """
    places = []
    for nodule in nodules:
        centre = np.asarray(nodule.centre_ras)
        hidden = np.linalg.norm(lattice(PATCH_MM), axis=-1) < nodule.long_axis / 2 + 1.5
        at, match = found_again(points, centre, hidden, _TRUSTED_MM)
        places.append(at if match >= FOUND else points.place(centre))
    return np.array(places).reshape(-1, 3)


def look(
    first: Study,
    nodules: Sequence[Nodule],
    places: np.ndarray,
    other: Study,
    points: PointMap,
    models: Models | None = None,
) -> Looked:
    """Look in `other` for nodules of the first study at `places`; `points` leads from the first study to the other."""
    shown = [points.moving.shows(place) for place in places]
    wanted = [place.tolist() for place, visible in zip(places, shown, strict=True) if visible]
    held = [_held(other, place) for place in places]
    if not wanted:
        return Looked(other, places, shown, [None] * len(nodules), held)
    options = replace(other.result.options, seeds_only=True, roi=None, slices=None)
    seen = segment(other.result.ct, options, wanted, models=models)
    taken = {label for label in np.unique(seen.labels[other.result.labels > 0]) if label}
    chosen: list[int | None] = []
    for nodule, place, visible in zip(nodules, places, shown, strict=True):
        costs = {row.id: cost(nodule, place, row) for row in seen.nodules if row.id not in (*taken, *chosen)}
        best = min(costs, key=lambda number: costs[number]) if costs and visible else None
        good = best is not None and np.isfinite(costs[best])
        good = good and _is_nodule(first, nodule, other, seen.labels == best, _back(points, place, nodule))
        chosen.append(best if good else None)
    grown, renumbered = with_added(other, seen, [number for number in chosen if number is not None])
    found = [renumbered.get(number) if number else None for number in chosen]
    return Looked(grown, places, shown, found, held)


def _held(other: Study, place: np.ndarray) -> int | None:
    """The number of the nodule within 2 mm of a place, None where there is none."""
    ct, labels = other.result.ct, other.result.labels
    ijk = ct.to_ijk(place)[::-1]
    wide = _HELD_MM / np.array(ct.spacing[::-1])
    box = tuple(slice(max(0, int(np.ceil(at - w))), max(0, int(at + w) + 1)) for at, w in zip(ijk, wide, strict=True))
    inside = labels[box]
    return int(np.bincount(inside[inside > 0]).argmax()) if inside.any() else None


def _back(points: PointMap, place: np.ndarray, nodule: Nodule) -> np.ndarray:
    """4 x 4, RAS mm of the other study to the first, around a nodule: turned back, with the nodule on its place."""
    back = np.eye(4)
    back[:3, :3] = points.turn.T
    back[:3, 3] = np.asarray(nodule.centre_ras) - points.turn.T @ place
    return back


def _is_nodule(first: Study, nodule: Nodule, other: Study, outline: np.ndarray, back: np.ndarray) -> bool:
    voxels = np.argwhere(outline)
    ras = other.result.ct.to_ras(voxels[:: max(1, len(voxels) // _VOXELS), ::-1])
    spread = np.sqrt(np.maximum(np.linalg.eigvalsh(np.cov(ras.T)), 1e-6))
    if spread[2] / spread[1] > _STRAND:
        return False
    return _share_before(first, nodule, ras @ back[:3, :3].T + back[:3, 3]) <= _BEFORE_SHARE


def _share_before(first: Study, nodule: Nodule, ras: np.ndarray) -> float:
    """Share of points (RAS mm in the first study) that lie on tissue beside its nodule."""
    ct, labels = first.result.ct, first.result.labels
    ijk = np.round(ct.to_ijk(ras)).astype(int)
    inside = ((ijk >= 0) & (ijk < ct.hu.shape[::-1])).all(1)
    k, j, i = ijk[inside].T[::-1]
    (box,) = [box for number, box in label_boxes(labels).items() if number == nodule.id]
    wide = [int(np.ceil(_BESIDE_MM / spacing)) + 1 for spacing in ct.spacing[::-1]]
    box = tuple(slice(max(0, one.start - more), one.stop + more) for one, more in zip(box, wide, strict=True))
    near = np.zeros(labels.shape, bool)
    near[box] = ndimage.distance_transform_edt(labels[box] != nodule.id, ct.spacing[::-1]) <= _BESIDE_MM
    before = (ct.hu[k, j, i] > _TISSUE_HU) & ~near[k, j, i]
    return float(before.sum() / max(1, len(ras)))
