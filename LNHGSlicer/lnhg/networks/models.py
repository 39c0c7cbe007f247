"""The models of a run: weights with their manifests, whatever computes them."""

from __future__ import annotations

import platform
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from ctypes.util import find_library
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from ..core.calibration import Calibration
from ..core.manifest import detector_folder, kinds_in, weights_folder
from ..core.operating_points import OperatingPoints
from ..errors import InputError, WeightsError
from .graphs import has_graphs
from .grid import NetworkGrid
from .openvino_import import openvino_installed
from .runtime import Runtime
from .weights import Weights, load_weights


class Models(ABC):
    """The networks of a run, ready to be computed.

    Attributes:
        runtime: what computes them: `torch` or `openvino`.
        manifests: by kind, of the networks that are there: always the `generator`, the `detector` unless the run needs
            none, the `rescorer` where the weights hold one.
    """

    runtime: ClassVar[str]
    manifests: Mapping[str, Mapping[str, Any]]

    @abstractmethod
    def start(self, device: str = "auto", threads: int | None = None, batch_size: int | None = None) -> Runtime:
        """What computes them in one run. Raises InputError for a device that is not there."""

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


def open_models(
    folder: Path | None = None, runtime: str = "auto", device: str = "auto", *, with_detector: bool = True
) -> Models:
    """The models of a folder (see `checked_weights`), computed by `torch` or `openvino`.

    For `auto` by PyTorch on a GPU, on a device that is not the CPU, and of weights without graphs, else by OpenVINO;
    by the one of them that is installed. Raises InputError for a runtime that is not.
    """
    weights = checked_weights(folder, with_detector=with_detector)
    if runtime == "auto":
        runtime = _chosen(device, with_graphs=all(map(has_graphs, weights.values())))
    if runtime == "openvino":
        from .openvino_models import openvino_models

        return openvino_models(weights)
    if not _torch_installed():
        raise InputError(
            "PyTorch is not installed; install lnhg[torch], or choose --runtime openvino, which computes on the CPU."
        )
    from .torch_models import torch_models

    return torch_models(weights)


def _chosen(device: str, *, with_graphs: bool) -> str:
    torch, openvino = _torch_installed(), openvino_installed()
    if not (torch or openvino):
        raise InputError("Neither OpenVINO nor PyTorch is installed; install the package openvino.")
    if not (torch and openvino):
        return "torch" if torch else "openvino"
    on_gpu = device not in ("auto", "cpu") or (device == "auto" and gpu_available())
    return "openvino" if with_graphs and not on_gpu else "torch"


def gpu_available() -> bool:
    """Whether PyTorch is installed and can compute on a GPU here. It is asked only where a driver is there, since
    loading it takes seconds.
    """
    if not (_torch_installed() and _driver_there()):
        return False
    import torch

    return torch.cuda.is_available() or torch.backends.mps.is_available()


def _torch_installed() -> bool:
    return find_spec("torch") is not None and find_spec("torchvision") is not None


def _driver_there() -> bool:
    """Whether the system has a driver that PyTorch could compute with: CUDA's, ROCm's, or Apple's."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if sys.platform == "win32":
        return find_library("nvcuda") is not None
    return find_library("cuda") is not None or Path("/dev/kfd").exists()


def checked_weights(folder: Path | None = None, *, with_detector: bool = True) -> dict[str, Weights]:
    """The weights of a folder (see `weights_folder`) by kind, checked; a generator alone goes with the shipped
    detector.
    """
    folder = weights_folder(folder)
    found = {"generator": _of_kind(load_weights(folder, "generator"), "generator")}
    if with_detector:
        kinds = kinds_in(folder)
        if "rescorer" in kinds and "detector" not in kinds:
            raise InputError(
                f"{folder} holds a rescorer without its detector; put the detector beside it, or take it out."
            )
        others = detector_folder(folder)
        found["detector"] = _of_kind(load_weights(others, "detector"), "detector")
        if "rescorer" in kinds_in(others):
            found["rescorer"] = _of_kind(load_weights(others, "rescorer"), "rescorer")
    for weights in found.values():
        _check_grid(weights)
    return found


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
