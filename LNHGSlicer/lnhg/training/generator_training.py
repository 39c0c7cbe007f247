"""Training of the generator branch: WGAN-GP with the hybrid loss of eq. 10."""

from __future__ import annotations

import csv
import itertools
import json
import logging
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..data.generator_samples import Augmentation, Place, batch
from ..errors import InputError, LNHGError
from ..grid import NetworkGrid
from ..networks.discriminator import Discriminator
from ..networks.generator import Generator, widened
from .checkpoint import read_checkpoint, write_checkpoint
from .losses import adversarial_loss, discriminator_loss, mse_loss, perceptual_loss

logger = logging.getLogger(__name__)

# The run stops when G(x) was zero everywhere for so many steps in a row: the last ReLU has died.
_DEAD_STEPS = 25


@dataclass(frozen=True)
class GeneratorConfig:
    """One training of the generator. The defaults are the paper's; `PATCHES` is for a CPU or a small GPU.

    Attributes:
        width, discriminator_width: filters of the first layer.
        patch: width of the square patch on the network grid, pixels (256: a whole slice).
        batch: triplets a step.
        steps: generator steps in all.
        learning_rate, final_rate: falls from one to the other on a cosine, after `warm_up` steps of linear rise.
        mse, vgg, adversarial: weights of the three terms of eq. 10; a term of weight 0 is not computed.
        penalty: weight of the gradient penalty in eq. 1.
        critic_steps: discriminator steps for each generator step.
        last_slope: slope of the last ReLU below zero in training (0: the paper's ReLU).
        target: R(x): `binary`, `share` or `intensity`.
        background: share of a batch drawn from places of whole scans instead of cut-outs.
        averaging: decay of the running mean of the generator's weights, which is validated and packed; 0: the last weights.
    """

    width: int = 32
    discriminator_width: int = 32
    patch: int = 256
    batch: int = 12
    steps: int = 160 * 400
    learning_rate: float = 1e-4
    final_rate: float = 1e-7
    warm_up: int = 0
    mse: float = 1.0
    vgg: float = 1.0
    adversarial: float = 0.1
    penalty: float = 10.0
    critic_steps: int = 5
    last_slope: float = 0.0
    target: str = "binary"
    background: float = 0.0
    averaging: float = 0.0
    grid: NetworkGrid = field(default_factory=lambda: NetworkGrid("paper", 1.4))
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For the run's folder and the manifest."""
        return {**asdict(self), "grid": self.grid.as_dict()}


PAPER = GeneratorConfig()

# Two cores without a GPU do a step of this in about a second. Measured: width 16 at a rate of 2e-3 was still near zero
# everywhere after 400 steps, width 8 at 1e-3 drew nodules by then. Grid: at equal time (8 minutes, width 8, 72 nodules of
# the select patients) 1.0 mm reached Dice 0.678 and 1.4 mm, about the paper's half resolution, 0.674; 1.0 mm was better on
# nodules under 6 mm (0.66 against 0.61), 1.4 mm on those over 10 mm (0.71 against 0.60). 1.2 mm lies between.
PATCHES = GeneratorConfig(
    width=8,
    discriminator_width=8,
    patch=28,
    batch=8,
    steps=2600,
    learning_rate=1e-3,
    final_rate=1e-5,
    warm_up=50,
    last_slope=0.01,
    background=0.125,
    grid=NetworkGrid("fixed", 1.2),
)

PRESETS = {"paper": PAPER, "patches": PATCHES}


VARIANTS: dict[str, dict[str, Any]] = {
    "lnhg": {},
    "l-mse": {"vgg": 0.0, "adversarial": 0.0},
    "l-vgg": {"mse": 0.0, "adversarial": 0.0},
}


def variant(config: GeneratorConfig, name: str) -> GeneratorConfig:
    """The paper's variants: `lnhg` (hybrid loss), `l-mse` and `l-vgg` (one loss only, no discriminator)."""
    if name not in VARIANTS:
        raise InputError(f"The variant {name!r} is not known; choose one of {', '.join(VARIANTS)}.")
    return replace(config, **VARIANTS[name])


def changed(config: GeneratorConfig, changes: Sequence[str]) -> GeneratorConfig:
    """The configuration with values replaced, each given as NAME=VALUE; `pixel_mm=1.4` sets a fixed network grid."""
    for change in changes:
        name, _, text = change.partition("=")
        if name != "pixel_mm" and (name not in asdict(config) or name == "grid"):
            raise InputError(f"The configuration has no value {name!r}; see GeneratorConfig for the names.")
        try:
            if name == "pixel_mm":
                config = replace(config, grid=NetworkGrid("fixed", float(text)))
            else:
                config = replace(config, **{name: type(getattr(config, name))(text)})
        except ValueError as error:
            raise InputError(f"{text!r} is no value for {name} of the configuration; give a number.") from error
    return config


class GeneratorTraining:
    """A run of training in its folder: it starts, or goes on from the folder's checkpoint.

    The samples of a step follow from the seed and the step's number alone, so the checkpoint need not hold their state.
    """

    def __init__(
        self,
        config: GeneratorConfig,
        folder: Path,
        nodules: Sequence[Place],
        background: Sequence[Place],
        features: torch.nn.Module | None,
        device: str = "cpu",
        start: Path | None = None,
    ) -> None:
        if config.vgg and features is None:
            raise LNHGError("The perceptual loss needs VGG-19 weights; give their file, or a preset without that loss.")
        torch.manual_seed(config.seed)
        self.config, self.folder, self.device = config, folder, torch.device(device)
        self.nodules, self.background = nodules, background
        self.features = features.to(self.device) if features is not None else None
        self.generator = Generator(config.width, config.last_slope).to(self.device)
        shape = (3, config.patch, config.patch)
        self.discriminator = Discriminator(shape, config.discriminator_width).to(self.device) if config.adversarial else None
        self.optimiser = _adam(self.generator, config)
        self.critic_optimiser = _adam(self.discriminator, config) if self.discriminator else None
        self.averaged = _averaged(self.generator, config.averaging)
        self.step = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.checkpoint = folder / "last.pt"
        if self.checkpoint.exists():
            self._resume(read_checkpoint(self.checkpoint))
        else:
            (folder / "config.json").write_text(json.dumps(config.as_dict(), indent=2))
            if start is not None:
                self._start_from(start)
        _drop_rows_after(folder / "log.csv", self.step)

    def run(
        self,
        *,
        minutes: float | None = None,
        save_every: int = 50,
        validate_every: int = 0,
        validate: Callable[[Generator], float] | None = None,
    ) -> None:
        """Train up to the configured steps, or until `minutes` have passed since this call; always ends with a checkpoint.

        Raises LNHGError when a loss is not finite or the output has died; the last checkpoint is then the last good one.
        """
        began = time.monotonic()
        dead = 0
        limit = math.inf if minutes is None else 60 * minutes
        while self.step < self.config.steps and time.monotonic() - began < limit:
            losses = self._train_step()
            if not all(math.isfinite(value) for value in losses.values()):
                raise self._not_finite()
            dead = dead + 1 if losses["brightest"] <= 0 else 0
            if dead >= _DEAD_STEPS:
                raise LNHGError("G(x) is zero everywhere, the last ReLU has died; lower the rate or set last_slope.")
            self.step += 1
            losses["minutes"] = (time.monotonic() - began) / 60
            if validate and validate_every and self.step % validate_every == 0:
                losses["select_dice"] = validate(self.trained_generator)
                logger.info("step %d: select Dice %.4f", self.step, losses["select_dice"])
            self._log(losses)
            if self.step % save_every == 0 and not dead:
                self._save()
        self._save()

    @property
    def trained_generator(self) -> Generator:
        """The generator that the run gives: the running mean where there is one."""
        if self.averaged is None:
            return self.generator
        return cast(Generator, self.averaged.module)

    def _train_step(self) -> dict[str, float]:
        config = self.config
        self._set_rate()
        self.generator.train()
        losses: dict[str, float] = {}
        if self.discriminator is not None:
            for turn in range(config.critic_steps):
                losses["critic"] = self._critic_step(turn)
        o, r = self._batch(config.critic_steps)
        g = self.generator(o)
        parts = self._parts(g, r)
        total = torch.stack(list(parts.values())).sum()
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        self.optimiser.step()
        if self.averaged is not None:
            self.averaged.update_parameters(self.generator)
        losses.update({name: float(part.detach()) for name, part in parts.items()})
        losses["brightest"] = float(g.detach().max())
        return losses

    def _parts(self, g: torch.Tensor, r: torch.Tensor) -> dict[str, torch.Tensor]:
        """The terms of eq. 10, each times its weight."""
        config = self.config
        parts: dict[str, torch.Tensor] = {}
        if config.mse:
            parts["mse"] = config.mse * mse_loss(g, r)
        if config.vgg and self.features is not None:
            parts["vgg"] = config.vgg * perceptual_loss(self.features, g, r)
        if self.discriminator is not None:
            parts["adversarial"] = config.adversarial * adversarial_loss(self.discriminator(g))
        return parts

    def _critic_step(self, turn: int) -> float:
        assert self.discriminator is not None and self.critic_optimiser is not None
        o, r = self._batch(turn)
        with torch.no_grad():
            g = self.generator(o)
        random = np.random.default_rng((self.config.seed, self.step, turn, 3))  # 1 and 2 draw the samples
        share = torch.from_numpy(random.random((len(r), 1, 1, 1, 1), np.float32)).to(self.device)
        loss = discriminator_loss(self.discriminator, r, g, share, self.config.penalty)
        self.critic_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.critic_optimiser.step()
        return float(loss.detach())

    def _batch(self, turn: int) -> tuple[torch.Tensor, torch.Tensor]:
        config = self.config
        random = np.random.default_rng((config.seed, self.step, turn))
        scans = round(config.batch * config.background) if self.background else 0
        parts = []
        for places, count, salt in ((self.nodules, config.batch - scans, 1), (self.background, scans, 2)):
            if count:
                picks = random.integers(len(places), size=count)
                seed = (config.seed, self.step, turn, salt)
                parts.append(batch(places, config.grid, config.patch, Augmentation(), picks.tolist(), seed))
        o, r = (torch.cat(tensors).to(self.device) for tensors in zip(*parts, strict=True))
        return o, r

    def _set_rate(self) -> None:
        for optimiser in filter(None, (self.optimiser, self.critic_optimiser)):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(self.config, self.step)

    def _log(self, losses: dict[str, float]) -> None:
        path = self.folder / "log.csv"
        new = not path.exists()
        names = ["step", "minutes", "mse", "vgg", "adversarial", "critic", "brightest", "select_dice"]
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(names)
            values = {"step": self.step, **losses}
            writer.writerow([f"{values[name]:.6g}" if name in values else "" for name in names])

    def _not_finite(self) -> LNHGError:
        return LNHGError(f"The training is no longer finite at step {self.step}; lower the learning rate and start again.")

    def _save(self) -> None:
        # A gradient can overflow after a loss that was finite.
        if not all(bool(value.isfinite().all()) for value in self.generator.state_dict().values()):
            raise self._not_finite()
        networks = {"generator": self.generator, "averaged": self.averaged, "discriminator": self.discriminator}
        optimisers = {"optimiser": self.optimiser, "critic_optimiser": self.critic_optimiser}
        state: dict[str, Any] = {"step": self.step, "config": self.config.as_dict()}
        state |= {name: part.state_dict() for name, part in (networks | optimisers).items() if part is not None}
        write_checkpoint(self.checkpoint, state)

    def _resume(self, state: dict[str, Any]) -> None:
        if state["config"] != self.config.as_dict():
            raise LNHGError(f"{self.folder} holds a training with another configuration; choose a new folder.")
        self.step = state["step"]
        self.generator.load_state_dict(state["generator"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])
        if self.discriminator is not None and self.critic_optimiser is not None:
            self.discriminator.load_state_dict(state["discriminator"])
            self.critic_optimiser.load_state_dict(state["critic_optimiser"])

    def _start_from(self, checkpoint: Path) -> None:
        """From the generator of another run; a narrower one is widened."""
        try:
            self.generator.load_state_dict(widened(generator_of(read_checkpoint(checkpoint)), self.config.width))
            self.averaged = _averaged(self.generator, self.config.averaging)
        except (KeyError, RuntimeError, ValueError) as error:
            raise LNHGError(
                f"{checkpoint.name} holds no generator that width {self.config.width} is a multiple of; "
                "start from another checkpoint."
            ) from error


def generator_of(state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The weights that a run's checkpoint gives: the running mean where there is one."""
    if "averaged" not in state:
        return state["generator"]
    return {name.removeprefix("module."): value for name, value in state["averaged"].items() if name.startswith("module.")}


def learning_rate(config: GeneratorConfig, step: int) -> float:
    """Linear rise over `warm_up` steps, then a half cosine down to `final_rate`."""
    if step < config.warm_up:
        return config.learning_rate * (step + 1) / config.warm_up
    share = (step - config.warm_up) / max(1, config.steps - config.warm_up)
    return config.final_rate + (config.learning_rate - config.final_rate) * (1 + math.cos(math.pi * share)) / 2


def _averaged(generator: Generator, decay: float) -> AveragedModel | None:
    """The running mean of weights and of batch norm's figures."""
    return AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True) if decay else None


def _adam(network: torch.nn.Module, config: GeneratorConfig) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), config.learning_rate, betas=(0.5, 0.9))


def _drop_rows_after(log: Path, step: int) -> None:
    """Rows that a killed run logged after its last checkpoint are done again, so they go."""
    if log.exists():
        with log.open() as file:
            kept = list(itertools.takewhile(lambda line: not line[0].isdigit() or int(line.split(",")[0]) <= step, file))
        partial = log.with_suffix(".partial")
        partial.write_text("".join(kept))
        os.replace(partial, log)
