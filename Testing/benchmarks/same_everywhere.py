"""Whether the generator run in and around the candidates gives what it gives when run everywhere, on whole scans.

`python Testing/benchmarks/same_everywhere.py CT [CT ...]`; a scan of 133 slices takes about three minutes on two cores.
Voxels of G(x) within 1e-4 of an edge may fall on either side of it, so labels that differ are counted, and the largest
difference of G(x) inside the nodules is told.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from lnhg.networks.torch_models import load_models
from lnhg.options import Options
from lnhg.pipeline import segment
from lnhg.readers.read_ct import read_ct

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("ct", type=Path, nargs="+", help="image file or folder of DICOM files")
parser.add_argument("--threads", type=int)
arguments = parser.parse_args()

models = load_models()
print(
    "| CT | nodules | voxels of nodules | labels that differ | largest difference of G(x) inside "
    "|\n|---|---|---|---|---|"
)
for path in arguments.ct:
    ct = read_ct(path)
    around, everywhere = (
        segment(ct, Options(threads=arguments.threads, full_generator=full), models=models) for full in (False, True)
    )
    inside = around.labels > 0
    differing = np.count_nonzero(around.labels != everywhere.labels)
    largest = np.abs(around.image[inside] - everywhere.image[inside]).max(initial=0)
    name = path.parent.name if path.is_file() else path.name
    print(f"| {name} | {len(around.nodules)} | {np.count_nonzero(inside)} | {differing} | {largest:.2g} |", flush=True)
