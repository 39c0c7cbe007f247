"""What the networks of one run compute, and how long the generator takes everywhere: each in a process of its own.

`python Testing/benchmarks/networks_alone.py arithmetic CT` and `... everywhere CT --runtime RUNTIME` print one line of
JSON; `speed.py` runs both.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lnhg.core.ct import CT
from lnhg.networks.models import open_models
from lnhg.options import Options
from lnhg.pipeline import segment
from lnhg.progress import Progress
from lnhg.readers.read_ct import read_ct

# The generator is run everywhere on this many blocks of so many slices, not on the whole CT.
BLOCKS, BLOCK = 3, 4
#: Ways of running it everywhere, by the option of `lnhg segment`.
WAYS: Mapping[str, Mapping[str, Any]] = {
    "--full-generator": {"full_generator": True},
    "--fusion paper": {"fusion": "paper"},
}


def arithmetic(ct: CT, threads: int | None) -> dict[str, float]:
    """Multiplications and additions (FLOP) of the convolutions and matrix products in each stage of a run.

    Counted with PyTorch; OpenVINO's graphs were made from the same networks, and a run looks at the same slices and
    tiles.
    """
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    so_far: dict[str, list[int]] = {}

    def note(progress: Progress) -> None:
        so_far.setdefault(progress.stage, []).append(counter.get_total_flops())

    with counter:
        segment(ct, Options(device="cpu", threads=threads), progress=note, models=open_models(None, "torch"))
    return {stage: float(counts[-1] - counts[0]) for stage, counts in so_far.items() if counts[-1] > counts[0]}


def everywhere(ct: CT, runtime: str, threads: int | None) -> dict[str, list[float]]:
    """Seconds of the generate and fuse stages for the whole CT, extrapolated from a few blocks of slices, by `WAYS`."""
    models = open_models(None, runtime, with_detector=False)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(BLOCKS):
        first = (number + 1) * len(ct.hu) // (BLOCKS + 1)
        block = replace(ct, hu=ct.hu[first : first + BLOCK], instance_numbers=None)
        seed = block.to_ras(np.array([*block.hu.shape[:0:-1], 2]) // 2).tolist()
        for way, options in WAYS.items():
            chosen = Options(device="cpu", threads=threads, seeds_only=True, **options)
            stages: Any = segment(block, chosen, [seed], models=models).provenance["seconds"]
            seconds[way].append((stages["generate"] + stages["fuse"]) / BLOCK * len(ct.hu))
        print(f"generator everywhere, {runtime}: block {number + 1} of {BLOCKS}", file=sys.stderr, flush=True)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("arithmetic", "everywhere"))
    parser.add_argument("ct", type=Path)
    parser.add_argument("--runtime", default="torch", choices=("openvino", "torch"))
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    ct = read_ct(arguments.ct)
    if arguments.what == "arithmetic":
        print(json.dumps(arithmetic(ct, arguments.threads)))
    else:
        print(json.dumps(everywhere(ct, arguments.runtime, arguments.threads)))


if __name__ == "__main__":
    main()
