"""How well the hint on calcification agrees with readers: area under the ROC of the 95th percentile of HU.

    python Testing/benchmarks/calcification.py --data DATA

Of the nodules of `DATA/lidc_nodules`, within the consensus of their readers. Positive: rated as calcified (mean rating
of LIDC's `Calcification` below 6, which is `absent`). The interval is a bootstrap over patients.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy.stats import rankdata

from lnhg.stages.benign_hints import CALCIFIED_HU, dense_hu

_ABSENT = 6.0
_DRAWS = 2000


def area(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC, by ranks."""
    ranks, count = rankdata(scores), int(positive.sum())
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(scores) - count)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with lidc_nodules/")
    folder = parser.parse_args().data / "lidc_nodules"
    with (folder / "nodules.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row["readers"]) <= 4]
    scores = np.array([_score(folder, row) for row in rows])
    known = ~np.isnan(scores)
    scores = scores[known]
    positive = np.array([float(row["Calcification"]) < _ABSENT for row in rows])[known]
    patients = np.array([row["patient"] for row in rows])[known]
    low, high = np.percentile(list(_drawn(scores, positive, patients)), [2.5, 97.5])
    print(f"nodules: {len(scores)} of {len(set(patients))} patients, rated as calcified: {positive.sum()}")
    print(
        f"area under the ROC of the 95th percentile of HU: {area(scores, positive):.3f} (95% {low:.3f} to {high:.3f})"
    )
    flagged = scores >= CALCIFIED_HU
    print(f"flagged from {CALCIFIED_HU} HU on: {flagged[positive].sum()} of {positive.sum()} calcified, "
          f"{flagged[~positive].sum()} of {(~positive).sum()} others")  # fmt: skip


def _score(folder: Path, row: dict[str, str]) -> float:
    files = (folder / f"{row['nodule']}.{name}.nrrd" for name in ("ct", "readers"))
    hu, readers = (sitk.GetArrayFromImage(sitk.ReadImage(str(file))) for file in files)
    votes = sum((readers.astype(int) >> bit) & 1 for bit in range(8))
    inside = hu[2 * votes >= int(row["readers"])]
    return dense_hu(inside) if inside.size else float("nan")


def _drawn(scores: np.ndarray, positive: np.ndarray, patients: np.ndarray):
    names, places = np.unique(patients, return_inverse=True)
    of_patient = [np.flatnonzero(places == number) for number in range(len(names))]
    random = np.random.default_rng(1)
    for _ in range(_DRAWS):
        some = np.concatenate([of_patient[number] for number in random.integers(0, len(names), len(names))])
        yield area(scores[some], positive[some])


if __name__ == "__main__":
    main()
