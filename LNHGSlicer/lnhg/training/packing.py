"""From a checkpoint to what ships: weights (safetensors), manifest, the training's log and a draft of the model card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..data.finds import LOWEST_SCORE
from ..data.splits import LISTS
from ..errors import InputError
from ..weights import load_weights, save_weights
from ..whole_file import write_whole
from .checkpoint import read_checkpoint
from .generator_training import generator_of
from .model_card import model_card
from .run_log import LOG


def pack(checkpoint: Path, folder: Path, threshold: float, report: Path | None = None) -> Path:
    """Pack a checkpoint of any of the networks; returns the weights' path.

    Writes `NAME.safetensors`, its manifest `NAME.json`, the run's log as `NAME-training.csv` if there is one, and the model
    card `NAME.md`; NAME is the network's. `report` is a file of `lnhg validate --output`, the measured figures.
    """
    if report is not None and not report.is_file():
        raise InputError(f"There is no report {report}; write it with lnhg validate --output.")
    state = read_checkpoint(checkpoint)
    if "generator" in state:
        weights = pack_generator(state, folder, threshold)
    elif "rescorer" in state:
        weights = pack_rescorer(state, folder, threshold)
    else:
        weights = pack_detector(state, folder, threshold)
    name = weights.stem
    log = checkpoint.parent / LOG
    if log.is_file():
        write_whole(folder / f"{name}-training.csv", log.read_text())
    packed = load_weights(folder, name)
    parameters = sum(tensor.numel() for key, tensor in packed.tensors.items() if not _of_batch_norm(key))
    figures = report.read_text() if report else None
    write_whole(folder / f"{name}.md", model_card(packed.manifest, parameters, figures, with_log=log.is_file()))
    return weights


def pack_generator(state: Mapping[str, Any], folder: Path, threshold: float) -> Path:
    """Write the weights and the manifest of a generator; `threshold` is the one on G(x), chosen on the select patients."""
    config = state["config"]
    how = {"steps_done": state["step"], "processes": state.get("processes", 1), "patient_lists": list(LISTS)}
    manifest = {
        "kind": "generator",
        "architecture": {"name": config.get("network", "lnhg"), "width": config["width"]},
        "grid": config["grid"],
        "thresholds": {"g": threshold},
        "target": config["target"],
        "training": {**config, **how, **state.get("record", {})},
    }
    return save_weights(folder, "generator", generator_of(state), manifest)


def pack_detector(state: Mapping[str, Any], folder: Path, threshold: float) -> Path:
    """Write the weights and the manifest of a detector; `threshold` is the lowest score of a candidate."""
    manifest = {
        "kind": "detector",
        "architecture": state["architecture"],
        "grid": state["grid"],
        "thresholds": {"score": threshold},
        "training": {"patient_lists": list(LISTS), **state.get("record", {})},
    }
    return save_weights(folder, "detector", state["model"], manifest)


def pack_rescorer(state: Mapping[str, Any], folder: Path, threshold: float) -> Path:
    """Write the weights and the manifest of a rescorer; `threshold` is the lowest score after the second look."""
    manifest = {
        "kind": "rescorer",
        "architecture": {},
        "grid": state["grid"],
        "thresholds": {"detector": LOWEST_SCORE, "score": threshold},
        "training": {**state["config"], "steps_done": state["step"], "patient_lists": list(LISTS)},
    }
    return save_weights(folder, "rescorer", state["rescorer"], manifest)


def _of_batch_norm(name: str) -> bool:
    """Whether a tensor is one of the running figures of batch norm, which are no parameters."""
    return name.endswith(("running_mean", "running_var", "num_batches_tracked"))
