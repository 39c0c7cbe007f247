"""Detections of any system on whole scans against their nodules: FROC by the rule of LUNA16, centre within the
radius.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..data.scans import read_scan
from ..errors import InputError
from .detection_scores import Detection, ScanDetections, judged_detections
from .detections import ReferenceNodule, reference_nodules
from .label_maps import label_files, read_label_map
from .luna16_files import NODULES, read_annotations


def read_references(folder: Path) -> dict[str, list[ReferenceNodule]]:
    """The nodules of each scan, by the scan's name; scans without any count too.

    Args:
        folder: the annotations of LUNA16 (`luna16_files`), labelled scans (`data.scans`), or a label map for each scan,
            named like it.

    Raises InputError for anything else, and where there is no nodule at all.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder} is no folder; detections are held against a folder of label maps or LUNA16's annotations."
        )
    if (folder / NODULES).is_file():
        scans = read_annotations(folder)
    elif labelled := sorted(ct.parent for ct in folder.glob("*/ct.nrrd")):
        read = map(read_scan, labelled)
        scans = {scan.patient: reference_nodules(scan.reference, scan.ct.ijk_to_ras, scan.doubtful) for scan in read}
    else:
        maps = {name: read_label_map(path) for name, path in label_files(folder).items()}
        scans = {name: reference_nodules(one.labels, one.ijk_to_ras) for name, one in maps.items()}
    if not _has_nodule(scans):
        raise InputError(f"{folder} holds no nodule; give scans of which at least one has a nodule.")
    return scans


def finished(
    references: Mapping[str, Sequence[ReferenceNodule]], unfinished: Mapping[str, str]
) -> dict[str, Sequence[ReferenceNodule]]:
    """The references of the scans that a system has segmented; raises InputError where no nodule is left."""
    left = {name: nodules for name, nodules in references.items() if name not in unfinished}
    if not _has_nodule(left):
        raise InputError("No scan with a nodule was segmented; give the command of lnhg batch again, then evaluate.")
    return left


def _has_nodule(scans: Mapping[str, Sequence[ReferenceNodule]]) -> bool:
    return any(nodule.counts for nodules in scans.values() for nodule in nodules)


def score_detections(
    detections: Iterable[Detection], references: Mapping[str, Sequence[ReferenceNodule]]
) -> list[ScanDetections]:
    """The detections of every scan of the reference, judged.

    Raises InputError for a detection in a scan that is not among them, or with a score below 0 (0 stands for not
    found).
    """
    by_scan: dict[str, list[Detection]] = defaultdict(list)
    for detection in detections:
        if detection.score < 0:
            raise InputError(
                f"A detection in {detection.scan} has the score {detection.score:g}; give scores of 0 and more."
            )
        by_scan[detection.scan].append(detection)
    unknown = sorted(by_scan.keys() - references.keys())
    if unknown:
        named = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        raise InputError(f"There is no reference for {named}; name the scans of both alike, or leave these finds out.")
    return [judged_detections(by_scan[name], nodules) for name, nodules in references.items()]
