"""What the windpipe shows of CTs as they are and turned against their headers, one line a CT.

python Testing/benchmarks/exchanged_directions.py CT...
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from lnhg.core.ct import CT
from lnhg.readers.read_ct import read_ct
from lnhg.stages.axial import axial_order
from lnhg.stages.lungs import lung_regions
from lnhg.stages.lying import exchanged

_ALL, _BACK = slice(None), slice(None, None, -1)
_TURNED = {
    "as it is": (_ALL, _ALL, _ALL),
    "upside down": (_BACK, _ALL, _ALL),
    "back to front": (_ALL, _BACK, _ALL),
    "both": (_BACK, _BACK, _ALL),
    "mirrored": (_ALL, _ALL, _BACK),
}


def main() -> None:
    for place in sys.argv[1:]:
        ct = axial_order(read_ct(place)).ct
        lungs = lung_regions(ct)
        told = []
        for name, turn in _TURNED.items():
            turned = CT(np.ascontiguousarray(ct.hu[turn]), ct.ijk_to_ras)
            told.append(f"{name}: {', '.join(exchanged(turned, lungs[turn])) or '-'}")
        print(f"{Path(place).parent.name}/{Path(place).name}  {'; '.join(told)}", flush=True)


if __name__ == "__main__":
    main()
