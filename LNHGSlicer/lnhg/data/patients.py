"""The patients of a data folder or cache, what there is of each, and their lists in both folds of the whole scans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from ..core.csv_text import csv_text
from .boxed_scans import boxed_patients
from .splits import LISTS, SCAN_FOLDS
from .training_data import cutouts_of, scan_patients
from .unread_scans import unread_patients


@dataclass(frozen=True)
class Patient:
    """What there is of one patient, and on which list of each fold all of it is."""

    patient: str
    cutouts: int
    cubes: int
    labelled_scans: int
    other_scans: int
    fold_1: str
    fold_2: str


def patients_in(data: Path) -> list[Patient]:
    """All patients, sorted by name."""
    nodules = cutouts_of(data, "all", lambda patient: "all")
    counts = [
        Counter(nodule.patient for nodule in nodules if not nodule.cube),
        Counter(nodule.patient for nodule in nodules if nodule.cube),
        Counter(scan_patients(data)),
        Counter([*unread_patients(data), *boxed_patients(data)]),
    ]
    return [_patient(name, counts) for name in sorted(set().union(*counts))]


def _patient(name: str, counts: Sequence[Mapping[str, int]]) -> Patient:
    cutouts, cubes, labelled, others = (count.get(name, 0) for count in counts)
    return Patient(name, cutouts, cubes, labelled, others, SCAN_FOLDS[1](name), SCAN_FOLDS[2](name))


def as_csv(patients: Sequence[Patient]) -> str:
    """A CSV with a row for each patient."""
    return csv_text([[field.name for field in fields(Patient)], *map(astuple, patients)])


def summary(patients: Sequence[Patient]) -> str:
    """How much is on each list of each fold, as a Markdown table."""
    lines = [
        "| fold | list | patients | cut-outs | cubes | labelled scans | other scans |",
        "|---|---|---|---|---|---|---|",
    ]
    for fold in (1, 2):
        for name in LISTS:
            members = [one for one in patients if getattr(one, f"fold_{fold}") == name]
            counts = [
                sum(getattr(one, what) for one in members)
                for what in ("cutouts", "cubes", "labelled_scans", "other_scans")
            ]
            lines.append(f"| {fold} | {name} | {len(members)} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines)
