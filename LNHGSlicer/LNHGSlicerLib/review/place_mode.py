"""Slicer's place mode for one new markup, in the slice views."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.util import VTKObservationMixin


class PlaceMode(VTKObservationMixin):
    """The clicks in the views that come next place a markup. What comes of it is said by a subclass.

    Args:
        class_name: of the markup.
        name: of the node.
    """

    def __init__(self, class_name: str, name: str) -> None:
        super().__init__()
        self._class_name, self._name = class_name, name
        self._node: Any = None
        self._ending = False

    @property
    def waiting(self) -> bool:
        """Whether the next click in a view places something."""
        return self._node is not None

    def start(self) -> None:
        """The next clicks in a slice view place the markup."""
        self.stop()
        self._ending = False
        name = slicer.mrmlScene.GenerateUniqueName(self._name)
        self._node = slicer.mrmlScene.AddNewNodeByClass(self._class_name, name)
        selection, interaction = _singleton("Selection"), _singleton("Interaction")
        selection.SetReferenceActivePlaceNodeClassName(self._class_name)
        selection.SetActivePlaceNodeID(self._node.GetID())
        interaction.SetPlaceModePersistence(0)
        interaction.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.Place)
        self.addObserver(interaction, interaction.InteractionModeChangedEvent, self._mode_changed)

    def stop(self) -> None:
        """Back to the mouse's usual ways; nothing is placed."""
        node = self._release()
        if node is not None and slicer.mrmlScene.IsNodePresent(node):
            slicer.mrmlScene.RemoveNode(node)

    def stop_if_deleted(self) -> None:
        """Give up where somebody deleted the markup, which the next click would make anew and leave behind."""
        if self.waiting and not slicer.mrmlScene.IsNodePresent(self._node):
            self.stop()

    def _release(self) -> Any:
        """End the mode; returns the markup, which stays."""
        self.removeObservers()
        node, self._node = self._node, None
        interaction = _singleton("Interaction")
        if node is not None and interaction.GetCurrentInteractionMode() == interaction.Place:
            interaction.SetCurrentInteractionMode(interaction.ViewTransform)  # else the reader chose another way
        return node

    def _mode_changed(self, interaction: Any, event: Any) -> None:
        if interaction.GetCurrentInteractionMode() != interaction.Place:
            self._end_soon()

    def _end_soon(self) -> None:
        """Slicer's own code still uses the markup while it tells of it: it must not be removed before that has
        ended.
        """
        if not self._ending:
            self._ending = True
            qt.QTimer.singleShot(0, self._end_now)

    def _end_now(self) -> None:
        if self.waiting:  # else stopped meanwhile
            self._end()

    def _end(self) -> None:
        """Something was placed, or the mode was given up."""
        raise NotImplementedError


def _singleton(name: str) -> Any:
    return slicer.mrmlScene.GetNodeByID(f"vtkMRML{name}NodeSingleton")
