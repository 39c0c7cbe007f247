"""Weights on disk: a safetensors file and a JSON manifest of the same name, checked before use. Pickles are never read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from ..core.atomic_file import write_whole
from ..errors import WeightsError

FORMAT = "lnhg-weights-1"
KINDS = ("generator", "detector", "rescorer")


@dataclass(frozen=True, eq=False)
class Weights:
    """Checked weights.

    Attributes:
        name: file name without ending.
        manifest: kind, architecture, grid, thresholds, target, training and measured figures, SHA-256 of the weights file.
        tensors: float32, by the network's own names.
    """

    name: str
    manifest: Mapping[str, Any]
    tensors: Mapping[str, torch.Tensor]

    def load_into(self, network: torch.nn.Module) -> torch.nn.Module:
        """Put the tensors into a network of the manifest's architecture, in evaluation mode."""
        try:
            network.load_state_dict(dict(self.tensors))
        except RuntimeError as error:
            raise WeightsError(
                f"The weights {self.name} do not fit the architecture their manifest names; install them again."
            ) from error
        return network.eval().requires_grad_(False)


def save_weights(folder: Path, name: str, tensors: Mapping[str, torch.Tensor], manifest: Mapping[str, Any]) -> Path:
    """Write `name.safetensors` (floating tensors as fp16) and `name.json`; returns the path of the first."""
    stored = {key: _stored(tensor) for key, tensor in tensors.items()}
    content = save(stored)
    full = {"format": FORMAT, "name": name, **manifest, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.safetensors"
    write_whole(path, content)
    write_whole(folder / f"{name}.json", json.dumps(full, indent=2) + "\n")
    return path


def change_manifest(folder: Path, name: str, **changes: Any) -> None:
    """Write other values into the manifest of weights that are whole, or raise WeightsError."""
    manifest = load_weights(folder, name).manifest
    write_whole(folder / f"{name}.json", json.dumps({**manifest, **changes}, indent=2) + "\n")


def load_weights(folder: Path, name: str) -> Weights:
    """Read and check one pair of files.

    Raises WeightsError when a file is missing, truncated, damaged, changed, or not weights of this project.
    """
    manifest = read_manifest(folder, name)
    path = folder / f"{name}.safetensors"
    if not path.is_file():
        raise WeightsError(f"The weights file {path.name} is missing in {folder}; install the weights again.")
    content = path.read_bytes()
    if len(content) != manifest["bytes"]:
        raise WeightsError(
            f"{path.name} has {len(content)} bytes, its manifest says {manifest['bytes']}: the file is cut off or foreign; "
            "install the weights again."
        )
    if hashlib.sha256(content).hexdigest() != manifest["sha256"]:
        raise WeightsError(f"{path.name} is not the file that its manifest names (SHA-256 differs); install the weights again.")
    try:
        tensors = load(content)
    except Exception as error:
        raise WeightsError(f"{path.name} is not a readable safetensors file ({error}); install the weights again.") from error
    return Weights(name, manifest, {key: _restored(tensor) for key, tensor in tensors.items()})


def kinds_in(folder: Path) -> tuple[str, ...]:
    """The kinds of weights that a folder holds; only the generator is always needed, and the rescorer never."""
    return tuple(kind for kind in KINDS if any((folder / f"{kind}.{ending}").is_file() for ending in ("json", "safetensors")))


def read_manifest(folder: Path, name: str) -> dict[str, Any]:
    """The manifest of one pair of files, checked for what every manifest must hold."""
    path = folder / f"{name}.json"
    if not path.is_file():
        raise WeightsError(f"The manifest {path.name} is missing in {folder}; install the weights again.")
    try:
        manifest = json.loads(path.read_text())
    except ValueError as error:
        raise WeightsError(f"The manifest {path.name} is not readable JSON; install the weights again.") from error
    if not _well_formed(manifest):
        raise WeightsError(f"{path.name} is not a manifest of LNHG weights; choose a folder with weights of this project.")
    if manifest["kind"] not in KINDS:
        raise WeightsError(f"{path.name} names the unknown kind {manifest['kind']!r}; choose weights of this project.")
    return manifest


def _well_formed(manifest: Any) -> bool:
    needed = {"format": str, "kind": str, "architecture": dict, "grid": dict, "thresholds": dict, "sha256": str, "bytes": int}
    return (
        isinstance(manifest, dict)
        and manifest.get("format") == FORMAT
        and all(isinstance(manifest.get(key), kind) for key, kind in needed.items())
    )


def _stored(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.half() if tensor.is_floating_point() else tensor


def _restored(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
