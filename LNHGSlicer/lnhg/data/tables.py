"""Tables that lie beside development images: CSV with a header."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..core.csv_text import read_csv
from ..errors import InputError

# One of these is in every such table.
_COLUMNS = ("nodule", "label", "readers")


def read_rows(table: Path, wanted: str) -> list[dict[str, str]]:
    """The rows of a CSV by their columns; where there is none, the InputError asks for the folder of `wanted`."""
    return _read(table, wanted)[1]


def read_columns(table: Path, wanted: str) -> tuple[str, ...]:
    """The columns of a CSV, which may have no row; InputError as for `read_rows`."""
    return tuple(_read(table, wanted)[0])


def _read(table: Path, wanted: str) -> tuple[list[str], list[dict[str, str]]]:
    if not table.is_file():
        raise InputError(f"There is no {table.name} in {table.parent}; give the folder of {wanted}.")
    return read_csv(table, _COLUMNS)


def whole_number(row: Mapping[str, str], column: str, wanted: str) -> int:
    """The whole number in a cell; an InputError asks for the table of `wanted` where there is none."""
    try:
        return int(row[column])
    except (KeyError, ValueError) as error:
        raise InputError(
            f"The table of {wanted} has a row without a number in its column {column}; copy it again."
        ) from error


def file_name(row: Mapping[str, str], column: str, wanted: str) -> str:
    """The name of a file in a cell; an InputError where it is missing or a path, which would lead out of the folder."""
    name = row.get(column) or ""
    if not name or name != Path(name).name or "\\" in name or name.startswith("."):
        raise InputError(
            f"The table of {wanted} names {name!r} in its column {column}, which is no file's name; copy it again."
        )
    return name
