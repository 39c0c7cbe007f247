"""Several detectors as one, each looking twice: what is a nodule in one look alone mostly is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .architecture import DetectorArchitecture
from .detector import FindsInArrays, NoduleDetector, boxes_and_scores, build_detector
from .joining import joined


class DetectorEnsemble(FindsInArrays, nn.Module):
    """Detectors that look at the same slices; in evaluation it answers as a `NoduleDetector` does.

    Each member looks at every image and at its mirror image; what the looks find is joined (see `joined`).
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
        return [_together(looks) for looks in zip(*answers, strict=True)]


def _back(answer: Mapping[str, Tensor], width: int) -> dict[str, Tensor]:
    """The answer to a mirrored image of this width as one to the image itself."""
    x0, y0, x1, y1 = answer["boxes"].unbind(-1)
    return {**answer, "boxes": torch.stack([width - x1, y0, width - x0, y1], -1)}


def _together(looks: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    boxes, scores = map(torch.from_numpy, joined([boxes_and_scores(look) for look in looks]))
    return {"boxes": boxes.float(), "scores": scores, "labels": torch.ones(len(scores), dtype=torch.int64)}


#: What finds nodules in slices.
Detector = NoduleDetector | DetectorEnsemble


def detector_of(manifest: Mapping[str, Any]) -> Detector:
    """The network of a manifest of detector weights, with random weights; an ensemble where it tells of `members`."""
    architecture = DetectorArchitecture.from_dict(manifest["architecture"])
    if "members" not in manifest:
        return build_detector(architecture)
    return DetectorEnsemble([build_detector(architecture) for _ in range(int(manifest["members"]))])
