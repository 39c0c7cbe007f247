"""Training in several processes: the same as in one, and only the first of them writes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from detector_data import a_short_training, losses_of, some_data
from lnhg.data.splits import list_of
from lnhg.networks.detector import build_detector
from lnhg.networks.discriminator import Discriminator
from lnhg.networks.generator import Generator
from lnhg.training.checkpoint import read_checkpoint
from lnhg.training.detector_samples import make_sample
from lnhg.training.detector_training import seed_of_step
from lnhg.training.generator_config import PATCHES, GeneratorConfig, changed, learning_rate
from lnhg.training.generator_samples import cutout_places
from lnhg.training.losses import adversarial_loss, balanced, discriminator_loss, gradients, mse_loss
from lnhg.training.processes import Processes
from lnhg.training.steps import Samples
from training_data import BALLS, PLACES, ROOT, command, environment, kill_after, log_rows, write_data

_CHANGES = [
    "width=2",
    "discriminator_width=2",
    "patch=12",
    "batch=4",
    "vgg=0",
    "critic_steps=2",
    "background=0",
    "steps=4",
    "warm_up=2",
]


def _one_process_with_both_halves(config: GeneratorConfig) -> tuple[list[dict[str, float]], Generator, Discriminator]:
    """The two half-batches of each step one after the other, their gradients averaged; batch norm sees one half at a
    time.
    """
    torch.manual_seed(config.seed)
    generator = Generator(config.width, config.last_slope).train()
    critic = Discriminator((3, config.patch, config.patch), config.discriminator_width)
    adam, critic_adam = (torch.optim.Adam(n.parameters(), betas=(0.5, 0.9)) for n in (generator, critic))
    places = cutout_places([cutout for cutout in BALLS if list_of(cutout.patient) == "train"], "binary")
    halves = [Samples(config, places, [], Processes(rank, 2)) for rank in (0, 1)]
    log = []
    for step in range(config.steps):
        for group in (*adam.param_groups, *critic_adam.param_groups):
            group["lr"] = learning_rate(config, step)
        for turn in range(config.critic_steps):
            critic_adam.zero_grad()
            losses = []
            for half in halves:
                o, r = half.batch(step, turn)
                with torch.no_grad():
                    g = generator(o)
                losses.append(discriminator_loss(critic, r, g, half.between(step, turn), config.penalty) / 2)
                losses[-1].backward()
            critic_adam.step()
        adam.zero_grad()
        row = {"critic": sum(float(loss.detach()) for loss in losses), "mse": 0.0, "adversarial": 0.0}
        pulls = []
        for half in halves:
            o, r = half.batch(step, config.critic_steps)
            g = generator(o)
            terms = {"mse": mse_loss(g, r) / 2, "adversarial": config.adversarial * adversarial_loss(critic(g)) / 2}
            pulls.append((g, gradients(terms, g)))
            for name, term in terms.items():
                row[name] += float(term.detach())
        both = {name: torch.cat([pull[name] for _, pull in pulls]).norm().item() for name in pulls[0][1]}
        for g, pull in pulls:
            g.backward(balanced(pull, both, {"mse": config.mse, "adversarial": config.adversarial}))
        adam.step()
        log.append(row)
    return log, generator, critic


def _before_a_norm(name: str) -> bool:
    """A bias that batch norm takes away again: its gradient is rounding alone, and Adam makes steps of that."""
    return (
        name.endswith(".bias") and name.partition(".")[0].endswith("convolutions") and name != "deconvolutions.3.bias"
    )


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
def test_two_processes_train_as_one_that_runs_both_half_batches(tmp_path: Path, one_thread: None) -> None:
    write_data(tmp_path / "data", BALLS)
    words = ["train", "generator", "--data", tmp_path / "data", "--output", tmp_path / "run", "--threads", 1]
    words += [word for change in _CHANGES for word in ("--set", change)]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*launcher, *command(*words)[1:]], env=environment(), check=True, timeout=600)

    log, generator, critic = _one_process_with_both_halves(changed(PATCHES, _CHANGES))
    rows = log_rows(tmp_path / "run")
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"]
    for row, expected in zip(rows, log, strict=True):
        assert {name: float(row[name]) for name in expected} == pytest.approx(expected, rel=1e-4, abs=1e-6)
    saved = read_checkpoint(tmp_path / "run" / "last.pt")
    assert saved["processes"] == 2
    for network, name in ((generator, "generator"), (critic, "discriminator")):
        for key, value in network.named_parameters():
            if network is generator and _before_a_norm(key):
                continue
            torch.testing.assert_close(saved[name][key], value.detach(), rtol=1e-4, atol=1e-5)
    assert len(list((tmp_path / "run" / "tensorboard").glob("events.*"))) == 1


_DETECTOR = """
import sys
from pathlib import Path
from lnhg.training.detector_training import DetectorTraining
from lnhg.training.processes import joined
from detector_data import a_short_training, some_data
with joined("cpu") as processes:
    training = DetectorTraining(a_short_training(), Path(sys.argv[1]), some_data(), None, processes)
    training.run(lambda detector: {1.0: 0.5})
"""


def _detector_training(folder: Path, run: Path, *launcher: str) -> subprocess.Popen[bytes]:
    """A short training of the detector in a process of its own, or in those of `launcher`."""
    script = folder / "train.py"
    script.write_text(_DETECTOR)
    there = environment()
    there["PYTHONPATH"] += os.pathsep + str(ROOT / "Testing")
    return subprocess.Popen([sys.executable, *launcher, str(script), str(run)], env=there)


@pytest.mark.slow
def test_a_detector_training_that_is_killed_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    for run in ("straight", "killed"):
        process = _detector_training(tmp_path, tmp_path / run)
        if run == "killed":
            kill_after(process, tmp_path / run / "log.csv", 2)
            process = _detector_training(tmp_path, tmp_path / run)
        assert process.wait(timeout=600) == 0
    straight, killed = (losses_of(tmp_path / run) for run in ("straight", "killed"))
    assert killed == straight and len(straight) == 5
    one, other = (read_checkpoint(tmp_path / run / "phase-2.pt")["model"] for run in ("straight", "killed"))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_two_processes_train_the_detector_on_both_halves_of_each_batch(tmp_path: Path, one_thread: None) -> None:
    run = tmp_path / "run"
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    assert _detector_training(tmp_path, run, *launcher).wait(timeout=600) == 0

    config, data = a_short_training(), some_data()
    torch.manual_seed(config.seed)
    detector = build_detector(config.architecture).train()
    halves = []
    for rank in (0, 1):
        sample = make_sample(data, config.sampling, config.seed, rank)
        torch.manual_seed(seed_of_step(config.seed, 0, rank))
        halves.append(detector([sample.image], [sample.target]))
    rows = log_rows(run)
    assert [(row["step"], row["phase"]) for row in rows] == [("1", "1"), ("2", "1"), ("3", "1"), ("4", "2"), ("5", "2")]
    for name, loss in halves[0].items():
        assert float(rows[0][name]) == pytest.approx(float((loss + halves[1][name]).detach()) / 2, rel=1e-3, abs=1e-5)
    assert read_checkpoint(run / "checkpoint.pt")["record"]["steps_by_phase"] == [3, 2]
    assert len(list((run / "tensorboard").glob("events.*"))) == 1


def test_a_process_alone_keeps_its_figures() -> None:
    alone = Processes()
    assert alone.first and alone.average({"mse": 2.0}) == {"mse": 2.0} and alone.as_first_says(3.0) == 3.0
    assert alone.share(PLACES) == PLACES and alone.from_first(lambda: "made") == "made"
