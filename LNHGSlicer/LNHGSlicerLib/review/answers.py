"""What the reader answered, kept with the result in the scene, and what the guidelines propose of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lnhg.categories.dictation import dictated
from lnhg.categories.proposals import Proposal, lung_rads_alone, proposal
from lnhg.core.answers import StudyAnswers, answers_of_record
from lnhg.core.comparison import Comparison, as_record, comparisons_of_record
from lnhg.core.nodule import Nodule
from lnhg.options import Options
from lnhg.writers.seg_nrrd import id_of_segment

from ..scene.fingerprints import measured_on
from ..scene.nodes import OPTIONS, SceneNodes
from .verdicts import EDITED, REJECTED, verdicts

_ATTRIBUTE = "LNHG.Answers"
_COMPARISONS = "LNHG.Comparisons"
# The outline that was compared, by the number of its nodule; scenes of older versions do not tell.
_COMPARED_ON = "LNHG.ComparedOn"


def answers_of(nodes: SceneNodes) -> StudyAnswers:
    """The answers that the scene holds; none where nobody answered, as in scenes of older versions."""
    kept = nodes.segmentation.GetAttribute(_ATTRIBUTE)
    return answers_of_record(json.loads(kept)) if kept else StudyAnswers()


def comparisons_of(nodes: SceneNodes) -> dict[int, Comparison]:
    """What was found against earlier studies, by the number of a nodule; not of one that has another outline since."""
    kept = json.loads(nodes.segmentation.GetAttribute(_COMPARISONS) or "{}")
    if not kept:
        return {}
    compared_on = json.loads(nodes.segmentation.GetAttribute(_COMPARED_ON) or "{}")
    changed = {one.id for one in nodes.rows if one.status == EDITED}
    for number, outline in compared_on.items():
        if outline != measured_on(nodes, id_of_segment(int(number))):
            changed.add(int(number))
    return {number: one for number, one in comparisons_of_record(kept).items() if number not in changed}


def set_comparisons(nodes: SceneNodes, comparisons: Mapping[int, Comparison]) -> None:
    """Keep what was found against earlier studies, by the number of a nodule; the categories hang on it."""
    outlines = {number: measured_on(nodes, id_of_segment(number)) for number in comparisons}
    nodes.segmentation.SetAttribute(_COMPARED_ON, json.dumps(outlines))
    nodes.segmentation.SetAttribute(_COMPARISONS, json.dumps(as_record(comparisons)))


def set_answers(nodes: SceneNodes, answers: StudyAnswers) -> None:
    """Keep the answers; they are saved with the scene."""
    nodes.segmentation.SetAttribute(_ATTRIBUTE, json.dumps(answers.as_record()))


def proposal_of(nodes: SceneNodes, segment_id: str) -> Proposal | None:
    """What is proposed of a nodule, by the ID of its segment, with all that were not rejected; None if it was."""
    known = verdicts(nodes)
    left = {id_of_segment(one.id): one for one in nodes.rows if known.get(id_of_segment(one.id), REJECTED) != REJECTED}
    if segment_id not in left:
        return None
    row = left[segment_id]
    return proposal(row, len(left), answers_of(nodes), comparisons_of(nodes).get(row.id))


def lung_rads_of(nodule: Nodule, answers: StudyAnswers, comparisons: Mapping[int, Comparison]) -> str:
    """The category that Lung-RADS proposes, which does not ask how many nodules there are."""
    return lung_rads_alone(nodule, answers, comparisons.get(nodule.id)).value


def sentence_of(nodes: SceneNodes, proposal: Proposal) -> str:
    """The sentence to dictate, by the template of the result."""
    return dictated(proposal, nodes.options.sentence)


def set_sentence(nodes: SceneNodes, template: str) -> None:
    """Take another template for the sentences of a result; it is saved with the scene. Raises InputError for one that
    cannot be filled in.
    """
    told = json.loads(nodes.segmentation.GetAttribute(OPTIONS))
    told["sentence"] = Options(sentence=template).sentence
    nodes.segmentation.SetAttribute(OPTIONS, json.dumps(told))


def category_lines(proposal: Proposal) -> list[str]:
    """The categories in words, a line each: with the rule and what inside the interval of the size would change it."""
    lines = []
    for one in proposal.categories:
        near = "".join(f"; {sentence}" for sentence in one.by_size)
        lines.append(f"{one.system}: {one.value} ({one.ruling.rule}{near})")
    return [*lines, f"Brock: {proposal.brock.text}"]


def open_questions(proposal: Proposal) -> int:
    """How many other categories missing answers would give."""
    return sum(len(one.open) for one in proposal.categories)


def answer(nodes: SceneNodes, name: str, value: Any, nodule: int | None) -> None:
    """Keep one answer: of a nodule by its number, or of the patient (None)."""
    set_answers(nodes, answers_of(nodes).with_answer(name, value, nodule))
