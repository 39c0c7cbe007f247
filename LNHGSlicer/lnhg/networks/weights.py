"""Weights on disk: a safetensors file and a JSON manifest of the same name, checked before use. Pickles are never
read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from ..core.atomic_file import write_atomic
from ..core.manifest import FORMAT, check_thresholds, read_manifest
from ..core.seal import sealed
from ..errors import InputError, WeightsError


@dataclass(frozen=True, eq=False)
class Weights:
    """Checked weights.

    Attributes:
        folder: where they lie.
        name: file name without ending.
        manifest: kind, architecture, grid, thresholds, target, training and measured figures, SHA-256 of the weights
            file.
        tensors: float32, by the network's own names.
    """

    folder: Path
    name: str
    manifest: Mapping[str, Any]
    tensors: Mapping[str, np.ndarray]

    def misfit(self) -> WeightsError:
        """The error of weights that do not fit their network."""
        return WeightsError(
            f"The weights {self.name} do not fit the architecture their manifest names; install them again."
        )


def save_weights(folder: Path, name: str, tensors: Mapping[str, Any], manifest: Mapping[str, Any]) -> Path:
    """Write `name.safetensors` (floating tensors as fp16) and `name.json`; returns the path of the first.

    Tensors are arrays, or PyTorch's on the CPU.

    Raises WeightsError for weights that are not finite, or too large for fp16, InputError where one of these files is
    there and is no part of whole weights, or the folder cannot be written.
    """
    _check_nothing_foreign(folder, name)
    stored = {key: _stored(tensor) for key, tensor in tensors.items()}
    _check_finite(name, stored)
    content = save(stored)
    full = {
        "format": FORMAT,
        "name": name,
        **manifest,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    path, manifest_text = folder / f"{name}.safetensors", _written(full)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
        write_atomic(folder / f"{name}.json", manifest_text)
    except OSError as error:
        raise InputError(f"The weights cannot be written to {folder} ({error.strerror}); choose another.") from error
    return path


def _check_nothing_foreign(folder: Path, name: str) -> None:
    """Raise InputError where files of these names are no whole weights: somebody's, or changed by somebody."""
    names = [one for one in (f"{name}.json", f"{name}.safetensors") if os.path.lexists(folder / one)]
    if not names:
        return
    try:
        load_weights(folder, name)
    except WeightsError as error:
        raise InputError(
            f"{' and '.join(names)} in {folder} would be replaced, but are no whole weights of this program; "
            "move them away or choose another folder."
        ) from error


def change_manifest(folder: Path, name: str, **changes: Any) -> None:
    """Write other values into the manifest of weights that are whole, or raise WeightsError."""
    manifest = load_weights(folder, name).manifest
    write_atomic(folder / f"{name}.json", _written({**manifest, **changes}))


def _written(manifest: Mapping[str, Any]) -> str:
    """The text of a manifest, with its seal. Raises WeightsError for thresholds that no score can reach."""
    check_thresholds(f"{manifest['name']}.json", manifest)
    return json.dumps(sealed({**manifest, "format": FORMAT}), indent=2) + "\n"


def load_weights(folder: Path, name: str) -> Weights:
    """Read and check one pair of files.

    Raises WeightsError when a file is missing, truncated, damaged, changed, holds values that are not finite, or is not
    weights of this project.
    """
    manifest = read_manifest(folder, name)
    path = folder / f"{name}.safetensors"
    if not path.is_file():
        raise WeightsError(f"The weights file {path.name} is missing in {folder}; install the weights again.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path.name} cannot be read ({error.strerror}); install the weights again.") from error
    if len(content) != manifest["bytes"]:
        raise WeightsError(
            f"{path.name} has {len(content)} bytes, its manifest says {manifest['bytes']}: the file is cut off or "
            "foreign; install the weights again."
        )
    if hashlib.sha256(content).hexdigest() != manifest["sha256"]:
        raise WeightsError(
            f"{path.name} is not the file that its manifest names (SHA-256 differs); install the weights again."
        )
    try:
        tensors = load(content)
    except MemoryError:
        raise
    except Exception as error:
        raise WeightsError(
            f"{path.name} is not a readable safetensors file ({error}); install the weights again."
        ) from error
    _check_finite(name, tensors)
    return Weights(folder, name, manifest, {key: _restored(tensor) for key, tensor in tensors.items()})


def _check_finite(name: str, tensors: Mapping[str, np.ndarray]) -> None:
    wrong = [key for key, tensor in tensors.items() if _is_floating(tensor) and not np.isfinite(tensor).all()]
    if wrong:
        raise WeightsError(
            f"The weights {name} hold values that are not finite (in {min(wrong)}); install the weights again, or "
            "train anew."
        )


def _is_floating(tensor: np.ndarray) -> bool:
    return np.issubdtype(tensor.dtype, np.floating)


def _stored(tensor: Any) -> np.ndarray:
    values = np.asarray(tensor, order="C")  # keeps the shape of a single number
    with np.errstate(over="ignore"):  # too large for fp16 is infinite, and found to be so
        return values.astype(np.float16) if _is_floating(values) else values


def _restored(tensor: np.ndarray) -> np.ndarray:
    return tensor.astype(np.float32) if _is_floating(tensor) else tensor
