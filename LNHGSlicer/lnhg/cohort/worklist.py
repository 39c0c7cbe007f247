"""The worklist of a cohort: a row a study, what needs a look first on top."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..writers.results import FILES

#: Titles of the worklist's columns.
WORKLIST_HEADER = (
    "look", "scan", "status", "reason", "nodules", "highest Lung-RADS 2022, proposed", "nodule", "rule", "course",
    "changes if", "BTS 2015, proposed", "mean of long and short axis (mm)", "cut", "warnings", "sentence",
)  # fmt: skip
# From the least to the most pressing; what is no category of these (`not known`, `does not apply`) comes before all.
_RISING = ("1", "2", "0", "3", "4A", "4B", "4X")


def worklist_row(name: str, status: str, reason: str, folder: Path | None) -> list[Any]:
    """The row of one study, from the record in its folder; None: the study has no result."""
    record = None if folder is None else _record(folder)
    if record is None:
        return [name, status, reason, *[""] * (len(WORKLIST_HEADER) - 4)]
    nodules = record["nodules"]
    told = record.get("proposals", {}).get("nodules", [])
    warnings = len(record["warnings"])
    if not told:
        return [name, status, reason, len(nodules), *[""] * (len(WORKLIST_HEADER) - 7), warnings, ""]
    first = max(told, key=lambda one: _pressing(one["lung_rads_2022"], _nodule(nodules, one["id"])))
    row, category = _nodule(nodules, first["id"]), first["lung_rads_2022"]
    return [
        name,
        status,
        reason,
        len(nodules),
        category["value"],
        first["id"],
        category["rule"],
        first.get("course") or "",
        "; ".join(category["inside_interval"]),
        first["bts_2015"]["value"],
        row.get("mean_axis_mm") or "",
        row.get("cut") or "",
        warnings,
        first["sentence"],
    ]


def in_order(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    """The rows of `worklist_row` by what needs a look first, each with its number in front.

    Studies that failed come first: nobody has seen them; then by category, and by size where it is the same.
    """

    def key(row: Sequence[Any]) -> tuple[Any, ...]:
        _, _, reason, _, value, *_ = row
        return bool(reason), *_rank(str(value)), float(row[10] or 0)

    ordered = sorted(rows, key=key, reverse=True)
    return [[number, *row] for number, row in enumerate(ordered, 1)]


def _pressing(category: Mapping[str, Any], nodule: Mapping[str, Any]) -> tuple[int, bool, float]:
    return *_rank(category["value"]), float(nodule.get("mean_axis_mm") or 0)


def _rank(value: str) -> tuple[int, bool]:
    """How pressing a category is, and whether it may be a higher one."""
    plain = value.removesuffix(" or higher")
    category = plain.removesuffix("S")
    return (_RISING.index(category) if category in _RISING else -1), plain != value


def _nodule(nodules: Sequence[Mapping[str, Any]], number: int) -> Mapping[str, Any]:
    return next(one for one in nodules if one["id"] == number)


def _record(folder: Path) -> Mapping[str, Any] | None:
    try:
        record: Mapping[str, Any] = json.loads((folder / FILES["record"]).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record
