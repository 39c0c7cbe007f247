"""The whole evaluation: runs, tables, figures and the page, from the shared data, on patients of the report list.

What takes long is kept in `OUTPUT/cache` by the weights' SHA-256, so that a study that was cut off goes on where it
was; delete that folder to measure anew.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from matplotlib.figure import Figure

from .. import __version__
from ..core.atomic_file import write_atomic
from ..core.written_files import check_own, write_own
from ..data.cutouts import Cutout, read_cutouts
from ..data.scans import LabelledScan, read_scan
from ..data.splits import list_of
from ..errors import InputError
from ..evaluation.detection_scores import LUNA16_RATES, Counts, count_nodules, count_slices
from ..evaluation.detector_sensitivity import cutout_score, scan_detections, sensitivity_at
from ..evaluation.references import CONSENSUS, REFERENCES
from ..evaluation.statistics import Estimate, bootstrap_interval
from ..networks.torch_models import TorchModels, load_models
from ..options import Options
from ..pipeline import segment
from ..progress import ProgressCallback, ProgressReporter
from .groups import PLACES, SIZES, TEXTURES, size_of
from .heterogeneity_indices import REGIONS, Measured, measured
from .heterogeneity_tables import (
    SHOWN,
    contrast_table,
    correlation_table,
    discrimination_table,
    repeatability_table,
    stability_table,
)
from .meaning import contrasts, discriminations, rank_correlations, roc_curves
from .nodule_runs import NoduleRuns, NoduleTwins
from .page import Picture, Section, page_html
from .perturbations import PERTURBATIONS
from .plots import (
    Case,
    FrocCurve,
    agreement_figure,
    contrast_figure,
    dice_figure,
    froc_figure,
    gallery_figure,
    roc_figure,
    save,
    volume_figure,
)
from .repeatability import ALL, perturbed, repeatability, stratified_sample
from .scores import NoduleScore, nodule_scores, reader_scores
from .stability import stability
from .systems import OWN_SYSTEMS, System, own_system
from .tables import (
    Table,
    detection_table,
    dice_table,
    measures_table,
    references_table,
    systems_table,
    types_table,
    write_tables,
)

#: The system whose heterogeneity is studied.
MAIN = "lnhg"

_PAGE = "index.html"
# Nodules of the repeatability study: eight runs each.
_SAMPLE = 110
_SHARES = {
    "outlines": 40.0,
    "training nodules": 40.0,
    "detection": 15.0,
    "whole scans": 10.0,
    "perturbations": 80.0,
    "training lengths": 5.0,
    "statistics": 10.0,
}
_T = TypeVar("_T", NoduleScore, Measured)


def study(
    data: Path,
    output: Path,
    weights: Mapping[str, Path | None],
    lengths: Sequence[Path] = (),
    others: Sequence[System] = (),
    progress: ProgressCallback | None = None,
) -> Path:
    """Measure everything and write `index.html`, `tables/` and `figures/` into `output`; returns the page's path.

    Args:
        data: folder with `lidc_nodules/` and `lidc_scans/`.
        weights: system -> folder of weights (None: the shipped ones); `lnhg` must be among them.
        lengths: folders of weights trained for different lengths, shortest first; none: stability is not measured.
        others: further systems of which there are label maps of all the nodules; those with whole scans are counted
            there too.

    Raises InputError where the data holds no nodule of the report list, a system is unknown or named twice, a label map
    is missing, or a file there is not as a study wrote it; WeightsError for bad weights.
    """
    for folder, names in ((output, [_PAGE]), (output / "tables", []), (output / "figures", [])):
        check_own(folder, *names)
    work = _Study(data, output, weights, others, ProgressReporter(_SHARES, progress))
    sections = [*work.outlines(), work.detection(), work.whole_scans(), *work.heterogeneity(), work.training(lengths)]
    page = page_html("LNHG: nodules and their heterogeneity, measured", sections, work.provenance())
    write_own(output / _PAGE, page)
    return output / _PAGE


class _Study:
    """One study: the nodules, the systems, and where results go. Each public method makes sections of the page."""

    def __init__(
        self,
        data: Path,
        output: Path,
        weights: Mapping[str, Path | None],
        others: Sequence[System],
        report: ProgressReporter,
    ) -> None:
        if MAIN not in weights:
            raise InputError(f"The study needs weights for {MAIN}; give {MAIN}=FOLDER or leave the shipped ones.")
        for name in weights.keys() - set(OWN_SYSTEMS):
            raise InputError(f"There is no system {name!r}; choose one of {', '.join(OWN_SYSTEMS)}.")
        for name in weights.keys() & {other.name for other in others}:
            raise InputError(f"{name!r} names weights and label maps; give the label maps another name.")
        self.data, self.output, self.weights, self.others, self.report = data, output, weights, others, report
        every = read_cutouts(data / "lidc_nodules")
        self.cutouts = [cutout for cutout in every if list_of(cutout.patient) == "report"]
        self.trained = [cutout for cutout in every if list_of(cutout.patient) == "train"]
        if not self.cutouts:
            raise InputError(f"{data} holds no nodule of a patient of the report list; give the development data.")
        self.scan_folders = held_out_scans(data)
        if not self.scan_folders:
            raise InputError(
                f"{data} holds no whole scan of a patient who was not trained on; give the development data."
            )
        self.models = {name: load_models(folder, with_detector=name == MAIN) for name, folder in weights.items()}
        self.cache = output / "cache" / __version__  # another version may outline, measure or group otherwise
        self.runs = {name: NoduleRuns(models, self.cache) for name, models in self.models.items()}
        self.scores: dict[str, list[NoduleScore]] = {}

    def outlines(self) -> list[Section]:
        # First, so that a missing label map is told at once.
        others = {system.name: nodule_scores(system, self.cutouts) for system in self.others}
        ends = np.linspace(0, 1, len(self.weights) + 1).tolist()
        parts = dict(zip(self.weights, pairwise(ends), strict=True))
        for name, part in parts.items():
            self.scores[name] = self._scores_of(name, self.cutouts, "outlines", part)
        self.scores |= others
        sample = _drawn(self.trained, len(self.cutouts))
        training = {name: self._scores_of(name, sample, "training nodules", part) for name, part in parts.items()}
        own = self.scores[MAIN]
        readers = {"readers, each against the others": reader_scores(self.cutouts)}
        tables = [
            dice_table(self.scores, training),
            types_table(self.scores),
            measures_table(self.scores | readers),
            references_table(self._held_to() | readers),
        ]
        if len(self.scores) > 1:
            tables.append(systems_table(self.scores))
        every = [score for scores in self.scores.values() for score in scores]
        pictures = [
            self._picture(
                "dice", dice_figure(every, _groupings(every)), "Dice of each nodule by size, texture and place."
            ),
            self._picture(
                "volume", volume_figure(own), "Agreement of volume (Bland and Altman), against the 50% consensus."
            ),
        ]
        gallery = [
            self._picture("gallery", gallery_figure(self._ranked(own)), "Best, median and worst nodules by Dice."),
            self._picture(
                "gallery-types", gallery_figure(self._typical(own)), "A typical nodule (median Dice) of each type."
            ),
        ]
        text = "Every nodule is seeded at the centre of the readers' 50% consensus, and scored on the CT's own grid. "
        text += f"Training: {len(sample)} nodules drawn at random from those of the shipped weights' training list."
        return [
            Section("Outlines", text, pictures, self._written_tables(tables)),
            Section("Nodules", "Strong heterogeneity is where G(x) falls below the nodule's peak.", gallery),
        ]

    def _held_to(self) -> dict[str, list[NoduleScore]]:
        """The main system's scores against each reference."""
        system = System(MAIN, lambda cutout: self.runs[MAIN].run(cutout).found)
        others = {
            name: self._kept_rows(
                f"against-{name.replace(' ', '-')}", partial(nodule_scores, system, self.cutouts, name), NoduleScore
            )
            for name in REFERENCES
            if name != CONSENSUS
        }
        return {"50% consensus": self.scores[MAIN], **others}

    def detection(self) -> Section:
        found = self._kept("detection", self._detected)
        scores, false, scans = found["scores"], found["false"], found["scans"]
        patients = [cutout.patient for cutout in self.cutouts]

        def sensitivity(rate: float) -> Estimate:
            found_at = partial(sensitivity_at, false_scores=false, scans=len(scans), rates=[rate])
            return bootstrap_interval(np.array(scores), patients, lambda drawn: found_at(drawn.tolist())[rate])

        curve = [sensitivity(rate) for rate in LUNA16_RATES]
        average = bootstrap_interval(
            np.array(scores), patients, lambda drawn: _mean_sensitivity(drawn.tolist(), false, len(scans))
        )
        ends = [np.array([getattr(one, end) for one in curve]) for end in ("value", "low", "high")]
        figure = froc_figure([FrocCurve("nodules in their own surroundings", np.array(LUNA16_RATES), *ends)])
        cells = tuple(
            (str(r), f"{100 * c.value:.1f} [{100 * c.low:.1f}, {100 * c.high:.1f}]")
            for r, c in zip([*LUNA16_RATES, "mean"], [*curve, average], strict=True)
        )
        note = (
            f"{len(scores)} cut-outs in their own surroundings, mirrored at the border: easier than whole scans. "
            f"False positives are counted on {', '.join(scans)}, none of them trained on. Intervals: bootstrap over "
            "patients, thresholds fixed."
        )
        table = Table("Detector alone", ("false positives per scan", "nodules found, %"), cells, note)
        caption = f"Free-response ROC of the detector; false positives from {len(scans)} scans."
        return Section("Detection", "", [self._picture("froc", figure, caption)], self._written_tables([table]))

    def _detected(self) -> dict[str, list]:
        models = self.models[MAIN]
        assert models.detector is not None
        grid = models.grid("detector")
        folders = self.scan_folders
        false = [
            score
            for folder in folders
            for score in scan_detections(read_scan(folder), models.detector, grid).false_scores
        ]
        scores = []
        for number, cutout in enumerate(self.cutouts):
            scores.append(cutout_score(cutout, models.detector, grid))
            self.report("detection", (number + 1) / len(self.cutouts))
        return {"scores": scores, "false": false, "scans": [folder.name for folder in folders]}

    def whole_scans(self) -> Section:
        """Supplementary S2: the counts of whole scans that were not trained on."""
        scans = [read_scan(folder) for folder in self.scan_folders]
        counted = {name: self._counts_of(name, scans) for name in self.weights}
        counted |= {one.name: _counts(scans, one.labels) for one in self.others if one.labels is not None}
        self.report("whole scans", 1.0)
        tables = [
            detection_table(
                {name: Counts(*counts[unit]) for name, counts in counted.items()}, f"whole scans, per {unit}"
            )
            for unit in ("slice", "nodule")
        ]
        text = (
            f"{', '.join(scan.patient for scan in scans)}, as they come out with the default options, by the detector "
            "of LNHG; L-RF is the generator everywhere, without a detector; systems of others stand by their own "
            "label maps. Reference: nodules of three or more readers; what touches those of fewer is neither right "
            "nor wrong. Per slice only slices with a nodule count, as in the paper."
        )
        return Section("Detection on whole scans", text, tables=self._written_tables(tables))

    def _counts_of(self, name: str, scans: Sequence[LabelledScan]) -> dict[str, list]:
        """What the system `name` finds in whole scans; all but `l-rf` with the detector of LNHG."""
        models = self.models[name]
        if name != "l-rf":
            main = self.models[MAIN]
            manifests = {**main.manifests, "generator": models.manifests["generator"]}
            models = replace(main, generator=models.generator, manifests=manifests)

        def labels(scan: LabelledScan) -> np.ndarray:
            result = segment(scan.ct, Options(full_generator=name == "l-rf"), models=models)
            return result.unconfirmed if name == "l-rf" else result.labels

        return self._kept(f"detection-scans-{name}", lambda: _counts(scans, labels), models)

    def heterogeneity(self) -> list[Section]:
        return [self._repeatability(), *self._meaning()]

    def _repeatability(self) -> Section:
        chosen = stratified_sample(self.cutouts, _SAMPLE)
        rows = self._kept_rows(
            f"perturbed-{len(chosen)}",
            lambda: perturbed(self.runs[MAIN], chosen, lambda fraction: self.report("perturbations", fraction)),
            Measured,
        )
        found = repeatability(rows)
        for region in REGIONS:
            self._written_tables([repeatability_table(found, rows[0].indices, region)])
        tables = [repeatability_table(found, SHOWN, region) for region in REGIONS]
        bars = {
            row.index: row.agreement
            for row in found
            if (row.region, row.perturbation) == (CONSENSUS, ALL) and row.index in SHOWN
        }
        ordered = {index: bars[index] for index in SHOWN}
        figure = agreement_figure(ordered, {index: _KINDS[index.split()[0]] for index in SHOWN})
        caption = f"Repeatability of each index in the readers' consensus under {len(PERTURBATIONS)} perturbations."
        text = (
            f"{len(chosen)} nodules, drawn evenly over the sizes, each as it is and under {len(PERTURBATIONS)} "
            "perturbations. Nodules too small for a core have no index there."
        )
        return Section("Heterogeneity: repeatability", text, [self._picture("repeatability", figure, caption)], tables)

    def _meaning(self) -> list[Section]:
        rows = self._kept_rows("measured", self._measured, Measured)
        by_region = {region: [row for row in rows if row.region == region] for region in REGIONS}
        contrast = contrast_table([one for some in by_region.values() for one in contrasts(some)])
        panels = ("h whole maximum", "h core maximum", "h core mean", "h rim mean")
        shown = contrast_figure(by_region[CONSENSUS], panels)
        sections = [
            Section(
                "Heterogeneity: the paper's contrast",
                "",
                [
                    self._picture(
                        "contrast", shown, "h(x) of nodules rated benign and malignant, in the readers' consensus."
                    )
                ],
                self._written_tables([contrast]),
            )
        ]
        for number, (region, some) in enumerate(by_region.items()):
            correlations, areas = rank_correlations(some), discriminations(some)
            every = list(some[0].indices)
            everything = [correlation_table(correlations, every, region), discrimination_table(areas, every, region)]
            self._written_tables(everything)
            tables = [correlation_table(correlations, SHOWN, region), discrimination_table(areas, SHOWN, region)]
            name = f"roc-{region.replace(' ', '-')}"
            caption = f"Nodules rated malignant against benign, {region}; models cross-validated by patient."
            enough = any(one.index == "h core mean" for one in areas)
            pictures = [self._picture(name, roc_figure(roc_curves(some)), caption)] if enough else []
            sections.append(Section(f"Heterogeneity: meaning, {region}", "", pictures, tables))
            self.report("statistics", (number + 1) / len(by_region))
        return sections

    def _measured(self) -> list[Measured]:
        runs, twins = self.runs[MAIN], NoduleTwins(self.models[MAIN])
        return [
            measured(cutout, runs.run(cutout), region, twins=twins) for cutout in self.cutouts for region in REGIONS
        ]

    def training(self, lengths: Sequence[Path]) -> Section:
        heading = "Heterogeneity: stability over training"
        if not lengths:
            return Section(heading, "Not measured: no weights of other training lengths were given (--lengths).")
        table = stability_table(stability(lengths, stratified_sample(self.cutouts, _SAMPLE), self.cache))
        self.report("training lengths", 1.0)
        return Section(heading, "", tables=self._written_tables([table]))

    def provenance(self) -> dict[str, str]:
        hashes = {
            f"weights {name}, {kind}": f"SHA-256 {manifest['sha256']}"
            for name, models in self.models.items()
            for kind, manifest in models.manifests.items()
        }
        patients = len({cutout.patient for cutout in self.cutouts})
        return hashes | {
            "data": f"LIDC-IDRI cut-outs, list `report`: {patients} patients, {len(self.cutouts)} nodules",
            "made on": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
            "machine": f"{platform.machine()}, {os.cpu_count()} processors, {torch.get_num_threads()} threads",
            "versions": f"lnhg {__version__}, Python {platform.python_version()}, torch {torch.__version__}",
        }

    def _scores_of(
        self, name: str, cutouts: Sequence[Cutout], stage: str, part: tuple[float, float]
    ) -> list[NoduleScore]:
        """Scores of the system `name`; `part` of the stage is this system's, as shares from and to."""
        runs = self.runs[name]
        system = (
            own_system(name, self.weights[name])
            if name == "l-rf"
            else System(name, lambda cutout: runs.run(cutout).found)
        )

        def make() -> list[NoduleScore]:
            scores = []
            for done, cutout in enumerate(cutouts, 1):
                scores += nodule_scores(system, [cutout])
                self.report(stage, part[0] + (part[1] - part[0]) * done / len(cutouts))
            return scores

        return self._kept_rows(f"{stage.replace(' ', '-')}-{name}", make, NoduleScore, self.models[name])

    def _ranked(self, scores: Sequence[NoduleScore]) -> list[Case]:
        ordered = sorted(scores, key=lambda score: -score.dice)
        middle = len(ordered) // 2
        chosen = {"best": ordered[:2], "median": ordered[max(0, middle - 1) : middle + 1], "worst": ordered[-2:]}
        return [self._case(one, name) for name, some in chosen.items() for one in some]

    def _typical(self, scores: Sequence[NoduleScore]) -> list[Case]:
        groups = {
            **_grouped(scores, [name for name, _, _ in TEXTURES[::-1]], "texture"),
            **_grouped(scores, PLACES[:2], "place"),
        }
        return [
            self._case(sorted(some, key=lambda one: one.dice)[len(some) // 2], name) for name, some in groups.items()
        ]

    def _case(self, score: NoduleScore, name: str) -> Case:
        cutout = next(one for one in self.cutouts if one.name == score.nodule)
        return Case(f"{name}, Dice {score.dice:.2f}\n{score.diameter_mm:.0f} mm", cutout, self.runs[MAIN].run(cutout))

    def _kept_rows(
        self, name: str, make: Callable[[], list[_T]], kind: type[_T], models: TorchModels | None = None
    ) -> list[_T]:
        rows = self._kept(name, lambda: {"rows": [asdict(row) for row in make()]}, models)["rows"]
        return [kind(**row) for row in rows]

    def _kept(
        self, name: str, make: Callable[[], dict[str, list]], models: TorchModels | None = None
    ) -> dict[str, list]:
        """What `make` returns, or what it returned for the same weights and nodules before."""
        used = models or self.models[MAIN]
        kinds = sorted(used.manifests) if name.startswith("detection") else ["generator"]
        key = "-".join(str(used.manifests[kind]["sha256"])[:8] for kind in kinds)
        nodules = zlib.crc32(" ".join(cutout.name for cutout in self.cutouts).encode())
        path = self.cache / f"{name}-{key}-{nodules:08x}.json"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, json.dumps(make()))
        return json.loads(path.read_text(encoding="utf-8"))

    def _picture(self, name: str, figure: Figure, caption: str) -> Picture:
        return Picture(save(figure, self.output / "figures", name), caption)

    def _written_tables(self, tables: Sequence[Table]) -> Sequence[Table]:
        """Writes the tables and hands them on."""
        write_tables(tables, self.output / "tables")
        return tables


def held_out_scans(data: Path) -> list[Path]:
    """The folders of the whole scans of patients who were not trained on."""
    return sorted(folder for folder in (data / "lidc_scans").glob("*/") if list_of(folder.name) != "train")


_KINDS = {
    "h": "map h(x)",
    "D": "map of unevenness",
    "unevenness": "map of unevenness",
    "T": "map twin",
    "G": "G(x) itself",
    "CT": "raw CT",
    "diameter": "size",
}


def _counts(scans: Sequence[LabelledScan], labels: Callable[[LabelledScan], np.ndarray]) -> dict[str, list]:
    """True positives, false positives and false negatives in whole scans, per slice and per nodule."""
    slices = nodules = Counts(0, 0, 0)
    for scan in scans:
        found = labels(scan)
        slices += count_slices(scan.reference, found, scan.doubtful)
        nodules += count_nodules(scan.reference, found, scan.doubtful)
    return {unit: [one.tp, one.fp, one.fn] for unit, one in (("slice", slices), ("nodule", nodules))}


def _drawn(cutouts: Sequence[Cutout], count: int) -> list[Cutout]:
    """So many of the cut-outs (or all, if they are fewer), the same ones every time."""
    picks = np.random.default_rng(0).permutation(len(cutouts))[:count]
    return [cutouts[pick] for pick in sorted(picks)]


def _mean_sensitivity(scores: Sequence[float], false: Sequence[float], scans: int) -> float:
    """Mean over LUNA16's rates of false positives per scan."""
    return float(np.mean(list(sensitivity_at(scores, false, scans, LUNA16_RATES).values())))


def _groupings(scores: Sequence[NoduleScore]) -> dict[str, dict[str, list[NoduleScore]]]:
    return {
        "size": {name: [one for one in scores if size_of(one.diameter_mm) == name] for name, _, _ in SIZES},
        "texture": _grouped(scores, [name for name, _, _ in TEXTURES], "texture"),
        "place": _grouped(scores, PLACES, "place"),
    }


def _grouped(scores: Sequence[NoduleScore], names: Sequence[str], field: str) -> dict[str, list[NoduleScore]]:
    """Groups by one field, empty ones left out."""
    groups = {name: [score for score in scores if getattr(score, field) == name] for name in names}
    return {name: some for name, some in groups.items() if some}
