"""Outline the nodules at given points, without the detector: `python examples/seeds.py CT R,A,S [R,A,S ...]`.

Points are RAS, mm, as Slicer shows them. The map of heterogeneity is read inside each nodule.
"""

import sys

import lnhg

ct = lnhg.read_ct(sys.argv[1])
seeds = [tuple(float(value) for value in point.split(",")) for point in sys.argv[2:]]
result = lnhg.segment(ct, lnhg.Options(seeds_only=True), seeds=seeds)

for label, nodule in enumerate(result.nodules, 1):
    inside = result.heterogeneity[result.labels == label]  # arrays are [slice, row, column]
    print(f"{label}: {nodule.equivalent_diameter:.1f} mm, heterogeneity {inside.mean():.2f} on average")
