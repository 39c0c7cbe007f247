"""Slicer's Segment Editor, where a reader changes the outlines of a result."""

from __future__ import annotations

from collections.abc import Mapping

import slicer

from lnhg.writers.seg_nrrd import id_of_segment, number_of_segment

from .nodes import SceneNodes


def edit_in_place_of(former: SceneNodes, nodes: SceneNodes, numbers: Mapping[int, int]) -> None:
    """Where the editor stands at the outlines of an earlier result, it goes on with those of the one in its place:
    nobody would see what is changed in the earlier one.

    Args:
        numbers: of nodules, former to now. With one that has none no segment is selected, so that no stroke goes into
            another.
    """
    for editor in slicer.util.getNodesByClass("vtkMRMLSegmentEditorNode"):
        if editor.GetSegmentationNode() is not former.segmentation:
            continue
        chosen = editor.GetSelectedSegmentID()
        number = numbers.get(number_of_segment(chosen)) if chosen in former.segment_ids else None
        editor.SetAndObserveSegmentationNode(nodes.segmentation)
        editor.SetSelectedSegmentID("" if number is None else id_of_segment(number))
        seen = former.segmentation.GetDisplayNode().GetVisibility()
        former.segmentation.GetDisplayNode().SetVisibility(False)
        nodes.segmentation.GetDisplayNode().SetVisibility(seen)
