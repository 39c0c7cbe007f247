"""Who is trained on: every patient belongs to one of three fixed lists, and so do all of a patient's nodules and scans.

`train` fits weights, `select` chooses thresholds and checkpoints, `report` gives the figures that are printed.
"""

from __future__ import annotations

# Patients with a whole scan are placed by hand, so that each list has scans with nodules.
_PLACED = {
    "LIDC-IDRI-0001": "train",
    "LIDC-IDRI-0005": "train",
    "LIDC-IDRI-0028": "train",
    "LIDC-IDRI-0063": "select",
    "LIDC-IDRI-0306": "select",
    "LIDC-IDRI-0023": "report",
}

LISTS = ("train", "select", "report")


def list_of(patient: str) -> str:
    """`train`, `select` or `report`. LIDC-IDRI patients go by the last digit of their number: 0 and 1 report, 2 select.

    Patients of other collections are trained on, except those of Lung-PET-CT-Dx, which report.
    """
    if patient in _PLACED:
        return _PLACED[patient]
    if patient.startswith("LIDC-IDRI-"):
        return {"0": "report", "1": "report", "2": "select"}.get(patient[-1], "train")
    return "report" if patient.startswith("Lung-PET-CT-Dx") else "train"
