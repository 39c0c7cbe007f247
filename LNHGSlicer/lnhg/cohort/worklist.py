"""The worklist of a cohort: a row a study, what needs a look first on top."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..categories.lung_rads import pressing
from ..writers.results import FILES

#: Titles of the worklist's columns.
WORKLIST_HEADER = (
    "look", "scan", "status", "reason", "nodules", "highest Lung-RADS 2022, proposed", "nodule", "rule", "course",
    "change", "changes if", "BTS 2015, proposed", "mean of long and short axis (mm)", "cut", "warnings", "sentence",
)  # fmt: skip


def worklist_row(name: str, status: str, reason: str, folder: Path | None, not_compared: str = "") -> list[Any]:
    """The row of one study, from the record in its folder; None: the study has no result.

    `not_compared` says why it was not compared with other studies of its patient.
    """
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
        not_compared or first.get("change") or "",
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
        return bool(reason), *pressing(str(value)), float(row[11] or 0)

    ordered = sorted(rows, key=key, reverse=True)
    return [[number, *row] for number, row in enumerate(ordered, 1)]


def _pressing(category: Mapping[str, Any], nodule: Mapping[str, Any]) -> tuple[int, bool, float]:
    return *pressing(category["value"]), float(nodule.get("mean_axis_mm") or 0)


def _nodule(nodules: Sequence[Mapping[str, Any]], number: int) -> Mapping[str, Any]:
    return next(one for one in nodules if one["id"] == number)


def _record(folder: Path) -> Mapping[str, Any] | None:
    try:
        record: Mapping[str, Any] = json.loads((folder / FILES["record"]).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record
