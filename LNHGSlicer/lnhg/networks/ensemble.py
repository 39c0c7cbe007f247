"""Several detectors as one, each looking twice: what is a nodule in one look alone mostly is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import box_iou

from .detector import DetectorArchitecture, FindsInArrays, NoduleDetector, build_detector

# Boxes of two detectors are of the same thing from this IoU on.
_SAME_IOU = 0.3


class DetectorEnsemble(FindsInArrays, nn.Module):
    """Detectors that look at the same slices; in evaluation it answers as a `NoduleDetector` does.

    Each member looks at every image and at its mirror image. Boxes of the same thing become one: their mean, with the
    mean of the scores of all looks, where one without a box there counts 0.
    """

    def __init__(self, members: Sequence[NoduleDetector]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.architecture = members[0].architecture

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        answers = []
        for member in self.members:
            mirrored = member([image.flip(-1) for image in images])
            answers += [
                member(images),
                [_back(one, image.shape[-1]) for one, image in zip(mirrored, images, strict=True)],
            ]
        return [joined(of_one_image) for of_one_image in zip(*answers, strict=True)]


def _back(answer: Mapping[str, Tensor], width: int) -> dict[str, Tensor]:
    """The answer to a mirrored image of this width as one to the image itself."""
    x0, y0, x1, y1 = answer["boxes"].unbind(-1)
    return {**answer, "boxes": torch.stack([width - x1, y0, width - x0, y1], -1)}


#: What finds nodules in slices.
Detector = NoduleDetector | DetectorEnsemble


def detector_of(manifest: Mapping[str, Any]) -> Detector:
    """The network of a manifest of detector weights, with random weights; an ensemble where it tells of `members`."""
    architecture = DetectorArchitecture.from_dict(manifest["architecture"])
    if "members" not in manifest:
        return build_detector(architecture)
    return DetectorEnsemble([build_detector(architecture) for _ in range(int(manifest["members"]))])


def joined(answers: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The answers of all looks at one image as one; each has `boxes` `[n, 4]` and `scores` `[n]`.

    From the highest score down a box takes from each other look the free box that overlaps it most.
    """
    # On the CPU, where the answers go anyway: one by one these few boxes would keep a GPU waiting.
    boxes = torch.cat([answer["boxes"] for answer in answers]).cpu()
    scores = torch.cat([answer["scores"] for answer in answers]).cpu()
    owners = torch.cat([torch.full((len(answer["scores"]),), n) for n, answer in enumerate(answers)])
    overlaps = box_iou(boxes, boxes)
    free = torch.ones(len(boxes), dtype=torch.bool)
    groups = []
    for first in torch.argsort(scores, descending=True).tolist():
        if free[first]:
            group = [first]
            for other in range(len(answers)):
                overlap = torch.where(free & (owners == other), overlaps[first], -1.0)
                best = int(overlap.argmax())
                if other != owners[first] and overlap[best] > _SAME_IOU:
                    group.append(best)
            free[group] = False
            groups.append(group)
    means = torch.stack([scores[group].sum() / len(answers) for group in groups]) if groups else scores
    middles = torch.stack([boxes[group].mean(0) for group in groups]) if groups else boxes
    order = torch.argsort(means, descending=True)
    return {"boxes": middles[order], "scores": means[order], "labels": torch.ones_like(order)}
