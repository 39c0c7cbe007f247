"""Where nodules lie, by a segmentation of the lobes that the reader chose."""

from __future__ import annotations

from typing import Any

from lnhg.stages.place import with_lobes
from lnhg.writers.seg_nrrd import id_of_segment

from ..scene.lobes import lobes_of_node
from ..scene.nodes import SceneNodes, ct_of_node, voxels_of
from .outlines import Outlines
from .review import write_row


def tell_lobes(nodes: SceneNodes, lobes_node: Any) -> int:
    """Write the lobes of all nodules that have an outline into the table; returns how many lie in a lobe or lung.

    Raises InputError as `lobes_of_node`, and where the lobes lie elsewhere than the CT.
    """
    outlines = Outlines(nodes).of_all(nodes.segment_ids)
    there = [one for one in nodes.rows if outlines.get(id_of_segment(one.id)) is not None]
    lobes = lobes_of_node(lobes_node, nodes.ct)
    labels = voxels_of(nodes, [id_of_segment(one.id) for one in there])
    placed = with_lobes(there, lobes, ct_of_node(nodes.ct), labels)
    for row in placed:
        write_row(nodes.table, row)
    return sum("lung" in row.lobe or "lobe" in row.lobe for row in placed)
