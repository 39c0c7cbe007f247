"""Results of other systems, read from the files that they write. None of these systems was run here on the original
data.

`read_detections` reads all files whose detections lie in the scan as it is, our own among them; NoduleNet's lie in a
crop of it.

| system | files | reader |
|---|---|---|
| nnU-Net, or any that writes label maps | one image a case | `read_labels_on` |
| TotalSegmentator, task `lung_nodules` | a folder a scan with `lung_nodules.nii.gz` | `read_total_segmentator` |
| LUNA16 challenge | CSV: seriesuid, coordX, coordY, coordZ, probability | `read_luna16` |
| MONAI bundle `lung_nodule_ct_detection` | JSON: image, box, label, label_scores | `read_monai_boxes` |
| LNHG, `lnhg batch` | CSV `nodules.csv` | `read_own` |
| NoduleNet | CSV with LUNA16's columns and diameter_mm, in voxels of a lung crop; the crops' folder | `read_nodule_net`
|
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from ..core.csv_text import read_csv
from ..core.ct import CT
from ..core.names import safe_name
from ..core.plain_file import content_of
from ..errors import InputError
from .detection_scores import Detection
from .label_maps import LabelMap, check_same_grid, read_label_map, stem
from .luna16_files import DIAMETER, PLACE, PROBABILITY, SERIES, numbers, read_rows, to_ras

# Columns of the nodules of many scans, as `lnhg batch` writes them.
_SCAN, _CENTRE = "scan", ("centre R (mm)", "centre A (mm)", "centre S (mm)")
_SCORE, _OWN_DIAMETER = "detector score", "equivalent diameter (mm)"
# Beside them it tells what became of each scan.
_COHORT, _STATUS, _UNFINISHED = "cohort.csv", "status", ("failed", "waiting")


def read_labels_on(path: Path, ct: CT, *, alike: bool = False) -> np.ndarray:
    """The nodules of a label map, 1..N, int32 on the grid of `ct`; `alike` as of `read_label_map` (nnU-Net needs
    it).
    """
    found = read_label_map(path, alike=alike)
    check_same_grid(found, LabelMap("its CT", ct.hu, ct.ijk_to_ras))
    return found.labels


def read_total_segmentator(folder: Path, ct: CT) -> np.ndarray:
    """The nodules that TotalSegmentator wrote into `folder` (without its option for one file), 1..N on the grid of
    `ct`.
    """
    path = folder / "lung_nodules.nii.gz"
    if not path.is_file():
        raise InputError(f"{folder} holds no {path.name}; run TotalSegmentator with the task lung_nodules into it.")
    return read_labels_on(path, ct, alike=True)


def read_detections(path: Path) -> list[Detection]:
    """Detections from JSON of MONAI's bundle, `nodules.csv` of `lnhg batch`, or a CSV of the LUNA16 challenge."""
    if path.suffix.lower() == ".json":
        return read_monai_boxes(path)
    columns, _ = read_csv(path, (_SCAN, SERIES))
    return read_own(path) if _SCAN in columns else read_luna16(path)


def read_luna16(path: Path) -> list[Detection]:
    """Detections from a CSV of the LUNA16 challenge; its coordinates are LPS, mm."""
    return [_find(path, row, numbers(path, row, PLACE)) for row in _rows(path)]


def read_own(path: Path) -> list[Detection]:
    """The nodules of many scans in the table of `lnhg batch`, in RAS, mm, by the detector's score.

    Those without one are left out: a seed found them, where another study of the patient shows a nodule.
    """
    detections = []
    for row in read_rows(path, (_SCAN, *_CENTRE, _SCORE, _OWN_DIAMETER)):
        if not row[_SCORE]:
            continue
        r, a, s, score, diameter = numbers(path, row, (*_CENTRE, _SCORE, _OWN_DIAMETER)).tolist()
        detections.append(Detection(row[_SCAN], (r, a, s), diameter, score))
    return detections


def read_unfinished(path: Path) -> dict[str, str]:
    """The scans that `lnhg batch` did not segment, with their status, from the `cohort.csv` beside its table `path`;
    none where there is no such file.
    """
    beside = path.with_name(_COHORT)
    if path.suffix.lower() != ".csv" or not beside.is_file() or _SCAN not in read_csv(path, (_SCAN, SERIES))[0]:
        return {}
    return {row[_SCAN]: row[_STATUS] for row in read_rows(beside, (_SCAN, _STATUS)) if row[_STATUS] in _UNFINISHED}


def read_nodule_net(path: Path, preprocessed: Path) -> list[Detection]:
    """Detections from a CSV of NoduleNet (`submission_rcnn.csv`), whose coordinates are voxels of its own resampled
    lung crop.

    Args:
        preprocessed: NoduleNet's folder of preprocessed scans, which tells for each scan its origin (LPS, mm), the
            voxels'
            width (mm) and where the crop begins (voxels): `UID_origin.npy`, `UID_spacing.npy`, `UID_ebox_origin.npy`,
            each in the order z, y, x.
    """
    crops: dict[str, list[np.ndarray]] = {}
    detections = []
    for row in _rows(path):
        if row[SERIES] not in crops:
            crops[row[SERIES]] = [
                _crop_figures(preprocessed, row[SERIES], name) for name in ("origin", "spacing", "ebox_origin")
            ]
        origin, spacing, corner = crops[row[SERIES]]
        detections.append(_find(path, row, origin + spacing * (corner + numbers(path, row, PLACE))))
    return detections


def _crop_figures(folder: Path, series: str, name: str) -> np.ndarray:
    """What NoduleNet stored of a scan, along x, y and z."""
    if safe_name(series) != series:  # a path would lead out of the folder
        raise InputError(f"{series!r} is not the name of a scan; give NoduleNet's file as it was written.")
    path = folder / f"{series}_{name}.npy"
    try:
        figures = np.asarray(np.load(path), float)
    except (OSError, ValueError, TypeError, EOFError, ArithmeticError) as error:
        raise InputError(
            f"{path.name} cannot be read in {folder}; give NoduleNet's folder of preprocessed scans."
        ) from error
    if figures.shape != (3,) or not np.isfinite(figures).all():
        raise InputError(f"{path.name} does not hold three figures; give NoduleNet's folder of preprocessed scans.")
    return figures[::-1]


def read_monai_boxes(path: Path) -> list[Detection]:
    """Detections from the JSON of MONAI's bundle: boxes are centre and size, LPS, mm; a scan is named as its image
    file.
    """
    try:
        return [detection for one in json.loads(content_of(path)) for detection in _boxes(one)]
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
        raise InputError(
            f"{path.name} is no result of MONAI's lung_nodule_ct_detection; it needs a list of image, box and "
            f"label_scores."
        ) from error


def _boxes(one: Mapping[str, object]) -> Iterable[Detection]:
    image = Path(str(one["image"]))
    boxes, scores = np.reshape(np.asarray(one["box"], float), (-1, 6)), np.ravel(np.asarray(one["label_scores"], float))
    if not np.isfinite(boxes).all() or not np.isfinite(scores).all():
        raise ValueError("figures that are not finite")
    for box, score in zip(boxes, scores, strict=True):
        yield Detection(stem(image) or image.stem, to_ras(box[:3]), float(box[3:].mean()), float(score))


def _rows(path: Path) -> list[dict[str, str]]:
    return read_rows(path, (SERIES, *PLACE, PROBABILITY))


def _find(path: Path, row: Mapping[str, str], lps: np.ndarray) -> Detection:
    (score,) = numbers(path, row, [PROBABILITY])
    (diameter,) = numbers(path, row, [DIAMETER]) if row.get(DIAMETER) else (math.nan,)
    return Detection(row[SERIES], to_ras(lps), float(diameter), float(score))
