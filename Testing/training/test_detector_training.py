"""Training of the detector: phases, mining, early stop, checkpoints, precision."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from detector_data import a_short_training, losses_of, some_data
from lnhg.errors import InputError, LNHGError
from lnhg.networks.architecture import DetectorArchitecture
from lnhg.networks.building import load_into
from lnhg.networks.detector import FindsInArrays, NoduleDetector, build_detector
from lnhg.networks.weights import load_weights
from lnhg.training import detector_training
from lnhg.training.checkpoint import read_checkpoint, write_checkpoint
from lnhg.training.detector_config import DetectorConfig
from lnhg.training.detector_data import DetectorData
from lnhg.training.detector_samples import make_sample
from lnhg.training.detector_training import DetectorTraining, Validate
from lnhg.training.mining import mine
from lnhg.training.packing import pack
from training_data import cut_off_after


@pytest.fixture(scope="module")
def data() -> DetectorData:
    return some_data()


def train_on(
    config: DetectorConfig,
    folder: Path,
    data: DetectorData,
    validate: Validate | None = None,
    command: str | None = None,
) -> NoduleDetector:
    """The network after a training in this folder."""
    training = DetectorTraining(config, folder, data, command)
    training.run(validate)
    return training.detector


def test_training_that_was_cut_off_goes_on_as_if_nothing_had_happened(
    data: DetectorData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_on(a_short_training(), tmp_path / "straight", data)

    monkeypatch.setattr(detector_training, "make_sample", cut_off_after(7, make_sample))  # in the fourth step
    with pytest.raises(KeyboardInterrupt):
        train_on(a_short_training(), tmp_path / "cut", data)
    monkeypatch.undo()
    assert len(losses_of(tmp_path / "cut")) == 3
    train_on(a_short_training(), tmp_path / "cut", data)
    assert losses_of(tmp_path / "cut") == losses_of(tmp_path / "straight")
    assert [row["phase"] for row in losses_of(tmp_path / "cut")] == ["1", "1", "1", "2", "2"]


def test_a_training_that_starts_from_another_mines_first_and_learns_at_the_lower_rate(
    data: DetectorData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = train_on(a_short_training(), tmp_path / "before", data, command="lnhg train detector --output before")
    mined_with = []

    def noted(detector: FindsInArrays, data: DetectorData) -> dict[str, np.ndarray]:
        mined_with.append({name: value.clone() for name, value in detector.state_dict().items()})
        return mine(detector, data)

    monkeypatch.setattr(detector_training, "mine", noted)
    config = replace(a_short_training(), start=tmp_path / "before" / "phase-2.pt")
    train_on(config, tmp_path / "after", data, command="lnhg train detector --output after")

    assert all(torch.equal(mined_with[0][name], value) for name, value in before.state_dict().items())
    rates = [[float(row["rate"]) for row in losses_of(tmp_path / folder)] for folder in ("before", "after")]
    assert rates[1][0] == pytest.approx(rates[0][0] * config.later_rate, rel=1e-4)
    record = read_checkpoint(tmp_path / "after" / "phase-2.pt")["record"]
    assert record["commands"] == ["lnhg train detector --output before", "lnhg train detector --output after"]
    assert record["start"] == "phase-2.pt"


def test_a_training_does_not_start_from_a_checkpoint_of_another_network(data: DetectorData, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "other.pt", {"model": {"weight": torch.zeros(2)}})
    config = replace(a_short_training(), start=tmp_path / "other.pt")
    with pytest.raises(LNHGError, match=r"other\.pt holds no detector of this architecture; start from another"):
        DetectorTraining(config, tmp_path / "run", data)


def test_a_training_in_bf16_learns_and_its_weights_stay_float32(data: DetectorData, tmp_path: Path) -> None:
    trained = train_on(a_short_training(steps=(2,), precision="bf16"), tmp_path / "bf16", data)
    exact = train_on(a_short_training(steps=(2,)), tmp_path / "float32", data)
    assert all(value.dtype == torch.float32 for value in trained.parameters())
    for row, other in zip(losses_of(tmp_path / "bf16"), losses_of(tmp_path / "float32"), strict=True):
        assert float(row["loss_objectness"]) == pytest.approx(float(other["loss_objectness"]), rel=0.05)
    assert any(not torch.equal(one, two) for one, two in zip(trained.parameters(), exact.parameters(), strict=True))
    with pytest.raises(InputError, match="cannot train in fp16"):
        train_on(a_short_training(precision="fp16"), tmp_path / "fp16", data)


def test_training_stops_when_nothing_is_gained_and_keeps_the_best_phase(data: DetectorData, tmp_path: Path) -> None:
    sensitivities = iter([0.5, 0.8, 0.8, 0.7, 0.9])
    config = a_short_training(steps=(1, 1, 1, 1, 1), patience=2)
    train_on(config, tmp_path, data, lambda detector: {1.0: next(sensitivities)}, "lnhg train detector")
    with (tmp_path / "froc.csv").open(newline="") as file:
        assert [float(row["mean"]) for row in csv.DictReader(file)] == [0.5, 0.8, 0.8, 0.7]
    best, second = (read_checkpoint(tmp_path / name)["model"] for name in ("best.pt", "phase-2.pt"))
    assert all(torch.equal(best[name], second[name]) for name in second)
    record = read_checkpoint(tmp_path / "best.pt")["record"]
    assert record["commands"] == ["lnhg train detector"]
    assert record["steps_by_phase"] == [1, 1]
    assert record["select_sensitivity"] == {"1": 0.8}
    unmeasured = read_checkpoint(tmp_path / "checkpoint.pt")["record"]
    assert unmeasured["steps_by_phase"] == [1, 1, 1, 1] and not unmeasured["select_sensitivity"]


def test_a_training_of_before_checkpoints_held_a_record_goes_on(data: DetectorData, tmp_path: Path) -> None:
    train_on(a_short_training(steps=(1, 1), patience=0), tmp_path, data, lambda detector: {1.0: 0.5})
    saved = read_checkpoint(tmp_path / "checkpoint.pt")
    del saved["record"], saved["state"]["record"], saved["state"]["steps_by_phase"]
    write_checkpoint(tmp_path / "checkpoint.pt", saved)
    train_on(a_short_training(steps=(1, 1)), tmp_path, data, command="lnhg train detector")
    assert read_checkpoint(tmp_path / "phase-2.pt")["record"]["commands"] == ["lnhg train detector"]


class FindsTheSameEverywhere(FindsInArrays, torch.nn.Module):
    """A detector that finds a box on the nodule of the second host and one away from it, in every slice."""

    architecture = DetectorArchitecture()

    def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        boxes = torch.tensor([[60.0, 60, 70, 70], [100, 20, 110, 30]])  # the lungs' window begins at pixel 0
        return [{"boxes": boxes, "scores": torch.tensor([0.8, 0.8])} for _ in images]


def test_false_positives_are_mined_away_from_nodules(data: DetectorData) -> None:
    with_nodule = DetectorData(data.training_scans[1:], data.volumes, data.grid, data.architecture)
    mined = mine(FindsTheSameEverywhere(), with_nodule)["host"]
    assert {int(k) for k in mined[:, 0]} == set(range(8))
    assert np.unique(mined[:, 1:], axis=0).tolist() == [[24, 104]]


def test_packed_weights_hold_what_is_needed_to_build_the_detector(data: DetectorData, tmp_path: Path) -> None:
    trained = train_on(a_short_training(steps=(1,)), tmp_path / "run", data)
    pack([tmp_path / "run" / "checkpoint.pt"], tmp_path / "packed", 0.4)
    weights = load_weights(tmp_path / "packed", "detector")
    assert weights.manifest["thresholds"] == {"score": 0.4}
    again = load_into(weights, build_detector(DetectorArchitecture.from_dict(weights.manifest["architecture"])))
    image = torch.rand(3, 64, 64)
    with torch.inference_mode():
        (one,), (other,) = trained([image]), again([image])
    torch.testing.assert_close(one["scores"][:5], other["scores"][:5], atol=0.02, rtol=0)
