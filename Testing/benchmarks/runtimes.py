"""Both runtimes on the same CTs: do they find the same, and how long do they take?

`python Testing/benchmarks/runtimes.py CT... [--threads 1]` prints a row for each CT: voxels whose label differs,
the largest difference of a nodule's score and of its map, and of each runtime the processor's and the clock's seconds.
On a computer that does other things too, the processor's are the ones to read.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from lnhg.core.ct import CT
from lnhg.core.result import Result
from lnhg.networks.models import Models, open_models
from lnhg.options import Options
from lnhg.pipeline import segment
from lnhg.readers.read_ct import read_ct


def timed(ct: CT, models: Models, threads: int) -> tuple[Result, str]:
    """The result, and what it took: processor, clock."""
    cpu, clock = time.process_time(), time.perf_counter()
    result = segment(ct, Options(device="cpu", threads=threads), models=models)
    stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in result.provenance["seconds"].items())  # type: ignore[attr-defined]
    return result, f"{time.process_time() - cpu:.1f}, {time.perf_counter() - clock:.1f} ({stages})"


def compared(name: str, one: Result, other: Result) -> str:
    """How two results of a CT differ."""
    scores = [[nodule.score or 0.0 for nodule in result.nodules] for result in (one, other)]
    same_count = len(scores[0]) == len(scores[1])
    far = np.abs(np.subtract(*scores)).max(initial=0) if same_count else np.nan
    voxels = np.count_nonzero(one.labels != other.labels)
    uneven = np.abs(one.heterogeneity - other.heterogeneity)[(one.labels > 0) & (other.labels > 0)].max(initial=0)
    return f"{name} | {len(scores[0])}, {len(scores[1])} | {voxels} | {far:.1e} | {uneven:.1e}"


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("cts", type=Path, nargs="+")
parser.add_argument("--threads", type=int, default=1)
arguments = parser.parse_args()
both = [open_models(None, runtime) for runtime in ("torch", "openvino")]
print("| CT | nodules | voxels that differ | scores | map | PyTorch: processor, clock (s) | OpenVINO |")
print("|---|---|---|---|---|---|---|")
for path in arguments.cts:
    ct = read_ct(path)
    (one, took), (other, took_other) = (timed(ct, models, arguments.threads) for models in both)
    print(f"| {compared(path.parent.name, one, other)} | {took} | {took_other} |", flush=True)
