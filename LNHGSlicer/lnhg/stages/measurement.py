"""The nodule table: what is measured of each nodule, one row a nodule."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist, squareform
from skimage.measure import find_contours, marching_cubes, mesh_surface_area

from ..core.boxes import Box, grown_box, label_boxes, moved_box
from ..core.ct import CT
from ..core.geometry import equivalent_diameter, slice_axes
from ..core.lobes import LobeMap
from ..core.masks import depth_in
from ..core.nodule import Nodule
from .benign_hints import calcification, dense_hu, looks_perifissural
from .components import SOLID_HU, component_volumes, components, largest_part, solid_part
from .contacts import AROUND_MM, TISSUE_HU, Contacts, contacts, tissue_beside
from .edge_volume import edge_volume
from .heterogeneity_figures import core_of, figures, raw_ct_figures, rim_mask
from .heterogeneity_from_ct import unevenness
from .lungs import LEFT, RIGHT, UNSIDED
from .nodule_map import Indexed
from .place import LungShape, lobe_of
from .size_intervals import PROTOCOLS, SIZES, Conditions, size_uncertainty

# HU below which a voxel counts as (nearly) aerated, and above which as calcified.
_AERATED_HU, _CALCIFIED_HU = -600, 200
# The type is judged on the core, without this outer layer, mm: partial volume makes every edge look like ground glass.
_TYPE_RIM_MM = 1.0
_TYPE_CORE_VOXELS = 5
# Shares of the core's voxels that part the types. They agree with readers' ratings, but for half of the part-solid
# ones.
_CALCIFIED_SHARE, _SOLID_SHARE, _GROUND_GLASS_SHARE = 0.5, 0.6, 0.1
_SIDES = {RIGHT: "right", LEFT: "left"}
# The lung a nodule belongs to lies within this distance, mm.
_SIDE_MM = AROUND_MM
#: A nodule this wide in any direction, mm, is as wide as the method outlines.
WIDEST_MM = 60.0
# An outline ends in tissue if more than this share of what lies so far outside of it (mm) is tissue: of the outlines of
# readers of 195 nodules a share of 0.55 is the 99th percentile.
_SHELL_MM, _IN_TISSUE = (0.9, 3.0), 0.75
# Nor is it whole if at its deepest voxel the next air or lung lies further away than its own surface, by so many mm and
# this factor: of the outlines of readers of 277 nodules none exceeds 1.3 mm, nor 1.4.
_DEEPER_MM, _DEEPER = 2.5, 1.4
# Nor if tissue inside the lungs goes on beside it, within the first value, as a ball of a radius above the second (mm)
# and above this share of its own depth: of the outlines of readers of 96 nodules none does, and vessels are thinner.
_BESIDE_MM, _REST_MM, _REST = 2.5, 4.5, 0.8
# Pixels of axial slices are nearly square: one side is at most this many times the other.
_SQUARE = 1.5
# A nodule that lies outside the lungs' mask by more than half lies in a dent of it, which a ball of this radius closes,
# mm; the grid for that, mm.
_DENT_MM, _DENT_CELL_MM = 80.0, 4.0


def measure_nodules(
    ct: CT,
    labels: np.ndarray,
    heterogeneity: Indexed,
    raw_ct: Indexed,
    lungs: LungShape,
    *,
    statuses: Sequence[str],
    scores: Sequence[float | None],
    rim_mm: float,
    cut: Sequence[bool] | None = None,
    lobes: LobeMap | None = None,
) -> tuple[Nodule, ...]:
    """Measure each nodule. All arrays are `[slice, row, column]` on the grid of `ct`, which is in the axial view.

    Args:
        ct: the CT.
        labels: integer, 0 and 1..N without gaps.
        heterogeneity: the map, from `heterogeneity_map`.
        raw_ct: the raw CT as such a map, from `raw_ct_in_same_colours` with the same options.
        lungs: with the labels of `lung_regions`.
        statuses, scores: of nodules 1..N.
        rim_mm: thickness of the rim, mm.
        cut: of nodules 1..N, whether the method stopped outlining them (`ended_by_limits`); None: of none.
        lobes: lobes or lungs of a segmentation, on any grid; None: none was given.
    """
    outlines = {number: (box, labels[box] == number) for number, box in label_boxes(labels).items()}
    if list(outlines) != list(range(1, len(statuses) + 1)):
        raise ValueError(f"Labels must run from 1 to {len(statuses)} without gaps.")
    return measure_outlines(
        ct,
        outlines,
        heterogeneity,
        raw_ct,
        lungs,
        statuses=statuses,
        scores=scores,
        rim_mm=rim_mm,
        cut=cut,
        lobes=lobes,
    )


def measure_outlines(
    ct: CT,
    outlines: Mapping[int, tuple[Box, np.ndarray]],
    heterogeneity: Indexed,
    raw_ct: Indexed,
    lungs: LungShape,
    *,
    statuses: Sequence[str],
    scores: Sequence[float | None],
    rim_mm: float,
    cut: Sequence[bool] | None = None,
    lobes: LobeMap | None = None,
) -> tuple[Nodule, ...]:
    """`measure_nodules` of outlines that are given one by one: for each number the nodule's box `[slice, row, column]`
    and which voxels in it belong to it. It looks at no voxel far from them, if `lungs` was used before, unless one lies
    outside the lungs' mask.
    """
    cut = cut or [False] * len(statuses)
    margin = np.ceil(_SIDE_MM / np.array(ct.spacing[::-1])).astype(int).tolist()
    rows = []
    for (number, (box, inside)), status, score, stopped in zip(outlines.items(), statuses, scores, cut, strict=True):
        around = grown_box(box, margin)
        hu = ct.hu[around]
        mask = np.zeros(hu.shape, bool)
        mask[moved_box(box, around)] = inside
        part = _Part(ct, around, mask, hu, lungs.labels[around], _inside(ct, around, mask, lungs.labels))
        ended = bool(stopped) or part.is_cut()
        measured = part.size() | part.density()
        rows.append(
            Nodule(
                id=number,
                status=status,
                score=None if score is None else float(score),
                cut=ended,
                **part.position(),
                **measured,
                **part.certainty(measured, ended),
                **part.neighbours(lungs.in_view),
                **part.evenness(heterogeneity[around], raw_ct[around], rim_mm),
                **part.place(measured, lungs, lobes),
            )
        )
    return tuple(rows)


def _inside(ct: CT, around: tuple[slice, ...], mask: np.ndarray, lungs: np.ndarray) -> np.ndarray:
    """What lies inside the lungs around a nodule; with their dents where most of the nodule lies in one."""
    inside = lungs[around] > 0
    sides = np.bincount(lungs[around].ravel())[1:]
    if inside[mask].mean() >= 0.5 or not sides.any():
        return inside
    spacing = np.array(ct.spacing[::-1])
    steps = np.maximum(1, np.round(_DENT_CELL_MM / spacing)).astype(int)
    reach = np.ceil(_DENT_MM / (steps * spacing)).astype(int) + 1
    wide = grown_box(around, (2 * reach * steps).tolist())
    lung = lungs[wide][:: steps[0], :: steps[1], :: steps[2]] == 1 + np.argmax(sides)
    # Beyond the scan's ends the lung goes on as it ends there; beyond its sides there is none.
    down, across = reach[1:].tolist()
    lung = np.pad(np.pad(lung, [(reach[0],), (0,), (0,)], mode="edge"), [(0,), (down,), (across,)])
    grown = ndimage.distance_transform_edt(~lung, steps * spacing) <= _DENT_MM
    closed = ndimage.distance_transform_edt(grown, steps * spacing) > _DENT_MM
    for axis, size in enumerate(mask.shape):
        first = around[axis].start - wide[axis].start
        cells = reach[axis] + (np.arange(first, first + size) + steps[axis] // 2) // steps[axis]
        closed = closed.take(np.minimum(cells, closed.shape[axis] - 1), axis)
    return inside | closed


@dataclass(frozen=True, eq=False)
class _Part:
    """One nodule with at least 10 mm around it: the arrays are cut to the box `around`; `inside`: what lies inside the
    lungs.
    """

    ct: CT
    around: tuple[slice, ...]
    mask: np.ndarray
    hu: np.ndarray
    lungs: np.ndarray
    inside: np.ndarray

    def position(self) -> dict[str, Any]:
        origin = np.array([one.start for one in self.around])
        r, a, s = self.ct.to_ras((np.argwhere(self.mask).mean(0) + origin)[::-1]).tolist()
        k = int(origin[0]) + _largest_slice(self.mask)
        numbers = self.ct.instance_numbers
        instance = None if numbers is None else numbers[k]
        return {
            "centre_r": r,
            "centre_a": a,
            "centre_s": s,
            "slice": k,
            "instance_number": instance,
            "side": self._side(),
        }

    def size(self) -> dict[str, Any]:
        volume = int(self.mask.sum()) * self.ct.voxel_volume
        long_axis, short_axis = self._axes(self.mask)
        return {
            "volume": volume,
            "equivalent_diameter": equivalent_diameter(volume),
            "long_axis": long_axis,
            "short_axis": short_axis,
            "mean_axis": (long_axis + short_axis) / 2,
            "sphericity": sphericity(self.mask, self.ct.ijk_to_ras),
        }

    def is_cut(self) -> bool:
        """Whether the outline is too wide to be whole, ends at the CT's border or in tissue, or is a part of more."""
        inside = np.argwhere(self.mask) + [one.start for one in self.around]
        low, high = inside.min(0), inside.max(0)
        wide = bool(((high - low + 1) * self.ct.spacing[::-1] >= WIDEST_MM).any())
        at_border = bool((low == 0).any() or (high == np.array(self.ct.hu.shape) - 1).any())
        return wide or at_border or self._ends_in_tissue() or self._is_middle_of_more() or self._is_beside_more()

    @property
    def _tissue(self) -> np.ndarray:
        return self.hu > TISSUE_HU

    @cached_property
    def _apart(self) -> np.ndarray:
        """Distance of each voxel from the outline, mm."""
        return np.asarray(ndimage.distance_transform_edt(~self.mask, self.ct.spacing[::-1]))

    @cached_property
    def _depth(self) -> np.ndarray:
        """Distance of each voxel of the outline from what is outside, mm."""
        return depth_in(self.mask, self.ct.spacing)

    def _ends_in_tissue(self) -> bool:
        shell = (self._apart > _SHELL_MM[0]) & (self._apart <= _SHELL_MM[1])
        return bool(self._tissue[shell].mean() > _IN_TISSUE) if shell.any() else True

    def _is_middle_of_more(self) -> bool:
        """Whether it is a small part of much tissue: a mass, of which it shows the middle or one side."""
        if self._tissue.all():
            return True
        deepest = np.unravel_index(np.argmax(self._depth), self._depth.shape)
        to_air = np.argwhere(~self._tissue) - deepest
        distance = float(np.linalg.norm(to_air * self.ct.spacing[::-1], axis=1).min())
        own = float(self._depth[deepest])
        return distance > max(own + _DEEPER_MM, own * _DEEPER)

    def _is_beside_more(self) -> bool:
        """Whether thick tissue inside the lungs goes on from it: a mass, of which it shows a cap, a rim or a half."""
        rest = self._tissue & self.inside & (self._apart > _SHELL_MM[0])
        if rest.all():
            return True
        depth = ndimage.distance_transform_edt(rest, self.ct.spacing[::-1])
        beside = float(depth.max(where=self._apart - depth < _BESIDE_MM, initial=0))
        return beside > max(_REST_MM, _REST * float(self._depth.max()))

    def density(self) -> dict[str, Any]:
        hu = self.hu[self.mask]
        kind = nodule_type(self._type_core())
        return {
            "hu_mean": float(hu.mean()),
            "hu_deviation": float(hu.std()),
            "share_solid": float((hu > SOLID_HU).mean()),
            "share_aerated": float((hu < _AERATED_HU).mean()),
            "type": kind,
            "solid_diameter": self._solid_diameter(kind),
            "components": component_volumes(components(self.hu, self.mask, self.ct.spacing), self.ct.voxel_volume),
            "unevenness": self._unevenness(),
        }

    def certainty(self, measured: dict[str, Any], ended: bool) -> dict[str, Any]:
        """The volume to the edge of the CT, and where repeats of the sizes lie; not told of nodules that are cut."""
        edge = edge_volume(self._here, self.mask)
        told = {"edge_volume": edge.volume, "attached": edge.attached}
        if ended:
            return told
        diameter, subsolid = measured["equivalent_diameter"], measured["type"] in ("part-solid", "ground glass")
        conditions = Conditions(diameter, _slice_mm(self.ct), edge.attached, subsolid)
        values = {name: float((measured | told)[name]) for name in SIZES}
        return told | {
            f"{size}_{protocol}": size_uncertainty().interval(size, protocol, value, conditions)
            for size, value in values.items()
            for protocol in PROTOCOLS
        }

    @property
    def _here(self) -> CT:
        """The CT within the box."""
        corner = np.eye(4)
        corner[:3, 3] = [one.start for one in reversed(self.around)]
        return CT(self.hu, self.ct.ijk_to_ras @ corner)

    def place(self, measured: dict[str, Any], shape: LungShape, lobes: LobeMap | None) -> dict[str, Any]:
        start = np.array([one.start for one in self.around])
        voxels = np.argwhere(self.mask) + start
        side = {name: label for label, name in _SIDES.items()}.get(self._side(), UNSIDED)
        lobe = lobe_of(lobes, self.ct, self.mask, start)
        touches = shape.has_lungs and self._contacts.pleura
        kind, mean_axis, round_ = (measured[name] for name in ("type", "mean_axis", "sphericity"))
        return {
            "lobe": lobe,
            "third": shape.third(float(voxels[:, 0].mean()), side),
            "pleura_distance": 0.0 if touches else shape.pleura_distance(voxels),
            "dense_hu": dense_hu(self.hu[self.mask]),
            "calcification": calcification(self.hu, self.mask, self.ct.spacing),
            "perifissural": looks_perifissural(kind, mean_axis, round_, lobe, lobes is not None),
        }

    def neighbours(self, with_lungs: bool) -> dict[str, Any]:
        return {
            "touches_pleura": self._contacts.pleura if with_lungs else None,
            "touches_vessel": self._contacts.vessel if with_lungs else None,
        }

    def evenness(self, heterogeneity: np.ndarray, raw_ct: np.ndarray, rim_mm: float) -> dict[str, Any]:
        rim = rim_mask(self.mask.astype(np.uint8), self.ct.spacing, rim_mm)
        regions = {"whole": self.mask, "core": self.mask & ~rim, "rim": rim}
        found: dict[str, Any] = {name: figures(heterogeneity[region]) for name, region in regions.items()} | {
            f"raw_{name}": raw_ct_figures(self.hu[region], raw_ct[region]) for name, region in regions.items()
        }
        return found | self._strongest(heterogeneity, regions["core"] if regions["core"].any() else self.mask)

    def _strongest(self, heterogeneity: np.ndarray, region: np.ndarray) -> dict[str, float]:
        """Where the map is strongest in a region; a flat one is nowhere so."""
        if np.ptp(heterogeneity[region]) == 0:
            return {"strongest_depth": math.nan, "strongest_hu": math.nan}
        at = np.unravel_index(np.argmax(np.where(region, heterogeneity, -np.inf)), region.shape)
        k, j, i = (int(one) for one in at)
        near = self.hu[k, max(0, j - 1) : j + 2, max(0, i - 1) : i + 2]
        # The outermost voxels' middles lie half a voxel below the surface.
        below = max(0.0, float(self._depth[at]) - min(self.ct.spacing[:2]) / 2)
        return {"strongest_depth": below, "strongest_hu": float(near.mean())}

    def _unevenness(self) -> float:
        (box,) = label_boxes(self.mask.astype(np.uint8)).values()
        return unevenness(self.hu, box, self.mask[box], self.ct.spacing)

    def _axes(self, mask: np.ndarray) -> tuple[float, float]:
        return axes(mask[_largest_slice(mask)], self.ct.ijk_to_ras)

    def _type_core(self) -> np.ndarray:
        """HU of the voxels that decide the type."""
        return self.hu[core_of(self.mask, self.ct.spacing, _TYPE_RIM_MM, _TYPE_CORE_VOXELS)]

    def _solid_diameter(self, kind: str) -> float:
        if kind == "ground glass":
            return 0.0
        part = largest_part(solid_part(self.hu, self.mask, self.ct.spacing)) if kind == "part-solid" else self.mask
        return float(np.mean(self._axes(part))) if part.any() else 0.0

    def _side(self) -> str:
        sides = self.lungs[self.mask]
        if not sides.any():
            far = ndimage.distance_transform_edt(~self.mask, self.ct.spacing[::-1]) > _SIDE_MM
            sides = self.lungs[~far]
        counts = np.bincount(sides, minlength=UNSIDED + 1)[RIGHT:]
        most = np.flatnonzero(counts == counts.max()) + RIGHT
        return _SIDES.get(int(most[0]), "unknown") if len(most) == 1 else "unknown"

    @cached_property
    def _contacts(self) -> Contacts:
        tissue = tissue_beside(self.hu, self.mask)
        return contacts(self.mask, tissue, tissue & (self.lungs == 0), self.ct.spacing)


def _slice_mm(ct: CT) -> float:
    """Thickness of the slices that were scanned, mm: of sagittal and coronal ones it lies in the axial view's rows or
    columns.
    """
    column, row, between = ct.spacing
    return max(ct.spacing) if max(column, row) > _SQUARE * min(column, row) else between


def _largest_slice(mask: np.ndarray) -> int:
    """Index of the slice with most voxels; the last of equals."""
    areas = mask.sum((1, 2))
    return len(areas) - 1 - int(np.argmax(areas[::-1]))


def axes(section: np.ndarray, ijk_to_ras: np.ndarray) -> tuple[float, float]:
    """Long and short axis (mm) of a section `[row, column]` of a slice: longest diameter, longest chord across it.

    Both are those of the convex hull of the outline.
    """
    hull = _hull(section, ijk_to_ras)
    distances = squareform(pdist(hull))
    first, second = np.unravel_index(np.argmax(distances), distances.shape)
    direction = (hull[second] - hull[first]) / distances[first, second]
    along, across = ((hull - hull[first]) @ np.array([direction, [-direction[1], direction[0]]]).T).T
    order = np.argsort(along)
    along, across = along[order], across[order]
    # The diameter's ends are the hull's ends along it, so that it parts the hull into an upper and a lower line.
    ends = (along == along[0]) | (along == along[-1])
    upper, lower = (np.interp(along, along[side | ends], across[side | ends]) for side in (across > 0, across < 0))
    return float(distances[first, second]), float((upper - lower).max())


def _hull(section: np.ndarray, ijk_to_ras: np.ndarray) -> np.ndarray:
    """Convex hull of the outline, `[n, 2]` mm in the plane of the slice."""
    to_plane = np.array([ijk_to_ras[:3, 1], ijk_to_ras[:3, 0]]) @ np.transpose(slice_axes(ijk_to_ras))
    outline = np.concatenate(find_contours(np.pad(section, 1).astype(np.float32), 0.5)) @ to_plane
    return outline[ConvexHull(outline).vertices]


def sphericity(mask: np.ndarray, ijk_to_ras: np.ndarray) -> float:
    """Surface of the sphere of equal volume over the surface: pi^(1/3) (6 V)^(2/3) / A, V and A of one triangle mesh.

    The mask `[slice, row, column]` is smoothed by 0.7 voxels, which takes the staircase off its surface.
    """
    smooth = ndimage.gaussian_filter(np.pad(mask, 4).astype(np.float32), 0.7)
    vertices, faces, _, _ = marching_cubes(smooth, min(0.5, float(smooth.max()) / 2))
    vertices = vertices @ ijk_to_ras[:3, 2::-1].T
    volume = abs(np.linalg.det(vertices[faces] - vertices.mean(0)).sum()) / 6
    return float(math.pi ** (1 / 3) * (6 * volume) ** (2 / 3) / mesh_surface_area(vertices, faces))


def nodule_type(core_hu: np.ndarray) -> str:
    """`calcified`, `solid`, `part-solid` or `ground glass`: the rule in `Nodule`, from the HU of the core's voxels."""
    if (core_hu > _CALCIFIED_HU).mean() >= _CALCIFIED_SHARE:
        return "calcified"
    solid = (core_hu > SOLID_HU).mean()
    return "solid" if solid >= _SOLID_SHARE else "part-solid" if solid >= _GROUND_GLASS_SHARE else "ground glass"
