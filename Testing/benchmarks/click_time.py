"""How long a click in a loaded CT takes: an outline at a seed, with its map and figures, lungs and networks kept.

`python Testing/benchmarks/click_time.py --data DATA` seeds every reference nodule of the labelled whole scans and
prints the seconds with what is kept from before, and without; to be run with nothing else running (aim: 0.5 s).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median

import numpy as np

from lnhg.data.scans import LabelledScan, read_scan
from lnhg.data.training_data import scan_folders
from lnhg.evaluation.seeded import centre_of
from lnhg.networks.models import open_models
from lnhg.options import Options
from lnhg.pipeline import segment
from lnhg.stages.prepared import prepare_ct


def rows(scan: LabelledScan) -> list[tuple[float, float, float]]:
    """For each nodule its diameter, mm, and the seconds of a click on it, with all kept and without."""
    kept, found = prepare_ct(scan.ct), []
    for label in np.unique(scan.reference[scan.reference > 0]):
        seed = scan.ct.to_ras(np.array(centre_of(scan.reference == label)))
        first, second, third = (_timed(ct, seed) for ct in (scan.ct, kept, kept))
        found.append((third[0], min(second[1], third[1]), first[1]))
    return found


def _timed(ct, seed: np.ndarray) -> tuple[float, float]:
    began = time.perf_counter()
    result = segment(ct, options, [seed.tolist()], models=models)
    return max((one.mean_axis for one in result.nodules), default=0.0), time.perf_counter() - began


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--threads", type=int, default=2)
arguments = parser.parse_args()
options = Options(seeds_only=True, threads=arguments.threads)
models = open_models(None, "openvino", with_detector=False)
print("| scan | slices | diameter, mm | click, s | with lungs, s |\n|---|---|---|---|---|")
clicks = []
for folder in scan_folders(arguments.data):
    scan = read_scan(folder)
    for diameter, click, whole in rows(scan):
        clicks.append(click)
        print(f"| {scan.patient} | {len(scan.ct.hu)} | {diameter:.0f} | {click:.2f} | {whole:.2f} |", flush=True)
print(f"\na click: median {median(clicks):.2f} s ({min(clicks):.2f} to {max(clicks):.2f}, n = {len(clicks)})")
