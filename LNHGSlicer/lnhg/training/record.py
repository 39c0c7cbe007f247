"""What checkpoints tell of how their weights were made (`commands`, `data`), for the manifest and the model card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..core.seal import digest_of
from ..errors import LNHGError

# Patients whose names do not begin with the collection's.
_COLLECTIONS = {
    "CPTAC-": "CPTAC",
    "LungFCP-": "Lung-Fused-CT-Pathology",
    "TCGA-34-": "TCGA-LUSC",
    "QIN-": "QIN Lung CT Segmentation",
}


def record_of(command: str | None, nodules_of: Iterable[str], scans_of: Iterable[str]) -> dict[str, Any]:
    """The record of a training.

    `command` is what a person types to do the same; `nodules_of` and `scans_of` name the patient of each nodule and of
    each whole scan that is trained on: they are counted by collection, and a hash of their names tells them from
    others.
    """
    patients = [list(names) for names in (nodules_of, scans_of)]
    nodules, scans = (Counter(map(_collection, names)) for names in patients)
    people = Counter(map(_collection, {name for names in patients for name in names}))
    data = {name: {"patients": people[name], "nodules": nodules[name], "scans": scans[name]} for name in sorted(people)}
    return {
        "commands": [command] if command else [],
        "data": data,
        "patients": digest_of([sorted(names) for names in patients]),
    }


def told_record(training: Mapping[str, Any]) -> dict[str, Any]:
    """The record in what a manifest tells of a training."""
    return {name: training[name] for name in ("commands", "data", "patients") if name in training}


def check_same_patients(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise LNHGError where the training in `folder` was begun on other nodules or scans than it would go on with."""
    if {"patients"} <= before.keys() & now.keys() and before["patients"] != now["patients"]:
        raise LNHGError(
            f"{folder.name} holds a training on other patients; give the data of before, or choose a new folder."
        )


def continued(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The record of weights that were trained further: all commands in their order, the data of the last."""
    commands = [*before.get("commands", ()), *now.get("commands", ())]
    told_once = [command for number, command in enumerate(commands) if command not in commands[:number]]
    return {**before, **now, "commands": told_once}


def _collection(patient: str) -> str:
    """The collection of a patient, who is named COLLECTION-NUMBER unless the table knows better."""
    known = (name for start, name in _COLLECTIONS.items() if patient.startswith(start))
    return next(known, patient.rpartition("-")[0])
