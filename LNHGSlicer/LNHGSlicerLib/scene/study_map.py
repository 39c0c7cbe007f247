"""The map of a blind reader study: each nodule in the kind that was drawn for it, all in one volume with one legend.

The result's own map stays as it is, for the table, for what is exported, and for the time after the study.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from lnhg.core.boxes import box_around
from lnhg.stages.heterogeneity_maps import nodule_map
from lnhg.stages.nodule_map import OUTSIDE, NoduleMap

from ..review.outlines import Outlines, as_labels
from .drawn_maps import axial_order_of_node, coloured, map_input
from .nodes import STUDY_MAP, SceneNodes, add_study_map, set_cut_map


def draw_study_map(nodes: SceneNodes, outlines: Outlines, kinds: Mapping[str, str]) -> None:
    """Draw the map of a blind reader study from the segments as they are now; its volume is made where it is missing.

    Args:
        kinds: for each segment in the study the kind of its map (`Options.heterogeneity`), in its usual range. Segments
            that are not named have no colour.
    """
    view = axial_order_of_node(nodes.ct)
    numbered = as_labels(view, outlines.of_all(nodes.segment_ids).values())
    kind_of = {n: kinds[one] for n, one in enumerate(nodes.segment_ids, 1) if one in kinds}
    inside = {n: mask for n, mask in coloured(nodes, view, numbered).items() if n in kind_of}
    scan, all_of_them = map_input(nodes, view), {n: (one.box, one.mask) for n, one in numbered.items()}
    made = {  # of all nodules, which share the range of some kinds
        kind: nodule_map(scan, all_of_them, replace(nodes.options, heterogeneity=kind, normalisation="auto")).parts
        for kind in {kind_of[n] for n in inside}
    }
    parts = {n: made[kind_of[n]][n] for n in inside}
    values = {n: (box, np.where(inside[n], part, OUTSIDE)) for n, (box, part) in parts.items()}
    around = box_around(one.box for one in numbered.values())
    empty = np.full([side.stop - side.start for side in around], OUTSIDE, np.float32)
    set_cut_map(
        nodes.study_map or add_study_map(nodes),
        nodes.ct,
        view,
        NoduleMap(view.ct.hu.shape, {0: (around, empty), **values}),
    )


def release_study_map(nodes: SceneNodes) -> Any | None:
    """Let the result's own map be the one that is shown; returns the volume that showed that of the study, to be
    removed when no view shows it.
    """
    node = nodes.study_map
    nodes.segmentation.SetNodeReferenceID(STUDY_MAP, None)
    return node
