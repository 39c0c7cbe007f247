"""Surfaces of nodules that a run has found so far: in the views while it runs, never saved with the scene."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from lnhg import __version__
from lnhg.progress import Found

from ..translation import _
from .nodes import BOX_COLOR, grid_of_node, remove_node


class FoundNodules:
    """A model that lies on a CT until `remove` is called; made with the first nodule.

    A model, since a segmentation would be offered for editing, and hidden from editors it fills Slicer's error log.
    """

    def __init__(self, ct_node: Any) -> None:
        self._ct, self._grid = ct_node, grid_of_node(ct_node)
        self._node: Any = None
        self._visible = True

    def add(self, found: Found) -> bool:
        """Draw a nodule; False, and nothing is drawn, where the CT or the model was moved, cut or removed."""
        if not self._fits(found):
            return False
        surface = _surface(found, self._grid)
        if self._node is None:
            self._node = self._made(surface)
        elif slicer.mrmlScene.IsNodePresent(self._node):
            self._node.SetAndObservePolyData(_together(self._node.GetPolyData(), surface))
        else:
            return False  # somebody does not want to see them
        self._node.SetAndObserveTransformNodeID(self._ct.GetTransformNodeID())
        return True

    def set_visible(self, visible: bool) -> None:
        """Show or hide what is drawn."""
        if visible != self._visible:
            self._visible = visible
            if self._node is not None and self._node.GetDisplayNode() is not None:
                self._node.GetDisplayNode().SetVisibility(visible)

    def remove(self) -> None:
        """Leave nothing behind; a scene that closes removes it all itself."""
        if self._node is not None and not slicer.mrmlScene.IsClosing() and slicer.mrmlScene.IsNodePresent(self._node):
            remove_node(self._node)

    def _fits(self, found: Found) -> bool:
        if not slicer.mrmlScene.IsNodePresent(self._ct) or self._ct.GetImageData() is None:
            return False
        size = self._ct.GetImageData().GetDimensions()[::-1]
        ends = np.add(found.corner, found.mask.shape)
        return bool((ends <= size).all()) and np.array_equal(grid_of_node(self._ct), self._grid)

    def _made(self, surface: Any) -> Any:
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLModelNode")
        node.UnRegister(None)  # the reference of the one who asked, which Python does not know of
        node.SetName(slicer.mrmlScene.GenerateUniqueName(_("Found so far (provisional)")))
        node.SetAttribute("LNHG.Version", __version__)
        node.SetSaveWithScene(False)
        node.SetHideFromEditors(True)
        node.SetAndObservePolyData(surface)
        slicer.mrmlScene.AddNode(node)
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.SetColor(*BOX_COLOR)
        display.Visibility2DOn()
        display.SetSliceIntersectionThickness(2)
        display.SetVisibility(self._visible)
        return node


def _surface(found: Found, ijk_to_ras: np.ndarray) -> Any:
    """The surface of a mask, half a voxel around the middles of its outer voxels, RAS."""
    padded = np.pad(found.mask.astype(np.uint8), 1)
    image = vtk.vtkImageData()
    image.SetDimensions(padded.shape[::-1])
    image.SetOrigin(*(at - 1 for at in reversed(found.corner)))
    image.GetPointData().SetScalars(numpy_to_vtk(padded.ravel(), deep=True))
    edges, to_ras, moved = vtk.vtkFlyingEdges3D(), vtk.vtkTransform(), vtk.vtkTransformPolyDataFilter()
    edges.SetInputData(image)
    edges.SetValue(0, 0.5)
    edges.ComputeNormalsOff()
    edges.ComputeScalarsOff()
    to_ras.SetMatrix(slicer.util.vtkMatrixFromArray(ijk_to_ras))
    moved.SetTransform(to_ras)
    moved.SetInputConnection(edges.GetOutputPort())
    moved.Update()
    return moved.GetOutput()


def _together(one: Any, other: Any) -> Any:
    both = vtk.vtkAppendPolyData()
    both.AddInputData(one)
    both.AddInputData(other)
    both.Update()
    return both.GetOutput()
