"""The detector: Faster R-CNN with the GIoU loss on decoded boxes, for slices on the detector's grid.

Assembled from torchvision's parts; replaced are the transform (which would resize slices), both box losses (eq. 2-4 of
the paper) and the anchors (not rounded to whole pixels, which matters for nodules of four pixels).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import mobilenet_v2, resnet50
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

from ..errors import WeightsError
from .architecture import (
    BOX_IOU,
    CELL,
    LOWEST_SCORE,
    MOST_BOXES,
    PROPOSAL_IOU,
    PROPOSALS,
    PROPOSALS_PER_MAP,
    ROI_LEVEL,
    ROI_PIXELS,
    ROI_SAMPLES,
    ROI_WIDTH,
    DetectorArchitecture,
)
from .giou import GIoURegionProposalNetwork, GIoURoIHeads

# Mean and standard deviation of the images that the backbones were first trained on (ImageNet).
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class FindsInArrays:
    """Gives a detector that answers as `NoduleDetector` does in evaluation mode a way to be called with arrays."""

    def find(self, images: Sequence[np.ndarray], least: float = 0.0) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each image `[3, y, x]` in 0..1 its boxes `[n, 4]` (float64, pixels) and scores `[n]`, best first.

        All of them, whatever `least` is.
        """
        with torch.inference_mode():
            answers = self([torch.from_numpy(image) for image in images])  # type: ignore[operator]
        return [boxes_and_scores(answer) for answer in answers]


class NoduleDetector(FindsInArrays, GeneralizedRCNN):
    """Faster R-CNN with its architecture.

    Images are `[3, y, x]` in 0..1, of any size and on any device; boxes are `(x0, y0, x1, y1)` in their pixels. In
    training it returns the losses; in evaluation, for each image, `boxes` and `scores` (0..1), best first.
    """

    def __init__(self, architecture: DetectorArchitecture, *parts: nn.Module) -> None:
        super().__init__(*parts)
        self.architecture = architecture

    def forward(self, images: list[Tensor], targets: list[dict[str, Tensor]] | None = None) -> Any:
        device = next(self.parameters()).device
        there = targets and [{name: value.to(device) for name, value in target.items()} for target in targets]
        return super().forward([image.to(device) for image in images], there)


def boxes_and_scores(answer: Mapping[str, Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """One image's answer as arrays: boxes `[n, 4]` (float64, pixels) and scores `[n]`."""
    return answer["boxes"].float().cpu().double().numpy(), answer["scores"].float().cpu().numpy()


def build_detector(architecture: DetectorArchitecture) -> NoduleDetector:
    """The network with random weights."""
    backbone, channels, maps = _backbone(architecture)
    if len(architecture.anchors_px) != len(maps):
        raise WeightsError(
            f"Backbone {architecture.backbone} has {len(maps)} feature maps, but anchors are given for "
            f"{len(architecture.anchors_px)}; give one list of anchor widths for each map."
        )
    anchors_per_cell = len(architecture.anchors_px[0]) * len(architecture.anchor_ratios)
    rpn = GIoURegionProposalNetwork(
        _ExactAnchors(architecture.anchors_px, (architecture.anchor_ratios,) * len(maps)),
        RPNHead(channels, anchors_per_cell),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=128,
        positive_fraction=0.5,
        pre_nms_top_n={"training": 400, "testing": PROPOSALS_PER_MAP},
        post_nms_top_n={"training": 100, "testing": PROPOSALS},
        nms_thresh=PROPOSAL_IOU,
    )
    heads = GIoURoIHeads(
        _ContextAlign(maps, architecture.context),
        TwoMLPHead(channels * ROI_PIXELS**2, architecture.head_width),
        FastRCNNPredictor(architecture.head_width, num_classes=2),
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=32,
        positive_fraction=0.25,
        bbox_reg_weights=None,
        score_thresh=LOWEST_SCORE,
        nms_thresh=BOX_IOU,
        detections_per_img=MOST_BOXES,
    )
    return NoduleDetector(architecture, backbone, rpn, heads, _NormaliseOnly())


def load_imagenet_features(detector: NoduleDetector, path: Path) -> None:
    """Start a `mobilenet_v2` backbone from ImageNet: safetensors with torchvision's names (`0.0.weight`, ...)."""
    if detector.architecture.backbone != "mobilenet_v2":
        raise WeightsError("ImageNet features can be loaded into a mobilenet_v2 backbone only; choose that backbone.")
    tensors = {name: value.float() if value.is_floating_point() else value for name, value in load_file(path).items()}
    body = detector.backbone.body
    wanted = body.state_dict().keys()
    missing = [name for name in wanted if name not in tensors]
    if missing:
        raise WeightsError(
            f"{path.name} has no tensor {missing[0]}; give MobileNetV2 features with torchvision's names."
        )
    body.load_state_dict({name: tensors[name] for name in wanted})


def normalised(images: Tensor) -> Tensor:
    """Images `[n, 3, y, x]` in 0..1 as the backbones take them."""
    mean, deviation = images.new_tensor(_MEAN), images.new_tensor(_DEVIATION)
    return (images - mean[:, None, None]) / deviation[:, None, None]


class _NormaliseOnly(nn.Module):
    """In place of torchvision's transform: never resizes, so boxes come back in the pixels they went in."""

    def forward(
        self, images: list[Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> tuple[ImageList, list[dict[str, Tensor]] | None]:
        sizes = [(int(image.shape[-2]), int(image.shape[-1])) for image in images]
        rows = -(-max(size[0] for size in sizes) // CELL) * CELL
        columns = -(-max(size[1] for size in sizes) // CELL) * CELL
        batch = images[0].new_zeros((len(images), 3, rows, columns))
        for padded, image, (height, width) in zip(batch, images, sizes, strict=True):
            padded[:, :height, :width] = image
        return ImageList(normalised(batch), sizes), targets

    def postprocess(
        self, result: list[dict[str, Tensor]], image_shapes: list[Any], original_image_sizes: list[Any]
    ) -> list[dict[str, Tensor]]:
        return result


class _ExactAnchors(AnchorGenerator):
    """Torchvision's anchors without rounding: a width of 5 pixels stays 5 (rounded corners would give 4)."""

    def generate_anchors(
        self,
        scales: Any,
        aspect_ratios: Any,
        dtype: torch.dtype = torch.float32,
        device: torch.device = torch.device("cpu"),  # noqa: B008 - torchvision's signature
    ) -> Tensor:
        widths = torch.as_tensor(scales, dtype=dtype, device=device)
        stretch = torch.as_tensor(aspect_ratios, dtype=dtype, device=device).sqrt()[:, None]
        half_x, half_y = (widths / stretch / 2).flatten(), (widths * stretch / 2).flatten()
        return torch.stack([-half_x, -half_y, half_x, half_y], dim=1)


class _ContextAlign(MultiScaleRoIAlign):
    """Pools each box grown about its centre by `context`: what lies around tells a vessel's section from a nodule."""

    def __init__(self, maps: list[str], context: float) -> None:
        super().__init__(maps, ROI_PIXELS, ROI_SAMPLES, canonical_scale=ROI_WIDTH, canonical_level=ROI_LEVEL)
        self.context = context

    def forward(self, x: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:
        return super().forward(x, [_grown(box, self.context) for box in boxes], image_shapes)


def _grown(boxes: Tensor, factor: float) -> Tensor:
    """Boxes `[n, 4]` grown about their centres."""
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2 * factor
    return torch.cat([centre - half, centre + half], dim=1)


class _MobileNetPyramid(nn.Module):
    """MobileNetV2 to stride 16 and a feature pyramid over strides 4, 8 and 16."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = IntermediateLayerGetter(mobilenet_v2(weights=None).features, {"3": "4", "6": "8", "13": "16"})
        self.pyramid = FeaturePyramidNetwork([24, 32, 96], width)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return self.pyramid(self.body(images))


class _ResNetMap(nn.Module):
    """ResNet-50 up to its map of 1024 channels at stride 16."""

    def __init__(self) -> None:
        super().__init__()
        self.body = IntermediateLayerGetter(resnet50(weights=None), {"layer3": "16"})

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        return self.body(images)


def _backbone(architecture: DetectorArchitecture) -> tuple[nn.Module, int, list[str]]:
    """The backbone, the channels of its maps and their names."""
    if architecture.backbone == "mobilenet_v2":
        return _MobileNetPyramid(architecture.pyramid_width), architecture.pyramid_width, ["4", "8", "16"]
    if architecture.backbone == "resnet50":
        return _ResNetMap(), 1024, ["16"]
    raise WeightsError(f"Backbone {architecture.backbone!r} is not known; choose mobilenet_v2 or resnet50.")
