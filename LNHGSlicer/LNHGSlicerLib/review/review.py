"""Review of a result, nodule by nodule: accept, reject, edit, undo; and what of it a second run on the same CT keeps.

What readers said lives in the scene: see `verdicts`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import slicer
import vtk

from lnhg.categories.proposals import benign_hints
from lnhg.core.answers import StudyAnswers
from lnhg.core.comparison import Comparison
from lnhg.core.nodule import FORMER_COLUMNS, NOT_MEASURED, Nodule, as_row, header
from lnhg.errors import InputError
from lnhg.options import Options
from lnhg.stages.axial import AxialOrder
from lnhg.stages.heterogeneity_figures import figures
from lnhg.stages.heterogeneity_maps import MapInput, nodule_map, raw_map
from lnhg.stages.measurement import measure_outlines
from lnhg.stages.place import LungShape
from lnhg.stages.prepared import PreparedCT, prepare_ct
from lnhg.writers.seg_nrrd import id_of_segment, number_of_segment

from ..scene.drawn_maps import axial_order_of_node
from ..scene.fingerprints import fingerprint, measured_on, set_measured_on
from ..scene.layers import Layers
from ..scene.nodes import SceneNodes, add_segment, ct_of_node, grid_of_node, table_column
from ..translation import _
from .answers import answers_of, comparisons_of, lung_rads_of, set_answers, set_comparisons
from .outlines import Outline, as_labels, common_voxels, left_of, set_outline
from .reader_study import carry_ratings
from .verdicts import ACCEPTED, EDITED, OPEN, REJECTED, add_seconds, seconds_of, set_verdict, verdict_of, verdict_text

# No nodule is longer.
_LARGEST_MM = 100.0
# What a row tells of where in the lungs a nodule lies.
_PLACES = ("side", "third", "pleura_distance", "touches_pleura", "touches_vessel")
# What a row tells of the map, and what hangs on its kind and range.
_OF_MAP = ("whole", "core", "rim", "raw_whole", "raw_core", "raw_rim", "strongest_depth", "strongest_hu")
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
        type: as in `lnhg.stages.measurement.Nodule`.
        score: the detector's, or None.
        heterogeneity: mean of the map without the rim; NaN where there is none.
        verdict: `open`, `accepted`, `rejected` or `edited`.
        lung_rads: the category proposed; empty for one that is rejected.
        hints: for a benign kind, in words; empty where there are none.
        seconds: how long readers had it selected.
        nodule: all its figures.
    """

    number: int
    segment_id: str
    side: str
    size_mm: float
    type: str
    score: float | None
    heterogeneity: float
    verdict: str
    lung_rads: str
    hints: str
    seconds: float
    nodule: Nodule


@dataclass(frozen=True, eq=False)
class _Before:
    """A nodule before a step of the review; without a row for one that was not there.

    `removed`: the step is that somebody removed its segment.
    """

    segment_id: str
    verdict: str
    nodule: Nodule | None
    outline: Outline | None
    removed: bool = False


class Review:
    """The review of one result. Undo reaches back to when this object was made.

    `layers` are those of the same result that are shown, if they are; the outlines are then read once for both.

    Attributes:
        scan: from `prepare_ct`, made in a thread where a reader would wait; None: made when it is needed.
    """

    def __init__(self, nodes: SceneNodes, layers: Layers | None = None) -> None:
        self.nodes = nodes
        self.scan: PreparedCT | None = None
        self._layers = layers or Layers(nodes)
        self._steps: list[tuple[_Before, ...]] = []
        self._outlines = self._layers.outlines.of_all(nodes.segment_ids)
        for one in self._outlines:
            if measured_on(nodes, one) is None:
                self._note_measured(one)

    def rows(self) -> list[ReviewRow]:
        """A row for each nodule, in the order of the table; nodules whose segment was removed are left out."""
        answers, comparisons = answers_of(self.nodes), comparisons_of(self.nodes)
        return [self._row(segment_id, row, answers, comparisons) for segment_id, row in self._nodules().items()]

    def accept(self, segment_id: str) -> None:
        """It is a nodule, as it is outlined."""
        self._judge(segment_id, ACCEPTED)

    def reject(self, segment_id: str) -> None:
        """It is none: its outline and its part of the map are hidden, but kept."""
        self._judge(segment_id, REJECTED)

    def needs_scan(self) -> bool:
        """Whether `update` would have to find the lungs."""
        changed = (one for one, outline in self._present().items() if outline and not self._is_measured(one, outline))
        return self.scan is None and (any(changed) or bool(self._drawn()))

    def update(self) -> bool:
        """Take over what was changed in the outlines since the last look, by whomever; returns whether anything was.

        Each changed nodule is measured anew; its row of the table and the maps follow. One that was wholly erased is
        rejected and gets its outline back. One that only lost voxels to another, which was painted over it, keeps its
        verdict. One whose segment was removed leaves the table of the review, and the maps, until an undo brings it
        back, here or in the Segment Editor (whose Undo also takes nodules away that came since).
        A segment that a reader drew beside those of the nodules becomes a nodule, unless it is larger than one can be.

        Without G(x) in the scene the map stays as it is, and its figures become empty for the changed nodules.
        """
        now = self._present()
        came, went = now.keys() - self._outlines.keys(), self._outlines.keys() - now.keys()
        changed = [one for one in now if not self._is_measured(one, now[one])]
        # What was before is not known of an outline that was changed before this review began.
        known = [one for one in changed if one in self._outlines and not _same(now[one], self._outlines[one])]
        if known:
            self._steps.append(tuple(self._before(one) for one in known))
        self._note_removed(went, came)
        former, self._outlines = self._outlines, now
        drawn = self._drawn()
        for one in changed:
            others = [*(now[other] for other in changed if other != one), *drawn.values()]
            self._take_over_change(one, former.get(one), others)
        for one in came:  # its display is new
            set_verdict(self.nodes, one, verdict_of(self.nodes, one))
        made = [self._make_nodule(one, outline) for one, outline in drawn.items()]
        if made:
            self._steps.append(tuple(_Before(one, OPEN, None, None) for one in made))
        any_change = bool(changed or came or went or drawn)
        if any_change:
            self._draw_maps()
        return any_change

    def _note_removed(self, went: Collection[str], came: Collection[str]) -> None:
        """Segments that somebody removed are a step for undo, until somebody brings them back."""
        self._steps = [one for one in self._steps if not any(was.removed and was.segment_id in came for was in one)]
        rows = {id_of_segment(nodule.id): nodule for nodule in self.nodes.rows}
        step = [
            _Before(one, verdict_of(self.nodes, one), rows[one], self._outlines[one], removed=True)
            for one in sorted(went)
            if one in rows
        ]
        if step:
            self._steps.append(tuple(step))

    def _take_over_change(self, segment_id: str, before: Outline | None, others: Sequence[Outline | None]) -> None:
        """Measure an outline that was changed; `others` were changed in the same look."""
        now, verdict = self._outlines[segment_id], EDITED
        if now is None:
            verdict = REJECTED
            if before is not None:
                self._set_outline(segment_id, before)
            else:
                self._note_measured(segment_id)
        else:
            row = self._nodules()[segment_id]
            overwritten = before is not None and _is_overwritten(before, now, [one for one in others if one])
            if overwritten:
                verdict = verdict_of(self.nodes, segment_id)
            status = row.status if overwritten else EDITED
            write_row(self.nodes.table, replace(self._measured_anew(segment_id, row), status=status))
            self._note_measured(segment_id)
        set_verdict(self.nodes, segment_id, verdict)

    def _present(self) -> dict[str, Outline | None]:
        """The outlines as they are now. Where somebody made surfaces the source of the segmentation, by which Slicer
        loses the voxels, they come back as they were.
        """
        segments, voxels = self.nodes.segmentation.GetSegmentation(), self._layers.outlines.REPRESENTATION
        if segments.GetSourceRepresentationName() != voxels:
            segments.SetSourceRepresentationName(voxels)
            for segment_id in self.nodes.segment_ids:
                if segment_id in self._outlines:
                    self._set_outline(segment_id, self._outlines[segment_id])
            segments.CreateRepresentation(
                slicer.vtkSegmentationConverter.GetClosedSurfaceRepresentationName()
            )  # for 3D
        return self._layers.outlines.of_all(self.nodes.segment_ids)

    def _drawn(self) -> dict[str, Outline]:
        """Outlines that a reader drew beside those of the nodules. What is larger, as a lung, has another use."""
        known = self.nodes.segment_ids
        others = [one for one in self.nodes.segmentation.GetSegmentation().GetSegmentIDs() if one not in known]
        spacing = self.nodes.ct.GetSpacing()[::-1]
        return {
            one: outline
            for one, outline in self._layers.outlines.of_all(others).items()
            if outline is not None
            and all(mm * size <= _LARGEST_MM for mm, size in zip(spacing, outline.mask.shape, strict=True))
        }

    def _make_nodule(self, segment_id: str, outline: Outline) -> str:
        """Make a nodule of a segment that a reader drew: it gets the ID, the codes and the row of one; returns the
        ID.
        """
        segments, drawn = self.nodes.segmentation.GetSegmentation(), self._segment(segment_id)
        new_id = self._add_segment()
        self._segment(new_id).SetName(drawn.GetName())
        segments.RemoveSegment(segment_id)
        self._set_outline(new_id, outline)
        write_row(self.nodes.table, self._measured_anew(new_id, None))
        set_verdict(self.nodes, new_id, EDITED)
        return new_id

    def _add_segment(self) -> str:
        """A segment without voxels for a nodule more; returns its ID.

        Its number is new: answers, growth and ratings of a nodule whose segment was removed are kept under its own.
        """
        number = 1 + max((one.id for one in self.nodes.rows), default=0)
        add_segment(self.nodes.segmentation.GetSegmentation(), number)
        self._outlines[id_of_segment(number)] = None
        return id_of_segment(number)

    def _is_measured(self, segment_id: str, outline: Outline | None) -> bool:
        """Whether the figures of a nodule are those of this outline; in a scene that does not say so they are."""
        measured = measured_on(self.nodes, segment_id)
        return measured is None or measured == _fingerprint(outline)

    def _note_measured(self, segment_id: str) -> None:
        set_measured_on(self.nodes, segment_id, _fingerprint(self._outlines[segment_id]))

    def _segment(self, segment_id: str) -> Any:
        return self.nodes.segmentation.GetSegmentation().GetSegment(segment_id)

    @property
    def can_undo(self) -> bool:
        return bool(self._steps)

    def undo(self) -> None:
        """Take the last accept, reject, edit or added nodule back: verdict, outline and measurements; nothing if there
        is none.
        """
        step = self._steps.pop() if self._steps else ()
        for removed in (one for one in step if one.removed and self._segment(one.segment_id) is None):
            add_segment(self.nodes.segmentation.GetSegmentation(), number_of_segment(removed.segment_id))
            self._outlines[removed.segment_id] = None
        there = self._nodules()  # without segments that were removed since
        redraw = False
        for before in (one for one in step if one.segment_id in there):
            if before.nodule is None:
                self._remove_segment(before.segment_id)
                redraw = True
                continue
            redraw |= REJECTED in (before.verdict, verdict_of(self.nodes, before.segment_id))
            if not _same(before.outline, self._outlines[before.segment_id]):
                self._set_outline(before.segment_id, before.outline)
                redraw = True
            now = there[before.segment_id]  # its lobe may have been told since, which is no step of the review
            write_row(self.nodes.table, replace(before.nodule, lobe=now.lobe, perifissural=now.perifissural))
            set_verdict(self.nodes, before.segment_id, before.verdict)
        if redraw:
            self._draw_maps()

    def take_over(self, segment_id: str | None, outline: Outline | None, nodule: Nodule, verdict: str) -> int:
        """Give a nodule the outline and verdict of an earlier review; without `segment_id` it is added. Returns its
        number.

        The maps are not drawn anew. `nodule` is its row in that review.
        """
        if segment_id is None:
            segment_id = self._add_segment()
            write_row(self.nodes.table, replace(nodule, id=number_of_segment(segment_id)))
        known = self._outlines[segment_id]
        if known is None or (verdict != REJECTED and not _same(outline, known)):
            self._set_outline(segment_id, outline)
            if verdict != REJECTED:
                self._measure_again(segment_id, nodule)
        set_verdict(self.nodes, segment_id, verdict)
        return self._nodules()[segment_id].id

    def add(self, found: Sequence[tuple[Outline, Nodule]]) -> list[int]:
        """Add nodules that a run measured as they are outlined; they wait for a verdict. Returns their numbers."""
        numbers = []
        for outline, nodule in found:
            segment_id = self._add_segment()
            numbers.append(number_of_segment(segment_id))
            self._set_outline(segment_id, outline)
            write_row(self.nodes.table, replace(nodule, id=numbers[-1]))
            set_verdict(self.nodes, segment_id, OPEN)
        if found:
            self._draw_maps()
        return numbers

    def add_pointed_at(self, found: Sequence[tuple[Outline, Nodule]], options: Options) -> list[str]:
        """Nodules that a run with these options found where a reader pointed, measured as they are outlined; returns
        their segment IDs.

        They are accepted, and together are one step for undo. Where one is outlined already its outline becomes the
        new one.
        """
        ids, outlines = list(self._outlines), list(self._outlines.values())
        partners = _partners([outline for outline, _nodule in found], outlines)
        known = [ids[partners[index]] if index in partners else None for index in range(len(found))]
        step = {one: self._before(one) for one in known if one is not None}
        added = []
        for segment_id, (outline, nodule) in zip(known, found, strict=True):
            if segment_id is None:
                added.append(self._add_segment())
                step[added[-1]] = _Before(added[-1], OPEN, None, None)
            else:
                added.append(segment_id)
                former = step[segment_id].nodule
                assert former is not None
                told = {name: getattr(former, name) for name in ("status", "score", "lobe", "perifissural")}
                nodule = replace(nodule, **told)
            self._set_outline(added[-1], outline)
            write_row(self.nodes.table, self._on_own_map(added[-1], nodule, options))
            set_verdict(self.nodes, added[-1], ACCEPTED)
        if found:
            self._steps.append(tuple(step.values()))
            self._draw_maps()
        return added

    def _on_own_map(self, segment_id: str, nodule: Nodule, options: Options) -> Nodule:
        """The row that a run with these options gave a nodule; where the map of this result has another kind or range,
        or one that all nodules share, with the figures of that one.
        """
        nodule, own = replace(nodule, id=number_of_segment(segment_id)), self.nodes.options
        if _same_map(own, options) and own.map_range != "scan":
            return nodule
        view = axial_order_of_node(self.nodes.ct)
        measured = self._measured(segment_id, nodule.status, nodule, view, LungShape.unknown(view.ct))
        return replace(nodule, **{name: getattr(measured, name) for name in _OF_MAP})

    def _remove_segment(self, segment_id: str) -> None:
        """Take a nodule out of the review; its row stays, and with it its number, which no other nodule gets."""
        self.nodes.segmentation.GetSegmentation().RemoveSegment(segment_id)
        del self._outlines[segment_id]

    def _nodules(self) -> dict[str, Nodule]:
        """The table's rows by segment ID."""
        segments = set(self.nodes.segmentation.GetSegmentation().GetSegmentIDs())
        rows = {id_of_segment(nodule.id): nodule for nodule in self.nodes.rows}
        return {segment_id: nodule for segment_id, nodule in rows.items() if segment_id in segments}

    def _row(
        self, segment_id: str, nodule: Nodule, answers: StudyAnswers, comparisons: Mapping[int, Comparison]
    ) -> ReviewRow:
        verdict = verdict_of(self.nodes, segment_id)
        return ReviewRow(
            nodule.id,
            segment_id,
            nodule.side,
            nodule.mean_axis,
            nodule.type,
            nodule.score,
            nodule.core.mean,
            verdict,
            "" if verdict == REJECTED else lung_rads_of(nodule, answers, comparisons),
            ", ".join(benign_hints(nodule)),
            seconds_of(self.nodes, segment_id),
            nodule,
        )

    def _judge(self, segment_id: str, verdict: str) -> None:
        before = self._before(segment_id)
        self._steps.append((before,))
        set_verdict(self.nodes, segment_id, verdict)
        if REJECTED in (before.verdict, verdict) and before.verdict != verdict:
            self._draw_maps()

    def _before(self, segment_id: str) -> _Before:
        nodule = self._nodules()[segment_id]
        return _Before(segment_id, verdict_of(self.nodes, segment_id), nodule, self._outlines[segment_id])

    def _set_outline(self, segment_id: str, outline: Outline | None) -> None:
        """Replace the voxels of a segment, by none for None; other segments keep theirs, also where they overlap."""
        set_outline(self.nodes, segment_id, outline or Outline((slice(0, 1),) * 3, np.zeros((1, 1, 1), bool)))
        self._outlines[segment_id] = outline
        self._note_measured(segment_id)

    def _draw_maps(self) -> None:
        """Both maps from the segments as they are; where their kind needs a G(x) that is missing they stay."""
        if not self._layers.why_no_map(self._layers.normalisation, self._layers.kind):
            self._layers.update_maps()

    def _measure_again(self, segment_id: str, known: Nodule) -> None:
        """Measure an outline that another result has measured as `known`: where it lies in the lungs is known."""
        view, former = axial_order_of_node(self.nodes.ct), self._nodules()[segment_id]
        status = known.status if known.status == EDITED else former.status
        row = self._measured(segment_id, status, former, view, LungShape.unknown(view.ct))
        places = {name: getattr(known, name) for name in _PLACES}
        write_row(self.nodes.table, replace(row, **places))

    def _measured_anew(self, segment_id: str, former: Nodule | None) -> Nodule:
        """The row of a segment that a reader drew or changed."""
        self.scan = self.scan or prepare_ct(ct_of_node(self.nodes.ct))
        return self._measured(segment_id, EDITED, former, self.scan.view, self.scan.lungs)

    def _measured(
        self, segment_id: str, status: str, former: Nodule | None, view: AxialOrder, lungs: LungShape
    ) -> Nodule:
        """The row of a segment whose voxels are as they are now; `former` is its row until now.

        The figures of the map are taken with the normalisation of the run, so that all rows can be compared.
        """
        options = self.nodes.options
        others = [outline for one, outline in self._outlines.items() if one != segment_id]
        outlines = as_labels(view, [*others, self._outlines[segment_id]])
        number = len(others) + 1
        own = {number: (outlines[number].box, outlines[number].mask)}
        # The others matter only where they share the range of the map.
        parts = {n: (one.box, one.mask) for n, one in outlines.items()} if options.map_range == "scan" else own
        image = self.nodes.generated
        made_from = MapInput(view.ct.hu, view.ct.spacing, None if image is None else view.to_axial(_array(image)))
        raw_ct = raw_map(made_from, parts, options)
        # There is no generator here.
        measurable = options.map_kind != "twin" and (image is not None or not options.papers_map)
        heterogeneity = nodule_map(made_from, parts, options) if measurable else raw_ct
        (row,) = measure_outlines(
            view.ct,
            own,
            heterogeneity,
            raw_ct,
            lungs,
            statuses=[status],
            scores=[former.score if former else None],
            rim_mm=options.rim,
        )
        row = replace(row, id=number_of_segment(segment_id), slice=view.stored_slice(row.slice))
        # The scene does not know the DICOM instance number of another slice.
        same_slice = former is not None and row.slice == former.slice
        row = replace(row, instance_number=former.instance_number if former and same_slice else None)
        if former is not None:  # the scene does not hold the lobes
            row = replace(row, lobe=former.lobe, perifissural=former.perifissural)
        if not measurable:
            unknown = figures(np.array([]))
            row = replace(row, whole=unknown, core=unknown, rim=unknown, strongest_depth=np.nan, strongest_hu=np.nan)
        return row


# ---------------------------------------------------------------- a second run on the same CT


@dataclass(frozen=True)
class Changes:
    """What a second run changed.

    Attributes:
        kept: nodules with a verdict: their number now, their number before, the verdict.
        not_found: those of `kept`, by their number now, that the second run did not find by itself.
        new: numbers of nodules that the first run did not have.
        gone: former numbers of nodules without a verdict that the second run did not find.
        outside: former numbers of nodules without a verdict that lie outside the region of the second run.
        ratings_left: how many ratings of a reader study stay with the first result.
        numbers: of each nodule that both have, its number before and now.
    """

    kept: tuple[tuple[int, int, str], ...]
    not_found: tuple[int, ...]
    new: tuple[int, ...]
    gone: tuple[int, ...]
    outside: tuple[int, ...] = ()
    ratings_left: int = 0
    numbers: Mapping[int, int] = field(default_factory=dict)

    def __str__(self) -> str:
        """The changes in plain words."""
        sentences = [
            (_("Your verdict was kept for"), [_kept(*one) for one in self.kept]),
            (_("Kept though this run did not find it:"), [_called(number) for number in self.not_found]),
            (_("New:"), [_called(number) for number in self.new]),
            (_("Not found again:"), [_of_earlier_run(number) for number in self.gone]),
            (_("Outside the region of this run:"), [_of_earlier_run(number) for number in self.outside]),
        ]
        told = [f"{start} {', '.join(parts)}." for start, parts in sentences if parts]
        told = told or [_("The same nodules as before.")]
        if self.ratings_left:
            stay = _("Ratings that stay with the earlier result, since outline or map is another now: {count}.")
            told.append(stay.format(count=self.ratings_left))
        return " ".join(told)


def carry_over(old: SceneNodes, new: SceneNodes) -> Changes:
    """Give the nodules of a second run the verdicts of the first; nodules belong together where their outlines overlap.

    Accepted and edited nodules also keep their outline, and rejected ones stay rejected. Those that the second run did
    not find are added to it, so that a third run knows of them. What was answered, the time of reading, and where the
    outline is the same also lobe and growth, come along.

    Raises InputError when the two are not of the same CT.
    """
    if old.ct is not new.ct:
        raise InputError("The two results are of different CTs; choose results of the same CT.")
    before, now = Review(old), Review(new)
    before.update()
    former, found = before.rows(), now.rows()
    partners = _partners(
        [before._outlines[row.segment_id] for row in former], [now._outlines[row.segment_id] for row in found]
    )
    inside = [_within(new, before._outlines[row.segment_id]) for row in former]
    nodules = {nodule.id: nodule for nodule in old.rows}
    kept, not_found, drawn = [], [], dict(now._outlines)
    for index, row in enumerate(former):
        if row.verdict == OPEN:
            continue
        partner = found[partners[index]].segment_id if index in partners else None
        number = now.take_over(partner, before._outlines[row.segment_id], nodules[row.number], row.verdict)
        kept.append((number, row.number, row.verdict))
        if partner is None and inside[index]:
            not_found.append(number)
    if kept:
        now._draw_maps()
    numbers = {row.number: found[partners[index]].number for index, row in enumerate(former) if index in partners}
    redrawn = {number_of_segment(one) for one, outline in now._outlines.items() if not _same(outline, drawn.get(one))}
    numbers |= {earlier: number for number, earlier, _ in kept}
    ratings_left = _carry_told(before, now, numbers, redrawn)
    left = [
        (row.number, inside[index]) for index, row in enumerate(former) if index not in partners and row.verdict == OPEN
    ]
    return Changes(
        tuple(kept),
        tuple(not_found),
        tuple(row.number for index, row in enumerate(found) if index not in partners.values()),
        gone=tuple(number for number, looked_at in left if looked_at),
        outside=tuple(number for number, looked_at in left if not looked_at),
        ratings_left=ratings_left,
        numbers=numbers,
    )


def _carry_told(before: Review, now: Review, numbers: Mapping[int, int], redrawn: Collection[int]) -> int:
    """What was told of the patient, and of nodules: `numbers` are theirs in both reviews; growth that was told of one
    whose outline was `redrawn` was that of another outline. Returns how many ratings of readers did not come along.
    """
    old, new = before.nodes, now.nodes
    told, answers = answers_of(old).as_record(), answers_of(new)
    for name, value in told["patient"].items():
        answers = answers.with_answer(name, value)
    for earlier, number in numbers.items():
        for name, value in told["nodules"].get(str(earlier), {}).items():
            answers = answers.with_answer(name, value, number)
        add_seconds(new, id_of_segment(number), seconds_of(old, id_of_segment(earlier)))
    set_answers(new, answers)
    same = {
        earlier: number
        for earlier, number in numbers.items()
        if _same(before._outlines[id_of_segment(earlier)], now._outlines[id_of_segment(number)])
    }
    grown = {same[earlier]: one for earlier, one in comparisons_of(old).items() if earlier in same}
    still = {number: one for number, one in comparisons_of(new).items() if number not in redrawn}
    set_comparisons(new, still | grown)
    rows = {nodule.id: nodule for nodule in old.rows}
    for nodule in new.rows:
        former = next((rows[earlier] for earlier, number in same.items() if number == nodule.id), None)
        if former is not None and nodule.lobe == NOT_MEASURED:
            write_row(new.table, replace(nodule, lobe=former.lobe, perifissural=former.perifissural))
    return carry_ratings(old, new, same if _same_map(old.options, new.options) else {})


def _same_map(one: Options, other: Options) -> bool:
    """Whether two runs draw the same map of the same outline."""
    return all(getattr(one, name) == getattr(other, name) for name in ("map_kind", "map_range", "rim"))


def _partners(old: Sequence[Outline | None], new: Sequence[Outline | None]) -> dict[int, int]:
    """Which old outline is which new one: by falling number of common voxels, each only once."""
    common = []
    for one, before in enumerate(old):
        for other, now in enumerate(new):
            shared = common_voxels(before, now) if before is not None and now is not None else 0
            if before is not None and now is not None and shared:
                common.append((shared, one, other, min(before.mask.sum(), now.mask.sum())))
    partners: dict[int, int] = {}
    for shared, one, other, smaller in sorted(common, key=lambda pair: -pair[0]):
        if shared >= _SAME_SHARE * smaller and one not in partners and other not in partners.values():
            partners[one] = other
    return partners


def _is_overwritten(before: Outline, now: Outline, others: Sequence[Outline]) -> bool:
    """Whether an outline lost voxels only, and each of them to one of the others."""
    lost = left_of(before, [now])
    return left_of(now, [before]) is None and lost is not None and left_of(lost, others) is None


def _within(nodes: SceneNodes, outline: Outline | None) -> bool:
    """Whether the middle of an outline lies where the run that made `nodes` has looked."""
    options = nodes.options
    if outline is None or (options.roi is None and options.slices is None):
        return True
    k, j, i = (np.argwhere(outline.mask).mean(0) + [side.start for side in outline.box]).tolist()
    ras = grid_of_node(nodes.ct) @ [i, j, k, 1]
    lows_and_highs = [] if options.roi is None else list(zip(options.roi[::2], options.roi[1::2], ras[:3], strict=True))
    first, last = options.slices or (0, np.inf)
    return first <= round(k) <= last and all(low <= at <= high for low, high, at in lows_and_highs)


def _called(number: int) -> str:
    return _("nodule {number}").format(number=number)


def _of_earlier_run(number: int) -> str:
    return _("{nodule} of the earlier run").format(nodule=_called(number))


def _kept(number: int, former: int, verdict: str) -> str:
    was = "" if number == former else _(", was {number}").format(number=former)
    return f"{_called(number)} ({verdict_text(verdict)}{was})"


# ---------------------------------------------------------------- segments, and rows of the table


def _fingerprint(outline: Outline | None) -> str:
    return "" if outline is None else fingerprint(outline.box, outline.mask)


def _same(one: Outline | None, other: Outline | None) -> bool:
    """Whether two outlines have the same voxels at the same place."""
    return one is other or (one is not None and one.same_as(other))


def _array(volume_node: Any) -> np.ndarray:
    values: np.ndarray = slicer.util.arrayFromVolume(volume_node)
    return values


def write_row(table_node: Any, nodule: Nodule) -> None:
    """Write the row of a nodule, which is added if the table has none."""
    table = table_node.GetTable()
    numbers = table.GetColumnByName("id")
    rows = [row for row in range(table_node.GetNumberOfRows()) if int(numbers.GetValue(row)) == nodule.id]
    row = rows[0] if rows else table_node.AddEmptyRow()
    for title, cell in zip(header(), as_row(nodule), strict=True):
        column = table.GetColumnByName(title)
        if column is None:  # in a scene of a version that did not have it
            cells: list[Any] = [""] * table_node.GetNumberOfRows()
            cells[row] = cell
            table_node.AddColumn(table_column(title, cells))
        elif column.IsA("vtkStringArray"):
            column.SetValue(row, str(cell))
        elif cell == "" and column.IsA("vtkIntArray"):
            _replace(
                table,
                column,
                [*_cells(column, row), float("nan"), *_cells(column, table_node.GetNumberOfRows(), row + 1)],
            )
        else:
            column.SetValue(row, float("nan") if cell == "" else cell)
    for column in filter(None, map(table.GetColumnByName, FORMER_COLUMNS)):
        column.SetValue(row, "")  # it told of another outline
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
