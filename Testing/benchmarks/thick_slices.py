"""Nodules in thin slices, and the same as thicker slices would show them: mean Dice, seeded at the centre.

`python Testing/benchmarks/thick_slices.py --data DATA [--weights FOLDER ...]`; nodules of the select patients in slices
of up to 1.25 mm. A thick slice is the mean of thin ones, its nodule what fills at least half of a voxel; a nodule of
which nothing is left so is not counted.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from lnhg.data.cutouts import Cutout, read_cutouts
from lnhg.data.splits import list_of
from lnhg.evaluation.seeded import seeded_dice
from lnhg.networks.torch_models import load_models

THIN, THICKNESSES = 1.25, (2.5, 5.0)


def thickened(cutout: Cutout, thickness: float) -> Cutout:
    """The cut-out in slices of about `thickness` mm side by side; the last slice goes on where they do not fit."""
    parts = round(thickness / cutout.ct.spacing[2])
    rest = -len(cutout.ct.hu) % parts

    def mean(volume: np.ndarray) -> np.ndarray:
        whole = np.pad(volume.astype(np.float32), [(0, rest), (0, 0), (0, 0)], mode="edge")
        return whole.reshape(-1, parts, *volume.shape[1:]).mean(1)

    matrix = cutout.ct.ijk_to_ras @ np.diag([1, 1, parts, 1])
    matrix[:3, 3] = cutout.ct.to_ras(np.array([0, 0, (parts - 1) / 2]))
    ct = replace(cutout.ct, hu=np.rint(mean(cutout.ct.hu)).astype(np.int16), ijk_to_ras=matrix)
    return replace(cutout, ct=ct, readers=(mean(cutout.consensus) >= 0.5).astype(np.uint8), reader_count=1)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--weights", type=Path, nargs="+", default=[None])
arguments = parser.parse_args()

select = [cutout for cutout in read_cutouts(arguments.data / "lidc_nodules") if list_of(cutout.patient) == "select"]
thin = [cutout for cutout in select if cutout.ct.spacing[2] <= THIN]
shown = {"as they are": thin} | {f"{t:g} mm": [thickened(cutout, t) for cutout in thin] for t in THICKNESSES}
left = {name: [cutout for cutout in cutouts if cutout.consensus.any()] for name, cutouts in shown.items()}
print("| weights | " + " | ".join(f"{name} (n = {len(cutouts)})" for name, cutouts in left.items()) + " |")
print("|---" * (1 + len(left)) + "|")
for folder in arguments.weights:
    models = load_models(folder, with_detector=False)
    means = (np.mean([seeded_dice(cutout, models) for cutout in cutouts]) for cutouts in left.values())
    name = folder.name if folder else "shipped"
    print(f"| {name} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |", flush=True)
