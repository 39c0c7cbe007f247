"""From a checkpoint to shipped weights: safetensors, manifest."""

from __future__ import annotations

from pathlib import Path

from ..data.splits import LISTS
from ..weights import save_weights
from .checkpoint import read_checkpoint
from .detector_training import pack_detector
from .generator_training import generator_of


def pack(checkpoint: Path, folder: Path, threshold: float) -> Path:
    """Pack a generator's checkpoint, or the weights a detector's run wrote after a phase; returns the weights' path."""
    if "generator" in read_checkpoint(checkpoint):
        return pack_generator(checkpoint, folder, threshold)
    return pack_detector(checkpoint, folder, threshold, {"patient_lists": list(LISTS)})


def pack_generator(checkpoint: Path, folder: Path, threshold: float) -> Path:
    """Write `generator.safetensors` and its manifest; `threshold` is the one on G(x), chosen on the select patients."""
    state = read_checkpoint(checkpoint)
    config = state["config"]
    manifest = {
        "kind": "generator",
        "architecture": {"width": config["width"]},
        "grid": config["grid"],
        "thresholds": {"g": threshold},
        "target": config["target"],
        "training": {**config, "steps_done": state["step"], "patient_lists": list(LISTS)},
    }
    return save_weights(folder, "generator", generator_of(state), manifest)
