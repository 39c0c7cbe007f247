"""Segment every NRRD file of a folder into one table: `python examples/folder.py SCANS TABLE.csv`.

For thousands of scans, several at a time and going on after a stop, there is `lnhg batch`.
"""

import csv
import sys
from pathlib import Path

import lnhg

with Path(sys.argv[2]).open("w", newline="", encoding="utf-8") as file:
    table = csv.writer(file)
    table.writerow(["scan", "nodule", "status", "diameter_mm", "mean_hu"])
    for path in sorted(Path(sys.argv[1]).glob("*.nrrd")):
        try:
            result = lnhg.segment(lnhg.read_ct(path))
        except lnhg.LNHGError as error:  # one sentence that says what is wrong with this scan
            print(f"{path.name}: {error}", file=sys.stderr)
            continue
        for nodule in result.nodules:
            table.writerow(
                [path.stem, nodule.id, nodule.status, f"{nodule.equivalent_diameter:.1f}", f"{nodule.hu_mean:.0f}"]
            )
