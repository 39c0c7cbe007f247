"""The categories of the nodules of a result, from their figures and the reader's answers. The reader decides."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..core.answers import Answers, StudyAnswers
from ..core.comparison import Comparison
from ..core.interval import Interval
from ..core.lobes import is_upper
from ..core.nodule import NO_CALCIUM, NOT_MEASURED, Nodule
from ..core.result import Result
from . import bts, fleischner, lung_rads
from .brock import Probability, brock
from .category import Category
from .facts import DAYS_A_MONTH, Facts

# Titles of the columns on earlier CT.
_COURSE = ("course against earlier CT", "change since the study before")


@dataclass(frozen=True)
class Proposal:
    """What the guidelines propose for one nodule.

    Attributes:
        nodule: its row of the table.
        facts, answers: what the categories hang on.
        lung_rads, fleischner, bts: a category of each document.
        brock: the probability of cancer by the Brock model.
        course: against earlier CT, where it is known, by Lung-RADS.
        comparison: with earlier studies; None: not compared.
    """

    nodule: Nodule
    facts: Facts
    answers: Answers
    lung_rads: Category
    fleischner: Category
    bts: Category
    brock: Probability
    course: str | None
    comparison: Comparison | None = None

    @property
    def change(self) -> str:
        """The change since the study before, in words; empty where nothing was compared."""
        return self.comparison.text if self.comparison else ""

    @property
    def categories(self) -> tuple[Category, ...]:
        return self.lung_rads, self.fleischner, self.bts


def proposals(
    nodules: Sequence[Nodule], answers: StudyAnswers, comparisons: Mapping[int, Comparison] | None = None
) -> tuple[Proposal, ...]:
    """A proposal for each nodule; all of them count as the nodules of the patient.

    Args:
        nodules: rows of the table.
        answers: of the reader.
        comparisons: with earlier studies, by the id of a nodule.
    """
    known = comparisons or {}
    return tuple(proposal(one, len(nodules), answers, known.get(one.id)) for one in nodules)


def proposals_of(result: Result) -> tuple[Proposal, ...]:
    """A proposal for each nodule of a result, from its answers and comparisons."""
    return proposals(result.nodules, result.answers, result.comparisons)


def most_pressing(told: Sequence[Proposal]) -> Proposal:
    """Of one nodule or more that which the study is judged by: of the highest category the largest."""
    return max(told, key=lambda one: (lung_rads.pressing(one.lung_rads.value), one.nodule.mean_axis))


def facts_of(nodule: Nodule, count: int, comparison: Comparison | None = None) -> Facts:
    """What the guidelines ask for, from a row of the table; `count` nodules are on the CT."""
    facts = Facts(
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
    if comparison is None:
        return facts
    return replace(
        facts,
        previous_diameter=comparison.previous_diameter,
        previous_solid_diameter=comparison.previous_solid_diameter,
        doubling_days=comparison.doubling_days,
        volume_change=comparison.volume_change,
        months=comparison.months,
        waited=None if comparison.days is None else comparison.days / DAYS_A_MONTH,
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


def lung_rads_alone(nodule: Nodule, study: StudyAnswers, comparison: Comparison | None = None) -> Category:
    """The category of Lung-RADS as in `proposal`; it does not ask how many nodules there are."""
    courses = {} if comparison is None else comparison.courses
    facts = replace(facts_of(nodule, 1, comparison), course=courses.get(lung_rads.SYSTEM))
    return lung_rads.lung_rads(facts, study.of(nodule.id))


def proposal(nodule: Nodule, count: int, study: StudyAnswers, comparison: Comparison | None = None) -> Proposal:
    """A proposal for one of the `count` nodules of a patient."""
    answers = study.of(nodule.id)
    facts = facts_of(nodule, count, comparison)
    courses = {} if comparison is None else comparison.courses

    def followed(system: str) -> Facts:
        return replace(facts, course=courses.get(system))

    screened = followed(lung_rads.SYSTEM)
    return Proposal(
        nodule,
        facts,
        answers,
        lung_rads.lung_rads(screened, answers),
        fleischner.fleischner(followed(fleischner.SYSTEM), answers),
        bts.bts(followed(bts.SYSTEM), answers),
        brock(facts, answers),
        lung_rads.course_of(screened, answers),
        comparison,
    )


def proposal_header() -> list[str]:
    """Titles of the columns of `proposal_row`."""
    systems = (lung_rads.SYSTEM, fleischner.SYSTEM, bts.SYSTEM)
    columns = [f"{system}: {what}" for system in systems for what in ("proposed", "rule", "next step", "changes if")]
    return [*columns, "Brock probability: lowest (%)", "Brock probability: highest (%)", *_COURSE, "sentence"]


def proposal_row(proposal: Proposal, sentence: str) -> list[str]:
    """What is proposed of a nodule as cells of text; `sentence` is the one to dictate."""
    cells: list[str] = []
    for one in proposal.categories:
        cells += [one.value, one.ruling.rule, one.ruling.next_step, "; ".join((*one.by_size, *one.open))]
    risk = proposal.brock
    ends = ["" if end != end else f"{100 * end:.1f}" for end in (risk.low, risk.high)]
    return [*cells, *ends, proposal.course or "", proposal.change, sentence]
