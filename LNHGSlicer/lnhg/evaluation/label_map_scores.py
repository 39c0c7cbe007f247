"""Label maps of any system against reference label maps: two files, or two folders matched by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path

import numpy as np

from ..core.csv_text import csv_text
from ..errors import InputError
from .detection_scores import Counts, count_nodules, count_slices
from .label_maps import LabelMap, check_same_grid, label_files, read_label_map
from .measures import Measures, match_nodules, measure

_TITLES = {
    "dice": "Dice",
    "iou": "intersection over union",
    "sensitivity": "sensitivity",
    "precision": "precision",
    "hausdorff95_mm": "Hausdorff 95% (mm)",
    "surface_distance_mm": "mean surface distance (mm)",
    "volume_error": "relative volume error",
    "diameter_error": "relative diameter error",
    "reference_mm3": "reference volume (mm3)",
    "found_mm3": "found volume (mm3)",
}


@dataclass(frozen=True)
class LabelScore:
    """One reference nodule: its file (without ending), its label, the label that overlaps it most (0: none), the
    measures.
    """

    file: str
    reference: int
    label: int
    measures: Measures


@dataclass(frozen=True)
class MapScores:
    """All of one pair of label maps: a score for each reference nodule, and the detection counts."""

    scores: tuple[LabelScore, ...]
    slices: Counts
    nodules: Counts


def score_maps(name: str, found: LabelMap, reference: LabelMap) -> MapScores:
    """Scores of one pair of label maps on one grid."""
    check_same_grid(found, reference)
    labels, truth = found.labels, reference.labels
    scores = tuple(
        LabelScore(
            name,
            match.reference,
            match.label,
            measure(
                truth == match.reference,
                (labels == match.label) & (match.label > 0),
                reference.spacing,
                reference.voxel_volume,
            ),
        )
        for match in match_nodules(truth, labels)
    )
    return MapScores(scores, count_slices(truth, labels), count_nodules(truth, labels))


def score_folders(found: Path, reference: Path, *, alike: bool = False) -> list[MapScores]:
    """Scores of all pairs of files with the same name (whatever their endings); `alike` as of `read_label_map`, for
    `found`.

    Raises InputError where a reference has no counterpart, or no reference holds a nodule.
    """
    references, labels = label_files(reference), label_files(found)
    missing = sorted(references.keys() - labels.keys())
    if missing:
        named = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise InputError(
            f"{found} holds no label map for {named}; write one for each reference, empty if nothing was found."
        )
    scored = [
        score_maps(name, read_label_map(labels[name], alike=alike), read_label_map(path))
        for name, path in references.items()
    ]
    if not any(one.scores for one in scored):
        raise InputError(f"No label map in {reference} holds a nodule; give label maps with labels 1..N.")
    return scored


def as_csv(scored: Sequence[MapScores]) -> str:
    """All measures, a row for each reference nodule; units in the header, empty where a measure is not defined."""
    rows: list[list[object]] = [["file", "reference nodule", "label", *_TITLES.values()]]
    for one in scored:
        for score in one.scores:
            values = (getattr(score.measures, name) for name in _TITLES)
            rows.append([score.file, score.reference, score.label, *("" if isnan(v) else f"{v:.4f}" for v in values)])
    return csv_text(rows)


def summary(scored: Sequence[MapScores]) -> str:
    """Means over all reference nodules that were found, and the detection counts, as Markdown."""
    scores = [score for one in scored for score in one.scores]
    hit = [score.measures for score in scores if score.label]
    lines = [f"{len(scored)} label maps, {len(hit)} of {len(scores)} reference nodules found", ""]
    if hit:
        lines += ["| of those found | mean | standard deviation | median |", "|---|---|---|---|"]
        for name, title in _TITLES.items():
            values = np.array([getattr(measures, name) for measures in hit])
            lines.append(f"| {title} | {values.mean():.3f} | {values.std():.3f} | {np.median(values):.3f} |")
        lines.append("")
    lines += ["| counted | TP | FP | FN | precision | recall | F1 |", "|---|---|---|---|---|---|---|"]
    for title, counts in (("nodules", [one.nodules for one in scored]), ("on slices", [one.slices for one in scored])):
        total = sum(counts, Counts(0, 0, 0))
        rates = " | ".join(f"{rate:.3f}" for rate in (total.precision, total.recall, total.f1))
        lines.append(f"| {title} | {total.tp} | {total.fp} | {total.fn} | {rates} |")
    return "\n".join(lines)
