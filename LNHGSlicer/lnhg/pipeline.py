"""The way of one CT through the method; the one place that knows the order of the stages."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from scipy import ndimage

from . import __version__
from .axial import AxialView, axial_view
from .candidates import Candidate
from .compute import Compute, give_memory_back
from .ct import CT
from .detection import detect
from .errors import InputError
from .fusion import SEEDED, FusionRule, Nodules, around, edge_of, fuse_paper, fuse_scan, only, width_seen, window
from .generation import NoduleImage, Place, generate
from .grid import NetworkGrid
from .heterogeneity import OUTSIDE, heterogeneity_map, raw_ct_in_same_colours, rim_mask
from .lungs import UNSIDED, lung_regions
from .networks.ensemble import Detector, detector_of
from .networks.folding import fold_batch_norms, for_tiles
from .networks.generator import Generator, build_generator
from .networks.rescorer import Rescorer
from .networks.unet import UNet
from .nodules import Nodule, measure_nodules
from .options import Options
from .progress import ProgressCallback, ProgressReporter
from .rescoring import PIXELS, PLANES, apply_rescorer, rescore
from .resources import resource
from .result import Result
from .weights import Weights, kinds_in, load_weights

# Expected parts of the run's time on a CPU, for the progress shown.
_SHARES = {"lungs": 5.0, "detect": 70.0, "generate": 17.0, "fuse": 4.0, "measure": 4.0}

# Slices that share one window around the lungs; fixed, so that results do not hang on the batch size.
_SLICES_A_TIME = 8

# A candidate wider than this, mm, is shown to the generator on wider pixels, as if it were only so wide: of a mass at the
# usual scale it sees parts. 24 nodules over 20 mm, seeded: Dice 0.809 without, 0.834 with it (benchmarks/masses.py).
_MASS_MM, _SHOWN_AS_MM = 25.0, 15.0

# A seed's boxes: within this distance, mm, the generator is run for it.
_SEED_MM = 5.0


@dataclass(frozen=True, eq=False)
class Models:
    """The networks with their manifests.

    `detector` is None where the run needs none, `rescorer` where the weights hold none.
    """

    generator: Generator | UNet
    detector: Detector | None
    manifests: Mapping[str, Mapping[str, Any]]
    rescorer: Rescorer | None = None

    def grid(self, kind: str) -> NetworkGrid:
        return NetworkGrid.from_dict(self.manifests[kind]["grid"])

    def threshold(self, kind: str, chosen: float | None) -> float:
        """The person's choice, or the value in the manifest."""
        return float(self.manifests[kind]["thresholds"]["g" if kind == "generator" else "score"]) if chosen is None else chosen

    @property
    def lowest_rescored(self) -> float:
        """The detector's score from which on a candidate is looked at again."""
        return float(self.manifests["rescorer"]["thresholds"]["detector"])


def load_models(folder: Path | None = None, *, with_detector: bool = True) -> Models:
    """Check and load the weights of a folder (None: the shipped ones); a generator alone goes with the shipped detector."""
    folder = folder or resource("Models")
    found = {"generator": _of_kind(load_weights(folder, "generator"), "generator")}
    generator = build_generator(found["generator"].manifest["architecture"])
    found["generator"].load_into(generator)
    detector, rescorer = None, None
    if with_detector:
        kinds = kinds_in(folder)
        if "rescorer" in kinds and "detector" not in kinds:
            raise InputError(f"{folder} holds a rescorer without its detector; put the detector beside it, or take it out.")
        others = folder if "detector" in kinds else resource("Models")
        found["detector"] = _of_kind(load_weights(others, "detector"), "detector")
        detector = detector_of(found["detector"].manifest)
        found["detector"].load_into(detector)
        # Both together: 0.160 s of one core a slice in place of 0.187.
        fold_batch_norms(detector)
        detector.to(memory_format=torch.channels_last)
        if "rescorer" in kinds_in(others):
            found["rescorer"] = _of_kind(load_weights(others, "rescorer"), "rescorer")
            rescorer = Rescorer()
            found["rescorer"].load_into(rescorer)
    return Models(generator, detector, {kind: weights.manifest for kind, weights in found.items()}, rescorer)


def segment(
    ct: CT,
    options: Options | None = None,
    seeds: Sequence[Sequence[float]] | None = None,
    progress: ProgressCallback | None = None,
    models: Models | None = None,
) -> Result:
    """Find and segment the nodules of a chest CT and map their heterogeneity.

    Args:
        ct: the CT, in any orientation.
        options: what to do; None: the defaults.
        seeds: RAS points (mm) at which a nodule is to be segmented, whatever the detector says.
        progress: called with each step's `Progress`; returning False cancels the run, which raises `Cancelled`.
        models: networks loaded before, for many scans; None: loaded from the options' weights folder.

    Raises InputError for a seed outside the CT, an unusable region, or a run of seeds alone without any; WeightsError for
    bad weights.
    """
    options = options or Options()
    run = _Run(ct, options, models, progress)
    region, seeded = run.region(), run.seeded(seeds or ())
    with run.timed("lungs"):
        lungs = run.lungs()
    with run.timed("detect"):
        candidates = [*run.detected(lungs, region), *seeded]
    with run.timed("generate"):
        image = run.image(candidates)
    with run.timed("fuse"):
        nodules = run.fused(image, candidates, region)
    with run.timed("measure"):
        heterogeneity = heterogeneity_map(image, nodules.labels, options.heterogeneity, options.normalisation)
        rows = run.measured(nodules, heterogeneity, lungs)
        if options.hide_rim:
            heterogeneity[rim_mask(nodules.labels, run.ct.spacing, options.rim)] = OUTSIDE
    return run.result(nodules, image, heterogeneity, rows, candidates)


class _Run:
    """One run: the CT in the axial view, what it is computed with, and what is recorded on the way."""

    def __init__(self, ct: CT, options: Options, models: Models | None, progress: ProgressCallback | None) -> None:
        self.original, self.options = ct, options
        self.models = models or load_models(options.weights, with_detector=not options.seeds_only)
        self.view: AxialView = axial_view(ct)
        self.ct = self.view.ct
        self.compute = Compute(options.device, options.threads, options.batch_size)
        self.report = ProgressReporter(_SHARES, progress)
        self.warnings = list(ct.warnings)
        self.seconds: dict[str, float] = {}
        self.points: dict[tuple[int, int, int], np.ndarray] = {}  # the seeds as given (RAS) by their voxel
        threshold = self.models.threshold("generator", options.generator_threshold)
        self.rule = FusionRule(threshold, options.minimum_diameter, options.edge)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        self.report(stage, 0.0)
        yield
        give_memory_back()
        self.report(stage, 1.0)
        self.seconds[stage] = round(time.perf_counter() - began, 3)

    def lungs(self) -> np.ndarray:
        lungs = lung_regions(self.ct)
        if (lungs == UNSIDED).any():
            self.warnings.append("The field of view does not show which lung is which: sides of nodules can be unknown.")
        if not lungs.any():
            self.warnings.append(f"No lungs were found in the field of view: sides are unknown{self._without_lungs()}.")
        return lungs

    def _without_lungs(self) -> str:
        if self.options.seeds_only:
            return ""
        if self.options.anywhere:
            return ", and the whole CT was searched"
        return " and no nodules were looked for; set a seed, or choose to look anywhere (--anywhere)"

    def detected(self, lungs: np.ndarray, region: np.ndarray | None) -> tuple[Candidate, ...]:
        if self.options.seeds_only or self.models.detector is None:
            return ()
        searched = np.ones_like(lungs) if self.options.anywhere else lungs
        if region is not None:
            searched = np.where(np.any(region, axis=(1, 2))[:, None, None], searched, 0)
        again = self._rescorer()
        score = self.models.threshold("rescorer" if again else "detector", self.options.score_threshold)
        found = detect(
            self.ct,
            _DetectorOnCompute(self.models.detector, self.compute),
            self.models.grid("detector"),
            lungs=searched,
            batch_size=_SLICES_A_TIME,
            score_threshold=self.models.lowest_rescored if again else score,
            report=lambda fraction: self.report("detect", fraction),
        )
        if again:
            item_bytes = 500 * 4 * PLANES * PIXELS**2
            found = rescore(self.ct, found, lambda planes: self.compute.run(again, apply_rescorer, planes, item_bytes))
            found = tuple(candidate for candidate in found if candidate.score >= score)
        return tuple(c for c in found if region is None or self._holds(region, c.centre_ijk[::-1]))

    def _rescorer(self) -> Rescorer | None:
        """The network that scores candidates again, unless the detector's scores were asked for, as in the paper."""
        alone = self.options.detector_alone or self.options.fusion == "paper"
        return None if alone else self.models.rescorer

    def _holds(self, region: np.ndarray, kji: np.ndarray) -> bool:
        last = np.array(self.ct.hu.shape) - 1
        return bool(region[tuple(np.clip(np.round(kji).astype(int), 0, last))])

    def region(self) -> np.ndarray | None:
        """Voxels of the axial view inside the region and slice range asked for; None if neither was."""
        if self.options.roi is None and self.options.slices is None:
            return None
        inside = np.ones(self.original.hu.shape, bool)
        if self.options.slices is not None:
            first, last = self.options.slices
            if first >= len(inside):
                raise InputError(f"The CT has slices 0 to {len(inside) - 1}; slice range {first}-{last} lies outside.")
            inside[:first], inside[last + 1 :] = False, False
        if self.options.roi is not None:
            inside &= _inside_box(self.original, self.options.roi)
            if not inside.any():
                raise InputError(
                    "The region holds no voxel of the CT (or of its slices asked for); give other RAS bounds (mm)."
                )
        return self.view.forth(inside)

    def seeded(self, seeds: Sequence[Sequence[float]]) -> list[Candidate]:
        if self.options.seeds_only and not len(seeds):
            raise InputError("Only seeds were asked for and none was given; give a seed or let the detector run.")
        return [self._seed(np.asarray(seed, float)) for seed in seeds]

    def _seed(self, ras: np.ndarray) -> Candidate:
        if ras.shape != (3,) or not np.isfinite(ras).all():
            raise InputError(f"Seed {ras.tolist()} is no point; give three numbers R,A,S in mm.")
        ijk = np.round(self.ct.to_ijk(ras)).astype(int)
        if (ijk < 0).any() or (ijk >= self.ct.hu.shape[::-1]).any():
            raise InputError(f"Seed {_text(ras)} lies outside the CT; give RAS millimetres inside it.")
        i, j, k = (int(index) for index in ijk)
        self.points[i, j, k] = ras
        x, y, z = (_SEED_MM / spacing for spacing in self.ct.spacing)
        slices = range(max(0, int(np.ceil(k - z))), min(len(self.ct.hu) - 1, int(k + z)) + 1)
        return Candidate(dict.fromkeys(slices, (i + 0.5 - x, j + 0.5 - y, i + 0.5 + x, j + 0.5 + y)), 1.0, (i, j, k))

    def image(self, candidates: Sequence[Candidate]) -> NoduleImage:
        """G(x) around the candidates or everywhere; masses are seen from further away."""
        grid, report = self.models.grid("generator"), partial(self.report, "generate")
        wide = self._masses({c: c.width(self.ct) for c in candidates})
        near = [c for c in candidates if c not in wide]
        image = self._generated(grid, None if self.options.everywhere else [self._place(c) for c in near], report)
        wide |= self._masses({c: width_seen(self.ct, image, c, self.rule) for c in near if c.seed is not None})
        spared = [window(c, k, self.ct) for c in near if c not in wide for k in c.boxes]
        for mass, width in wide.items():
            box = around(mass, self.ct, self.rule.limit(mass, self.ct))
            whole = Place([box], box, lambda image: np.inf)
            coarser = grid.coarser(width / _SHOWN_AS_MM, self.ct.hu.shape[1:], self.ct.spacing[:2])
            image.overlay(self._generated(coarser, [whole]), box, spared)
        return image

    def _masses(self, widths: Mapping[Candidate, float]) -> dict[Candidate, float]:
        """Those that are looked at from further away, with their widths; none under the paper's rule."""
        return {} if self.options.fusion == "paper" else {c: width for c, width in widths.items() if width > _MASS_MM}

    @cached_property
    def _for_tiles(self) -> tuple[torch.nn.Module, int, int]:
        """The generator's form for tiles, its reach and its cell: made once, for the usual scale and all masses."""
        return for_tiles(self.models.generator)

    def _generated(
        self, grid: NetworkGrid, places: Sequence[Place] | None, report: Callable[[float], None] = lambda fraction: None
    ) -> NoduleImage:
        width = self.models.generator.width
        network, reach, cell = self._for_tiles

        def run(tiles: torch.Tensor) -> torch.Tensor:
            item_bytes = tiles[0].numel() * 4 * width * 16
            return torch.stack(self.compute.run(network, _apply_generator, list(tiles), item_bytes))

        return generate(
            self.ct,
            run,
            grid,
            places,
            reach=reach,
            cell=cell,
            triplets=self.options.triplets,
            report=report,
        )

    def _place(self, candidate: Candidate) -> Place:
        return Place(
            boxes=[window(candidate, k, self.ct) for k in candidate.boxes],
            limit=around(candidate, self.ct, self.rule.limit(candidate, self.ct)),
            edge=lambda image: edge_of(self.ct, image, candidate, self.rule),
        )

    def fused(self, image: NoduleImage, candidates: Sequence[Candidate], region: np.ndarray | None) -> Nodules:
        if self.options.everywhere:
            fuse = fuse_paper if self.options.fusion == "paper" else fuse_scan
            nodules = fuse(self.ct, image.on_ct_grid(), candidates, self.rule)
        else:
            nodules = fuse_scan(self.ct, image, candidates, self.rule)
        if region is not None:
            nodules = only(nodules, [self._wanted(nodules, label, region) for label in range(1, len(nodules.statuses) + 1)])
        for seed in nodules.not_found:
            self.warnings.append(f"Nothing was found at seed {_text(self.points[seed])} (RAS mm).")
        return nodules

    def _wanted(self, nodules: Nodules, label: int, region: np.ndarray) -> bool:
        """Whether a nodule is centred in the region, or was pointed at."""
        centre = np.array(ndimage.center_of_mass(nodules.labels == label))
        return nodules.statuses[label - 1] == SEEDED or self._holds(region, centre)

    def measured(self, nodules: Nodules, heterogeneity: np.ndarray, lungs: np.ndarray) -> tuple[Nodule, ...]:
        options = self.options
        rows = measure_nodules(
            self.ct,
            nodules.labels,
            heterogeneity,
            raw_ct_in_same_colours(self.ct.hu, nodules.labels, options.heterogeneity, options.normalisation),
            lungs,
            statuses=nodules.statuses,
            scores=nodules.scores,
            rim_mm=options.rim,
        )
        return tuple(replace(row, slice=self.view.stored_slice(row.slice)) for row in rows)

    def result(
        self,
        nodules: Nodules,
        image: NoduleImage,
        heterogeneity: np.ndarray,
        rows: tuple[Nodule, ...],
        candidates: Sequence[Candidate],
    ) -> Result:
        back = self.view.back
        return Result(
            ct=self.original,
            labels=back(nodules.labels),
            heterogeneity=back(heterogeneity),
            generated=lambda: back(image.on_ct_grid()),
            unconfirmed=back(nodules.unconfirmed),
            nodules=rows,
            candidates=tuple(_plain(candidate, self.ct) for candidate in candidates),
            options=self.options,
            provenance=self._provenance(),
            warnings=(*self.warnings, *self.compute.notes),
        )

    def _provenance(self) -> dict[str, object]:
        return {
            "lnhg": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "numpy": np.__version__,
            "device": self.compute.description,
            "precision": str(self.compute.precision).removeprefix("torch."),
            "weights": {
                kind: {"name": manifest["name"], "sha256": manifest["sha256"]}
                for kind, manifest in self.models.manifests.items()
            },
            "grids": {kind: self.models.grid(kind).as_dict() for kind in self.models.manifests},
            "fusion": asdict(self.rule),
            "score_threshold": None
            if self.models.detector is None
            else self.models.threshold("rescorer" if self._rescorer() else "detector", self.options.score_threshold),
            "seconds": self.seconds,
        }


def _of_kind(weights: Weights, kind: str) -> Weights:
    if weights.manifest["kind"] != kind:
        raise InputError(f"{weights.name} holds weights of a {weights.manifest['kind']}, not of a {kind}; install them again.")
    return weights


class _DetectorOnCompute:
    """The detector as the detect stage calls it, run by `Compute`."""

    def __init__(self, detector: Detector, compute: Compute) -> None:
        self.architecture = detector.architecture
        self._detector, self._compute = detector, compute

    def __call__(self, images: Sequence[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        item_bytes = max(image.numel() for image in images) * 4 * 200
        return self._compute.run(self._detector, _apply_detector, images, item_bytes)


def _apply_detector(network: torch.nn.Module, images: Sequence[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    return [{name: values.float().cpu() for name, values in result.items()} for result in network(list(images))]


def _apply_generator(network: torch.nn.Module, batch: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    device = next(network.parameters()).device
    return list(network(torch.stack(list(batch)).to(device)).float().cpu())


def _inside_box(ct: CT, bounds: Sequence[float]) -> np.ndarray:
    """Voxels `[slice, row, column]` whose centre lies in the RAS box."""
    k, j, i = (np.arange(size) for size in ct.hu.shape)
    inside = np.ones(ct.hu.shape, bool)
    for axis in range(3):
        a, b, c, offset = ct.ijk_to_ras[axis]
        position = offset + c * k[:, None, None] + b * j[:, None] + a * i
        inside &= (bounds[2 * axis] <= position) & (position <= bounds[2 * axis + 1])
    return inside


def _plain(candidate: Candidate, ct: CT) -> dict[str, object]:
    """A candidate as values for display and files: centre, extent, and the corners of each slice's box."""
    boxes = np.array(list(candidate.boxes.values()))
    sides = (boxes[:, 2].max() - boxes[:, 0].min()) * ct.spacing[0], (boxes[:, 3].max() - boxes[:, 1].min()) * ct.spacing[1]
    corners = [
        ct.to_ras(np.array([[x0, y0, k], [x1, y0, k], [x1, y1, k], [x0, y1, k]]) - (0.5, 0.5, 0)).round(2).tolist()
        for k, (x0, y0, x1, y1) in sorted(candidate.boxes.items())
    ]
    return {
        "score": round(candidate.score, 4),
        "origin": "detector" if candidate.seed is None else "seed",
        "centre_ras": ct.to_ras(candidate.centre_ijk).round(2).tolist(),
        "size_mm": [round(float(side), 2) for side in (*sides, len(candidate.boxes) * ct.spacing[2])],
        "boxes_ras": corners,
    }


def _text(ras: np.ndarray) -> str:
    return ",".join(f"{value:.1f}" for value in ras)
