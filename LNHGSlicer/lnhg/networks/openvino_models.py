"""Models whose networks OpenVINO computes on the CPU, from graphs that were exported from PyTorch's networks."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from ..errors import InputError
from .architecture import CELL, DetectorArchitecture
from .graphs import Graph, Graphs, read_graphs
from .merged_looks import both_ways, found_by_all
from .models import Models
from .openvino_import import import_openvino
from .proposals import boxes_found, grown, map_of, proposals
from .runtime import Found, Scores
from .weights import Weights

# A CPU gains nothing from larger batches, which only take memory.
_BATCH = 4
# Images that are looked at at once: layers of the detector are too small for many threads to share one.
_MOST_STREAMS = 8


@dataclass(frozen=True, eq=False)
class OpenVinoModels(Models):
    """Weights and graphs by kind; what was compiled is kept for the next run."""

    runtime = "openvino"

    manifests: Mapping[str, Mapping[str, Any]]
    weights: Mapping[str, Weights]
    graphs: Mapping[str, Graphs]

    def start(self, device: str = "auto", threads: int | None = None, batch_size: int | None = None) -> OpenVinoRuntime:
        if device not in ("auto", "cpu"):
            raise InputError(f"OpenVINO computes on the CPU, not on {device}; choose --runtime torch or --device cpu.")
        return OpenVinoRuntime(self, threads or _cores(), batch_size or _BATCH)

    @cached_property
    def _compiled(self) -> dict[tuple[object, ...], Network]:
        return {}

    def network(self, kind: str, graph: str, threads: int, prefix: str = "", streams: int = 1) -> Network:
        """A graph of a kind, compiled with the tensors whose names begin with `prefix`; so many threads of Python can
        compute it at once.
        """
        key = (kind, graph, threads, prefix, streams)
        if key not in self._compiled:
            self._compiled[key] = Network(self.graphs[kind].graphs[graph], self.weights[kind], prefix, threads, streams)
        return self._compiled[key]


def openvino_models(weights: Mapping[str, Weights]) -> OpenVinoModels:
    """The graphs of checked weights, by kind; they are checked, too."""
    import_openvino()
    manifests = {kind: one.manifest for kind, one in weights.items()}
    return OpenVinoModels(manifests, weights, {kind: read_graphs(one) for kind, one in weights.items()})


class Network:
    """A compiled graph."""

    def __init__(self, graph: Graph, weights: Weights, prefix: str, threads: int, streams: int = 1) -> None:
        openvino = import_openvino()
        core = openvino.Core()
        model = core.read_model(graph.description, graph.constants)
        for parameter in model.get_parameters():
            tensor = weights.tensors.get(prefix + parameter.get_friendly_name())
            if tensor is not None:
                if not parameter.get_partial_shape().compatible(openvino.PartialShape(list(tensor.shape))):
                    raise weights.misfit()
                parameter.output(0).replace(openvino.op.Constant(tensor).output(0))
                model.remove_parameter(parameter)
        model.validate_nodes_and_infer_types()
        how = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": streams,
            "INFERENCE_PRECISION_HINT": "f32",
            # Threads are not bound to cores, which other programs may be using.
            "ENABLE_CPU_PINNING": False,
        }
        self._compiled = core.compile_model(model, "CPU", how)
        self._of_thread = threading.local()

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """The outputs; they are overwritten by the thread's next call."""
        if not hasattr(self._of_thread, "request"):
            self._of_thread.request = self._compiled.create_infer_request()
        try:
            return list(self._of_thread.request.infer(list(inputs), share_inputs=True, share_outputs=True).values())
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError) and "alloc" not in str(error):
                raise
            raise InputError(
                "Memory ran out on the CPU; close other programs or restrict the run to a region."
            ) from error


#: The two graphs of a detector: features with proposals, box heads.
Member = tuple[Network, Network]


class OpenVinoRuntime:
    """A `Runtime` of graphs."""

    precision = "float32"

    def __init__(self, models: OpenVinoModels, threads: int, batch: int) -> None:
        self._models, self._threads, self._batch = models, threads, batch
        self.notes: list[str] = []

    @property
    def description(self) -> str:
        return f"CPU, {self._threads} thread{'s' if self._threads > 1 else ''} (OpenVINO)"

    @property
    def versions(self) -> dict[str, str]:
        return {"openvino": str(import_openvino().__version__)}

    def detector(self) -> OpenVinoDetector:
        manifest = self._models.manifests["detector"]
        prefixes = [f"members.{number}." for number in range(manifest.get("members", 0))] or [""]
        streams = min(self._threads, _MOST_STREAMS)
        network = partial(self._models.network, "detector", threads=self._threads, streams=streams)
        members = [(network("features", prefix=one), network("heads", prefix=one)) for one in prefixes]
        strides = self._models.graphs["detector"].facts["strides"]
        return OpenVinoDetector(
            DetectorArchitecture.from_dict(manifest["architecture"]),
            members,
            strides,
            together="members" in manifest,
            at_once=streams,
        )

    def generator(self) -> OpenVinoGenerator:
        facts = self._models.graphs["generator"].facts
        network = self._models.network("generator", "tiles", self._threads)
        return OpenVinoGenerator(network, facts["reach"], facts["cell"], self._batch)

    def rescorer(self) -> Scores:
        network = self._models.network("rescorer", "planes", self._threads)

        def scores(seen: Sequence[np.ndarray]) -> list[float]:
            logits = np.concatenate([network(one[None])[0].copy() for one in seen])
            return (1 / (1 + np.exp(-logits))).tolist()

        return scores


class OpenVinoDetector:
    """A detector, or several together, as the detect stage calls it; looks at so many images `at_once`.

    Attributes:
        architecture: of the detector.
    """

    def __init__(
        self,
        architecture: DetectorArchitecture,
        members: Sequence[Member],
        strides: Sequence[int],
        *,
        together: bool,
        at_once: int = 1,
    ) -> None:
        self.architecture = architecture
        self._members, self._strides, self._together = members, strides, together
        self._threads = ThreadPoolExecutor(at_once)

    def find(self, images: Sequence[np.ndarray], least: float = 0.0) -> list[Found | None]:
        """See `SliceDetector`."""
        found: Sequence[Found | None]
        if self._together:
            looks = [
                look
                for member in self._members
                for look in both_ways(partial(self._found, member), lambda image: image[..., ::-1])
            ]
            found = found_by_all(looks, images, least)
        else:
            found = self._found(self._members[0], images)
        return [None if one is None else (one[0].astype(np.float64), one[1]) for one in found]

    def _found(self, member: Member, images: Sequence[np.ndarray]) -> list[Found]:
        return list(self._threads.map(partial(self._look, *member), images))

    def _look(self, features: Network, heads: Network, image: np.ndarray) -> Found:
        size = (image.shape[1], image.shape[2])
        padding = [(0, 0), *((0, -length % CELL) for length in size)]
        outputs = features(np.pad(image, padding)[None])
        count = len(self._strides)
        maps, logits, deltas = (outputs[first : first + count] for first in range(0, 3 * count, count))
        looked_at = proposals(
            [one[0] for one in logits], [one[0] for one in deltas], self._strides, size, self.architecture
        )
        if not len(looked_at):
            return np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
        pooled_from = grown(looked_at, self.architecture.context)
        of_map = map_of(pooled_from, self._strides)
        order = np.argsort(of_map, kind="stable")
        box_logits, box_deltas = heads(*maps, *(pooled_from[of_map == number] for number in range(count)))
        return boxes_found(looked_at[order], box_logits, box_deltas, size)


class OpenVinoGenerator:
    """A generator as the generate stage calls it, in its form for tiles.

    Attributes:
        reach: pixels further away do not count.
        cell: tiles must begin on multiples of this many pixels.
    """

    def __init__(self, network: Network, reach: int, cell: int, batch: int) -> None:
        self._network, self.reach, self.cell, self._batch = network, reach, cell, batch

    def __call__(self, tiles: np.ndarray) -> np.ndarray:
        """G(x) of tiles `[n, 1, 3, y, x]` in 0..1; the same shape, float32."""
        result = np.empty(tiles.shape, np.float32)
        for first in range(0, len(tiles), self._batch):
            part = slice(first, first + self._batch)
            result[part] = self._network(tiles[part])[0]
        return result


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
