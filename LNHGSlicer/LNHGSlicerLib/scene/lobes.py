"""Lobes or lungs of a segmentation or a label map in the scene, as TotalSegmentator and lungmask name them."""

from __future__ import annotations

from typing import Any

import slicer

from lnhg.core.lobes import LobeMap
from lnhg.errors import InputError
from lnhg.readers.lobes import lobes_of_labels

from ..translation import _
from .nodes import grid_of_node, labels_on, values_of_node

_VOXELS = slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName()


def lobes_of_node(node: Any, ct_node: Any) -> LobeMap:
    """The lobes, in the coordinates of the CT's own grid.

    Raises InputError where none is known by name or number, where right and left or head and feet are exchanged, and
    where the node lies under another transform than the CT.
    """
    if node.GetTransformNodeID() != ct_node.GetTransformNodeID():
        raise InputError(_("The lobes lie under another transform than the CT; harden the transforms first."))
    if node.IsA("vtkMRMLSegmentationNode"):
        return _of_segmentation(node, ct_node)
    display = node.GetDisplayNode()
    colours = display.GetColorNode() if display else None
    labels = values_of_node(node)
    names = {} if colours is None else {one: colours.GetColorName(one) for one in range(1, colours.GetNumberOfColors())}
    return lobes_of_labels(labels, grid_of_node(node), names, node.GetName())


def _of_segmentation(node: Any, ct_node: Any) -> LobeMap:
    segmentation = node.GetSegmentation()
    if not segmentation.ContainsRepresentation(_VOXELS):
        node.CreateBinaryLabelmapRepresentation()
    ids = list(segmentation.GetSegmentIDs())
    names = {number: segmentation.GetSegment(one).GetName() for number, one in enumerate(ids, 1)}
    return lobes_of_labels(labels_on(ct_node, node, ids), grid_of_node(ct_node), names, node.GetName())
