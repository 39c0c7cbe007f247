"""Tables that lie beside development images: CSV with a header."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TextIO

from ..errors import InputError


def read_rows(table: Path, wanted: str) -> list[dict[str, str]]:
    """The rows of a CSV by their columns; where there is none, the InputError asks for the folder of `wanted`."""
    with _opened(table, wanted) as file:
        return list(csv.DictReader(file))


def read_columns(table: Path, wanted: str) -> tuple[str, ...]:
    """The columns of a CSV, which may have no row; InputError as for `read_rows`."""
    with _opened(table, wanted) as file:
        return tuple(csv.DictReader(file).fieldnames or ())


def _opened(table: Path, wanted: str) -> TextIO:
    if not table.is_file():
        raise InputError(f"There is no {table.name} in {table.parent}; give the folder of {wanted}.")
    return table.open(newline="")
