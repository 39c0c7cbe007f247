"""Asks for a box in the views: where to look for nodules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from ..scene.regions import has_extent
from .place_mode import PlaceMode


class RegionPlacement(PlaceMode):
    """Slicer's place mode for a box: two clicks in a slice view are corners; it is as deep as it is high or wide there.

    Args:
        on_drawn: gets the node of the box.
        on_given_up: called when the mode was ended before there was one; nothing is left behind then.
    """

    def __init__(self, on_drawn: Callable[[Any], object], on_given_up: Callable[[], object]) -> None:
        super().__init__("vtkMRMLMarkupsROINode", _("Region"))
        self._on_drawn, self._on_given_up = on_drawn, on_given_up

    def _end(self) -> None:
        if has_extent(self._node):
            self._on_drawn(self._release())
        else:
            self.stop()
            self._on_given_up()
