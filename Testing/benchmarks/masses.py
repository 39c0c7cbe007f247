"""Large nodules seen at the usual scale and on a coarser grid: mean Dice, seeded at the centre.

`python Testing/benchmarks/masses.py --data DATA [--weights FOLDER]`; nodules of 17 mm and more of the patients that do
not report, most of them trained on, since the select patients have only five.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np

from lnhg.data.cutouts import read_cutouts
from lnhg.data.splits import list_of
from lnhg.evaluation.seeded import seeded_dice
from lnhg.networks.torch_models import load_models
from lnhg.stages import mass_images

SIZES = ((17.0, 20.0), (20.0, 25.0), (25.0, math.inf))


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--weights", type=Path)
arguments = parser.parse_args()

models = load_models(arguments.weights, with_detector=False)
known = [cutout for cutout in read_cutouts(arguments.data / "lidc_nodules") if list_of(cutout.patient) != "report"]
large = [cutout for cutout in known if cutout.diameter >= SIZES[0][0]]
widths = np.array([cutout.diameter for cutout in large])
select = np.array([list_of(cutout.patient) == "select" for cutout in large])
coarse = np.array([seeded_dice(cutout, models) for cutout in large])
mass_images.MASS_MM = math.inf  # nothing is a mass any more
usual = np.array([seeded_dice(cutout, models) for cutout in large])

groups = {
    f"{low:g} to {high:g} mm" if high < math.inf else f"{low:g} mm and more": (low <= widths) & (widths < high)
    for low, high in SIZES
}
groups |= {"all": widths > 0, "of them, select patients": select}
print("| nodules | n | usual scale | on a coarser grid |\n|---|---|---|---|")
for name, group in groups.items():
    print(f"| {name} | {group.sum()} | {usual[group].mean():.3f} | {coarse[group].mean():.3f} |")
