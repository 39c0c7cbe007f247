"""Tables that lie beside development images: CSV with a header."""

from __future__ import annotations

import csv
from pathlib import Path

from ..errors import InputError


def read_rows(table: Path, wanted: str) -> list[dict[str, str]]:
    """The rows of a CSV by their columns; where there is none, the InputError asks for the folder of `wanted`."""
    if not table.is_file():
        raise InputError(f"There is no {table.name} in {table.parent}; give the folder of {wanted}.")
    with table.open(newline="") as file:
        return list(csv.DictReader(file))
