"""Forty nodules with the place that the rule of `lnhg.stages.contacts` gives them, to be looked at.

`python Testing/benchmarks/place_pictures.py --data DATA --output places.png`. A row holds four nodules: for each the
slice with its largest section, twice in the lung window, the second time with the consensus (green), wall (blue) and
vessels that touch it (red).
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from lnhg.data.cutouts import Cutout, read_cutouts
from lnhg.stages.contacts import tissue_beside, vessels_at, wall_by_thickness
from lnhg.studies.groups import place_of

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--output", type=Path, required=True)
parser.add_argument("--count", type=int, default=40)
parser.add_argument("--random-seed", type=int, default=0)
arguments = parser.parse_args()


def draw(cutout: Cutout, plain: plt.Axes, coloured: plt.Axes) -> None:
    """The nodule's largest section, and the same with what the rule saw."""
    nodule, spacing = cutout.consensus, cutout.ct.spacing
    tissue = tissue_beside(cutout.ct.hu, nodule)
    wall = wall_by_thickness(tissue, spacing)
    masks = ((nodule, "lime"), (wall, "deepskyblue"), (vessels_at(nodule, tissue, wall, spacing), "red"))
    k = int(nodule.sum((1, 2)).argmax())
    for axes in (plain, coloured):
        axes.imshow(cutout.ct.hu[k], cmap="gray", vmin=-1200, vmax=300)
        axes.axis("off")
    for mask, colour in masks:
        if mask[k].any():
            coloured.contour(mask[k], [0.5], colors=colour, linewidths=0.8)
    plain.set_title(f"{cutout.name.removeprefix('LIDC-IDRI-')}\n{cutout.ct.spacing[2]:g} mm", fontsize=6)
    coloured.set_title(place_of(cutout), fontsize=7)


cutouts = read_cutouts(arguments.data / "lidc_nodules")
chosen = [cutouts[n] for n in np.random.default_rng(arguments.random_seed).permutation(len(cutouts))[: arguments.count]]
rows = -(-len(chosen) // 4)
figure, grid = plt.subplots(rows, 8, figsize=(12, 1.6 * rows))
for axes in grid.ravel():
    axes.axis("off")
for number, cutout in enumerate(chosen):
    draw(cutout, *grid.ravel()[2 * number : 2 * number + 2])
figure.tight_layout(pad=0.3)
figure.savefig(arguments.output, dpi=130)
print(Counter(place_of(cutout) for cutout in chosen))
