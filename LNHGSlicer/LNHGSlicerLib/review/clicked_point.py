"""Asks for one point in the views: where to add a nodule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _

from .place_mode import PlaceMode

Point = tuple[float, float, float]


class PointPlacement(PlaceMode):
    """Slicer's place mode for a single point in a slice view. The markup that Slicer draws is taken away again.

    Args:
        on_placed: gets the point (mm, RAS of the scene), and the volume in the background of the view that was clicked
            in, None where that is not known.
        on_given_up: called when the reader, or Slicer, ended the mode without a point; gets a sentence, empty where
            there is nothing to say.
    """

    def __init__(self, on_placed: Callable[[Point, Any], None], on_given_up: Callable[[str], None]) -> None:
        super().__init__("vtkMRMLMarkupsFiducialNode", _("New nodule"))
        self._on_placed, self._on_given_up = on_placed, on_given_up
        self._point: Point | None = None
        self._in_slice = True
        self._background: Any = None

    def start(self) -> None:
        """The next click in a slice view is the point."""
        self._point = None
        super().start()
        self._node.SetSaveWithScene(False)
        self.addObserver(self._node, slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent, self._placed)

    def _placed(self, node: Any, event: Any) -> None:
        point = [0.0, 0.0, 0.0]
        node.GetNthControlPointPositionWorld(0, point)
        self._point = point[0], point[1], point[2]
        self._in_slice, self._background = _pointer_in_slice_view()
        self._end_soon()

    def _end(self) -> None:
        self.stop()
        if self._point is None:
            self._on_given_up("")
        elif not self._in_slice:
            self._on_given_up(_("A point in the 3D view has no certain depth: click on the nodule in a slice view."))
        else:
            self._on_placed(self._point, self._background)


def _pointer_in_slice_view() -> tuple[bool, Any]:
    """Whether the mouse pointer is in a slice view, or nowhere, as when a point is placed from code; and the volume in
    the background of that view, or None.
    """
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    known = crosshair is not None and crosshair.GetCursorPositionRAS([0.0, 0.0, 0.0])
    if not known:
        return True, None
    view = crosshair.GetCursorPositionXYZ([0.0, 0.0, 0.0])
    if view is None:
        return False, None
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        if composite.GetLayoutName() == view.GetLayoutName():
            return True, slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID() or "")
    return True, None
