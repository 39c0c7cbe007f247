"""Results of other systems, read from the files that they write. None of these systems was run here on the original data.

| system | files | reader |
|---|---|---|
| nnU-Net, or any that writes label maps | one image a case | `read_labels_on` |
| TotalSegmentator, task `lung_nodules` | a folder a scan with `lung_nodules.nii.gz` | `read_total_segmentator` |
| LUNA16 challenge | CSV: seriesuid, coordX, coordY, coordZ, probability | `read_luna16` |
| MONAI bundle `lung_nodule_ct_detection` | JSON: image, box, label, label_scores | `read_monai_boxes` |
| NoduleNet | CSV with diameter_mm beside LUNA16's columns, in voxels of its own lung crop | `read_nodule_net` |
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from ..ct import CT
from ..errors import InputError
from .detection_scores import Find
from .label_maps import LabelMap, check_same_grid, read_label_map, stem

_LUNA16 = ("seriesuid", "coordX", "coordY", "coordZ", "probability")


def read_labels_on(path: Path, ct: CT, *, alike: bool = False) -> np.ndarray:
    """The nodules of a label map, 1..N, int32 on the grid of `ct`; `alike` as of `read_label_map` (nnU-Net needs it)."""
    found = read_label_map(path, alike=alike)
    check_same_grid(found, LabelMap("its CT", ct.hu, ct.ijk_to_ras))
    return found.labels


def read_total_segmentator(folder: Path, ct: CT) -> np.ndarray:
    """The nodules that TotalSegmentator wrote into `folder` (without its option for one file), 1..N on the grid of `ct`."""
    path = folder / "lung_nodules.nii.gz"
    if not path.is_file():
        raise InputError(f"{folder} holds no {path.name}; run TotalSegmentator with the task lung_nodules into it.")
    return read_labels_on(path, ct, alike=True)


def read_luna16(path: Path) -> list[Find]:
    """Finds from a CSV of the LUNA16 challenge; its coordinates are LPS, mm."""
    return [_find(path, row, _numbers(path, row, _LUNA16[1:4])) for row in _rows(path)]


def read_nodule_net(path: Path, corners: Mapping[str, tuple[float, float, float]]) -> list[Find]:
    """Finds from a CSV of NoduleNet (`submission_rcnn.csv`), whose coordinates are voxels of 1 mm in its own lung crop.

    Args:
        corners: by scan, where voxel 0 of the crop lies (LPS, mm): the scan's origin plus the crop's offset, which NoduleNet's
            preprocessing stores beside each scan.
    """
    finds = []
    for row in _rows(path):
        if row["seriesuid"] not in corners:
            raise InputError(f"{path.name} names the scan {row['seriesuid']}, whose lung crop is not given; give its corner.")
        lps = np.add(_numbers(path, row, _LUNA16[1:4]), corners[row["seriesuid"]])
        finds.append(_find(path, row, lps))
    return finds


def read_monai_boxes(path: Path) -> list[Find]:
    """Finds from the JSON of MONAI's bundle: boxes are centre and size, LPS, mm; a scan is named as its image file."""
    try:
        return [find for one in json.loads(path.read_text()) for find in _boxes(one)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path.name} is no result of MONAI's lung_nodule_ct_detection; it needs a list of image, box and label_scores."
        ) from error


def _boxes(one: Mapping[str, object]) -> Iterable[Find]:
    image = Path(str(one["image"]))
    boxes = np.reshape(np.asarray(one["box"], float), (-1, 6))
    for box, score in zip(boxes, np.ravel(np.asarray(one["label_scores"], float)), strict=True):
        yield Find(stem(image) or image.stem, _ras(box[:3]), float(box[3:].mean()), float(score))


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} cannot be read as CSV; give the file that the system wrote.") from error
    if not rows or not set(_LUNA16) <= rows[0].keys():
        raise InputError(f"{path.name} is no table of finds; it needs rows with the columns {', '.join(_LUNA16)}.")
    return rows


def _find(path: Path, row: Mapping[str, str], lps: np.ndarray) -> Find:
    (score,) = _numbers(path, row, ["probability"])
    (diameter,) = _numbers(path, row, ["diameter_mm"]) if row.get("diameter_mm") else (math.nan,)
    return Find(row["seriesuid"], _ras(lps), float(diameter), float(score))


def _numbers(path: Path, row: Mapping[str, str], names: Iterable[str]) -> np.ndarray:
    try:
        return np.array([float(row[name]) for name in names])
    except (TypeError, ValueError) as error:
        raise InputError(f"{path.name} holds a row without numbers ({row['seriesuid']}); write it again.") from error


def _ras(lps: np.ndarray) -> tuple[float, float, float]:
    left, posterior, superior = (float(value) for value in lps)
    return -left, -posterior, superior
