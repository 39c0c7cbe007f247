"""The benchmark of maps on planted unevenness: cases, scores, tables, pictures, and one page."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import rankdata

from .. import __version__
from ..core.atomic_file import write_atomic
from ..core.processes import done_by_processes
from ..data.cutouts import MOST_READERS, Cutout, read_cutout
from ..data.splits import list_of
from ..data.tables import read_rows
from ..errors import InputError
from ..evaluation.planted_nodules import (
    AS_IT_IS,
    BRIGHT_BALL,
    CALCIUM,
    CAVITY,
    DARK_BALL,
    EVEN,
    HALO,
    NECROSIS,
    SOLID_PART,
    TEXTURE,
    PlantedCase,
    PlantedCases,
)
from ..evaluation.planted_scores import PlantedScore, planted_score, read_map, score_row, write_case, write_table
from ..evaluation.statistics import bootstrap_interval
from ..networks.models import open_models
from ..progress import ProgressCallback, ProgressReporter
from ..stages.heterogeneity_from_ct import FULL_SCALE_HU
from ..writers.colours import jet
from .page import Picture, Section, page_html
from .planted_maps import (
    DEVIATION,
    INVERSE,
    MEANINGS,
    RAW,
    SMOOTHED,
    SMOOTHED_INSIDE,
    TWIN,
    CaseMaps,
    generator_of,
)
from .plots import save
from .tables import Table, write_tables

Scores = Sequence[PlantedScore]

_BALLS = (DARK_BALL, BRIGHT_BALL)
#: Name of a group of cases, and which belong to it.
GROUPS: tuple[tuple[str, Callable[[PlantedScore], bool]], ...] = (
    ("all", lambda one: one.kind != EVEN),
    ("balls", lambda one: one.kind in _BALLS),
    ("balls of 6 mm and 150 HU", lambda one: _ball(one, 6, 150)),
    ("balls of 3 mm and 150 HU", lambda one: _ball(one, 3, 150)),
    *((name, lambda one, name=name: one.kind == name) for name in _BALLS),
    *(
        (name, lambda one, name=name: one.kind == name)
        for name in (HALO, SOLID_PART, CAVITY, CALCIUM, NECROSIS, TEXTURE)
    ),
    ("balls, noise under 25 HU", lambda one: one.kind in _BALLS and one.noise_hu < 25),
    ("balls, noise over 45 HU", lambda one: one.kind in _BALLS and one.noise_hu > 45),
    ("balls, slices under 2 mm", lambda one: one.kind in _BALLS and one.slice_mm < 2),
    ("balls, slices of 3 mm and more", lambda one: one.kind in _BALLS and one.slice_mm >= 3),
    ("balls in real nodules as they are", lambda one: one.kind in _BALLS and one.source == AS_IT_IS),
)
_SIZES = ((3.0, 6.0), (6.0, 10.0), (10.0, 20.0), (20.0, 60.0))
_SHOWN = 5  # cases in the gallery
_MOST_PROCESSES = 16  # each holds all cut-outs


@dataclass(frozen=True)
class PlantedStudy:
    """What is measured on what; fields as the options of `lnhg planted`."""

    data: Path
    output: Path
    draws: int = 2000
    seed: int = 0
    patients: str = "report"
    weights: Path | None = None
    without_network: bool = False
    write: Path | None = None
    maps: Mapping[str, Path] = field(default_factory=dict)
    processes: int = 1


def planted_study(study: PlantedStudy, progress: ProgressCallback | None = None) -> Path:
    """Make the cases, score every map on each, write `planted.csv`, tables, pictures and the page; returns the page."""
    study.output.mkdir(parents=True, exist_ok=True)
    if study.write is not None:
        study.write.mkdir(parents=True, exist_ok=True)
    if taken := sorted(study.maps.keys() & MEANINGS.keys()):
        raise InputError(f"{taken[0]} is the name of a map that is scored anyway; give another name.")
    report = ProgressReporter({"maps": 0.95, "page": 0.05}, progress)
    scorer = _Scorer(study)
    scored: dict[int, _Scored] = {}
    for one in map(scorer, range(study.draws)) if study.processes == 1 else _by_processes(study):
        scored[one.number] = one
        report("maps", len(scored) / study.draws)
    in_order = [scored[number] for number in range(study.draws)]
    scores = [score for one in in_order for score in one.scores]
    write_table([score_row(one) for one in scores], study.output / "planted.csv")
    if study.write is not None:
        write_table([one.row for one in in_order if one.row is not None], study.write / "cases.csv")
    shown = list({one.kind: one.number for one in reversed(in_order) if one.worth_showing}.values())
    gallery = [(case, scorer.maps(case)) for case in map(scorer.cases.__getitem__, sorted(shown)[:_SHOWN])]
    return _page(study, scores, gallery, scorer.weights)


@dataclass(frozen=True)
class _Scored:
    """One case: the scores of all maps, and its row in the table of cases where they are written."""

    number: int
    kind: str
    scores: Scores
    row: Mapping[str, object] | None
    worth_showing: bool


class _Scorer:
    """Makes the maps of cases and scores them; each process has one."""

    def __init__(self, study: PlantedStudy) -> None:
        self._study = study
        self.cases = PlantedCases(_cutouts(study), study.draws, study.seed)
        self._models = None if study.without_network else open_models(study.weights, device="cpu", with_detector=False)
        self._generator = None if self._models is None else generator_of(self._models)

    @property
    def weights(self) -> str:
        """SHA-256 of the generator's weights."""
        return "none" if self._models is None else str(self._models.manifests["generator"]["sha256"])

    def maps(self, case: PlantedCase) -> Mapping[str, np.ndarray]:
        """All maps of a case by their names, those of other systems too."""
        others = {name: read_map(case, folder) for name, folder in self._study.maps.items()}
        return {**CaseMaps(case, self._generator, self._models).all(), **others}

    def __call__(self, number: int) -> _Scored:
        case = self.cases[number]
        scores = [planted_score(case, name, values) for name, values in self.maps(case).items()]
        row = None if self._study.write is None else write_case(case, self._study.write)
        return _Scored(number, case.kind, scores, row, _worth_showing(case))


def _by_processes(study: PlantedStudy) -> Iterator[_Scored]:
    """The cases as they are done."""
    processes = min(study.processes, _MOST_PROCESSES)
    return done_by_processes(_scored_here, range(study.draws), processes, _begin_process, (study,))


def _begin_process(study: PlantedStudy) -> None:
    global _scorer
    _scorer = _Scorer(study)


def _scored_here(number: int) -> _Scored:
    return _scorer(number)


_scorer: _Scorer


def _cutouts(study: PlantedStudy) -> list[Cutout]:
    folders = [study.data / name for name in ("lidc_nodules", "lidc_cubes") if (study.data / name).is_dir()]
    if not folders:
        raise InputError(f"{study.data} holds neither lidc_nodules/ nor lidc_cubes/; give the folder that does.")
    wanted = [
        (folder, row)
        for folder in folders
        for row in read_rows(folder / "nodules.csv", "the nodule cut-outs")
        if list_of(row["patient"]) == study.patients and int(row["readers"]) <= MOST_READERS
    ]
    return [read_cutout(folder, row) for folder, row in wanted]


def _ball(score: PlantedScore, mm: float, hu: float) -> bool:
    return score.kind in _BALLS and score.size_mm == mm and abs(score.contrast_hu) == hu


def _worth_showing(case: PlantedCase) -> bool:
    """Whether the nodule is large enough and was even before, and what was planted can be seen."""
    wanted = case.kind in (EVEN, DARK_BALL, BRIGHT_BALL, CAVITY, TEXTURE, SOLID_PART)
    fits = case.kind not in _BALLS or (case.size_mm >= 4 and abs(case.contrast_hu) in (150, 300))
    return wanted and fits and case.diameter >= 9 and case.source != AS_IT_IS


# ---------------------------------------------------------------- tables


def areas_table(scores: Scores, names: Sequence[str]) -> Table:
    """Area under the ROC by voxel in the core, by group and map, with intervals over nodules."""
    rows = []
    for title, belongs in GROUPS:
        cells = [_mean(_values(scores, name, belongs, "area")) for name in names]
        count = len([one for one in scores if one.map == names[0] and belongs(one) and one.area == one.area])
        if count:
            rows.append((f"{title} (n = {count})", *cells))
    note = "Mean over cases, 95% interval by bootstrap over nodules; the outer millimetre is left out."
    return Table("Area under the ROC by voxel", ("cases", *names), tuple(rows), note)


def differences_table(scores: Scores, names: Sequence[str], main: str = DEVIATION) -> Table:
    """Area of the main map less that of each other, paired case by case; in the core and in the whole nodule."""
    rows = []
    for other in names:
        if other != main:
            cells = [_paired(scores, main, other, GROUPS[0][1], what) for what in ("area", "area_whole", "correlation")]
            cells.append(_paired(scores, main, other, GROUPS[1][1], "area"))
            rows.append((other, *cells))
    header = ("less", "area, core", "area, rim included", "rank correlation by voxel", "area, core, balls alone")
    return Table(f"{main} less the others", header, tuple(rows), "All cases but even ones; intervals over nodules.")


def even_table(scores: Scores, names: Sequence[str]) -> Table:
    """What maps give in even nodules, as a share of what they give in balls of 6 mm and 150 HU."""
    rows = []
    for name in names:
        unit = _in_balls(scores, name)
        even = [one for one in scores if one.map == name and one.kind == EVEN]
        cells = []
        for low, high in _SIZES:
            some = [one for one in even if low <= one.diameter_mm < high]
            shares = [np.mean([getattr(one, what) for one in some]) / unit if some else np.nan for what in _EVEN]
            cells.append(f"{shares[0]:.2f}, {shares[1]:.2f} (n = {len(some)})")
        ranks = _rank([one.diameter_mm for one in even], [one.core_mean for one in even])
        rows.append((name, *cells, f"{ranks:.2f}"))
    header = ("map", *(f"{low:g} to {high:g} mm" for low, high in _SIZES), "rank correlation with the diameter")
    note = "Mean and 95th percentile in the core of even nodules over the mean in balls of 6 mm and 150 HU."
    return Table("Even nodules", header, tuple(rows), note)


_EVEN = ("core_mean", "core_high")


def contrast_table(scores: Scores, names: Sequence[str]) -> Table:
    """Rank correlation of what maps give in balls with the contrast that was planted, over cases."""
    rows = []
    for name in names:
        balls = [one for one in scores if one.map == name and one.kind in _BALLS and one.spot_mean == one.spot_mean]
        wanted = [abs(one.contrast_hu) for one in balls]
        in_spot, in_core = (_rank(wanted, [getattr(one, what) for one in balls]) for what in ("spot_mean", "core_mean"))
        rows.append((name, f"{in_spot:.2f}", f"{in_core:.2f}", str(len(balls))))
    header = ("map", "mean in the ball", "mean in the core", "balls")
    return Table("Rank correlation with the planted contrast", header, tuple(rows), "Over balls, without their sign.")


def _in_balls(scores: Scores, name: str) -> float:
    """The mean of a map in balls of 6 mm and 150 HU; NaN where there is none."""
    values = [one.spot_mean for one in scores if one.map == name and _ball(one, 6, 150)]
    known = [value for value in values if value == value]
    return float(np.mean(known)) if known else float("nan")


def _values(
    scores: Scores, name: str, belongs: Callable[[PlantedScore], bool], what: str
) -> tuple[np.ndarray, list[str]]:
    some = [one for one in scores if one.map == name and belongs(one) and getattr(one, what) == getattr(one, what)]
    return np.array([getattr(one, what) for one in some]), [one.nodule for one in some]


def _mean(values_and_nodules: tuple[np.ndarray, list[str]]) -> str:
    values, nodules = values_and_nodules
    return bootstrap_interval(values, nodules, count=500).told() if len(values) else "–"


def _paired(scores: Scores, one: str, other: str, belongs: Callable[[PlantedScore], bool], what: str) -> str:
    first = {score.case: score for score in scores if score.map == one and belongs(score)}
    differences, nodules = [], []
    for score in scores:
        if score.map == other and score.case in first:
            difference = getattr(first[score.case], what) - getattr(score, what)
            if difference == difference:
                differences.append(difference)
                nodules.append(score.nodule)
    return bootstrap_interval(np.array(differences), nodules, count=500).told("+.3f") if differences else "–"


def _rank(one: Sequence[float], other: Sequence[float]) -> float:
    if len(one) < 3 or len(set(one)) < 2 or len(set(other)) < 2:
        return float("nan")
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])


# ---------------------------------------------------------------- pictures and page


def gallery_figure(gallery: Sequence[tuple[PlantedCase, Mapping[str, np.ndarray]]]) -> Figure:
    """Each case in its slice with most unevenness: CT, what was planted, and some maps."""
    names = [name for name in (RAW, SMOOTHED, INVERSE, TWIN, DEVIATION) if name in gallery[0][1]]
    figure = Figure((1.55 * (len(names) + 2), 1.6 * len(gallery) + 0.3))
    places = figure.subplots(len(gallery), len(names) + 2, squeeze=False)
    figure.subplots_adjust(0.045, 0.01, 0.99, 0.95, 0.03, 0.05)
    for row, (case, maps) in zip(places, gallery, strict=True):
        amount = case.uneven * case.nodule if case.kind != EVEN else case.nodule.astype(float)
        k = int(np.argmax(amount.sum((1, 2))))
        _, j, i = np.nonzero(case.nodule)
        half = int(max(np.ptp(j), np.ptp(i)) * 0.6 + 4)
        window = (slice(max(0, int(j.mean()) - half), int(j.mean()) + half),
                  slice(max(0, int(i.mean()) - half), int(i.mean()) + half))  # fmt: skip
        grey = np.clip((case.ct.hu[k][window] + 1000) / 1300, 0, 1)[..., None].repeat(3, -1)
        inside = case.nodule[k][window][..., None]
        row[0].imshow(grey)
        row[0].set_ylabel(_caption(case), fontsize=7)
        row[1].imshow(np.where(inside, jet(case.uneven[k][window] / FULL_SCALE_HU) / 255, grey))
        for place, name in zip(row[2:], names, strict=True):
            values = maps[name] / (FULL_SCALE_HU if name in (RAW, SMOOTHED) else 1)
            place.imshow(np.where(inside, jet(values[k][window]) / 255, grey))
        for place in row:
            place.set_xticks([])
            place.set_yticks([])
    for place, title in zip(places[0], ("CT, -1000 to 300 HU", "planted", *names), strict=True):
        place.set_title(title, fontsize=8)
    return figure


def _caption(case: PlantedCase) -> str:
    what = case.kind if case.kind == EVEN else f"{case.kind}\n{case.size_mm:.1f} mm, {case.contrast_hu:+.0f} HU"
    return f"{what}\nnoise {case.noise_hu:.0f} HU, {case.ct.spacing[2]:.3g} mm slices"


def areas_figure(scores: Scores, names: Sequence[str]) -> Figure:
    """Mean area of each map by kind of unevenness, with intervals over nodules."""
    groups = [one for one in GROUPS if len(_values(scores, names[0], one[1], "area")[0]) >= 2][:12]
    figure = Figure((7.5, 0.42 * len(groups) + 1.4))
    place = figure.subplots()
    for offset, name in enumerate(names):
        some = [bootstrap_interval(*_values(scores, name, belongs, "area"), count=300) for _, belongs in groups]
        at = np.arange(len(groups)) + (offset - len(names) / 2) * 0.8 / len(names)
        middle = [one.value for one in some]
        ends = [[one.value - one.low for one in some], [one.high - one.value for one in some]]
        place.errorbar(middle, at, xerr=ends, fmt="o", markersize=3, linewidth=1, label=name)
    place.axvline(0.5, color="grey", linewidth=0.8)
    place.set_yticks(np.arange(len(groups)), [title for title, _ in groups], fontsize=8)
    place.invert_yaxis()
    place.set_xlabel("area under the ROC by voxel (0.5: chance)", fontsize=8)
    place.legend(fontsize=7, ncols=3, loc="lower center", bbox_to_anchor=(0.4, 1.0), frameon=False)
    figure.subplots_adjust(0.27, 0.45 / figure.get_figheight(), 0.98, 1 - 0.65 / figure.get_figheight())
    return figure


def even_figure(scores: Scores, names: Sequence[str]) -> Figure:
    """Each even nodule: what the maps give in its core by its diameter, over what they give in a ball of 150 HU."""
    figure = Figure((7.5, 2.6))
    for place, name in zip(figure.subplots(1, len(names), sharey=True, squeeze=False)[0], names, strict=True):
        unit = _in_balls(scores, name)
        even = [one for one in scores if one.map == name and one.kind == EVEN]
        place.scatter([one.diameter_mm for one in even], [one.core_mean / unit for one in even], s=6, alpha=0.6)
        place.axhline(0.1, color="grey", linewidth=0.8)
        place.set_xscale("log")
        place.set_xticks([5, 10, 20, 40], ["5", "10", "20", "40"])
        place.minorticks_off()
        place.set_ylim(0, 1.5)
        place.set_title(name, fontsize=8)
        place.set_xlabel("diameter, mm", fontsize=8)
    figure.axes[0].set_ylabel("mean in the core of even nodules /\nin balls of 6 mm, 150 HU", fontsize=7)
    figure.subplots_adjust(0.11, 0.2, 0.99, 0.9, 0.08)
    return figure


def _page(
    study: PlantedStudy,
    scores: Scores,
    gallery: Sequence[tuple[PlantedCase, Mapping[str, np.ndarray]]],
    weights: str,
) -> Path:
    names = list(dict.fromkeys(one.map for one in scores))
    tables = [
        areas_table(scores, names),
        differences_table(scores, names),
        even_table(scores, names),
        contrast_table(scores, names),
    ]
    write_tables(tables, study.output / "tables")
    folder = study.output / "figures"
    pictures = [Picture(save(areas_figure(scores, names), folder, "planted-areas"), "Areas with intervals.")]
    compared = [name for name in (INVERSE, TWIN, SMOOTHED_INSIDE, DEVIATION) if name in names]
    pictures.append(Picture(save(even_figure(scores, compared), folder, "planted-even"), "Even nodules by diameter."))
    if gallery:
        pictures.append(Picture(save(gallery_figure(gallery), folder, "planted-gallery"), "Some cases."))
    maps = {**MEANINGS, **{name: f"maps in {path.name}" for name, path in study.maps.items()}}
    meanings = Table("The maps", ("map", "what it is"), tuple((name, maps[name]) for name in names), "")
    text = (
        "Balls, halos, solid parts, cavities, calcium, necrosis and textures were planted in synthetic and real "
        "nodules, as a scanner would show them; others were left even. Outlines are given. A map is good where it is "
        "larger at what was planted than elsewhere in the nodule, and low in even nodules of any size."
    )
    nodules = len({one.nodule for one in scores})
    provenance = {
        "cases": str(study.draws),
        "nodules": str(nodules),
        "patients": study.patients,
        "random seed": str(study.seed),
        "generator (SHA-256)": weights,
        "lnhg": __version__,
        "Python": platform.python_version(),
    }
    section = Section("Maps on planted unevenness", text, pictures, [meanings, *tables])
    page = study.output / "planted.html"
    write_atomic(page, page_html("LNHG: maps on planted unevenness", [section], provenance))
    return page
