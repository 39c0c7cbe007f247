"""Nodules that the reader added by hand, moved into the result that is being reviewed."""

from __future__ import annotations

import numpy as np
import slicer

from lnhg.writers.seg_nrrd import id_of_segment

from ..scene.nodes import SceneNodes, remove_node, set_voxels
from .review import Review, carry_over


def move_into(reviewed: SceneNodes, added: SceneNodes) -> list[str]:
    """Move the nodules of a run at given points into an earlier result of the same CT; returns their segment IDs there.

    They are accepted, see `accept_all`. The nodes of `added` leave the scene.
    """
    if reviewed.generated is not None and added.generated is not None:
        # The earlier run has no G(x) where it saw no candidate.
        both = np.maximum(*(slicer.util.arrayFromVolume(nodes.generated) for nodes in (reviewed, added)))
        set_voxels(reviewed.generated, both)
    accept_all(added)
    changes = carry_over(added, reviewed)
    for node in added.added:
        remove_node(node)
    return [id_of_segment(number) for number, _, _ in changes.kept]


def accept_all(added: SceneNodes) -> None:
    """Nodules at given points count as accepted: the reader pointed at them."""
    review = Review(added)
    for row in review.rows():
        review.accept(row.segment_id)
