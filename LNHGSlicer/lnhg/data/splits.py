"""Who is trained on: every patient belongs to one list, and so do all of a patient's nodules and scans.

`train` fits weights, `select` chooses thresholds and checkpoints, `report` gives the figures that are printed. The
lists of the shipped weights are fixed; folds of any patients are drawn from a seed and kept in a file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from ..core.written_files import write_own
from ..errors import InputError

# Patients with a whole scan are placed by hand, so that each list has scans with nodules.
_PLACED = {
    "LIDC-IDRI-0001": "train",
    "LIDC-IDRI-0005": "train",
    "LIDC-IDRI-0028": "train",
    "LIDC-IDRI-0063": "select",
    "LIDC-IDRI-0306": "select",
    "LIDC-IDRI-0023": "report",
    "QIN-LSC-0003": "train",
    "QIN-LSC-0014": "report",
    "QIN-LSC-0028": "train",
    "QIN-LSC-0064": "report",
    "QIN-LUNG-01-0013": "train",
}
# The collection Lung-PET-CT-Dx, also by the names of its patients.
_REPORTING = ("Lung-PET-CT-Dx", "Lung_Dx-")
# What is trained in the second fold sees no scan of this collection: its figures there are those of a maker not seen.
_UNSEEN_IN_SECOND_FOLD = "QIN-"

LISTS = ("train", "select", "report")


def list_of(patient: str) -> str:
    """`train`, `select` or `report`. LIDC-IDRI patients go by the last digit of their number: 0 and 1 report, 2 select.

    Patients of other collections are trained on, except those of Lung-PET-CT-Dx, which report. Those with a labelled
    whole scan are placed by hand, so two of the four cancers of `qin_scans` report.
    """
    if patient in _PLACED:
        return _PLACED[patient]
    if patient.startswith("LIDC-IDRI-"):
        return {"0": "report", "1": "report", "2": "select"}.get(patient[-1], "train")
    return "report" if patient.startswith(_REPORTING) else "train"


def list_in_second_fold(patient: str) -> str:
    """The list of a patient when the whole scans change sides: those of `train` report, the others are trained on.

    All nodules of these patients go with their scans; every other patient stays where `list_of` says. Patients of the
    collection of `qin_scans` all report.
    """
    if patient.startswith(_UNSEEN_IN_SECOND_FOLD):
        return "report"
    if patient in _PLACED:
        return "report" if _PLACED[patient] == "train" else "train"
    return list_of(patient)


#: The two folds of the whole scans, by number: the list of a patient in each.
SCAN_FOLDS = {1: list_of, 2: list_in_second_fold}


def write_folds(path: Path, patients: Collection[str], count: int, seed: int) -> None:
    """Deal the patients out to `count` folds of like size; the same patients and seed give the same folds.

    Raises InputError where there are fewer patients than folds, or a file that this program did not write is there.
    """
    if not 2 <= count <= len(set(patients)):
        raise InputError(
            f"{len(set(patients))} patients do not fill {count} folds; choose 2 or more, at most one a patient."
        )
    drawn = np.random.default_rng(seed).permutation(sorted(set(patients)))
    folds = [sorted(drawn[number::count].tolist()) for number in range(count)]
    write_own(path, json.dumps({"random_seed": seed, "folds": folds}, indent=1))


def read_folds(path: Path, patients: Collection[str]) -> tuple[tuple[str, ...], ...]:
    """The folds of a file, each a tuple of patients.

    Raises InputError where a patient is in two folds, or one of `patients` in none.
    """
    try:
        folds = tuple(tuple(fold) for fold in json.loads(path.read_text(encoding="utf-8"))["folds"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no file of folds; write it with lnhg prepare --folds.") from error
    counts = Counter(patient for fold in folds for patient in fold)
    twice = sorted(patient for patient, count in counts.items() if count > 1)
    if twice:
        raise InputError(
            f"{_few(twice)} in more than one fold of {path.name}; write it again with lnhg prepare --folds."
        )
    missing = sorted(set(patients) - set(counts))
    if missing:
        raise InputError(f"{_few(missing)} in no fold of {path.name}; write it again with lnhg prepare --folds.")
    return folds


def list_in_fold(patient: str, folds: Sequence[Sequence[str]], number: int) -> str:
    """The list of a patient when fold `number` reports: the next fold selects, all others are trained on."""
    turns = {number % len(folds): "report", (number + 1) % len(folds): "select"}
    return turns.get(next(fold for fold, members in enumerate(folds) if patient in members), "train")


def _few(patients: list[str]) -> str:
    shown = ", ".join(patients[:3]) + (f" and {len(patients) - 3} more" if len(patients) > 3 else "")
    return f"{shown} {'is' if len(patients) == 1 else 'are'}"
