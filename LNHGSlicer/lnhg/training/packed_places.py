"""Everything that the generator trains on in one small file: for a machine that the data folder does not reach.

A ZIP of arrays as NumPy reads it, compressed by LZMA, and a JSON of what they are.
"""

from __future__ import annotations

import io
import json
import lzma
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.atomic_file import whole
from ..core.ct import CT
from ..data.cutouts import Cutout
from ..errors import InputError
from .generator_samples import Place

FORMAT = "lnhg-packed-1"
_INDEX = "index.json"


@dataclass(frozen=True, eq=False)
class Packed:
    """What the generator trains on.

    Attributes:
        train, select: the nodules of both lists.
        background: places of whole scans, masses among them.
        scan_patients: the patients of these scans.
    """

    train: Sequence[Cutout]
    select: Sequence[Cutout]
    background: Sequence[Place]
    scan_patients: Sequence[str]


def write_packed(path: Path, packed: Packed) -> None:
    """Write it all; `path` appears when it is whole."""
    index: dict[str, Any] = {"format": FORMAT, "scan_patients": list(packed.scan_patients)}
    with whole(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_LZMA) as file:
        for name, cutouts in (("train", packed.train), ("select", packed.select)):
            for number, cutout in enumerate(cutouts):
                _store(file, f"{name}/{number}/hu", cutout.ct.hu)
                _store(file, f"{name}/{number}/readers", cutout.readers)
            index[name] = [_described_cutout(cutout) for cutout in cutouts]
        for number, place in enumerate(packed.background):
            _store(file, f"background/{number}/hu", place.hu)
            _store(file, f"background/{number}/target", place.target.astype(bool))
            if place.off_lungs is not None:
                _store(file, f"background/{number}/off_lungs", place.off_lungs)
        index["background"] = [_described_place(place) for place in packed.background]
        file.writestr(_INDEX, json.dumps(index))


def is_packed(path: Path) -> bool:
    """Whether a file is one that `write_packed` wrote, of any version."""
    try:
        with zipfile.ZipFile(path) as file:
            return "scan_patients" in json.loads(file.read(_INDEX))
    except (OSError, KeyError, ValueError, TypeError, EOFError, RuntimeError, lzma.LZMAError, zipfile.BadZipFile):
        return False


def read_packed(path: Path) -> Packed:
    """All of it. Raises InputError for another file, or a damaged one."""
    try:
        with zipfile.ZipFile(path) as file:
            index = json.loads(file.read(_INDEX))
            if index["format"] != FORMAT:
                raise InputError(
                    f"{path.name} was packed by another version; pack the data again with lnhg export training."
                )
            train, select = (list(_cutouts(file, name, index[name])) for name in ("train", "select"))
            return Packed(train, select, list(_places(file, index["background"])), tuple(index["scan_patients"]))
    except (InputError, MemoryError):
        raise
    except Exception as error:  # zips, JSON and arrays raise many kinds where they are damaged
        raise InputError(
            f"{path.name} holds no packed training data, or is damaged; pack the data again with lnhg export training."
        ) from error


def _store(file: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    buffer = io.BytesIO()
    # Neighbours are alike: differences along the rows take less room. They wrap around, and so do their sums.
    steps = np.diff(array, axis=-1, prepend=array.dtype.type(0)) if array.dtype == np.int16 else array
    np.save(buffer, np.ascontiguousarray(steps))
    file.writestr(name, buffer.getvalue())


def _array(file: zipfile.ZipFile, name: str) -> np.ndarray:
    array: np.ndarray = np.load(io.BytesIO(file.read(name)))
    return np.cumsum(array, axis=-1, dtype=np.int16) if array.dtype == np.int16 else array


def _described_cutout(cutout: Cutout) -> dict[str, Any]:
    return {
        "name": cutout.name,
        "patient": cutout.patient,
        "ijk_to_ras": cutout.ct.ijk_to_ras.tolist(),
        "reader_count": cutout.reader_count,
        "ratings": dict(cutout.ratings),
    }


def _cutouts(file: zipfile.ZipFile, name: str, described: Sequence[dict[str, Any]]) -> Iterator[Cutout]:
    for number, one in enumerate(described):
        ct = CT(_array(file, f"{name}/{number}/hu"), np.array(one["ijk_to_ras"]))
        readers = _array(file, f"{name}/{number}/readers")
        yield Cutout(one["name"], one["patient"], ct, readers, one["reader_count"], one["ratings"])


def _described_place(place: Place) -> dict[str, Any]:
    return {
        "spacing": list(place.spacing),
        "slices": [int(k) for k in place.slices],
        "centre": list(place.centre),
        "mass": place.mass,
        "far": place.far,
        "off_lungs": place.off_lungs is not None,
    }


def _places(file: zipfile.ZipFile, described: Sequence[dict[str, Any]]) -> Iterator[Place]:
    for number, one in enumerate(described):
        hu, target = (_array(file, f"background/{number}/{part}") for part in ("hu", "target"))
        off_lungs = _array(file, f"background/{number}/off_lungs") if one["off_lungs"] else None
        spacing, centre = tuple(one["spacing"]), tuple(one["centre"])
        yield Place(hu, target, spacing, one["slices"], centre, mass=one["mass"], far=one["far"], off_lungs=off_lungs)
