"""What is asked of volume nodes before anything is read of them; needs no package but Slicer's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import vtk


def has_voxels(volume_node: Any) -> bool:
    """Whether a volume node holds anything; one that could not be read may know its size alone."""
    image = volume_node.GetImageData()
    return image is not None and image.GetPointData().GetScalars() is not None


def is_inside(volume_node: Any, ras: Sequence[float]) -> bool:
    """Whether a point (mm, RAS of the node itself) lies in one of the voxels."""
    to_ijk = vtk.vtkMatrix4x4()
    volume_node.GetRASToIJKMatrix(to_ijk)
    ijk = to_ijk.MultiplyPoint((*ras, 1.0))[:3]
    return all(
        -0.5 <= at <= size - 0.5 for at, size in zip(ijk, volume_node.GetImageData().GetDimensions(), strict=True)
    )
