"""A little data to train the generator on: bright balls in lung, as cut-outs in memory or as a data folder."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lnhg.core.ct import CT
from lnhg.core.nrrd_file import write_nrrd
from lnhg.data.cutouts import RATINGS, Cutout
from lnhg.training.generator_samples import cutout_places

ROOT = Path(__file__).resolve().parents[1]


def ball(number: int, patient: str = "P") -> Cutout:
    """A ball of 0 HU in lung, outlined by two readers, the second of whom drew it smaller; 7 x 32 x 32 voxels of 2, 0.7
    mm.
    """
    centre = 15.5 + np.random.default_rng(number).uniform(-2, 2, 2)
    k, j, i = np.indices((7, 32, 32))
    distance = np.sqrt((2 * (k - 3)) ** 2 + (0.7 * (j - centre[0])) ** 2 + (0.7 * (i - centre[1])) ** 2)
    noise = np.random.default_rng((number, 1)).normal(0, 20, distance.shape)
    hu = np.where(distance < 4.5, 0, -850) + noise
    readers = (distance < 4.5).astype(np.uint8) + 2 * (distance < 3.5).astype(np.uint8)
    ct = CT(hu.astype(np.int16), np.diag([-0.7, -0.7, 2, 1]))
    return Cutout(f"{patient}_{number}", patient, ct, readers, 2, {})


#: Three patients to train on (last digit 3) and one of the select list (last digit 2).
PATIENTS = ("LIDC-IDRI-9003", "LIDC-IDRI-9013", "LIDC-IDRI-9023", "LIDC-IDRI-9002")
BALLS = tuple(ball(number, patient) for number, patient in enumerate(PATIENTS))
PLACES = cutout_places(BALLS, "binary")


def write_data(folder: Path, cutouts: Sequence[Cutout]) -> None:
    """A data folder as `lnhg train` reads it, of cut-outs alone; nodules without ratings get a 3 in each."""
    (folder / "lidc_scans").mkdir(parents=True)
    nodules = folder / "lidc_nodules"
    nodules.mkdir()
    with (nodules / "nodules.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, ["nodule", "patient", "readers", *RATINGS])
        table.writeheader()
        for cutout in cutouts:
            write_nrrd(nodules / f"{cutout.name}.ct.nrrd", cutout.ct.hu, cutout.ct.ijk_to_ras)
            write_nrrd(nodules / f"{cutout.name}.readers.nrrd", cutout.readers, cutout.ct.ijk_to_ras)
            row = {"nodule": cutout.name, "patient": cutout.patient, "readers": cutout.reader_count}
            table.writerow({**row, **dict.fromkeys(RATINGS, 3), **cutout.ratings})


def command(*words: object) -> list[str]:
    """The command line of `lnhg`, run as a person would."""
    return [sys.executable, "-m", "lnhg", *map(str, words)]


def environment() -> dict[str, str]:
    """The environment in which `command` finds this code; one thread, so that sums have one order."""
    return {**os.environ, "PYTHONPATH": str(ROOT / "LNHGSlicer"), "OMP_NUM_THREADS": "1"}


def kill_after(process: subprocess.Popen[bytes], log: Path, rows: int) -> None:
    """Kill a training, as a power cut would, once its log has so many rows."""
    while not log.exists() or log.read_bytes().count(b"\n") <= rows:
        assert process.poll() is None, "the training ended before it could be killed"
        time.sleep(0.002)
    process.kill()
    process.wait()


def cut_off_after(calls: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which a person interrupts when it is called once more than so often."""
    left = iter(range(calls))

    def interrupted(*arguments: object) -> object:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return function(*arguments)

    return interrupted


def log_rows(folder: Path) -> list[dict[str, str]]:
    """The rows of a run's log."""
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))
