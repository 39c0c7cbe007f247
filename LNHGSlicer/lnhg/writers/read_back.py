"""The result of a run read back from its files, as the Slicer module does after a run in a process of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..categories.proposals import Proposal, proposals
from ..core.answers import answers_of_record
from ..core.comparison import comparisons_of_record
from ..core.ct import CT
from ..core.geometry import corners_apart
from ..core.nodule import Nodule, from_row, note_on_columns
from ..core.plain_file import mapping_of
from ..core.result import Result
from ..errors import InputError
from ..options import options_of_record
from ..readers.image_file import read_beside
from .own_files import foreign_files
from .record import FORMAT
from .results import FILES_FOR_SCENE

# How far a corner of a result may lie from that of its CT, mm: far below a voxel, far above what a file rounds.
_CORNER_MM = 0.01
# What the record says of the input beside `CT.source`: names of this format, and of format 1, which had titles for
# keys.
_GRID = ("size_ijk_voxels", "spacing_ijk_mm", "ijk_to_ras_mm")
_GRID_1 = ("size (columns, rows, slices)", "spacing (columns, rows, slices; mm)", "ijk to RAS")
_FORMAT_1 = "lnhg-result-1"


def load_result(folder: Path, ct: CT) -> Result:
    """The result that `results.save(..., for_scene=True)` wrote, as it was; figures of the table have 4 decimal places.

    A folder written without `for_scene` is read too; G(x) and what is unconfirmed are 0 then. So is one of an older
    version, from format 1 on; what it did not measure is missing in the nodules, and sentences among the warnings name
    it.

    Args:
        folder: with the files of one run.
        ct: the CT that the run was made from; what the run found out about its source is added to it.

    Raises InputError when a file is missing or damaged, or lies on another grid than `ct`.
    """
    files = {name: folder / file for name, file in FILES_FOR_SCENE.items()}
    try:
        told = _told(mapping_of(files["record"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"The record {files['record'].name} of the run cannot be read; run again.") from error
    labels = _volume(files["labels"], ct).astype(np.uint16)
    image = _volume(files["generated"], ct) if files["generated"].exists() else np.zeros(labels.shape, np.float32)
    unconfirmed = _volume(files["unconfirmed"], ct) if files["unconfirmed"].exists() else np.zeros_like(labels)
    heterogeneity = _volume(files["heterogeneity"], ct)
    changed = foreign_files(folder, [files[name].name for name in ("record", "labels", "heterogeneity")])
    if changed:
        raise InputError(
            f"{', '.join(changed)} in {folder.name} is not as the run wrote it; run again, or give all files of one "
            f"run."
        )
    if set(np.unique(labels)) - {0} != {nodule.id for nodule in told.nodules}:
        raise InputError(
            f"{files['labels'].name} holds other nodules than {files['record'].name}; give all files of one run."
        )
    return told.result(ct, labels, heterogeneity, image, unconfirmed)


def result_of_record(
    record: Mapping[str, Any], ct: CT, labels: np.ndarray, heterogeneity: np.ndarray, image: np.ndarray
) -> Result:
    """The result of which `run_record` made this record, with its volumes as `Result` has them; what is unconfirmed is
    0.

    Raises KeyError, TypeError, ValueError or InputError for what is no such record.
    """
    return _told(record).result(ct, labels, heterogeneity, image, np.broadcast_to(np.uint16(0), labels.shape))


@dataclass(frozen=True)
class _Told:
    """What a record says of a run; `source` is that of its CT."""

    source: Mapping[str, Any]
    nodules: tuple[Nodule, ...]
    others: Mapping[str, Any]

    def result(
        self, ct: CT, labels: np.ndarray, heterogeneity: np.ndarray, image: np.ndarray, unconfirmed: np.ndarray
    ) -> Result:
        return Result(
            replace(ct, source=self.source),
            labels,
            heterogeneity,
            lambda: image,
            unconfirmed,
            self.nodules,
            **self.others,
        )


def _told(record: Mapping[str, Any]) -> _Told:
    _check_format(record["format"])
    nodules = tuple(from_row(row) for row in record["nodules"])
    options, note = options_of_record(record["options"])
    notes = (note_on_columns(record["nodules"][0]) if nodules else "", note)
    source = {key: value for key, value in record["input"].items() if key not in (*_GRID, *_GRID_1)}
    others = {
        "candidates": _candidates(record),
        "options": options,
        "provenance": _provenance(record),
        "warnings": (*record["warnings"], *filter(None, notes)),
        "answers": answers_of_record(record.get("answers", {})),
        "comparisons": comparisons_of_record(record.get("comparisons", {})),
    }
    return _Told(source, nodules, others)


def load_reading(folder: Path) -> tuple[tuple[Proposal, ...], str]:
    """What the record of a run holds without its CT: what is proposed of its nodules, and the template of the sentence.

    Raises InputError when the record is missing, damaged or of a later format.
    """
    check_is_result(folder)
    try:
        record = mapping_of(folder / FILES_FOR_SCENE["record"])
        _check_format(record["format"])
        nodules = tuple(from_row(row) for row in record["nodules"])
        options, _ = options_of_record(record["options"])
        answers = answers_of_record(record.get("answers", {}))
        comparisons = comparisons_of_record(record.get("comparisons", {}))
        read = proposals(nodules, answers, comparisons), options.sentence
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{folder} holds no record of a run that can be read; give a folder that segment wrote."
        ) from error
    if foreign_files(folder, [FILES_FOR_SCENE["record"]]):
        raise InputError(
            f"The record {FILES_FOR_SCENE['record']} in {folder.name} is not as the run wrote it; run again, or give "
            "the record of the run."
        )
    return read


def check_is_result(folder: Path) -> None:
    """Raise InputError for what is no folder, or one that holds no record of a run."""
    record = FILES_FOR_SCENE["record"]
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        raise InputError(f"{folder} {what}; give a folder that segment wrote.")
    if not (folder / record).exists():
        raise InputError(f"{folder} holds no result of a run ({record}); give a folder that segment wrote.")


def _provenance(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """How a run was made, with what is read of it as it must be; raises ValueError or TypeError otherwise."""
    provenance: Mapping[str, Any] = dict(record["provenance"])
    math.fsum(provenance.get("seconds", {}).values())
    for told in provenance.get("weights", {}).values():
        dict(told.get("loss", {}))
    return provenance


def _candidates(record: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The candidates; raises ValueError, KeyError or TypeError where a score or a corner of a box is no number."""
    candidates: tuple[Mapping[str, Any], ...] = tuple(record["candidates"])
    for one in candidates:
        float(one["score"])
        np.array(one["boxes_ras"], float).reshape(-1, 4, 3)
    return candidates


def _check_format(found: object) -> None:
    if found != _FORMAT_1 and not (isinstance(found, int) and 1 < found <= FORMAT):
        raise InputError(f"The results have format {found}, this version of LNHG reads up to {FORMAT}; update LNHG.")


def check_grid(name: str, shape: tuple[int, ...], ijk_to_ras: np.ndarray, ct: CT) -> None:
    """Raise InputError unless a volume `[slice, row, column]` of `shape` under `ijk_to_ras` lies voxel on voxel on
    `ct`.
    """
    if shape != ct.hu.shape:
        sizes = " and ".join(" x ".join(map(str, size[::-1])) for size in (shape, ct.hu.shape))
        raise InputError(f"The sizes of {name} and the CT differ ({sizes} voxels); nothing was taken over, run again.")
    apart = corners_apart(ijk_to_ras, ct.ijk_to_ras, shape)
    if not apart <= _CORNER_MM:
        raise InputError(f"{name} lies {apart:.3g} mm away from the CT; nothing was taken over, run again.")


def _volume(path: Path, ct: CT) -> np.ndarray:
    """A volume `[slice, row, column]`, on the grid of `ct`."""
    try:
        volume = read_beside(path)
    except InputError as error:
        raise InputError(f"The file {path.name} of the run is missing or damaged; run again.") from error
    check_grid(path.name, volume.values.shape, volume.ijk_to_ras, ct)
    return volume.values
