"""The whole way on labelled scans with the default options: what is found, what is missed, what is false.

A confirmed nodule that touches no reference nodule is false, unless it touches a doubtful place (outlined by too few
readers, or looking like a nodule where nobody searched for them).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.geometry import equivalent_diameter
from ..core.result import Result
from ..data.scans import LabelledScan
from ..evaluation.measures import match_nodules, share_outside
from ..evaluation.statistics import bootstrap_interval, poisson_rate, wilson_share
from ..networks.models import Models
from ..pipeline import segment
from ..stages.fusion import CONFIRMED

# A nodule at least this wide is a mass, mm.
_MASS_MM = 30.0


@dataclass(frozen=True)
class ReferenceOutcome:
    """What became of a reference nodule.

    Attributes:
        reference: its label in the reference.
        diameter_mm: of the sphere of equal volume.
        label, status: of the nodule that matches it; 0 and "" where it was missed.
        dice, outside: of that nodule, 0 where there is none; `outside` is its share outside of the reference.
    """

    reference: int
    diameter_mm: float
    label: int = 0
    status: str = ""
    dice: float = 0.0
    outside: float = 0.0

    def __str__(self) -> str:
        return f"{self.label}, {self.status}, {self.dice:.2f}, {self.outside:.2f}" if self.label else "missed"


@dataclass(frozen=True)
class ScanOutcome:
    """What became of a scan.

    Attributes:
        patient, patients: who, and on which list.
        complete: whether readers looked for every nodule; else one cancer alone is marked.
        references: its reference nodules.
        false: confirmed nodules that are false; where readers did not look for every nodule, likely so.
        doubtful: confirmed nodules at doubtful places.
        detector_only: unconfirmed ones that match nothing.
    """

    patient: str
    patients: str
    complete: bool
    references: tuple[ReferenceOutcome, ...]
    false: int
    doubtful: int
    detector_only: int


def outcome_of(scan: LabelledScan, models: Models, patients: str) -> ScanOutcome:
    """Segment a scan with the default options and hold the result against its reference."""
    result = segment(scan.ct, models=models)
    references = tuple(_references(scan, result))
    matched = {one.label for one in references}
    others = [
        one for one in result.nodules if one.id not in matched and not scan.reference[result.labels == one.id].any()
    ]
    confirmed = [bool(scan.doubtful[result.labels == one.id].any()) for one in others if one.status == CONFIRMED]
    return ScanOutcome(
        scan.patient,
        patients,
        scan.complete,
        references,
        confirmed.count(False),
        confirmed.count(True),
        len(others) - len(confirmed),
    )


def _references(scan: LabelledScan, result: Result) -> Iterator[ReferenceOutcome]:
    statuses = {nodule.id: nodule.status for nodule in result.nodules}
    for match in match_nodules(scan.reference, result.labels):
        reference, found = scan.reference == match.reference, result.labels == match.label
        diameter = equivalent_diameter(np.count_nonzero(reference) * scan.ct.voxel_volume)
        if not match.label:
            yield ReferenceOutcome(match.reference, diameter)
            continue
        outside = share_outside(reference, found)
        yield ReferenceOutcome(match.reference, diameter, match.label, statuses[match.label], match.dice, outside)


def reader_table(outcomes: Sequence[ScanOutcome]) -> Iterator[str]:
    """Scans in which readers looked for every nodule."""
    yield "Whole scans, default options; reference: nodules of three or more readers; Dice and volume outside:\n"
    yield "| scan | list | reference nodule: label, status, Dice, outside | other confirmed | detector only |"
    yield "|---|---|---|---|---|"
    for one in outcomes:
        told = "; ".join(f"{reference.reference}: {reference}" for reference in one.references)
        yield f"| {one.patient} | {one.patients} | {told or 'none'} | {one.false} | {one.detector_only} |"
    yield ""


def cancer_table(outcomes: Sequence[ScanOutcome]) -> Iterator[str]:
    """Scans in which one cancer is outlined and other nodules are not marked."""
    yield (
        "Whole scans with one cancer, outlined by algorithms (reference: five of nine), default options. Other nodules "
        "are not marked, so other detections are neither right nor wrong; those at places that look like nodules are "
        "counted apart:\n"
    )
    yield "| scan | list | cancer: label, status, Dice, outside | others confirmed: like nodules | elsewhere |"
    yield "|---|---|---|---|---|"
    for one in outcomes:
        told = "; ".join(f"{reference.diameter_mm:.0f} mm: {reference}" for reference in one.references)
        yield f"| {one.patient} | {one.patients} | {told or 'not outlined'} | {one.doubtful} | {one.false} |"
    yield ""


def summary(outcomes: Sequence[ScanOutcome]) -> Iterator[str]:
    """False positives a scan and nodules found, on the scans that were not trained on."""
    unseen = [one for one in outcomes if one.patients != "train"]
    yield "Whole scans not trained on, default options; a missed nodule counts as Dice 0; 95% intervals:\n"
    yield "| scans | n | false positives a scan | reference nodules found | mean Dice |"
    yield "|---|---|---|---|---|"
    for name, chosen in (
        ("all nodules marked by readers", [one for one in unseen if one.complete]),
        ("one cancer marked", [one for one in unseen if not one.complete]),
        ("all", unseen),
    ):
        if chosen:
            yield _summary_row(name, chosen)
    masses = [(one.patient, r) for one in unseen for r in one.references if r.diameter_mm >= _MASS_MM]
    if masses:
        yield f"| masses ({_MASS_MM:g} mm and more) | | | {_found(masses)} | {_dice(masses)} |"
    yield ""


def _summary_row(name: str, outcomes: Sequence[ScanOutcome]) -> str:
    false = sum(one.false for one in outcomes)
    rate = poisson_rate(false, len(outcomes)).told(".1f")
    references = [(one.patient, reference) for one in outcomes for reference in one.references]
    return f"| {name} | {len(outcomes)} | {false} in all: {rate} | {_found(references)} | {_dice(references)} |"


def _found(references: Iterable[tuple[str, ReferenceOutcome]]) -> str:
    found = [reference.label > 0 for _, reference in references]
    if not found:
        return "none marked"
    return f"{sum(found)} of {len(found)}: " + wilson_share(sum(found), len(found)).told(".2f")


def _dice(references: Sequence[tuple[str, ReferenceOutcome]]) -> str:
    if not references:
        return ""
    values = np.array([reference.dice for _, reference in references])
    return bootstrap_interval(values, [patient for patient, _ in references]).told(".2f")
