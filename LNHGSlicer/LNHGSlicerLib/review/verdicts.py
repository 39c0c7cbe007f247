"""What readers say of each nodule of a result, and how long they looked at it; tags of its segment, saved with the
scene.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import vtk

from ..translation import _

if TYPE_CHECKING:
    from ..scene.nodes import SceneNodes

OPEN, ACCEPTED, REJECTED, EDITED = "open", "accepted", "rejected", "edited"
_TAG, _SECONDS = "LNHG.Verdict", "LNHG.Seconds"


def verdicts(nodes: SceneNodes) -> Mapping[str, str]:
    """The verdict of each nodule of a result, by segment ID."""
    return {segment_id: verdict_of(nodes, segment_id) for segment_id in nodes.segment_ids}


def verdict_of(nodes: SceneNodes, segment_id: str) -> str:
    """The verdict of one segment: `open`, `accepted`, `rejected` or `edited`."""
    verdict = vtk.reference("")
    known = nodes.segmentation.GetSegmentation().GetSegment(segment_id).GetTag(_TAG, verdict)
    return str(verdict) if known else OPEN


def set_verdict(nodes: SceneNodes, segment_id: str, verdict: str) -> None:
    """Keep the verdict; a rejected nodule is hidden, any other shown."""
    nodes.segmentation.GetSegmentation().GetSegment(segment_id).SetTag(_TAG, verdict)
    nodes.segmentation.GetDisplayNode().SetSegmentVisibility(segment_id, verdict != REJECTED)


def seconds_of(nodes: SceneNodes, segment_id: str) -> float:
    """How long readers had this nodule selected in the review, to now."""
    text = vtk.reference("")
    known = nodes.segmentation.GetSegmentation().GetSegment(segment_id).GetTag(_SECONDS, text)
    return float(str(text)) if known else 0.0


def add_seconds(nodes: SceneNodes, segment_id: str, seconds: float) -> None:
    """Count more time for a nodule; nothing if its segment was removed."""
    segment = nodes.segmentation.GetSegmentation().GetSegment(segment_id)
    if segment is not None:
        segment.SetTag(_SECONDS, f"{seconds_of(nodes, segment_id) + seconds:.1f}")


def verdict_text(verdict: str) -> str:
    """What a reader calls it."""
    texts = {OPEN: _("to review"), ACCEPTED: _("accepted"), REJECTED: _("rejected"), EDITED: _("edited")}
    return texts[verdict]
