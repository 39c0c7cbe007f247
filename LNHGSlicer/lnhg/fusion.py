"""Fusion of the two branches (II.D of the paper): which parts of the generator's image are nodules.

All of it on the CT's own grid, in the axial view.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed

from .candidates import Candidate
from .ct import CT

CONFIRMED, DETECTOR_ONLY, SEEDED, GENERATOR_ONLY = "confirmed", "detector only", "seeded", "generator only"

_FACES = ndimage.generate_binary_structure(3, 1)


@dataclass(frozen=True)
class FusionRule:
    """How components of the generator's image and candidates meet.

    Attributes:
        threshold: G(x) above this is nodule.
        minimum_diameter: smallest nodule kept, diameter of the sphere of equal volume, mm.
        seed_reach: a seed takes the component at it, or the nearest at most this far away, mm.
        reach, seed_extent: how far a nodule may extend beyond a candidate's boxes, and from a seed, mm. What lies further
            off is no part of it: a leak into a vessel or the chest wall ends there.
        gap: parts of one nodule that lie at most this far apart, mm, are one nodule.
        inside: further components at a candidate belong to it if at least this share of them lies in its boxes.
        neck: two candidates in one component are two nodules if the narrowest place between them is thinner than this share
            of the thinner one.
    """

    threshold: float
    minimum_diameter: float = 3.0
    seed_reach: float = 5.0
    reach: float = 15.0
    seed_extent: float = 40.0
    gap: float = 2.0
    inside: float = 0.5
    neck: float = 0.7

    def limit(self, candidate: Candidate) -> float:
        """How far the nodule of `candidate` may extend beyond its boxes, mm."""
        return self.reach if candidate.seed is None else self.seed_extent


@dataclass(frozen=True, eq=False)
class Nodules:
    """Fused nodules.

    Attributes:
        labels: uint16 `[slice, row, column]`, 0 and 1..N.
        statuses: for label n at n - 1: confirmed, detector only, seeded, or (paper's rule alone) generator only.
        scores: detector score for each label; None where no detector find stands behind it.
        unconfirmed: uint16, components without a candidate, 0 and 1..M.
        not_found: seeds (i, j, k) at which there is nothing.
    """

    labels: np.ndarray
    statuses: tuple[str, ...]
    scores: tuple[float | None, ...]
    unconfirmed: np.ndarray
    not_found: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True, eq=False)
class _Components:
    """Components of the thresholded image: labels 1..n, and for each its box and its number of voxels (index 0 unused)."""

    labels: np.ndarray
    boxes: list[tuple[slice, ...]]
    sizes: np.ndarray

    @classmethod
    def of(cls, mask: np.ndarray) -> _Components:
        labels, _ = ndimage.label(mask, _FACES)
        return cls(labels, [(), *ndimage.find_objects(labels)], np.bincount(labels.ravel()))


@dataclass(frozen=True, eq=False)
class _Found:
    """One nodule before numbering: a mask within a box of the CT."""

    box: tuple[slice, ...]
    mask: np.ndarray
    status: str
    score: float | None


def fuse_scan(ct: CT, image: np.ndarray, candidates: Sequence[Candidate], rule: FusionRule) -> Nodules:
    """The default rule, in 3D: a component of `image` (G(x) on the CT grid) stays if a candidate touches it.

    Holes in a slice are filled. The component with most voxels in a candidate's boxes is its nodule; fragments close to it or mostly in the boxes join.
    A component that holds several candidates is parted where it has a neck. A candidate without a component gives a region
    grown inside its boxes (detector only). Components without a candidate are unconfirmed.
    """
    above = image > rule.threshold
    components = _Components.of(_filled(above & _allowed(ct, candidates, rule)))
    owned = {}
    regions: list[_Found] = []
    not_found = []
    for candidate in candidates:
        numbers = _components_of(components, candidate, ct, rule)
        if numbers:
            owned[candidate] = numbers
        elif candidate.seed is not None:
            not_found.append(candidate.seed)
        else:
            regions.append(_grown(ct, candidate))
    groups = _groups(owned)
    found = [part for members, numbers in groups for part in _parted(components, members, numbers, ct, rule)]
    kept = [nodule for nodule in found + regions if _diameter(nodule, ct) >= rule.minimum_diameter]
    taken = np.zeros(len(components.sizes), bool)
    taken[[number for _, numbers in groups for number in numbers]] = True
    rest, _ = ndimage.label(above & ~taken[components.labels], _FACES)
    labels, statuses, scores = _numbered(kept, ct.hu.shape)
    return Nodules(labels, statuses, scores, _large_enough(rest, ct, rule), tuple(not_found))


def fuse_paper(ct: CT, image: np.ndarray, candidates: Sequence[Candidate], rule: FusionRule) -> Nodules:
    """The paper's rule, slice by slice.

    Components that share a voxel with a candidate's box stay, others go; a slice without candidates keeps the generator's
    image; where the generator has nothing on a slice, the boxes, filled, stand. Nodules are the 3D components of what
    stands. Seeds act as candidates on their own slices.
    """
    above = image > rule.threshold
    stands = np.zeros(above.shape, bool)
    boxes = np.zeros(above.shape, bool)
    for candidate in candidates:
        for k in candidate.boxes:
            boxes[_window(candidate, k, ct)] = True
    filled = np.zeros(above.shape, bool)
    for k in range(len(above)):
        if not boxes[k].any():
            stands[k] = above[k]
        elif not above[k].any():
            filled[k] = boxes[k]
        else:
            parts, _ = ndimage.label(above[k])
            stands[k] = np.isin(parts, np.setdiff1d(parts[boxes[k]], 0))
    labels, _ = ndimage.label(stands | filled, _FACES)
    found = []
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        mask = labels[box] == number
        holders = [c for c in candidates if any((labels[_window(c, k, ct)] == number).any() for k in c.boxes)]
        status = _status(holders) if stands[box][mask].any() else DETECTOR_ONLY
        found.append(_Found(box, mask, status, _score(holders)))
    kept = [nodule for nodule in found if _diameter(nodule, ct) >= rule.minimum_diameter]
    numbered = _numbered(kept, ct.hu.shape)
    rest, _ = ndimage.label(above & ~stands, _FACES)
    missed = tuple(c.seed for c in candidates if c.seed is not None and not any(labels[_window(c, k, ct)].any() for k in c.boxes))
    return Nodules(*numbered, _large_enough(rest, ct, rule), missed)


def _allowed(ct: CT, candidates: Sequence[Candidate], rule: FusionRule) -> np.ndarray:
    """Voxels that a candidate's nodule may take."""
    allowed = np.zeros(ct.hu.shape, bool)
    for candidate in candidates:
        allowed[around(candidate, ct, rule.limit(candidate))] = True
    return allowed


def _filled(mask: np.ndarray) -> np.ndarray:
    """The mask with the holes of each slice filled: cavities, and the middle of masses wider than the generator sees."""
    for k in np.flatnonzero(mask.any((1, 2))):
        mask[k] = ndimage.binary_fill_holes(mask[k])
    return mask


def around(candidate: Candidate, ct: CT, margin: float = 0.0) -> tuple[slice, slice, slice]:
    """The box of all the candidate's boxes, wider by `margin` mm, as an index of the CT's arrays."""
    boxes = np.array(list(candidate.boxes.values()))
    low = (min(candidate.boxes), boxes[:, 1].min(), boxes[:, 0].min())
    high = (max(candidate.boxes) + 1, boxes[:, 3].max(), boxes[:, 2].max())
    k, j, i = (
        slice(max(0, math.floor(a - margin / spacing)), min(size, math.ceil(b + margin / spacing)))
        for a, b, spacing, size in zip(low, high, ct.spacing[::-1], ct.hu.shape, strict=True)
    )
    return k, j, i


def _window(candidate: Candidate, k: int, ct: CT) -> tuple[int, slice, slice]:
    """Index of the voxels that a candidate's box on slice k covers, at least in part."""
    x0, y0, x1, y1 = candidate.boxes[k]
    rows = slice(max(0, int(np.floor(y0))), min(ct.hu.shape[1], int(np.ceil(y1))))
    columns = slice(max(0, int(np.floor(x0))), min(ct.hu.shape[2], int(np.ceil(x1))))
    return k, rows, columns


def _components_of(components: _Components, candidate: Candidate, ct: CT, rule: FusionRule) -> tuple[int, ...]:
    """Numbers of the components that make up a candidate's nodule, the main one first; empty if there is none."""
    if candidate.seed is not None:
        nearest = _nearest_component(components.labels, candidate.seed, ct, rule.seed_reach)
        return (nearest,) if nearest else ()
    inside = np.concatenate([components.labels[_window(candidate, k, ct)].ravel() for k in candidate.boxes])
    counts = np.bincount(inside[inside > 0])
    if not counts.any():
        return ()
    touched = np.flatnonzero(counts)
    main = int(touched[np.argmax(counts[touched])])
    near = components.labels[around(candidate, ct, rule.gap + max(ct.spacing))]
    fragments = [
        int(number)
        for number in touched
        if number != main
        and counts[number] >= rule.inside * components.sizes[number]
        and _distance(near, main, int(number), ct) <= rule.gap
    ]
    return (main, *fragments)


def _distance(components: np.ndarray, one: int, other: int, ct: CT) -> float:
    """Smallest free distance of two components, mm; 0 where voxels are neighbours."""
    distances = ndimage.distance_transform_edt(components != one, sampling=ct.spacing[::-1])
    apart = distances[components == other]
    return float(apart.min()) - min(ct.spacing) if apart.size else np.inf


def _nearest_component(components: np.ndarray, seed: tuple[int, int, int], ct: CT, reach: float) -> int:
    box = tuple(
        slice(max(0, int(at - reach / spacing)), int(at + reach / spacing) + 2)
        for at, spacing in zip(seed[::-1], ct.spacing[::-1], strict=True)
    )
    voxels = np.argwhere(components[box])
    if not len(voxels):
        return 0
    offsets = (voxels + [part.start for part in box] - seed[::-1]) * ct.spacing[::-1]
    distances = np.linalg.norm(offsets, axis=1)
    nearest = np.argmin(distances)
    return int(components[box][tuple(voxels[nearest])]) if distances[nearest] <= reach else 0


def _groups(owned: dict[Candidate, tuple[int, ...]]) -> list[tuple[list[Candidate], set[int]]]:
    """Candidates that share components, together with all the components they own."""
    groups: list[tuple[list[Candidate], set[int]]] = []
    for candidate, numbers in owned.items():
        members, together = [candidate], set(numbers)
        for group in [group for group in groups if group[1] & together]:
            groups.remove(group)
            members, together = group[0] + members, together | group[1]
        groups.append((members, together))
    return groups


def _parted(
    components: _Components, members: Sequence[Candidate], numbers: set[int], ct: CT, rule: FusionRule
) -> list[_Found]:
    """The nodules of one group: one, or several where a neck parts the candidates' places."""
    boxes = [components.boxes[number] for number in numbers]
    box = tuple(slice(min(b[axis].start for b in boxes), max(b[axis].stop for b in boxes)) for axis in range(3))
    mask = np.isin(components.labels[box], list(numbers))
    if len(members) == 1:
        return [_Found(box, mask, _status(members), _score(members))]
    depth = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=ct.spacing[::-1])[1:-1, 1:-1, 1:-1]
    places = [_deepest(depth, member, box, ct) for member in members]
    merged = _merge_without_neck(depth, mask, places, rule.neck)
    parts = _watershed(depth, mask, places)
    found = []
    for group in sorted(set(merged)):
        holders = [member for member, own in zip(members, merged, strict=True) if own == group]
        own_parts = [number for number, own in enumerate(merged, 1) if own == group]
        found.append(_Found(box, np.isin(parts, own_parts), _status(holders), _score(holders)))
    return found


def _deepest(depth: np.ndarray, member: Candidate, box: tuple[slice, ...], ct: CT) -> tuple[int, ...]:
    """The voxel deepest inside the component among those at a candidate; index within `box`."""
    allowed = np.zeros(ct.hu.shape, bool)
    if member.seed is not None:
        allowed[member.seed[::-1]] = True
    else:
        for k in member.boxes:
            allowed[_window(member, k, ct)] = True
    here = np.where(allowed[box], depth, 0)
    if not here.any():  # a seed beside its component
        corner = np.array([part.start for part in box])
        voxels = np.argwhere(depth > 0)
        return tuple(voxels[np.argmin(((voxels + corner - np.round(member.centre_ijk[::-1])) ** 2).sum(1))])
    return tuple(int(index) for index in np.unravel_index(np.argmax(here), here.shape))


def _watershed(depth: np.ndarray, mask: np.ndarray, places: Sequence[tuple[int, ...]]) -> np.ndarray:
    markers = np.zeros(mask.shape, np.int32)
    for number, place in enumerate(places, 1):
        markers[place] = number
    return watershed(-depth, markers, mask=mask)


def _merge_without_neck(depth: np.ndarray, mask: np.ndarray, places: Sequence[tuple[int, ...]], neck: float) -> list[int]:
    """For each place the number of its nodule: places that no neck parts share one.

    Two places are parted if every way between them inside the mask passes a depth below `neck` of the shallower place.
    """
    merged = list(range(len(places)))
    for one in range(len(places)):
        for other in range(one):
            waist = neck * min(depth[places[one]], depth[places[other]])
            wide, _ = ndimage.label(mask & (depth >= waist), np.ones((3, 3, 3)))
            if wide[places[one]] == wide[places[other]] != 0:
                merged = [merged[other] if own == merged[one] else own for own in merged]
    return merged


def _grown(ct: CT, candidate: Candidate) -> _Found:
    """A region inside a candidate's boxes: the brighter part by Otsu's threshold, at the middle; all of them if none."""
    box = around(candidate, ct)
    inside = np.zeros(ct.hu[box].shape, bool)
    for k in candidate.boxes:
        at, rows, columns = _window(candidate, k, ct)
        inside[
            at - box[0].start,
            rows.start - box[1].start : rows.stop - box[1].start,
            columns.start - box[2].start : columns.stop - box[2].start,
        ] = True
    hu = ct.hu[box]
    bright = inside & (hu > threshold_otsu(hu[inside])) if np.ptp(hu[inside]) else inside
    parts, _ = ndimage.label(bright, _FACES)
    middle = candidate.centre_ijk[::-1] - [part.start for part in box]
    voxels = np.argwhere(bright) if bright.any() else np.argwhere(inside)
    if bright.any():
        offsets = (voxels - middle) * ct.spacing[::-1]
        nearest = voxels[np.argmin((offsets**2).sum(1))]
        inside = parts == parts[tuple(nearest)]
    return _Found(box, inside, DETECTOR_ONLY, candidate.score)


def _status(holders: Sequence[Candidate]) -> str:
    if any(candidate.seed is None for candidate in holders):
        return CONFIRMED
    return SEEDED if holders else GENERATOR_ONLY


def _score(holders: Sequence[Candidate]) -> float | None:
    return max((candidate.score for candidate in holders if candidate.seed is None), default=None)


def _diameter(nodule: _Found, ct: CT) -> float:
    return _sphere_diameter(np.count_nonzero(nodule.mask) * ct.voxel_volume)


def _sphere_diameter(volume: float) -> float:
    return float(np.cbrt(6 * volume / np.pi))


def _numbered(found: Sequence[_Found], shape: tuple[int, ...]) -> tuple[np.ndarray, tuple[str, ...], tuple[float | None, ...]]:
    """Labels 1..N: finds of the detector by falling score, then the others."""
    ordered = sorted(found, key=lambda nodule: (nodule.status == DETECTOR_ONLY, -(nodule.score or 0.0)))
    labels = np.zeros(shape, np.uint16)
    kept = []
    for nodule in ordered:
        free = nodule.mask & (labels[nodule.box] == 0)
        if free.any():
            kept.append(nodule)
            labels[nodule.box][free] = len(kept)
    return labels, tuple(nodule.status for nodule in kept), tuple(nodule.score for nodule in kept)


def _large_enough(components: np.ndarray, ct: CT, rule: FusionRule) -> np.ndarray:
    """Components of at least the minimum diameter, numbered 1..M."""
    volumes = np.bincount(components.ravel()) * ct.voxel_volume
    keep = np.cbrt(6 * volumes / np.pi) >= rule.minimum_diameter
    keep[0] = False
    numbers = np.where(keep, np.cumsum(keep), 0)
    return numbers[components].astype(np.uint16)
