"""How long the registration of two studies takes.

`python Testing/benchmarks/registration_time.py [--slices 300]` draws a synthetic patient in two studies and prints the
seconds of the lungs and of the registration, with how well they lie on each other; to be run with nothing else running.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

from lnhg.followup.registration import LungScan, register
from lnhg.phantom.sample import followed_phantoms

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--slices", type=int, default=300)
parser.add_argument("--repeats", type=int, default=3)
arguments = parser.parse_args()
earlier, later, *_ = (phantom.ct for phantom in followed_phantoms(0, (arguments.slices, 512, 512)))
lungs, registrations = [], []
for _ in range(arguments.repeats):
    began = time.perf_counter()
    scans = LungScan.of(earlier), LungScan.of(later)
    lungs.append(time.perf_counter() - began)
    registration = register(*scans)
    registrations.append(time.perf_counter() - began - lungs[-1])
for name, seconds in (("lungs of both studies", lungs), ("registration", registrations)):
    print(f"{name}: {median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f}, n = {len(seconds)})")
fit = registration.fit
print(f"error at vessels: median {fit.median_mm:.2f} mm, 95% within {fit.most_mm:.2f} mm")
