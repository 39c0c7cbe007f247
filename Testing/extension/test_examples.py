"""The scripts in `examples/`, each run as a user runs it."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lnhg.core.nrrd_file import write_nrrd

ROOT = Path(__file__).resolve().parents[2]
GRID = np.diag([-1.0, -1.0, 2.5, 1.0])
GRID[:3, 3] = 43.0, 48.0, -15.0
CENTRE = "3,-2,5"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A CT with a ball of 14 mm in noise as dense as lung, and the ball's label map."""
    folder = tmp_path_factory.mktemp("examples")
    k, j, i = np.ogrid[:16, :96, :96]
    ball = ((k - 8) * 2.5) ** 2 + (j - 50) ** 2 + (i - 40) ** 2 < 7**2
    noise = np.random.default_rng(1).normal(-850, 25, ball.shape)
    (folder / "scans").mkdir()
    write_nrrd(folder / "scans" / "ct.nrrd", np.where(ball, 40, noise).astype(np.int16), GRID)
    write_nrrd(folder / "ball.nrrd", ball.astype(np.uint8), GRID)
    return folder


def run(folder: Path, script: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "LNHGSlicer"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "examples" / script), *words]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended


def test_there_are_no_examples_that_are_not_run_here():
    assert {path.name for path in (ROOT / "examples").iterdir()} == {
        "segment.py",
        "seeds.py",
        "evaluate.py",
        "folder.py",
    }


def test_a_label_map_is_compared_with_itself(folder):
    assert run(folder, "evaluate.py", "ball.nrrd", "ball.nrrd").stdout == "1: Dice 1.00\n"


@pytest.mark.slow
def test_a_ball_is_outlined_from_a_seed(folder):
    printed = run(folder, "seeds.py", "scans/ct.nrrd", CENTRE).stdout
    diameter, heterogeneity = map(
        float, re.fullmatch(r"1: ([\d.]+) mm, heterogeneity ([\d.]+) on average\n", printed).groups()
    )
    assert diameter == pytest.approx(14, abs=2)
    assert 0 < heterogeneity < 1


@pytest.mark.slow
def test_a_ct_is_segmented_and_its_results_are_written(folder):
    printed = run(folder, "segment.py", "scans/ct.nrrd", "results").stdout
    assert "labels: " in printed
    assert {"labels.nrrd", "nodules.csv", "report.html"} <= {path.name for path in (folder / "results").iterdir()}


@pytest.mark.slow
def test_a_folder_becomes_one_table_and_a_broken_scan_is_named(folder):
    (folder / "scans" / "broken.nrrd").write_text("no image")
    ended = run(folder, "folder.py", "scans", "table.csv")
    assert "broken.nrrd" in ended.stderr
    with (folder / "table.csv").open(newline="", encoding="utf-8") as file:
        assert next(csv.reader(file)) == ["scan", "nodule", "status", "diameter_mm", "mean_hu"]
