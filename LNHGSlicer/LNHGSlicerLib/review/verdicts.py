"""What readers say of each nodule of a result, and how long they looked at it; kept beside its row in the scene."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..scene.notes import note_of, set_note
from ..translation import _

if TYPE_CHECKING:
    from ..scene.nodes import SceneNodes

OPEN, ACCEPTED, REJECTED, EDITED = "open", "accepted", "rejected", "edited"
_VERDICT, _SECONDS = "Verdict", "Seconds"


def verdicts(nodes: SceneNodes) -> Mapping[str, str]:
    """The verdict of each nodule of a result, by segment ID."""
    return {segment_id: verdict_of(nodes, segment_id) for segment_id in nodes.segment_ids}


def verdict_of(nodes: SceneNodes, segment_id: str) -> str:
    """The verdict of one segment: `open`, `accepted`, `rejected` or `edited`."""
    return note_of(nodes, segment_id, _VERDICT) or OPEN


def set_verdict(nodes: SceneNodes, segment_id: str, verdict: str) -> None:
    """Keep the verdict; a rejected nodule is hidden, any other shown."""
    set_note(nodes, segment_id, _VERDICT, verdict)
    nodes.segmentation.GetDisplayNode().SetSegmentVisibility(segment_id, verdict != REJECTED)


def seconds_of(nodes: SceneNodes, segment_id: str) -> float:
    """How long readers had this nodule selected in the review, to now."""
    return float(note_of(nodes, segment_id, _SECONDS) or 0.0)


def add_seconds(nodes: SceneNodes, segment_id: str, seconds: float) -> None:
    """Count more time for a nodule; nothing if its segment was removed."""
    if nodes.segmentation.GetSegmentation().GetSegment(segment_id) is not None:
        set_note(nodes, segment_id, _SECONDS, f"{seconds_of(nodes, segment_id) + seconds:.1f}")


def verdict_text(verdict: str) -> str:
    """What a reader calls it."""
    texts = {OPEN: _("to review"), ACCEPTED: _("accepted"), REJECTED: _("rejected"), EDITED: _("edited")}
    return texts[verdict]
