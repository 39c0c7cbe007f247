"""CSV files in the form of the LUNA16 challenge: a place a row, with the scan it lies in; LPS, mm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..core.csv_text import read_csv
from ..core.plain_file import content_of
from ..errors import InputError
from .detections import ReferenceNodule

SERIES, PLACE, PROBABILITY, DIAMETER = "seriesuid", ("coordX", "coordY", "coordZ"), "probability", "diameter_mm"

#: The files of the challenge's own folder of annotations: the nodules, what is neither right nor wrong, and the scans.
NODULES, EXCLUDED, SCANS = "annotations.csv", "annotations_excluded.csv", "seriesuids.csv"

# What LUNA16 takes for the diameter of an excluded place that has none (-1).
_UNKNOWN_MM = 10.0


def read_rows(path: Path, wanted: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV that has the columns `wanted`, and may have more. Raises InputError for any other file."""
    columns, rows = read_csv(path, wanted)
    if not set(wanted) <= set(columns):
        raise InputError(f"{path.name} is not the table expected here; it needs the columns {', '.join(wanted)}.")
    return rows


def numbers(path: Path, row: Mapping[str, str], columns: Iterable[str]) -> np.ndarray:
    """The figures in some columns of a row. Raises InputError where one is missing or not finite."""
    try:
        found = np.array([float(row[name]) for name in columns])
    except (TypeError, ValueError) as error:
        raise InputError(f"{path.name} holds a row without numbers ({_named(row)}); write it again.") from error
    if not np.isfinite(found).all():
        raise InputError(f"{path.name} holds a row with figures that are not finite ({_named(row)}); write it again.")
    return found


def _named(row: Mapping[str, str]) -> str:
    return next(iter(row.values()))


def to_ras(lps: np.ndarray) -> tuple[float, float, float]:
    """A point of these files in RAS, mm."""
    left, posterior, superior = (float(value) for value in lps)
    return -left, -posterior, superior


def read_annotations(folder: Path) -> dict[str, list[ReferenceNodule]]:
    """The nodules and the excluded places of every scan that the challenge lists, by the scan's UID.

    Raises InputError where one of the three files is missing or damaged.
    """
    scans: dict[str, list[ReferenceNodule]] = {uid: [] for uid in _listed(folder / SCANS)}
    for name, counts in ((NODULES, True), (EXCLUDED, False)):
        for row in read_rows(folder / name, (SERIES, *PLACE, DIAMETER)):
            if row[SERIES] in scans:
                *place, diameter = numbers(folder / name, row, (*PLACE, DIAMETER))
                radius = (_UNKNOWN_MM if diameter < 0 else float(diameter)) / 2
                scans[row[SERIES]].append(ReferenceNodule(to_ras(np.array(place)), radius, counts))
    return scans


def _listed(path: Path) -> list[str]:
    """The UIDs of a file with one a line."""
    if not path.is_file():
        raise InputError(f"There is no {path.name} in {path.parent}; give the folder of annotations as LUNA16 has it.")
    try:
        lines = content_of(path).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path.name} cannot be read as text; give the folder of annotations as LUNA16 has it."
        ) from error
    return [uid for line in lines if (uid := line.strip()) and uid != SERIES]
