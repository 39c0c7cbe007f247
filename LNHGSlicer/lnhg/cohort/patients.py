"""Patients of a cohort that were scanned several times: their nodules followed, so that the worklist tells growth."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from ..core.names import safe_name
from ..errors import LNHGError
from ..followup.follow import follow
from ..followup.read_back import FILES
from ..followup.study import study_of
from ..followup.written import save_follow_up
from ..networks.models import Models
from ..writers.read_back import load_result
from .scans import Scan
from .segmenting import DONE, SKIPPED, Cohort, Row

logger = logging.getLogger(__name__)

#: Folder of the cohort with a follow-up for each such patient, as `lnhg follow` writes it.
FOLLOWED = "followed"


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

    A patient whose scans were all finished before and followed then is not followed again.
    """
    followed = Followed()
    usable = [one for one in scans if one.patient and one.name in rows and rows[one.name].status in (DONE, SKIPPED)]
    for patient in dict.fromkeys(one.patient for one in usable):
        own = [one for one in usable if one.patient == patient]
        if len(own) < 2:
            continue
        folder = cohort.output / FOLLOWED / safe_name(patient)
        try:
            if not _is_followed(folder, own, rows):
                _follow(_in_order(own), folder, cohort, models)
        except LNHGError as error:
            logger.warning("The scans of %s were not compared: %s", patient, error)
            followed.reasons |= {one.name: f"not compared: {error}" for one in own}
            continue
        followed.folders |= {one.name: folder / f"study-{n}" for n, one in enumerate(_in_order(own), 1)}
    return followed


def _in_order(own: list[Scan]) -> list[Scan]:
    known = all(one.days is not None for one in own)
    return sorted(own, key=lambda one: one.days or 0.0) if known else own


def _is_followed(folder: Path, own: list[Scan], rows: Mapping[str, Row]) -> bool:
    studies = sum(one.is_dir() for one in folder.glob("study-*"))
    return (
        (folder / FILES["record"]).is_file()
        and studies == len(own)
        and all(rows[one.name].status == SKIPPED for one in own)
    )


def _follow(own: list[Scan], folder: Path, cohort: Cohort, models: Models | None) -> None:
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
    save_follow_up(
        follow(*studies, days=apart, options=cohort.options, models=models), folder, with_identity=cohort.with_identity
    )
