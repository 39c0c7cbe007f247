"""The whole way of a training on sample chests: train, kill, go on, pack, verify, segment."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy import ndimage

from lnhg.cli import main
from lnhg.core.ct import CT
from lnhg.core.nrrd_file import write_nrrd
from lnhg.data.cutouts import Cutout
from lnhg.evaluation.measures import match_nodules
from lnhg.evaluation.seeded import centre_of
from lnhg.phantom import Phantom, chest_phantom
from lnhg.training.checkpoint import read_checkpoint
from training_data import command, environment, kill_after, log_rows, write_data

_SHAPE = (75, 180, 180)  # voxels of 2 x 2 x 4 mm
_MARGIN = 2, 16, 16  # voxels around a nodule's centre in its cut-out
_CHANGES = (
    "width=4",
    "patch=20",
    "batch=8",
    "background=0.25",
    "learning_rate=0.01",
    "warm_up=20",
    "pixel_mm=2",
    "steps=120",
)


def _cutouts(chest: Phantom, patient: str) -> Iterator[Cutout]:
    """Each nodule in its surroundings, outlined by three readers who agree."""
    for label, box in enumerate(ndimage.find_objects(chest.labels), 1):
        centre = [(part.start + part.stop) // 2 for part in box]
        window = tuple(slice(max(0, c - m - 1), c + m + 2) for c, m in zip(centre, _MARGIN, strict=True))
        grid = chest.ct.ijk_to_ras.copy()
        grid[:3, 3] = chest.ct.to_ras(np.array([part.start for part in window[::-1]]))
        readers = 7 * (chest.labels[window] == label).astype(np.uint8)
        yield Cutout(f"{patient}_{label}", patient, CT(chest.ct.hu[window], grid), readers, 3, {})


def _write_scan(chest: Phantom, folder: Path) -> None:
    """A whole scan with its outlines, as `lnhg train` reads it."""
    folder.mkdir(parents=True)
    for name, values in (
        ("ct", chest.ct.hu),
        ("consensus", chest.labels),
        ("readers", 7 * (chest.labels > 0).astype(np.uint8)),
    ):
        write_nrrd(folder / f"{name}.nrrd", values, chest.ct.ijk_to_ras)
    rows = [f"{label},3" for label in range(1, len(chest.kinds) + 1)]
    (folder / "nodules.csv").write_text("\n".join(["label,readers", *rows]) + "\n")


@pytest.fixture
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
def test_a_training_is_killed_goes_on_and_its_packed_weights_segment_another_chest(
    tmp_path: Path, threads_as_before: None, capsys: pytest.CaptureFixture[str]
) -> None:
    trained_on, other = chest_phantom(1, _SHAPE), chest_phantom(2, _SHAPE)
    data, run, models = tmp_path / "data", tmp_path / "run", tmp_path / "models"
    write_data(data, [*_cutouts(trained_on, "LIDC-IDRI-9003"), *_cutouts(other, "LIDC-IDRI-9002")])
    _write_scan(trained_on, data / "lidc_scans" / "LIDC-IDRI-9003")

    train = ["train", "generator", "--data", str(data), "--output", str(run), "--variant", "l-mse", "--threads", "1"]
    train += ["--validate-every", "60", *(word for change in _CHANGES for word in ("--set", change))]
    kill_after(subprocess.Popen(command(*train), env=environment()), run / "log.csv", 60)
    assert 50 <= read_checkpoint(run / "last.pt")["step"] < 120
    assert main(train) == 0

    rows = log_rows(run)
    assert [int(row["step"]) for row in rows] == list(range(1, 121))  # no gap, and no step twice
    minutes = [float(row["minutes"]) for row in rows]
    assert minutes == sorted(minutes)
    losses = [float(row["mse"]) for row in rows]
    assert np.mean(losses[-20:]) < 0.5 * np.mean(losses[:20])
    best = max(float(row["select_dice"] or 0) for row in rows)
    assert read_checkpoint(run / "best.pt")["select_dice"] == pytest.approx(best, rel=1e-4) and best > 0.2

    assert main(["weights", "pack", str(run / "best.pt"), "--output", str(models), "--threshold", "0.4"]) == 0
    capsys.readouterr()
    assert main(["weights", "verify", str(models)]) == 0
    assert "generator.safetensors is whole" in capsys.readouterr().out
    card = (models / "generator.md").read_text()
    assert (
        "Research use only" in card
        and "--output run --preset patches --variant l-mse" in card
        and str(tmp_path) not in card
    )

    write_nrrd(tmp_path / "ct.nrrd", other.ct.hu, other.ct.ijk_to_ras)
    label = int(np.argmax(np.bincount(other.labels.ravel())[1:])) + 1
    seed = ",".join(f"{x:.1f}" for x in other.ct.to_ras(np.array(centre_of(other.labels == label))))
    words = ["segment", str(tmp_path / "ct.nrrd"), "--output", str(tmp_path / "out"), "--weights", str(models)]
    assert main([*words, "--seeds-only", "--seed", seed, "--threads", "1"]) == 0
    found = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "labels.nrrd")))
    (match,) = match_nodules(np.where(other.labels == label, 1, 0), found)
    assert match.dice > 0.3
