"""Tables as CSV: written so that no cell runs as a formula, read whatever separator and encoding a spreadsheet
chose.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from .plain_file import content_of

# Spreadsheets take a cell that begins so for a formula, which can start programs or send the table away.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_SEPARATORS = (",", ";", "\t", "|")


def csv_text(rows: Iterable[Sequence[Any]], line_end: str = "\n") -> str:
    """The rows as CSV; text that a spreadsheet would take for a formula gets an apostrophe in front."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=line_end).writerows([harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def harmless(cell: Any) -> Any:
    """A cell that no spreadsheet runs; numbers stay as they are."""
    if not isinstance(cell, str) or not cell.startswith(_FORMULA) or _is_number(cell):
        return cell
    return f"'{cell}"


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def read_csv(
    path: Path, wanted: Sequence[str] = (), *, by_hand: bool = False
) -> tuple[list[str], list[dict[str, str]]]:
    """The columns of a CSV and its rows by column; cells without a column and empty lines are left out.

    The separator is the one that gives the first line a column of `wanted`, else a comma. With `by_hand` the table is
    one that a person wrote: names of columns are told in small letters, and cells missing at the end of a row are
    empty.

    Raises InputError for a file that cannot be read, for two columns of one wanted name, and, unless `by_hand`, for a
    row that ends before its last column.
    """
    try:
        text = decoded(content_of(path))
        first = text.partition("\n")[0].lower() if by_hand else text.partition("\n")[0]
        separator = next((sign for sign in _SEPARATORS if set(wanted) & set(_cells(first, sign))), ",")
        lines = [
            [cell.strip() for cell in line] for line in csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        ]
    except (OSError, UnicodeError, csv.Error) as error:
        raise InputError(f"{path.name} cannot be read as CSV; give the file as it was written.") from error
    if "\0" in text:
        raise InputError(f"{path.name} holds a zero byte, as no table does; write it again.")
    columns, *rows = lines or [[]]
    columns = [name.lower() for name in columns] if by_hand else columns
    names = [name for name in columns if name]
    if any(names.count(name) > 1 for name in wanted or names[:1]):
        raise InputError(f"{path.name} has two columns of the same name; rename one of them.")
    width = max((place for place, name in enumerate(columns, 1) if name), default=0)
    short = next((number for number, row in enumerate(rows, 1) if any(row) and len(row) < width), None)
    if short and not by_hand:
        raise InputError(f"Row {short} of {path.name} ends before its column {names[-1]}; write the table again.")
    # A person who writes "" into the one column of a list has forgotten something.
    rows = [row for row in rows if any(row) or (by_hand and len(row) == 1)]
    rows = [[*row, *[""] * (width - len(row))] for row in rows]
    return names, [{name: cell for name, cell in zip(columns, row, strict=False) if name} for row in rows]


def _cells(line: str, separator: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [])]


def decoded(content: bytes) -> str:
    """The text of a table: UTF-8, UTF-16 with its mark as some spreadsheets write it, or else the Windows code page
    1252.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")
