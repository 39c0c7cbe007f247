"""Folders that are prepared by hand: nodule cut-outs (`cutouts.py`) and labelled whole scans (`scans.py`)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from ..core.ct import CT
from .cache import PreparedScan
from .cutouts import MOST_READERS, read_cutout
from .images import read_ct_image, read_label_image
from .outlines import OutlinedNodule, is_reference, of_readers
from .scans import READERS, Outliners, outliners_of
from .sources import Job, Source
from .tables import file_name, read_rows, whole_number


def cutouts_source(folder: Path) -> Source:
    """The cut-outs of a folder; those whose readers are two nodules' are left out, as in `read_cutouts`."""
    jobs, left_out = [], {}
    for row in read_rows(folder / "nodules.csv", "the nodule cut-outs"):
        name = file_name(row, "nodule", "the nodule cut-outs")
        if whole_number(row, "readers", "the nodule cut-outs") > MOST_READERS:
            left_out[name] = f"It has {row['readers']} readers: two nodules were taken for one."
            continue
        files = tuple(folder / f"{name}.{part}.nrrd" for part in ("ct", "readers"))
        read = partial(_read_cutout, folder, row)
        jobs.append(Job(name, files, read, repr(sorted(row.items())), row.get("seriesuid")))
    return Source("nodule cut-outs", tuple(jobs), {}, left_out)


def scans_source(folder: Path) -> Source:
    """The labelled scans in a folder, each in a folder of its own named after the patient."""
    jobs, broken = [], {}
    for table in sorted(folder.glob("*/nodules.csv")):
        files = tuple(sorted(file for file in table.parent.iterdir() if file.suffix in (".csv", ".nrrd")))
        jobs.append(Job(table.parent.name, files, partial(_read_scan, table.parent)))
    for place in sorted(folder.glob("*/ct.nrrd")):
        if not (place.parent / "nodules.csv").is_file():
            broken[place.parent.name] = "It has no nodules.csv."
    return Source("labelled scans", tuple(jobs), broken)


def is_cutouts(folder: Path) -> bool:
    """Whether a folder holds nodule cut-outs."""
    table = folder / "nodules.csv"
    rows = read_rows(table, "the nodule cut-outs") if table.is_file() else []
    return bool(rows) and "nodule" in rows[0]


def is_scans(folder: Path) -> bool:
    """Whether a folder holds labelled scans."""
    return any(folder.glob("*/nodules.csv"))


def _read_cutout(folder: Path, row: Mapping[str, str]) -> PreparedScan:
    cutout = read_cutout(folder, row)
    ratings = {name: value for name, value in cutout.ratings.items() if not math.isnan(value)}
    nodule = of_readers(cutout.readers, cutout.reader_count, [ratings], sure=is_reference(cutout.reader_count))
    return PreparedScan(cutout.name, cutout.patient, row.get("seriesuid"), False, cutout.ct, (nodule,))


_SCAN_RATINGS = {
    "malignancy": "malignancy",
    "texture": "texture",
    "subtlety": "Subtlety",
    "equivalent_diameter_mm": "diameter_mm",
}


def _read_scan(folder: Path) -> PreparedScan:
    ct = read_ct_image(folder / "ct.nrrd")
    rows = read_rows(folder / "nodules.csv", "a labelled scan")
    by = outliners_of(folder)
    nodules: tuple[OutlinedNodule, ...] = ()
    if rows:
        consensus = read_label_image(folder / "consensus.nrrd", ct)
        nodules = tuple(_of_scan(consensus, read_label_image(folder / by.file, ct), rows, by, ct))
    return PreparedScan(folder.name, folder.name, None, True, ct, nodules, by.complete)


def _of_scan(
    consensus: np.ndarray, outlined: np.ndarray, rows: Sequence[Mapping[str, str]], by: Outliners, ct: CT
) -> Iterator[OutlinedNodule]:
    """The nodules of a scan's table. What algorithms outlined is kept as one outline, their consensus."""
    if by.counted != READERS.counted:
        for row in rows:
            own = (consensus == int(row["label"])).astype(np.uint8)
            yield of_readers(own, 1, [_ratings(row)], sure=int(row[by.counted]) >= by.enough)
        return
    voxels, inside = np.argwhere(outlined), np.argwhere(consensus)
    # Readers share one map: each outlined voxel belongs to the nodule whose consensus is nearest.
    _, nearest = cKDTree(inside * ct.spacing[::-1]).query(voxels * ct.spacing[::-1])
    owner = consensus[tuple(inside[nearest].T)]
    for row in rows:
        yield _scan_nodule(outlined, voxels[owner == int(row["label"])], row)


def _scan_nodule(readers: np.ndarray, voxels: np.ndarray, row: Mapping[str, str]) -> OutlinedNodule:
    own = np.zeros_like(readers)
    own[tuple(voxels.T)] = readers[tuple(voxels.T)]
    return of_readers(own, int(row["readers"]), [_ratings(row)], sure=is_reference(int(row["readers"])))


def _ratings(row: Mapping[str, str]) -> dict[str, float]:
    return {name: float(row[column]) for column, name in _SCAN_RATINGS.items() if row.get(column)}
