"""Asks for one point in the views: where to add a nodule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

Point = tuple[float, float, float]


class PointPlacement(VTKObservationMixin):
    """Slicer's place mode for a single point in a slice view. The markup that Slicer draws is taken away again.

    Args:
        on_placed: gets the point (mm, RAS of the scene).
        on_given_up: called when the reader, or Slicer, ended the mode without a point; gets a sentence, empty where
            there is nothing to say.
    """

    def __init__(self, on_placed: Callable[[Point], None], on_given_up: Callable[[str], None]) -> None:
        super().__init__()
        self._on_placed, self._on_given_up = on_placed, on_given_up
        self._node: Any = None
        self._point: Point | None = None
        self._in_slice = True
        self._ending = False

    @property
    def waiting(self) -> bool:
        """Whether the next click in a view places the point."""
        return self._node is not None

    def start(self) -> None:
        """The next click in a slice view is the point."""
        self.stop()
        self._point, self._ending = None, False
        self._node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", _("New nodule"))
        self._node.SetSaveWithScene(False)
        selection, interaction = _singleton("Selection"), _singleton("Interaction")
        selection.SetReferenceActivePlaceNodeClassName("vtkMRMLMarkupsFiducialNode")
        selection.SetActivePlaceNodeID(self._node.GetID())
        interaction.SetPlaceModePersistence(0)
        interaction.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.Place)
        self.addObserver(self._node, slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent, self._placed)
        self.addObserver(interaction, interaction.InteractionModeChangedEvent, self._mode_changed)

    def stop(self) -> None:
        """Back to the mouse's usual ways; nothing is placed."""
        self.removeObservers()
        node, self._node = self._node, None
        if node is not None:
            interaction = _singleton("Interaction")
            if interaction.GetCurrentInteractionMode() == interaction.Place:  # else the reader chose another way
                interaction.SetCurrentInteractionMode(interaction.ViewTransform)
            if slicer.mrmlScene.IsNodePresent(node):
                slicer.mrmlScene.RemoveNode(node)

    def stop_if_deleted(self) -> None:
        """Give up where somebody deleted the markup, which the next click would make anew and leave behind."""
        if self.waiting and not slicer.mrmlScene.IsNodePresent(self._node):
            self.stop()

    def _placed(self, node: Any, event: Any) -> None:
        point = [0.0, 0.0, 0.0]
        node.GetNthControlPointPositionWorld(0, point)
        self._point, self._in_slice = (point[0], point[1], point[2]), _pointer_in_slice_view()
        self._end_soon()

    def _mode_changed(self, interaction: Any, event: Any) -> None:
        if interaction.GetCurrentInteractionMode() != interaction.Place:
            self._end_soon()

    def _end_soon(self) -> None:
        """Slicer's own code still uses the markup while it tells of it: it must not be removed before that has
        ended.
        """
        if not self._ending:
            self._ending = True
            qt.QTimer.singleShot(0, self._end)

    def _end(self) -> None:
        if not self.waiting:  # stopped meanwhile
            return
        self.stop()
        if self._point is None:
            self._on_given_up("")
        elif not self._in_slice:
            self._on_given_up(_("A point in the 3D view has no certain depth: click on the nodule in a slice view."))
        else:
            self._on_placed(self._point)


def _pointer_in_slice_view() -> bool:
    """Whether the mouse pointer is in a slice view, or nowhere, as when a point is placed from code."""
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    known = crosshair is not None and crosshair.GetCursorPositionRAS([0.0, 0.0, 0.0])
    return not known or crosshair.GetCursorPositionXYZ([0.0, 0.0, 0.0]) is not None


def _singleton(name: str) -> Any:
    return slicer.mrmlScene.GetNodeByID(f"vtkMRML{name}NodeSingleton")
