"""What the tests of reading ask: a refusal as the command line gives it, and inputs that several of them make."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lnhg.cli import main

#: Random HU on a grid of five small slices, 2.5 mm apart, and their grid.
HU = np.random.default_rng(5).integers(-1000, 400, (5, 32, 32)).astype(np.int16)
AXIAL = np.array([[-0.7, 0, 0, 90], [0, -0.8, 0, 60.5], [0, 0, 2.5, -300], [0, 0, 0, 1.0]])


def refused(path: Path, capfd: pytest.CaptureFixture[str], *words: str, more: tuple[str, ...] = ()) -> str:
    """The sentence with which `lnhg segment` refuses: one line that says what to do, exit code 2, nothing written."""
    before = {file: file.stat().st_size for file in path.parent.rglob("*") if file.is_file()}
    assert main(["segment", str(path), "--output", str(path.parent / "out"), *more]) == 2
    out, err = capfd.readouterr()
    assert out == "" and len(err.splitlines()) == 1
    for word in words:
        assert word in err
    wrong, remedy = err.strip().rsplit("; ", 1)
    assert wrong and remedy.endswith(".") and ". " not in remedy
    assert {file: file.stat().st_size for file in path.parent.rglob("*") if file.is_file()} == before
    return err


def stack(slices: int, seed: int = 1, step: float = 2.5) -> tuple[np.ndarray, np.ndarray]:
    """Random HU `[slice, row, column]` of so many slices, so many mm apart, and their grid."""
    hu = np.random.default_rng(seed).integers(-1000, 400, (slices, 16, 16)).astype(np.int16)
    return hu, AXIAL @ np.diag([1, 1, step / 2.5, 1])


def moved(ijk_to_ras: np.ndarray, up: float) -> np.ndarray:
    """A grid, so many mm further to the head."""
    grid = ijk_to_ras.copy()
    grid[2, 3] += up
    return grid
