"""One study of a patient: its result, whose it is and when it was made; read from a CT, results or a scene."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property
from pathlib import Path

import numpy as np

from ..core.ct import CT, fingerprint
from ..core.plain_file import mapping_of
from ..core.result import Result
from ..errors import InputError
from ..networks.models import Models
from ..options import Options
from ..pipeline import segment
from ..progress import ProgressCallback
from ..readers.read_ct import read_ct
from ..writers.own_files import RECORD
from ..writers.read_back import load_result
from .person import PERSON, differing
from .registration import LungScan
from .reviewed_scene import read_scene


@dataclass(frozen=True, eq=False)
class Study:
    """A study.

    Attributes:
        name: how the report calls it; names no person.
        result: its nodules, without those that a reader rejected.
        made: the day of the study; None where the files do not say.
        person: what they say of the patient, by the names of `PERSON`; empty texts left out.
        notes: sentences on how it was read.
    """

    name: str
    result: Result
    made: date | None = None
    person: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @cached_property
    def lungs(self) -> LungScan:
        return LungScan.of(self.result.ct)

    @property
    def protocol(self) -> tuple[float, str]:
        """What a scan was made with, as far as the files say: distance of the slices, mm, and kernel."""
        scan = self.lungs.ct
        return round(scan.spacing[2], 2), str(scan.source.get("kernel") or "")


def study_of(name: str, result: Result, notes: tuple[str, ...] = ()) -> Study:
    """The study of a result: whose and when, from what its CT's files said."""
    identity = result.ct.identity
    person = {key: str(identity[key]).strip() for key in PERSON if str(identity.get(key) or "").strip()}
    return Study(name, result, _date(str(identity.get("StudyDate") or "")), person, notes)


def _date(text: str) -> date | None:
    try:
        return datetime.strptime(text.replace(".", ""), "%Y%m%d").date()
    except ValueError:
        return None


def read_study(
    place: str | Path,
    name: str,
    options: Options,
    models: Models | None = None,
    progress: ProgressCallback | None = None,
) -> Study:
    """Read a study.

    Args:
        place: a CT (segmented then with `options`); the folder of its results, as `RESULTS=CT`, or alone where the
            scene in it or its record leads to the CT; or a scene (`.mrb`) that was saved in Slicer, with the verdicts,
            edits and added nodules of its review.
        name: how reports call it.

    Raises InputError for anything else, and where the CT of results is not to be had.
    """
    kept, notes = read_kept(place)
    result = kept if isinstance(kept, Result) else segment(kept, options, models=models, progress=progress)
    return study_of(name, result, notes)


def read_kept(place: str | Path) -> tuple[CT | Result, tuple[str, ...]]:
    """What a place that `read_study` takes holds: a result, or a CT that is not segmented; and sentences on it."""
    path = Path(place)
    results, equals, ct = str(place).rpartition("=")
    if equals and not path.exists():
        if not results or not ct:
            raise InputError(f"{place} names no results, or no CT; write RESULTS=CT, both of the study.")
        return _loaded(Path(results), read_ct(ct)), ()
    if path.suffix.lower() == ".mrb":
        return read_scene(path)
    if (path / RECORD).is_file():
        return _loaded(path, _ct_of_results(path)), ()
    return read_ct(path), ()


def _loaded(folder: Path, ct: CT) -> Result:
    """The results in a folder. Raises InputError where they were made from another CT, as far as that is known."""
    result = load_result(folder, ct)
    made_from = result.ct.source.get("sha256")
    # The grid may have been rounded since, as other formats and scenes do it: it is compared where it is read.
    grid = mapping_of(folder / RECORD)["input"].get("ijk_to_ras_mm", ct.ijk_to_ras)
    if made_from is not None and made_from != fingerprint(ct.hu, np.array(grid)):
        raise InputError(
            f"The results in {folder.name} were made from another CT than that which they were read with; name theirs: "
            f"{folder}=CT."
        )
    return result


def is_segmented(place: str | Path | Study) -> bool:
    """Whether a place that `read_study` takes holds a result already, as far as its name tells."""
    if isinstance(place, Study):
        return True
    path = Path(place)
    return path.suffix.lower() == ".mrb" or (path / RECORD).is_file() or ("=" in str(place) and not path.exists())


def _ct_of_results(folder: Path) -> CT:
    """The CT that results were made from, where the record says or in the scene beside it, and whose it is."""
    try:
        identity = dict(mapping_of(folder / RECORD).get("identity", {}))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"The record {RECORD} of the run cannot be read; run again.") from error
    recorded = identity.get("path")
    if isinstance(recorded, str) and recorded and Path(recorded).exists():
        series = identity.get("SeriesInstanceUID") if Path(recorded).is_dir() else None
        ct = read_ct(recorded, str(series) if series else None)
        return replace(ct, identity={**identity, **ct.identity})  # the record knows more than an image file
    if (folder / "scene.mrb").is_file():
        return read_scene(folder / "scene.mrb")[0].ct
    raise InputError(
        f"{folder.name} holds results without their CT; name both with an equals sign between: {folder}=CT."
    )


def check_person(studies: list[Study], *, same_patient: bool) -> tuple[str, ...]:
    """Raise InputError where the studies name different patients and nobody confirmed that they are one.

    Returns sentences for the reader.
    """
    notes = []
    for called in differing([study.person for study in studies]):
        if not same_patient:
            raise InputError(
                f"The studies differ in {called}; give studies of one patient, or confirm that they are of one "
                f"(--same-patient)."
            )
        notes.append(f"The studies differ in {called}; that they are of one patient was confirmed.")
    nameless = [study.name for study in studies if not study.person]
    if nameless and not same_patient:
        notes.append(
            f"The files of {' and '.join(nameless)} do not say whose they are; that the studies are of one patient was "
            f"not checked."
        )
    return tuple(notes)


def with_added(study: Study, added: Result, numbers: list[int]) -> tuple[Study, dict[int, int]]:
    """A study with some nodules of a run at seeds in it, behind its own; returns their new numbers by the old ones."""
    result = study.result
    labels, heterogeneity = result.labels.astype(np.uint16), result.heterogeneity.copy()
    rows, renumbered = list(result.nodules), dict[int, int]()
    for number in numbers:
        free = (added.labels == number) & (labels == 0)
        if not free.any():
            continue
        renumbered[number] = len(rows) + 1
        labels[free] = renumbered[number]
        heterogeneity[free] = added.heterogeneity[free]
        rows.append(replace(added.nodules[number - 1], id=renumbered[number]))
    grown = replace(result, labels=labels, heterogeneity=heterogeneity, nodules=tuple(rows))
    return replace(study, result=grown), renumbered
