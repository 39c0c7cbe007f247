"""Training runs on a data folder with `lidc_nodules/` (cut-outs) and `lidc_scans/` (whole scans)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..data.cutouts import Cutout, read_cutouts
from ..data.generator_samples import Place, cutout_places, scan_places
from ..data.scans import read_scan
from ..data.splits import list_of
from ..errors import InputError
from ..evaluation.dice import seeded_dice
from ..lungs import lung_regions
from ..networks.generator import Generator
from ..networks.perceptual import PerceptualFeatures
from ..networks.unet import UNet
from ..options import Options
from ..pipeline import Models
from .generator_config import GeneratorConfig
from .generator_training import GeneratorTraining
from .processes import joined

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
    command: str | None = None,
) -> None:
    """Train (or go on training) on the `train` patients of `data`, watching Dice on the `select` patients.

    `vgg` is a local file of VGG-19 weights (None: torchvision's download); `start` a checkpoint whose generator is the
    starting point; `command` what a person types to do the same, for the model card. Processes that `torchrun` started
    train one network together.
    """
    cutouts = read_cutouts(data / "lidc_nodules")
    train = [c for c in cutouts if list_of(c.patient) == "train"]
    select = [c for c in cutouts if list_of(c.patient) == "select"]
    if not train or not select:
        raise InputError(f"{data} needs nodules of patients of both lists, train and select (lnhg/data/splits.py).")
    scans = _training_scans(data / "lidc_scans") if config.background else []
    nodules, background = cutout_places(train, config.target), _background(scans, config.seed)
    record = {"commands": [command] if command else [], "data": _sources(train, scans)}
    features = PerceptualFeatures(vgg) if config.vgg else None
    with joined(device) as processes:
        if processes.first:
            logger.info("%d nodules and %d places of whole scans to train on", len(nodules), len(background))
        training = GeneratorTraining(config, output, nodules, background, features, processes, start, record)
        training.run(
            minutes=minutes,
            validate_every=validate_every,
            validate=lambda generator: _mean_dice(generator, select, config, processes.device.type),
        )


def _training_scans(folder: Path) -> list[Path]:
    return [scan for scan in sorted(folder.iterdir()) if list_of(scan.name) == "train"]


def _background(scans: Iterable[Path], seed: int) -> list[Place]:
    places: list[Place] = []
    for folder in scans:
        scan = read_scan(folder)
        lungs = lung_regions(scan.ct)
        places += scan_places(scan.ct, lungs, scan.reference > 0, scan.doubtful, _PLACES_A_SCAN, seed)
    return places


def _sources(cutouts: Iterable[Cutout], scans: Iterable[Path]) -> dict[str, dict[str, int]]:
    """How many nodules and whole scans of each collection are trained on; a patient is named COLLECTION-NUMBER."""
    nodules = Counter(cutout.patient.rpartition("-")[0] for cutout in cutouts)
    whole = Counter(scan.name.rpartition("-")[0] for scan in scans)
    return {name: {"nodules": nodules[name], "scans": whole[name]} for name in sorted(nodules | whole)}


def _mean_dice(generator: Generator | UNet, cutouts: list[Cutout], config: GeneratorConfig, device: str) -> float:
    models = models_in_training(generator, config.grid.as_dict())
    options = Options(seeds_only=True, device=device)  # the device of the training: elsewhere the network would be moved
    return float(np.mean([seeded_dice(cutout, models, options) for cutout in cutouts]))


def models_in_training(generator: Generator | UNet, grid: Mapping[str, Any]) -> Models:
    """The generator of a run of training as `segment` takes it; `grid` as a configuration holds it."""
    manifest = {"name": "in training", "sha256": "", "grid": grid, "thresholds": {"g": _THRESHOLD}}
    return Models(generator.eval(), None, {"generator": manifest})
