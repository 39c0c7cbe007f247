"""The voxels of segments, box by box on the grid of the CT: CTs are large and nodules small, and readers do not
wait.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from lnhg.core.boxes import Box, label_boxes, moved_box
from lnhg.stages.axial import AxialOrder

from ..scene.nodes import SceneNodes, grid_of_node, label_image, voxels_of
from ..scene.transforms import point_of_scene

_VOXELS = slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName()
# How far, in voxels, a labelmap may lie from the grid of the CT and still be voxel on voxel with it.
_SAME_VOXEL = 0.01


@dataclass(frozen=True, eq=False)
class Outline:
    """The voxels of one segment.

    Attributes:
        box: the smallest around them, as slices `[slice, row, column]` of the CT.
        mask: which voxels in the box are inside.
    """

    box: Box
    mask: np.ndarray

    def same_as(self, other: Outline | None) -> bool:
        """Whether both have the same voxels."""
        return other is not None and self.box == other.box and np.array_equal(self.mask, other.mask)


class Outlines:
    """The outlines of a result as they are now. A labelmap that has not changed since the last look is not read
    again.
    """

    REPRESENTATION = _VOXELS

    def __init__(self, nodes: SceneNodes) -> None:
        self._nodes = nodes
        # For each labelmap, which several segments may share: what it was like, and the box of each of its labels.
        self._seen: dict[Any, tuple[Any, dict[int, Box]]] = {}

    def of(self, segment_id: str) -> Outline | None:
        """The outline of one segment; None if it has no voxels, or was removed."""
        return self.of_all([segment_id])[segment_id]

    def of_all(self, segment_ids: list[str]) -> dict[str, Outline | None]:
        """The outlines of several segments."""
        segmentation = self._nodes.segmentation.GetSegmentation()
        if segmentation.GetNumberOfSegments() and not segmentation.ContainsRepresentation(_VOXELS):
            # Somebody took the surfaces for the source and the voxels away.
            segmentation.CreateRepresentation(_VOXELS)
        found = {one: self._of(segmentation.GetSegment(one)) for one in segment_ids}
        there = {
            segmentation.GetNthSegment(n).GetRepresentation(_VOXELS) for n in range(segmentation.GetNumberOfSegments())
        }
        self._seen = {image: seen for image, seen in self._seen.items() if image in there}
        return {one: self._resampled(one) if outline is _ELSEWHERE else outline for one, outline in found.items()}

    def centre(self, segment_id: str) -> tuple[float, ...] | None:
        """The middle of the box around a segment, mm, RAS of the scene; None if it has no voxels."""
        outline = self.of(segment_id)
        if outline is None:
            return None
        ijk = [(side.start + side.stop - 1) / 2 for side in reversed(outline.box)]
        return point_of_scene((grid_of_node(self._nodes.ct) @ [*ijk, 1])[:3].tolist(), self._nodes.segmentation)

    def _of(self, segment: Any) -> Outline | None:
        image = None if segment is None else segment.GetRepresentation(_VOXELS)
        if image is None or image.IsEmpty():
            return None
        corner = self._corner(image)
        if corner is None:
            return _ELSEWHERE
        values = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
        state = image.GetMTime(), image.GetExtent()
        if image not in self._seen or self._seen[image][0] != state:
            self._seen[image] = state, label_boxes(values)
        box = self._seen[image][1].get(int(segment.GetLabelValue()))
        if box is None:
            return None
        moved = tuple(slice(side.start + more, side.stop + more) for side, more in zip(box, corner, strict=True))
        shape = self._nodes.ct.GetImageData().GetDimensions()[::-1]
        if any(side.start < 0 or side.stop > size for side, size in zip(moved, shape, strict=True)):
            return _ELSEWHERE  # drawn beyond the CT: only what lies on it counts
        return Outline(moved, values[box] == int(segment.GetLabelValue()))

    def _corner(self, image: Any) -> tuple[int, ...] | None:
        """The slice, row and column of the CT where a labelmap begins; None if it is not voxel on voxel with the CT."""
        own = slicer.vtkOrientedImageData()
        own.ShallowCopy(image)
        matrix = slicer.util.vtkMatrixFromArray(np.eye(4))
        own.GetImageToWorldMatrix(matrix)
        to_ct = np.linalg.solve(grid_of_node(self._nodes.ct), slicer.util.arrayFromVTKMatrix(matrix))
        steps = to_ct[:3, 3]
        far = np.abs(to_ct[:3, :3] - np.eye(3)) @ self._nodes.ct.GetImageData().GetDimensions()
        if far.max() > _SAME_VOXEL or np.abs(steps - steps.round()).max() > _SAME_VOXEL:
            return None
        start = np.array(image.GetExtent()[::2]) + steps.round().astype(int)
        return tuple(int(one) for one in start[::-1])

    def _resampled(self, segment_id: str) -> Outline | None:
        """As Slicer resamples a segment to the grid of the CT, which takes longer."""
        values = voxels_of(self._nodes, [segment_id])
        box = label_boxes(values).get(1)
        return None if box is None else Outline(box, values[box] == 1)


# A segment whose voxels lie on another grid than the CT's, or beyond it.
_ELSEWHERE = Outline((), np.zeros(0, bool))


def set_outline(nodes: SceneNodes, segment_id: str, outline: Outline) -> None:
    """Replace the voxels of a segment; other segments keep theirs, also where they overlap."""
    segment = nodes.segmentation.GetSegmentation().GetSegment(segment_id)
    if segment.GetRepresentation(_VOXELS) is None:
        segment.AddRepresentation(_VOXELS, slicer.vtkOrientedImageData())
    logic = slicer.modules.segmentations.logic()
    grid = slicer.util.vtkMatrixFromArray(grid_of_node(nodes.ct))
    image = label_image(outline.mask, outline.box, grid)
    logic.SetBinaryLabelmapToSegment(image, nodes.segmentation, segment_id, logic.MODE_REPLACE)


def as_labels(view: AxialOrder, outlines: Iterable[Outline | None]) -> dict[int, Outline]:
    """Outlines in the axial view, numbered from 1, as a label map holds them: what two share belongs to the later
    one.
    """
    there = {number: one for number, one in enumerate(outlines, 1) if one is not None}
    return {
        number: Outline(view.box_to_axial(one.box), view.to_axial(one.mask))
        for number, one in _exclusive(there).items()
    }


def common_voxels(one: Outline, other: Outline) -> int:
    """How many voxels two outlines share."""
    shared = _common_box(one.box, other.box)
    if shared is None:
        return 0
    return int((one.mask[moved_box(shared, one.box)] & other.mask[moved_box(shared, other.box)]).sum())


def left_of(one: Outline, others: Iterable[Outline]) -> Outline | None:
    """What an outline does not share with others; None: nothing."""
    return _exclusive(dict(enumerate([one, *others]))).get(0)


def _exclusive(outlines: dict[int, Outline]) -> dict[int, Outline]:
    """Outlines without what they share with a later one, as in a label map."""
    result: dict[int, Outline] = {}
    numbers = list(outlines)
    for position, number in enumerate(numbers):
        outline, mask = outlines[number], outlines[number].mask.copy()
        for later in numbers[position + 1 :]:
            shared = _common_box(outline.box, outlines[later].box)
            if shared is not None:
                mask[moved_box(shared, outline.box)] &= ~outlines[later].mask[moved_box(shared, outlines[later].box)]
        result[number] = Outline(outline.box, mask)
    return {number: one for number, one in result.items() if one.mask.any()}


def _common_box(one: Box, other: Box) -> Box | None:
    sides = tuple(slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True))
    return sides if all(side.start < side.stop for side in sides) else None
