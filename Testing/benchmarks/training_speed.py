"""Speed of the training on this device: `python Testing/benchmarks/training_speed.py [--vgg FILE]`.

Samples a second by precision and memory format (forward and backward pass of the generator), then steps a second of the
paper's loop read plainly against this project's, both in float32, then samples a second of the detector. Medians; CPU
rows are in seconds of CPU time, so that other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from lnhg.networks.detector import build_detector
from lnhg.networks.discriminator import Discriminator
from lnhg.networks.generator import Generator
from lnhg.networks.perceptual import PerceptualFeatures
from lnhg.training.detector_config import DetectorConfig
from lnhg.training.generator_config import PAPER, PATCHES, GeneratorConfig
from lnhg.training.generator_samples import Place
from lnhg.training.generator_training import GeneratorTraining
from lnhg.training.losses import mse_loss
from lnhg.training.precision import PRECISIONS, computing_in
from lnhg.training.processes import Processes

_FORMATS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last_3d}


def seconds(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median time of `work`, after one run that is not counted."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    times = []
    for _ in range(repeats + 1):
        began = clock()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(clock() - began)
    return statistics.median(times[1:])


def precisions_of(device: torch.device) -> list[str]:
    """What a device can train in; a CPU has no fp16."""
    return [precision for precision in PRECISIONS if precision != "fp16" or device.type != "cpu"]


def precision_rows(config: GeneratorConfig, width: int, device: torch.device, repeats: int) -> Iterator[str]:
    """Samples a second of the generator alone."""
    o = torch.rand(config.batch, 1, 3, config.patch, config.patch, device=device)
    r = torch.rand_like(o)
    for precision in precisions_of(device):
        for name, memory_format in _FORMATS.items():
            generator = Generator(width, config.last_slope).to(device, memory_format=memory_format)

            def learn(generator: Generator = generator, precision: str = precision) -> None:
                generator.zero_grad()
                with computing_in(precision, device):
                    loss = mse_loss(generator(o).float(), r)
                loss.backward()

            speed = config.batch / seconds(learn, device, repeats)
            yield f"| {device.type} | {width} | {config.patch} | {precision} | {name} | {speed:.1f} |"


class PlainLoop:
    """The paper's step as its text reads: every critic step runs the generator with its graph, and VGG both times with
    it.
    """

    def __init__(self, training: GeneratorTraining) -> None:
        config, device = training.config, training.processes.device
        self.config, self.samples, self.features = config, training.samples, training.features
        self.generator = Generator(config.width, config.last_slope).to(device)
        self.critic = Discriminator((3, config.patch, config.patch), config.discriminator_width).to(device)
        networks = (self.generator, self.critic)
        self.adam, self.critic_adam = (torch.optim.Adam(n.parameters(), 1e-4, betas=(0.5, 0.9)) for n in networks)

    def step(self) -> None:
        for turn in range(self.config.critic_steps):
            o, r = self.samples.batch(0, turn)
            g = self.generator(o)
            share = torch.rand(len(o), 1, 1, 1, 1, device=o.device)
            between = (share * r + (1 - share) * g).detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
            penalty = ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
            loss = self.critic(g).mean() - self.critic(r).mean() + self.config.penalty * penalty
            self.critic_adam.zero_grad()
            loss.backward()
            self.critic_adam.step()
        o, r = self.samples.batch(0, self.config.critic_steps)
        g = self.generator(o)
        loss = mse_loss(g, r) - self.config.adversarial * self.critic(g).mean()
        if self.features is not None:
            loss = loss + mse_loss(self.features(g), self.features(r))
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()


def loop_row(config: GeneratorConfig, vgg: Path | None, device: torch.device, repeats: int) -> str:
    """Seconds of one step of both loops on the same samples."""
    hu = np.full((3, 96, 96), -850, np.int16)
    target = np.zeros(hu.shape, np.float32)
    hu[:, 40:56, 40:56], target[:, 40:56, 40:56] = 0, 1
    place = Place(hu, target, (1.2, 1.2, 2.0), (1,), (48.0, 48.0))
    features = PerceptualFeatures(vgg) if vgg else None
    config = replace(config, vgg=1.0 if vgg else 0.0, background=0.0)
    with tempfile.TemporaryDirectory() as folder:
        training = GeneratorTraining(config, Path(folder), [place], [], features, Processes(device=device))
        ours = seconds(training._train_step, device, repeats)
        plain = seconds(PlainLoop(training).step, device, repeats)
    losses = "MSE + VGG + critic" if vgg else "MSE + critic"
    size = f"{config.width} | {config.patch} | {config.batch} | {losses}"
    return f"| {device.type} | {size} | {plain:.2f} | {ours:.2f} | {plain / ours:.2f} |"


def detector_rows(config: DetectorConfig, device: torch.device, repeats: int) -> Iterator[str]:
    """Samples a second of the detector alone, forward and backward, with two nodules in each image."""
    detector = build_detector(config.architecture).to(device).train()
    size = config.sampling.size
    images = list(torch.rand(config.batch, 3, size, size, device=device))
    boxes = torch.tensor([[10.0, 10, 22, 22], [60, 50, 75, 70]], device=device)
    targets = [{"boxes": boxes, "labels": torch.ones(2, dtype=torch.int64, device=device)} for _ in images]
    for precision in precisions_of(device):

        def learn(precision: str = precision) -> None:
            detector.zero_grad()
            with computing_in(precision, device):
                loss = torch.stack(list(detector(images, targets).values())).sum()
            loss.backward()

        speed = config.batch / seconds(learn, device, repeats)
        yield f"| {device.type} | {config.architecture.backbone} | {size} | {precision} | {speed:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vgg", type=Path, help="local VGG-19 weights; without them the perceptual loss is left out")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--widths", type=int, nargs="+", default=[8, 16])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    gpu = torch.cuda.is_available()
    print(f"CPU: {platform.machine()}, one thread; GPU: {torch.cuda.get_device_name() if gpu else 'none'}\n")

    print("| device | width | patch | precision | memory format | samples a second |\n|---|---|---|---|---|---|")
    cpu = torch.device("cpu")
    for width in arguments.widths:
        for row in precision_rows(PATCHES, width, cpu, arguments.repeats):
            print(row, flush=True)
    if gpu:
        for row in precision_rows(PAPER, PAPER.width, torch.device("cuda"), arguments.repeats):
            print(row, flush=True)
    else:
        print(f"| cuda | {PAPER.width} | {PAPER.patch} | all | all | not measured |")

    print("\n| device | width | patch | batch | losses | plain loop, s a step | this project's, s a step | ratio |")
    print("|---" * 8 + "|")
    print(loop_row(PATCHES, arguments.vgg, cpu, arguments.repeats), flush=True)
    if gpu:
        print(loop_row(PAPER, arguments.vgg, torch.device("cuda"), arguments.repeats))
    else:
        print(f"| cuda | {PAPER.width} | {PAPER.patch} | {PAPER.batch} | | not measured | not measured | |")

    print("\n| device | backbone of the detector | crop | precision | samples a second |\n" + "|---" * 5 + "|")
    for row in detector_rows(DetectorConfig(), cpu, arguments.repeats):
        print(row, flush=True)
    if gpu:
        for row in detector_rows(DetectorConfig.paper(), torch.device("cuda"), arguments.repeats):
            print(row, flush=True)
    else:
        print("| cuda | resnet50 | 256 | all | not measured |")


if __name__ == "__main__":
    main()
