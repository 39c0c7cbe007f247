"""PyTorch and OpenVINO behind one door: the same answers, and graphs that are what their weights' manifest names."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lnhg.cli import main
from lnhg.errors import InputError, WeightsError
from lnhg.networks import models as models_module
from lnhg.networks.architecture import DETECTOR_GRID, DetectorArchitecture
from lnhg.networks.detector import build_detector
from lnhg.networks.export import _Features, _Heads, _strides
from lnhg.networks.generator import Generator
from lnhg.networks.graphs import read_graphs
from lnhg.networks.grid import NetworkGrid
from lnhg.networks.models import open_models
from lnhg.networks.openvino_models import OpenVinoDetector
from lnhg.networks.runtime import Found
from lnhg.networks.unet import UNet
from lnhg.networks.weights import load_weights, save_weights
from lnhg.training.packing import join_detectors

_SMALL = DetectorArchitecture(pyramid_width=16, head_width=32)


def _trained_a_little(network: torch.nn.Module, seed: int) -> torch.nn.Module:
    """The network with batch norms that have seen something and scores that differ, in evaluation mode."""
    torch.manual_seed(seed)
    for name, parameter in network.named_parameters():
        if "cls_" in name:
            parameter.data *= 8
    for module in network.modules():
        if isinstance(module, (torch.nn.BatchNorm2d, torch.nn.BatchNorm3d)):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


def _pack_generator(folder: Path, network: torch.nn.Module, name: str) -> None:
    manifest = {"kind": "generator", "architecture": {"name": name, "width": network.width}}
    grid = {"grid": NetworkGrid(pixel_mm=1.0).as_dict(), "thresholds": {"g": 0.5}}
    save_weights(folder, "generator", _trained_a_little(network, 1).state_dict(), {**manifest, **grid})


def _pack_detector(folder: Path, seed: int) -> None:
    manifest = {"kind": "detector", "architecture": _SMALL.as_dict(), "grid": DETECTOR_GRID.as_dict()}
    torch.manual_seed(seed)
    detector = _trained_a_little(build_detector(_SMALL), seed)
    save_weights(folder, "detector", detector.state_dict(), {**manifest, "thresholds": {"score": 0.5}})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator and two detectors joined, with their graphs."""
    folder = tmp_path_factory.mktemp("weights")
    for seed in (1, 2):
        _pack_detector(folder / str(seed), seed)
    join_detectors([folder / "1", folder / "2"], folder / "both", 0.5)
    _pack_generator(folder / "both", Generator(width=2), "lnhg")
    assert main(["weights", "export", str(folder / "both")]) == 0
    return folder / "both"


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """The same in a folder that a test may spoil."""
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def _images(count: int, seed: int = 3) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.random((3, *random.integers(40, 150, 2)), np.float32) for _ in range(count)]


def _assert_alike(one: Found, other: Found) -> None:
    assert len(one[1]) == len(other[1]) > 0
    np.testing.assert_allclose(one[1], other[1], atol=1e-4)
    np.testing.assert_allclose(one[0], other[0], atol=1e-2)


def test_what_lies_between_the_layers_chooses_the_boxes_that_torchvision_chooses() -> None:
    for architecture in (_SMALL, DetectorArchitecture("mobilenet_v2", _SMALL.anchors_px, (0.5, 1.0, 2.0), 16, 32)):
        torch.manual_seed(5)
        detector = _trained_a_little(build_detector(architecture), 5)

        def computed(part: torch.nn.Module):
            def run(*inputs: np.ndarray) -> list[np.ndarray]:
                with torch.inference_mode():
                    return [one.numpy() for one in part(*map(torch.from_numpy, inputs))]

            return run

        network = computed(_Features(detector)), computed(_Heads(detector))
        in_numpy = OpenVinoDetector(architecture, [network], _strides(detector), together=False)
        images = _images(4)
        for one, other in zip(in_numpy.find(images), (detector.find([image])[0] for image in images), strict=True):
            _assert_alike(one, other)


def test_both_runtimes_generate_the_same_in_tiles_of_any_size(folder: Path) -> None:
    theirs, ours = (
        open_models(folder, name, with_detector=False).start("cpu", 1, 3).generator() for name in ("torch", "openvino")
    )
    assert (ours.reach, ours.cell) == (theirs.reach, theirs.cell)
    for shape in ((5, 1, 3, 40, 33), (1, 1, 3, 24, 90)):
        tiles = np.random.default_rng(4).random(shape, np.float32)
        answer = ours(tiles)
        assert answer.dtype == np.float32 and answer.any()
        np.testing.assert_allclose(answer, theirs(tiles), atol=1e-5)


def test_the_u_net_is_exported_too(tmp_path: Path) -> None:
    _pack_generator(tmp_path, UNet(width=2), "unet")
    assert main(["weights", "export", str(tmp_path)]) == 0
    theirs, ours = (
        open_models(tmp_path, name, with_detector=False).start("cpu", 1).generator() for name in ("torch", "openvino")
    )
    tiles = np.random.default_rng(4).random((2, 1, 3, 60, 64), np.float32)
    assert ours.cell == 4
    np.testing.assert_allclose(ours(tiles), theirs(tiles), atol=1e-5)


def test_the_shipped_graphs_answer_as_the_shipped_networks_for_slices_and_tiles_of_any_size() -> None:
    theirs, ours = (open_models(None, name).start("cpu", 1) for name in ("torch", "openvino"))
    images = _images(2, seed=8)
    assert ours.detector().architecture == theirs.detector().architecture
    for image, found in zip(images, ours.detector().find(images), strict=True):
        _assert_alike(theirs.detector().find([image])[0], found)
    tiles = np.random.default_rng(9).random((1, 1, 3, 32, 40), np.float32)
    np.testing.assert_allclose(ours.generator()(tiles), theirs.generator()(tiles), atol=1e-5)


# Graphs that are not what they should be
# -----------------------------------------------------------------------------------------


def _refusal(folder: Path) -> str:
    with pytest.raises(WeightsError) as error:
        open_models(folder, "openvino", with_detector=False)
    assert str(error.value).endswith("or choose --runtime torch.")
    return str(error.value)


def test_a_damaged_graph_is_refused(copied: Path) -> None:
    path = copied / "generator.graphs.zip"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    assert "SHA-256 differs" in _refusal(copied)


def test_a_graph_that_is_gone_is_missed(copied: Path) -> None:
    (copied / "generator.graphs.zip").unlink()
    assert "have no graphs for OpenVINO" in _refusal(copied)


def test_new_weights_are_not_computed_with_the_graphs_of_others(copied: Path) -> None:
    _pack_generator(copied, Generator(width=3), "lnhg")
    assert "have no graphs for OpenVINO" in _refusal(copied)
    assert open_models(copied, "auto", "cpu", with_detector=False).runtime == "torch"
    told = json.loads((copied / "generator.json").read_text(encoding="utf-8"))
    assert "graphs" not in told, "packing writes the manifest anew"


def test_exporting_twice_writes_the_same_graphs(copied: Path) -> None:
    before = read_graphs(load_weights(copied, "generator")), (copied / "generator.graphs.zip").read_bytes()
    assert main(["weights", "export", str(copied)]) == 0
    after = read_graphs(load_weights(copied, "generator")), (copied / "generator.graphs.zip").read_bytes()
    assert before == after


# Which of them
# -----------------------------------------------------------------------------------------


def test_auto_is_openvino_without_a_gpu_and_pytorch_with_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models_module, "gpu_available", lambda: False)
    assert open_models(folder).runtime == "openvino"
    assert open_models(folder, "torch").runtime == "torch"
    monkeypatch.setattr(models_module, "gpu_available", lambda: True)
    assert open_models(folder).runtime == "torch"
    assert open_models(folder, device="cpu").runtime == "openvino"


def test_auto_is_what_is_installed_and_what_is_not_installed_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models_module, "_torch_installed", lambda: False)
    assert open_models(folder).runtime == "openvino"
    with pytest.raises(InputError, match="PyTorch is not installed"):
        open_models(folder, "torch")
    monkeypatch.setattr(models_module, "openvino_installed", lambda: False)
    with pytest.raises(InputError, match="Neither OpenVINO nor PyTorch is installed"):
        open_models(folder)


def test_openvino_does_not_compute_on_a_gpu(folder: Path) -> None:
    with pytest.raises(InputError, match="on the CPU, not on cuda"):
        open_models(folder, "openvino").start("cuda")


_WITHOUT_TORCH = """
import socket, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
def refused(*_):
    raise OSError("the network was asked for")
socket.socket.connect = socket.getaddrinfo = refused
from lnhg.cli import main
code = main(sys.argv[1:])
sent = [name for name in sys.modules if name.startswith("openvino_telemetry")]
sys.exit(f"telemetry was imported: {sent}" if sent else code)
"""


def test_a_whole_run_needs_neither_pytorch_nor_the_network(tmp_path: Path) -> None:
    words = ["segment", "sample/ct.nrrd", "--output", "result", "--seed=70.4,44.4,23.9", "--seeds-only"]
    for command in (["sample", "--output", "sample"], [*words, "--threads", "1", "--runtime", "openvino"]):
        done = subprocess.run(
            [sys.executable, "-c", _WITHOUT_TORCH, *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "result" / "result.json").read_text(encoding="utf-8"))
    assert record["provenance"]["runtime"] == "openvino" and "openvino" in record["provenance"]["device"].lower()
    assert len(record["nodules"]) == 1 and "torch" not in record["provenance"]
    assert {"labels.nrrd", "heterogeneity.nrrd", "report.html", "picture.png"} <= {
        file.name for file in (tmp_path / "result").iterdir()
    }
