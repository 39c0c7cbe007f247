"""Graphs on disk: what OpenVINO computes of a network, without its weights, made by `lnhg weights export`.

`NAME.graphs.zip` lies beside `NAME.safetensors`, whose manifest holds its SHA-256 and that of the weights that it was
made with. In it are OpenVINO's description of each graph, whose inputs are what a network is given and then its
tensors, by the names they have in the weights; and `facts.json`.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.atomic_file import write_atomic
from ..errors import InputError, WeightsError
from .weights import Weights, change_manifest, load_weights

_FACTS = "facts.json"
# Zip files hold a date; one for all, so that the same graphs make the same file.
_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Graph:
    """One graph, as OpenVINO writes it: its description (XML) and the few constants that are no weights."""

    description: bytes
    constants: bytes


@dataclass(frozen=True)
class Graphs:
    """The graphs of one network by name, and what else a run must know of it, such as its reach."""

    graphs: Mapping[str, Graph]
    facts: Mapping[str, Any]


def graphs_file(folder: Path, name: str) -> Path:
    """Where the graphs of the weights of this name lie."""
    return folder / f"{name}.graphs.zip"


def write_graphs(folder: Path, name: str, graphs: Graphs) -> Path:
    """Write the graphs beside the weights, and both their hashes into the manifest; returns their path.

    Raises WeightsError for weights that are not whole, InputError where the folder cannot be written.
    """
    weights = load_weights(folder, name).manifest["sha256"]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        _put(packed, _FACTS, json.dumps(dict(graphs.facts), indent=1, sort_keys=True).encode())
        for key, graph in sorted(graphs.graphs.items()):
            _put(packed, f"{key}.xml", graph.description)
            _put(packed, f"{key}.bin", graph.constants)
    path = graphs_file(folder, name)
    try:
        write_atomic(path, content.getvalue())
        sha256 = hashlib.sha256(content.getvalue()).hexdigest()
        change_manifest(folder, name, graphs={"sha256": sha256, "weights": weights})
    except OSError as error:
        raise InputError(f"The graphs cannot be written to {folder} ({error.strerror}); make room there.") from error
    return path


def _put(packed: zipfile.ZipFile, name: str, content: bytes) -> None:
    packed.writestr(zipfile.ZipInfo(name, _DATE), content, zipfile.ZIP_DEFLATED, 9)


def has_graphs(weights: Weights) -> bool:
    """Whether graphs were ever made with the weights; they may be stale or gone since."""
    return "graphs" in weights.manifest


def read_graphs(weights: Weights) -> Graphs:
    """The graphs that lie beside weights. Raises WeightsError where there are none, or others."""
    path, told = graphs_file(weights.folder, weights.name), weights.manifest.get("graphs")
    again = f"run lnhg weights export {weights.folder}, or choose --runtime torch"
    if not isinstance(told, dict) or not path.is_file():
        raise WeightsError(f"The weights {weights.name} have no graphs for OpenVINO in {weights.folder}; {again}.")
    if told.get("weights") != weights.manifest["sha256"]:
        raise WeightsError(f"{path.name} was made with other weights than those beside it; {again}.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path.name} cannot be read ({error.strerror}); {again}.") from error
    if hashlib.sha256(content).hexdigest() != told.get("sha256"):
        raise WeightsError(f"{path.name} is not the file that the manifest names (SHA-256 differs); {again}.")
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        names = [name.removesuffix(".xml") for name in packed.namelist() if name.endswith(".xml")]
        graphs = {name: Graph(packed.read(f"{name}.xml"), packed.read(f"{name}.bin")) for name in names}
        return Graphs(graphs, json.loads(packed.read(_FACTS)))
