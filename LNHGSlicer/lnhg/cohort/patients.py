"""Patients of a cohort that were scanned several times: their nodules followed, so that the worklist tells growth."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from ..core.atomic_file import write_atomic
from ..core.names import own_name, short_hash
from ..core.seal import digest_of, digest_of_file
from ..errors import InputError, LNHGError
from ..followup.follow import follow
from ..followup.read_back import FILES
from ..followup.study import study_of
from ..followup.written import save_follow_up
from ..networks.models import Models
from ..writers.own_files import RECORD
from ..writers.read_back import load_result
from .scans import Scan
from .segmenting import DONE, SKIPPED, Cohort, Row

logger = logging.getLogger(__name__)

#: Folder of the cohort with a follow-up for each such patient, as `lnhg follow` writes it.
FOLLOWED = "followed"

# Where a batch is told what `lnhg follow` asks for by `--days`.
_COLUMN = "column days of the list"
# In such a folder: of which results, in which order and how far apart, it was made.
_SEAL = ".followed"


@dataclass
class Followed:
    """What came of it, by the name of a scan.

    Attributes:
        folders: of its results with their comparison; scans that were not followed have none.
        reasons: why a scan that has others of its patient could not be compared.
    """

    folders: dict[str, Path] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def follow_patients(
    scans: Sequence[Scan], rows: Mapping[str, Row], cohort: Cohort, models: Models | None = None
) -> Followed:
    """Follow each patient who has two scans or more that were segmented, in the order of the list or of their days.

    A patient whose scans were all finished before, and followed then in this order with these days, is not followed
    again.
    """
    followed = Followed()
    usable = [one for one in scans if one.patient and one.name in rows and rows[one.name].status in (DONE, SKIPPED)]
    folders = folders_of(list(dict.fromkeys(one.patient for one in usable)))
    for patient, name in folders.items():
        given = [one for one in usable if one.patient == patient]
        if len(given) < 2:
            continue
        folder = cohort.output / FOLLOWED / name
        try:
            own = _in_order(given)
            if not _is_followed(folder, own, rows, cohort):
                _follow(own, folder, cohort, models)
        except LNHGError as error:
            logger.warning("The scans of %s were not compared: %s", patient, error)
            followed.reasons |= {one.name: f"not compared: {error}" for one in given}
        except Exception as error:  # a fault of one patient must not end the others
            logger.exception("The scans of %s were not compared", patient)
            # What an error of Python's own says may hold a path.
            followed.reasons |= {one.name: f"not compared: {type(error).__name__}; see the log" for one in given}
        else:
            followed.folders |= {one.name: folder / f"study-{n}" for n, one in enumerate(own, 1)}
    return followed


def folders_of(patients: Sequence[str]) -> dict[str, str]:
    """A folder's name for each patient; on disks that do not tell small letters from capitals two patients stay two."""
    names = {patient: own_name(patient, "patient") for patient in patients}
    alike = Counter(name.casefold() for name in names.values())
    return {
        patient: name if alike[name.casefold()] == 1 else f"{name}-{short_hash(patient)}"
        for patient, name in names.items()
    }


def _in_order(own: list[Scan]) -> list[Scan]:
    """The scans of a patient, earliest first: by their days, else as the list has them.

    Raises InputError where two are of one day, or where the days, known for some alone, contradict the list's order.
    """
    known = [(one.days, one.name) for one in own if one.days is not None]
    if len(known) == len(own):
        own = sorted(own, key=lambda one: one.days or 0.0)
        known.sort()
    for (day, before), (later, after) in pairwise(known):
        if day >= later:
            raise InputError(
                f"{before} is of day {day:g} and {after}, which comes after it, of day {later:g}; give each scan of "
                "the patient its own day in the list."
            )
    if 0 < len(known) < len(own):
        logger.warning(
            "The list gives the days of some scans of %s alone, which tell no doubling time; give all.", own[0].patient
        )
    return own


def _is_followed(folder: Path, own: Sequence[Scan], rows: Mapping[str, Row], cohort: Cohort) -> bool:
    try:
        same = (folder / _SEAL).read_text(encoding="utf-8") == _seal(own, cohort)
    except (OSError, UnicodeDecodeError):
        return False
    return (
        same
        and (folder / FILES["record"]).is_file()
        and all((folder / f"study-{n}").is_dir() for n in range(1, len(own) + 1))
        and all(rows[one.name].status == SKIPPED for one in own)
    )


def _seal(own: Sequence[Scan], cohort: Cohort) -> str:
    """Of the results that are followed, in their order, and their days."""
    return digest_of([[one.name, one.days, digest_of_file(cohort.folder(one.name) / RECORD)] for one in own])


def _follow(own: Sequence[Scan], folder: Path, cohort: Cohort, models: Models | None) -> None:
    studies = []
    for number, scan in enumerate(own, 1):
        result = load_result(cohort.folder(scan.name), scan.read())
        studies.append(study_of(f"study {number}", result))
    days = [
        after.days - before.days
        for before, after in pairwise(own)
        if before.days is not None and after.days is not None
    ]
    apart = days if len(days) == len(own) - 1 else None
    followed = follow(*studies, days=apart, options=cohort.options, models=models)
    followed = replace(followed, notes=tuple(note.replace("--days", _COLUMN) for note in followed.notes))
    (folder / _SEAL).unlink(missing_ok=True)
    save_follow_up(followed, folder, with_identity=cohort.with_identity)
    write_atomic(folder / _SEAL, _seal(own, cohort))
