"""What the maps of heterogeneity cost, beside the generate stage of the same run.

`python Testing/benchmarks/map_time.py --data DATA` seeds the reference nodules of the labelled whole scans and prints
the seconds of the generate stage, and of each kind of map (aim: at most twice those of generate).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from lnhg import pipeline
from lnhg.core.ct import CT
from lnhg.data.scans import read_scan
from lnhg.data.training_data import scan_folders
from lnhg.evaluation.seeded import centre_of
from lnhg.networks.models import open_models
from lnhg.options import Options
from lnhg.stages.prepared import PreparedCT, prepare_ct

KINDS = ("deviation", "twin", "inverse")
_make_map = pipeline.nodule_map
_map_seconds: list[float] = []


def _timed_map(*of):
    began = time.perf_counter()
    made = _make_map(*of)
    _map_seconds.append(time.perf_counter() - began)
    return made


def seconds_of(ct: CT | PreparedCT, seeds: list[list[float]], kind: str) -> tuple[float, float]:
    """Seconds of the generate stage and of the map, the quicker of two runs."""
    options = Options(seeds_only=True, heterogeneity=kind, threads=arguments.threads)
    runs = [pipeline.segment(ct, options, seeds, models=models) for _ in range(2)]
    return min(run.provenance["seconds"]["generate"] for run in runs), min(_map_seconds[-2:])


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--threads", type=int, default=2)
arguments = parser.parse_args()
models = open_models(None, "openvino", with_detector=False)
pipeline.nodule_map = _timed_map
total = np.zeros(1 + len(KINDS))
print("| scan | nodules | generate, s | " + " | ".join(f"{kind}, s" for kind in KINDS) + " |")
print("|---" * (3 + len(KINDS)) + "|")
for folder in scan_folders(arguments.data):
    scan = read_scan(folder)
    kept = prepare_ct(scan.ct)
    labels = np.unique(scan.reference[scan.reference > 0])
    seeds = [scan.ct.to_ras(np.array(centre_of(scan.reference == label))).tolist() for label in labels]
    if seeds:
        found = [seconds_of(kept, seeds, kind) for kind in KINDS]
        row = [min(generate for generate, _ in found), *(seconds for _, seconds in found)]
        total += row
        print(f"| {scan.patient} | {len(seeds)} | " + " | ".join(f"{one:.2f}" for one in row) + " |", flush=True)
shares = (f"{kind} {seconds / total[0]:.2f}" for kind, seconds in zip(KINDS, total[1:], strict=True))
print(f"\nof the generate stage's time: {', '.join(shares)}")
