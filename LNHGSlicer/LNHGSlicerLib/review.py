"""Review of a result, nodule by nodule: accept, reject, edit, undo; and what of it a second run on the same CT keeps.

What readers said lives in the scene: see `verdicts`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from lnhg.axial import AxialView, axial_view
from lnhg.errors import InputError
from lnhg.heterogeneity import figures, heterogeneity_map, raw_ct_in_same_colours
from lnhg.lungs import lung_regions
from lnhg.nodules import Nodule, as_row, header, measure_nodules
from lnhg.segmentation_file import id_of_segment

from .layers import Layers
from .scene import SceneNodes, add_segment, ct_of_node, voxels_of
from .translation import _
from .verdicts import ACCEPTED, EDITED, OPEN, REJECTED, set_verdict, verdict_of, verdict_text

# Two outlines are the same nodule if they share this part of the smaller one.
_SAME_SHARE = 0.5


@dataclass(frozen=True)
class ReviewRow:
    """What the review table shows of a nodule.

    Attributes:
        number: the nodule's `id`, in the table and in the name of its segment.
        segment_id: of its segment.
        side: `right`, `left` or `unknown`.
        size_mm: mean of long and short axis.
        type: as in `lnhg.nodules.Nodule`.
        score: the detector's, or None.
        heterogeneity: mean of the map without the rim; NaN where there is none.
        verdict: `open`, `accepted`, `rejected` or `edited`.
    """

    number: int
    segment_id: str
    side: str
    size_mm: float
    type: str
    score: float | None
    heterogeneity: float
    verdict: str


@dataclass(frozen=True, eq=False)
class _Before:
    """A nodule before a step of the review."""

    segment_id: str
    verdict: str
    nodule: Nodule
    outline: Any


@dataclass(frozen=True, eq=False)
class _Scan:
    """The CT in the axial view, and its lungs."""

    view: AxialView
    lungs: np.ndarray


class Review:
    """The review of one result. Undo reaches back to when this object was made."""

    def __init__(self, nodes: SceneNodes) -> None:
        self.nodes = nodes
        self._steps: list[tuple[_Before, ...]] = []
        self._outlines = {segment_id: outline_of(nodes, segment_id) for segment_id in self._nodules()}

    def rows(self) -> list[ReviewRow]:
        """A row for each nodule, in the order of the table; nodules whose segment was removed are left out."""
        return [self._row(segment_id, nodule) for segment_id, nodule in self._nodules().items()]

    def accept(self, segment_id: str) -> None:
        """It is a nodule, as it is outlined."""
        self._judge(segment_id, ACCEPTED)

    def reject(self, segment_id: str) -> None:
        """It is none: its outline and its part of the map are hidden, but kept."""
        self._judge(segment_id, REJECTED)

    def edited(self, segment_id: str) -> None:
        """Take over what was changed in the outline of a nodule, and of others on the way.

        Each changed nodule is measured anew; its row of the table and the maps follow. One that was wholly erased is
        rejected and gets its outline back. Nothing happens where the outline is as before.

        Without G(x) in the scene the map stays as it is, and its figures become empty for the changed nodules.
        """
        now = {one: outline_of(self.nodes, one) for one in self._nodules()}
        changed = [one for one in now if not _same(now[one], self._outlines.get(one))]
        if segment_id not in changed:
            return
        self._steps.append(tuple(self._before(one) for one in changed))
        for one in changed:
            if now[one] is None:
                self._set_outline(one, self._outlines[one])
                set_verdict(self.nodes, one, REJECTED)
            else:
                self._outlines[one] = now[one]
                self._measure(one, EDITED)
                set_verdict(self.nodes, one, EDITED)
        self._draw_maps()

    @property
    def can_undo(self) -> bool:
        return bool(self._steps)

    def undo(self) -> None:
        """Take the last accept, reject or edit back: verdict, outline and measurements; nothing if there is none."""
        step = self._steps.pop() if self._steps else ()
        there = self._nodules()  # without segments that were removed since
        redraw = False
        for before in (one for one in step if one.segment_id in there):
            redraw |= REJECTED in (before.verdict, verdict_of(self.nodes, before.segment_id))
            if before.outline is not self._outlines[before.segment_id]:
                self._set_outline(before.segment_id, before.outline)
                redraw = True
            _write_row(self.nodes.table, before.nodule)
            set_verdict(self.nodes, before.segment_id, before.verdict)
        if redraw:
            self._draw_maps()

    def next(self, segment_id: str) -> str:
        """The nodule after this one; after the last comes the first."""
        return self._neighbour(segment_id, 1)

    def previous(self, segment_id: str) -> str:
        """The nodule before this one; before the first comes the last."""
        return self._neighbour(segment_id, -1)

    def take_over(self, segment_id: str | None, outline: Any, nodule: Nodule, verdict: str) -> int:
        """Give a nodule the outline and verdict of an earlier review; without `segment_id` it is added. Returns its number.

        The maps are not drawn anew. `nodule` is its row in that review.
        """
        if segment_id is None:
            number = 1 + max((one.id for one in self._nodules().values()), default=0)
            add_segment(self.nodes.segmentation, number)
            segment_id = id_of_segment(number)
            self._outlines[segment_id] = None
            _write_row(self.nodes.table, replace(nodule, id=number))
        known = self._outlines[segment_id]
        if known is None or (verdict != REJECTED and not _same(outline, known)):
            self._set_outline(segment_id, outline)
            if verdict != REJECTED:
                self._measure(segment_id, nodule.status if nodule.status == EDITED else None)
        set_verdict(self.nodes, segment_id, verdict)
        return self._nodules()[segment_id].id

    def _nodules(self) -> dict[str, Nodule]:
        """The table's rows by segment ID."""
        segments = set(self.nodes.segmentation.GetSegmentation().GetSegmentIDs())
        rows = {id_of_segment(nodule.id): nodule for nodule in self.nodes.rows}
        return {segment_id: nodule for segment_id, nodule in rows.items() if segment_id in segments}

    def _row(self, segment_id: str, nodule: Nodule) -> ReviewRow:
        return ReviewRow(
            nodule.id,
            segment_id,
            nodule.side,
            nodule.mean_axis,
            nodule.type,
            nodule.score,
            nodule.core.mean,
            verdict_of(self.nodes, segment_id),
        )

    def _neighbour(self, segment_id: str, step: int) -> str:
        ids = list(self._nodules())
        return ids[(ids.index(segment_id) + step) % len(ids)]

    def _judge(self, segment_id: str, verdict: str) -> None:
        before = self._before(segment_id)
        self._steps.append((before,))
        set_verdict(self.nodes, segment_id, verdict)
        if REJECTED in (before.verdict, verdict) and before.verdict != verdict:
            self._draw_maps()

    def _before(self, segment_id: str) -> _Before:
        nodule = self._nodules()[segment_id]
        return _Before(segment_id, verdict_of(self.nodes, segment_id), nodule, self._outlines[segment_id])

    def _set_outline(self, segment_id: str, outline: Any) -> None:
        """Replace the voxels of a segment; other segments keep theirs, also where they overlap."""
        logic = slicer.modules.segmentations.logic()
        logic.SetBinaryLabelmapToSegment(outline, self.nodes.segmentation, segment_id, logic.MODE_REPLACE)
        self._outlines[segment_id] = outline

    def _draw_maps(self) -> None:
        """Both maps from G(x) and the segments as they are; without G(x) they cannot be made and stay as they are."""
        if self.nodes.generated is not None:
            Layers(self.nodes).update_maps()

    def _measure(self, segment_id: str, status: str | None) -> None:
        """Measure the voxels of a segment as they are now, and write its row; `status` None: as it was.

        The figures of the map are taken with the normalisation of the run, so that all rows can be compared.
        """
        former = self._nodules()[segment_id]
        view, lungs, options = self._scan.view, self._scan.lungs, self.nodes.options
        ids = [one for one in self._outlines if one != segment_id] + [segment_id]  # of overlapping segments the last wins
        labels = view.forth(voxels_of(self.nodes, ids))
        how = (options.heterogeneity, options.normalisation)
        raw_ct = raw_ct_in_same_colours(view.ct.hu, labels, *how)
        image = self.nodes.generated
        heterogeneity = raw_ct if image is None else heterogeneity_map(view.forth(_array(image)), labels, *how)
        (row,) = measure_nodules(
            view.ct,
            (labels == len(ids)).astype(np.uint8),
            heterogeneity,
            raw_ct,
            lungs,
            statuses=[status or former.status],
            scores=[former.score],
            rim_mm=options.rim,
        )
        row = replace(row, slice=view.stored_slice(row.slice))
        # The scene does not know the DICOM instance number of another slice.
        instance = former.instance_number if row.slice == former.slice else None
        row = replace(row, id=former.id, instance_number=instance)
        if image is None:
            unknown = figures(np.array([]))
            row = replace(row, whole=unknown, core=unknown, rim=unknown)
        _write_row(self.nodes.table, row)

    @cached_property
    def _scan(self) -> _Scan:
        view = axial_view(ct_of_node(self.nodes.ct))
        return _Scan(view, lung_regions(view.ct))


# ---------------------------------------------------------------- a second run on the same CT


@dataclass(frozen=True)
class Changes:
    """What a second run changed.

    Attributes:
        kept: nodules with a verdict: their number now, their number before, the verdict.
        not_found: those of `kept`, by their number now, that the second run did not find by itself.
        new: numbers of nodules that the first run did not have.
        gone: former numbers of nodules without a verdict that the second run did not find.
    """

    kept: tuple[tuple[int, int, str], ...]
    not_found: tuple[int, ...]
    new: tuple[int, ...]
    gone: tuple[int, ...]

    def __str__(self) -> str:
        """The changes in plain words."""
        sentences = [
            (_("Your verdict was kept for"), [_kept(*one) for one in self.kept]),
            (_("Kept though this run did not find it:"), [_called(number) for number in self.not_found]),
            (_("New:"), [_called(number) for number in self.new]),
            (_("Not found again:"), [_("{nodule} of the earlier run").format(nodule=_called(number)) for number in self.gone]),
        ]
        told = " ".join(f"{start} {', '.join(parts)}." for start, parts in sentences if parts)
        return told or _("The same nodules as before.")


def carry_over(old: SceneNodes, new: SceneNodes) -> Changes:
    """Give the nodules of a second run the verdicts of the first; nodules belong together where their outlines overlap.

    Accepted and edited nodules also keep their outline, and rejected ones stay rejected. Those that the second run did
    not find are added to it, so that a third run knows of them.

    Raises InputError when the two are not of the same CT.
    """
    if old.ct is not new.ct:
        raise InputError("The two results are of different CTs; choose results of the same CT.")
    before, now = Review(old), Review(new)
    former, found = before.rows(), now.rows()
    partners = _partners(voxels_of(old, [row.segment_id for row in former]), voxels_of(new, [row.segment_id for row in found]))
    nodules = {nodule.id: nodule for nodule in old.rows}
    kept, not_found = [], []
    for index, row in enumerate(former):
        if row.verdict == OPEN:
            continue
        partner = found[partners[index]].segment_id if index in partners else None
        number = now.take_over(partner, outline_of(old, row.segment_id), nodules[row.number], row.verdict)
        kept.append((number, row.number, row.verdict))
        if partner is None:
            not_found.append(number)
    if kept:
        now._draw_maps()
    return Changes(
        tuple(kept),
        tuple(not_found),
        tuple(row.number for index, row in enumerate(found) if index not in partners.values()),
        tuple(row.number for index, row in enumerate(former) if index not in partners and row.verdict == OPEN),
    )


def _partners(old: np.ndarray, new: np.ndarray) -> dict[int, int]:
    """Which old outline (from 0) is which new one: by falling number of common voxels, each only once."""
    both = (old > 0) & (new > 0)
    pairs, common = np.unique(np.stack([old[both], new[both]], -1), axis=0, return_counts=True)
    sizes_old, sizes_new = np.bincount(old.ravel()), np.bincount(new.ravel())
    partners: dict[int, int] = {}
    for index in np.argsort(-common, kind="stable"):
        one, other = (int(label) for label in pairs[index])
        same = common[index] >= _SAME_SHARE * min(sizes_old[one], sizes_new[other])
        if same and one - 1 not in partners and other - 1 not in partners.values():
            partners[one - 1] = other - 1
    return partners


def _called(number: int) -> str:
    return _("nodule {number}").format(number=number)


def _kept(number: int, former: int, verdict: str) -> str:
    was = "" if number == former else _(", was {number}").format(number=former)
    return f"{_called(number)} ({verdict_text(verdict)}{was})"


# ---------------------------------------------------------------- segments, and rows of the table


def outline_of(nodes: SceneNodes, segment_id: str) -> Any | None:
    """A copy of the voxels of a segment, cut to them; None if it has none."""
    whole, small = slicer.vtkOrientedImageData(), slicer.vtkOrientedImageData()
    if not nodes.segmentation.GetBinaryLabelmapRepresentation(segment_id, whole):
        return None
    extent = [0, -1] * 3
    resample = slicer.vtkOrientedImageDataResample
    if whole.IsEmpty() or not resample.CalculateEffectiveExtent(whole, extent):
        return None
    resample.CopyImage(whole, small, extent)
    return small


def _same(one: Any | None, other: Any | None) -> bool:
    """Whether two outlines have the same voxels at the same place."""
    if one is None or other is None:
        return one is other
    return one.GetExtent() == other.GetExtent() and np.array_equal(_voxels(one), _voxels(other))


def _voxels(image: Any) -> np.ndarray:
    return vtk_to_numpy(image.GetPointData().GetScalars())


def _array(volume_node: Any) -> np.ndarray:
    values: np.ndarray = slicer.util.arrayFromVolume(volume_node)
    return values


def _write_row(table_node: Any, nodule: Nodule) -> None:
    """Write the row of a nodule, which is added if the table has none."""
    table = table_node.GetTable()
    numbers = table.GetColumnByName("id")
    rows = [row for row in range(table_node.GetNumberOfRows()) if int(numbers.GetValue(row)) == nodule.id]
    row = rows[0] if rows else table_node.AddEmptyRow()
    for title, cell in zip(header(), as_row(nodule), strict=True):
        column = table.GetColumnByName(title)
        if column.IsA("vtkStringArray"):
            column.SetValue(row, str(cell))
        elif cell == "" and column.IsA("vtkIntArray"):
            _replace(
                table, column, [*_cells(column, row), float("nan"), *_cells(column, table_node.GetNumberOfRows(), row + 1)]
            )
        else:
            column.SetValue(row, float("nan") if cell == "" else cell)
    table.Modified()
    table_node.Modified()


def _cells(column: Any, end: int, start: int = 0) -> Sequence[float]:
    return [column.GetValue(row) for row in range(start, end)]


def _replace(table: Any, column: Any, cells: Iterable[float]) -> None:
    """Make a column of whole numbers one that may have empty cells (NaN), in its place."""
    wide = vtk.vtkDoubleArray()
    wide.SetName(column.GetName())
    for cell in cells:
        wide.InsertNextValue(cell)
    columns = [table.GetColumn(index) for index in range(table.GetNumberOfColumns())]
    for one in columns:
        table.RemoveColumnByName(one.GetName())
    for one in columns:
        table.AddColumn(wide if one is column else one)
