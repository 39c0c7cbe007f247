"""The log of a training as CSV, a row for each step or phase: it grows, and forgets what a killed run did in vain."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.atomic_file import write_atomic

#: Its name in the folder of a run.
LOG = "log.csv"


def append_row(log: Path, row: Mapping[str, Any]) -> None:
    """One more row; the first one brings the header."""
    new = not log.is_file()
    with log.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def drop_rows_after(log: Path, number: int) -> None:
    """Rows whose first column is beyond `number`, done after the last checkpoint, are done again, so they go."""
    if log.is_file():
        with log.open(newline="", encoding="utf-8") as file:
            kept = list(itertools.takewhile(lambda row: not row[0].isdigit() or int(row.split(",")[0]) <= number, file))
        write_atomic(log, "".join(kept))
