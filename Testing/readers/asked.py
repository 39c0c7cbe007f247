"""What the tests of reading ask: a refusal or a result as the command line gives it, and inputs that several of them
make.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import commanded
from lnhg.core.ct import CT
from lnhg.readers.read_ct import read_ct

#: Random HU on a grid of five small slices, 2.5 mm apart, and their grid.
HU = np.random.default_rng(5).integers(-1000, 400, (5, 32, 32)).astype(np.int16)
AXIAL = np.array([[-0.7, 0, 0, 90], [0, -0.8, 0, 60.5], [0, 0, 2.5, -300], [0, 0, 0, 1.0]])


def refused(path: Path, capfd: pytest.CaptureFixture[str], *words: str, more: tuple[str, ...] = ()) -> str:
    """The sentence with which `lnhg segment` refuses: one line that says what to do, exit code 2, nothing written."""
    output = path.parent / "out"
    return commanded.refused(["segment", path, "--output", output, *more], path.parent, capfd, *words)


def read_by_segment(
    place: Path, capfd: pytest.CaptureFixture[str], series: str | None = None, scan: int | None = None
) -> CT:
    """What `read_ct` reads, where `lnhg segment` makes a result of the same voxels that keeps the same notes."""
    ct = read_ct(place, series, scan)
    choice = [f"--{name}={value}" for name, value in (("series", series), ("scan", scan)) if value is not None]
    told = commanded.segmented(place, capfd, *choice, names=ct.identity)
    assert told.record["input"]["sha256"] == ct.source["sha256"]
    assert set(ct.warnings) <= set(told.record["warnings"])
    assert str(ct.identity.get("notes", "")) in told.screen
    return ct


def stack(slices: int, seed: int = 1, step: float = 2.5) -> tuple[np.ndarray, np.ndarray]:
    """Random HU `[slice, row, column]` of so many slices, so many mm apart, and their grid."""
    hu = np.random.default_rng(seed).integers(-1000, 400, (slices, 16, 16)).astype(np.int16)
    return hu, AXIAL @ np.diag([1, 1, step / 2.5, 1])


def moved(ijk_to_ras: np.ndarray, up: float) -> np.ndarray:
    """A grid, so many mm further to the head."""
    grid = ijk_to_ras.copy()
    grid[2, 3] += up
    return grid
