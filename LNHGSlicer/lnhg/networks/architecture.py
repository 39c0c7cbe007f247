"""What the detector is made of and what it sees; no PyTorch is needed to know it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .grid import NetworkGrid

Boxes = tuple[tuple[float, ...], ...]

#: Slices are padded at the right and the bottom to whole cells of the coarsest map, in pixels.
CELL = 32
#: Outside training: of each map so many proposals, of which those with a better one of such an IoU are dropped and so
#: many go on; then boxes of at least such a score, those with a better one of such an IoU dropped, so many at most.
PROPOSALS_PER_MAP, PROPOSAL_IOU, PROPOSALS = 300, 0.7, 100
LOWEST_SCORE, BOX_IOU, MOST_BOXES = 0.02, 0.3, 20
#: Boxes are pooled to so many pixels, so many samples each; one of this width (pixels) from the map of stride 2^level.
ROI_PIXELS, ROI_SAMPLES, ROI_WIDTH, ROI_LEVEL = 7, 2, 64, 3


def anchors_for_nodules(pixel_mm: float) -> Boxes:
    """Widths (pixels) of square anchors at strides 4, 8 and 16 for nodules of 3 to 60 mm.

    Nine widths from 3.5 to 56 mm, each sqrt(2) times the last, so that every square in between has IoU 0.7 with one.
    """
    widths = [3.5 * 2 ** (step / 2) / pixel_mm for step in range(9)]
    return tuple(widths[:3]), tuple(widths[3:6]), tuple(widths[6:])


#: What the shipped detector sees: 0.7 mm pixels at any field of view.
DETECTOR_GRID = NetworkGrid("fixed", 0.7)
_NODULE_ANCHORS = anchors_for_nodules(DETECTOR_GRID.pixel_mm)


@dataclass(frozen=True)
class DetectorArchitecture:
    """What the detector is made of; the weights' manifest holds it.

    Attributes:
        backbone: `mobilenet_v2` (pyramid at strides 4, 8, 16) or `resnet50` (one map at stride 16, as in the paper).
        anchors_px: anchor widths in pixels for each map of the backbone.
        anchor_ratios: height over width of the anchors.
        pyramid_width: channels of the feature pyramid.
        head_width: neurons of each of the box head's two layers.
        slices: 3: the slice and a neighbour on either side as channels; 1: the slice alone, as in the authors' scripts.
        neighbour_mm: how far the neighbours lie, rounded to whole slices and at least one.
        context: the box head looks at each box grown by this factor.
    """

    backbone: str = "mobilenet_v2"
    anchors_px: Boxes = _NODULE_ANCHORS
    anchor_ratios: tuple[float, ...] = (1.0,)
    pyramid_width: int = 64
    head_width: int = 256
    slices: int = 3
    neighbour_mm: float = 2.5
    context: float = 2.0

    @classmethod
    def paper(cls) -> DetectorArchitecture:
        """The paper's detector: ResNet-50, anchors of 32, 64 and 128 pixels, single slices."""
        return cls("resnet50", ((32.0, 64.0, 128.0),), (0.5, 1.0, 2.0), head_width=512, slices=1, context=1.0)

    def neighbour_step(self, slice_mm: float) -> int:
        """Slices from a slice to its neighbours, in a CT whose slices lie `slice_mm` apart; 0 without neighbours."""
        return max(1, round(self.neighbour_mm / slice_mm)) if self.slices == 3 else 0

    def as_dict(self) -> dict[str, Any]:
        """For the manifest."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DetectorArchitecture:
        """From the manifest."""
        boxes = tuple(tuple(float(width) for width in level) for level in values["anchors_px"])
        return cls(**{**values, "anchors_px": boxes, "anchor_ratios": tuple(values["anchor_ratios"])})
