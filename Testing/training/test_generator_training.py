"""Training of the generator: it learns, survives a kill, stops when it breaks, and its samples are what they should
be.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lnhg.core.ct import CT
from lnhg.errors import InputError, LNHGError
from lnhg.networks.building import load_into, tensors_of
from lnhg.networks.generator import build_generator
from lnhg.networks.grid import NetworkGrid
from lnhg.networks.perceptual import PerceptualFeatures
from lnhg.networks.weights import load_weights
from lnhg.training.checkpoint import read_checkpoint
from lnhg.training.generator_config import PAPER, PATCHES, GeneratorConfig, changed, learning_rate, variant
from lnhg.training.generator_run import train_generator
from lnhg.training.generator_samples import Augmentation, Place, batch, cutout_places, scan_places
from lnhg.training.generator_training import GeneratorTraining
from lnhg.training.packing import pack
from lnhg.training.processes import Processes
from lnhg.training.run_log import append_row
from lnhg.training.steps import Samples
from training_data import BALLS, PLACES, ROOT, ball, command, environment, kill_after, log_rows, write_data

_VGG = ROOT.parent / "shared" / "data" / "imagenet" / "vgg19_features_uint8.safetensors"

_SMALL = replace(
    PATCHES,
    width=2,
    discriminator_width=2,
    patch=12,
    batch=2,
    steps=8,
    vgg=0.0,
    critic_steps=2,
    background=0.0,
    warm_up=3,
)
_MSE_ONLY = variant(_SMALL, "l-mse")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in one order, so that runs can be compared bit by bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _training(folder: Path, config: GeneratorConfig = _SMALL, **changes: object) -> GeneratorTraining:
    return GeneratorTraining(config, folder, PLACES, [], **{"features": None, **changes})  # type: ignore[arg-type]


def _assert_same_state(one: object, other: object) -> None:
    if isinstance(one, dict):
        assert isinstance(other, dict) and one.keys() == other.keys()
        for key in one:
            _assert_same_state(one[key], other[key])
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)  # type: ignore[arg-type]
    elif isinstance(one, list):
        assert isinstance(other, list) and len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            _assert_same_state(a, b)
    else:
        assert one == other


# Learning -------------------------------------------------------------------------------------------------------------


def test_a_short_training_learns_to_show_the_nodule(tmp_path: Path) -> None:
    config = replace(_MSE_ONLY, width=2, steps=60, learning_rate=3e-2, batch=4)
    training = _training(tmp_path, config)
    training.run()
    losses = [float(row["mse"]) for row in log_rows(tmp_path)]
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < 0.4 * np.mean(losses[:5])
    o, r = batch(PLACES, config.grid, 16, Augmentation(), [0, 1, 2, 3], (99,))
    with torch.no_grad():
        g = training.generator.eval()(o)
    assert g[r > 0.5].mean() > 0.5 > 0.3 > g[r == 0].mean()


def test_all_losses_train_both_networks(tmp_path: Path) -> None:
    class Halves(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images[..., :6] / 2

    training = _training(tmp_path, replace(_SMALL, vgg=1.0, steps=1), features=Halves())
    assert training.discriminator is not None
    before = [p.clone() for network in (training.generator, training.discriminator) for p in network.parameters()]
    training.run()
    after = [p for network in (training.generator, training.discriminator) for p in network.parameters()]
    moved = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert sum(moved) >= len(moved) - 1  # the last bias of a critic cancels out of eq. 1
    (row,) = log_rows(tmp_path)
    assert all(row[name] for name in ("mse", "vgg", "adversarial", "critic", "brightest"))


def test_balanced_terms_are_trained_with_and_their_gradients_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = _training(tmp_path, replace(_SMALL, balanced=True, vgg=0.0, steps=2))
    before = [p.clone() for p in training.generator.parameters()]
    training.run()
    assert any(not torch.equal(a, b) for a, b in zip(before, training.generator.parameters(), strict=True))
    for row in log_rows(tmp_path):
        assert float(row["mse_gradient"]) > 0 and float(row["adversarial_gradient"]) > 0
    monkeypatch.setattr("lnhg.training.generator_training.check_precision", lambda *_: None)  # as on a GPU
    with pytest.raises(InputError, match="leave the range of fp16; choose --precision bf16"):
        _training(tmp_path / "half", replace(_SMALL, balanced=True, precision="fp16"))


def test_the_variants_use_one_loss_each_and_no_discriminator(tmp_path: Path) -> None:
    hybrid = variant(PAPER, "lnhg")
    assert (hybrid.mse, hybrid.vgg, hybrid.adversarial) == (1.0, 1.0, 0.1)
    mse, vgg = variant(PAPER, "l-mse"), variant(PAPER, "l-vgg")
    assert (mse.mse, mse.vgg, mse.adversarial) == (1.0, 0.0, 0.0)
    assert (vgg.mse, vgg.vgg, vgg.adversarial) == (0.0, 1.0, 0.0)
    with pytest.raises(InputError, match=r"variant 'l-dice' is not known; choose one of lnhg, l-mse, l-vgg, unet"):
        variant(PAPER, "l-dice")

    training = _training(tmp_path, replace(_MSE_ONLY, steps=1))
    training.run()
    assert training.discriminator is None
    (row,) = log_rows(tmp_path)
    assert row["mse"] and not row["vgg"] and not row["adversarial"] and not row["critic"]


def test_the_perceptual_loss_without_its_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LNHGError, match="needs VGG-19 weights"):
        _training(tmp_path, replace(_SMALL, vgg=1.0))


def test_the_paper_preset_is_the_papers() -> None:
    assert (PAPER.width, PAPER.discriminator_width, PAPER.patch, PAPER.batch) == (32, 32, 256, 12)
    assert (PAPER.learning_rate, PAPER.final_rate, PAPER.critic_steps, PAPER.penalty) == (1e-4, 1e-7, 5, 10.0)
    assert (PAPER.grid.rule, PAPER.target, PAPER.last_slope) == ("paper", "binary", 0.0)


@pytest.mark.slow
def test_the_paper_preset_makes_one_step_at_batch_one_with_one_critic_step(tmp_path: Path) -> None:
    """Width 32, the discriminator, and VGG-19 where its file is. Of the five critic steps one is made, on patches half
    as wide: each costs tens of seconds and gigabytes on a CPU."""
    features = PerceptualFeatures(_VGG) if _VGG.is_file() else None
    config = replace(PAPER, patch=128, batch=1, steps=1, critic_steps=1, vgg=1.0 if features else 0.0)
    torch.set_num_threads(os.cpu_count() or 1)
    _, j, i = np.indices((3, 512, 512))
    ball = (j - 200) ** 2 + (i - 300) ** 2 < 12**2
    place = Place(
        np.where(ball, 0, -850).astype(np.int16), ball.astype(np.float32), (0.7, 0.7, 2.0), (1,), (255.5, 255.5)
    )
    training = GeneratorTraining(config, tmp_path, [place], [], features)
    before = training.generator.deconvolutions[3].weight.detach().clone()
    training.run()
    (row,) = log_rows(tmp_path)
    assert all(math.isfinite(float(row[name])) for name in ("mse", "adversarial", "critic"))
    assert bool(row["vgg"]) == (features is not None)
    assert not torch.equal(training.generator.deconvolutions[3].weight, before)


def test_the_rate_rises_to_its_top_and_falls_on_a_cosine() -> None:
    config = replace(_SMALL, steps=110, warm_up=10, learning_rate=1.0, final_rate=0.2)
    assert learning_rate(config, 0) == pytest.approx(0.1)
    assert learning_rate(config, 10) == pytest.approx(1.0)
    assert learning_rate(config, 60) == pytest.approx(0.6)
    assert learning_rate(config, 110) == pytest.approx(0.2)


# Cut off and gone on with
# -------------------------------------------------------------------------------------------------


_CHANGES = [
    "width=2",
    "discriminator_width=2",
    "patch=12",
    "batch=2",
    "vgg=0",
    "critic_steps=1",
    "background=0",
    "steps=70",
]
_VALIDATE = 30


def _start(data: Path, output: Path) -> subprocess.Popen[bytes]:
    words = ["train", "generator", "--data", data, "--output", output, "--threads", 1, "--validate-every", _VALIDATE]
    return subprocess.Popen(
        command(*words, *(word for change in _CHANGES for word in ("--set", change))), env=environment()
    )


@pytest.mark.slow
def test_a_killed_training_started_again_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    data, killed, whole = tmp_path / "data", tmp_path / "killed", tmp_path / "whole"
    write_data(data, BALLS)
    kill_after(_start(data, killed), killed / "log.csv", 57)  # the first checkpoint is written after step 50
    steps = read_checkpoint(killed / "last.pt")["step"]
    assert 50 <= steps < 70 and len(log_rows(killed)) != steps

    for folder in (killed, whole):
        train_generator(changed(PATCHES, _CHANGES), data, folder, validate_every=_VALIDATE)

    states = [read_checkpoint(folder / "last.pt") for folder in (killed, whole)]
    for state in states:
        del state["minutes"]
        data = state.pop("record")["data"]  # the killed one has its command too
        assert data == {"LIDC-IDRI": {"patients": 3, "nodules": 3, "scans": 0}}
    _assert_same_state(*states)
    one, other = log_rows(killed), log_rows(whole)
    for row in one + other:
        del row["minutes"]
    assert one == other and [int(row["step"]) for row in one] == list(range(1, 71))
    assert [int(row["step"]) for row in one if row["select_dice"]] == [30, 60]


def test_a_training_killed_before_its_first_checkpoint_logs_no_step_twice(tmp_path: Path) -> None:
    training = _training(tmp_path)
    for step in (1, 2, 3):
        append_row(training.folder / "log.csv", {"step": step, "mse": 1.0})  # steps that a killed run never saved
    _training(tmp_path).run()
    assert [int(row["step"]) for row in log_rows(tmp_path)] == list(range(1, 9))


def test_minutes_end_a_run_and_the_next_goes_on(tmp_path: Path) -> None:
    _training(tmp_path).run(minutes=0)
    assert read_checkpoint(tmp_path / "last.pt")["step"] == 0
    _training(tmp_path).run()
    assert read_checkpoint(tmp_path / "last.pt")["step"] == 8


def test_checkpoints_of_chosen_steps_stay_and_a_run_goes_on_from_one(tmp_path: Path) -> None:
    _training(tmp_path / "run", _MSE_ONLY).run(keep=(3, 6))
    assert sorted(path.name for path in (tmp_path / "run").glob("step-*.pt")) == ["step-3.pt", "step-6.pt"]
    (tmp_path / "again").mkdir()
    shutil.copy(tmp_path / "run" / "step-3.pt", tmp_path / "again" / "last.pt")
    again = _training(tmp_path / "again", _MSE_ONLY)
    assert again.step == 3
    again.run()
    ends = [read_checkpoint(tmp_path / name / "last.pt")["generator"] for name in ("run", "again")]
    _assert_same_state(*ends)


def test_a_folder_with_another_configuration_is_refused(tmp_path: Path) -> None:
    _training(tmp_path).run(minutes=0)
    with pytest.raises(LNHGError, match=r"holds a training with another configuration .*; choose a new folder"):
        _training(tmp_path, replace(_SMALL, batch=3))


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    _training(tmp_path).run(minutes=0)
    path = tmp_path / "last.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(LNHGError, match=r"The checkpoint last\.pt cannot be read"):
        _training(tmp_path)


def test_a_new_run_can_start_from_the_generator_of_another(tmp_path: Path) -> None:
    first = _training(tmp_path / "first")
    first.run()
    second = _training(tmp_path / "second", replace(_SMALL, seed=7), start=tmp_path / "first" / "last.pt")
    _assert_same_state(dict(second.generator.state_dict()), dict(first.generator.state_dict()))
    assert second.step == 0
    with pytest.raises(LNHGError, match=r"last\.pt holds no generator that width 3 is a multiple of"):
        _training(tmp_path / "third", replace(_SMALL, width=3), start=tmp_path / "first" / "last.pt")


def test_a_new_run_can_start_from_packed_weights_and_tells_how_they_were_made(tmp_path: Path) -> None:
    first = _training(tmp_path / "first", record={"commands": ["lnhg train generator --output first"]})
    first.run()
    pack([tmp_path / "first" / "last.pt"], tmp_path / "weights", 0.4)
    now = {"commands": ["lnhg train generator --output second"]}
    second = _training(tmp_path / "second", replace(_SMALL, seed=7), start=tmp_path / "weights", record=now)
    packed = tensors_of(load_weights(tmp_path / "weights", "generator"))
    _assert_same_state(dict(second.generator.state_dict()), packed)
    assert second.record["commands"] == ["lnhg train generator --output first", "lnhg train generator --output second"]
    assert second.step == 0 and "steps_done" not in second.record


# Breaking -------------------------------------------------------------------------------------------------------------


def _broken_run(training: GeneratorTraining, reason: str) -> None:
    """The run must stop with a sentence and leave its last checkpoint as it was."""
    before = training.checkpoint.read_bytes()
    with pytest.raises(LNHGError, match=reason):
        training.run(save_every=1)
    assert training.checkpoint.read_bytes() == before


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    training = _training(tmp_path)
    training.run(minutes=0)
    training.samples.nodules = [replace(place, target=np.full_like(place.target, np.nan)) for place in PLACES]
    _broken_run(training, r"no longer finite at step 0; lower the learning rate")


def test_a_gradient_that_is_not_finite_is_never_saved(tmp_path: Path) -> None:
    class Roots(nn.Module):
        """The root of 0: its value is finite, its gradient is not."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return (images - images.detach()).abs().sqrt()

    training = _training(tmp_path, replace(_MSE_ONLY, vgg=1.0), features=Roots())
    training.run(minutes=0)
    _broken_run(training, r"no longer finite at step 1")


def test_an_output_that_has_died_stops_the_run_and_is_not_saved(tmp_path: Path) -> None:
    training = _training(tmp_path, replace(_MSE_ONLY, last_slope=0.0, steps=60))
    training.run(minutes=0)
    with torch.no_grad():
        training.generator.deconvolutions[3].weight.zero_()
        training.generator.deconvolutions[3].bias.fill_(-5)
    _broken_run(training, r"G\(x\) is zero everywhere, the last ReLU has died")
    assert training.step == 24


# Configuration and packing
# ----------------------------------------------------------------------------------------------


def test_values_of_a_configuration_are_changed_by_name() -> None:
    config = changed(PATCHES, ["width=8", "learning_rate=1e-3", "target=share", "pixel_mm=0.8"])
    assert (config.width, config.learning_rate, config.target) == (8, 1e-3, "share")
    assert config.grid == replace(PATCHES.grid, pixel_mm=0.8)
    assert PATCHES.balanced and not changed(PATCHES, ["balanced=no"]).balanced
    assert changed(PATCHES, ["slice_mm=1.5"]).grid == replace(PATCHES.grid, slice_mm=1.5)
    assert changed(PATCHES, ["slice_mm=0"]).grid == replace(PATCHES.grid, slice_mm=None), "0: neighbouring slices"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("widht=8", "no value 'widht'"),
        ("as_dict=8", "no value 'as_dict'"),
        ("grid=8", "no value 'grid'"),
        ("width=wide", "'wide' is no value for width"),
        ("balanced=0", "'0' is no value for balanced"),
        ("pixel_mm=", "'' is no value for pixel_mm"),
        ("slice_mm=thin", "'thin' is no value for slice_mm"),
        ("slice_mm=-2", "cannot lie -2.0 mm apart"),
        ("slice_mm=nan", "cannot lie nan mm apart"),
        ("slice_mm=inf", "cannot lie inf mm apart"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(change: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        changed(PATCHES, [change])


def test_a_packed_checkpoint_is_the_trained_generator(tmp_path: Path) -> None:
    training = _training(tmp_path / "run")
    training.run()
    pack([tmp_path / "run" / "last.pt"], tmp_path / "models", 0.4)
    weights = load_weights(tmp_path / "models", "generator")
    assert weights.manifest["thresholds"] == {"g": 0.4} and weights.manifest["training"]["steps_done"] == 8
    assert NetworkGrid.from_dict(weights.manifest["grid"]) == _SMALL.grid
    packed = load_into(weights, build_generator(weights.manifest["architecture"]))
    o, _ = batch(PLACES, _SMALL.grid, 12, Augmentation(), [0, 1], (3,))
    torch.testing.assert_close(packed(o), training.generator.eval()(o), rtol=5e-3, atol=5e-3)


# Samples
# ----------------------------------------------------------------------------------------------------------------

_STILL = Augmentation(rotation=0, translation=0, scale=1, hu_shift=0, hu_scale=0, noise=0, sharpness=0)


def test_samples_follow_from_the_seed_and_the_step_alone() -> None:
    one, other = (Samples(_SMALL, PLACES, [], Processes()) for _ in range(2))
    other.batch(5, 0)
    torch.rand(3)
    torch.testing.assert_close(one.batch(5, 1), other.batch(5, 1), rtol=0, atol=0)
    assert not torch.equal(one.batch(5, 1)[0], other.batch(6, 1)[0])
    assert not torch.equal(one.batch(5, 0)[0], one.batch(5, 1)[0])


def test_processes_together_draw_the_batch_of_one() -> None:
    config = replace(_SMALL, batch=6)
    whole = Samples(config, PLACES, [], Processes())
    shares = [Samples(config, PLACES, [], Processes(rank, 3)) for rank in range(3)]
    for number in range(2):
        torch.testing.assert_close(
            torch.stack([share.batch(4, 1)[number] for share in shares], 1).flatten(0, 1), whole.batch(4, 1)[number]
        )
    torch.testing.assert_close(
        torch.stack([share.between(4, 1) for share in shares], 1).flatten(0, 1), whole.between(4, 1)
    )
    with pytest.raises(InputError, match="4 processes cannot share a batch of 6"):
        Samples(config, PLACES, [], Processes(0, 4)).batch(0, 0)


def test_a_batch_draws_its_share_from_whole_scans() -> None:
    dark = Place(
        np.full((3, 40, 40), -1000, np.int16), np.zeros((3, 40, 40), np.float32), (0.7, 0.7, 2.0), (1,), (20, 20)
    )
    _, r = Samples(replace(_SMALL, batch=8, background=0.25), PLACES, [dark], Processes()).batch(0, 0)
    assert (r.amax((1, 2, 3, 4)) == 0).tolist() == [False] * 6 + [True] * 2


def test_a_batch_draws_its_share_from_whole_scans_seen_from_afar() -> None:
    dark = Place(np.full((3, 40, 40), -1000, np.int16), np.zeros((3, 40, 40), bool), (0.7, 0.7, 2.0), (1,), (20, 20))
    grey = replace(dark, hu=np.full((3, 40, 40), -300, np.int16), far=2.0)
    config = replace(_SMALL, batch=8, background=0.25, coarse=0.125)
    o, r = Samples(config, PLACES, [dark, grey], Processes()).batch(0, 0)
    assert (r.amax((1, 2, 3, 4)) == 0).tolist() == [False] * 5 + [True] * 3
    assert o[5:7].mean() < 0.1 < 0.4 < o[7].mean()


def test_a_place_seen_from_afar_is_what_inference_sees_on_wider_pixels() -> None:
    row, column = np.indices((90, 90))
    hu = np.stack([-900 + 5 * row + 4 * column] * 3).astype(np.int16)
    place = Place(hu, np.zeros(hu.shape, bool), (0.5, 0.5, 2.0), (1,), (44.5, 44.5), far=2.5)
    o, _ = batch([place], NetworkGrid("fixed", 1.0), 10, _STILL, [0], (4,))
    seen = NetworkGrid("fixed", 1.0).coarser(2.5, (90, 90), (0.5, 0.5)).sample(hu[:1], (0.5, 0.5))
    seen = torch.from_numpy(seen)[0, 4:14, 4:14]
    assert any(torch.allclose(o[0, 0, 1, 1:-1, 1:-1], view[1:-1, 1:-1], atol=1e-3) for view in (seen, seen.flip(0)))


def test_a_batch_draws_its_share_from_sub_solid_nodules() -> None:
    full = Place(
        np.full((3, 40, 40), -600, np.int16), np.ones((3, 40, 40), np.float32), (0.7, 0.7, 2.0), (1,), (20, 20), True
    )
    _, r = Samples(replace(_SMALL, batch=8, subsolid=0.5), [*PLACES * 50, full], [], Processes()).batch(0, 0)
    assert (r.amin((1, 2, 3, 4)) > 0.99).tolist() == [False] * 4 + [True] * 4
    _, r = Samples(replace(_SMALL, batch=8, subsolid=0.5), PLACES, [], Processes()).batch(0, 0)
    assert (r.amin((1, 2, 3, 4)) == 0).all(), "where no nodule is known to be sub-solid, all are drawn alike"


def test_samples_have_the_networks_shape_and_range() -> None:
    o, r = batch(PLACES, _SMALL.grid, 12, Augmentation(), [0, 3, 3], (1, 2))
    assert o.shape == r.shape == (3, 1, 3, 12, 12) and o.dtype == r.dtype == torch.float32
    assert 0 <= o.min() < 0.3 < 0.6 < o.max() <= 1 and r.min() == 0 and 0.9 < r.max() <= 1


def test_a_sample_that_is_not_varied_is_what_inference_sees() -> None:
    place = replace(PLACES[0], centre=(15.5, 15.5), spacing=(0.5, 0.5, 2.0), slices=(3,))
    o, r = batch([place], NetworkGrid("fixed", 1.0), 10, _STILL, [0], (4,))
    grid = NetworkGrid("fixed", 1.0)
    seen = torch.from_numpy(grid.sample(place.hu[2:5], (0.5, 0.5)))[:, 3:13, 3:13]
    views = [seen.flip(axes) for axes in ((), (0,), (2,), (0, 2))]  # slices and columns may be turned round
    inner = np.s_[:, 1:-1, 1:-1]
    assert any(torch.allclose(o[0, 0][inner], view[inner], atol=1e-5) for view in views)
    assert r[0, 0, 1, 4:6, 4:6].min() > 0.9


def test_image_and_target_are_varied_alike() -> None:
    places = [replace(place, hu=(place.target * 1400 - 1000).astype(np.int16)) for place in PLACES]
    varied = replace(_STILL, rotation=30, translation=0.2, scale=1.2)
    o, r = batch(places, _SMALL.grid, 12, varied, [0, 1, 2, 3], (8,))
    torch.testing.assert_close(o, r, atol=1e-5, rtol=0)
    assert not torch.allclose(r, batch(places, _SMALL.grid, 12, _STILL, [0, 1, 2, 3], (8,))[1], atol=0.1)


def test_the_end_slices_of_a_place_are_repeated() -> None:
    hu = np.repeat(np.array([-900, -600, -300], np.int16), 32 * 32).reshape(3, 32, 32)
    place = Place(hu, np.zeros(hu.shape, np.float32), (1.0, 1.0, 2.0), (2,), (16, 16))
    o, _ = batch([place], NetworkGrid("fixed", 1.0), 8, _STILL, [0], (0,))
    levels = sorted(round(float(level), 4) for level in o[0, 0, :, 4, 4])
    assert levels == [round(400 / 1400, 4), 0.5, 0.5]


@pytest.mark.parametrize(("slice_mm", "apart"), [(None, 1), (1.0, 1), (2.0, 1.6), (2.5, 2), (4.0, 3.2)])
def test_the_slices_of_a_sample_lie_as_far_apart_as_those_that_inference_sees(
    slice_mm: float | None, apart: float
) -> None:
    heights = np.arange(9)
    hu = np.repeat((100 * heights - 1000).astype(np.int16), 32 * 32).reshape(9, 32, 32)
    place = Place(hu, (heights[:, None, None] > 4) * np.ones(hu.shape, bool), (1.0, 1.0, 1.25), (4,), (16, 16))
    grid = NetworkGrid("fixed", 1.0, slice_mm=slice_mm)
    o, r = batch([place], grid, 8, _STILL, [0], (1,))
    seen, inside = ((volume[0, 0, :, 4, 4]).sort().values for volume in (o, r))
    torch.testing.assert_close(seen * 14, torch.tensor([4.0 - apart, 4, 4 + apart]))
    assert inside.tolist() == [0, 0, 1]
    assert grid.slices_apart(1.25) == apart


def test_half_of_the_samples_show_means_of_up_to_so_many_mm_of_slices_and_of_their_targets() -> None:
    heights = np.arange(12)
    hu = np.repeat((100 * heights - 1000).astype(np.int16), 32 * 32).reshape(12, 32, 32)
    place = Place(hu, (heights[:, None, None] < 5) * np.ones(hu.shape, bool), (1.0, 1.0, 1.25), (6,), (16, 16))
    o, r = batch([place], NetworkGrid("fixed", 1.0), 8, replace(_STILL, thickness=5.0), [0] * 200, (1,))
    below, at, above = (o[:, 0, :, 4, 4] * 14).sort(1).values.T  # in slices
    thick = (above - at).round().int()
    torch.testing.assert_close(at - below, above - at, atol=1e-3, rtol=0)
    assert sorted(set(thick.tolist())) == [1, 2, 3, 4] and 70 <= int((thick == 1).sum()) <= 130
    # Slices 0 to 3, 4 to 7 and 8 to 11, of which the nodule fills the first five.
    shares = r[thick == 4, 0, :, 4, 4].sort(1).values
    torch.testing.assert_close(shares, torch.tensor([0, 0.25, 1]).expand_as(shares))


def test_the_targets_are_the_consensus_the_readers_share_and_the_masked_intensity() -> None:
    cutout = ball(1)
    binary, share, intensity = (cutout_places([cutout], kind)[0].target for kind in ("binary", "share", "intensity"))
    assert set(np.unique(binary)) == {0, 1} and set(np.unique(share)) == {0, 0.5, 1}
    np.testing.assert_array_equal(binary > 0, share >= 0.5)
    np.testing.assert_allclose(intensity[binary > 0], (cutout.ct.hu[binary > 0] + 1000) / 1400, atol=1e-6)
    assert not intensity[binary == 0].any()
    with pytest.raises(InputError, match=r"target 'mask' is not known; choose binary, share or intensity"):
        cutout_places([cutout], "mask")


def test_places_of_a_whole_scan_lie_by_the_lungs_and_show_no_doubtful_nodule() -> None:
    lungs = np.zeros((9, 120, 120), np.uint8)
    lungs[2:7, 40:80, 20:100] = 1
    doubtful, consensus = np.zeros(lungs.shape, bool), np.zeros(lungs.shape, bool)
    doubtful[5, 50, 25], consensus[3, 60, 60] = True, True
    columns = np.broadcast_to(np.arange(120, dtype=np.int16), lungs.shape)
    places = scan_places(CT(columns, np.diag([-1.0, -1, 2, 1])), lungs, consensus, doubtful, 50, 0, NetworkGrid())
    assert len(places) == 50
    for place in places:
        column = place.hu[0, 0, 0] + place.centre[1]
        assert 8 <= column <= 112
        assert place.hu.max() - place.hu.min() < 80 and len(place.hu) <= 3 and place.slices[0] < len(place.hu)
    assert any(place.target.any() for place in places) and not all(place.target.any() for place in places)
    roomy = scan_places(
        CT(columns, np.diag([-1.0, -1, 2, 1])), lungs, consensus, doubtful, 50, 0, NetworkGrid(), thickness=4.0
    )
    assert max(len(place.hu) for place in roomy) == 7 and all(place.hu.max() - place.hu.min() < 80 for place in roomy)
    spread = NetworkGrid(slice_mm=6.0)
    apart = scan_places(CT(columns, np.diag([-1.0, -1, 2, 1])), lungs, consensus, doubtful, 50, 0, spread)
    assert max(len(place.hu) for place in apart) == 7 and all(0 <= place.slices[0] < len(place.hu) for place in apart)
    coarse = scan_places(
        CT(columns, np.diag([-1.0, -1, 2, 1])), lungs, consensus, doubtful, 50, 0, NetworkGrid(), coarse=True
    )
    assert (
        len(coarse) == 50
        and 1.3 <= min(place.far for place in coarse) < 2
        and 3 < max(place.far for place in coarse) <= 4
    )
    assert max(place.hu.shape[1] for place in coarse) > 80 and all(place.far == 1 for place in places)
