"""Tumours drawn whole and in part: how many of each are told to be cut.

`python Testing/benchmarks/cut_masses.py --data DATA`; the outlines of readers in `lidc_scans/`, `qin_scans/` and
`chest_scans/`. Of those of 20 mm and more parts on one side in random directions, by their share of the volume.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lnhg.core.boxes import grown_box, label_boxes
from lnhg.core.ct import CT
from lnhg.core.geometry import equivalent_diameter
from lnhg.readers.image_file import read_volume
from lnhg.readers.read_ct import read_ct
from lnhg.stages.axial import axial_order
from lnhg.stages.lungs import lung_regions
from lnhg.stages.measurement import _SIDE_MM, _inside, _Part

LEAST_MM, SHARES, DIRECTIONS = 20.0, (0.1, 0.25, 0.45), 4


def outlines(data: Path) -> Iterator[tuple[CT, np.ndarray]]:
    """Each CT in the axial view with its labels."""
    for path in sorted([*data.glob("*_scans/*/consensus.nrrd"), *data.glob("chest_scans/*/tumour.nrrd")]):
        view = axial_order(read_ct(path.parent / "ct.nrrd"))
        yield view.ct, view.to_axial(read_volume(path).values)


def is_cut(ct: CT, drawn: np.ndarray, lungs: np.ndarray) -> bool:
    (box,) = label_boxes(drawn.view(np.uint8)).values()
    around = grown_box(box, np.ceil(_SIDE_MM / np.array(ct.spacing[::-1])).astype(int).tolist())
    mask = drawn[around]
    return _Part(ct, around, mask, ct.hu[around], lungs[around], _inside(ct, around, mask, lungs)).is_cut()


def one_side(whole: np.ndarray, share: float, direction: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """The voxels of `whole` furthest in a direction, by their share."""
    places = np.argwhere(whole)
    along = places * spacing @ direction
    part = np.zeros_like(whole)
    part[tuple(places[along >= np.quantile(along, 1 - share)].T)] = True
    return part


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", type=Path, required=True)
arguments = parser.parse_args()

told = defaultdict[str, list[bool]](list)
chance = np.random.default_rng(0)
for ct, labels in outlines(arguments.data):
    lungs, spacing = lung_regions(ct), np.array(ct.spacing[::-1])
    for label in label_boxes(labels):
        whole = labels == label
        diameter = equivalent_diameter(np.count_nonzero(whole) * ct.voxel_volume)
        told["whole"].append(is_cut(ct, whole, lungs))
        for share in SHARES if diameter >= LEAST_MM else ():
            for direction in chance.normal(size=(DIRECTIONS, 3)):
                told[f"{share:.0%} of the volume"].append(is_cut(ct, one_side(whole, share, direction, spacing), lungs))
print("| drawn | n | told to be cut |\n|---|---|---|")
for name, cut in told.items():
    print(f"| {name} | {len(cut)} | {sum(cut)} |")
