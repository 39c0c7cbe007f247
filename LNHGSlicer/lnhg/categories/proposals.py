"""The categories of the nodules of a result, from their figures and the reader's answers. The reader decides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..core.answers import Answers, StudyAnswers
from ..core.interval import Interval
from ..core.lobes import is_upper
from ..core.nodule import NO_CALCIUM, NOT_MEASURED, Nodule
from .brock import Probability, brock
from .bts import bts
from .category import Category
from .facts import Facts
from .fleischner import fleischner
from .lung_rads import course_of, lung_rads


@dataclass(frozen=True)
class Proposal:
    """What the guidelines propose for one nodule.

    Attributes:
        nodule: its row of the table.
        facts, answers: what the categories hang on.
        lung_rads, fleischner, bts: a category of each document.
        brock: the probability of cancer by the Brock model.
        course: against earlier CT, where it is known.
    """

    nodule: Nodule
    facts: Facts
    answers: Answers
    lung_rads: Category
    fleischner: Category
    bts: Category
    brock: Probability
    course: str | None

    @property
    def categories(self) -> tuple[Category, ...]:
        return self.lung_rads, self.fleischner, self.bts


def proposals(nodules: Sequence[Nodule], answers: StudyAnswers) -> tuple[Proposal, ...]:
    """A proposal for each nodule; all of them count as the nodules of the patient."""
    return tuple(proposal(nodule, len(nodules), answers) for nodule in nodules)


def proposal(nodule: Nodule, count: int, answers: StudyAnswers) -> Proposal:
    """A proposal for one of the `count` nodules of a patient."""
    return _proposal(facts_of(nodule, count), nodule, answers.of(nodule.id))


def facts_of(nodule: Nodule, count: int) -> Facts:
    """What the guidelines ask for, from a row of the table; `count` nodules are on the CT."""
    return Facts(
        kind=nodule.type,
        mean_diameter=nodule.mean_axis,
        long_axis=nodule.long_axis,
        volume=nodule.volume,
        solid_diameter=nodule.solid_diameter,
        mean_diameter_interval=_ends(nodule.mean_axis_same),
        long_axis_interval=_ends(nodule.long_axis_same),
        volume_interval=_ends(nodule.volume_same),
        solid_diameter_interval=_ends(nodule.solid_diameter_same),
        cut=bool(nodule.cut),
        upper_lobe=is_upper(nodule.lobe),
        count=count,
    )


def _ends(interval: Interval) -> tuple[float, float] | None:
    """The ends of an interval that was measured."""
    return None if math.isnan(interval.low) else (interval.low, interval.high)


def benign_hints(nodule: Nodule) -> tuple[str, ...]:
    """Hints for benign kinds in words; none of them is a finding."""
    hints = []
    if nodule.calcification not in (NO_CALCIUM, NOT_MEASURED):
        hints.append(f"calcified, {nodule.calcification}")
    if nodule.components.fat > 0:
        hints.append("fat")
    if nodule.perifissural:
        hints.append("perifissural shape")
    return tuple(hints)


def _proposal(facts: Facts, nodule: Nodule, answers: Answers) -> Proposal:
    return Proposal(
        nodule,
        facts,
        answers,
        lung_rads(facts, answers),
        fleischner(facts, answers),
        bts(facts, answers),
        brock(facts, answers),
        course_of(facts, answers),
    )


def proposal_header() -> list[str]:
    """Titles of the columns of `proposal_row`."""
    systems = ("Lung-RADS 2022", "Fleischner 2017", "BTS 2015")
    columns = [f"{system}: {what}" for system in systems for what in ("proposed", "rule", "next step", "changes if")]
    return [*columns, "Brock probability: lowest (%)", "Brock probability: highest (%)", "sentence"]


def proposal_row(proposal: Proposal, sentence: str) -> list[str]:
    """What is proposed of a nodule as cells of text; `sentence` is the one to dictate."""
    cells: list[str] = []
    for one in proposal.categories:
        cells += [one.value, one.ruling.rule, one.ruling.next_step, "; ".join((*one.by_size, *one.open))]
    risk = proposal.brock
    ends = ["" if end != end else f"{100 * end:.1f}" for end in (risk.low, risk.high)]
    return [*cells, *ends, sentence]
