"""Training of the detector in phases: each after the first also sees the false finds of the one before (mining).

A run that is cut off goes on from its last checkpoint when it is started again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from ..ct import CT
from ..data.detector_samples import DetectorData, Host, Sampling, make_sample, read_detector_data
from ..data.finds import SURE_SCORE, centre_voxel
from ..data.splits import list_of
from ..data.training_data import cutouts_of, scans_of
from ..detection import detect
from ..errors import LNHGError
from ..evaluation.froc import froc
from ..grid import NetworkGrid
from ..networks.detector import (
    DETECTOR_GRID,
    DetectorArchitecture,
    NoduleDetector,
    build_detector,
    load_imagenet_features,
)
from .checkpoint import read_checkpoint, write_checkpoint
from .record import continued, record_of
from .run_log import LOG, append_row, drop_rows_after

_log = logging.getLogger(__name__)

# Samples of an epoch: the slices with a nodule in the training patients' 548 cut-outs.
_EPOCH = 3654

CHECKPOINT, FROC = "checkpoint.pt", "froc.csv"


@dataclass(frozen=True)
class DetectorTraining:
    """How the detector is trained.

    Attributes:
        architecture, grid, sampling: the network, what it sees, what its samples are made of.
        optimiser: `adamw` or `adam`.
        batch, rate, weight_decay: batch size, largest learning rate, weight decay.
        warm_up: steps over which the rate rises; then it falls along a cosine to 1% over each phase.
        clip: largest norm of the gradient.
        minutes: training time of each phase (mining lies between phases), or
        steps: steps of each phase, when given in place of minutes.
        later_rate: factor on `rate` in phases after the first.
        seed: of the network's start and the samples.
        features: safetensors with ImageNet features for the backbone's start, or None.
        patience: phases without a better FROC on the `select` patients after which the training stops early.
        checkpoint_seconds: time between checkpoints.
    """

    architecture: DetectorArchitecture = field(default_factory=DetectorArchitecture)
    grid: NetworkGrid = DETECTOR_GRID
    sampling: Sampling = field(default_factory=Sampling)
    optimiser: str = "adamw"
    batch: int = 8
    rate: float = 1e-3
    weight_decay: float = 1e-4
    warm_up: int = 60
    clip: float = 5.0
    minutes: tuple[float, ...] = (45.0, 30.0)
    steps: tuple[int, ...] | None = None
    later_rate: float = 0.5
    seed: int = 1
    features: Path | None = None
    patience: int = 2
    checkpoint_seconds: float = 120.0

    @classmethod
    def paper(cls) -> DetectorTraining:
        """The paper's: ResNet-50, Adam at a fixed 1e-5, weight decay 5e-4, batch 20, 100 epochs."""
        return cls(
            DetectorArchitecture.paper(),
            NetworkGrid("paper"),
            Sampling(size=256),
            optimiser="adam",
            batch=20,
            rate=1e-5,
            weight_decay=5e-4,
            minutes=(),
            steps=(100 * _EPOCH // 20,),
        )

    @property
    def phases(self) -> int:
        """How many phases there are."""
        return len(self.steps or self.minutes)


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
    config: DetectorTraining,
    output: Path,
    data_folder: Path,
    command: str | None = None,
    listed: Callable[[str], str] = list_of,
) -> None:
    """Train on the `train` patients of the development data and stop early by the FROC of the `select` patients.

    Where these have no whole scan to count false finds on, all phases are trained. `command` is what a person types to do
    the same, for the model card; `listed` says which list a patient is on.
    """
    data = read_detector_data(data_folder, config.grid, config.architecture, listed=listed)
    cutouts, scans = cutouts_of(data_folder, "select", listed), list(scans_of(data_folder, "select", listed))
    validate = (lambda detector: froc(cutouts, scans, detector, config.grid)) if scans else None
    train_on(config, output, data, validate, command)


def train_on(
    config: DetectorTraining,
    output: Path,
    data: DetectorData,
    validate: Callable[[NoduleDetector], Mapping[float, float]] | None = None,
    command: str | None = None,
) -> NoduleDetector:
    """Train, or go on training, in the folder `output`; returns the trained network in evaluation mode.

    Writes `checkpoint.pt` (everything needed to go on), `phase-N.pt` (weights after each phase), `log.csv` and, with
    `validate` (sensitivity by false finds a scan), `froc.csv` and `best.pt`, the phase of the highest mean sensitivity.
    Each holds what the model card tells of its weights (`command` is as of `train_detector`).
    """
    output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    detector = build_detector(config.architecture)
    if config.features is not None:
        load_imagenet_features(detector, config.features)
    optimiser = _optimiser(config, detector)
    state = _restore(output / CHECKPOINT, detector, optimiser)
    now = record_of(command, data.patients, (host.name for host in data.hosts))
    state.record = continued(state.record, now)
    drop_rows_after(output / LOG, state.step)
    while state.phase < config.phases and not _stopped(config, state):
        if state.phase > 0 and state.mined is None:
            state.mined = mine(detector, data)
            _save(output / CHECKPOINT, config, detector, optimiser, state)
        _train_phase(config, output, detector, optimiser, state, with_mined(data, state.mined))
        sensitivity = validate(detector.eval()) if validate is not None else {}
        weights = _weights(config, detector, state, sensitivity)
        write_checkpoint(output / f"phase-{state.phase + 1}.pt", weights)
        if sensitivity:
            _judge(output, sensitivity, state, weights)
        state.steps_by_phase.append(state.phase_step)
        state.phase, state.phase_step, state.phase_seconds, state.mined = state.phase + 1, 0, 0.0, None
        _save(output / CHECKPOINT, config, detector, optimiser, state)
    return detector.eval()


def _judge(output: Path, sensitivity: Mapping[float, float], state: _State, weights: dict[str, Any]) -> None:
    """Note the sensitivities of the phase just trained, and keep its weights if their mean is the best so far."""
    phase, mean = state.phase + 1, float(np.mean(list(sensitivity.values())))
    _log.info("Phase %d: mean sensitivity %.3f on the select patients", phase, mean)
    row = {"phase": phase, **{f"at {rate:g}": f"{value:.4f}" for rate, value in sensitivity.items()}, "mean": f"{mean:.4f}"}
    drop_rows_after(output / FROC, state.phase)
    append_row(output / FROC, row)
    if mean > state.best:
        write_checkpoint(output / "best.pt", weights)
        state.best, state.best_phase = mean, phase


def _stopped(config: DetectorTraining, state: _State) -> bool:
    """Early stop: as many phases as `patience` have passed since the best one."""
    return state.best_phase > 0 and state.phase - state.best_phase >= config.patience


def _optimiser(config: DetectorTraining, detector: NoduleDetector) -> torch.optim.Optimizer:
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[config.optimiser]
    return kind(detector.parameters(), lr=config.rate, weight_decay=config.weight_decay)


def _train_phase(
    config: DetectorTraining,
    output: Path,
    detector: NoduleDetector,
    optimiser: torch.optim.Optimizer,
    state: _State,
    data: DetectorData,
) -> None:
    detector.train()
    saved = time.monotonic()
    while (done := _share_done(config, state)) < 1:
        began = time.monotonic()
        rate = _rate(config, state, done)
        losses = _train_step(config, detector, optimiser, data, state.step, rate)
        state.step, state.phase_step = state.step + 1, state.phase_step + 1
        state.phase_seconds += time.monotonic() - began
        _log_step(output / LOG, state, rate, losses)
        if time.monotonic() - saved > config.checkpoint_seconds:
            _save(output / CHECKPOINT, config, detector, optimiser, state)
            saved = time.monotonic()


def _share_done(config: DetectorTraining, state: _State) -> float:
    if config.steps is not None:
        return state.phase_step / config.steps[state.phase]
    return state.phase_seconds / (60 * config.minutes[state.phase])


def _rate(config: DetectorTraining, state: _State, done: float) -> float:
    """Warm-up, then a cosine down to 1%; the paper's Adam keeps one rate."""
    if config.optimiser == "adam":
        return config.rate
    top = config.rate * (config.later_rate if state.phase > 0 else 1.0)
    rise = min(1.0, (state.phase_step + 1) / config.warm_up)
    return float(top * rise * (0.01 + 0.99 * (1 + np.cos(np.pi * done)) / 2))


def _train_step(
    config: DetectorTraining,
    detector: NoduleDetector,
    optimiser: torch.optim.Optimizer,
    data: DetectorData,
    step: int,
    rate: float,
) -> dict[str, float]:
    samples = [make_sample(data, config.sampling, config.seed, step * config.batch + n) for n in range(config.batch)]
    for group in optimiser.param_groups:
        group["lr"] = rate
    losses = detector([sample.image for sample in samples], [sample.target for sample in samples])
    total = torch.stack(list(losses.values())).sum()
    if not torch.isfinite(total):
        raise LNHGError(f"The loss is not finite at step {step}; go on from the last checkpoint with a lower rate.")
    optimiser.zero_grad()
    total.backward()
    torch.nn.utils.clip_grad_norm_(detector.parameters(), config.clip)
    optimiser.step()
    return {name: float(loss.detach()) for name, loss in losses.items()}


# Mining --------------------------------------------------------------------------------------------------------------

# Lowest score of a false find that is trained on again.
_MINED_SCORE = 0.1


def mine(detector: NoduleDetector, data: DetectorData) -> dict[str, np.ndarray]:
    """False finds on the training scans: for each `[n, 3]` points (slice, y, x) away from anything a reader marked."""
    detector.eval()
    found = {host.name: _false_finds(detector, host, data.grid) for host in data.hosts}
    _log.info("Mined %s", {name: len(points) for name, points in found.items()})
    return found


def _false_finds(detector: NoduleDetector, host: Host, grid: NetworkGrid) -> np.ndarray:
    ct = CT(host.hu, np.diag([-grid.pixel_mm, -grid.pixel_mm, host.slice_mm, 1.0]))
    candidates = detect(ct, detector, grid, device="cpu", lungs=host.lungs, score_threshold=_MINED_SCORE)
    # Wider than what counts as a hit: all sections of a find are learned as false ones.
    marked = ndimage.binary_dilation(host.nodules | host.doubtful, np.ones((3, 5, 5)), iterations=2)
    points = []
    for candidate in candidates:
        k, y, x = centre_voxel(candidate, host.hu.shape)
        unsure = not host.read and candidate.score >= SURE_SCORE
        if not marked[k, y, x] and not unsure:
            points += [(slice_, y, x) for slice_ in candidate.boxes]
    return np.array(points, int).reshape(-1, 3)


def with_mined(data: DetectorData, mined: dict[str, np.ndarray] | None) -> DetectorData:
    """The data with the places of the false finds."""
    if mined is None:
        return data
    return replace(data, hosts=[replace(host, mined=mined[host.name]) for host in data.hosts])


# Checkpoints ---------------------------------------------------------------------------------------------------------


def _weights(
    config: DetectorTraining, detector: NoduleDetector, state: _State, sensitivity: Mapping[float, float]
) -> dict[str, Any]:
    """The network, and how it was made; `sensitivity` is that of these very weights, where it was measured."""
    made = {
        "steps_by_phase": [*state.steps_by_phase, *([state.phase_step] if state.phase_step else [])],
        "batch": config.batch,
        "crop_pixels": config.sampling.size,
        "optimiser": config.optimiser,
        "learning_rate": config.rate,
        "seed": config.seed,
        "start": config.features.name if config.features else None,
        "select_sensitivity": {f"{rate:g}": float(value) for rate, value in sensitivity.items()},
    }
    return {
        "architecture": config.architecture.as_dict(),
        "grid": config.grid.as_dict(),
        "model": detector.state_dict(),
        "record": {**state.record, **made},
    }


def _save(
    path: Path, config: DetectorTraining, detector: NoduleDetector, optimiser: torch.optim.Optimizer, state: _State
) -> None:
    mined = None if state.mined is None else {name: torch.from_numpy(places) for name, places in state.mined.items()}
    rest = {
        "optimiser": optimiser.state_dict(),
        "state": asdict(replace(state, mined=None)),
        "mined": mined,
        "rng": torch.get_rng_state(),
    }
    write_checkpoint(path, {**_weights(config, detector, state, {}), **rest})


def _restore(path: Path, detector: NoduleDetector, optimiser: torch.optim.Optimizer) -> _State:
    if not path.is_file():
        return _State()
    saved = read_checkpoint(path)
    detector.load_state_dict(saved["model"])
    optimiser.load_state_dict(saved["optimiser"])
    torch.set_rng_state(saved["rng"])
    mined = None if saved["mined"] is None else {name: places.numpy() for name, places in saved["mined"].items()}
    return _State(**{**saved["state"], "mined": mined})


def _log_step(path: Path, state: _State, rate: float, losses: dict[str, float]) -> None:
    row = {
        "step": state.step,
        "phase": state.phase + 1,
        "seconds": round(state.phase_seconds, 1),
        "rate": f"{rate:.3g}",
    }
    row |= {name: f"{value:.4f}" for name, value in losses.items()}
    append_row(path, row)
