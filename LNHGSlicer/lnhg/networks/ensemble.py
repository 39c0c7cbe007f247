"""Several detectors as one, each looking twice: what is a nodule in one look alone mostly is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .architecture import DetectorArchitecture
from .detector import FindsInArrays, NoduleDetector, boxes_and_scores, build_detector
from .merged_looks import both_ways, found_by_all
from .runtime import Found


class DetectorEnsemble(FindsInArrays, nn.Module):
    """Detectors that look at the same slices; in evaluation it answers as a `NoduleDetector` does.

    Each member looks at every image and at its mirror image; what the looks find is joined (see `joined`).
    """

    def __init__(self, members: Sequence[NoduleDetector]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.architecture = members[0].architecture

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        return [_answer(*found) for found in self.found(images, 0.0) if found is not None]

    def found(self, images: Sequence[Tensor], least: float) -> list[Found | None]:
        """What is found in each image; None where no box can reach a score of `least` (see `found_by_all`)."""
        looks = [
            look for member in self.members for look in both_ways(partial(_found, member), lambda one: one.flip(-1))
        ]
        return found_by_all(looks, images, least)


def _found(member: nn.Module, images: list[Tensor]) -> list[Found]:
    return [boxes_and_scores(answer) for answer in member(images)]


def _answer(boxes: np.ndarray, scores: np.ndarray) -> dict[str, Tensor]:
    labels = torch.ones(len(scores), dtype=torch.int64)
    return {"boxes": torch.from_numpy(boxes).float(), "scores": torch.from_numpy(scores), "labels": labels}


#: What finds nodules in slices.
Detector = NoduleDetector | DetectorEnsemble


def detector_of(manifest: Mapping[str, Any]) -> Detector:
    """The network of a manifest of detector weights, with random weights; an ensemble where it tells of `members`."""
    architecture = DetectorArchitecture.from_dict(manifest["architecture"])
    if "members" not in manifest:
        return build_detector(architecture)
    return DetectorEnsemble([build_detector(architecture) for _ in range(int(manifest["members"]))])
