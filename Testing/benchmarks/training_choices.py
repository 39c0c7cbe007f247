"""Runs of the generator's training side by side on the select patients: Dice, also by size, and how lively the map is
inside.

`python Testing/benchmarks/training_choices.py --data DATA RUN [RUN ...]`, RUN being a folder of `lnhg train generator`.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np

from lnhg.data.cutouts import Cutout, read_cutouts
from lnhg.data.splits import list_of
from lnhg.evaluation.measures import dice
from lnhg.evaluation.seeded import seeded
from lnhg.networks.generator import build_generator
from lnhg.networks.models import Models
from lnhg.options import Options
from lnhg.studies.groups import SIZES, size_of
from lnhg.training.checkpoint import read_checkpoint
from lnhg.training.generator_run import models_in_training
from lnhg.training.generator_training import generator_of

# Share targets are drawn weaker than binary ones, so each run is shown at the best of these.
THRESHOLDS = (0.3, 0.35, 0.4, 0.45)


def models_of(run: Path) -> Models:
    state = read_checkpoint(run / "last.pt")
    config = state["config"]
    generator = build_generator({"name": config.get("network", "lnhg"), "width": config["width"]})
    generator.load_state_dict(generator_of(state))
    return models_in_training(generator, config["grid"])


def figures(cutout: Cutout, models: Models, threshold: float) -> tuple[float, float]:
    """Dice, and the standard deviation of h in the nodule's core (NaN if it has none)."""
    result = seeded(cutout, models, Options(seeds_only=True, generator_threshold=threshold))
    deviation = result.nodules[0].core.deviation if result.nodules else float("nan")
    return dice(cutout.consensus, result.labels > 0), deviation


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("runs", type=Path, nargs="+")
arguments = parser.parse_args()

cutouts = [c for c in read_cutouts(arguments.data / "lidc_nodules") if list_of(c.patient) == "select"]
sizes = np.array([size_of(c.diameter) for c in cutouts])
columns = ("run", "target", "pixels", "width", "minutes", "threshold", "mean Dice")
columns += (*(f"{name} (n = {np.count_nonzero(sizes == name)})" for name, _, _ in SIZES), "deviation of h in the core")
print(f"{len(cutouts)} nodules of the select patients\n")
print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
for run in arguments.runs:
    config = json.loads((run / "config.json").read_text())
    with (run / "log.csv").open() as file:
        minutes = float(list(csv.DictReader(file))[-1]["minutes"])
    models = models_of(run)
    found = {t: np.array([figures(cutout, models, t) for cutout in cutouts]) for t in THRESHOLDS}
    best = max(found, key=lambda t: found[t][:, 0].mean())
    scores, deviation = found[best][:, 0], np.nanmean(found[best][:, 1])
    grid = config["grid"]
    pixels = f"{grid['pixel_mm']} mm" if grid["rule"] == "fixed" else "half resolution"
    cells = (
        run.name,
        config["target"],
        pixels,
        config["width"],
        f"{minutes:.0f}",
        f"{best:g}",
        f"{scores.mean():.3f}",
        *(f"{scores[sizes == name].mean():.3f}" for name, _, _ in SIZES),
        f"{deviation:.3f}",
    )
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)
