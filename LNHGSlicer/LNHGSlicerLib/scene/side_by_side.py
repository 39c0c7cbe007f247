"""Two studies at the same nodule: this CT in the upper row of slice views, the earlier one in the lower, linked.

The earlier CT is laid on this one by a transform above it, which is exact at the nodule; no voxel is resampled. All
that is needed to put things back lies on the follow-up's table, so a scene that was saved meanwhile knows it too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer

from .nodes import PRIOR_VIEW, SceneNodes, is_whole, move_with_ct, results_of
from .transforms import point_of_scene
from .views import centre_on

if TYPE_CHECKING:
    from ..review.follow_up import FollowUpNodes, ScenePair

_BEFORE, _TRANSFORM, _FORMER = "LNHG.SideBySide", "LNHG.transform", "LNHG.formerTransform"
_SAME_PLACE_MM = 0.01
_UPPER, _LOWER = ("Red", "Green", "Yellow"), ("Red+", "Green+", "Yellow+")


def is_side_by_side(follow_up: FollowUpNodes) -> bool:
    """Whether the views show both studies."""
    return follow_up.table.GetAttribute(_BEFORE) is not None


def show_side_by_side(follow_up: FollowUpNodes, pair: ScenePair, opacity: float, field_mm: float | None) -> bool:
    """Show both studies at a pair; returns whether it has to be called again, after Slicer has drawn the lower views.

    New views come to their own middle when they are first drawn, and would take those that are linked with them along.

    Args:
        opacity: of each study's map over its CT.
        field_mm: what the views show across; None: as much as before.
    """
    begun, both_rows = is_side_by_side(follow_up), slicer.vtkMRMLLayoutNode.SlicerLayoutThreeOverThreeView
    if begun:
        _layout().SetViewArrangement(both_rows)  # the reader may have chosen another one
        for view in _composites(_UPPER + _LOWER):
            view.SetLinkedControl(True)
    else:
        _begin(follow_up)
    _lay(follow_up, pair)
    for nodes, names in ((follow_up.current, _UPPER), (follow_up.prior, _LOWER)):
        for view in _composites(names):
            view.SetBackgroundVolumeID(nodes.ct.GetID())
            view.SetForegroundVolumeID(nodes.shown_map.GetID() if opacity else None)
            view.SetForegroundOpacity(opacity)
        nodes.segmentation.GetDisplayNode().SetVisibility(True)
    follow_up.prior.ct.GetDisplayNode().SetAutoWindowLevel(False)
    _turn_lower_as_upper()
    window = follow_up.current.ct.GetDisplayNode()
    follow_up.prior.ct.GetDisplayNode().SetWindowLevel(window.GetWindow(), window.GetLevel())
    centre_on(point_of_scene(pair.places[1].tolist(), follow_up.current.ct), field_mm)
    return not begun


def lie_on_each_other(follow_up: FollowUpNodes, pair: ScenePair) -> bool:
    """Whether the pair's places in both studies are still one place of the views, and the earlier CT lies by the
    transform that this module made.
    """
    studies = (follow_up.prior, follow_up.current)
    earlier, later = (
        point_of_scene(place.tolist(), nodes.ct) for place, nodes in zip(pair.places, studies, strict=True)
    )
    own = follow_up.prior.ct.GetTransformNodeID() == follow_up.table.GetNodeReferenceID(_TRANSFORM)
    return own and bool(np.allclose(earlier, later, atol=_SAME_PLACE_MM))


def end_side_by_side(follow_up: FollowUpNodes) -> None:
    """The earlier CT where it was, and all views on this CT in the layout of before; nothing if that is so."""
    if not is_side_by_side(follow_up):
        return
    table, prior = follow_up.table, follow_up.prior
    before = json.loads(table.GetAttribute(_BEFORE))
    table.RemoveAttribute(_BEFORE)
    # By its ID: somebody may have removed the table, which refers to nodes no more.
    transform = slicer.mrmlScene.GetNodeByID(table.GetNodeReferenceID(_TRANSFORM) or "")
    if is_whole(prior):
        if prior.ct.GetParentTransformNode() in (transform, None):  # else the reader put it under another one
            prior.ct.SetAndObserveTransformNodeID(table.GetNodeReferenceID(_FORMER))
        move_with_ct(prior)
    if transform is not None:
        slicer.mrmlScene.RemoveNode(transform)
    upper = _composites(_UPPER)[0]
    for nodes in (prior, follow_up.current):
        display = nodes.segmentation.GetDisplayNode()
        if display is not None:
            display.RemoveAllViewNodeIDs()
            display.SetVisibility(_is_seen(nodes, upper.GetBackgroundVolumeID()))
    for view, node in zip(_composites(_LOWER), _slices(_LOWER), strict=True):
        view.SetNodeReferenceID(PRIOR_VIEW, None)
        view.SetBackgroundVolumeID(upper.GetBackgroundVolumeID())
        view.SetForegroundVolumeID(upper.GetForegroundVolumeID())
        node.SetViewGroup(before["group"])
    for view in _composites(_UPPER + _LOWER):
        view.SetLinkedControl(before["linked"])
    _layout().SetViewArrangement(before["layout"])


def _is_seen(nodes: SceneNodes, background_id: str | None) -> bool:
    """Whether outlines belong over the CT in the upper views: the reader may have selected another one, or segmented
    this one again.
    """
    latest = results_of(nodes.ct)
    return background_id == nodes.ct.GetID() and latest is not None and latest.segmentation is nodes.segmentation


def leave_both_rows(follow_up: FollowUpNodes) -> None:
    """The layout of before, where the scene that was compared is being closed; nothing if it is so."""
    if is_side_by_side(follow_up):
        _layout().SetViewArrangement(json.loads(follow_up.table.GetAttribute(_BEFORE))["layout"])


def _begin(follow_up: FollowUpNodes) -> None:
    table, layout = follow_up.table, _layout()
    former = layout.GetViewArrangement()
    layout.SetViewArrangement(layout.SlicerLayoutThreeOverThreeView)  # makes the lower views
    before = {
        "layout": former,
        "linked": _composites(_UPPER)[0].GetLinkedControl(),
        "group": _slices(_LOWER)[0].GetViewGroup(),
    }
    table.SetNodeReferenceID(_FORMER, follow_up.prior.ct.GetTransformNodeID())
    for view, node in zip(_composites(_LOWER), _slices(_LOWER), strict=True):
        view.SetNodeReferenceID(PRIOR_VIEW, table.GetID())
        node.SetViewGroup(_slices(_UPPER)[0].GetViewGroup())
    for nodes, names in ((follow_up.current, _UPPER), (follow_up.prior, _LOWER)):
        nodes.segmentation.GetDisplayNode().SetViewNodeIDs([node.GetID() for node in _slices(names)])
    table.SetAttribute(_BEFORE, json.dumps(before))


def _turn_lower_as_upper() -> None:
    for upper, lower in zip(_slices(_UPPER), _slices(_LOWER), strict=True):
        lower.SetFieldOfView(*upper.GetFieldOfView())
        lower.GetSliceToRAS().DeepCopy(upper.GetSliceToRAS())
        lower.UpdateMatrices()


def _lay(follow_up: FollowUpNodes, pair: ScenePair) -> None:
    """Turn the earlier CT as the lungs lie, and put the nodule's place on that of this CT."""
    transform, matrix = _transform(follow_up), np.eye(4)
    matrix[:3, :3] = follow_up.rigid[:3, :3]
    matrix[:3, 3] = pair.places[1] - matrix[:3, :3] @ pair.places[0]
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    transform.SetAndObserveTransformNodeID(follow_up.current.ct.GetTransformNodeID())
    follow_up.prior.ct.SetAndObserveTransformNodeID(transform.GetID())
    move_with_ct(follow_up.prior)


def _transform(follow_up: FollowUpNodes) -> Any:
    """The transform above the earlier CT, made where there is none, also where somebody removed it."""
    transform = follow_up.table.GetNodeReference(_TRANSFORM)
    if transform is None:
        name = f"{follow_up.prior.ct.GetName()} on {follow_up.current.ct.GetName()}"
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
        follow_up.table.SetNodeReferenceID(_TRANSFORM, transform.GetID())
    return transform


def _layout() -> Any:
    return slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")


def _slices(names: tuple[str, ...]) -> list[Any]:
    nodes = {node.GetLayoutName(): node for node in slicer.util.getNodesByClass("vtkMRMLSliceNode")}
    return [nodes[name] for name in names]


def _composites(names: tuple[str, ...]) -> list[Any]:
    nodes = {node.GetLayoutName(): node for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}
    return [nodes[name] for name in names]
