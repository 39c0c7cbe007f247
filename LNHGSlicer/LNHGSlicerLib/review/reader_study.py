"""A reader study as in the paper: how useful each reader finds the map, nodule by nodule, and how far they agree.

Each reader has a table of their own in the scene, hidden from the others, and is shown no one else's ratings. In a
blind study each nodule has one of two kinds of map, drawn for each reader, and no reader is told which until the end.
"""

from __future__ import annotations

import math
import secrets
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk

from lnhg.errors import InputError
from lnhg.writers.seg_nrrd import id_of_segment, number_of_segment

from ..scene.nodes import SceneNodes
from ..translation import _
from .outlines import Outlines
from .verdicts import EDITED, REJECTED, verdicts
from .written_files import write_csv

IMPRESSIONS = ("benign", "malignant", "uncertain")
#: The kinds of map that a blind study draws from (`Options.heterogeneity`).
KINDS = ("deviation", "inverse")
_READER, _SEGMENTATION = "LNHG.Reader", "LNHG.Segmentation"
# Of a reader's table: `running` or `ended` in a blind study, and which of the scan's readers in such a study it is.
_BLIND, _NUMBER = "LNHG.Blind", "LNHG.BlindNumber"
# Of the segmentation: what the draws of its blind study are made from, and the reader who is at it.
_SEED, _BLIND_READER = "LNHG.BlindSeed", "LNHG.BlindReader"
# What a table holds of each nodule, and how it is before the reader says anything.
_COLUMNS: dict[str, str | float] = {
    "nodule": "", "score": math.nan, "impression": "", "comment": "", "seconds": 0.0, "map": "",
}  # fmt: skip
_HEADER = ("reader", "nodule", "map", "score (0 to 100)", "impression", "comment", "time (s)")


@dataclass(frozen=True)
class Rating:
    """What a reader says of a nodule.

    Attributes:
        score: 0 (the map is of no use) to 100 (a diagnosis is possible without the CT); None if not given.
        impression: `benign`, `malignant` or `uncertain`; None if not given.
        comment: free text.
        seconds: the time that the reader spent on the nodule, to now.
    """

    score: float | None
    impression: str | None
    comment: str
    seconds: float


class ReaderStudy:
    """The ratings of one reader for the nodules of one result; `clock` gives seconds."""

    def __init__(self, nodes: SceneNodes, reader_name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.nodes = nodes
        self.reader = " ".join(reader_name.split())
        if not self.reader:
            raise InputError(_("A reader study needs the reader's name; write it first."))
        self._kept_in = _table_of(nodes, self.reader)
        self.reader = reader_of(self._kept_in)  # as it was written first
        self._clock = clock
        self._at: str | None = None
        self._since = 0.0

    @property
    def total(self) -> int:
        """Number of nodules to rate: those that were not rejected; in a blind study those of its draw."""
        return len(self._to_rate())

    @property
    def rated(self) -> int:
        """Number of them that have a score."""
        ratings = [self.rating(segment_id) for segment_id in self._to_rate()]
        return sum(rating is not None and rating.score is not None for rating in ratings)

    @property
    def has_begun(self) -> bool:
        """Whether the reader has said anything of a nodule."""
        return any(self.rating(row["nodule"]) for row in all_rows(self._table))

    @property
    def is_blind(self) -> bool:
        """Whether a blind study of this reader is under way."""
        return is_under_way(self._table)

    @property
    def has_ended(self) -> bool:
        """Whether the reader has ended a blind study: what was rated stays."""
        return self._table.GetAttribute(_BLIND) == "ended"

    @property
    def drawn(self) -> dict[str, str]:
        """The kind of map that was drawn for each nodule of a blind study, in the order in which they are rated."""
        if not (self.is_blind or self.has_ended):
            return {}
        return {row["nodule"]: row["map"] for row in all_rows(self._table) if row["map"]}

    def begin_blind(self) -> None:
        """Draw a kind of map for each nodule, and an order. One that was begun goes on as it was drawn.

        Of every two readers each sees a nodule in another kind. Raises InputError where the reader has rated nodules
        with a map that was named, or a nodule has no h(x).
        """
        if self.is_blind or self.has_ended:
            return
        if self.has_begun:
            raise InputError(_("You have rated nodules of this scan whose map was named; rate them all like that."))
        nodules, table = self._to_rate(), self._table
        if not nodules:
            raise InputError(_("There is no nodule to rate."))
        without = [number_of_segment(one) for one in _without_generator(self.nodes, nodules)]
        if without:
            raise InputError(
                _(
                    "The generator has not looked where nodule {numbers} was drawn, so there is no h(x); segment the "
                    "CT again, or reject it."
                ).format(numbers=", ".join(map(str, without)))
            )
        number, mate = _place_in_study(self.nodes, table)
        kinds = draw_kinds(nodules, mate, (_seed(self.nodes), number))
        _forget_rows(table)
        for segment_id, kind in kinds.items():
            self._write(segment_id, "map", kind)
        table.SetAttribute(_BLIND, "running")

    def leave_blind(self) -> None:
        """Be in no blind study, as long as nothing was rated; begun again it has the same draw."""
        if self.is_blind and not self.has_begun:
            self.stop()
            _forget_rows(self._table)
            self._table.RemoveAttribute(_BLIND)

    def end_blind(self) -> None:
        """End a blind study: the kinds are told, and what was rated stays. Raises InputError while a nodule has no
        score.
        """
        if self.rated < self.total:
            raise InputError(_("Rate all nodules first; then the maps are told."))
        self.stop()
        self._table.SetAttribute(_BLIND, "ended")

    def why_not_rate(self, segment_id: str) -> str:
        """Why a nodule cannot be rated, in one sentence; empty if it can."""
        if self.has_ended:
            return _("You have ended this blind study; its ratings stay as they are.")
        if self.is_blind and segment_id not in self.drawn:
            return _("This nodule came after the blind study began, and is not part of it.")
        return ""

    def begin(self, segment_id: str) -> None:
        """The reader turns to this nodule: from now on the time is counted for it, unless a blind study has ended."""
        if segment_id != self._at and not self.has_ended:
            self.stop()
            self._at, self._since = segment_id, self._clock()

    def stop(self) -> None:
        """The reader turns away: the time is counted no more."""
        if self._at is not None and slicer.mrmlScene.IsNodePresent(self._kept_in):
            self._write(self._at, "seconds", self._seconds(self._at))
        self._at = None

    def rate(
        self, segment_id: str, *, score: float | None, impression: str | None, comment: str = "", kind: str = ""
    ) -> None:
        """Keep a rating in place of an earlier one; `kind`: of the map that is shown, where none was drawn.

        Raises InputError for a score or an impression that there is not, and for what `why_not_rate` tells.
        """
        if self.why_not_rate(segment_id):
            raise InputError(self.why_not_rate(segment_id))
        if score is not None and not 0 <= score <= 100:
            raise InputError(f"The score {score:g} is not from 0 to 100.")
        if impression is not None and impression not in IMPRESSIONS:
            raise InputError(f"The impression {impression!r} is none of {', '.join(IMPRESSIONS)}.")
        self._write(segment_id, "score", math.nan if score is None else float(score))
        self._write(segment_id, "impression", impression or "")
        # The table's file has a line for each row and does not escape quotation marks.
        self._write(segment_id, "comment", " ".join(comment.split()).replace('"', "'"))
        self._write(segment_id, "seconds", self._seconds(segment_id))
        if not self.is_blind:
            self._write(segment_id, "map", kind)
        if segment_id == self._at:
            self._since = self._clock()

    def rating(self, segment_id: str) -> Rating | None:
        """The reader's own rating of a nodule; None if there is none yet."""
        row = _row_of(self._table, segment_id)
        if row is None:
            return None
        score, impression, comment = (_cell(self._table, row, name) for name in ("score", "impression", "comment"))
        if math.isnan(score) and not impression and not comment:
            return None
        return Rating(None if math.isnan(score) else score, impression or None, comment, self._seconds(segment_id))

    def export_csv(self, path: Path) -> None:
        """Write this reader's ratings, a row for each nodule, unrated ones empty; the file is whole or as it was.

        Which map was rated is `blind` there until the reader has ended a blind study.
        """
        rows: list[Sequence[Any]] = []
        for segment_id in self._to_rate():
            rating = self.rating(segment_id) or Rating(None, None, "", self._seconds(segment_id))
            score = "" if rating.score is None else f"{rating.score:g}"
            rows.append(
                [
                    self.reader,
                    number_of_segment(segment_id),
                    "blind" if self.is_blind else self._kind(segment_id),
                    score,
                    rating.impression or "",
                    rating.comment,
                    f"{rating.seconds:.1f}",
                ]
            )
        write_csv(path, [_HEADER, *rows], self.nodes.ct)

    @property
    def _table(self) -> Any:
        """The reader's table; another one where somebody deleted it, so that what is said from now on is kept."""
        if not slicer.mrmlScene.IsNodePresent(self._kept_in):
            self._kept_in = _table_of(self.nodes, self.reader)
        return self._kept_in

    def _to_rate(self) -> list[str]:
        left = [one for one, verdict in verdicts(self.nodes).items() if verdict != REJECTED]
        drawn = self.drawn
        return [one for one in left if one in drawn] if drawn else left

    def _kind(self, segment_id: str) -> str:
        row = _row_of(self._table, segment_id)
        return "" if row is None else str(_cell(self._table, row, "map"))

    def _seconds(self, segment_id: str) -> float:
        row = _row_of(self._table, segment_id)
        stored = 0.0 if row is None else float(_cell(self._table, row, "seconds"))
        return stored + (self._clock() - self._since if segment_id == self._at else 0.0)

    def _write(self, segment_id: str, column: str, value: Any) -> None:
        row = _row_of(self._table, segment_id)
        if row is None:
            _add_row(self._table, {**_COLUMNS, "nodule": segment_id})
            row = _row_of(self._table, segment_id)
        self._table.GetTable().GetColumnByName(column).SetValue(row, value)
        self._table.GetTable().Modified()
        self._table.Modified()


def carry_ratings(old: SceneNodes, new: SceneNodes, numbers: Mapping[int, int]) -> int:
    """Give the nodules of a second run what readers said of them; `numbers`, former to now, are of those whose outline
    and map are the same. Returns how many ratings stay with the first result.

    A blind study comes along as it was drawn, or not at all.
    """
    moved = {id_of_segment(former): id_of_segment(number) for former, number in numbers.items()}
    left = 0
    for table in studies_of(old):
        rows = all_rows(table)
        lost = [row for row in rows if row["nodule"] not in moved]
        if table.GetAttribute(_BLIND) and any(row["map"] for row in lost):
            lost = rows
        left += sum(map(says_something, lost))
        if lost is rows or len(lost) == len(rows):
            continue
        own = _table_of(new, reader_of(table))
        for row in (row for row in rows if row["nodule"] in moved):
            _add_row(own, {**row, "nodule": moved[row["nodule"]]})
        for node, former, names in (
            (own, table, (_BLIND, _NUMBER)),
            (new.segmentation, old.segmentation, (_SEED, _BLIND_READER)),
        ):
            for name in names:
                if former.GetAttribute(name) is not None:
                    node.SetAttribute(name, former.GetAttribute(name))
    return left


def studies_of(nodes: SceneNodes) -> list[Any]:
    """The table nodes of all readers of a result."""
    tables = slicer.util.getNodesByClass("vtkMRMLTableNode")
    return [
        table for table in tables if reader_of(table) and table.GetNodeReference(_SEGMENTATION) is nodes.segmentation
    ]


def all_rows(table: Any) -> list[dict[str, Any]]:
    """The rows of a reader's table: what a table of an older version lacks is empty."""
    columns = {name: table.GetTable().GetColumnByName(name) for name in _COLUMNS}
    return [
        {name: _COLUMNS[name] if column is None else column.GetValue(row) for name, column in columns.items()}
        for row in range(table.GetNumberOfRows())
    ]


def blind_reader(nodes: SceneNodes) -> str:
    """Who is at a blind study of this result; empty: nobody. A saved scene is opened with it."""
    return nodes.segmentation.GetAttribute(_BLIND_READER) or ""


def set_blind_reader(nodes: SceneNodes, reader: str) -> None:
    """Keep who is at a blind study of this result; empty: nobody."""
    if reader != blind_reader(nodes):
        nodes.segmentation.SetAttribute(_BLIND_READER, reader)


def draw_kinds(nodules: Sequence[str], mate: Mapping[str, str], seed: Sequence[int]) -> dict[str, str]:
    """A kind of map for each nodule, in a random order of them; the same seed draws the same.

    The other kind than the one that the reader's mate has; without a mate each kind for half of them (of an odd number
    chance says which has one more).
    """
    random = np.random.default_rng(list(seed))
    kinds = {one: KINDS[1 - KINDS.index(mate[one])] for one in nodules if one in mate}
    rest = [one for one in nodules if one not in kinds]
    first = int(random.integers(2))
    halves = random.permutation([(first + number) % 2 for number in range(len(rest))]).tolist()
    kinds |= {one: KINDS[half] for one, half in zip(rest, halves, strict=True)}
    return {nodules[place]: kinds[nodules[place]] for place in random.permutation(len(nodules)).tolist()}


def _seed(nodes: SceneNodes) -> int:
    if nodes.segmentation.GetAttribute(_SEED) is None:
        nodes.segmentation.SetAttribute(_SEED, str(secrets.randbits(32)))
    return int(nodes.segmentation.GetAttribute(_SEED))


def _place_in_study(nodes: SceneNodes, table: Any) -> tuple[int, dict[str, str]]:
    """Which of the scan's readers in the blind study this is, from 0; and the kinds that the mate has: 0 and 1 are
    mates, 2 and 3, and so on.
    """
    others = {int(one.GetAttribute(_NUMBER)): one for one in studies_of(nodes) if one.GetAttribute(_NUMBER)}
    if table.GetAttribute(_NUMBER) is None:
        table.SetAttribute(_NUMBER, str(len(others)))
    number = int(table.GetAttribute(_NUMBER))
    mate = others.get(number ^ 1)
    rows = all_rows(mate) if mate is not None and mate.GetAttribute(_BLIND) else []
    return number, {row["nodule"]: row["map"] for row in rows if row["map"]}


def _without_generator(nodes: SceneNodes, segment_ids: Sequence[str]) -> list[str]:
    """The nodules that a reader drew where the scene has no G(x)."""
    edited = {one.id for one in nodes.rows if one.status == EDITED}
    outlines = Outlines(nodes).of_all([one for one in segment_ids if number_of_segment(one) in edited])
    image = None if nodes.generated is None else slicer.util.arrayFromVolume(nodes.generated)
    return [
        one
        for one, outline in outlines.items()
        if outline is not None and (image is None or not image[outline.box][outline.mask].any())
    ]


def _table_of(nodes: SceneNodes, reader: str) -> Any:
    """The reader's table, made if absent and hidden from lists of nodes, so that other readers do not meet it."""
    tables = [table for table in studies_of(nodes) if same_reader(reader_of(table)) == same_reader(reader)]
    table = tables[0] if tables else None
    if table is None:
        table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", f"Reader study: {reader}")
        table.SetHideFromEditors(True)
        table.SetLocked(True)
        table.SetAttribute(_READER, reader)
        table.SetNodeReferenceID(_SEGMENTATION, nodes.segmentation.GetID())
    for name, empty in _COLUMNS.items():
        if table.GetTable().GetColumnByName(name) is None:  # new, or of a version that did not have it
            column = vtk.vtkStringArray() if empty == "" else vtk.vtkDoubleArray()
            column.SetName(name)
            for _row in range(table.GetNumberOfRows()):
                column.InsertNextValue(empty)
            table.AddColumn(column)
    for other in tables[1:]:
        _take_over(table, other)
    return table


def _take_over(table: Any, other: Any) -> None:
    """Join what a reader rated under another spelling of the name, as versions before 0.3.4 kept it; what both tables
    rate stays as in the first. A blind study is left as it was drawn.
    """
    if table.GetAttribute(_BLIND) or other.GetAttribute(_BLIND):
        return
    for given in all_rows(other):
        row = _row_of(table, given["nodule"])
        if row is not None and says_something(all_rows(table)[row]):
            continue
        if row is None:
            _add_row(table, given)
        else:
            _set_row(table, row, given)
    table.Modified()
    slicer.mrmlScene.RemoveNode(other)


def _add_row(table: Any, values: Mapping[str, Any]) -> None:
    _set_row(table, table.AddEmptyRow(), values)


def _set_row(table: Any, row: int, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        table.GetTable().GetColumnByName(name).SetValue(row, value)


def _forget_rows(table: Any) -> None:
    while table.GetNumberOfRows():
        table.RemoveRow(0)


def is_under_way(table: Any) -> bool:
    """Whether a reader's blind study is under way."""
    return bool(table.GetAttribute(_BLIND) == "running")


def result_of(table: Any) -> str:
    """The ID of the segmentation whose nodules a reader's table holds."""
    return str(table.GetNodeReferenceID(_SEGMENTATION))


def says_something(row: Mapping[str, Any]) -> bool:
    """Whether a row of a reader's table has a score, an impression or a comment."""
    return bool(not math.isnan(row["score"]) or row["impression"] or row["comment"])


def reader_of(table: Any) -> str:
    """Whose table it is; empty for a table that is no reader's."""
    return table.GetAttribute(_READER) or ""


def same_reader(name: str) -> str:
    """What is the same however a reader writes the name: in small letters, composed in one way, without more space or
    characters that cannot be seen.
    """
    seen = "".join(one for one in unicodedata.normalize("NFKC", name) if unicodedata.category(one) != "Cf")
    return unicodedata.normalize("NFKC", " ".join(seen.split()).casefold())


def _row_of(table: Any, segment_id: str) -> int | None:
    return next((row for row in range(table.GetNumberOfRows()) if _cell(table, row, "nodule") == segment_id), None)


def _cell(table: Any, row: int, name: str) -> Any:
    return table.GetTable().GetColumnByName(name).GetValue(row)
