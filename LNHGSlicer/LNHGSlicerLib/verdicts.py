"""What readers say of each nodule of a result; it lives in the scene as a tag of the segment and is saved with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import vtk

from .translation import _

if TYPE_CHECKING:
    from .scene import SceneNodes

OPEN, ACCEPTED, REJECTED, EDITED = "open", "accepted", "rejected", "edited"
_TAG = "LNHG.Verdict"


def verdicts(nodes: SceneNodes) -> Mapping[str, str]:
    """The verdict of each segment of a result, by segment ID."""
    return {segment_id: verdict_of(nodes, segment_id) for segment_id in nodes.segmentation.GetSegmentation().GetSegmentIDs()}


def verdict_of(nodes: SceneNodes, segment_id: str) -> str:
    """The verdict of one segment: `open`, `accepted`, `rejected` or `edited`."""
    verdict = vtk.reference("")
    known = nodes.segmentation.GetSegmentation().GetSegment(segment_id).GetTag(_TAG, verdict)
    return str(verdict) if known else OPEN


def set_verdict(nodes: SceneNodes, segment_id: str, verdict: str) -> None:
    """Keep the verdict; a rejected nodule is hidden, any other shown."""
    nodes.segmentation.GetSegmentation().GetSegment(segment_id).SetTag(_TAG, verdict)
    nodes.segmentation.GetDisplayNode().SetSegmentVisibility(segment_id, verdict != REJECTED)


def verdict_text(verdict: str) -> str:
    """What a reader calls it."""
    texts = {OPEN: _("to review"), ACCEPTED: _("accepted"), REJECTED: _("rejected"), EDITED: _("edited")}
    return texts[verdict]
