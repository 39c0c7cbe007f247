"""Where in the lungs a nodule lies: its lobe by a segmentation, its third of the lung, its distance to the pleura."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ..core.boxes import Box, grown_box, label_boxes
from ..core.ct import CT
from ..core.lobes import AT_FISSURE, LOBES, NO_LOBES, OUTSIDE_LOBES, LobeMap
from ..core.nodule import Nodule
from ..errors import InputError
from .benign_hints import looks_perifissural
from .lungs import UNSIDED
from .lying import exchanged

_UNKNOWN = "unknown"
_THIRDS = ("lower", "middle", "upper")
# A nodule that a segmentation leaves out belongs to the lobe nearest to it, within this distance, mm.
_NEAR_MM = 10.0
# Two lobes share a nodule if each holds at least this share of it.
_SHARED = 0.2
# Voxels of a nodule that are looked up; of larger ones some, evenly.
_POINTS = 4000
# Cells in which the lungs' surface is looked at, mm: the lung mask has no finer ones.
_CELL_MM = 2.2
# A lung whose section in the outermost slice of the scan is larger than this share of its largest is cut there.
_CUT_SHARE = 0.15


def lobe_of(lobes: LobeMap | None, ct: CT, mask: np.ndarray, start: np.ndarray) -> str:
    """The lobe of a nodule: a name of `LOBES` or `LUNGS`, two with `AT_FISSURE` between where they share it, `NO_LOBES`
    or `OUTSIDE_LOBES`.

    Args:
        lobes: the segmentation, on any grid.
        ct: the CT.
        mask: bool `[slice, row, column]`, the nodule in a box of the CT with some mm around it.
        start: first slice, row and column of that box.
    """
    if lobes is None:
        return NO_LOBES
    names = _names_at(lobes, ct, np.argwhere(mask) + start)
    if sum(names.values()) < 0.5:
        names = _nearest(lobes, ct, mask, start) or names
    if not names:
        return OUTSIDE_LOBES
    first, *others = sorted(names, key=lambda name: -names[name])
    whole = sum(names.values())
    side = first.split()[0]
    shared = [name for name in others if name in LOBES and name.startswith(side) and names[name] >= _SHARED * whole]
    return AT_FISSURE.join([first, *shared[:1]])


def check_overlap(lobes: LobeMap, ct: CT) -> None:
    """Raise InputError for lobes of which none lies in the field of view of a CT: they belong to another one."""
    if not overlaps(lobes, ct):
        raise InputError("The segmentation of the lobes lies elsewhere than the CT; give that of this CT.")


def overlaps(lobes: LobeMap, ct: CT) -> bool:
    """Whether any of the lobes lies in the field of view of a CT."""
    step = tuple(max(1, size // 64) for size in lobes.labels.shape)
    places = np.argwhere(lobes.labels[:: step[0], :: step[1], :: step[2]] > 0) * step
    if not len(places):
        return False
    ras = places[:, ::-1] @ lobes.ijk_to_ras[:3, :3].T + lobes.ijk_to_ras[:3, 3]
    ijk = ct.to_ijk(ras)
    return bool(((ijk > -0.5) & (ijk < np.array(ct.hu.shape[::-1]) - 0.5)).all(1).any())


def _names_at(lobes: LobeMap, ct: CT, voxels: np.ndarray) -> dict[str, float]:
    """The regions of voxels (slice, row, column), each with its share of them."""
    some = voxels[:: max(1, len(voxels) // _POINTS)]
    found = lobes.at(ct.to_ras(some[:, ::-1]))
    counts = {name: float((found == label).mean()) for label, name in lobes.names.items()}
    return {name: share for name, share in counts.items() if share}


def _nearest(lobes: LobeMap, ct: CT, mask: np.ndarray, start: np.ndarray) -> dict[str, float]:
    """The regions of the nearest voxels that the segmentation holds."""
    distance = ndimage.distance_transform_edt(~mask, ct.spacing[::-1])
    step = max(ct.spacing)
    for reach in np.arange(step, _NEAR_MM + step, step):
        names = _names_at(lobes, ct, np.argwhere((distance > reach - step) & (distance <= reach)) + start)
        if names:
            return names
    return {}


class LungShape:
    """The lungs of a CT in the axial view, for the places of its nodules. What takes long is found when it is first
    asked for; `prepare` finds it all.

    Attributes:
        labels: from `lung_regions`.
    """

    def __init__(self, ct: CT, labels: np.ndarray) -> None:
        self._ct, self.labels = ct, labels

    @classmethod
    def unknown(cls, ct: CT) -> LungShape:
        """Where nothing is known of the lungs of a CT."""
        shape = cls(ct, np.broadcast_to(np.uint8(0), ct.hu.shape))
        shape.in_view = False
        return shape

    def prepare(self) -> LungShape:
        """Find all that `measure_outlines` asks for; returns the same object."""
        _ = self.in_view, self.sides_known, self.litres, self.exchanged, self._heights, self._surface
        return self

    @cached_property
    def in_view(self) -> bool:
        """Whether any of the lungs is in the field of view."""
        return bool(self.labels.any())

    @cached_property
    def sides_known(self) -> bool:
        """Whether the scan shows of all lung in it which side it is."""
        return not (self.labels == UNSIDED).any()

    @cached_property
    def litres(self) -> float:
        return float(np.count_nonzero(self.labels) * self._ct.voxel_volume / 1e6)

    @cached_property
    def exchanged(self) -> tuple[str, ...]:
        """Directions of the patient that are exchanged against the header (`lying.exchanged`)."""
        return exchanged(self._ct, self.labels)

    @property
    def has_lungs(self) -> bool:
        return self._surface is not None

    def third(self, slice_number: float, label: int) -> str:
        """`upper`, `middle` or `lower` third of the height of a lung (its label); `unknown` for one the scan cuts."""
        low, high = self._heights.get(label, (0, -1))
        if high < low:
            return _UNKNOWN
        share = (slice_number - low) / max(1, high - low)
        return _THIRDS[int(np.clip(3 * share, 0, 2))]

    def pleura_distance(self, voxels: np.ndarray) -> float:
        """From the nearest of these voxels (slice, row, column) to the surface of the lungs, mm, to about 2 mm: chest
        wall, diaphragm or mediastinum; fissures are not seen. NaN where there are no lungs.
        """
        if self._surface is None:
            return float("nan")
        distances, _ = self._surface.query(self._ct.to_ras(voxels[:, ::-1]))
        return float(max(0.0, distances.min() - _CELL_MM / 2))

    @cached_property
    def _heights(self) -> dict[int, tuple[int, int]]:
        """First and last slice of each lung that the scan shows whole."""
        heights: dict[int, tuple[int, int]] = {}
        if not self.in_view:
            return heights
        for label in np.unique(self.labels[self.labels > 0]).tolist():
            sections = (self.labels == label).sum((1, 2))
            there = np.flatnonzero(sections)
            if max(sections[0], sections[-1]) <= _CUT_SHARE * sections.max():
                heights[int(label)] = (int(there[0]), int(there[-1]))
        return heights

    @cached_property
    def _surface(self) -> cKDTree | None:
        if not self.in_view:
            return None
        steps = [max(1, round(_CELL_MM / step)) for step in self._ct.spacing[::-1]]
        cells = self.labels[:: steps[0], :: steps[1], :: steps[2]] > 0
        beside = ndimage.binary_dilation(cells, np.ones((3, 3, 3))) & ~cells
        if not beside.any():
            return None
        return cKDTree(self._ct.to_ras((np.argwhere(beside) * steps)[:, ::-1]))


def with_lobes(nodules: Sequence[Nodule], lobes: LobeMap, ct: CT, labels: np.ndarray) -> tuple[Nodule, ...]:
    """Nodules that were measured before, with the places of a segmentation; `labels` `[slice, row, column]` is theirs.

    Raises InputError for lobes of which none lies in the CT.
    """
    check_overlap(lobes, ct)
    margin = np.ceil(_NEAR_MM / np.array(ct.spacing[::-1])).astype(int).tolist()
    boxes = label_boxes(labels)
    placed = []
    for label, nodule in enumerate(nodules, 1):
        around = grown_box(boxes[label], margin)
        placed.append(_with_lobe(nodule, lobes, ct, labels[around] == label, around))
    return tuple(placed)


def _with_lobe(nodule: Nodule, lobes: LobeMap, ct: CT, mask: np.ndarray, around: Box) -> Nodule:
    lobe = lobe_of(lobes, ct, mask, np.array([one.start for one in around]))
    shape = looks_perifissural(nodule.type, nodule.mean_axis, nodule.sphericity, lobe, True)
    return replace(nodule, lobe=lobe, perifissural=shape)
