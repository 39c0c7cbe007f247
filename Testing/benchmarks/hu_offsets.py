"""From which offset on HU of real scans are warned of, down (also where all below -1024 is cut off) and up.

`python Testing/benchmarks/hu_offsets.py --data DATA`; the whole scans of `*_scans/` and `lung_pet_ct_dx/`. An offset
counts from where it and all larger ones up to 300 HU are seen.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from lnhg.core.ct import AIR_HU
from lnhg.readers.hu_offset import Spread
from lnhg.readers.read_ct import read_ct

STEP, LARGEST, MOST_VOXELS = 10, 300, 1_000_000


def seen_from(hu: np.ndarray, extent: np.ndarray, side: int, lowest: int) -> int:
    """The smallest offset on a side (-1: down) from which on all are seen."""
    least = LARGEST + STEP
    for offset in range(LARGEST, 0, -STEP):
        spread = Spread.of(np.maximum(hu + side * offset, lowest), extent)
        if spread.offset is None and spread.offset_of_one is None:
            break
        least = offset
    return least


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data", type=Path, required=True)
data = parser.parse_args().data
places = [*data.glob("*_scans/*/ct.nrrd"), *data.glob("lung_pet_ct_dx/*/ct.nrrd")]
places += {path.parent for path in data.glob("*_scans/*/*.dcm")}
print("| scan | as it is | down from | down, cut off, from | up from |\n|---|---|---|---|---|")
for place in sorted(places):
    ct = read_ct(place)
    extent = np.multiply(ct.spacing, ct.hu.shape[::-1])
    stride = max(1, round((ct.hu.size / MOST_VOXELS) ** 0.5))
    hu = ct.hu[:, ::stride, ::stride].astype(np.int32)
    whole = Spread.of(hu, extent)
    said = "seen" if whole.offset is not None or whole.offset_of_one is not None else "-"
    found = [seen_from(hu, extent, side, lowest) for side, lowest in ((-1, -32768), (-1, AIR_HU), (1, AIR_HU))]
    name = place.name if place.is_dir() else place.parent.name
    print(f"| {name} | {said} | {' | '.join(map(str, found))} |", flush=True)
