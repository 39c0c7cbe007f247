"""What is trained on: a folder of cut-outs, cubes and whole scans as they are, or the cache that `lnhg prepare` made.

In a folder cut-outs lie in `lidc_nodules/`, whole scans in `lidc_scans/`; cubes in `lidc_cubes/` and scans with one
outlined cancer in `qin_scans/`, where there are any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import InputError
from .cutouts import Cutout, read_cutouts
from .scans import LabelledScan, read_scan
from .splits import list_of


def cutouts_of(data: Path, patients: str, listed: Callable[[str], str] = list_of) -> list[Cutout]:
    """The nodules of one list of patients, cut-outs first, then cubes; `listed` says which list a patient is on.

    Raises InputError where there are none.
    """
    if _is_cache(data):
        from .cache import Cache  # needs h5py, which only a cache needs

        cache = Cache(data)
        found = cache.cutouts([patient for patient in cache.patients if listed(patient) == patients])
    else:
        every = [*read_cutouts(data / "lidc_nodules"), *cubes_in(data)]
        found = [cutout for cutout in every if listed(cutout.patient) == patients]
    if not found:
        raise InputError(f"{data} holds no nodule of a patient of the list {patients}; add some.")
    return found


def scans_of(data: Path, patients: str, listed: Callable[[str], str] = list_of) -> Iterator[LabelledScan]:
    """The whole scans of one list of patients, read one after the other; `listed` as above."""
    if _is_cache(data):
        from .cache import Cache

        cache = Cache(data)
        yield from cache.scans([patient for patient in cache.patients if listed(patient) == patients])
    else:
        for folder in scan_folders(data):
            if listed(folder.name) == patients:
                yield read_scan(folder)


def cubes_in(data: Path) -> list[Cutout]:
    """All cubes of a data folder; none where there is no `lidc_cubes/`."""
    folder = data / "lidc_cubes"
    return read_cutouts(folder) if folder.is_dir() else []


def scan_folders(data: Path) -> list[Path]:
    """The folders of all labelled whole scans of a data folder, each named after its patient."""
    parents = [data / "lidc_scans", *([data / "qin_scans"] if (data / "qin_scans").is_dir() else [])]
    return [folder for parent in parents for folder in sorted(parent.iterdir()) if folder.is_dir()]


def scan_patients(data: Path) -> list[str]:
    """Of each labelled whole scan its patient."""
    if not _is_cache(data):
        return [folder.name for folder in scan_folders(data)]
    from .cache import Cache

    return Cache(data).scan_patients


def _is_cache(data: Path) -> bool:
    return (data / "manifest.json").is_file()
