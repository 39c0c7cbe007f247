"""From PyTorch's networks to graphs for OpenVINO: `lnhg weights export`.

The networks are traced with their weights as inputs, so that a graph holds what is computed and no weights: these stay
in one file, the safetensors.
"""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

from ..core.manifest import kinds_in
from ..errors import LNHGError, WeightsError
from .building import network_of
from .detector import NoduleDetector, normalised
from .ensemble import DetectorEnsemble, detector_of
from .folding import for_tiles
from .generator import Generator, build_generator
from .graphs import Graph, Graphs, write_graphs
from .openvino_import import import_openvino
from .openvino_models import Network
from .rescorer import Rescorer
from .rescoring import PIXELS, PLANES
from .weights import Weights, load_weights

_ANY = -1


def export(folder: Path) -> list[Path]:
    """Write the graphs of all weights of a folder beside them; returns their paths. Needs PyTorch and OpenVINO.

    Raises WeightsError for weights that are not whole, and LNHGError where OpenVINO computes other than PyTorch.
    """
    kinds = kinds_in(folder)
    if not kinds:
        raise WeightsError(f"There are no weights in {folder}; give a folder that lnhg weights pack wrote.")
    made = {kind: _OF_KIND[kind](load_weights(folder, kind)) for kind in kinds}
    return [write_graphs(folder, kind, graphs) for kind, graphs in made.items()]


class _Features(nn.Module):
    """From a padded image `[1, 3, y, x]` in 0..1 to the detector's maps, and of each its logits and deltas."""

    def __init__(self, detector: NoduleDetector) -> None:
        super().__init__()
        self.network = detector

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        maps = list(self.network.backbone(normalised(image)).values())
        logits, deltas = self.network.rpn.head(maps)
        return (*maps, *logits, *deltas)


class _Heads(nn.Module):
    """From the maps and the boxes that are pooled from each to the logits and deltas of all boxes, map by map."""

    def __init__(self, detector: NoduleDetector) -> None:
        super().__init__()
        self.network = detector

    def forward(self, *maps_and_boxes: Tensor) -> tuple[Tensor, Tensor]:
        heads: Any = self.network.roi_heads
        pool, strides = heads.box_roi_pool, _strides(self.network)
        maps, boxes = maps_and_boxes[: len(strides)], maps_and_boxes[len(strides) :]
        pooled = [
            roi_align(features, [of_map], pool.output_size, 1 / stride, pool.sampling_ratio)
            for features, of_map, stride in zip(maps, boxes, strides, strict=True)
        ]
        logits, deltas = heads.box_predictor(heads.box_head(torch.cat(pooled)))
        return logits, deltas


def _strides(detector: NoduleDetector) -> list[int]:
    pool: Any = detector.roi_heads.box_roi_pool
    return [int(name) for name in pool.featmap_names]


def _of_generator(weights: Weights) -> Graphs:
    generator = network_of(weights, lambda manifest: build_generator(manifest["architecture"]))
    network, reach, cell = for_tiles(generator)
    # Other networks are folded into a copy, which no longer has the weights' tensors; OpenVINO folds by itself.
    compute = network if isinstance(generator, Generator) else generator
    tiles = [(torch.rand(2, 1, 3, 40, 48),), (torch.rand(1, 1, 3, 64, 28),)]
    graph = _graph(compute, {"": generator}, weights, tiles, [[_ANY, 1, 3, _ANY, _ANY]])
    return Graphs({"tiles": graph}, {"reach": reach, "cell": cell})


def _of_detector(weights: Weights) -> Graphs:
    detector = network_of(weights, detector_of)
    together = isinstance(detector, DetectorEnsemble)
    members = {f"members.{n}.": one for n, one in enumerate(detector.members)} if together else {"": detector}
    first: Any = next(iter(members.values()))
    strides, features = _strides(first), _Features(first)
    images = [(torch.rand(1, 3, 96, 160),), (torch.rand(1, 3, 128, 64),)]
    graphs = {"features": _graph(features, members, weights, images, [[1, 3, _ANY, _ANY]])}
    looked_at = []
    for (image,), counts in zip(images, ((5, 0, 2), (1, 4, 3)), strict=True):
        maps = features(image)[: len(strides)]
        looked_at.append((*maps, *(_boxes(count, image) for count in counts[: len(strides)])))
    shapes = [*([1, one.shape[1], _ANY, _ANY] for one in looked_at[0][: len(strides)]), *([_ANY, 4] for _ in strides)]
    graphs["heads"] = _graph(_Heads(first), members, weights, looked_at, shapes)
    return Graphs(graphs, {"strides": strides})


def _of_rescorer(weights: Weights) -> Graphs:
    rescorer = network_of(weights, lambda _: Rescorer())
    planes = [(torch.rand(count, 1, PLANES, PIXELS, PIXELS),) for count in (1, 2)]
    graph = _graph(rescorer, {"": rescorer}, weights, planes, [[_ANY, 1, PLANES, PIXELS, PIXELS]])
    return Graphs({"planes": graph}, {})


_OF_KIND: Mapping[str, Callable[[Weights], Graphs]] = {
    "generator": _of_generator,
    "detector": _of_detector,
    "rescorer": _of_rescorer,
}


def _boxes(count: int, image: Tensor) -> Tensor:
    """Random boxes in an image."""
    corners = torch.rand(count, 2, 2) * torch.tensor(image.shape[:-3:-1])
    return torch.cat([corners.amin(1), corners.amax(1) + 1], 1)


@torch.no_grad()
def _graph(
    compute: Callable[..., Any],
    networks: Mapping[str, nn.Module],
    weights: Weights,
    examples: Sequence[tuple[Tensor, ...]],
    shapes: Sequence[Sequence[int]],
) -> Graph:
    """The graph of `compute`, checked on all examples and networks.

    Args:
        compute: what is computed, with the first of the networks.
        networks: those that the graph is for, alike, by the beginning of their tensors' names.
        examples: inputs of `compute`; shapes that differ between them must be told as free.
        shapes: of its inputs, `_ANY` where they are free.
    """
    network = next(iter(networks.values()))
    names = [name for name, tensor in network.state_dict().items() if tensor.is_floating_point()]
    states = {prefix: {name: one.state_dict()[name].clone() for name in names} for prefix, one in networks.items()}

    def run(*values: Tensor) -> Any:
        _put(network, dict(zip(names, values[len(shapes) :], strict=True)))
        return compute(*values[: len(shapes)])

    tensors = [network.state_dict()[name] for name in names]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is deprecated, and warns of every number that it takes for fixed
        traced = torch.jit.trace(run, (*examples[0], *tensors), check_trace=False)
    graph = _converted(traced, names, [*shapes, *(list(tensor.shape) for tensor in tensors)])
    for prefix, state in reversed(states.items()):  # the network's own tensors last: there they stay
        _put(network, state)
        for inputs in examples:
            _check(weights, graph, prefix, inputs, compute(*inputs))
    return graph


def _put(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Let a network compute with these tensors."""
    for name, tensor in tensors.items():
        owner, _, leaf = name.rpartition(".")
        module = network.get_submodule(owner)
        (module._parameters if leaf in module._parameters else module._buffers)[leaf] = tensor  # type: ignore[assignment]


def _converted(traced: Any, names: Sequence[str], shapes: Sequence[Sequence[int]]) -> Graph:
    openvino = import_openvino(with_converter=True)
    inputs = [(openvino.PartialShape(list(shape)), openvino.Type.f32) for shape in shapes]
    model = openvino.tools.ovc.convert_model(traced, input=inputs)
    given = [value.debugName() for value in traced.graph.inputs()]
    named = dict(zip(given[-len(names) :], names, strict=True))
    # OpenVINO's own names hold numbers that go on from graph to graph.
    model.set_friendly_name("graph")
    for number, operation in enumerate(model.get_ordered_ops()):
        operation.set_friendly_name(f"{operation.get_type_name()} {number}")
    for parameter in model.get_parameters():
        (name,) = parameter.output(0).get_names() & set(given)
        parameter.set_friendly_name(named.get(name, name))
    with tempfile.TemporaryDirectory() as folder:
        description, constants = Path(folder) / "graph.xml", Path(folder) / "graph.bin"
        openvino.serialize(model, description, constants)
        # What OpenVINO says of the conversion names files and versions of this machine.
        text = re.sub(r"\n\t<rt_info>.*?\n\t</rt_info>", "", description.read_text(encoding="utf-8"), flags=re.DOTALL)
        return Graph(text.encode(), constants.read_bytes())


def _check(weights: Weights, graph: Graph, prefix: str, inputs: Sequence[Tensor], expected: Any) -> None:
    outputs = Network(graph, weights, prefix, threads=1)(*(one.numpy() for one in inputs))
    wanted = expected if isinstance(expected, tuple) else (expected,)
    for output, tensor in zip(outputs, wanted, strict=True):
        reach = float(tensor.abs().max()) if tensor.numel() else 0.0
        if output.shape != tuple(tensor.shape) or (abs(output - tensor.numpy()) > 1e-4 * max(1.0, reach)).any():
            raise LNHGError(
                f"OpenVINO computes other than PyTorch with the weights {weights.name}; nothing was written."
            )
