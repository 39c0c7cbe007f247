"""What rounding HU, as some files do, changes in the detector's scores: `python Testing/benchmarks/rounding.py --data
DATA`.

Nodules of patients that are not trained on, in cut-outs and cubes with their own surroundings, and the candidates of
one whole scan that is kept as it was; each as it is and in steps (8 HU; in the scan 64 further than 20 mm from the
lungs).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.distance import cdist

from lnhg.core.ct import CT
from lnhg.data.cutouts import Cutout
from lnhg.data.rounding import Rounding, far_from_lungs, far_in
from lnhg.data.scans import read_scan
from lnhg.data.training_data import cutouts_of
from lnhg.evaluation.detections import candidates_on_scan, centre_ras
from lnhg.evaluation.detector_sensitivity import cutout_score
from lnhg.networks.torch_models import load_models
from lnhg.stages.lungs import lung_regions

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--weights", type=Path)
parser.add_argument("--list", choices=("select", "report"), default="select")
parser.add_argument("--scan", default="LIDC-IDRI-0063", help="a whole scan of lidc_scans/ with outlines")
parser.add_argument("--count", type=int, default=40, help="cut-outs and cubes, of each kind at most")
parser.add_argument("--threads", type=int, default=1)
arguments = parser.parse_args()
torch.set_num_threads(arguments.threads)

models = load_models(arguments.weights)
detector, grid, threshold = models.detector, models.grid("detector"), models.threshold("detector", None)
assert detector is not None
steps = Rounding()


def in_steps(ct: CT) -> CT:
    """The CT as a file with rounded HU keeps it."""
    off_lungs = far_from_lungs(lung_regions(ct), ct.spacing)
    window = (slice(0, len(ct.hu)), slice(0, ct.hu.shape[1]), slice(0, ct.hu.shape[2]))
    return replace(ct, hu=steps.apply(ct.hu, far_in(off_lungs, window, ct.hu.shape)))


def tell(what: str, before: Sequence[float], after: Sequence[float]) -> None:
    """Changes of the scores; a score of 0 stands for not found."""
    one, other = np.array(before), np.array(after)
    change = np.abs(one - other)
    crossed = int(((one >= threshold) != (other >= threshold)).sum())
    print(
        f"{what}: n = {len(one)}, change of score: median {np.median(change):.3f}, 95% below "
        f"{np.quantile(change, 0.95):.3f}, "
        f"largest {change.max():.3f}; mean {one.mean():.3f} and {other.mean():.3f}; "
        f"{crossed} cross the threshold of {threshold:g}",
        flush=True,
    )


def on_nodules(cutouts: Sequence[Cutout], what: str) -> None:
    rounded = [replace(one, ct=replace(one.ct, hu=steps.apply(one.ct.hu))) for one in cutouts]
    scores = [[cutout_score(one, detector, grid) for one in some] for some in (cutouts, rounded)]
    tell(f"nodules in {what}", *scores)


def on_scan(ct: CT, name: str) -> None:
    """Candidates at the same place (within 5 mm, nearest first) before and after; what the other run lacks counts as
    0.
    """
    before, after = (
        [(centre_ras(f, one), f.score) for f in candidates_on_scan(one, detector, grid)] for one in (ct, in_steps(ct))
    )
    apart = cdist([place for place, _ in before], [place for place, _ in after])
    pairs = []
    while apart.min() <= 5.0:
        one, other = np.unravel_index(apart.argmin(), apart.shape)
        pairs.append((before[one][1], after[other][1]))
        apart[one], apart[:, other] = np.inf, np.inf
        before[one], after[other] = (before[one][0], 0.0), (after[other][0], 0.0)
    pairs += [(score, 0.0) for _, score in before if score] + [(0.0, score) for _, score in after if score]
    tell(f"candidates of {name}", [a for a, _ in pairs], [b for _, b in pairs])


nodules = cutouts_of(arguments.data, arguments.list)
on_nodules([one for one in nodules if not one.cube][: arguments.count], "cut-outs")
on_nodules([one for one in nodules if one.cube][: arguments.count], "cubes")
on_scan(read_scan(arguments.data / "lidc_scans" / arguments.scan).ct, arguments.scan)
