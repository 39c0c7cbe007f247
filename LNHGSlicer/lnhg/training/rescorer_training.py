"""Training of the rescorer on the candidates of a trained detector: nodule or not."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from ..errors import InputError, LNHGError
from ..networks.ensemble import Detector
from ..networks.grid import NetworkGrid
from ..networks.rescorer import Rescorer, apply_rescorer
from ..networks.rescoring import RESCORER_GRID, Surroundings, network_input
from .candidate_samples import CandidateSample, batch, read_candidates
from .checkpoint import check_same_configuration, read_checkpoint, write_checkpoint
from .monitor import say
from .run_log import LOG, append_row, drop_rows_after

_log = logging.getLogger(__name__)

CHECKPOINT = "last.pt"


@dataclass(frozen=True)
class RescorerTraining:
    """How the rescorer is trained: AdamW, the rate falling on a half cosine, half of each batch nodules.

    Attributes:
        steps, batch, rate, weight_decay: of AdamW.
        every: steps between checkpoints and rows of the log.
        seed: of the start and the samples.
    """

    steps: int = 1500
    batch: int = 32
    rate: float = 1e-3
    weight_decay: float = 1e-2
    every: int = 50
    seed: int = 0


def train_rescorer(config: RescorerTraining, output: Path, data: Path, detector: Detector, grid: NetworkGrid) -> None:
    """Train on what `detector` finds on the `train` patients, watching the `select` patients; goes on in its folder."""
    output.mkdir(parents=True, exist_ok=True)
    train, select = (_candidates(output / f"{part}.pt", data, detector, grid, part) for part in ("train", "select"))
    train_on(config, output, train, select)


def train_on(
    config: RescorerTraining, output: Path, train: Sequence[CandidateSample], select: Sequence[CandidateSample]
) -> Rescorer:
    """Train, or go on, in the folder `output`: `last.pt` and `log.csv` (loss; area under the ROC on `select`)."""
    output.mkdir(parents=True, exist_ok=True)
    nodules, others = ([n for n, sample in enumerate(train) if sample.nodule is kind] for kind in (True, False))
    if not nodules or not others:
        raise InputError(
            "The detector found no nodules or nothing but nodules on the training patients; train it first."
        )
    _log.info("%d nodules and %d false positives to train on", len(nodules), len(others))
    torch.manual_seed(config.seed)
    rescorer = Rescorer()
    optimiser = torch.optim.AdamW(rescorer.parameters(), config.rate, weight_decay=config.weight_decay)
    done = _resumed(output / CHECKPOINT, config, rescorer, optimiser)
    drop_rows_after(output / LOG, done)
    began, losses = time.monotonic(), []
    for step in range(done, config.steps):
        losses.append(_step(config, step, rescorer, optimiser, train, nodules, others))
        if (step + 1) % config.every == 0 or step + 1 == config.steps:
            auc = _auc(rescorer, select)
            minutes, loss = (time.monotonic() - began) / 60, float(np.mean(losses))
            row = {"step": step + 1, "minutes": f"{minutes:.2f}", "loss": f"{loss:.5f}", "select_auc": f"{auc:.4f}"}
            append_row(output / LOG, row)
            say(f"{step + 1}/{config.steps} steps, loss {loss:.4f}, area under the ROC {auc:.4f}")
            losses.clear()
            _save(output / CHECKPOINT, config, step + 1, rescorer, optimiser)
    return rescorer.eval()


def _step(
    config: RescorerTraining,
    step: int,
    rescorer: Rescorer,
    optimiser: torch.optim.Optimizer,
    train: Sequence[CandidateSample],
    nodules: Sequence[int],
    others: Sequence[int],
) -> float:
    random = np.random.default_rng((config.seed, step))
    half = config.batch // 2
    picks = [*random.choice(nodules, half), *random.choice(others, config.batch - half)]
    images, truth = batch(train, picks, (config.seed, step, 1))
    for group in optimiser.param_groups:
        group["lr"] = config.rate * (1 + math.cos(math.pi * step / config.steps)) / 2
    rescorer.train()
    loss = torch.nn.functional.binary_cross_entropy_with_logits(rescorer(images), truth)
    if not torch.isfinite(loss):
        raise LNHGError(f"The loss is not finite at step {step}; start again with a lower rate.")
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return float(loss.detach())


def probabilities(rescorer: Rescorer, samples: Sequence[CandidateSample]) -> np.ndarray:
    """What the network says of each sample as it is, 0 to 1."""
    rescorer.eval()
    # One by one: a whole list of patients at once would not fit into a small memory.
    return np.array([apply_rescorer(rescorer, [network_input(sample.patch)])[0] for sample in samples])


def _auc(rescorer: Rescorer, samples: Sequence[CandidateSample]) -> float:
    truth = [sample.nodule for sample in samples]
    return float(roc_auc_score(truth, probabilities(rescorer, samples))) if len(set(truth)) == 2 else math.nan


# Checkpoints
# ------------------------------------------------------------------------------------------------------------


def _save(
    path: Path, config: RescorerTraining, step: int, rescorer: Rescorer, optimiser: torch.optim.Optimizer
) -> None:
    state = {"rescorer": rescorer.state_dict(), "optimiser": optimiser.state_dict(), "rng": torch.get_rng_state()}
    write_checkpoint(path, {"config": asdict(config), "step": step, "grid": RESCORER_GRID.as_dict(), **state})


def _resumed(path: Path, config: RescorerTraining, rescorer: Rescorer, optimiser: torch.optim.Optimizer) -> int:
    """The step to go on from."""
    if not path.is_file():
        return 0
    state = read_checkpoint(path)
    check_same_configuration(state["config"], asdict(config), asdict(RescorerTraining()), path.parent)
    rescorer.load_state_dict(state["rescorer"])
    optimiser.load_state_dict(state["optimiser"])
    torch.set_rng_state(state["rng"])
    return int(state["step"])


def _candidates(path: Path, data: Path, detector: Detector, grid: NetworkGrid, patients: str) -> list[CandidateSample]:
    """The candidates of one list of patients, kept in a file since finding them takes minutes."""
    if not path.is_file():
        found = read_candidates(data, detector, grid, patients)
        plain = [
            {**asdict(sample), "patch": {**vars(sample.patch), "hu": torch.from_numpy(sample.patch.hu.copy())}}
            for sample in found
        ]
        write_checkpoint(path, {"samples": plain})
    return [_sample(**stored) for stored in read_checkpoint(path)["samples"]]


def _sample(patch: dict[str, Any] | None = None, piece: dict[str, Any] | None = None, **others: Any) -> CandidateSample:
    """A sample as it was kept; before, the patch was named `piece`."""
    kept = patch or piece
    assert kept is not None
    return CandidateSample(patch=Surroundings(**{**kept, "hu": kept["hu"].numpy()}), **others)
