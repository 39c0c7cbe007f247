"""Nodules that the reader added by hand, put into the result that is being reviewed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import slicer

from ..scene.nodes import SceneNodes, remove_node, set_voxels
from .outlines import Outline, Outlines
from .review import Review

if TYPE_CHECKING:
    from ..run.click_answer import Answer


def add_clicked(review: Review, answer: Answer) -> list[str]:
    """Add what was found at a click to the result under review; returns the segment IDs.

    They are accepted: the reader pointed at them.
    """
    generated = review.nodes.generated
    if generated is not None:  # the earlier run has no G(x) where it saw no candidate
        there = slicer.util.arrayFromVolume(generated)[answer.box]
        np.maximum(there, answer.generated, out=there)
        slicer.util.arrayFromVolumeModified(generated)
    masks = answer.masks()
    return review.add_pointed_at([(Outline(*masks[one.id]), one) for one in answer.nodules], answer.options)


def move_into(reviewed: SceneNodes, added: SceneNodes) -> list[str]:
    """Move the nodules of a run at given points into an earlier result of the same CT; returns their segment IDs there.

    They are accepted. The nodes of `added` leave the scene.
    """
    if reviewed.generated is not None and added.generated is not None:
        both = np.maximum(*(slicer.util.arrayFromVolume(nodes.generated) for nodes in (reviewed, added)))
        set_voxels(reviewed.generated, both)
    outlines = Outlines(added).of_all(added.segment_ids)
    there = zip(outlines.values(), added.rows, strict=True)
    found = [(outline, row) for outline, row in there if outline is not None]
    ids = Review(reviewed).add_pointed_at(found, added.options)
    for node in added.added:
        remove_node(node)
    return ids


def accept_all(added: SceneNodes) -> None:
    """Nodules at given points count as accepted: the reader pointed at them."""
    review = Review(added)
    for row in review.rows():
        review.accept(row.segment_id)
