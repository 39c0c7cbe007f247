"""How long a run in Slicer takes until it tells of the first nodule, without the window.

`python Testing/benchmarks/first_nodule.py CT [--repeats 3] [OPTIONS OF lnhg segment]` starts the process that the panel
starts, on the CT as the panel writes it; to be run with nothing else running. In Slicer itself the drive
`early_nodules` measures from the click on.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median

from clock import PARTS, run_of

from lnhg.core.nrrd_file import write_nrrd
from lnhg.readers.read_ct import read_ct

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("ct", type=Path)
parser.add_argument("--repeats", type=int, default=3)
arguments, options = parser.parse_known_args()
with tempfile.TemporaryDirectory() as folder:
    ct, path = read_ct(arguments.ct), Path(folder) / "ct.nrrd"
    write_nrrd(path, ct.hu, ct.ijk_to_ras, packed=False)
    runs = [run_of(path, ["--for-scene", *options]) for _ in range(arguments.repeats)]
failed = [run["error"] for run in runs if "error" in run]
if failed:
    parser.exit(1, f"A run {failed[0]}.\n")
for name, seconds in (
    ("first nodule told", [run["found"] for run in runs]),
    ("whole run", [run["clock"] for run in runs]),
    *((f"  {part}", [run["parts"][part] for run in runs]) for part in PARTS),
):
    known = [one for one in seconds if one is not None]
    told = f"{median(known):.1f} s ({min(known):.1f} to {max(known):.1f}, n = {len(known)})" if known else "none"
    print(f"{name}: {told}")
print(runs[0]["device"])
