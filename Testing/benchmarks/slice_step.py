"""How far apart the three slices that the generator sees should lie: Dice, and whether thin slices show the same
nodule.

`python Testing/benchmarks/slice_step.py --data DATA [--weights FOLDER] [--mm 1.5 2 2.5 3] [--most N] [--tables NAME
...]`; nodules of patients that do not report, seeded at their centre. Tables: `dice` in thin slices; `interpolated`,
the diameter in thin slices made of slices of 2.5 mm over that in these; `averaged`, nodules in a scan of 1 mm and in
means of two slices of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from lnhg.core.ct import CT
from lnhg.core.geometry import equivalent_diameter
from lnhg.data.cutouts import Cutout, read_cutouts
from lnhg.data.splits import list_of
from lnhg.data.training_data import cubes_in
from lnhg.evaluation.seeded import centre_of, seeded_dice
from lnhg.evaluation.statistics import bootstrap_interval
from lnhg.networks.models import Models
from lnhg.networks.torch_models import load_models
from lnhg.options import Options
from lnhg.pipeline import segment
from lnhg.readers.read_ct import read_ct

SEEDS_ONLY = Options(seeds_only=True, threads=1)
THIN, THICK = (0.5, 0.625, 1.0, 1.25), 2.5


def at_most(cutouts: Sequence[Cutout], most: int | None) -> list[Cutout]:
    """So many of the cut-outs, evenly taken."""
    picks = np.unique(np.linspace(0, len(cutouts) - 1, min(len(cutouts), most or len(cutouts))).round().astype(int))
    return [cutouts[pick] for pick in picks]


def with_step(models: Models, slice_mm: float | None) -> Models:
    """The same weights with the slices of a triplet so many mm apart."""
    manifest = models.manifests["generator"]
    grid = replace(models.grid("generator"), slice_mm=slice_mm).as_dict()
    return replace(models, manifests={**models.manifests, "generator": {**manifest, "grid": grid}})


def in_slices(ct: CT, slice_mm: float) -> CT:
    """The CT in slices so many mm apart, linearly interpolated from its first to its last."""
    at = np.arange(0, len(ct.hu) - 1 + 1e-6, slice_mm / ct.spacing[2])
    below = np.minimum(at.astype(int), len(ct.hu) - 2)
    share = (at - below)[:, None, None]
    hu = np.rint(ct.hu[below] * (1 - share) + ct.hu[below + 1] * share).astype(np.int16)
    return replace(ct, hu=hu, ijk_to_ras=ct.ijk_to_ras @ np.diag([1, 1, slice_mm / ct.spacing[2], 1]))


def averaged(ct: CT) -> CT:
    """The CT in means of two slices."""
    pairs = ct.hu[: len(ct.hu) // 2 * 2].astype(np.float32).reshape(-1, 2, *ct.hu.shape[1:])
    matrix = ct.ijk_to_ras @ np.diag([1, 1, 2, 1])
    matrix[:3, 3] = ct.to_ras(np.array([0, 0, 0.5]))
    return replace(ct, hu=np.rint(pairs.mean(1)).astype(np.int16), ijk_to_ras=matrix)


def diameter_at(ct: CT, seed: Sequence[float], models: Models) -> float:
    """Of the nodule at a seed (RAS, mm), mm; 0 where there is none."""
    voxels = np.count_nonzero(segment(ct, SEEDS_ONLY, [seed], models=models).labels)
    return equivalent_diameter(voxels * ct.voxel_volume)


def dice_table(groups: dict[str, list[Cutout]], choices: dict[str, Models]) -> Iterator[str]:
    yield "Mean Dice, and its difference to neighbouring slices with the 95% interval over patients:\n"
    yield "| slices apart | " + " | ".join(f"{name} (n = {len(cutouts)})" for name, cutouts in groups.items()) + " |"
    yield "|---" * (1 + len(groups)) + "|"
    every = {cutout.name: cutout for group in groups.values() for cutout in group}
    neighbours: dict[str, float] = {}
    for choice, models in choices.items():
        values = {name: seeded_dice(cutout, models, SEEDS_ONLY) for name, cutout in every.items()}
        neighbours = neighbours or values
        cells = []
        for group in groups.values():
            gains = np.array([values[one.name] - neighbours[one.name] for one in group])
            gain = bootstrap_interval(gains, [one.patient for one in group])
            mean = np.mean([values[one.name] for one in group])
            cells.append(f"{mean:.3f}, {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})")
        yield f"| {choice} | " + " | ".join(cells) + " |"


def interpolated_table(cutouts: Sequence[Cutout], choices: dict[str, Models]) -> Iterator[str]:
    yield f"Diameter in interpolated slices over that in {THICK:g} mm slices (n = {len(cutouts)}): median, how many"
    yield "differ by more than a tenth:\n"
    yield "| slices apart | " + " | ".join(f"{mm:g} mm" for mm in THIN) + " |"
    yield "|---" * (1 + len(THIN)) + "|"
    seeds = [cutout.ct.to_ras(np.array(centre_of(cutout.consensus))).tolist() for cutout in cutouts]
    for choice, models in choices.items():
        thick = np.array([diameter_at(one.ct, seed, models) for one, seed in zip(cutouts, seeds, strict=True)])
        cells = []
        for mm in THIN:
            thin = [diameter_at(in_slices(one.ct, mm), seed, models) for one, seed in zip(cutouts, seeds, strict=True)]
            ratio = np.array(thin)[thick > 0] / thick[thick > 0]
            cells.append(f"{np.median(ratio):.3f}, {np.count_nonzero(np.abs(np.log(ratio)) > np.log(1.1))}")
        yield f"| {choice} | " + " | ".join(cells) + " |"


def averaged_table(ct: CT, choices: dict[str, Models], finder: Models) -> Iterator[str]:
    yield "Diameters, mm, in a scan of 1 mm and in means of two of its slices, at what is found in the scan:\n"
    seeds = [
        (one.centre_r, one.centre_a, one.centre_s) for one in segment(ct, Options(threads=1), models=finder).nodules
    ]
    yield "| slices apart | " + " | ".join(f"nodule {number}" for number, _ in enumerate(seeds, 1)) + " |"
    yield "|---" * (1 + len(seeds)) + "|"
    shown = ct, averaged(ct)
    for choice, models in choices.items():
        both = ([diameter_at(one, seed, models) for one in shown] for seed in seeds)
        yield f"| {choice} | " + " | ".join(f"{thin:.1f}, {mean:.1f}" for thin, mean in both) + " |"


def show(lines: Iterator[str]) -> None:
    for line in lines:
        print(line, flush=True)
    print()


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--weights", type=Path)
parser.add_argument("--mm", type=float, nargs="+", default=[1.5, 2.0, 2.5, 3.0])
parser.add_argument("--most", type=int, help="nodules of a group (default: all)")
parser.add_argument("--tables", nargs="+", default=["dice", "interpolated", "averaged"])
arguments = parser.parse_args()

torch.set_num_threads(1)
generator = load_models(arguments.weights, with_detector=False)
choices = {"neighbours": with_step(generator, None)} | {f"{mm:g} mm": with_step(generator, mm) for mm in arguments.mm}
known = [one for one in read_cutouts(arguments.data / "lidc_nodules") if list_of(one.patient) != "report"]
if "dice" in arguments.tables:
    whole = [one for one in cubes_in(arguments.data) if list_of(one.patient) != "report"]
    select = [one for one in known if one.ct.spacing[2] < THIN[-1] + 0.01 and list_of(one.patient) == "select"]
    groups = {
        "cubes of 1 mm": whole,
        "of these over 15 mm": [one for one in whole if one.diameter > 15],
        "of these sub-solid": [one for one in whole if one.subsolid],
        "select cut-outs of up to 1.25 mm": select,
        "cut-outs trained on, 0.5 to 0.75 mm": [one for one in known if one.ct.spacing[2] < 0.9 and one not in select],
    }
    limited = {name: at_most(group, arguments.most) for name, group in groups.items()}
    show(dice_table(limited, choices))
if "interpolated" in arguments.tables:
    thick = [one for one in known if one.ct.spacing[2] == THICK and not one.readers[[0, -1]].any()]
    show(interpolated_table(at_most(thick, arguments.most), choices))
if "averaged" in arguments.tables:
    ct = read_ct(arguments.data / "chest_scans" / "LungFCP-01-0001" / "ct.nrrd")
    show(averaged_table(ct, choices, load_models(arguments.weights)))
