"""Mixed precision: refused where the device cannot do it, and harmless where it can."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from lnhg.errors import InputError
from lnhg.training.generator_config import PATCHES
from lnhg.training.generator_training import GeneratorTraining
from lnhg.training.precision import Learner, check_precision
from lnhg.training.processes import Processes
from training_data import PLACES, log_rows

_SMALL = replace(
    PATCHES, width=2, discriminator_width=2, patch=12, batch=2, steps=2, vgg=0.0, critic_steps=1, background=0.0
)


def test_a_precision_that_the_device_cannot_do_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="device cpu cannot train in fp16; choose --precision float32"):
        GeneratorTraining(replace(_SMALL, precision="fp16"), tmp_path, PLACES, [], None)
    with pytest.raises(InputError, match="'half' is not known; choose one of float32, bf16, fp16"):
        check_precision("half", torch.device("cpu"))
    check_precision("bf16", torch.device("cpu"))


def test_bf16_gives_nearly_the_losses_of_float32_and_weights_in_float32(tmp_path: Path) -> None:
    rows = {}
    for precision in ("float32", "bf16"):
        training = GeneratorTraining(replace(_SMALL, precision=precision), tmp_path / precision, PLACES, [], None)
        training.run()
        rows[precision] = log_rows(tmp_path / precision)
    assert {value.dtype for value in training.generator.parameters()} == {torch.float32}
    for one, other in zip(rows["float32"], rows["bf16"], strict=True):
        assert one["mse"] != other["mse"]
        for name in ("mse", "critic"):
            assert float(one[name]) == pytest.approx(float(other[name]), rel=0.05)


def test_in_fp16_an_overflow_is_left_out_and_the_factor_is_kept_for_the_next_start() -> None:
    def learner() -> Learner:
        torch.manual_seed(0)
        network = nn.Linear(2, 1)
        return Learner(network, torch.optim.SGD(network.parameters()), "fp16", Processes())

    one = learner()
    before = one.network.weight.detach().clone()
    factor = one.scaler.get_scale()
    one.learn(one.network(torch.ones(1, 2)).sum() * math.inf, rate=1.0)
    assert torch.equal(one.network.weight, before) and one.scaler.get_scale() == factor / 2
    one.learn(one.network(torch.ones(1, 2)).sum(), rate=1.0)
    torch.testing.assert_close(one.network.weight, before - 1)
    other = learner()
    other.scaler.load_state_dict(one.scaler.state_dict())
    assert other.scaler.get_scale() == factor / 2
