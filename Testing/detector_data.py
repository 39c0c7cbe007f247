"""A little data to train the detector on, balls in a plain lung, and a training of a few steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lnhg.core.ct import CT
from lnhg.data.cutouts import Cutout
from lnhg.data.volumes import volume_of
from lnhg.networks.architecture import DETECTOR_GRID, DetectorArchitecture
from lnhg.training.detector_config import DetectorConfig
from lnhg.training.detector_data import DetectorData, TrainingScan
from lnhg.training.sampling import Sampling
from training_data import log_rows


def a_cutout(wall: bool = False) -> Cutout:
    """A ball of 40 HU, 8 mm wide, in lung of -850 HU; 0.7 x 0.7 x 2 mm; at will with chest wall in the last columns."""
    k, j, i = np.meshgrid(np.arange(5) - 2, np.arange(44) - 21.5, np.arange(44) - 21.5, indexing="ij")
    ball = np.hypot(np.hypot(j * 0.7, i * 0.7), k * 2.0) <= 4
    hu = np.where(ball, 40, -850).astype(np.int16)
    if wall:
        hu[:, :, 34:] = 60
    ct = CT(hu, np.diag([-0.7, -0.7, 2.0, 1.0]))
    return Cutout("ball", "LIDC-IDRI-0001", ct, ball.astype(np.uint8), 1, {})


def a_training_scan(nodule: bool = False) -> TrainingScan:
    """A lung of -850 HU with noise and a few vessels, in a wall of 50 HU."""
    generator = np.random.default_rng(3)
    hu = generator.normal(-850, 20, (8, 200, 200))
    hu[:, :, 90:93] = 0
    hu[:, 130:133, :] = 0
    lungs = np.zeros(hu.shape, bool)
    lungs[:, 20:180, 20:180] = True
    hu[~lungs] = 50
    nodules = np.zeros(hu.shape, bool)
    if nodule:
        nodules[2:5, 60:70, 60:70] = True
        hu[nodules] = 30
    places = np.argwhere(lungs)[::997]
    found = np.array([(3, 65, 65)]) if nodule else np.zeros((0, 3), int)
    return TrainingScan("host", hu.astype(np.int16), 2.5, lungs, nodules, np.zeros_like(lungs), places, found, True)


def some_data() -> DetectorData:
    volumes = [volume_of(a_cutout()), volume_of(a_cutout(wall=True))]
    return DetectorData(
        [a_training_scan(), a_training_scan(nodule=True)], volumes, DETECTOR_GRID, DetectorArchitecture()
    )


def a_short_training(**changes: object) -> DetectorConfig:
    small = DetectorArchitecture(pyramid_width=16, head_width=32)
    values = {
        "architecture": small,
        "sampling": Sampling(size=64),
        "batch": 2,
        "steps": (3, 2),
        "checkpoint_seconds": 0.0,
    }
    return DetectorConfig(**{**values, **changes})


def losses_of(run: Path) -> list[dict[str, str]]:
    """The rows of a run's log without the time, which differs from run to run."""
    return [{name: text for name, text in row.items() if name != "seconds"} for row in log_rows(run)]
