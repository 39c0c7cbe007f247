"""Runs of the generator's training on a data folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data.cutouts import Cutout
from ..data.scans import LabelledScan
from ..data.splits import list_of
from ..data.training_data import cutouts_of, scans_of
from ..evaluation.seeded import seeded_dice
from ..networks.generator import Generator
from ..networks.perceptual import PerceptualFeatures
from ..networks.torch_models import TorchModels
from ..networks.unet import UNet
from ..options import Options
from ..stages.lungs import lung_regions
from .generator_config import GeneratorConfig
from .generator_samples import Place, cutout_places, mass_places, masses_in_cubes, scan_places
from .generator_training import GeneratorTraining
from .packed_places import Packed, read_packed, write_packed
from .processes import joined
from .record import record_of

logger = logging.getLogger(__name__)

# Of each scan: places seen as usual, places on a coarser grid, views of each mass; and as many as a small file has room
# for.
_PLACES_A_SCAN, _PACKED_A_SCAN = (600, 600, 12), (100, 20, 2)
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
    keep: Sequence[int] = (),
    command: str | None = None,
    listed: Callable[[str], str] = list_of,
) -> None:
    """Train (or go on training) on the `train` patients of `data`, watching Dice on the `select` patients.

    `data` is a folder, a cache, or a file that `pack_training_data` wrote (then `listed` counted there). `vgg` is a
    local file of VGG-19 weights (None: torchvision's download); `start` a checkpoint whose generator is the starting
    point; `keep` names the steps whose checkpoints stay; `command` is what a person types to do the same, for the model
    card; `listed` says which list a patient is on. Processes that `torchrun` started train one network together.
    """
    packed = read_packed(data) if data.is_file() else _read(config, data, listed, _PLACES_A_SCAN)
    select, background = packed.select, list(packed.background)
    nodules = cutout_places(packed.train, config.target)
    if config.masses:
        background += masses_in_cubes(packed.train, config.target, config.seed, _PLACES_A_SCAN[2])
    record = record_of(command, (cutout.patient for cutout in packed.train), packed.scan_patients)
    features = PerceptualFeatures(vgg) if config.vgg else None
    with joined(device) as processes:
        if processes.first:
            cubes, masses = sum(place.cube for place in nodules), sum(place.mass for place in background)
            logger.info(
                "%d nodules (%d in cubes) and %d places of whole scans", len(nodules), cubes, len(background) - masses
            )
            logger.info("%d views of masses of whole scans", masses)
        training = GeneratorTraining(config, output, nodules, background, features, processes, start, record)
        training.run(
            minutes=minutes,
            validate_every=validate_every,
            keep=keep,
            validate=lambda generator: _mean_dice(generator, select, config, processes.device.type),
        )


def pack_training_data(
    config: GeneratorConfig, data: Path, output: Path, listed: Callable[[str], str] = list_of
) -> None:
    """Write one small file that `train_generator` takes as its data: all cut-outs and cubes, and some places of the
    scans.
    """
    write_packed(output, _read(config, data, listed, _PACKED_A_SCAN))


def _read(config: GeneratorConfig, data: Path, listed: Callable[[str], str], counts: tuple[int, int, int]) -> Packed:
    """What a data folder or cache holds; `counts` of places a scan and of views of its masses, as far as these are
    drawn.
    """
    train, select = (cutouts_of(data, patients, listed) for patients in ("train", "select"))
    places: list[Place] = []
    patients: list[str] = []
    if config.background or config.coarse or config.masses:
        for scan in scans_of(data, "train", listed):
            patients.append(scan.patient)
            places += _places_of(scan, config, counts)
    return Packed(train, select, places, patients)


def _places_of(scan: LabelledScan, config: GeneratorConfig, counts: tuple[int, int, int]) -> list[Place]:
    """Places of a scan, seen as usual and on a coarser grid, and its masses."""
    lungs = lung_regions(scan.ct)
    places = mass_places(scan, lungs, config.seed, counts[2]) if config.masses else []
    for coarse, share, count in ((False, config.background, counts[0]), (True, config.coarse, counts[1])):
        if share:
            places += scan_places(
                scan.ct,
                lungs,
                scan.reference > 0,
                scan.doubtful,
                count,
                config.seed,
                config.grid,
                coarse=coarse,
                thickness=config.thickness,
            )
    return places


def _mean_dice(generator: Generator | UNet, cutouts: Sequence[Cutout], config: GeneratorConfig, device: str) -> float:
    models = models_in_training(generator, config.grid.as_dict())
    options = Options(
        seeds_only=True, device=device
    )  # the device of the training: elsewhere the network would be moved
    return float(np.mean([seeded_dice(cutout, models, options) for cutout in cutouts]))


def models_in_training(generator: Generator | UNet, grid: Mapping[str, Any]) -> TorchModels:
    """The generator of a run of training as `segment` takes it; `grid` as a configuration holds it."""
    manifest = {"name": "in training", "sha256": "", "grid": grid, "thresholds": {"g": _THRESHOLD}}
    return TorchModels(generator.eval(), None, {"generator": manifest})
