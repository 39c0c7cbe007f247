"""The networks of a run with their manifests, checked and loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..core.calibration import Calibration
from ..core.manifest import detector_folder, kinds_in
from ..core.operating_points import OperatingPoints
from ..core.resources import resource
from ..errors import InputError, WeightsError
from .ensemble import Detector, detector_of
from .folding import fold_batch_norms
from .generator import Generator, build_generator
from .grid import NetworkGrid
from .rescorer import Rescorer
from .unet import UNet
from .weights import Weights, load_weights


@dataclass(frozen=True, eq=False)
class Models:
    """The networks with their manifests.

    `detector` is None where the run needs none, `rescorer` where the weights hold none.
    """

    generator: Generator | UNet
    detector: Detector | None
    manifests: Mapping[str, Mapping[str, Any]]
    rescorer: Rescorer | None = None

    def grid(self, kind: str) -> NetworkGrid:
        return NetworkGrid.from_dict(self.manifests[kind]["grid"])

    def threshold(self, kind: str, chosen: float | None) -> float:
        """The person's choice, or the value in the manifest."""
        return (
            float(self.manifests[kind]["thresholds"]["g" if kind == "generator" else "score"])
            if chosen is None
            else chosen
        )

    def score_threshold(self, kind: str, chosen: float | None, false_per_scan: float | None) -> float:
        """The network's lowest score of a candidate: of the chosen probability, or for so many false ones a scan, or
        the value in the manifest.

        Between the rates that were measured it is interpolated, beyond them it is that of the nearest. Raises
        InputError where a rate is asked for and none was measured of these weights.
        """
        if chosen is not None:
            return self.calibration(kind).score(chosen)
        if false_per_scan is None:
            return self.threshold(kind, None)
        points = OperatingPoints.of_manifest(self.manifests[kind])
        if points is None:
            raise InputError(
                "False positives per scan were not measured of these weights; give --score-threshold, or lnhg weights "
                "calibrate."
            )
        return points.score(false_per_scan)

    def calibration(self, kind: str) -> Calibration:
        """From scores of the `detector` or `rescorer` to probabilities."""
        return Calibration.of_manifest(self.manifests[kind])

    @property
    def lowest_rescored(self) -> float:
        """The detector's score from which on a candidate is looked at again."""
        return float(self.manifests["rescorer"]["thresholds"]["detector"])


def load_models(folder: Path | None = None, *, with_detector: bool = True) -> Models:
    """Check and load the weights of a folder (None: the shipped ones); a generator alone goes with the shipped
    detector.
    """
    folder = folder or resource("Models")
    found = {"generator": _of_kind(load_weights(folder, "generator"), "generator")}
    generator = found["generator"].network(lambda manifest: build_generator(manifest["architecture"]))
    detector, rescorer = None, None
    if with_detector:
        kinds = kinds_in(folder)
        if "rescorer" in kinds and "detector" not in kinds:
            raise InputError(
                f"{folder} holds a rescorer without its detector; put the detector beside it, or take it out."
            )
        others = detector_folder(folder)
        found["detector"] = _of_kind(load_weights(others, "detector"), "detector")
        detector = found["detector"].network(detector_of)
        # Both together save a seventh of the time of a slice.
        fold_batch_norms(detector)
        detector.to(memory_format=torch.channels_last)
        if "rescorer" in kinds_in(others):
            found["rescorer"] = _of_kind(load_weights(others, "rescorer"), "rescorer")
            rescorer = found["rescorer"].network(lambda _: Rescorer())
    for weights in found.values():
        _check_grid(weights)
    return Models(generator, detector, {kind: weights.manifest for kind, weights in found.items()}, rescorer)


def _check_grid(weights: Weights) -> None:
    try:
        NetworkGrid.from_dict(weights.manifest["grid"])
    except (InputError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"The manifest {weights.name}.json names no usable grid; install the weights again."
        ) from error


def _of_kind(weights: Weights, kind: str) -> Weights:
    if weights.manifest["kind"] != kind:
        raise InputError(
            f"{weights.name} holds weights of a {weights.manifest['kind']}, not of a {kind}; install them again."
        )
    return weights
