"""The CT of a node as it was when it was taken for a run: no other one may get its result."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from slicer.i18n import tr as _

from lnhg.errors import InputError

if TYPE_CHECKING:
    from lnhg.core.ct import CT

# Grids whose numbers differ by no more are the same, as after a way through inverse matrices.
_SAME_GRID = 1e-5


class TakenCT:
    """Grid and voxels of a volume node at one moment. Raises InputError for a node without voxels, or with several
    values a voxel.
    """

    def __init__(self, node: Any) -> None:
        from ..scene.nodes import grid_of_node, values_of_node, voxels_mark

        self.node = node
        self._shape, self._grid = values_of_node(node).shape, grid_of_node(node)
        self._mark, self._changed = voxels_mark(node), node.GetImageData().GetMTime()

    def reader(self) -> Callable[[], CT]:
        """What makes the CT, in a thread: `check_unchanged` then says whether it was read whole."""
        from ..scene.nodes import ct_of_values, values_of_node

        name, values, grid = self.node.GetName(), values_of_node(self.node), self._grid
        return lambda: ct_of_values(name, values, grid)

    def check_unchanged(self) -> None:
        """Raise InputError if the voxels were changed, or may have been, since it was taken."""
        image = self.node.GetImageData()
        if image is None or image.GetMTime() != self._changed:
            raise InputError(_("The CT was changed while the run began; run again."))

    def check(self) -> None:
        """Raise InputError if the CT is no longer where, or what, it was."""
        from ..scene.nodes import grid_of_node, voxels_mark
        from ..scene.volumes import has_voxels

        if self.node.GetScene() is None or not has_voxels(self.node):
            raise InputError(_("The CT was removed from the scene during the run; nothing was added."))
        same = self.node.GetImageData().GetDimensions()[::-1] == self._shape
        if not same or not np.allclose(grid_of_node(self.node), self._grid, rtol=0, atol=_SAME_GRID):
            raise InputError(_("The CT was moved or cut during the run; nothing was added, run again."))
        if voxels_mark(self.node) != self._mark:
            raise InputError(_("The CT got other voxels during the run; nothing was added, run again."))

    def is_as_taken(self) -> bool:
        """Whether the CT is in the scene, where it was, with the same voxels."""
        try:
            self.check()
            self.check_unchanged()
        except InputError:
            return False
        return True
