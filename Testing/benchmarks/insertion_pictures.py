"""A hundred training samples on one sheet, to be looked at: do pastes show seams, do nodules lie in wrong places?

`python Testing/benchmarks/insertion_pictures.py --data DATA --output samples.png`. Rows from above: crops of scans with
inserted nodules (real ones, simulated ones) and with decoys (nothing there is a nodule), mosaics of cut-outs, all as
the detector is shown them, with its boxes in green; then patches of the generator, nodules and places of whole scans,
with the edge of R(x) in green. The middle slice of each triplet is shown.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from lnhg.data.cutouts import read_cutouts
from lnhg.data.scans import read_scan
from lnhg.data.splits import LISTS, list_of
from lnhg.networks.architecture import DETECTOR_GRID, DetectorArchitecture
from lnhg.stages.lungs import lung_regions
from lnhg.training.detector_data import read_detector_data
from lnhg.training.detector_samples import make_sample
from lnhg.training.generator_config import PRESETS
from lnhg.training.generator_samples import Augmentation, batch, cutout_places, scan_places
from lnhg.training.sampling import Sampling

_COLUMNS = 10
_GENERATOR = PRESETS["patches"]
_CROPS = Sampling(mosaics=0.0, mined=0.0, real=0.0, pasted=1.0)
_DETECTOR_ROWS = {
    "inserted": (replace(_CROPS, nodules=1.0, simulated=0.0), 2),
    "simulated": (replace(_CROPS, nodules=1.0, simulated=1.0), 1),
    "decoy": (replace(_CROPS, nodules=0.0), 2),
    "mosaic": (Sampling(mosaics=1.0), 2),
}

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", type=Path, required=True, help="folder with lidc_nodules/, lidc_scans/ and chest_scans/")
parser.add_argument("--output", type=Path, required=True)
parser.add_argument("--list", choices=LISTS, default="train", help="whose scans and nodules (default: train)")
parser.add_argument("--random-seed", type=int, default=0)
arguments = parser.parse_args()


def draw_detector_samples(rows: np.ndarray) -> None:
    data = read_detector_data(arguments.data, DETECTOR_GRID, DetectorArchitecture(), arguments.list)
    first = 0
    for name, (sampling, count) in _DETECTOR_ROWS.items():
        for number, axes in enumerate(rows[first : first + count].ravel()):
            sample = make_sample(data, sampling, arguments.random_seed, number)
            axes.imshow(sample.image[1], cmap="gray", vmin=0, vmax=1)
            for x0, y0, x1, y1 in sample.boxes.tolist():
                axes.add_patch(
                    Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, edgecolor="lime", linewidth=0.7)
                )
            axes.set_title(f"{name} {number}", fontsize=6, pad=1)
        first += count


def draw_generator_samples(rows: np.ndarray) -> None:
    cutouts = [one for one in read_cutouts(arguments.data / "lidc_nodules") if list_of(one.patient) == arguments.list]
    places = cutout_places(cutouts, "binary")
    folder = next(
        path for path in sorted((arguments.data / "lidc_scans").iterdir()) if list_of(path.name) == arguments.list
    )
    scan = read_scan(folder)
    consensus, seed = scan.reference > 0, arguments.random_seed
    around = scan_places(scan.ct, lung_regions(scan.ct), consensus, scan.doubtful, _COLUMNS, seed, _GENERATOR.grid)
    picks = np.random.default_rng(seed).choice(len(places), 2 * _COLUMNS, replace=False)
    numbers = [*picks.tolist(), *range(len(places), len(places) + _COLUMNS)]
    both = [*places, *around]
    images, targets = batch(both, _GENERATOR.grid, _GENERATOR.patch, Augmentation(), numbers, (seed,))
    for number, (axes, image, target) in enumerate(zip(rows.ravel(), images[:, 0, 1], targets[:, 0, 1], strict=True)):
        axes.imshow(image, cmap="gray", vmin=0, vmax=1)
        if target.max() > 0.5:
            axes.contour(target, [0.5], colors="lime", linewidths=0.7)
        axes.set_title(f"{'generator' if number < 2 * _COLUMNS else 'scan'} {number}", fontsize=6, pad=1)


figure, grid = plt.subplots(_COLUMNS, _COLUMNS, figsize=(20, 21))
for axes in grid.ravel():
    axes.axis("off")
draw_detector_samples(grid[:7])
draw_generator_samples(grid[7:])
figure.tight_layout(pad=0.3)
figure.savefig(arguments.output, dpi=110)
