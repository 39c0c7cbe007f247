"""Asks for one point in the views: where to add a nodule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _


class PointPlacement:
    """Slicer's place mode for a single point. What the reader clicks is handed on; the markup is taken away again."""

    def __init__(self, on_placed: Callable[[tuple[float, float, float]], None]) -> None:
        self._on_placed = on_placed
        self._node: Any = None

    @property
    def waiting(self) -> bool:
        """Whether the next click in a view places the point."""
        return self._node is not None

    def start(self) -> None:
        """The next click in a view is the point (mm, RAS of the scene)."""
        self.stop()
        self._node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", _("New nodule"))
        self._node.SetSaveWithScene(False)
        self._node.AddObserver(slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent, self._placed)
        selection, interaction = _singleton("Selection"), _singleton("Interaction")
        selection.SetReferenceActivePlaceNodeClassName("vtkMRMLMarkupsFiducialNode")
        selection.SetActivePlaceNodeID(self._node.GetID())
        interaction.SetPlaceModePersistence(0)
        interaction.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.Place)

    def stop(self) -> None:
        """Back to the mouse's usual ways; nothing is placed."""
        node, self._node = self._node, None
        if node is not None and slicer.mrmlScene.IsNodePresent(node):
            _singleton("Interaction").SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.ViewTransform)
            slicer.mrmlScene.RemoveNode(node)

    def _placed(self, node: Any, event: Any) -> None:
        if node is not self._node:
            return
        point = [0.0, 0.0, 0.0]
        node.GetNthControlPointPositionWorld(0, point)
        self.stop()
        self._on_placed((point[0], point[1], point[2]))


def _singleton(name: str) -> Any:
    return slicer.mrmlScene.GetNodeByID(f"vtkMRML{name}NodeSingleton")
