"""Dice of the shipped generator on the select patients, by triplet mode and threshold on G(x).

`python Testing/benchmarks/generator_choices.py --data DATA [--weights FOLDER]`; this is what the defaults were chosen
by.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from lnhg.data.cutouts import read_cutouts
from lnhg.data.splits import list_of
from lnhg.evaluation.seeded import seeded_dice
from lnhg.networks.torch_models import load_models
from lnhg.options import Options

THRESHOLDS = (0.36, 0.4, 0.44)

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--weights", type=Path)
arguments = parser.parse_args()

models = load_models(arguments.weights, with_detector=False)
cutouts = [c for c in read_cutouts(arguments.data / "lidc_nodules") if list_of(c.patient) == "select"]
print(f"{len(cutouts)} nodules of the select patients\n")
print("| triplets | " + " | ".join(f"above {threshold:g}" for threshold in THRESHOLDS) + " |")
print("|---" * (1 + len(THRESHOLDS)) + "|")
for triplets in ("averaged", "overlapping", "paper"):
    means = []
    for threshold in THRESHOLDS:
        options = Options(seeds_only=True, triplets=triplets, generator_threshold=threshold)
        means.append(np.mean([seeded_dice(cutout, models, options) for cutout in cutouts]))
    print(f"| {triplets} | " + " | ".join(f"{mean:.4f}" for mean in means) + " |", flush=True)
