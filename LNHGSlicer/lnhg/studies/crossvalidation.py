"""Cross-validation of the generator by patient: every nodule is scored by a generator that saw none of its patient's.

In each turn one fold of patients reports, the next one chooses the threshold on G(x), and the others are trained on
(`splits.list_in_fold`). A patient in no fold (whole scans without a nodule) is trained on in all of them.
`OUTPUT/fold-N` holds the run (`training`), what it gave with the chosen threshold (`weights`), and the scores; what
is there is not made again.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from .. import __version__
from ..core.atomic_file import write_atomic
from ..core.written_files import check_own
from ..data.cutouts import Cutout
from ..data.splits import list_in_fold, read_folds, write_folds
from ..data.training_data import cutouts_of
from ..errors import InputError
from ..evaluation.seeded import seeded_dice
from ..networks.generator import build_generator
from ..networks.torch_models import TorchModels
from ..options import Options
from ..training.checkpoint import read_checkpoint
from ..training.generator_config import GeneratorConfig
from ..training.generator_run import models_in_training, train_generator
from ..training.generator_training import LAST, generator_of
from ..training.packing import pack_generator
from .scores import FoldScores, NoduleScore, nodule_scores
from .systems import own_system
from .tables import Table, crossvalidation_table, types_table, write_tables

logger = logging.getLogger(__name__)

#: Thresholds on G(x), times the nodule's peak, that are tried.
THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6)

# One fold reports, one selects, and one at least is trained on.
_FEWEST_FOLDS = 3


@dataclass(frozen=True)
class CrossValidation:
    """What is trained, on what, and how long.

    Attributes:
        data: a folder with `lidc_nodules/` and `lidc_scans/`, or a cache of `lnhg prepare`, whose own folds are then
            used.
        name: the variant trained, as in `systems.OWN_SYSTEMS`.
        config: of each fold's training.
        folds, seed: how many folds, and of their drawing.
        minutes: of each fold's training; None: up to the configured steps.
        vgg: local file of VGG-19 weights (None: torchvision's download).
        device: of the training.
    """

    data: Path
    name: str
    config: GeneratorConfig
    folds: int = 5
    seed: int = 0
    minutes: float | None = None
    vgg: Path | None = None
    device: str = "cpu"


def cross_validate(plan: CrossValidation, output: Path) -> tuple[Table, Table]:
    """Train and score fold after fold, and write `output/tables`; returns Table I by folds, and Table II of all
    nodules.

    A call that was cut off, however, goes on where it was when it is given again.

    Raises InputError for under three folds, too few patients, or a folder of a cross-validation with other settings.
    """
    if plan.folds < _FEWEST_FOLDS:
        raise InputError("One fold reports, one selects and the others are trained on; choose --folds 3 or more.")
    check_own(output / "tables")
    cutouts = cutouts_of(plan.data, "all", lambda patient: "all")
    output.mkdir(parents=True, exist_ok=True)
    _check_settings(plan, output / "settings.json")
    folds = _folds_of(plan, output, sorted({cutout.patient for cutout in cutouts}))
    scored = [
        _Fold(plan, output / f"fold-{number + 1}", cutouts, folds, number).scores() for number in range(len(folds))
    ]
    every = {plan.name: [score for fold in scored for score in fold.scores]}
    tables = crossvalidation_table(plan.name, scored), types_table(every)
    write_tables(tables, output / "tables")
    return tables


def _check_settings(plan: CrossValidation, path: Path) -> None:
    """Keep what the folds have in common, or compare with what was kept."""
    now = json.loads(
        json.dumps(
            {"name": plan.name, "minutes": plan.minutes, "random_seed": plan.seed, "config": plan.config.as_dict()}
        )
    )
    if not path.is_file():
        write_atomic(path, json.dumps(now, indent=1))
    elif json.loads(path.read_text(encoding="utf-8")) != now:
        raise InputError(
            f"{path.parent} holds a cross-validation with other settings; give these, or choose a new folder."
        )


def _folds_of(plan: CrossValidation, output: Path, patients: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    path = plan.data / "folds.json"
    if not path.is_file():
        path = output / "folds.json"
        if not path.is_file():
            write_folds(path, patients, plan.folds, plan.seed)
    folds = read_folds(path, patients)
    if len(folds) != plan.folds:
        raise InputError(
            f"{path} deals the patients to {len(folds)} folds, not {plan.folds}; give --folds {len(folds)}."
        )
    return folds


class _Fold:
    """One turn of the cross-validation, in its folder."""

    def __init__(
        self,
        plan: CrossValidation,
        folder: Path,
        cutouts: Sequence[Cutout],
        folds: Sequence[Sequence[str]],
        number: int,
    ) -> None:
        self.plan, self.folder, self.cutouts = plan, folder, cutouts
        dealt = {patient: list_in_fold(patient, folds, number) for fold in folds for patient in fold}
        self.list_of = lambda patient: dealt.get(patient, "train")

    def scores(self) -> FoldScores:
        """Scores of the fold's nodules; trained and scored first where that has not been done."""
        kept = self.folder / f"scores-{__version__}.json"  # another version may outline, measure or group otherwise
        if not kept.is_file():
            write_atomic(kept, json.dumps(self._scored()))
        found = json.loads(kept.read_text(encoding="utf-8"))
        return FoldScores(found["threshold"], found["steps"], [NoduleScore(**row) for row in found["scores"]])

    def _scored(self) -> dict[str, object]:
        weights = self.folder / "weights"
        if not (weights / "generator.json").is_file():
            self._train(weights)
        manifest = json.loads((weights / "generator.json").read_text(encoding="utf-8"))
        scores = nodule_scores(own_system(self.plan.name, weights), self._of("report"))
        logger.info(
            "%s: %d nodules, mean Dice %.4f", self.folder.name, len(scores), np.mean([one.dice for one in scores])
        )
        return {
            "threshold": manifest["thresholds"]["g"],
            "steps": manifest["training"]["steps_done"],
            "scores": [asdict(score) for score in scores],
        }

    def _train(self, weights: Path) -> None:
        """Train, or go on training, then choose the threshold and pack; the weights appear when they are whole."""
        plan, run = self.plan, self.folder / "training"
        train_generator(
            plan.config,
            plan.data,
            run,
            vgg=plan.vgg,
            device=plan.device,
            minutes=None if plan.minutes is None else plan.minutes - _minutes_done(run / LAST),
            validate_every=0,
            listed=self.list_of,
        )
        state = read_checkpoint(run / LAST)
        generator = build_generator({"name": plan.config.network, "width": plan.config.width})
        generator.load_state_dict(generator_of(state))
        models = models_in_training(generator, plan.config.grid.as_dict())
        with tempfile.TemporaryDirectory(prefix=".lnhg-", dir=self.folder) as unfinished:
            pack_generator(state, Path(unfinished) / weights.name, best_threshold(models, self._of("select")))
            (Path(unfinished) / weights.name).rename(weights)

    def _of(self, patients: str) -> list[Cutout]:
        """The nodules of a list of patients in this turn."""
        found = [cutout for cutout in self.cutouts if self.list_of(cutout.patient) == patients]
        if not found:
            raise InputError(
                f"{self.folder.name} has no nodule of a patient of the list {patients}; choose fewer folds."
            )
        return found


def best_threshold(models: TorchModels, cutouts: Sequence[Cutout]) -> float:
    """The one of `THRESHOLDS` with the best mean Dice of the nodules, seeded."""

    def mean_dice(threshold: float) -> float:
        options = Options(seeds_only=True, generator_threshold=threshold)
        return float(np.mean([seeded_dice(cutout, models, options) for cutout in cutouts]))

    return max(THRESHOLDS, key=mean_dice)


def _minutes_done(checkpoint: Path) -> float:
    return float(read_checkpoint(checkpoint)["minutes"]) if checkpoint.is_file() else 0.0
