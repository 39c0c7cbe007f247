"""What each nodule consists of, as a layer over the CT: solid tissue, ground glass, air, calcium and fat."""

from __future__ import annotations

import numpy as np

from lnhg.core.boxes import box_around, grown_box, moved_box
from lnhg.stages.components import components
from lnhg.stages.nodule_map import OUTSIDE, NoduleMap

from ..review.outlines import Outlines, as_labels
from .drawn_maps import axial_order_of_node, coloured
from .nodes import SceneNodes, add_components_map, set_cut_map

# So much of the CT around a nodule counts in its components, mm.
_AROUND_MM = 3.0


def draw_components(nodes: SceneNodes, outlines: Outlines) -> None:
    """Draw the components of the nodules from the segments as they are now; their volume is made where it is
    missing. Its values are those of `lnhg.stages.components.Component`.
    """
    view = axial_order_of_node(nodes.ct)
    numbered = as_labels(view, outlines.of_all(nodes.segment_ids).values())
    margin = np.ceil(_AROUND_MM / np.array(view.ct.spacing[::-1])).astype(int).tolist()
    around = box_around(one.box for one in numbered.values())
    parts = {0: (around, np.full([side.stop - side.start for side in around], OUTSIDE, np.float32))}
    for n, shown in coloured(nodes, view, numbered).items():
        wider = grown_box(numbered[n].box, margin)
        hu = view.ct.hu[wider]
        whole, here = np.zeros(hu.shape, bool), moved_box(numbered[n].box, wider)
        whole[here] = numbered[n].mask
        found = components(hu, whole, view.ct.spacing)[here]
        parts[n] = numbered[n].box, np.where(shown, found, OUTSIDE).astype(np.float32)
    node = nodes.components_map or add_components_map(nodes)
    set_cut_map(node, nodes.ct, view, NoduleMap(view.ct.hu.shape, parts))
