"""The way of one CT through the method; the one place that knows the order of the stages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from .core.answers import StudyAnswers, of_no_nodule
from .core.boxes import Box, box_around, filled_box
from .core.candidate import Candidate
from .core.ct import CT
from .core.geometry import equivalent_diameter
from .core.lobes import LobeMap
from .core.memory import give_memory_back
from .core.nodule import Nodule
from .core.result import Result
from .errors import InputError
from .networks.grid import NetworkGrid
from .networks.models import Models, open_models
from .networks.rescoring import rescore
from .networks.runtime import Scores, TileGenerator
from .options import Options
from .progress import Found, ProgressCallback, ProgressReporter
from .stages.axial import AxialOrder
from .stages.cavities import with_cavities, with_filled_cavities
from .stages.detection import detect
from .stages.fusion import FusionRule, Nodules, around, fuse_paper, fuse_scan, grown_in_boxes
from .stages.generation import NoduleImage, Wanted, generate
from .stages.heterogeneity_figures import rim_mask
from .stages.heterogeneity_from_twin import twin_differences
from .stages.heterogeneity_maps import MapInput, Outlines, nodule_map, outlines_of, raw_map
from .stages.lungs import MOST_LITRES
from .stages.mass_candidates import ended_by_limits, with_masses
from .stages.mass_images import Generate, image_with_masses, wanted_at
from .stages.measurement import measure_nodules
from .stages.nodule_map import OUTSIDE, Indexed
from .stages.place import LungShape, check_overlap
from .stages.prepared import PreparedCT
from .stages.provenance import provenance
from .stages.regions import holds, only_in, wanted_region
from .stages.seeds import point_text, seed_candidate

# Expected parts of the run's time on a CPU, for the progress shown.
_SHARES = {"lungs": 5.0, "detect": 70.0, "generate": 17.0, "fuse": 4.0, "measure": 4.0}

# Slices that share one window around the lungs; fixed, so that results do not hang on the batch size.
_SLICES_A_TIME = 8


def segment(
    ct: CT | PreparedCT,
    options: Options | None = None,
    seeds: Sequence[Sequence[float]] | None = None,
    progress: ProgressCallback | None = None,
    models: Models | None = None,
    answers: StudyAnswers | None = None,
    lobes: LobeMap | None = None,
    *,
    tell_found: bool = False,
) -> Result:
    """Find and segment the nodules of a chest CT and map their heterogeneity.

    Args:
        ct: the CT, in any orientation; from `prepare_ct` where several runs are made on it.
        options: what to do; None: the defaults.
        seeds: RAS points (mm) at which a nodule is to be segmented, whatever the detector says.
        progress: called with each step's `Progress`; returning False cancels the run, which raises `Cancelled`.
        models: networks loaded before, for many scans, with what computes them; None: loaded as the options say.
        answers: what the reader says that the CT cannot say, for the categories; None: nothing is answered.
        lobes: lobes or lungs of a segmentation (`read_lobes`), for the places of nodules; None: none is given.
        tell_found: also tell `progress` of each nodule as soon as the detector has found it (`Progress.found`),
            outlined in the detector's boxes by the CT's HU alone; masses, regions and the paper's rule are no
            exception. The generator outlines nodules later, so those of the result differ. Seeds are not told of.

    Raises InputError for a seed outside the CT, an unusable region, or a run of seeds alone without any; WeightsError
    for bad weights.
    """
    run = _Run(ct, options or Options(), models, progress)
    found = run.segmented(seeds or (), answers or StudyAnswers(), lobes, tell_found=tell_found)
    return run.result(found, tuple(slice(0, size) for size in run.ct.hu.shape), found.image.on_ct_grid)


def segment_part(
    ct: CT | PreparedCT,
    options: Options | None = None,
    seeds: Sequence[Sequence[float]] | None = None,
    progress: ProgressCallback | None = None,
    models: Models | None = None,
) -> tuple[Box, Result]:
    """`segment` for one who waits: nothing as large as the CT is made.

    Returns the box of the CT `[slice, row, column]` around the nodules and G(x), and the result, whose volumes are
    those that `segment` gives in that box.
    """
    run = _Run(ct, options or Options(), models, progress)
    found = run.segmented(seeds or (), StudyAnswers(), None, tell_found=False)
    k, y, x = box = box_around(filter(None, (filled_box(found.labels), found.image.box)))
    return run.view.box_from_axial(box), run.result(found, box, lambda: found.image[k, y, x])


@dataclass(frozen=True, eq=False)
class _Segmented:
    """What a run found, in the axial view."""

    nodules: Nodules
    image: NoduleImage
    heterogeneity: Indexed
    rows: tuple[Nodule, ...]
    candidates: Sequence[Candidate]
    answers: StudyAnswers

    @property
    def labels(self) -> np.ndarray:
        return self.nodules.labels


class _Run:
    """One run: the CT in the axial view, what it is computed with, and what is recorded on the way."""

    def __init__(
        self, ct: CT | PreparedCT, options: Options, models: Models | None, progress: ProgressCallback | None
    ) -> None:
        self._prepared = ct if isinstance(ct, PreparedCT) else PreparedCT(ct)
        self.original, self.options = self._prepared.ct, options
        self.models = models or open_models(
            options.weights, options.runtime, options.device, with_detector=not options.seeds_only
        )
        if options.runtime not in ("auto", self.models.runtime):
            raise InputError(f"Runtime {options.runtime} was asked for, but the models are {self.models.runtime}'s.")
        self.view: AxialOrder = self._prepared.view
        self.ct = self.view.ct
        self.runtime = self.models.start(options.device, options.threads, options.batch_size)
        self.report = ProgressReporter(_SHARES, progress)
        self.warnings = list(self.original.warnings)
        self.seconds: dict[str, float] = {}
        self.points: dict[tuple[int, int, int], np.ndarray] = {}  # the seeds as given (RAS) by their voxel
        threshold = self.models.threshold("generator", options.generator_threshold)
        self.rule = FusionRule(threshold, options.minimum_diameter, options.edge)

    def segmented(
        self, seeds: Sequence[Sequence[float]], answers: StudyAnswers, lobes: LobeMap | None, *, tell_found: bool
    ) -> _Segmented:
        region, seeded = self.region(), self.seeded(seeds)
        if lobes is not None:
            check_overlap(lobes, self.original)
        with self.timed("lungs"):
            lungs = self.lungs()
        with self.timed("detect"):
            detected = self.detected(lungs.labels, region, tell_found=tell_found)
            candidates = with_masses(self.ct, [*detected, *seeded], lungs.labels)
        with self.timed("generate"):
            filled = self.with_filled_cavities(candidates)
            report = partial(self.report, "generate")
            image = self.image(filled, candidates, report, everywhere=self.options.everywhere)
        with self.timed("fuse"):
            nodules = self.fused(image, candidates, region)
            self.show_cavities(image, nodules.labels, filled)
        with self.timed("measure"):
            scan, outlines = self.scan(image), outlines_of(nodules.labels)
            heterogeneity: Indexed = nodule_map(scan, outlines, self.options)
            raw_ct = raw_map(scan, outlines, self.options)
            rows = self.measured(nodules, candidates, heterogeneity, raw_ct, lungs, lobes)
            unknown = of_no_nodule(answers, [nodule.id for nodule in rows])
            if unknown:
                self.warnings.append(f"Answers were given for nodule {unknown}, which is not there.")
        return _Segmented(nodules, image, heterogeneity, rows, candidates, answers)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        self.report(stage, 0.0)
        yield
        give_memory_back()
        self.report(stage, 1.0)
        self.seconds[stage] = round(time.perf_counter() - began, 3)

    def region(self) -> np.ndarray | None:
        """Voxels of the axial view inside the region and slice range asked for; None if neither was."""
        wanted = wanted_region(self.original, self.options)
        return None if wanted is None else self.view.to_axial(wanted)

    def seeded(self, seeds: Sequence[Sequence[float]]) -> list[Candidate]:
        if self.options.seeds_only and not len(seeds):
            raise InputError("Only seeds were asked for and none was given; give a seed or let the detector run.")
        candidates = []
        for seed in seeds:
            candidate = seed_candidate(self.ct, np.asarray(seed, float))
            assert candidate.seed is not None
            self.points[candidate.seed] = np.asarray(seed, float)
            candidates.append(candidate)
        return candidates

    def lungs(self) -> LungShape:
        lungs = self._prepared.lungs
        if not lungs.sides_known:
            self.warnings.append(
                "The field of view does not show which lung is which: sides of nodules can be unknown."
            )
        if not lungs.in_view:
            self.warnings.append(f"No lungs were found in the field of view: sides are unknown{self._without_lungs()}.")
        if lungs.exchanged:
            self.warnings.append(
                f"By the windpipe {' and '.join(lungs.exchanged)} of the patient are exchanged in this file: places "
                "and sides of nodules may be wrong, check how it was written."
            )
        if lungs.litres > MOST_LITRES:
            self.warnings.append(
                f"What was taken for lungs holds {lungs.litres:.0f} litres, more than the lungs of any patient: "
                "the CT's sizes may be wrong, or air around the body was taken for lung."
            )
        return lungs

    def _without_lungs(self) -> str:
        if self.options.seeds_only:
            return ""
        if self.options.anywhere:
            return ", and the whole CT was searched"
        return " and no nodules were looked for; set a seed, or choose to look anywhere (--anywhere)"

    def detected(self, lungs: np.ndarray, region: np.ndarray | None, *, tell_found: bool) -> tuple[Candidate, ...]:
        if self.options.seeds_only or "detector" not in self.models.manifests:
            return ()
        searched = np.ones_like(lungs) if self.options.anywhere else lungs
        if region is not None:
            searched = np.where(np.any(region, axis=(1, 2))[:, None, None], searched, 0)
        again = self._scored_by() == "rescorer"

        def tell(candidate: Candidate) -> None:
            for one in self._kept([candidate], region):
                self.report.tell_found(self._found(one))

        found = detect(
            self.ct,
            self.runtime.detector(),
            self.models.grid("detector"),
            lungs=searched,
            batch_size=_SLICES_A_TIME,
            score_threshold=self.models.lowest_rescored if again else self._score_threshold(),
            report=lambda fraction: self.report("detect", fraction),
            on_candidate=tell if tell_found else None,
        )
        return self._kept(found, region)

    def _kept(self, found: Sequence[Candidate], region: np.ndarray | None) -> tuple[Candidate, ...]:
        """Those of the detector's candidates that are wanted, with probabilities as scores."""
        if self._scored_by() == "rescorer":
            score = self._score_threshold()
            found = [one for one in rescore(self.ct, found, self._rescorer) if one.score >= score]
        inside = (c for c in found if region is None or holds(region, c.centre_ijk[::-1]))
        probability = self.models.calibration(self._scored_by()).probability
        return tuple(replace(candidate, score=probability(candidate.score)) for candidate in inside)

    def _found(self, candidate: Candidate) -> Found:
        """A candidate as it is told before the generator has seen it."""
        box, mask = grown_in_boxes(self.ct, candidate)
        middle = np.argwhere(mask).mean(0) + [side.start for side in box]
        r, a, s = self.ct.to_ras(middle[::-1]).tolist()
        k, j, i = (side.start for side in self.view.box_from_axial(box))
        diameter = equivalent_diameter(np.count_nonzero(mask) * self.ct.voxel_volume)
        return Found((k, j, i), self.view.from_axial(mask), candidate.score, diameter, (r, a, s))

    @cached_property
    def _rescorer(self) -> Scores:
        return self.runtime.rescorer()

    def _scored_by(self) -> str:
        """The rescorer where there is one, unless the detector's scores were asked for, as in the paper."""
        alone = self.options.detector_alone or self.options.fusion == "paper"
        return "rescorer" if "rescorer" in self.models.manifests and not alone else "detector"

    def _score_threshold(self) -> float:
        """The lowest score of a candidate, as the network scores it."""
        options = self.options
        return self.models.score_threshold(self._scored_by(), options.score_threshold, options.false_positives_per_scan)

    def _lowest_probability(self) -> float | None:
        """The same as the candidates of a result are scored; None without a detector."""
        if "detector" not in self.models.manifests:
            return None
        return self.models.calibration(self._scored_by()).probability(self._score_threshold())

    def with_filled_cavities(self, candidates: Sequence[Candidate]) -> CT:
        """The CT that nodules are outlined in."""
        return self.ct if self.options.fusion == "paper" else with_filled_cavities(self.ct, candidates)

    def show_cavities(self, image: NoduleImage, labels: np.ndarray, filled: CT) -> None:
        """Put G(x) of the CT as it is over the nodules that were outlined with their cavities filled."""
        for candidate in with_cavities(self.ct, labels, filled):
            own = self.image(self.ct, [candidate], lambda fraction: None, everywhere=False)
            image.overlay(own, around(candidate, self.ct), ())

    def image(
        self, ct: CT, candidates: Sequence[Candidate], report: Callable[[float], None], *, everywhere: bool
    ) -> NoduleImage:
        """G(x) of `ct` around the candidates or everywhere; masses are seen on a coarser grid but under the paper's
        rule.
        """
        grid = self.models.grid("generator")
        if self.options.fusion == "paper":
            places = None if everywhere else [wanted_at(one, ct, self.rule) for one in candidates]
            return self._generated(grid, places, report, ct)
        reports = iter([report])  # the first image tells its progress; those of masses take little

        def generated(grid: NetworkGrid, places: Sequence[Wanted] | None) -> NoduleImage:
            return self._generated(grid, places, next(reports, lambda fraction: None), ct)

        return image_with_masses(ct, candidates, grid, self.rule, generated, everywhere=everywhere)

    @cached_property
    def _generator(self) -> TileGenerator:
        return self.runtime.generator()

    def _generated(
        self,
        grid: NetworkGrid,
        places: Sequence[Wanted] | None,
        report: Callable[[float], None],
        ct: CT,
    ) -> NoduleImage:
        run = self._generator
        return generate(
            ct,
            run,
            grid,
            places,
            reach=run.reach,
            cell=run.cell,
            triplets=self.options.triplets,
            report=report,
        )

    def fused(self, image: NoduleImage, candidates: Sequence[Candidate], region: np.ndarray | None) -> Nodules:
        if not self.options.everywhere:
            nodules = fuse_scan(self.ct, image, candidates, self.rule, everywhere=False)
        else:
            fuse = fuse_paper if self.options.fusion == "paper" else fuse_scan
            nodules = fuse(self.ct, image.on_ct_grid(), candidates, self.rule)
        if region is not None:
            nodules = only_in(nodules, region)
        for seed in nodules.not_found:
            place, least = point_text(self.points[seed]), f"{self.rule.minimum_diameter:g} mm"
            self.warnings.append(f"Nothing of {least} or more was found at seed {place} (RAS mm).")
        return nodules

    def scan(self, image: NoduleImage) -> MapInput:
        """What the map is made from."""
        return MapInput(self.ct.hu, self.ct.spacing, image, self._twins)

    def _twins(self, outlines: Outlines) -> Mapping[int, np.ndarray]:
        def on(ct: CT) -> Generate:
            return lambda grid, places: self._generated(grid, places, lambda fraction: None, ct)

        return twin_differences(self.ct, outlines, self.models.grid("generator"), on)

    def measured(
        self,
        nodules: Nodules,
        candidates: Sequence[Candidate],
        heterogeneity: Indexed,
        raw_ct: Indexed,
        lungs: LungShape,
        lobes: LobeMap | None,
    ) -> tuple[Nodule, ...]:
        options = self.options
        rows = measure_nodules(
            self.ct,
            nodules.labels,
            heterogeneity,
            raw_ct,
            lungs,
            statuses=nodules.statuses,
            scores=nodules.scores,
            rim_mm=options.rim,
            cut=ended_by_limits(self.ct, nodules.labels, candidates, self.rule),
            lobes=lobes,
        )
        return tuple(replace(row, slice=self.view.stored_slice(row.slice)) for row in rows)

    def result(self, found: _Segmented, box: Box, generated: Callable[[], np.ndarray]) -> Result:
        """The result with its volumes in a box of the axial view; `generated` makes G(x) there."""
        back = self.view.from_axial
        heterogeneity = found.heterogeneity[box]
        if self.options.hide_rim:
            heterogeneity[rim_mask(found.labels, self.ct.spacing, self.options.rim)[box]] = OUTSIDE
        return Result(
            ct=self.original,
            labels=back(found.labels[box]),
            heterogeneity=back(heterogeneity),
            generated=lambda: back(generated()),
            unconfirmed=back(found.nodules.unconfirmed[box]),
            nodules=found.rows,
            candidates=tuple(candidate.as_record(self.ct) for candidate in found.candidates),
            options=self.options,
            provenance=provenance(self.models, self.runtime, self.rule, self._lowest_probability(), self.seconds),
            warnings=(*self.warnings, *self.runtime.notes),
            answers=found.answers,
        )
