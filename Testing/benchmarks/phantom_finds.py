"""What is found in synthetic chests of several shapes: planted nodules, and places that are none.

`python Testing/benchmarks/phantom_finds.py [--seeds 2]` prints a row for each chest. The vessels of these chests are
compared with real ones by `phantom_vessels.py`; nothing is trained on them.
"""

from __future__ import annotations

import argparse

import numpy as np
from phantom_vessels import SHAPES

from lnhg.networks.models import open_models
from lnhg.options import Options
from lnhg.phantom.sample import chest_phantom
from lnhg.pipeline import segment
from lnhg.stages.fusion import CONFIRMED

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seeds", type=int, default=2, help="synthetic chests of each shape")
parser.add_argument("--threads", type=int, default=1)
arguments = parser.parse_args()
models = open_models()
print("| shape | seed | nodules found | other places confirmed: probability, mm |\n|---|---|---|---|")
for shape in SHAPES:
    for seed in range(arguments.seeds):
        phantom = chest_phantom(seed, shape)
        result = segment(phantom.ct, Options(threads=arguments.threads), models=models)
        confirmed = [nodule for nodule in result.nodules if nodule.status == CONFIRMED]
        hits = {nodule.id: set(np.unique(phantom.labels[result.labels == nodule.id])) - {0} for nodule in confirmed}
        found = set().union(*hits.values())
        others = [f"{nodule.score:.2f}, {nodule.long_axis:.0f}" for nodule in confirmed if not hits[nodule.id]]
        told = f"{len(others)}: {'; '.join(others)}" if others else "0"
        print(f"| {shape} | {seed} | {len(found)} of {len(phantom.kinds)} | {told} |", flush=True)
