"""Training of the detector in phases: each after the first also sees the false positives of the one before (mining).

A run that is cut off goes on from its last checkpoint when it is started again.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..data.splits import list_of
from ..data.training_data import cutouts_of, scans_of
from ..errors import LNHGError
from ..evaluation.detector_sensitivity import sensitivity_on_cutouts
from ..networks.detector import NoduleDetector, build_detector, load_imagenet_features
from .checkpoint import known_values, read_checkpoint, write_checkpoint
from .detector_config import EPOCH, DetectorConfig
from .detector_data import DetectorData, read_detector_data
from .detector_samples import make_sample
from .mining import mine, with_mined
from .monitor import Monitor
from .pictures import box_pictures
from .precision import Learner, check_precision, computing_in
from .processes import Processes, joined
from .record import check_same_patients, continued, record_of
from .run_log import LOG, append_row, drop_rows_after

_log = logging.getLogger(__name__)

CHECKPOINT, FROC = "checkpoint.pt", "froc.csv"

_LOSSES = ("loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg")
_COLUMNS = ("step", "phase", "seconds", "rate", *_LOSSES)
# A run may be gone on with for longer, or saved more often.
_MAY_CHANGE = ("minutes", "steps", "patience", "checkpoint_seconds")
# Samples in the picture of each epoch.
_EXAMPLES = 4

#: Sensitivity by false positives a scan.
Validate = Callable[[NoduleDetector], Mapping[float, float]]


@dataclass
class _State:
    """What a checkpoint holds beside the network and its optimiser."""

    phase: int = 0
    step: int = 0  # in all phases
    phase_step: int = 0
    phase_seconds: float = 0.0
    mined: dict[str, np.ndarray] | None = None
    best: float = -1.0
    best_phase: int = 0
    steps_by_phase: list[int] = field(default_factory=list)  # of the phases that ended
    record: dict[str, Any] = field(default_factory=dict)  # as of `record_of`


def train_detector(
    config: DetectorConfig,
    output: Path,
    data_folder: Path,
    command: str | None = None,
    listed: Callable[[str], str] = list_of,
    device: str = "cpu",
) -> None:
    """Train on the `train` patients of the development data and stop early by the FROC of the `select` patients.

    Where these have no whole scan with all its nodules marked, to count false positives on, all phases are trained.
    `command` is what a person types to do the same, for the model card; `listed` says which list a patient is on.
    Processes that `torchrun` started train one network together.
    """
    data = read_detector_data(data_folder, config.grid, config.architecture, listed=listed)
    cutouts = cutouts_of(data_folder, "select", listed)
    scans = [scan for scan in scans_of(data_folder, "select", listed) if scan.complete]
    validate = (lambda detector: sensitivity_on_cutouts(cutouts, scans, detector, config.grid)) if scans else None
    with joined(device) as processes:
        DetectorTraining(config, output, data, command, processes).run(validate)


class DetectorTraining:
    """A run of training in its folder: it starts, or goes on from the folder's checkpoint.

    The folder gets `checkpoint.pt` (everything needed to go on), `phase-N.pt` (weights after each phase), `log.csv`,
    where TensorBoard is installed `tensorboard/`, and, where it is validated, `froc.csv` and `best.pt`, the phase of
    the highest mean sensitivity. Each file of weights holds what the model card tells of them (`command` is as of
    `train_detector`). Of several processes the first one writes, mines and validates.
    """

    def __init__(
        self,
        config: DetectorConfig,
        folder: Path,
        data: DetectorData,
        command: str | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.config, self.folder, self.data, self.processes = config, folder, data, processes or Processes()
        check_precision(config.precision, self.processes.device)
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(config.seed)
        self.detector = build_detector(config.architecture)
        if config.features is not None:
            load_imagenet_features(self.detector, config.features)
        before = self._started() if config.start is not None else {}
        self.detector.to(self.processes.device)
        kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[config.optimiser]
        optimiser = kind(self.detector.parameters(), lr=config.rate, weight_decay=config.weight_decay)
        self._learner = Learner(self.detector, optimiser, config.precision, self.processes, config.clip)
        self._state = self._restored()
        record = record_of(command, data.patients, (training_scan.name for training_scan in data.training_scans))
        check_same_patients(folder, self._state.record, record)
        self._state.record = continued(self._state.record or before, record)
        self.processes.check_same_step(self._state.step)
        if self.processes.first:
            drop_rows_after(folder / LOG, self._state.step)

    def run(self, validate: Validate | None = None) -> None:
        """Train to the end, or until as many phases as the configuration's `patience` have passed since the best
        one.
        """
        with self._monitor() as monitor:
            while self._state.phase < len(self.config.work) and not self._stopped():
                if self._learned and self._state.mined is None:
                    self._state.mined = self.processes.from_first(lambda: mine(self.detector, self.data))
                    self._save()
                self._train_phase(monitor)
                self._end_phase(validate, monitor)
        self.detector.eval()

    @property
    def _learned(self) -> bool:
        """Whether the network has learned in an earlier phase, or in the run that this one starts from."""
        return self._state.phase > 0 or self.config.start is not None

    def _stopped(self) -> bool:
        state = self._state
        return state.best_phase > 0 and state.phase - state.best_phase >= self.config.patience

    # A phase
    # -----------------------------------------------------------------------------------------------------------

    def _train_phase(self, monitor: Monitor | None) -> None:
        data, state = with_mined(self.data, self._state.mined), self._state
        self.detector.train()
        saved = time.monotonic()
        while (done := self.processes.as_first_says(self._done_in_phase() / self.config.work[state.phase])) < 1:
            began = time.monotonic()
            rate = self._rate(done)
            losses = self._train_step(data, rate)
            state.step, state.phase_step = state.step + 1, state.phase_step + 1
            state.phase_seconds += time.monotonic() - began
            if monitor:
                figures = {"phase": state.phase + 1, "seconds": state.phase_seconds, "rate": rate, **losses}
                monitor.note(state.step, self._work_done(), figures)
                if state.step % max(1, EPOCH // self.config.batch) == 0:
                    monitor.picture(state.step, "found (red) and true (green)", self._picture(data))
            if time.monotonic() - saved > self.config.checkpoint_seconds:
                if monitor:
                    monitor.flush()
                self._save()
                saved = time.monotonic()

    def _done_in_phase(self) -> float:
        """Steps or minutes, as the configuration counts them."""
        return self._state.phase_step if self.config.steps else self._state.phase_seconds / 60

    def _work_done(self) -> float:
        """Of all phases, in steps or minutes."""
        return sum(self.config.work[: self._state.phase]) + self._done_in_phase()

    def _rate(self, done: float) -> float:
        """Warm-up, then a cosine down to 1%; the paper's Adam keeps one rate."""
        config = self.config
        if config.optimiser == "adam":
            return config.rate
        top = config.rate * (config.later_rate if self._learned else 1.0)
        rise = min(1.0, (self._state.phase_step + 1) / config.warm_up)
        return float(top * rise * (0.01 + 0.99 * (1 + np.cos(np.pi * done)) / 2))

    def _train_step(self, data: DetectorData, rate: float) -> dict[str, float]:
        config, step = self.config, self._state.step
        numbers = self.processes.share(range(step * config.batch, (step + 1) * config.batch))
        samples = [make_sample(data, config.sampling, config.seed, number) for number in numbers]
        # The network draws the anchors and proposals it learns from: from the step alone, so a checkpoint need not hold
        # it.
        torch.manual_seed(seed_of_step(config.seed, step, self.processes.rank))
        with computing_in(config.precision, self.processes.device):
            losses = self.detector([sample.image for sample in samples], [sample.target for sample in samples])
            total = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(total):
            raise LNHGError(f"The loss is not finite at step {step}; go on from the last checkpoint with a lower rate.")
        self._learner.learn(total, rate)
        return self.processes.average({name: float(loss.detach()) for name, loss in losses.items()})

    def _picture(self, data: DetectorData) -> np.ndarray:
        """The first samples of the run with their boxes and the network's."""
        samples = [make_sample(data, self.config.sampling, self.config.seed, number) for number in range(_EXAMPLES)]
        with torch.inference_mode():
            found = self.detector.eval()([sample.image for sample in samples])
        self.detector.train()
        return box_pictures(samples, found)

    def _end_phase(self, validate: Validate | None, monitor: Monitor | None) -> None:
        state = self._state
        self.detector.eval()
        sensitivity = self.processes.from_first(lambda: validate(self.detector)) if validate is not None else {}
        weights, mean = (
            self._weights(sensitivity),
            float(np.mean(list(sensitivity.values()))) if sensitivity else math.nan,
        )
        if monitor:
            write_checkpoint(self.folder / f"phase-{state.phase + 1}.pt", weights)
            if sensitivity:
                self._note_sensitivity(sensitivity, mean)
                monitor.mark(state.step, {"select_sensitivity": mean})
        if mean > state.best:
            if monitor:
                write_checkpoint(self.folder / "best.pt", weights)
            state.best, state.best_phase = mean, state.phase + 1
        state.steps_by_phase.append(state.phase_step)
        state.phase, state.phase_step, state.phase_seconds, state.mined = state.phase + 1, 0, 0.0, None
        self._save()

    def _note_sensitivity(self, sensitivity: Mapping[float, float], mean: float) -> None:
        phase = self._state.phase + 1
        _log.info("Phase %d: mean sensitivity %.3f on the select patients", phase, mean)
        row = {
            "phase": phase,
            **{f"at {rate:g}": f"{value:.4f}" for rate, value in sensitivity.items()},
            "mean": f"{mean:.4f}",
        }
        drop_rows_after(self.folder / FROC, self._state.phase)
        append_row(self.folder / FROC, row)

    # The folder
    # --------------------------------------------------------------------------------------------------------

    def _monitor(self) -> AbstractContextManager[Monitor | None]:
        if not self.processes.first:
            return nullcontext()
        shown = {name: name.removeprefix("loss_") for name in _LOSSES} | {"select_sensitivity": "select sensitivity"}
        unit = "steps" if self.config.steps else "minutes"
        return Monitor(self.folder, _COLUMNS, shown, self._state.step, self._work_done(), sum(self.config.work), unit)

    def _weights(self, sensitivity: Mapping[float, float]) -> dict[str, Any]:
        """The network, and how it was made; `sensitivity` is that of these very weights, where it was measured."""
        config, state = self.config, self._state
        began_from = config.start or config.features
        made = {
            "steps_by_phase": [*state.steps_by_phase, *([state.phase_step] if state.phase_step else [])],
            "batch": config.batch,
            "crop_pixels": config.sampling.size,
            "optimiser": config.optimiser,
            "learning_rate": config.rate,
            "seed": config.seed,
            "start": began_from.name if began_from else None,
            "select_sensitivity": {f"{rate:g}": float(value) for rate, value in sensitivity.items()},
        }
        return {
            "architecture": config.architecture.as_dict(),
            "grid": config.grid.as_dict(),
            "model": self.detector.state_dict(),
            "record": {**state.record, **made},
        }

    def _started(self) -> dict[str, Any]:
        """Take the weights that the run starts from; what is told of them."""
        assert self.config.start is not None
        saved = read_checkpoint(self.config.start)
        try:
            self.detector.load_state_dict(saved["model"])
        except (KeyError, RuntimeError) as error:
            raise LNHGError(
                f"{self.config.start.name} holds no detector of this architecture; start from another checkpoint."
            ) from error
        return saved.get("record", {})

    def _save(self) -> None:
        if not self.processes.first:
            return
        mined = self._state.mined
        places = None if mined is None else {name: torch.from_numpy(points) for name, points in mined.items()}
        rest = {
            "optimiser": self._learner.optimiser.state_dict(),
            "scaler": self._learner.scaler.state_dict(),
            "state": asdict(replace(self._state, mined=None)),
            "mined": places,
            "config": _lasting(self.config),
        }
        write_checkpoint(self.folder / CHECKPOINT, {**self._weights({}), **rest})

    def _restored(self) -> _State:
        path = self.folder / CHECKPOINT
        if not path.is_file():
            return _State()
        saved = read_checkpoint(path)
        if saved.get("config", _lasting(self.config)) != _lasting(self.config):  # older checkpoints do not tell
            raise LNHGError(f"{self.folder} holds a training with another configuration; choose a new folder.")
        self.detector.load_state_dict(saved["model"])
        self._learner.optimiser.load_state_dict(saved["optimiser"])
        self._learner.scaler.load_state_dict(saved.get("scaler", {}))
        mined = None if saved["mined"] is None else {name: places.numpy() for name, places in saved["mined"].items()}
        return _State(**{**known_values(saved["state"], asdict(_State()), "state"), "mined": mined})


def _lasting(config: DetectorConfig) -> dict[str, Any]:
    """What must stay the same in a run, as plain values; how long it lasts may change."""
    values = {name: value for name, value in asdict(config).items() if name not in _MAY_CHANGE}
    return json.loads(json.dumps(values, default=str))


def seed_of_step(seed: int, step: int, rank: int) -> int:
    """The seed of what the network draws in one step of one process."""
    return int(np.random.default_rng((seed, step, rank)).integers(2**63))
