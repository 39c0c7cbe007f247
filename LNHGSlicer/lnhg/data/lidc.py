"""LIDC-IDRI as downloaded: a tree with a folder of DICOM files for each series."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ..core.ct import CT
from ..errors import InputError
from ..readers.dicom_headers import Slice, read_slices
from ..readers.read_ct import read_ct
from ..stages.axial import axial_order
from .cache import PreparedScan
from .outlines import SeriesReadings, in_view, nodules_of
from .sources import Job, Source


def lidc_source(folder: Path, outlines: Mapping[str, SeriesReadings]) -> Source:
    """The CT series below `folder`; `outlines` by series UID."""
    jobs, broken, left_out = [], {}, {}
    files = sorted(file for file in folder.rglob("*.dcm") if not file.name.startswith("."))
    for place, group in itertools.groupby(files, key=lambda file: file.parent):
        name = str(place.relative_to(folder))
        try:
            jobs.append(_job(tuple(group), outlines))
        except _NoCT as reason:
            left_out[name] = str(reason)
        except InputError as error:
            broken[name] = str(error)
    return Source("LIDC-IDRI, DICOM", tuple(jobs), broken, left_out)


class _NoCT(InputError):
    """A series that is no CT, as radiographs are."""


def _job(files: tuple[Path, ...], outlines: Mapping[str, SeriesReadings]) -> Job:
    first = next(iter(read_slices(files[0])), None)
    if not isinstance(first, Slice):
        raise _NoCT(f"It is no CT: {first.reason if first else 'no DICOM file'}.")
    uid, patient = first.texts["SeriesInstanceUID"], first.texts["PatientID"]
    if uid not in outlines:
        raise InputError("The outlines do not name this series; give --annotations that do.")
    series = outlines[uid]
    if series.contradiction:
        raise InputError(series.contradiction)
    name = scan_name(series.patient or patient, uid)
    return Job(name, files, partial(_read, files, uid, series.patient or patient, series), series.digest, uid)


def scan_name(patient: str, uid: str) -> str:
    """The patient and the end of the series UID: eight patients of LIDC-IDRI have two scans."""
    return f"{patient}_{uid[-5:]}"


def _read(files: tuple[Path, ...], uid: str, patient: str, series: SeriesReadings) -> PreparedScan:
    ct = read_ct(files[0].parent, uid)
    if len(ct.hu) != len(files):
        raise InputError(
            f"Only {len(ct.hu)} of {len(files)} files are slices of one CT; give each series its own folder."
        )
    return outlined_scan(ct, patient, uid, series)


def outlined_scan(ct: CT, patient: str, uid: str, series: SeriesReadings) -> PreparedScan:
    """A CT as stored, with its outlines, in the axial view."""
    view = axial_order(ct)
    if view.axes != (0, 1, 2):
        raise InputError("Its slices are not axial, and outlines lie in axial slices; give the axial series.")
    nodules = tuple(in_view(nodule, view) for nodule in nodules_of(series, ct))
    return PreparedScan(scan_name(patient, uid), patient, uid, True, view.ct, nodules)
