"""What a person sees of a training: the bar, TensorBoard without a gap after a kill, pictures, and the best weights."""

from __future__ import annotations

import io
import logging
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from detector_data import a_short_training, some_data
from lnhg.training.checkpoint import read_checkpoint
from lnhg.training.detector_samples import Sample
from lnhg.training.detector_training import DetectorTraining
from lnhg.training.generator_config import PATCHES, GeneratorConfig, variant
from lnhg.training.generator_training import GeneratorTraining
from lnhg.training.monitor import Monitor
from lnhg.training.pictures import box_pictures, picture_grid
from training_data import PLACES, log_rows

_SMALL = replace(variant(PATCHES, "l-mse"), width=2, patch=12, batch=2, steps=6, background=0.0)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _training(folder: Path, config: GeneratorConfig = _SMALL) -> GeneratorTraining:
    return GeneratorTraining(config, folder, PLACES, [], None)


def test_a_terminal_shows_steps_the_time_left_and_the_dice_and_a_file_a_line_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in (_Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", file)
        shown = {"mse": "mse", "select_dice": "select Dice"}
        with Monitor(tmp_path, ("step", "mse"), shown, 10, 10, 30, minutes=5.0) as monitor:
            monitor.mark(15, {"select_dice": 0.8125})
            monitor.note(20, 20, {"mse": 0.25})
        shown = file.getvalue()
        assert all(text in shown for text in ("20/30 steps", " left, mse 0.25, select Dice 0.812"))
        assert file.isatty() or (shown.count("\n") == 1 and "\r" not in shown)


def test_tensorboard_shows_every_step_once_after_a_kill_and_a_picture_every_epoch(tmp_path: Path) -> None:
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    killed = _training(tmp_path)

    def pull_the_plug(_: object) -> float:
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        killed.run(save_every=2, validate_every=4, validate=pull_the_plug)  # in step 4; the checkpoint is of step 2
    _training(tmp_path).run()
    board = accumulators.EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert [event.step for event in board.Scalars("mse")] == [1, 2, 3, 4, 5, 6]
    logged = [float(row["mse"]) for row in log_rows(tmp_path)]
    assert [event.value for event in board.Scalars("mse")] == pytest.approx(logged, rel=1e-5)
    (tag,) = board.Tags()["images"]
    assert [event.step for event in board.Images(tag)] == [2, 4, 6]  # four nodules, batch of two


def test_tensorboard_shows_losses_sensitivity_and_boxes_of_the_detector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.setattr("lnhg.training.detector_training.EPOCH", 4)  # two steps of two samples
    training = DetectorTraining(a_short_training(), tmp_path, some_data())
    training.run(lambda detector: {1.0: 0.25})
    board = accumulators.EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert [event.step for event in board.Scalars("loss_objectness")] == [1, 2, 3, 4, 5]
    assert [(event.step, event.value) for event in board.Scalars("select_sensitivity")] == [(3, 0.25), (5, 0.25)]
    (tag,) = board.Tags()["images"]
    assert [event.step for event in board.Images(tag)] == [2, 4]


def test_a_picture_shows_true_boxes_in_green_and_sure_finds_in_red() -> None:
    samples = [Sample(torch.full((3, 64, 64), 0.2), torch.tensor([[10.0, 10, 20, 20]])) for _ in range(2)]
    boxes = torch.tensor([[30.0, 30, 40, 40], [45, 45, 50, 50]])
    found = [{"boxes": boxes, "scores": torch.tensor([0.9, 0.1])}, {"boxes": boxes[:0], "scores": torch.zeros(0)}]
    first, second = np.split(box_pictures(samples, found)[:, 2:-2], [66], axis=1)
    assert ((first == (0, 255, 0)).all(-1).sum(), (first == (255, 0, 0)).all(-1).sum()) == (40, 40)
    assert ((second == (0, 255, 0)).all(-1).sum(), (second == (255, 0, 0)).all(-1).sum()) == (40, 0)


def test_without_tensorboard_the_training_says_so_once_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with caplog.at_level(logging.WARNING):
        _training(tmp_path).run()
    assert caplog.text.count("TensorBoard is not installed") == 1
    assert len(log_rows(tmp_path)) == 6 and not (tmp_path / "tensorboard").exists()


def test_a_picture_shows_ct_target_gx_and_the_map_in_colour_where_there_is_nodule() -> None:
    o = torch.full((2, 1, 3, 64, 64), 0.2)
    r, g = torch.zeros_like(o), torch.zeros_like(o)
    r[..., 20:40, 20:40] = 1
    g[..., 20:40, 20:40] = torch.linspace(0.6, 1, 20)
    picture = picture_grid(o, r, g)
    assert picture.shape == (2 * 128, 4 * 128, 3) and picture.dtype == np.uint8
    coloured = (picture != picture[..., :1]).any(-1)
    assert not coloured[:, : 3 * 128].any() and coloured[:128, 3 * 128 :].sum() == 40 * 40
    assert picture[60, 128 + 60, 0] == 255 and picture[0, 128, 0] == 0


def test_the_weights_of_the_best_validation_are_kept_over_a_second_start(tmp_path: Path) -> None:
    config = replace(_SMALL, steps=4)
    dices = iter([0.3, 0.5])
    training = _training(tmp_path, config)
    weights = []

    def validate(generator: torch.nn.Module) -> float:
        weights.append({name: value.clone() for name, value in generator.state_dict().items()})
        return next(dices)

    training.run(validate_every=2, validate=validate)
    best = read_checkpoint(tmp_path / "best.pt")
    assert best["step"] == 4 and best["select_dice"] == 0.5
    assert all(torch.equal(best["generator"][name], value) for name, value in weights[1].items())
    assert read_checkpoint(tmp_path / "last.pt")["best_dice"] == 0.5
    again = _training(tmp_path, config)
    again._judge(0.4)
    assert read_checkpoint(tmp_path / "best.pt")["select_dice"] == 0.5
