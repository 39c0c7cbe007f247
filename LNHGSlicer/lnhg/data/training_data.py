"""What is trained on: a folder of cut-outs and whole scans as they are, or the cache that `lnhg prepare` made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import InputError
from .cutouts import Cutout, read_cutouts
from .scans import LabelledScan, read_scan
from .splits import list_of


def cutouts_of(data: Path, patients: str, listed: Callable[[str], str] = list_of) -> list[Cutout]:
    """The nodules of one list of patients; `listed` says which list a patient is on.

    Raises InputError where there are none.
    """
    if _is_cache(data):
        from .cache import Cache  # needs h5py, which only a cache needs

        cache = Cache(data)
        found = cache.cutouts([patient for patient in cache.patients if listed(patient) == patients])
    else:
        found = [cutout for cutout in read_cutouts(data / "lidc_nodules") if listed(cutout.patient) == patients]
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
        for folder in sorted((data / "lidc_scans").iterdir()):
            if listed(folder.name) == patients:
                yield read_scan(folder)


def _is_cache(data: Path) -> bool:
    return (data / "manifest.json").is_file()
