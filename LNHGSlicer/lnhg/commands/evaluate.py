"""`lnhg evaluate` and `lnhg validate`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .common import add_command, write_output

if TYPE_CHECKING:
    from ..evaluation.label_map_scores import MapScores

# Endings of files that hold places, not label maps.
_DETECTIONS = (".csv", ".json")


def add(commands: Any) -> None:
    _add_evaluate(commands)
    _add_validate(commands)


def _add_evaluate(commands: Any) -> None:
    what = "score the label maps, or the detections, of any system against a reference"
    parser = add_command(commands, "evaluate", _evaluate, what)
    parser.add_argument(
        "labels",
        type=Path,
        help="label map of a system, 0 and 1..N, or a folder of them; or its detections on whole scans, scored by "
        "LUNA16's rule (centre within the radius): CSV of LUNA16, nodules.csv of lnhg batch, JSON of MONAI's "
        "lung_nodule_ct_detection",
    )
    parser.add_argument(
        "reference",
        type=Path,
        help="reference label map on the same grid, or a folder of them, named alike; for detections a folder: a label "
        "map for each scan, named like it, or LUNA16's annotations.csv, annotations_excluded.csv and seriesuids.csv, "
        "or labelled scans as lidc_scans/",
    )
    parser.add_argument(
        "--nodule-net",
        type=Path,
        metavar="FOLDER",
        help="the detections are NoduleNet's submission_rcnn.csv: its folder of preprocessed scans, whose lung crops "
        "they lie in",
    )
    parser.add_argument(
        "--alike", action="store_true", help="the system marks all nodules alike: take connected components"
    )
    parser.add_argument(
        "--output", type=Path, help="also write the measures of each reference nodule (of detections: the table) as CSV"
    )


def _evaluate(arguments: argparse.Namespace) -> None:
    detections = arguments.labels.suffix.lower() in _DETECTIONS
    if arguments.nodule_net and not detections:
        raise InputError(f"--nodule-net is for NoduleNet's CSV, and {arguments.labels.name} is none; leave it out.")
    written = _score_detections(arguments) if detections else _score_label_maps(arguments)
    if arguments.output:
        write_output(arguments.output, written)


def _score_detections(arguments: argparse.Namespace) -> str:
    """Prints what was found and returns the table as CSV."""
    from ..evaluation.detection_scores import froc
    from ..evaluation.foreign_results import read_detections, read_nodule_net, read_unfinished
    from ..evaluation.scan_scores import finished, read_references, score_detections
    from ..studies.tables import froc_table

    if arguments.alike:
        raise InputError(f"--alike is for label maps, and {arguments.labels.name} holds detections; leave it out.")
    folder = arguments.nodule_net
    found = read_nodule_net(arguments.labels, folder) if folder else read_detections(arguments.labels)
    references, unfinished = read_references(arguments.reference), read_unfinished(arguments.labels)
    scans = score_detections(found, finished(references, unfinished))
    left_out = [f"{name} ({status})" for name, status in unfinished.items() if name in references]
    if left_out:
        print(f"Left out, since lnhg batch did not segment them: {', '.join(left_out)}")
    scores = [score for scan in scans for score in scan.nodule_scores]
    hit, false = sum(score > 0 for score in scores), sum(len(scan.false_scores) for scan in scans)
    print(f"{len(scans)} scans, {hit} of {len(scores)} reference nodules found, {false} false positives\n")
    table = froc_table({arguments.labels.stem: froc(scans)})
    print(table.markdown(), end="")
    return table.csv()


def _score_label_maps(arguments: argparse.Namespace) -> str:
    """Prints the scores and returns all measures as CSV."""
    from ..evaluation.label_map_scores import as_csv, score_folders, score_maps, summary
    from ..evaluation.label_maps import read_label_map

    labels, reference, alike = arguments.labels, arguments.reference, arguments.alike
    for path in (labels, reference):
        if not path.exists():
            raise InputError(f"{path} does not exist; give a label map or a folder of them.")
    if labels.is_dir() != reference.is_dir():
        raise InputError("One of the two is a folder, the other is not; give two label maps or two folders of them.")
    if labels.is_dir():
        scored = score_folders(labels, reference, alike=alike)
        print(summary(scored))
    else:
        found = read_label_map(labels, alike=alike)
        scored = [score_maps(reference.name, found, read_label_map(reference))]
        if not scored[0].scores:
            raise InputError(f"{reference.name} holds no nodule; give a label map with labels 1..N.")
        _print_nodules(scored[0], set(found.labels.flat) - {0})
    return as_csv(scored)


def _print_nodules(scored: MapScores, labels: set[int]) -> None:
    for score in scored.scores:
        found = f"label {score.label}, Dice {score.measures.dice:.3f}" if score.label else "missed"
        print(f"reference nodule {score.reference}: {found}")
    hit = [score for score in scored.scores if score.label]
    mean = sum(score.measures.dice for score in hit) / max(1, len(hit))
    others = len(labels - {score.label for score in hit})
    print(f"{len(hit)} of {len(scored.scores)} found, mean Dice {mean:.3f} of those; {others} other labels")


def _add_validate(commands: Any) -> None:
    parser = add_command(commands, "validate", _validate, "measure the weights on patients they were not trained on")
    parser.add_argument("--data", type=Path, required=True, help="folder with lidc_nodules/ and lidc_scans/")
    parser.add_argument("--weights", type=Path, help="folder with the weights (default: the shipped ones)")
    parser.add_argument(
        "--list", choices=("select", "report"), default="report", help="which patients (default: report)"
    )
    parser.add_argument(
        "--fold", type=int, choices=(1, 2), default=1, help="in which the detector was trained (default: 1)"
    )
    parser.add_argument("--output", type=Path, help="also write the tables as Markdown to this file")


def _validate(arguments: argparse.Namespace) -> None:
    from ..data.splits import SCAN_FOLDS
    from ..studies.validation import validate

    report = validate(arguments.data, arguments.weights, arguments.list, SCAN_FOLDS[arguments.fold])
    print(report)
    if arguments.output:
        write_output(arguments.output, report)
