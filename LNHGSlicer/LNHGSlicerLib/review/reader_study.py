"""A reader study as in the paper: how useful each reader finds the map, nodule by nodule, and how far they agree.

Each reader has a table of their own in the scene, hidden from the others, and is shown no one else's ratings.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk

from lnhg.errors import InputError
from lnhg.evaluation.agreement import absolute_agreement
from lnhg.writers.seg_nrrd import number_of_segment

from ..scene.nodes import SceneNodes
from ..translation import _
from .export import write_csv
from .verdicts import REJECTED, verdicts

IMPRESSIONS = ("benign", "malignant", "uncertain")
_READER, _SEGMENTATION = "LNHG.Reader", "LNHG.Segmentation"
# What a table holds of each nodule, and how it is before the reader says anything.
_COLUMNS: dict[str, str | float] = {"nodule": "", "score": math.nan, "impression": "", "comment": "", "seconds": 0.0}


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
        self._clock = clock
        self._at: str | None = None
        self._since = 0.0

    @property
    def total(self) -> int:
        """Number of nodules to rate: those that were not rejected."""
        return len(self._to_rate())

    @property
    def rated(self) -> int:
        """Number of them that have a score."""
        ratings = [self.rating(segment_id) for segment_id in self._to_rate()]
        return sum(rating is not None and rating.score is not None for rating in ratings)

    def begin(self, segment_id: str) -> None:
        """The reader turns to this nodule: from now on the time is counted for it."""
        if segment_id != self._at:
            self.stop()
            self._at, self._since = segment_id, self._clock()

    def stop(self) -> None:
        """The reader turns away: the time is counted no more."""
        if self._at is not None and slicer.mrmlScene.IsNodePresent(self._kept_in):
            self._write(self._at, "seconds", self._seconds(self._at))
        self._at = None

    def rate(self, segment_id: str, *, score: float | None, impression: str | None, comment: str = "") -> None:
        """Keep a rating in place of an earlier one. Raises InputError for a score or an impression that there is
        not.
        """
        if score is not None and not 0 <= score <= 100:
            raise InputError(f"The score {score:g} is not from 0 to 100.")
        if impression is not None and impression not in IMPRESSIONS:
            raise InputError(f"The impression {impression!r} is none of {', '.join(IMPRESSIONS)}.")
        self._write(segment_id, "score", math.nan if score is None else float(score))
        self._write(segment_id, "impression", impression or "")
        # The table's file has a line for each row and does not escape quotation marks.
        self._write(segment_id, "comment", " ".join(comment.split()).replace('"', "'"))
        self._write(segment_id, "seconds", self._seconds(segment_id))
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
        """Write this reader's ratings, a row for each nodule, unrated ones empty; the file is whole or as it was."""
        rows: list[Sequence[Any]] = []
        for segment_id in self._to_rate():
            rating = self.rating(segment_id) or Rating(None, None, "", self._seconds(segment_id))
            score = "" if rating.score is None else f"{rating.score:g}"
            rows.append(
                [
                    self.reader,
                    number_of_segment(segment_id),
                    score,
                    rating.impression or "",
                    rating.comment,
                    f"{rating.seconds:.1f}",
                ]
            )
        write_csv(path, [["reader", "nodule", "score (0 to 100)", "impression", "comment", "time (s)"], *rows])

    @property
    def _table(self) -> Any:
        """The reader's table; another one where somebody deleted it, so that what is said from now on is kept."""
        if not slicer.mrmlScene.IsNodePresent(self._kept_in):
            self._kept_in = _table_of(self.nodes, self.reader)
        return self._kept_in

    def _to_rate(self) -> list[str]:
        return [one for one, verdict in verdicts(self.nodes).items() if verdict != REJECTED]

    def _seconds(self, segment_id: str) -> float:
        row = _row_of(self._table, segment_id)
        stored = 0.0 if row is None else float(_cell(self._table, row, "seconds"))
        return stored + (self._clock() - self._since if segment_id == self._at else 0.0)

    def _write(self, segment_id: str, column: str, value: Any) -> None:
        row = _row_of(self._table, segment_id)
        if row is None:
            row = self._table.AddEmptyRow()
            for name, empty in {**_COLUMNS, "nodule": segment_id}.items():
                self._table.GetTable().GetColumnByName(name).SetValue(row, empty)
        self._table.GetTable().GetColumnByName(column).SetValue(row, value)
        self._table.GetTable().Modified()
        self._table.Modified()


def studies_of(nodes: SceneNodes) -> list[Any]:
    """The table nodes of all readers of a result."""
    tables = slicer.util.getNodesByClass("vtkMRMLTableNode")
    return [table for table in tables if _reader(table) and table.GetNodeReference(_SEGMENTATION) is nodes.segmentation]


def _table_of(nodes: SceneNodes, reader: str) -> Any:
    """The reader's table, made if absent and hidden from lists of nodes, so that other readers do not meet it."""
    known = next((table for table in studies_of(nodes) if _reader(table) == reader), None)
    if known is not None:
        return known
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", f"Reader study: {reader}")
    table.SetHideFromEditors(True)
    table.SetLocked(True)
    table.SetAttribute(_READER, reader)
    table.SetNodeReferenceID(_SEGMENTATION, nodes.segmentation.GetID())
    for name, empty in _COLUMNS.items():
        column = vtk.vtkStringArray() if empty == "" else vtk.vtkDoubleArray()
        column.SetName(name)
        table.AddColumn(column)
    return table


def _reader(table: Any) -> str:
    return table.GetAttribute(_READER) or ""


def _row_of(table: Any, segment_id: str) -> int | None:
    return next((row for row in range(table.GetNumberOfRows()) if _cell(table, row, "nodule") == segment_id), None)


def _cell(table: Any, row: int, name: str) -> Any:
    return table.GetTable().GetColumnByName(name).GetValue(row)


# ---------------------------------------------------------------- summary


def summary(tables: Sequence[Any]) -> list[str]:
    """Lines of text: mean and standard deviation of each reader's scores, then how far the readers agree.

    Agreement is taken over the nodules that all readers rated. Tables of several scans can be summed up together.
    """
    readers = sorted({_reader(table) for table in tables})
    scores = [_ratings(tables, reader, "score") for reader in readers]
    impressions = [_ratings(tables, reader, "impression") for reader in readers]
    lines = [_of_one(reader, list(given.values())) for reader, given in zip(readers, scores, strict=True)]
    if len(readers) < 2:
        return [*lines, _("Agreement needs the ratings of at least two readers.")]
    icc = absolute_agreement(np.array(_of_all(scores), float).reshape(-1, len(readers))).value
    kappa = fleiss_kappa(_of_all(impressions))
    return [
        *lines,
        _("Agreement of scores, ICC(2,1): {icc} (nodules scored by all {readers} readers: {nodules})").format(
            icc=_number(icc), readers=len(readers), nodules=len(_of_all(scores))
        ),
        _("Agreement of impressions, Fleiss' kappa: {kappa} (nodules judged by all: {nodules})").format(
            kappa=_number(kappa), nodules=len(_of_all(impressions))
        ),
    ]


def _of_one(reader: str, scores: Sequence[float]) -> str:
    if not scores:
        return _("{reader}: no score yet").format(reader=reader)
    deviation = float(np.std(scores, ddof=1)) if len(scores) > 1 else math.nan
    return _("{reader}: mean score {mean:.1f}, standard deviation {deviation} (nodules: {count})").format(
        reader=reader, mean=np.mean(scores), deviation=_number(deviation, 1), count=len(scores)
    )


def _ratings(tables: Sequence[Any], reader: str, column: str) -> dict[tuple[str, str], Any]:
    """What a reader gave, by result and nodule; without what is missing."""
    found = {
        (table.GetNodeReferenceID(_SEGMENTATION), _cell(table, row, "nodule")): _cell(table, row, column)
        for table in tables
        if _reader(table) == reader
        for row in range(table.GetNumberOfRows())
    }
    return {key: value for key, value in found.items() if value != "" and value == value}


def _of_all(ratings: Sequence[dict[Any, Any]]) -> list[list[Any]]:
    """`[nodule][reader]`, of the nodules that every reader rated."""
    common = set.intersection(*(set(given) for given in ratings))
    return [[given[key] for given in ratings] for key in sorted(common)]


def _number(value: float, digits: int = 2) -> str:
    return _("not defined") if math.isnan(value) else f"{value:.{digits}f}"


def fleiss_kappa(impressions: Sequence[Sequence[str]]) -> float:
    """Agreement on categories `[nodule][reader]` beyond chance: kappa of Fleiss, Psychological Bulletin 76, 1971.

    NaN for no nodule, under two readers, or if all readers only ever gave one category.
    """
    given = np.array(impressions)
    if given.size == 0 or given.shape[1] < 2:
        return math.nan
    readers = given.shape[1]
    counts = np.stack([(given == category).sum(1) for category in np.unique(given)], -1)
    agreement = ((counts**2).sum(1) - readers) / (readers * (readers - 1))
    chance = ((counts.sum(0) / counts.sum()) ** 2).sum()
    return float((agreement.mean() - chance) / (1 - chance)) if chance < 1 else math.nan
