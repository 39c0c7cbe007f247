"""Find the nodules of a chest CT and write the results: `python examples/segment.py CT FOLDER`."""

import sys

import lnhg

ct = lnhg.read_ct(sys.argv[1])  # a DICOM folder, or a NRRD, MHA or NIfTI file in HU
result = lnhg.segment(ct, lnhg.Options(device="cpu"))

for nodule in result.nodules:
    print(f"{nodule.id}: {nodule.status}, {nodule.type}, {nodule.side}, {nodule.equivalent_diameter:.1f} mm")
for name, path in lnhg.save(result, sys.argv[2]).items():
    print(f"{name}: {path}")
