"""Does the detector find the same nodules, and no more false ones, in scans of another kind?

`python Testing/benchmarks/detector_robustness.py --data DATA` changes every cut-out and cube of the report patients
(noise, dose, kernel, slice thickness, half a pixel, rounding) and prints the share that is found at the default score;
then whole scans that were not trained on, with the default options: nodules found and false positives.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from lnhg.data.cutouts import Cutout
from lnhg.data.rounding import Rounding
from lnhg.data.scans import LabelledScan, read_scan
from lnhg.data.splits import list_of
from lnhg.data.training_data import cutouts_of, scan_folders
from lnhg.evaluation.detector_sensitivity import cutout_score
from lnhg.evaluation.statistics import bootstrap_interval, poisson_rate
from lnhg.networks.models import open_models
from lnhg.studies.perturbations import PERTURBATIONS, Perturbation
from lnhg.studies.whole_scans import outcome_of


def rounded(cutout: Cutout) -> Cutout:
    return replace(cutout, ct=replace(cutout.ct, hu=Rounding().apply(cutout.ct.hu)))


CHANGES = (
    Perturbation("as it is", "", lambda cutout: cutout),
    *(one for one in PERTURBATIONS if one.name != "other reader"),
    Perturbation("rounding", "HU in steps of 8", rounded),
)


def changed(scan: LabelledScan, change: Perturbation) -> LabelledScan:
    """The whole scan, changed as a cut-out is; by half a pixel its CT moves and its reference stays."""
    whole = Cutout(scan.patient, scan.patient, scan.ct, np.zeros((1, 1, 1), np.uint8), 1, {})
    return replace(scan, ct=replace(change.apply(whole).ct, ijk_to_ras=scan.ct.ijk_to_ras))


def nodule_rows(cutouts: list[Cutout], plain: np.ndarray | None = None) -> None:
    detector = models.start("cpu", arguments.threads, None).detector()
    grid, threshold = models.grid("detector"), models.threshold("detector", None)
    patients = [cutout.patient for cutout in cutouts]
    print(f"{len(cutouts)} nodules of {len(set(patients))} patients, at a score of {threshold:g}:\n")
    print("| change | found | less than as it is |\n|---|---|---|")
    for change in CHANGES:
        scores = [cutout_score(change.apply(one), detector, grid, lowest=threshold) for one in cutouts]
        found = (np.array(scores) >= threshold).astype(float)
        plain = found if plain is None else plain
        lost = bootstrap_interval(plain - found, patients)
        print(f"| {change.name} | {bootstrap_interval(found, patients).told()} | {lost.told()} |", flush=True)


def scan_rows(scans: list[LabelledScan]) -> None:
    print(f"\n{len(scans)} whole scans that were not trained on:\n")
    print("| change | nodules found | false positives a scan |\n|---|---|---|")
    for change in CHANGES:
        outcomes = [outcome_of(changed(scan, change), models, "") for scan in scans]
        found = [bool(nodule.label) for one in outcomes for nodule in one.references]
        false = poisson_rate(sum(one.false for one in outcomes), len(scans))
        print(f"| {change.name} | {sum(found)} of {len(found)} | {false.told('.1f')} |", flush=True)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--every", type=int, default=1, help="take every so many-th nodule")
parser.add_argument("--threads", type=int, default=1)
arguments = parser.parse_args()
models = open_models(None, "openvino")
nodule_rows(cutouts_of(arguments.data, "report")[:: arguments.every])
folders = [folder for folder in scan_folders(arguments.data) if list_of(folder.name) != "train"]
scan_rows([read_scan(folder) for folder in folders])
