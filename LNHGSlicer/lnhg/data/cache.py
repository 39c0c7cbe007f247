"""The training cache: one HDF5 file a scan, and a manifest that says what they hold.

Each file keeps the CT on its own grid in the axial view, with the outlines of every reader: targets are made from
outlines, samples are turned and scaled on the CT's own pixels before they shrink, and an evaluation on a coarser grid
would flatter small nodules. A whole scan is kept a second time on the network grid (half resolution, a quarter more
room), for training on whole slices, which are read from it in a tenth of the time.

An HDF5 file is written by one process at a time, so every scan has its own: they are written side by side, and a
finished one is a whole one. HDF5 as in the paper, not Zarr, which is no faster here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .. import __version__
from ..core.atomic_file import write_atomic
from ..core.ct import CT, fingerprint
from ..core.geometry import equivalent_diameter
from ..errors import InputError
from ..networks.grid import NetworkGrid, resized
from .cutouts import MOST_READERS, Cutout
from .likely_nodules import likely_nodules
from .outlines import LIDC_RATINGS, OutlinedNodule
from .scans import LabelledScan, near_reference

MANIFEST = "manifest.json"
#: Changes with the layout of the files; files of another layout are made anew.
FORMAT = "lnhg-cache-1"
#: The grid on which whole scans are kept a second time.
CACHE_GRID = NetworkGrid("paper")

# A triplet's patch lies in few chunks of the first kind, a whole slice in one of the second.
_CHUNK, _SLICE_CHUNK = (4, 128, 128), (1, 512, 512)
# Surroundings of a nodule that is cut from a whole scan: in the slice, and along the slices (at least one), mm.
_AROUND_MM, _ALONG_MM = 20.0, 3.0


@dataclass(frozen=True, eq=False)
class PreparedScan:
    """A CT in the axial view with its outlined nodules, as a source gives it.

    Attributes:
        name: of its file; unique in the cache.
        series_uid: None where the source does not say.
        whole: whether it is a whole scan; else it is a cut-out around its nodules.
        complete: whether every nodule in it is marked.
    """

    name: str
    patient: str
    series_uid: str | None
    whole: bool
    ct: CT
    nodules: tuple[OutlinedNodule, ...]
    complete: bool = True


class Cache:
    """The scans and nodules that `lnhg prepare` wrote into a folder."""

    def __init__(self, folder: Path) -> None:
        """Raises InputError where the folder holds no cache."""
        path = folder / MANIFEST
        if not path.is_file():
            raise InputError(f"There is no {MANIFEST} in {folder}; make the cache with lnhg prepare.")
        self._folder = folder
        try:
            self._records: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["scans"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(f"{path} is damaged, or not that of a cache; run lnhg prepare again.") from error

    @property
    def patients(self) -> tuple[str, ...]:
        """All patients, sorted."""
        return tuple(sorted({record["patient"] for record in self._records}))

    @property
    def scan_patients(self) -> list[str]:
        """Of each whole scan its patient."""
        return [record["patient"] for record in self._records if record["whole"]]

    def cutouts(self, patients: Collection[str]) -> list[Cutout]:
        """Each nodule of these patients in its surroundings; other nodules in view are not marked.

        Of a patient who has both, cut-outs are taken and not the same nodules of whole scans. Nodules of more than four
        readers (two that were taken for one), and those without a voxel that half of the readers outlined, are left
        out.
        """
        wanted = [record for record in self._records if record["patient"] in patients]
        apart = {record["patient"] for record in wanted if not record["whole"]}
        return [
            cutout
            for record in wanted
            if not (record["whole"] and record["patient"] in apart)
            for cutout in self._cutouts(record)
        ]

    def _cutouts(self, record: Mapping[str, Any]) -> Iterator[Cutout]:
        if not record["nodules"]:
            return
        with _opened(self._folder, record) as file:
            for values, nodule in zip(record["nodules"], _nodules(file, record), strict=True):
                if nodule.reader_count <= MOST_READERS and nodule.consensus.any():
                    yield _cutout(file["hu"], record, values, nodule)

    def scans(self, patients: Collection[str], *, on_network_grid: bool = False) -> Iterator[LabelledScan]:
        """The whole scans of these patients, read one after the other; on the CT's own grid or on `CACHE_GRID`."""
        for record in self._records:
            if record["whole"] and record["patient"] in patients:
                with _opened(self._folder, record) as file:
                    yield _network_scan(file, record) if on_network_grid else _labelled(_read(file, record))


def write_scan(path: Path, scan: PreparedScan, stamp: str, made_from: str = "") -> None:
    """Write one scan; `path` appears when it is whole. `stamp` changes with its files, `made_from` is their source."""
    record = _record(scan, path.name, stamp) | {"made_from": made_from}
    # In memory first: where the disk is full the HDF5 library ends the program when it closes its file.
    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        _store(file, "hu", scan.ct.hu, _CHUNK)
        for number, nodule in enumerate(scan.nodules):
            _store(file, f"nodules/{number}", nodule.readers, nodule.readers.shape)
        if scan.whole:
            small = _shrunk(_labelled(scan), CACHE_GRID)
            record["network"] = {"grid": CACHE_GRID.as_dict(), "ijk_to_ras": small.ct.ijk_to_ras.tolist()}
            for name, values in (("hu", small.ct.hu), ("reference", small.reference), ("doubtful", small.doubtful)):
                _store(file, f"network/{name}", values, _SLICE_CHUNK)
        file["record"] = json.dumps(record)
        file.flush()
        content = file.id.get_file_image()
    write_atomic(path, content)


def read_record(path: Path) -> dict[str, Any] | None:
    """What a file of the cache says of itself, as in the manifest and with its stamp; None if it is damaged or
    foreign.
    """
    try:
        with h5py.File(path) as file:
            record: dict[str, Any] = json.loads(file["record"][()])
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, RecursionError):
        return None
    return record if isinstance(record, dict) and record.get("format") == FORMAT else None


def is_foreign(path: Path) -> bool:
    """Whether a file is whole HDF5, but was not written by `write_scan`; damaged ones are taken for ours."""
    try:
        with h5py.File(path) as file:
            return "record" not in file
    except (OSError, RuntimeError):
        return False


def _store(file: h5py.File, name: str, values: np.ndarray, chunk: tuple[int, ...]) -> None:
    chunks = tuple(min(most, size) for most, size in zip(chunk, values.shape, strict=True))
    # A chunk that is damaged later fails its checksum when it is read.
    file.create_dataset(name, data=values, chunks=chunks, compression="gzip", shuffle=True, fletcher32=True)


def _record(scan: PreparedScan, file: str, stamp: str) -> dict[str, Any]:
    outlines = hashlib.sha256()
    for nodule in scan.nodules:
        outlines.update(repr(nodule.start).encode() + nodule.readers.tobytes())
    return {
        "format": FORMAT,
        "lnhg": __version__,
        "stamp": stamp,
        "name": scan.name,
        "file": file,
        "patient": scan.patient,
        "series_uid": scan.series_uid,
        "whole": scan.whole,
        "complete": scan.complete,
        "shape": list(scan.ct.hu.shape),
        "spacing_mm": list(scan.ct.spacing),
        "ijk_to_ras": scan.ct.ijk_to_ras.tolist(),
        "sha256": {"ct": fingerprint(scan.ct.hu, scan.ct.ijk_to_ras), "outlines": outlines.hexdigest()},
        "source": dict(scan.ct.source),
        "warnings": list(scan.ct.warnings),
        "nodules": [_nodule_record(scan, number, nodule) for number, nodule in enumerate(scan.nodules)],
    }


def _nodule_record(scan: PreparedScan, number: int, nodule: OutlinedNodule) -> dict[str, Any]:
    voxels = np.argwhere(nodule.readers) + nodule.start
    volume = float(nodule.consensus.sum() * scan.ct.voxel_volume)
    return {
        "name": f"{scan.name}_{number + 1}" if scan.whole or len(scan.nodules) > 1 else scan.name,
        "start": list(nodule.start),
        "centre_ras": scan.ct.to_ras(voxels.mean(0)[::-1]).tolist() if len(voxels) else None,
        "consensus_volume_mm3": volume,
        "readers": nodule.reader_count,
        "reference": nodule.reference,
        "ratings": {"diameter_mm": equivalent_diameter(volume), **nodule.ratings},
        "reader_ratings": [dict(one) for one in nodule.reader_ratings],
    }


@contextmanager
def _opened(folder: Path, record: Mapping[str, Any]) -> Iterator[h5py.File]:
    """The file that a record of the manifest tells of; InputError where it is another one, or cannot be read."""
    path = folder / Path(record["file"]).name
    made = read_record(path)
    if made is None:
        raise InputError(f"{path.name} of the cache is missing or damaged; run lnhg prepare again.")
    if made["stamp"] != record["stamp"]:
        raise InputError(f"{path.name} of the cache is not the one that {MANIFEST} tells of; run lnhg prepare again.")
    try:
        with h5py.File(path) as file:
            yield file
    except (OSError, RuntimeError, KeyError) as error:
        raise InputError(f"{path.name} of the cache is damaged; remove it and run lnhg prepare again.") from error


def _read(file: h5py.File, record: Mapping[str, Any]) -> PreparedScan:
    ct = CT(file["hu"][:], np.array(record["ijk_to_ras"]), warnings=tuple(record["warnings"]), source=record["source"])
    nodules = tuple(_nodules(file, record))
    name, patient, uid, whole_scan = (record[key] for key in ("name", "patient", "series_uid", "whole"))
    return PreparedScan(name, patient, uid, whole_scan, ct, nodules, _complete(record))


def _complete(record: Mapping[str, Any]) -> bool:
    """Whether every nodule is marked; files of before this was told hold such scans alone."""
    return bool(record.get("complete", True))


def _nodules(file: h5py.File, record: Mapping[str, Any]) -> Iterator[OutlinedNodule]:
    for number, values in enumerate(record["nodules"]):
        readers, ratings = file[f"nodules/{number}"][:], tuple(values["reader_ratings"])
        yield OutlinedNodule(tuple(values["start"]), readers, values["readers"], values["reference"], ratings)


def _cutout(hu: h5py.Dataset, record: Mapping[str, Any], values: Mapping[str, Any], nodule: OutlinedNodule) -> Cutout:
    """A nodule with what lies around it; the cut-outs of a source are taken whole."""
    margins = np.array(hu.shape)
    if record["whole"]:
        margins = np.ceil(np.array([_ALONG_MM, _AROUND_MM, _AROUND_MM]) / record["spacing_mm"][::-1]).astype(int)
    first, last = np.array(nodule.start), np.array(nodule.start) + nodule.readers.shape
    low, high = np.maximum(first - margins, 0), np.minimum(last + margins, hu.shape)
    moved = np.eye(4)
    moved[:3, 3] = low[::-1]
    ct = CT(hu[tuple(slice(a, b) for a, b in zip(low, high, strict=True))], np.array(record["ijk_to_ras"]) @ moved)
    readers = np.pad(nodule.readers, list(zip(first - low, high - last, strict=True)))
    ratings = {**dict.fromkeys(LIDC_RATINGS.values(), float("nan")), **values["ratings"]}
    return Cutout(values["name"], record["patient"], ct, readers, nodule.reader_count, ratings)


def _labelled(scan: PreparedScan) -> LabelledScan:
    """The reference and doubtful voxels, as `scans.read_scan` tells them apart; labels are the nodules' numbers."""
    reference, outlined = np.zeros(scan.ct.hu.shape, np.uint8), np.zeros(scan.ct.hu.shape, bool)
    for number, nodule in enumerate(scan.nodules, 1):
        outlined[nodule.box] |= nodule.readers > 0
        if nodule.reference:
            reference[nodule.box][nodule.consensus] = number
    doubtful = outlined & (reference == 0)
    if doubtful.any():
        doubtful &= ~near_reference(reference)
    if not scan.complete:
        doubtful = likely_nodules(scan.patient, scan.ct)
    return LabelledScan(scan.patient, scan.ct, reference, doubtful, scan.complete)


def _shrunk(scan: LabelledScan, grid: NetworkGrid) -> LabelledScan:
    """A scan on a network grid, in HU; a voxel there has the label that fills at least half of it."""
    steps = grid.steps(scan.ct.hu.shape[1:], scan.ct.spacing[:2])
    scale = 1 / steps[0], 1 / steps[1]
    hu = np.rint(resized(scan.ct.hu, scale)).astype(np.int16)
    reference = np.zeros(hu.shape, np.uint8)
    for number in np.unique(scan.reference[scan.reference > 0]):
        _mark(reference, scan.reference == number, scale, number)
    doubtful = np.zeros(hu.shape, bool)
    _mark(doubtful, scan.doubtful, scale, True)
    widened = np.diag([steps[1], steps[0], 1.0, 1.0])
    widened[:2, 3] = 0.5 * steps[1] - 0.5, 0.5 * steps[0] - 0.5
    ct = replace(scan.ct, hu=hu, ijk_to_ras=scan.ct.ijk_to_ras @ widened)
    return LabelledScan(scan.patient, ct, reference, doubtful, scan.complete)


def _mark(small: np.ndarray, mask: np.ndarray, scale: tuple[float, float], value: int) -> None:
    """Set `small` to `value` where `mask` fills half a voxel, in the slices that show it."""
    slices = np.flatnonzero(mask.any((1, 2)))
    if len(slices):
        shown = small[slices]
        shown[resized(mask[slices], scale) >= 0.5] = value
        small[slices] = shown


def _network_scan(file: h5py.File, record: Mapping[str, Any]) -> LabelledScan:
    hu, reference, doubtful = (file[f"network/{name}"][:] for name in ("hu", "reference", "doubtful"))
    ct = CT(hu, np.array(record["network"]["ijk_to_ras"]))
    return LabelledScan(record["patient"], ct, reference, doubtful, _complete(record))
