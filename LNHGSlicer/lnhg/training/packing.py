"""From a checkpoint to what ships: weights (safetensors), manifest, the training's log and a draft of the model
card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ..core.written_files import check_own, write_own
from ..data.splits import LISTS
from ..errors import InputError
from ..evaluation.detections import LOWEST_SCORE
from ..networks.weights import load_weights, save_weights
from .checkpoint import read_checkpoint
from .generator_training import generator_of
from .model_card import model_card
from .run_log import LOG


def pack(checkpoints: Sequence[Path], folder: Path, threshold: float, report: Path | None = None) -> Path:
    """Pack a checkpoint of any of the networks; returns the weights' path.

    Writes `NAME.safetensors`, its manifest `NAME.json`, the run's log as `NAME-training.csv` if there is one, and the
    model card `NAME.md`; NAME is the network's. Of several checkpoints the mean of their weights is packed (Izmailov et
    al., Averaging weights leads to wider optima, 2018); what is told of the training is that of the last. `report` is a
    file of `lnhg validate --output`, the measured figures.

    Raises InputError for a file of such a name that this program did not write, or that was changed since.
    """
    if report is not None and not report.is_file():
        raise InputError(f"There is no report {report}; write it with lnhg validate --output.")
    states = [read_checkpoint(path) for path in checkpoints]
    manifest = _manifest(states[-1], threshold)
    if len(states) > 1:
        manifest["mean_of"] = [f"{path.parent.name}/{path.stem}" for path in checkpoints]
    card_name, log_name = f"{manifest['kind']}.md", f"{manifest['kind']}-training.csv"
    check_own(folder, card_name, log_name)
    path = save_weights(folder, manifest["kind"], _mean([_network(state) for state in states]), manifest)
    log = checkpoints[-1].parent / LOG
    if log.is_file():
        write_own(folder / log_name, log.read_text(encoding="utf-8"))
    packed = load_weights(folder, path.stem)
    parameters = sum(tensor.size for key, tensor in packed.tensors.items() if not _of_batch_norm(key))
    figures = report.read_text(encoding="utf-8") if report else None
    write_own(folder / card_name, model_card(packed.manifest, parameters, figures, with_log=log.is_file()))
    return path


def join_detectors(folders: Sequence[Path], output: Path, threshold: float) -> Path:
    """Pack the detectors of several weights folders as one ensemble into `output`; returns the weights' path.

    An ensemble of one looks at mirror images too. The manifest tells of the training of each. Raises InputError for
    detectors that do not see alike.
    """
    parts = [load_weights(folder, "detector") for folder in folders]
    first = parts[0].manifest
    if any("members" in part.manifest for part in parts):
        raise InputError("An ensemble is made of single detectors, not of ensembles; give the folders of its members.")
    if any(part.manifest[key] != first[key] for part in parts for key in ("architecture", "grid")):
        raise InputError(
            "The detectors differ in architecture or grid, so they cannot look together; give ones that do not."
        )
    tensors = {f"members.{n}.{name}": tensor for n, part in enumerate(parts) for name, tensor in part.tensors.items()}
    record = {"members": [part.manifest.get("training", {}) for part in parts]}
    manifest = _detector_manifest({**first, "record": record}, threshold) | {"members": len(parts)}
    return save_weights(output, "detector", tensors, manifest)


def pack_generator(state: Mapping[str, Any], folder: Path, threshold: float) -> Path:
    """Write the weights and the manifest of a generator; `threshold` is the one on G(x), chosen on the select
    patients.
    """
    return save_weights(folder, "generator", generator_of(state), _generator_manifest(state, threshold))


def _manifest(state: Mapping[str, Any], threshold: float) -> dict[str, Any]:
    if "generator" in state:
        return _generator_manifest(state, threshold)
    return _rescorer_manifest(state, threshold) if "rescorer" in state else _detector_manifest(state, threshold)


def _network(state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    if "generator" in state:
        return generator_of(state)
    tensors: dict[str, torch.Tensor] = state["rescorer" if "rescorer" in state else "model"]
    return tensors


def _mean(networks: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The mean of weights and of batch norm's figures, tensor by tensor."""
    shapes = [{name: tensor.shape for name, tensor in network.items()} for network in networks]
    if any(other != shapes[0] for other in shapes):
        raise InputError("The checkpoints are of different networks, which have no mean; give checkpoints of one.")
    stacked = {name: torch.stack([network[name] for network in networks]) for name in networks[0]}
    return {name: one.mean(0) if one.is_floating_point() else one[-1] for name, one in stacked.items()}


def _generator_manifest(state: Mapping[str, Any], threshold: float) -> dict[str, Any]:
    config = state["config"]
    how = {"steps_done": state["step"], "processes": state.get("processes", 1), "patient_lists": list(LISTS)}
    return {
        "kind": "generator",
        "architecture": {"name": config.get("network", "lnhg"), "width": config["width"]},
        "grid": config["grid"],
        "thresholds": {"g": threshold},
        "target": config["target"],
        "training": {**config, **how, **state.get("record", {})},
    }


def _detector_manifest(state: Mapping[str, Any], threshold: float) -> dict[str, Any]:
    """`threshold` is the lowest score of a candidate."""
    return {
        "kind": "detector",
        "architecture": state["architecture"],
        "grid": state["grid"],
        "thresholds": {"score": threshold},
        "training": {"patient_lists": list(LISTS), **state.get("record", {})},
    }


def _rescorer_manifest(state: Mapping[str, Any], threshold: float) -> dict[str, Any]:
    """`threshold` is the lowest score after the second look."""
    return {
        "kind": "rescorer",
        "architecture": {},
        "grid": state["grid"],
        "thresholds": {"detector": LOWEST_SCORE, "score": threshold},
        "training": {**state["config"], "steps_done": state["step"], "patient_lists": list(LISTS)},
    }


def _of_batch_norm(name: str) -> bool:
    """Whether a tensor is one of the running figures of batch norm, which are no parameters."""
    return name.endswith(("running_mean", "running_var", "num_batches_tracked"))
