"""The measured figures of the model cards: Dice of seeded nodules, detection, whole scans, cubes, for one patient
list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ..data.boxed_scans import BoxedScan, read_boxed_scan
from ..data.cutouts import Cutout, read_cutouts
from ..data.scans import LabelledScan, read_scan
from ..data.splits import list_of
from ..data.training_data import cubes_in
from ..errors import InputError
from ..evaluation.detector_sensitivity import RATES, Again, as_detected, cutout_score, scan_detections, sensitivity_at
from ..evaluation.measures import dice, share_outside
from ..evaluation.seeded import seeded
from ..evaluation.statistics import wilson_share
from ..networks.rescorer import apply_rescorer
from ..networks.rescoring import rescore
from ..networks.torch_models import TorchModels, load_models
from ..pipeline import segment
from ..stages.fusion import CONFIRMED
from ..training.candidate_samples import whole
from ..training.detector_data import DetectorData, read_detector_data
from .groups import SIZES, TEXTURES
from .pasted_nodules import decoy_rate, detected_of_pasted
from .validate_cubes import cube_table
from .whole_scans import ScanOutcome, cancer_table, outcome_of, reader_table, summary


def validate(data: Path, weights: Path | None, patients: str, listed: Callable[[str], str] = list_of) -> str:
    """Markdown tables for the list `patients` (`select` or `report`) of a data folder, and for all its labelled scans.

    Whole scans of patients in the training list are measured too and marked as such; `listed` says which list a patient
    was on when the weights were trained.
    """
    models = load_models(weights)
    assert models.detector is not None
    grid, architecture = models.grid("detector"), models.detector.architecture
    cutouts = [cutout for cutout in read_cutouts(data / "lidc_nodules") if listed(cutout.patient) == patients]
    folders = _folders(data / "lidc_scans")
    if not cutouts or not folders:
        raise InputError(f"{data} holds no nodules or scans of the {patients} patients; give the development data.")
    scans = [read_scan(folder) for folder in folders]
    cubes = [cube for cube in cubes_in(data) if listed(cube.patient) == patients]
    outcomes = [outcome_of(scan, models, listed(scan.patient)) for scan in scans]
    cancers = [_outcome(folder, models, listed) for folder in _folders(data / "qin_scans")]
    held_out = [scan for scan in scans if listed(scan.patient) != "train"]
    return "\n".join(
        [
            f"Patients of the `{patients}` list: {len({c.patient for c in cutouts})} patients, {len(cutouts)} "
            f"nodules.\n",
            *_dice_table(models, cutouts),
            "",
            *_detection_tables(models, cutouts, held_out),
            *_insertions(models, _of_readers(read_detector_data(data, grid, architecture, patients, listed))),
            *reader_table(outcomes),
            *_box_table(models, [read_boxed_scan(folder) for folder in _folders(data / "lung_pet_ct_dx")]),
            "",
            *(cube_table(models, cubes) if cubes else ()),
            *(cancer_table(cancers) if cancers else ()),
            *summary([*outcomes, *cancers]),
        ]
    )


def _outcome(folder: Path, models: TorchModels, listed: Callable[[str], str]) -> ScanOutcome:
    scan = read_scan(folder)  # one at a time in memory
    return outcome_of(scan, models, listed(scan.patient))


def _folders(parent: Path) -> list[Path]:
    return sorted(folder for folder in parent.iterdir() if folder.is_dir()) if parent.is_dir() else []


def _dice_table(models: TorchModels, cutouts: Sequence[Cutout]) -> Iterable[str]:
    """Dice against the 50% consensus, seeded at its centre, on the CT's own grid."""
    threshold = models.threshold("generator", None)
    masks = [(cutout.consensus, seeded(cutout, models).labels > 0) for cutout in cutouts]
    values = np.array([dice(*pair) for pair in masks])
    outside = np.array([share_outside(*pair) for pair in masks])
    sizes = np.array([cutout.diameter for cutout in cutouts])
    textures = np.array([cutout.ratings["texture"] for cutout in cutouts])
    yield f"Dice per nodule, seeded at the centre, threshold {threshold:g} on G(x):\n"
    yield "| nodules | n | mean Dice | standard deviation | median | below 0.5 | volume outside |"
    yield "|---|---|---|---|---|---|---|"
    yield _dice_row("all", values, outside)
    for groups, measure in ((SIZES, sizes), (TEXTURES, textures)):
        for name, low, high in groups:
            inside = (measure >= low) & (measure < high)
            yield _dice_row(name, values[inside], outside[inside])
    yield "\nVolume outside: mean share of what was found that lies outside the consensus."


def _dice_row(name: str, values: np.ndarray, outside: np.ndarray) -> str:
    if not len(values):
        return f"| {name} | 0 | | | | | |"
    return (
        f"| {name} | {len(values)} | {values.mean():.3f} | {values.std():.3f} | {np.median(values):.3f} "
        f"| {np.count_nonzero(values < 0.5)} | {outside.mean():.2f} |"
    )


def _detection_tables(models: TorchModels, cutouts: Sequence[Cutout], scans: Sequence[LabelledScan]) -> Iterable[str]:
    """Sensitivity of the detector alone and, where the weights hold a rescorer, after the second look."""
    yield from _detection_table("Detector alone", models, cutouts, scans, as_detected)
    if models.rescorer is not None:
        # A cut-out that ends in its nodule has made-up end slices, which the rescorer cannot judge.
        complete = [cutout for cutout in cutouts if whole(cutout)]
        again = partial(rescore, scores=partial(apply_rescorer, models.rescorer))
        yield from _detection_table(
            "Detector alone, cut-outs that show both ends", models, complete, scans, as_detected
        )
        yield from _detection_table("After the second look, the same cut-outs", models, complete, scans, again)


def _detection_table(
    title: str, models: TorchModels, cutouts: Sequence[Cutout], scans: Sequence[LabelledScan], again: Again
) -> Iterable[str]:
    """Sensitivity where the false positives come from the whole scans that were not trained on."""
    assert models.detector is not None
    grid = models.grid("detector")
    detections = [scan_detections(scan, models.detector, grid, again) for scan in scans]
    scores = [cutout_score(cutout, models.detector, grid, again) for cutout in cutouts]
    false = [score for scan in detections for score in scan.false_scores]
    real = [score for scan in detections for score in scan.nodule_scores]
    found, on_scans = sensitivity_at(scores, false, len(scans)), sensitivity_at(real, false, len(scans))
    yield f"{title}; false positives counted on {', '.join(scan.patient for scan in scans)}:\n"
    yield "| false positives per scan | nodules in their own surroundings found | nodules of the whole scans found |"
    yield "|---|---|---|"
    for rate in RATES:
        count = round(on_scans[rate] * len(real))
        yield f"| {rate:g} | {found[rate]:.3f} of {len(scores)} | {count} of {len(real)} |"
    threshold = models.threshold("detector", None)
    kept = [score >= threshold for score in scores]
    at = wilson_share(sum(kept), len(kept))
    yield (
        f"\nAt the default score of {threshold:g}: {sum(kept)} of {len(kept)} nodules in their own surroundings, "
        f"{at.told('.2f')}; " + "; ".join(_at_default(cutouts, kept, *group) for group in TEXTURES) + ".\n"
    )


def _at_default(cutouts: Sequence[Cutout], kept: Sequence[bool], name: str, low: float, high: float) -> str:
    of_group = [k for cutout, k in zip(cutouts, kept, strict=True) if low <= cutout.ratings["texture"] < high]
    return f"{name} {sum(of_group)} of {len(of_group)}"


def _of_readers(data: DetectorData) -> DetectorData:
    """The cut-outs alone, and the scans in which readers looked for every nodule."""
    kept = [number for number, volume in enumerate(data.volumes) if not volume.cube]
    volumes, patients = [data.volumes[number] for number in kept], [data.patients[number] for number in kept]
    return replace(
        data,
        training_scans=[training_scan for training_scan in data.training_scans if training_scan.read],
        volumes=volumes,
        patients=patients,
    )


def _insertions(models: TorchModels, data: DetectorData) -> Iterable[str]:
    """Nodules and plain tissue pasted into the list's own scans, slice by slice, at the detector's threshold."""
    assert models.detector is not None
    threshold = models.threshold("detector", None)
    found, inserted = detected_of_pasted(models.detector, data, threshold)
    decoys = 100 * decoy_rate(models.detector, data, threshold)
    names = ", ".join(training_scan.name for training_scan in data.training_scans)
    yield (
        f"Pasted into slices of {names}, at a score of {threshold:g}: {found} of {inserted} sections of nodules found; "
        f"{decoys:.0f}% of 100 pieces of plain tissue in the shape of one fire.\n"
    )


def _box_table(models: TorchModels, scans: Sequence[BoxedScan]) -> Iterable[str]:
    """Scans with boxes of one radiologist: a nodule whose centre lies in a box counts as found."""
    if not scans:
        return
    yield "Whole scans with one radiologist's boxes, default options; a nodule centred in a box is a hit:\n"
    yield "| scan | hits: label, status, diameter | other confirmed | detector only |"
    yield "|---|---|---|---|"
    for scan in scans:
        nodules = segment(scan.ct, models=models).nodules
        hits = [
            one for one in nodules if scan.holds(scan.ct.to_ijk(np.array([one.centre_r, one.centre_a, one.centre_s])))
        ]
        others = [one.status for one in nodules if one not in hits]
        texts = "; ".join(f"{one.id}, {one.status}, {one.equivalent_diameter:.0f} mm" for one in hits)
        confirmed = others.count(CONFIRMED)
        yield f"| {scan.patient} | {texts or 'missed'} | {confirmed} | {len(others) - confirmed} |"
