"""What is kept of each nodule beside its row: an attribute of the nodule table, saved with the scene.

Older versions kept it as tags of the nodule's segment, which are still read. There the Undo of Slicer's Segment Editor
brings former ones back, with the outline: a verdict would be gone, and an outline taken for measured that is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import vtk

if TYPE_CHECKING:
    from .nodes import SceneNodes


def note_of(nodes: SceneNodes, segment_id: str, name: str) -> str | None:
    """What is kept of a nodule under a name; None if nothing is."""
    kept = nodes.table.GetAttribute(f"LNHG.{name}.{segment_id}")
    if kept is not None:
        return str(kept)
    text, segment = vtk.reference(""), nodes.segmentation.GetSegmentation().GetSegment(segment_id)
    return str(text) if segment is not None and segment.GetTag(f"LNHG.{name}", text) else None


def set_note(nodes: SceneNodes, segment_id: str, name: str, text: str) -> None:
    """Keep a text of a nodule under a name."""
    nodes.table.SetAttribute(f"LNHG.{name}.{segment_id}", text)
