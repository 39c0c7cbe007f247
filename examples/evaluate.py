"""Compare a label map with a reference on the same grid: `python examples/evaluate.py LABELS REFERENCE`."""

import sys
from pathlib import Path

from lnhg.evaluation.label_maps import check_same_grid, read_label_map
from lnhg.evaluation.measures import match_nodules

found, reference = (read_label_map(Path(path)) for path in sys.argv[1:3])
check_same_grid(found, reference)

for match in match_nodules(reference.labels, found.labels):
    print(f"{match.reference}: Dice {match.dice:.2f}")
