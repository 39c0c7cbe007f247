"""Training runs on a data folder with `lidc_nodules/` (cut-outs) and `lidc_scans/` (whole scans)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..data.cutouts import Cutout, read_cutouts
from ..data.generator_samples import Place, cutout_places, scan_places
from ..data.scans import read_scan
from ..data.splits import list_of
from ..evaluation.dice import seeded_dice
from ..lungs import lung_regions
from ..networks.generator import Generator
from ..networks.perceptual import PerceptualFeatures
from ..options import Options
from ..pipeline import Models
from .generator_training import GeneratorConfig, GeneratorTraining

logger = logging.getLogger(__name__)

_PLACES_A_SCAN = 600
_THRESHOLD = 0.5  # for the Dice that is watched while training; the shipped threshold is chosen afterwards


def train_generator(
    config: GeneratorConfig,
    data: Path,
    output: Path,
    *,
    vgg: Path | None = None,
    device: str = "cpu",
    start: Path | None = None,
    minutes: float | None = None,
    validate_every: int = 500,
) -> None:
    """Train (or go on training) on the `train` patients of `data`, watching Dice on the `select` patients.

    `vgg` is a local file of VGG-19 weights (None: torchvision's download); `start` a checkpoint whose generator is the
    starting point.
    """
    cutouts = read_cutouts(data / "lidc_nodules")
    nodules = cutout_places([c for c in cutouts if list_of(c.patient) == "train"], config.target)
    select = [c for c in cutouts if list_of(c.patient) == "select"]
    background = _background(data / "lidc_scans", config.seed) if config.background else []
    logger.info("%d nodules and %d places of whole scans to train on", len(nodules), len(background))
    features = PerceptualFeatures(vgg) if config.vgg else None
    training = GeneratorTraining(config, output, nodules, background, features, device, start)
    training.run(minutes=minutes, validate_every=validate_every, validate=lambda g: _mean_dice(g, select, config, device))


def _background(folder: Path, seed: int) -> list[Place]:
    places: list[Place] = []
    for scan_folder in sorted(folder.iterdir()):
        if list_of(scan_folder.name) == "train":
            scan = read_scan(scan_folder)
            lungs = lung_regions(scan.ct)
            places += scan_places(scan.ct, lungs, scan.reference > 0, scan.doubtful, _PLACES_A_SCAN, seed)
    return places


def _mean_dice(generator: Generator, cutouts: list[Cutout], config: GeneratorConfig, device: str) -> float:
    models = models_in_training(generator, config.grid.as_dict())
    options = Options(seeds_only=True, device=device)  # the device of the training: elsewhere the network would be moved
    return float(np.mean([seeded_dice(cutout, models, options) for cutout in cutouts]))


def models_in_training(generator: Generator, grid: Mapping[str, Any]) -> Models:
    """The generator of a run of training as `segment` takes it; `grid` as a configuration holds it."""
    manifest = {"name": "in training", "sha256": "", "grid": grid, "thresholds": {"g": _THRESHOLD}}
    return Models(generator.eval(), None, {"generator": manifest})
