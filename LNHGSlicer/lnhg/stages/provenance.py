"""Provenance: what a result was made with."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from .. import __version__
from ..core.training_told import loss_terms
from ..networks.models import Models
from ..networks.runtime import Runtime
from .fusion import FusionRule


def provenance(
    models: Models, runtime: Runtime, rule: FusionRule, score_threshold: float | None, seconds: Mapping[str, float]
) -> dict[str, object]:
    """Versions, weights (SHA-256, terms of the loss), grids, device, precision, thresholds, and the seconds of each
    stage.
    """
    return {
        "lnhg": __version__,
        "python": platform.python_version(),
        "runtime": models.runtime,
        **runtime.versions,
        "numpy": np.__version__,
        "device": runtime.description,
        "precision": runtime.precision,
        "weights": {
            kind: {"name": manifest["name"], "sha256": manifest["sha256"], **_loss(manifest)}
            for kind, manifest in models.manifests.items()
        },
        "grids": {kind: models.grid(kind).as_dict() for kind in models.manifests},
        "fusion": asdict(rule),
        "score_threshold": score_threshold,
        "seconds": seconds,
    }


def _loss(manifest: Mapping[str, Any]) -> dict[str, object]:
    """Of a generator, whose training the report tells."""
    return {"loss": terms} if (terms := loss_terms(manifest)) else {}
