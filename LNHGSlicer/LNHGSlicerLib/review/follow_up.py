"""A follow-up in the scene: a table with a row a pair, its record, and the report; saved with the scene."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import slicer

from lnhg.errors import InputError
from lnhg.followup.change import Change
from lnhg.followup.fit import Fit, fit_sentence
from lnhg.followup.read_back import change_of

from ..scene.nodes import SceneNodes, all_results, is_whole, table_column
from ..translation import _
from .outlines import Outlines
from .study_out import state_of

# What the command line asks for, as `(--days)` or `(--same-patient compares them all the same)`.
_FLAG = re.compile(r" ?\(--([a-z-]+)[^)]*\)")
_RECORD, _ROLES = "LNHG.FollowUp", ("LNHG.prior", "LNHG.current")
_REPORT = "LNHG.report"
# Columns of `follow.csv` that say the same in each row here.
_LEFT_OUT = ("track", "from study", "to study")
_BEFORE, _AFTER = "nodule before", "nodule after"


@dataclass(frozen=True, eq=False)
class ScenePair:
    """One nodule in both studies.

    Attributes:
        state: as in `lnhg.followup.follow.Pair`.
        earlier, later: its numbers in the results of the scene; None where it is not.
        places: where it lies, or would lie, in both; RAS mm of each CT, without its parent transform.
        change: of a matched one.
    """

    state: str
    earlier: int | None
    later: int | None
    places: tuple[np.ndarray, np.ndarray]
    change: Change | None


@dataclass(frozen=True, eq=False)
class FollowUpNodes:
    """A follow-up of the scene: its table, and the results of the two studies."""

    table: Any
    prior: SceneNodes
    current: SceneNodes

    @property
    def is_there(self) -> bool:
        """Whether its table and both studies are in the scene, whole."""
        return slicer.mrmlScene.IsNodePresent(self.table) and is_whole(self.prior) and is_whole(self.current)

    @cached_property
    def _record(self) -> dict[str, Any]:
        return dict(json.loads(self.table.GetAttribute(_RECORD)))

    @property
    def pairs(self) -> list[ScenePair]:
        """In the order of the table."""
        days = self._record["days"]
        return [
            ScenePair(
                one["state"],
                one["before"],
                one["after"],
                tuple(np.array(place) for place in one["places_ras_mm"]),  # type: ignore[arg-type]
                change_of(one, days),
            )
            for one in self._record["pairs"]
        ]

    @property
    def rigid(self) -> np.ndarray:
        """4 x 4, RAS mm of the earlier to the later CT, each without its parent transform."""
        return np.array(self._record["registration"]["rigid_ras"])

    @property
    def notes(self) -> list[str]:
        """What a reader should know: how well the studies lie on each other, and what the run had to say."""
        told = self._record["registration"]
        numbers = (np.nan if told[key] is None else told[key] for key in ("median_mm", "most_mm"))
        fit = fit_sentence(Fit(told["places"], told["share_found"], *numbers), 1).partition(": ")[2]
        return [fit, *map(for_reader, self._record["notes"])]

    @property
    def is_current(self) -> bool:
        """Whether outlines and verdicts of both studies are as they were followed."""
        states = [state_of(*one) for one in zip((self.prior, self.current), self._outlines, strict=True)]
        return states == self._record["states"]

    @cached_property
    def _outlines(self) -> tuple[Outlines, Outlines]:
        return Outlines(self.prior), Outlines(self.current)

    @property
    def report(self) -> str:
        """The report as one HTML page. Raises InputError where somebody removed it."""
        text = self.table.GetNodeReference(_REPORT)
        if text is None:
            raise InputError(_("The report was removed from the scene; follow again."))
        return str(text.GetText())

    def counts(self) -> dict[str, int]:
        """How many pairs there are of each state."""
        return dict(Counter(pair.state for pair in self.pairs))


def for_reader(sentence: str) -> str:
    """A sentence of the command line in the words of the panel."""
    words = {"same-patient": _(" (tick that they are of one patient, to compare them all the same)"), "days": ""}
    names = {
        "Study 1": _("The earlier CT"),
        "study 1": _("the earlier CT"),
        "Study 2": _("This CT"),
        "study 2": _("this CT"),
    }
    told = _FLAG.sub(lambda flag: words.get(flag[1], flag[0]), sentence)
    for name, called in names.items():
        told = told.replace(name, called)
    return told


def keep_follow_up(
    studies: Sequence[SceneNodes],
    numbers: Sequence[Sequence[int]],
    states: Sequence[str],
    record: Mapping[str, Any],
    rows: Sequence[Mapping[str, str]],
    report: str,
) -> FollowUpNodes:
    """Add a follow-up of two studies to the scene.

    Args:
        studies: the earlier and the later one.
        numbers: for each the scene's numbers of its nodules, in the order of theirs in `record`.
        states: for each what `state_of` told when it was followed.
        record, rows, report: the contents of `follow.json`, `follow.csv` and `follow.html`.
    """
    (step,) = record["interludes"]
    pairs = [
        {**pair, "before": _in_scene(pair["before"], numbers[0]), "after": _in_scene(pair["after"], numbers[1])}
        for pair in step["pairs"]
    ]
    kept = {
        "days": step["days"],
        "registration": step["registration"],
        "notes": record["notes"],
        "states": list(states),
        "pairs": pairs,
    }
    add = slicer.mrmlScene.AddNewNodeByClass
    table = add("vtkMRMLTableNode", slicer.mrmlScene.GenerateUniqueName("Follow-up"))
    table.SetLocked(True)
    told = [{**row, _BEFORE: pair["before"], _AFTER: pair["after"]} for row, pair in zip(rows, pairs, strict=True)]
    for title in [title for title in (told[0] if told else {}) if title not in _LEFT_OUT]:
        table.AddColumn(table_column(title, ["" if row[title] is None else str(row[title]) for row in told]))
    table.SetAttribute(_RECORD, json.dumps(kept))
    for role, nodes in zip(_ROLES, studies, strict=True):
        table.SetNodeReferenceID(role, nodes.segmentation.GetID())
    text = add("vtkMRMLTextNode", slicer.mrmlScene.GenerateUniqueName("Follow-up report"))
    text.SetText(report)
    text.SetForceCreateStorageNode(True)  # a page with pictures is no attribute of the scene's file
    table.SetNodeReferenceID(_REPORT, text.GetID())
    return FollowUpNodes(table, studies[0], studies[1])


def _in_scene(number: int | None, numbers: Sequence[int]) -> int | None:
    return None if number is None else numbers[number - 1]


def follow_up_of(current: SceneNodes) -> FollowUpNodes | None:
    """The latest follow-up to a result of the scene, also of a scene that was saved and opened; None without one."""
    by_id = {nodes.segmentation.GetID(): nodes for nodes in all_results()}
    for table in reversed(slicer.util.getNodesByClass("vtkMRMLTableNode")):
        if table.GetAttribute(_RECORD) is None:
            continue
        prior, later = (by_id.get(table.GetNodeReferenceID(role)) for role in _ROLES)
        if prior is not None and later is not None and later.segmentation is current.segmentation:
            return FollowUpNodes(table, prior, later)
    return None
