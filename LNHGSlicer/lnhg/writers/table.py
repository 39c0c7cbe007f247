"""The nodule table as it is written: figures, what the guidelines propose, and the sentence to dictate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..categories.dictation import dictated
from ..categories.proposals import proposal_header, proposal_row, proposals
from ..core.answers import StudyAnswers
from ..core.comparison import Comparison
from ..core.nodule import Nodule, as_row, header


def table_header() -> list[str]:
    """Titles of the columns of `table_rows`, with units."""
    return [*header(), *proposal_header()]


def table_rows(
    nodules: Sequence[Nodule],
    answers: StudyAnswers,
    sentence: str,
    comparisons: Mapping[int, Comparison] | None = None,
) -> list[list[Any]]:
    """A row for each nodule; `sentence` is the template of what is dictated."""
    told = proposals(nodules, answers, comparisons)
    return [[*as_row(one.nodule), *proposal_row(one, dictated(one, sentence))] for one in told]
