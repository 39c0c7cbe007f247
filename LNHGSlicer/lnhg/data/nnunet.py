"""The cut-outs as a raw dataset of nnU-Net (version 2), trained on and scored on the same patients as our own
networks.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core.nrrd_file import write_nrrd
from ..errors import InputError
from .cutouts import Cutout, read_cutouts
from .splits import list_of

_ENDING = ".nrrd"


def write_nnunet(data: Path, output: Path, number: int = 501) -> Path:
    """Write `DatasetNNN_LungNodules` into the folder `output` (nnU-Net's `nnUNet_raw`); returns its path.

    Patients of the lists `train` and `select` become training cases with one fixed split (`splits_final.json`: fitted
    on `train`, validated on `select`), those of `report` test cases with their labels in `labelsTs`. A case is a
    cut-out in HU; its label is the 50% consensus, 1.

    Raises InputError where the dataset is there already or `data` holds no cut-outs.
    """
    if not 1 <= number <= 999:
        raise InputError(f"nnU-Net numbers datasets from 1 to 999, not {number}; choose one of these.")
    target = output / f"Dataset{number:03d}_LungNodules"
    if target.exists():
        raise InputError(f"{target} is there already; remove it or choose another number.")
    cutouts = read_cutouts(data / "lidc_nodules")
    names = {part: [c.name for c in cutouts if list_of(c.patient) == part] for part in ("train", "select", "report")}
    if not names["train"]:
        raise InputError(f"{data} holds no cut-outs of patients to train on; give the development data.")
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".lnhg-", dir=output) as unfinished:
        partial = Path(unfinished) / target.name
        _write_dataset(partial, cutouts, names)
        os.replace(partial, target)
    return target


def _write_dataset(partial: Path, cutouts: Sequence[Cutout], names: Mapping[str, Sequence[str]]) -> None:
    for folder in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
        (partial / folder).mkdir(parents=True)
    for cutout in cutouts:
        _write_case(partial, cutout)
    _write_json(partial / "dataset.json", _description(len(names["train"]) + len(names["select"])))
    _write_json(partial / "splits_final.json", [{"train": names["train"], "val": names["select"]}])


def _write_case(folder: Path, cutout: Cutout) -> None:
    part = "Ts" if list_of(cutout.patient) == "report" else "Tr"
    write_nrrd(folder / f"images{part}" / f"{cutout.name}_0000{_ENDING}", cutout.ct.hu, cutout.ct.ijk_to_ras)
    write_nrrd(
        folder / f"labels{part}" / f"{cutout.name}{_ENDING}", cutout.consensus.astype(np.uint8), cutout.ct.ijk_to_ras
    )


def _description(cases: int) -> dict[str, Any]:
    return {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "nodule": 1},
        "numTraining": cases,
        "file_ending": _ENDING,
        "overwrite_image_reader_writer": "SimpleITKIO",
        "name": "LungNodules",
        "description": "Cut-outs around lung nodules of LIDC-IDRI, consensus of at least half of the readers",
        "licence": "CC BY 3.0",
    }


def _write_json(path: Path, values: object) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n")
