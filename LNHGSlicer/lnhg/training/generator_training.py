"""Training of the generator branch: WGAN-GP with the hybrid loss of eq. 10."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..core.atomic_file import write_atomic
from ..errors import InputError, LNHGError
from ..networks.building import tensors_of
from ..networks.discriminator import Discriminator
from ..networks.generator import Generator, build_generator, widened
from ..networks.grid import NetworkGrid
from ..networks.unet import UNet
from ..networks.weights import load_weights
from .checkpoint import check_same_configuration, read_checkpoint, write_checkpoint
from .generator_config import GeneratorConfig, learning_rate
from .generator_samples import Place
from .losses import adversarial_loss, balanced, discriminator_loss, gradients, mse_loss, perceptual_loss
from .monitor import Monitor
from .pictures import picture_grid
from .precision import Learner, check_precision, computing_in
from .processes import Processes
from .record import check_same_patients, continued, told_record
from .run_log import LOG, drop_rows_after
from .steps import Samples

logger = logging.getLogger(__name__)

LAST, BEST = "last.pt", "best.pt"

_TERMS = ("mse", "vgg", "adversarial")
_GRADIENTS = {term: f"{term}_gradient" for term in _TERMS}
_COLUMNS = ("step", "minutes", *_TERMS, *_GRADIENTS.values(), "critic", "brightest", "select_dice")
_SHOWN = {"mse": "mse", "vgg": "vgg", "select_dice": "select Dice"}

# The run stops when G(x) was zero everywhere for so many steps in a row: the last ReLU has died.
_DEAD_STEPS = 25
# Nodules in the picture of each epoch.
_EXAMPLES = 4


class GeneratorTraining:
    """A run of training in its folder: it starts, or goes on from the folder's checkpoint.

    The folder gets `last.pt` (everything needed to go on), `best.pt` (the weights of the best validation),
    `config.json`, `log.csv` and, where TensorBoard is installed, `tensorboard/`. Of several processes the first one
    writes them.
    """

    def __init__(
        self,
        config: GeneratorConfig,
        folder: Path,
        nodules: Sequence[Place],
        background: Sequence[Place],
        features: torch.nn.Module | None,
        processes: Processes | None = None,
        start: Path | None = None,
        record: Mapping[str, Any] | None = None,
    ) -> None:
        """`record` says how and from what the weights are made (see `record_of`); checkpoints hold it for the model
        card.
        """
        if config.vgg and features is None:
            raise LNHGError("The perceptual loss needs VGG-19 weights; give their file, or a preset without that loss.")
        self.config, self.folder, self.processes = config, folder, processes or Processes()
        device = self.processes.device
        check_precision(config.precision, device)
        if config.balanced and config.precision == "fp16":
            raise InputError("Balanced terms leave the range of fp16; choose --precision bf16 or float32.")
        torch.manual_seed(config.seed)
        self.samples = Samples(config, nodules, background, self.processes)
        self.features = features.to(device) if features is not None else None
        network = build_generator({"name": config.network, "width": config.width}, config.last_slope).to(device)
        self.generator = network.to(memory_format=torch.channels_last_3d)  # a quarter faster on a CPU
        shape = (3, config.patch, config.patch)
        self.discriminator = Discriminator(shape, config.discriminator_width).to(device) if config.adversarial else None
        self._learner = self._learner_of(self.generator)
        self._critic = self._learner_of(self.discriminator) if self.discriminator else None
        self.averaged = _averaged(self.generator, config.averaging)
        self.step, self.minutes, self.best_dice = 0, 0.0, -math.inf
        self.record = dict(record or {})
        self._dead = 0
        self._open_folder(start)

    # The run
    # -----------------------------------------------------------------------------------------------------------

    def run(
        self,
        *,
        minutes: float | None = None,
        save_every: int = 50,
        keep: Sequence[int] = (),
        validate_every: int = 0,
        validate: Callable[[Generator | UNet], float] | None = None,
    ) -> None:
        """Train up to the configured steps, or until `minutes` have passed since this call; always ends with a
        checkpoint.

        Checkpoints of the steps in `keep` stay, as `step-N.pt`.
        Raises LNHGError when a loss is not finite or the output has died; the last checkpoint is then the last good
        one.
        """
        began, before = time.monotonic(), self.minutes
        stop = math.inf if minutes is None else before + minutes
        with self._monitor(stop) as monitor:
            while self.step < self.config.steps and not self.processes.as_first_says(self.minutes >= stop):
                figures = self._train_step()
                self._check(figures)
                self.step += 1
                if validate and validate_every and self.step % validate_every == 0 and self.processes.first:
                    figures["select_dice"] = self._judge(validate(self.trained_generator))
                self.minutes = before + (time.monotonic() - began) / 60
                if monitor:
                    self._tell(monitor, figures)
                if (self.step % save_every == 0 or self.step in keep) and not self._dead:
                    if monitor:
                        monitor.flush()
                    self._save(kept=self.step in keep)
        self._save()

    @property
    def trained_generator(self) -> Generator | UNet:
        """The generator that the run gives: the running mean where there is one."""
        if self.averaged is None:
            return self.generator
        return cast("Generator | UNet", self.averaged.module)

    def _monitor(self, stop: float) -> AbstractContextManager[Monitor | None]:
        if not self.processes.first:
            return nullcontext()
        return Monitor(
            self.folder, _COLUMNS, _SHOWN, self.step, self.step, self.config.steps, minutes=stop - self.minutes
        )

    def _check(self, figures: Mapping[str, float]) -> None:
        if not all(math.isfinite(value) for value in figures.values()):
            raise self._not_finite()
        self._dead = self._dead + 1 if figures["brightest"] <= 0 else 0
        if self._dead >= _DEAD_STEPS:
            raise LNHGError("G(x) is zero everywhere, the last ReLU has died; lower the rate or set last_slope.")

    def _not_finite(self) -> LNHGError:
        return LNHGError(
            f"The training is no longer finite at step {self.step}; lower the learning rate and start again."
        )

    def _judge(self, dice: float) -> float:
        """Keep the weights if none before were better."""
        logger.info("step %d: select Dice %.4f", self.step, dice)
        if dice > self.best_dice:
            self.best_dice = dice
            weights = {"generator": self.trained_generator.state_dict(), "select_dice": dice}
            write_checkpoint(self.folder / BEST, weights | self._origin())
        return dice

    def _tell(self, monitor: Monitor, figures: Mapping[str, float]) -> None:
        """The figures of every step; after every epoch, as many samples as there are nodules, a picture too."""
        monitor.note(self.step, self.step, {"minutes": self.minutes, **figures})
        if self.step % max(1, round(len(self.samples.nodules) / self.config.batch)) == 0:
            o, r = self.samples.examples(_EXAMPLES)
            with torch.no_grad():
                g = self.trained_generator.eval()(o)
            monitor.picture(self.step, "CT, target, G(x), heterogeneity", picture_grid(o, r, g))

    # One step
    # ----------------------------------------------------------------------------------------------------------

    def _train_step(self) -> dict[str, float]:
        config = self.config
        self.generator.train()
        figures: dict[str, torch.Tensor] = {}
        for turn in range(config.critic_steps if self._critic else 0):
            figures["critic"] = self._critic_step(turn)
        o, r = self.samples.batch(self.step, config.critic_steps)
        with self._computing():
            g = self.generator(o).float()
            parts = self._parts(g, r)
        loss = torch.stack(list(parts.values())).sum()
        if config.balanced:
            pulls = gradients(parts, g)
            norms = self._norms(pulls)
            figures |= {_GRADIENTS[name]: torch.tensor(norm) for name, norm in norms.items()}
            # Its gradient with respect to G(x) is the balanced one.
            loss = (g * balanced(pulls, norms, {name: getattr(config, name) for name in pulls})).sum()
        self._learner.learn(loss, learning_rate(config, self.step))
        if self.averaged is not None:
            self.averaged.update_parameters(self.generator)
        figures |= {**parts, "brightest": g.max()}
        return self.processes.average({name: float(figure.detach()) for name, figure in figures.items()})

    def _norms(self, pulls: Mapping[str, torch.Tensor]) -> dict[str, float]:
        """Of the gradients over the batch of all processes."""
        squares = {name: float(pull.square().sum()) for name, pull in pulls.items()}
        return {name: math.sqrt(square) for name, square in self.processes.average(squares).items()}

    def _parts(self, g: torch.Tensor, r: torch.Tensor) -> dict[str, torch.Tensor]:
        """The terms of eq. 10, each times its weight."""
        config = self.config
        parts: dict[str, torch.Tensor] = {}
        if config.mse:
            parts["mse"] = config.mse * mse_loss(g, r)
        if config.vgg and self.features is not None:
            parts["vgg"] = config.vgg * perceptual_loss(self.features, g, r)
        if self.discriminator is not None:
            parts["adversarial"] = config.adversarial * adversarial_loss(self.discriminator(g).float())
        return parts

    def _critic_step(self, turn: int) -> torch.Tensor:
        assert self.discriminator is not None and self._critic is not None
        o, r = self.samples.batch(self.step, turn)
        between = self.samples.between(self.step, turn)
        with self._computing():
            with torch.no_grad():
                g = self.generator(o).float()
            loss = discriminator_loss(self.discriminator, r, g, between, self.config.penalty)
        self._critic.learn(loss, learning_rate(self.config, self.step))
        return loss

    def _computing(self) -> torch.autocast:
        return computing_in(self.config.precision, self.processes.device)

    def _learner_of(self, network: torch.nn.Module) -> Learner:
        adam = torch.optim.Adam(network.parameters(), self.config.learning_rate, betas=(0.5, 0.9))
        return Learner(network, adam, self.config.precision, self.processes)

    # The folder
    # --------------------------------------------------------------------------------------------------------

    @property
    def checkpoint(self) -> Path:
        """Where the run goes on from."""
        return self.folder / LAST

    def _open_folder(self, start: Path | None) -> None:
        """Go on from the folder's checkpoint, or begin anew, from the generator that `start` holds if given."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.exists():
            self._resume(read_checkpoint(self.checkpoint))
        elif start is not None:
            self._start_from(start)
        self.processes.check_same_step(self.step)
        if self.processes.first:
            write_atomic(self.folder / "config.json", json.dumps(self.config.as_dict(), indent=2))
            drop_rows_after(self.folder / LOG, self.step)

    def _stateful(self) -> dict[str, Any]:
        """What a checkpoint holds the state of, by its name there."""
        parts: dict[str, Any] = {
            "generator": self.generator,
            "averaged": self.averaged,
            "discriminator": self.discriminator,
        }
        for prefix, learner in (("", self._learner), ("critic_", self._critic)):
            if learner is not None:
                parts[f"{prefix}optimiser"] = learner.optimiser
                parts[f"{prefix}scaler"] = learner.scaler if learner.scaler.is_enabled() else None
        return {name: part for name, part in parts.items() if part is not None}

    def _origin(self) -> dict[str, Any]:
        """What the weights come from."""
        return {
            "step": self.step,
            "minutes": self.minutes,
            "processes": self.processes.count,
            "config": self.config.as_dict(),
            "record": self.record,
        }

    def _save(self, kept: bool = False) -> None:
        # A gradient can overflow after a loss that was finite.
        if not all(bool(value.isfinite().all()) for value in self.generator.state_dict().values()):
            raise self._not_finite()
        if self.processes.first:
            state = {name: part.state_dict() for name, part in self._stateful().items()}
            state |= self._origin() | {"best_dice": self.best_dice}
            write_checkpoint(self.checkpoint, state)
            if kept:
                write_checkpoint(self.folder / f"step-{self.step}.pt", state)

    def _resume(self, state: dict[str, Any]) -> None:
        saved = {**state["config"], "grid": NetworkGrid.from_dict(state["config"]["grid"]).as_dict()}
        check_same_configuration(saved, self.config.as_dict(), GeneratorConfig().as_dict(), self.folder)
        check_same_patients(self.folder, state.get("record", {}), self.record)
        self.step, self.minutes = state["step"], state.get("minutes", 0.0)
        self.best_dice = state.get("best_dice", -math.inf)
        self.record = continued(state.get("record", {}), self.record)
        for name, part in self._stateful().items():
            part.load_state_dict(state[name])

    def _start_from(self, start: Path) -> None:
        """From the generator of another run, or packed weights; a narrower one is widened."""
        state = _packed(start) if start.is_dir() else read_checkpoint(start)
        try:
            weights = generator_of(state)
            if self.config.network == "lnhg":
                weights = widened(weights, self.config.width)
            self.generator.load_state_dict(weights)
        except (KeyError, RuntimeError, ValueError) as error:
            raise LNHGError(
                f"{start.name} holds no generator that width {self.config.width} is a multiple of; start from others."
            ) from error
        self.averaged = _averaged(self.generator, self.config.averaging)
        self.record = continued(state.get("record", {}), self.record)


def generator_of(state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The weights that a run's checkpoint gives: the running mean where there is one."""
    if "averaged" not in state:
        return state["generator"]
    return {
        name.removeprefix("module."): value for name, value in state["averaged"].items() if name.startswith("module.")
    }


def _packed(folder: Path) -> dict[str, Any]:
    """The generator of a folder with packed weights, and how it was made, as a checkpoint would hold them."""
    weights = load_weights(folder, "generator")
    return {"generator": tensors_of(weights), "record": told_record(weights.manifest.get("training", {}))}


def _averaged(generator: torch.nn.Module, decay: float) -> AveragedModel | None:
    """The running mean of weights and of batch norm's figures."""
    return AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True) if decay else None
