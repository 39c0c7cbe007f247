"""The figures of the evaluation page: each function draws one from measured values; `save` writes PNG and SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import ScalarFormatter
from sklearn.metrics import roc_curve

from ..core.written_files import own_file
from ..data.cutouts import Cutout
from ..evaluation.agreement import Intraclass
from ..evaluation.references import readers
from ..evaluation.statistics import Estimate
from ..stages.heterogeneity_from_generator import heterogeneity_map, raw_ct_in_same_colours
from ..writers.colours import jet
from .heterogeneity_indices import Measured
from .meaning import column, is_malignant
from .nodule_runs import NoduleRun

if TYPE_CHECKING:
    from .scores import NoduleScore

# Colours that people with any colour vision tell apart (Okabe and Ito, 2008).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_STYLE: Any = {
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "svg.hashsalt": "lnhg",
}
_WIDTH = 7.5  # inches; at 160 dots an inch 1200 pixels, a README column at double density
_WINDOW_HU = (-1350.0, 150.0)


@dataclass(frozen=True, eq=False)
class Case:
    """One nodule of a gallery.

    Attributes:
        label: what is written beside it, such as `best, Dice 0.93`.
        cutout: the nodule in its surroundings, and the readers' outlines.
        run: the method's image and outline.
    """

    label: str
    cutout: Cutout
    run: NoduleRun


@dataclass(frozen=True, eq=False)
class FrocCurve:
    """One curve: sensitivity (0..1), with the ends of its 95% interval, at rising rates of false positives per
    scan.
    """

    name: str
    rates: np.ndarray
    sensitivity: np.ndarray
    low: np.ndarray
    high: np.ndarray


@rc_context(_STYLE)
def save(figure: Figure, folder: Path, name: str) -> Path:
    """Write `name.png` and `name.svg` into `folder`; returns the path of the PNG."""
    for ending, more in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 160})):
        path = folder / f"{name}.{ending}"
        with own_file(path) as partial:
            figure.savefig(partial, format=ending, **more)
    return folder / f"{name}.png"


@rc_context(_STYLE)
def froc_figure(curves: Sequence[FrocCurve]) -> Figure:
    """Sensitivity against false positives per scan, with 95% bands."""
    figure, (axes,) = _figure(1, 1, 4.0)
    for curve, colour in zip(curves, _COLOURS, strict=False):
        axes.fill_between(curve.rates, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(curve.rates, curve.sensitivity, color=colour, marker="o", markersize=3.5, label=curve.name)
    ticks = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, ("1/8", "1/4", "1/2", "1", "2", "4", "8"))
    axes.set(xlim=(ticks[0] * 0.93, ticks[-1] * 1.07), ylim=(0, 1.02))
    axes.set(xlabel="false positives per scan", ylabel="share of nodules found")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", title="band: 95% interval")
    return figure


@rc_context(_STYLE)
def dice_figure(scores: Sequence[NoduleScore], groupings: Mapping[str, Mapping[str, Sequence[NoduleScore]]]) -> Figure:
    """Dice of every nodule by group, a panel for each grouping; boxes are quartiles, dots nodules, side by side by
    system.

    Args:
        scores: of one or more systems; they give the order of the systems.
        groupings: panel title -> group name -> its scores (of all systems).
    """
    systems = list(dict.fromkeys(score.system for score in scores))
    figure, panels = _figure(1, len(groupings), 3.6, [len(groups) for groups in groupings.values()])
    for axes, (title, groups) in zip(panels, groupings.items(), strict=True):
        for number, system in enumerate(systems):
            values = [[score.dice for score in group if score.system == system] for group in groups.values()]
            places = np.arange(len(groups)) + (number - (len(systems) - 1) / 2) * 0.8 / len(systems)
            _boxes(axes, values, places, 0.62 / len(systems), _COLOURS[number % len(_COLOURS)])
        counts = [sum(score.system == systems[0] for score in group) for group in groups.values()]
        names = [f"{name.replace('-', '-' + chr(10))}\nn = {n}" for name, n in zip(groups, counts, strict=True)]
        axes.set_xticks(range(len(groups)), names, fontsize=7)  # larger ones touch
        axes.set(ylim=(0, 1), title=title)
        axes.grid(axis="y", alpha=0.3)
    panels[0].set_ylabel("Dice against the 50% consensus")
    if len(systems) > 1:
        handles = [Patch(color=colour, label=system) for system, colour in zip(systems, _COLOURS, strict=False)]
        figure.legend(handles=handles, loc="outside upper center", ncols=len(systems))
    return figure


@rc_context(_STYLE)
def volume_figure(scores: Sequence[NoduleScore]) -> Figure:
    """Bland and Altman's figure of volume for one system: difference against mean, both in relation to size.

    Volumes run over three decades, so differences are shown in per cent of the mean and the axis of means is
    logarithmic.
    """
    found = [score for score in scores if score.found_mm3 > 0]
    reference, own = (np.array([getattr(score, name) for score in found]) for name in ("reference_mm3", "found_mm3"))
    mean = (reference + own) / 2
    difference = 100 * (own - reference) / mean
    bias, spread = float(difference.mean()), 1.96 * float(difference.std(ddof=1))
    figure, (axes,) = _figure(1, 1, 3.8)
    axes.scatter(mean, difference, s=14, color=_COLOURS[0], alpha=0.6, linewidths=0)
    for height, text in ((bias, "mean"), (bias - spread, "-1.96 SD"), (bias + spread, "+1.96 SD")):
        axes.axhline(height, color="black", linewidth=0.9, linestyle="-" if text == "mean" else "--")
        axes.annotate(
            f"{text}\n{height:+.0f}%", (1.01, height), xycoords=("axes fraction", "data"), va="center", fontsize=8
        )
    axes.axhline(0, color="grey", linewidth=0.6)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set(xlabel="mean of both volumes (mm³)", ylabel="found − consensus, % of the mean")
    axes.set_title(f"{found[0].system}: volume of {len(found)} nodules", loc="left")
    return figure


@rc_context(_STYLE)
def gallery_figure(cases: Sequence[Case]) -> Figure:
    """A row for each nodule: CT, outlines, heterogeneity, and the raw CT in the same colours; its largest slice.

    White: each reader; green: the 50% consensus; red: the method.
    """
    titles = ("CT", "outlines", "heterogeneity h(x)", "raw CT, same colours")
    figure, panels = _figure(len(cases), len(titles), 1.78 * len(cases) + 0.7)
    for number, case in enumerate(cases):
        _draw_case(panels[number * len(titles) :][: len(titles)], case)
    for axes, title in zip(panels, titles, strict=False):
        axes.set_title(title)
    _colour_bar(figure, panels)
    source = "white: readers, green: their 50% consensus, red: LNHG. Cases: LIDC-IDRI (TCIA), CC BY 3.0"
    figure.supxlabel(source, fontsize=7.5)
    return figure


@rc_context(_STYLE)
def agreement_figure(rows: Mapping[str, Intraclass], kinds: Mapping[str, str]) -> Figure:
    """Intra-class correlation of each index with its 95% interval; `kinds` says for each index what it is made from."""
    figure, (axes,) = _figure(1, 1, 0.235 * len(rows) + 1.1)
    colours = dict(zip(dict.fromkeys(kinds.values()), _COLOURS, strict=False))
    for place, (index, icc) in enumerate(rows.items()):
        colour = colours[kinds[index]]
        ends = [[max(0.0, icc.value - icc.low)], [max(0.0, icc.high - icc.value)]]
        axes.barh(place, max(icc.value, 0), color=colour, alpha=0.75, height=0.7)
        axes.errorbar(icc.value, place, xerr=ends, color="black", linewidth=1, capsize=2)
    axes.axvline(0.9, color="grey", linestyle="--", linewidth=0.9)
    axes.annotate("aim: 0.9", (0.9, 1.0), xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=8)
    axes.set_yticks(range(len(rows)), [f"{index}  (n = {icc.subjects})" for index, icc in rows.items()], fontsize=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set(xlim=(0, 1.0), xlabel="ICC(2,1) over all perturbations, with 95% interval")
    handles = [Patch(color=colour, alpha=0.75, label=kind) for kind, colour in colours.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(colours))
    return figure


@rc_context(_STYLE)
def roc_figure(curves: Mapping[str, tuple[np.ndarray, np.ndarray, Estimate]]) -> Figure:
    """ROC curves: name -> whether each nodule is rated malignant, its value, and the area with its interval."""
    all_malignant = next(iter(curves.values()))[0]
    ill, well = int(all_malignant.sum()), int((~all_malignant).sum())
    figure, (axes,) = _figure(1, 1, 3.6)
    for number, (name, (malignant, values, area)) in enumerate(curves.items()):
        false, true, _ = roc_curve(malignant, values)
        label = f"{name}: {area.value:.2f} [{area.low:.2f}, {area.high:.2f}]"
        axes.plot(false, true, color=_COLOURS[number % len(_COLOURS)], linewidth=1.6, label=label)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.7, linestyle=":")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.set(xlabel=f"share of {well} rated benign above a limit", ylabel=f"share of {ill} rated malignant above it")
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), title="area [95% interval]", alignment="left")
    return figure


@rc_context(_STYLE)
def contrast_figure(rows: Sequence[Measured], panels: Sequence[str]) -> Figure:
    """Indices between 0 and 1 of nodules rated benign (below 3) and malignant (above 3), a panel for each index."""
    figure, all_axes = _figure(1, len(panels), 3.4)
    rated = [row for row in rows if row.ratings["malignancy"] != 3 and not math.isnan(row.ratings["malignancy"])]
    malignant = is_malignant(rated)
    for axes, index in zip(all_axes, panels, strict=True):
        values = column(rated, index)
        known = np.isfinite(values)
        groups = [values[known & ~malignant].tolist(), values[known & malignant].tolist()]
        for place, (group, colour) in enumerate(zip(groups, _COLOURS, strict=False)):
            _boxes(axes, [group], np.array([place]), 0.6, colour)
        axes.axhline(0.5, color="grey", linestyle="--", linewidth=0.8)
        names = (
            f"rated\n{name}\nn = {len(group)}" for name, group in zip(("benign", "malignant"), groups, strict=True)
        )
        axes.set_xticks([0, 1], list(names))
        axes.set(ylim=(0, 1.02), title=index)
    all_axes[0].set_ylabel(f"in the {rated[0].region}")
    return figure


def _figure(rows: int, columns: int, height: float, widths: Sequence[float] | None = None) -> tuple[Figure, list[Axes]]:
    figure = Figure((_WIDTH, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, width_ratios=widths)
    return figure, axes.ravel().tolist()


def _boxes(axes: Axes, groups: Iterable[Sequence[float]], places: np.ndarray, width: float, colour: str) -> None:
    """A box of quartiles, without whiskers, over all the values as dots."""
    random = np.random.default_rng(0)
    for values, place in zip(groups, places, strict=True):
        if not len(values):
            continue
        across = place + random.uniform(-width / 2.2, width / 2.2, len(values))
        axes.scatter(across, values, s=7, color=colour, alpha=0.35, linewidths=0)
        axes.boxplot(
            [values],
            positions=[place],
            widths=width,
            showfliers=False,
            showcaps=False,
            whis=(25, 75),
            boxprops={"color": colour},
            medianprops={"color": colour, "linewidth": 2},
            manage_ticks=False,
        )


def _draw_case(row: Sequence[Axes], case: Case) -> None:
    cutout, run = case.cutout, case.run
    k = int(np.argmax(cutout.consensus.sum((1, 2))))
    column_mm, row_mm, _ = cutout.ct.spacing
    rows, columns = cutout.ct.hu.shape[1:]
    extent = (0.0, columns * column_mm, rows * row_mm, 0.0)
    grey = np.clip((cutout.ct.hu[k] - _WINDOW_HU[0]) / (_WINDOW_HU[1] - _WINDOW_HU[0]), 0, 1)
    labels = run.found.astype(np.uint8)
    pictures = [grey, grey]
    for values in (heterogeneity_map(run.image, labels), raw_ct_in_same_colours(cutout.ct.hu, labels).whole()):
        pictures.append(np.where(run.found[k][..., None], jet(values[k]) / 255, grey[..., None]))
    for axes, picture in zip(row, pictures, strict=True):
        axes.imshow(picture, cmap="gray", vmin=0, vmax=1, extent=extent, interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_visible(False)
    x, y = (np.arange(columns) + 0.5) * column_mm, (np.arange(rows) + 0.5) * row_mm
    outlines = [(one, "white", 0.5) for one in readers(cutout)] + [
        (cutout.consensus, "#00d26a", 1.1),
        (run.found, "#ff3030", 1.1),
    ]
    for mask, colour, width in outlines:
        if 0 < mask[k].sum() < mask[k].size:
            row[1].contour(x, y, mask[k].astype(float), [0.5], colors=colour, linewidths=width)
    row[0].set_ylabel(f"{case.label}\n{cutout.name}", fontsize=7.5)
    _scale_bar(row[0], extent)


def _scale_bar(axes: Axes, extent: tuple[float, float, float, float]) -> None:
    right, bottom = 0.96 * extent[1], 0.95 * extent[2]
    edge = [withStroke(linewidth=3, foreground="black")]
    axes.plot([right - 10, right], [bottom, bottom], color="white", linewidth=1.6, path_effects=edge)
    middle = (right - 5, bottom - 1)
    axes.annotate("10 mm", middle, color="white", ha="center", va="bottom", fontsize=7, path_effects=edge)


def _colour_bar(figure: Figure, axes: Sequence[Axes]) -> None:
    colours = ListedColormap(jet(np.linspace(0, 1, 256)) / 255)
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, 1), colours), ax=list(axes), location="bottom", fraction=0.01, aspect=60, pad=0.01
    )
    bar.set_ticks([0, 0.5, 1], labels=["0 weak", "0.5", "1 strong"])
