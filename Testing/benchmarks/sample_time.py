"""Seconds to draw the full sample CT (512 x 512 x 120), three runs: `python Testing/benchmarks/sample_time.py`."""

from __future__ import annotations

import time

from lnhg.phantom import chest_phantom

for seed in range(3):
    began, busy = time.perf_counter(), time.process_time()
    chest_phantom(seed)
    print(f"seed {seed}: {time.perf_counter() - began:.1f} s, {time.process_time() - busy:.1f} s of CPU")
