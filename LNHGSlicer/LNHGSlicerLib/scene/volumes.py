"""What is asked of volume nodes before anything is read of them; needs no package but Slicer's own."""

from __future__ import annotations

from typing import Any


def has_voxels(volume_node: Any) -> bool:
    """Whether a volume node holds anything; one that could not be read may know its size alone."""
    image = volume_node.GetImageData()
    return image is not None and image.GetPointData().GetScalars() is not None
