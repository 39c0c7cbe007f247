"""Checkpoints of another version: training goes on from one that commit ad37e7f wrote."""

from __future__ import annotations

import logging
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

import made_before
from lnhg.errors import LNHGError
from lnhg.networks.grid import NetworkGrid
from lnhg.training.checkpoint import check_same_configuration, known_values, read_checkpoint, write_checkpoint
from lnhg.training.generator_config import GeneratorConfig
from lnhg.training.generator_training import GeneratorTraining
from training_data import PLACES

#: What it was trained by.
CONFIG = GeneratorConfig(
    width=1,
    patch=12,
    batch=2,
    steps=4,
    learning_rate=1e-3,
    warm_up=3,
    vgg=0.0,
    adversarial=0.0,
    last_slope=0.01,
    averaging=0.9,
    grid=NetworkGrid("fixed", 1.2),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the old run's folder, which stopped after 2 of 4 steps."""
    shutil.copytree(made_before.TRAINING, tmp_path / "run")
    return tmp_path / "run"


def change(folder: Path, **values: object) -> None:
    state = read_checkpoint(folder / "last.pt")
    write_checkpoint(folder / "last.pt", {**state, "config": {**state["config"], **values}})


def test_a_training_of_the_first_version_goes_on_to_its_end(folder):
    before = read_checkpoint(folder / "last.pt")
    training = GeneratorTraining(CONFIG, folder, PLACES, [], None)
    assert training.step == before["step"] == 2
    training.run()
    after = read_checkpoint(folder / "last.pt")
    assert after["step"] == 4
    assert any(not torch.equal(value, after["generator"][name]) for name, value in before["generator"].items())


def test_a_value_that_was_added_since_had_its_default_and_one_that_went_is_named(folder, caplog):
    state = read_checkpoint(folder / "last.pt")
    assert "cubes" not in state["config"]
    state["config"]["dropout"] = 0.25
    write_checkpoint(folder / "last.pt", state)
    with caplog.at_level(logging.WARNING):
        assert GeneratorTraining(CONFIG, folder, PLACES, [], None).step == 2
    assert "does not know; they are left out: dropout 0.25" in caplog.text


def test_the_values_in_which_two_configurations_differ_are_named(folder):
    change(folder, batch=3, target="share")
    with pytest.raises(
        LNHGError, match=r"another configuration \(batch 3, now 2; target share, now binary\); choose a new"
    ):
        GeneratorTraining(CONFIG, folder, PLACES, [], None)


def test_a_value_added_since_counts_with_its_default(tmp_path):
    then, defaults = asdict(CONFIG), asdict(GeneratorConfig())
    del then["cubes"]
    check_same_configuration(then, asdict(CONFIG), defaults, tmp_path)
    with pytest.raises(LNHGError, match=r"\(cubes 0\.0, now 0\.2\)"):
        check_same_configuration(then, asdict(replace(CONFIG, cubes=0.2)), defaults, tmp_path)


def test_what_a_state_lacks_gets_its_default_and_what_is_not_known_is_named(caplog):
    with caplog.at_level(logging.WARNING):
        assert known_values({"step": 5, "luck": 7}, {"step": 0, "best": -1.0}, "state") == {"step": 5, "best": -1.0}
    assert "The checkpoint's state has values that this version does not know; they are left out: luck 7" in caplog.text
