"""Fusion of the two branches (II.D of the paper): which parts of the generator's image are nodules.

All of it on the CT's own grid, in the axial view.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.morphology import reconstruction
from skimage.segmentation import watershed

from ..core.boxes import box_around, label_boxes, outer_box
from ..core.candidate import Candidate
from ..core.ct import CT, Region
from ..core.geometry import equivalent_diameter
from ..core.masks import depth_in
from .nodule_map import Indexed

CONFIRMED, DETECTOR_ONLY, SEEDED, GENERATOR_ONLY = "confirmed", "detector only", "seeded", "generator only"

_FACES = ndimage.generate_binary_structure(3, 1)
# What is left of a nodule without bodies that hang on is at least so wide, mm.
_LEAST_MM = 4.0
# Of components with more voxels every second row and column tells what hangs on, in a quarter of the time.
_MOST_VOXELS = 2**21


@dataclass(frozen=True)
class FusionRule:
    """How components of the generator's image and candidates meet.

    Attributes:
        threshold: G(x) above this is nodule.
        edge: where a nodule ends under the `scan` rule: `fixed`: at the threshold; `peak`: at the threshold times the
            largest G(x) in its boxes (at most 1), since G(x) of small and faint nodules stays lower as a whole. A
            detection of the detector needs a peak above the threshold all the same.
        lowest: no edge lies below this value of G(x).
        minimum_diameter: smallest nodule kept, diameter of the sphere of equal volume, mm.
        seed_reach: a seed takes the component at it, or the nearest at most this far away, mm.
        reach, seed_extent: how far a nodule may extend beyond a candidate's boxes, and from a seed, mm; beyond wide
            boxes by their width. What lies further off is no part of it: a leak into a vessel or the chest wall ends
            there.
        gap: parts of one nodule that lie at most this far apart, mm, are one nodule.
        inside: further components at a candidate belong to it if at least this share of them lies in its boxes.
        neck: two candidates in one component are two nodules if the narrowest place between them is thinner than this
            share of the thinner one.
        hanging: a body that no candidate points at (chest wall, vessel) is no part of a nodule that it hangs on by a
            neck thinner than this share of the thinner of both; 0: all that hangs on is nodule.
    """

    threshold: float
    minimum_diameter: float = 3.0
    edge: str = "fixed"
    lowest: float = 0.15
    seed_reach: float = 5.0
    reach: float = 15.0
    seed_extent: float = 40.0
    gap: float = 2.0
    inside: float = 0.5
    neck: float = 0.7
    hanging: float = 0.6

    def limit(self, candidate: Candidate, ct: CT) -> float:
        """How far the nodule of `candidate` may extend beyond its boxes, mm."""
        least = self.reach if candidate.seed is None else self.seed_extent
        return least if candidate.seed is not None and candidate.mass is None else max(least, candidate.width(ct))

    def edge_below(self, peak: float, *, seeded: bool) -> float:
        """The value of G(x) at which a nodule ends whose largest G(x) is `peak`; infinite where there is none."""
        if self.edge == "fixed":
            return self.threshold
        if not seeded and peak <= self.threshold:
            return math.inf
        return max(self.lowest, self.threshold * min(peak, 1.0))


@dataclass(frozen=True, eq=False)
class Nodules:
    """Fused nodules.

    Attributes:
        labels: uint16 `[slice, row, column]`, 0 and 1..N.
        statuses: for label n at n - 1: confirmed, detector only, seeded, or (paper's rule alone) generator only.
        scores: detector score for each label; None where no detection stands behind it.
        unconfirmed: uint16, components without a candidate, and bodies that were left away, 0 and 1..M.
        not_found: seeds (i, j, k) at which there is nothing, or less than the smallest nodule.
    """

    labels: np.ndarray
    statuses: tuple[str, ...]
    scores: tuple[float | None, ...]
    unconfirmed: np.ndarray
    not_found: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True, eq=False)
class _Components:
    """Components of the thresholded image: labels 1..n, and for each its box and its number of voxels (index 0
    unused).
    """

    labels: np.ndarray
    boxes: list[tuple[slice, ...]]
    sizes: np.ndarray

    @classmethod
    def of(cls, mask: np.ndarray) -> _Components:
        labels = np.zeros(mask.shape, np.int32)
        # Only the box of all of them is looked at: most of a CT is far from any nodule.
        whole = box_around(label_boxes(mask.view(np.uint8)).values())
        labels[whole], _ = ndimage.label(mask[whole], _FACES)
        boxes = [outer_box(box, whole) for box in ndimage.find_objects(labels[whole])]
        # Box by box: a count over all voxels at once would need them as 64-bit integers.
        sizes = [int(np.count_nonzero(labels[box] == number)) for number, box in enumerate(boxes, 1)]
        return cls(labels, [(), *boxes], np.array([0, *sizes]))


@dataclass(frozen=True, eq=False)
class _Outlined:
    """One nodule before numbering: a mask within a box of the CT."""

    box: tuple[slice, ...]
    mask: np.ndarray
    status: str
    score: float | None


def fuse_scan(
    ct: CT, image: Indexed, candidates: Sequence[Candidate], rule: FusionRule, *, everywhere: bool = True
) -> Nodules:
    """The default rule, in 3D: a component of `image` (G(x) on the CT grid) stays if a candidate touches it.

    Holes in a slice are filled. The component with most voxels in a candidate's boxes is its nodule; fragments close to
    it that lie mostly in the boxes join. A component that holds several candidates is parted where it has a neck, and
    a body beyond a neck that no candidate points at is left away. A candidate without a component gives a region grown
    inside its boxes (detector only). Components without a candidate are unconfirmed; they are listed if `image` is
    known `everywhere`. A slice without a candidate adds only to components that a candidate touches elsewhere.

    Labels: confirmed nodules by falling score, seeded ones, then those of the detector alone by falling score.
    """
    components = _Components.of(_filled(_above_edges(ct, image, candidates, rule)))
    owned = {}
    regions: list[_Outlined] = []
    not_found = []
    for candidate in candidates:
        numbers = _components_of(components, candidate, ct, rule)
        if numbers:
            owned[candidate] = numbers
        elif candidate.seed is not None:
            not_found.append(candidate.seed)
        else:
            regions.append(_Outlined(*grown_in_boxes(ct, candidate), DETECTOR_ONLY, candidate.score))
    found = [part for members, numbers in _groups(owned) for part in _parted(components, members, numbers, ct, rule)]
    labels, statuses, scores = _numbered(found + regions, ct, rule)
    for candidate, (main, *_) in owned.items():
        box = components.boxes[main]
        if candidate.seed is not None and not labels[box][components.labels[box] == main].any():
            not_found.append(candidate.seed)  # too small for a nodule
    unconfirmed = np.zeros(ct.hu.shape, np.uint16)
    if everywhere:
        above = image[tuple(slice(0, size) for size in ct.hu.shape)] > rule.threshold
        unconfirmed = _large_enough(ndimage.label(above & (labels == 0), _FACES)[0], ct, rule)
    return Nodules(labels, statuses, scores, unconfirmed, tuple(not_found))


def fuse_paper(ct: CT, image: np.ndarray, candidates: Sequence[Candidate], rule: FusionRule) -> Nodules:
    """The paper's rule, slice by slice.

    Components that share a voxel with a candidate's box stay, others go; a slice without candidates keeps the
    generator's image; where the generator has nothing on a slice, the detector's boxes, filled, stand. Nodules are the
    3D components of what stands, numbered as in `fuse_scan`. A seed acts as a candidate on the slices around it, but
    its box is never filled.
    """
    above = image > rule.threshold
    found_boxes, seed_boxes = (
        _boxes([c for c in candidates if (c.seed is not None) == seeded], ct) for seeded in (False, True)
    )
    boxes = found_boxes | seed_boxes
    stands = np.zeros(above.shape, bool)
    filled = np.zeros(above.shape, bool)
    for k in range(len(above)):
        if not boxes[k].any():
            stands[k] = above[k]
        elif not above[k].any():
            filled[k] = found_boxes[k]
        else:
            parts, _ = ndimage.label(above[k])
            stands[k] = np.isin(parts, np.setdiff1d(parts[boxes[k]], 0))
    labels, _ = ndimage.label(stands | filled, _FACES)
    found = []
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        mask = labels[box] == number
        holders = [c for c in candidates if any((labels[window(c, k, ct)] == number).any() for k in c.boxes)]
        status = _status(holders) if stands[box][mask].any() else DETECTOR_ONLY
        found.append(_Outlined(box, mask, status, _score(holders)))
    numbered = _numbered(found, ct, rule)
    rest, _ = ndimage.label(above & ~stands, _FACES)
    missed = tuple(
        c.seed for c in candidates if c.seed is not None and not any(labels[window(c, k, ct)].any() for k in c.boxes)
    )
    return Nodules(*numbered, _large_enough(rest, ct, rule), missed)


def only(nodules: Nodules, wanted: Sequence[bool]) -> Nodules:
    """The nodules whose place (label n at n - 1) says so, numbered anew in the same order."""
    numbers = np.concatenate([[0], np.cumsum(wanted) * np.asarray(wanted)]).astype(nodules.labels.dtype)
    statuses, scores = tuple(compress(nodules.statuses, wanted)), tuple(compress(nodules.scores, wanted))
    return replace(nodules, labels=numbers[nodules.labels], statuses=statuses, scores=scores)


def _above_edges(ct: CT, image: Indexed, candidates: Sequence[Candidate], rule: FusionRule) -> np.ndarray:
    """Voxels where G(x) lies above the edge of the candidate they belong to; none where no candidate's nodule may
    reach.

    Where candidates are close, each has its own boxes and the stronger one has the rest.
    """
    levels = [(edge_of(ct, image, candidate, rule), candidate) for candidate in candidates]
    rising = sorted((pair for pair in levels if np.isfinite(pair[0])), key=lambda pair: pair[0])
    regions: list[tuple[float, Region]] = [
        (level, around(candidate, ct, rule.limit(candidate, ct))) for level, candidate in rising
    ]
    regions += [(level, window(candidate, k, ct)) for level, candidate in rising for k in candidate.boxes]
    above = np.zeros(ct.hu.shape, bool)
    for level, region in regions:
        above[region] = image[region] > level
    for candidate in candidates:
        if candidate.mass is not None:
            # The generator may see nothing in the middle of a mass.
            above[candidate.mass.box(ct)] |= candidate.mass.voxels(ct)
    return above


def edge_of(ct: CT, image: Indexed, candidate: Candidate, rule: FusionRule) -> float:
    """The value of G(x) at which the candidate's nodule ends; infinite if it has none."""
    peak = peak_in(image, [window(candidate, k, ct) for k in candidate.boxes])
    return rule.edge_below(peak, seeded=candidate.seed is not None)


def peak_in(image: Indexed, boxes: Sequence[Region]) -> float:
    """The largest G(x) in some boxes, 0 at least."""
    return max(float(image[box].max(initial=0)) for box in boxes)


def width_seen(ct: CT, image: Indexed, candidate: Candidate, rule: FusionRule) -> float:
    """Diameter, mm, of the sphere of the same volume as what `image` shows at a candidate, 0 for nothing."""
    box = around(candidate, ct, rule.limit(candidate, ct))
    parts, _ = ndimage.label(image[box] > edge_of(ct, image, candidate, rule), _FACES)
    touched = np.setdiff1d(parts[_boxes([candidate], ct)[box]], 0)
    return equivalent_diameter(np.count_nonzero(np.isin(parts, touched)) * ct.voxel_volume)


def _filled(mask: np.ndarray) -> np.ndarray:
    """The mask with the holes of each slice filled: cavities, and the middle of masses wider than the generator
    sees.
    """
    for k in np.flatnonzero(mask.any((1, 2))):
        (box,) = ndimage.find_objects(mask[k].view(np.uint8))
        mask[k][box] = ndimage.binary_fill_holes(mask[k][box])
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


def _boxes(candidates: Sequence[Candidate], ct: CT) -> np.ndarray:
    """Voxels `[slice, row, column]` that the candidates' boxes cover, at least in part."""
    covered = np.zeros(ct.hu.shape, bool)
    for candidate in candidates:
        for k in candidate.boxes:
            covered[window(candidate, k, ct)] = True
    return covered


def window(candidate: Candidate, k: int, ct: CT) -> tuple[int, slice, slice]:
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
    inside = np.concatenate([components.labels[window(candidate, k, ct)].ravel() for k in candidate.boxes])
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
    """Smallest free distance of two components, between the faces of voxels, mm; 0 where voxels are neighbours."""
    # From one voxel further out on all sides, distances between centres are those between faces.
    beside = ndimage.binary_dilation(components == one, np.ones((3, 3, 3)))
    apart = ndimage.distance_transform_edt(~beside, sampling=ct.spacing[::-1])[components == other]
    return float(apart.min()) if apart.size else np.inf


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
) -> list[_Outlined]:
    """The nodules of one group: one, or several where a neck parts the candidates' places."""
    box = box_around(components.boxes[number] for number in numbers)
    mask = np.isin(components.labels[box], list(numbers))
    depth = depth_in(mask, ct.spacing)
    if len(members) == 1:
        own = _without_hanging(depth, mask, members, box, ct, rule.hanging)
        return [_Outlined(box, own, _status(members), _score(members))]
    places = [_deepest(depth, member, box, ct) for member in members]
    merged = _merge_without_neck(depth, mask, places, rule.neck)
    parts = _watershed(depth, mask, places, ct)
    found = []
    for group in sorted(set(merged)):
        holders = [member for member, own in zip(members, merged, strict=True) if own == group]
        own_parts = [number for number, own in enumerate(merged, 1) if own == group]
        part = np.isin(parts, own_parts)
        own_mask = _without_hanging(depth_in(part, ct.spacing), part, holders, box, ct, rule.hanging)
        found.append(_Outlined(box, own_mask, _status(holders), _score(holders)))
    return found


def _deepest(depth: np.ndarray, member: Candidate, box: tuple[slice, ...], ct: CT) -> tuple[int, ...]:
    """A member's place: the voxel deepest inside the component in its boxes, or nearest to its seed; index within
    `box`.
    """
    if member.seed is None:
        here = depth * _boxes([member], ct)[box]
        return tuple(int(index) for index in np.unravel_index(np.argmax(here), here.shape))
    voxels = np.argwhere(depth > 0)
    corner = np.array([part.start for part in box])
    offsets = (voxels + corner - member.seed[::-1]) * ct.spacing[::-1]
    return tuple(int(index) for index in voxels[np.argmin((offsets**2).sum(1))])


def _watershed(depth: np.ndarray, mask: np.ndarray, places: Sequence[tuple[int, ...]], ct: CT) -> np.ndarray:
    """For each voxel of the mask the number (from 1) of the place it belongs to."""
    markers = np.zeros(mask.shape, np.int32)
    for number, place in enumerate(places, 1):
        markers[place] = number
    parts = watershed(-depth, markers, mask=mask)
    # Fragments without a place of their own go with the nearest part.
    nearest = ndimage.distance_transform_edt(parts == 0, ct.spacing[::-1], return_distances=False, return_indices=True)
    return np.where(mask, parts[tuple(nearest)], 0)


def _merge_without_neck(
    depth: np.ndarray, mask: np.ndarray, places: Sequence[tuple[int, ...]], neck: float
) -> list[int]:
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


def _without_hanging(
    depth: np.ndarray, mask: np.ndarray, members: Sequence[Candidate], box: tuple[slice, ...], ct: CT, share: float
) -> np.ndarray:
    """A nodule's mask without bodies outside its candidates' boxes that hang on by a neck.

    The widest way from a candidate's place to a voxel is as wide as its narrowest place is deep; a voxel lies in
    another body if that is less than `share` of its own depth and of the place's. Where hardly anything would be left
    the candidate lies on a strand at the nodule, which stays whole.
    """
    step = 1 if depth.size <= _MOST_VOXELS else 2  # of rows and columns
    coarse, boxes = depth[:, ::step, ::step], _boxes(members, ct)[box][:, ::step, ::step]
    start = np.zeros_like(coarse)
    for member in members:
        k, j, i = _deepest(depth, member, box, ct)
        place = _climbed(coarse, (k, j // step, i // step))
        start[place] = coarse[place]
    widest = reconstruction(start, coarse, footprint=_FACES)
    beyond = share * np.minimum(coarse, start.max()) > widest
    beyond &= (widest > 0) & ~boxes
    if not beyond.any():
        return mask
    parts = watershed(-coarse, np.where(beyond, 2, start > 0), mask=widest > 0)
    cut = (parts == 2).repeat(step, 1).repeat(step, 2)[:, : mask.shape[1], : mask.shape[2]]
    own = mask & ~cut
    return own if equivalent_diameter(np.count_nonzero(own) * ct.voxel_volume) >= _LEAST_MM else mask


def _climbed(depth: np.ndarray, place: tuple[int, ...]) -> tuple[int, ...]:
    """From a voxel to the deepest of its neighbours, and on, until none is deeper."""
    while True:
        corner = [max(0, index - 1) for index in place]
        near = depth[tuple(slice(low, index + 2) for low, index in zip(corner, place, strict=True))]
        best = np.unravel_index(np.argmax(near), near.shape)
        if near[best] <= depth[place]:
            return place
        place = tuple(int(low + step) for low, step in zip(corner, best, strict=True))


def grown_in_boxes(ct: CT, candidate: Candidate) -> tuple[tuple[slice, slice, slice], np.ndarray]:
    """A region inside a candidate's boxes, as a mask within the box of the CT around them: the brighter part by Otsu's
    threshold, nearest the middle; all where HU are even.
    """
    box = around(candidate, ct)
    inside, hu = _boxes([candidate], ct)[box], ct.hu[box]
    bright = inside & (hu > threshold_otsu(hu[inside])) if np.ptp(hu[inside]) else inside
    parts, _ = ndimage.label(bright, _FACES)
    middle = candidate.centre_ijk[::-1] - [part.start for part in box]
    voxels = np.argwhere(bright)
    nearest = voxels[np.argmin((((voxels - middle) * ct.spacing[::-1]) ** 2).sum(1))]
    return box, parts == parts[tuple(nearest)]


def _status(holders: Sequence[Candidate]) -> str:
    if any(candidate.seed is None for candidate in holders):
        return CONFIRMED
    return SEEDED if holders else GENERATOR_ONLY


def _score(holders: Sequence[Candidate]) -> float | None:
    return max((candidate.score for candidate in holders if candidate.seed is None), default=None)


def _diameters(voxels: np.ndarray, ct: CT) -> np.ndarray:
    """Diameters of the spheres of the same volume as so many voxels, mm: `equivalent_diameter` of many."""
    return np.cbrt(6 * voxels * ct.voxel_volume / np.pi)


def _numbered(
    found: Sequence[_Outlined], ct: CT, rule: FusionRule
) -> tuple[np.ndarray, tuple[str, ...], tuple[float | None, ...]]:
    """Labels 1..N of those large enough, with their statuses and scores; a voxel goes to the first that claims it."""
    ordered = sorted(found, key=lambda nodule: (nodule.status == DETECTOR_ONLY, -(nodule.score or 0.0)))
    labels = np.zeros(ct.hu.shape, np.uint16)
    kept: list[_Outlined] = []
    for nodule in ordered:
        free = nodule.mask & (labels[nodule.box] == 0)
        if free.any() and _diameters(free.sum(), ct) >= rule.minimum_diameter:
            kept.append(nodule)
            labels[nodule.box][free] = len(kept)
    return labels, tuple(nodule.status for nodule in kept), tuple(nodule.score for nodule in kept)


def _large_enough(components: np.ndarray, ct: CT, rule: FusionRule) -> np.ndarray:
    """Components of at least the minimum diameter, numbered 1..M."""
    keep = _diameters(np.bincount(components.ravel()), ct) >= rule.minimum_diameter
    keep[0] = False
    numbers = np.where(keep, np.cumsum(keep), 0)
    return numbers[components].astype(np.uint16)
