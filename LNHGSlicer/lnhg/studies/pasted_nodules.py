"""What a detector makes of nodules pasted into whole scans, and of pastes without a nodule."""

from __future__ import annotations

import torch

from ..networks.ensemble import Detector
from ..training.decoys import decoy_pair
from ..training.detector_data import DetectorData
from ..training.detector_samples import make_sample
from ..training.sampling import Sampling

# Real nodules alone, each in a crop of its own: neither mosaics nor false positives nor decoys nor simulated nodules.
_INSERTED = Sampling(mosaics=0.0, mined=0.0, real=0.0, pasted=1.0, nodules=1.0, masses=0.0, simulated=0.0, rounded=0.0)


def detected_of_pasted(
    detector: Detector, data: DetectorData, threshold: float, count: int = 100, seed: int = 0
) -> tuple[int, int]:
    """How many nodules pasted into `count` crops of the scans are found in their slice, and of how many.

    A box of at least this score finds a nodule when its centre lies in the nodule's box. Pastes can be told from real
    nodules
    to some degree: read beside `decoy_rate`.
    """
    found = inserted = 0
    with torch.inference_mode():
        for number in range(count):
            sample = make_sample(data, _INSERTED, seed, number)
            (result,) = detector([sample.image])
            boxes = result["boxes"][result["scores"] >= threshold]
            centres = (boxes[:, :2] + boxes[:, 2:]) / 2
            inside = (sample.boxes[:, None, :2] <= centres) & (centres <= sample.boxes[:, None, 2:])
            found += int(inside.all(-1).any(-1).sum())
            inserted += len(sample.boxes)
    return found, inserted


def decoy_rate(detector: Detector, data: DetectorData, threshold: float, count: int = 100, seed: int = 0) -> float:
    """Share of mask-shaped pastes of plain tissue that fire where the same place without the paste does not."""
    fired = 0
    with torch.inference_mode():
        for number in range(count):
            before, after, radius = decoy_pair(data, seed, number)
            without, with_decoy = (
                _best_near_middle(result, before.shape[-1] / 2, radius, threshold)
                for result in detector([before, after])
            )
            fired += with_decoy and not without
    return fired / count


def _best_near_middle(result: dict[str, torch.Tensor], middle: float, radius: float, threshold: float) -> bool:
    """Whether a box of at least this score has its centre within `radius` of the crop's middle."""
    boxes = result["boxes"][result["scores"] >= threshold]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    return bool((torch.linalg.vector_norm(centres - middle, dim=1) <= radius).any())
