"""Packing: the model card says what the weights are and where they come from, and the log lies beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lnhg.cli import main
from lnhg.networks.architecture import DETECTOR_GRID, DetectorArchitecture
from lnhg.networks.building import tensors_of
from lnhg.networks.detector import build_detector
from lnhg.networks.generator import Generator
from lnhg.networks.weights import load_weights
from lnhg.training.checkpoint import read_checkpoint, write_checkpoint
from lnhg.training.generator_config import PATCHES, variant
from lnhg.training.generator_training import GeneratorTraining
from lnhg.training.record import record_of
from training_data import PLACES

_SMALL = replace(variant(PATCHES, "l-mse"), width=2, patch=12, batch=2, steps=2, background=0.0)
_RECORD = {"commands": ["lnhg train generator --data DATA"], "data": {"LIDC-IDRI": {"nodules": 3, "scans": 1}}}
_TABLE = "| nodules | n | mean Dice |\n|---|---|---|\n| all | 72 | 0.823 |"


def _run(folder: Path, record: dict | None = None, start: Path | None = None) -> Path:
    GeneratorTraining(_SMALL, folder, PLACES, [], None, start=start, record=record).run()
    return folder / "last.pt"


def test_the_card_of_a_generator_names_network_data_licence_schedule_command_and_figures(tmp_path: Path) -> None:
    checkpoint = _run(tmp_path / "run", _RECORD)
    (tmp_path / "report.md").write_text(_TABLE)
    words = [
        "weights",
        "pack",
        checkpoint,
        "--output",
        tmp_path / "models",
        "--threshold",
        "0.4",
        "--report",
        tmp_path / "report.md",
    ]
    assert main([str(word) for word in words]) == 0
    card = (tmp_path / "models" / "generator.md").read_text()
    parameters = sum(parameter.numel() for parameter in Generator(2).parameters())
    for text in (
        "**Research use only. Not a medical device; not for diagnosis or treatment.**",
        f"a first layer of 2 filters (the paper: 32), {parameters:,} parameters",
        "HU -1000..400 scaled to 0..1, 1.2 mm pixels",
        "1 mean squared error |",
        "It was trained by mean squared error alone, without the critic (WGAN-GP) of the paper.",
        "LIDC-IDRI (CC BY 3.0): 3 nodules and 1 whole scans of the `train` patients",
        "2 of 2 steps, batch 2, patches of 12 pixels",
        "lnhg train generator --data DATA\n",
        "--threshold 0.4\n",
        "`generator-training.csv` is the log",
        _TABLE,
        "## Limits",
    ):
        assert text in card, text
    log = tmp_path / "run" / "log.csv"
    assert (tmp_path / "models" / "generator-training.csv").read_text() == log.read_text()
    assert main(["weights", "verify", str(tmp_path / "models")]) == 0


def test_of_several_checkpoints_the_mean_of_the_weights_is_packed(tmp_path: Path) -> None:
    paths = [_run(tmp_path / "first"), _run(tmp_path / "second", start=tmp_path / "first" / "last.pt")]
    assert main(["weights", "pack", *map(str, paths), "--output", str(tmp_path / "models")]) == 0
    packed = load_weights(tmp_path / "models", "generator")
    assert packed.manifest["mean_of"] == ["first/last", "second/last"]
    first, second = (read_checkpoint(path)["generator"] for path in paths)
    for name, tensor in tensors_of(packed).items():
        if tensor.is_floating_point():
            torch.testing.assert_close(
                tensor, (first[name] + second[name]) / 2, atol=1e-3, rtol=1e-3
            )  # stored in half precision


def test_networks_of_different_kinds_or_widths_have_no_mean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    narrow = _run(tmp_path / "narrow")
    GeneratorTraining(replace(_SMALL, width=3), tmp_path / "wide", PLACES, [], None).run()
    words = ["weights", "pack", narrow, tmp_path / "wide" / "last.pt", "--output", tmp_path / "models"]
    assert main([str(word) for word in words]) == 2
    assert "different networks" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_weights_that_were_trained_further_tell_all_commands(tmp_path: Path) -> None:
    first = _run(tmp_path / "first", {"commands": ["first"]})
    second = _run(tmp_path / "second", {"commands": ["second"]}, start=first)
    assert read_checkpoint(second)["record"]["commands"] == ["first", "second"]
    _run(tmp_path / "second", {"commands": ["second"]})
    assert read_checkpoint(second)["record"]["commands"] == ["first", "second"]


def test_a_checkpoint_of_before_names_records_and_pictures_still_packs_and_serves_as_a_start(tmp_path: Path) -> None:
    state = read_checkpoint(_run(tmp_path / "run"))
    old = {name: state[name] for name in ("step", "generator", "optimiser")}
    old["config"] = {name: value for name, value in state["config"].items() if name not in ("network", "precision")}
    (tmp_path / "old").mkdir()
    write_checkpoint(tmp_path / "old" / "last.pt", old)
    assert main(["weights", "pack", str(tmp_path / "old" / "last.pt"), "--output", str(tmp_path / "models")]) == 0
    assert load_weights(tmp_path / "models", "generator").manifest["architecture"] == {"name": "lnhg", "width": 2}
    card = (tmp_path / "models" / "generator.md").read_text()
    assert (
        "holds no command of its training" in card
        and "Not measured yet" in card
        and "to be named, with its licences" in card
    )
    GeneratorTraining(_SMALL, tmp_path / "next", PLACES, [], None, start=tmp_path / "old" / "last.pt")
    assert GeneratorTraining(_SMALL, tmp_path / "old", PLACES, [], None).step == 2  # and it is gone on with


def _detector() -> dict[str, Any]:
    """A detector's checkpoint of before checkpoints held a record."""
    architecture = DetectorArchitecture(pyramid_width=16, head_width=32)
    return {
        "architecture": architecture.as_dict(),
        "grid": DETECTOR_GRID.as_dict(),
        "model": build_detector(architecture).state_dict(),
    }


def test_a_detector_of_which_nothing_is_recorded_gets_a_card_too(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "phase-1.pt", _detector())
    (tmp_path / "log.csv").write_text("step,phase\n1,1\n")
    assert (
        main(
            [
                "weights",
                "pack",
                str(tmp_path / "phase-1.pt"),
                "--output",
                str(tmp_path / "models"),
                "--threshold",
                "0.8",
            ]
        )
        == 0
    )
    card = (tmp_path / "models" / "detector.md").read_text()
    for text in (
        "# Detector weights",
        "Research use only",
        "Faster R-CNN on mobilenet_v2",
        "0.7 mm pixels",
        "--threshold 0.8\n",
    ):
        assert text in card
    assert (tmp_path / "models" / "detector-training.csv").read_text() == "step,phase\n1,1\n"


def test_the_card_of_a_detector_names_data_start_schedule_command_and_what_was_found_on_select(tmp_path: Path) -> None:
    people = ["LIDC-IDRI-0001", "LIDC-IDRI-0001", "LIDC-IDRI-0003"]
    record = record_of("lnhg train detector --data DATA", people, ["LIDC-IDRI-0005", "LungFCP-01-0001"])
    made = {
        "steps_by_phase": [537, 864],
        "batch": 8,
        "crop_pixels": 128,
        "optimiser": "adamw",
        "learning_rate": 0.001,
        "seed": 1,
        "start": "features.safetensors",
        "select_sensitivity": {"1": 0.861, "2": 0.9722},
    }
    write_checkpoint(tmp_path / "best.pt", {**_detector(), "record": {**record, **made}})
    assert main(["weights", "pack", str(tmp_path / "best.pt"), "--output", str(tmp_path / "models")]) == 0
    card = (tmp_path / "models" / "detector.md").read_text()
    for text in (
        "LIDC-IDRI (CC BY 3.0): 3 nodules and 1 whole scans (3 patients)",
        "Lung-Fused-CT-Pathology (CC BY 3.0): 0 nodules and 1 whole scans (1 patients) of the `train` patients",
        "| start | `features.safetensors`",
        "537 + 864 steps, false positives mined in between; batch 8, crops of 128 pixels, adamw, ",
        "largest learning rate 0.001, seed 1 |",
        "sensitivity 0.861 at 1, 0.972 at 2 false positives per scan",
        "lnhg train detector --data DATA\n",
    ):
        assert text in card, text


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["pack", "{run}", "--output", "{}/models", "--report", "{}/none.md"], "There is no report"),
        (["verify", "{}/empty"], "There are no weights in"),
    ],
)
def test_a_missing_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], reason: str
) -> None:
    assert main(["weights", *(word.format(tmp_path, run=tmp_path / "last.pt") for word in words)]) == 2
    assert reason in capsys.readouterr().err
