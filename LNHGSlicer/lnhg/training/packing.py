"""From a checkpoint to shipped weights: safetensors, manifest."""

from __future__ import annotations

from pathlib import Path

from ..data.splits import LISTS
from ..weights import save_weights
from .checkpoint import read_checkpoint


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
    return save_weights(folder, "generator", state["generator"], manifest)
