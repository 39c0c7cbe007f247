"""The paper's tables for any systems, as Markdown, CSV and LaTeX, with the paper's own figures in columns marked as
such.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.csv_text import csv_text
from ..core.written_files import write_own
from ..evaluation.detection_scores import Counts, Froc
from ..evaluation.statistics import Estimate, bootstrap_interval, paired_t, welch, wilcoxon
from . import paper_figures as paper
from .groups import PLACES, SIZES, TEXTURES, size_of
from .scores import FoldScores, NoduleScore

Scores = Mapping[str, Sequence[NoduleScore]]

#: How the rows of Table II and their like are chosen.
_GROUPS: tuple[tuple[str, Callable[[NoduleScore], bool]], ...] = (
    ("all", lambda score: True),
    *((name, lambda score, name=name: score.texture == name) for name, _, _ in TEXTURES[::-1]),
    *((name, lambda score, name=name: score.place == name) for name in PLACES),
    *((name, lambda score, name=name: size_of(score.diameter_mm) == name) for name, _, _ in SIZES),
)

#: Measures that are 0 where nothing was found, so that means over all nodules are fair.
_SHARES = (("Dice", "dice"), ("intersection over union", "iou"), ("sensitivity", "sensitivity"))


@dataclass(frozen=True)
class Table:
    """A table of text: title, header, rows of as many cells, and a note on how it was made."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str

    def markdown(self) -> str:
        lines = [f"**{self.title}.** {self.note}", "", _bars(self.header), "|" + "---|" * len(self.header)]
        return "\n".join([*lines, *map(_bars, self.rows), ""])

    def csv(self) -> str:
        return csv_text([self.header, *self.rows])

    def latex(self) -> str:
        """A `table` with rules of the `booktabs` package."""
        lines = [" & ".join(map(_escaped, row)) + r" \\" for row in (self.header, *self.rows)]
        return "\n".join(
            [
                r"\begin{table}",
                rf"\caption{{{_escaped(self.title)}. {_escaped(self.note)}}}",
                rf"\begin{{tabular}}{{l{'r' * (len(self.header) - 1)}}}",
                r"\toprule",
                lines[0],
                r"\midrule",
                *lines[1:],
                r"\bottomrule",
                r"\end{tabular}",
                r"\end{table}",
                "",
            ]
        )


def write_tables(tables: Sequence[Table], folder: Path) -> None:
    """Write each table as Markdown, CSV and LaTeX, in files named after its title.

    Raises InputError for a file of such a name that this program did not write, or that was changed since.
    """
    for table in tables:
        stem = re.sub("[^a-z0-9]+", "-", table.title.lower()).strip("-")
        for ending, text in (("md", table.markdown()), ("csv", table.csv()), ("tex", table.latex())):
            write_own(folder / f"{stem}.{ending}", text)


def dice_table(test: Scores, training: Scores | None = None) -> Table:
    """Table I: mean Dice of training and test nodules, by system; `training` may lack some systems."""
    rows = []
    for system, scores in test.items():
        trained = (training or {}).get(system, ())
        p = _p(welch(_dice(trained), _dice(scores)).p) if min(len(trained), len(scores)) > 1 else ""
        own = (_percent(_dice_interval(trained)), _percent(_dice_interval(scores)), p)
        printed = [f"{value:.2f}" for value in paper.DICE.get(system, ())] or ["", ""]
        rows.append((_title(system), str(len(scores)), *own, *printed))
    return Table(
        "Mean Dice (%)",
        ("system", "test nodules", "training", "test", "P, training against test", "paper: training", "paper: test"),
        tuple(rows),
        "95% intervals by bootstrap over patients; P by Welch's t test. The paper's figures are from other data.",
    )


def types_table(test: Scores) -> Table:
    """Table II: mean Dice by type of nodule, by size besides."""
    any_system = next(iter(test.values()))
    rows = []
    for name, belongs in _GROUPS:
        cells = [_percent(_dice_interval([one for one in scores if belongs(one)])) for scores in test.values()]
        printed = [f"{value:.2f}" for value in paper.TYPES.get(name, ())] or [""] * len(paper.TYPES_SYSTEMS)
        rows.append((name, str(sum(map(belongs, any_system))), *cells, *printed))
    return Table(
        "Mean Dice (%) by type",
        ("nodules", "n", *map(_title, test), *(f"paper: {name}" for name in paper.TYPES_SYSTEMS)),
        tuple(rows),
        "Texture by the readers' mean rating, place by the rule of lnhg.stages.contacts, so that a nodule stands in "
        "several rows; 95% intervals by bootstrap over patients. The paper's figures are from other data.",
    )


def crossvalidation_table(system: str, folds: Sequence[FoldScores]) -> Table:
    """Table I of a cross-validation: a row for each fold, the mean over folds, and all nodules together."""
    rows = [
        (
            f"fold {number}",
            *_counts(fold.scores),
            f"{fold.threshold:g}",
            str(fold.steps),
            *(f"{mean:.2f}" for mean in _means(fold.scores)),
            "",
        )
        for number, fold in enumerate(folds, 1)
    ]
    columns = zip(*(_means(fold.scores) for fold in folds), strict=True)
    every = [score for fold in folds for score in fold.scores]
    printed = f"{paper.DICE[system][1]:.2f}" if system in paper.DICE else ""
    over_folds = (f"{np.mean(column):.2f} ({np.std(column, ddof=1):.2f})" for column in columns)
    patients = [score.patient for score in every]
    together = (_percent(bootstrap_interval(_percents(every, field) / 100, patients)) for _, field in _SHARES)
    rows.append(("mean (standard deviation) of the folds", "", "", "", "", *over_folds, printed))
    rows.append(("all nodules (95% interval)", *_counts(every), "", "", *together, ""))
    return Table(
        f"Cross-validation of {_title(system)}",
        (
            "",
            "patients",
            "nodules",
            "threshold",
            "steps",
            *(f"{title} (%)" for title, _ in _SHARES),
            "paper: Dice, test (%)",
        ),
        tuple(rows),
        "Each fold is scored by a generator that saw none of its patients, with a threshold chosen on patients who "
        "are neither trained on nor scored in that turn; nodules seeded at the centre of the 50% consensus, missed "
        "ones count as 0. Intervals by bootstrap over patients. The paper's figure is from other data.",
    )


def measures_table(test: Scores) -> Table:
    """All measures by system, mean and standard deviation of the nodules that were found, and how many were missed."""
    measures = (
        ("Dice", "dice", 3),
        ("intersection over union", "iou", 3),
        ("sensitivity", "sensitivity", 3),
        ("precision", "precision", 3),
        ("Hausdorff 95% (mm)", "hausdorff95_mm", 2),
        ("mean surface distance (mm)", "surface_distance_mm", 2),
        ("relative volume error", "volume_error", 3),
        ("relative diameter error", "diameter_error", 3),
    )
    rows = []
    for system, scores in test.items():
        found = [score for score in scores if score.found_mm3]
        cells = (
            _mean_sd(np.array([getattr(score, field) for score in found]), digits) for _, field, digits in measures
        )
        rows.append((_title(system), str(len(scores)), str(len(scores) - len(found)), *cells))
    return Table(
        "Measures per nodule",
        ("system", "nodules", "missed", *(title for title, _, _ in measures)),
        tuple(rows),
        "Mean (standard deviation) of the nodules found.",
    )


def references_table(against: Scores) -> Table:
    """Mean Dice of one system by what it is held to, and of the readers."""
    rows = [
        (name, str(len(scores)), _percent(_dice_interval(scores)), f"{100 * np.median(_dice(scores)):.2f}")
        for name, scores in against.items()
        if scores
    ]
    return Table(
        "Mean Dice (%) against each reference",
        ("reference", "outlines", "mean", "median"),
        tuple(rows),
        "Readers are numbered nodule by nodule, so that one number is not one person; each against the consensus of "
        "the others is the limit that anyone can be held to. 95% intervals by bootstrap over patients.",
    )


def systems_table(test: Scores, first: str = "lnhg") -> Table:
    """The system `first` against each other one, on the nodules that both have."""
    own = {score.nodule: score.dice for score in test[first]}
    rows = []
    for system, scores in test.items():
        both = [score for score in scores if score.nodule in own]
        if system == first or len(both) < 2:
            continue
        ours, theirs = np.array([own[score.nodule] for score in both]), _dice(both)
        difference = bootstrap_interval(ours - theirs, [score.patient for score in both])
        tests = (_p(paired_t(ours, theirs).p), _p(wilcoxon(ours, theirs).p))
        rows.append((_title(system), str(len(both)), _percent(difference), *tests))
    return Table(
        f"{_title(first)} against the others",
        ("system", "nodules", f"Dice of {_title(first)} less its own (%)", "P, paired t", "P, Wilcoxon"),
        tuple(rows),
        "The same nodules; 95% intervals by bootstrap over patients.",
    )


def detection_table(counts: Mapping[str, Counts], counted: str) -> Table:
    """Supplementary S2: counts by system; `counted` says of what (`per slice, scans of the report list`)."""
    rows = []
    for system, one in counts.items():
        own = (
            str(one.tp),
            str(one.fp),
            str(one.fn),
            *(f"{100 * rate:.1f}" for rate in (one.precision, one.recall, one.f1)),
        )
        printed = (" / ".join(map(str, of.get(system, ()))) for of in (paper.DETECTION, paper.DETECTION_RATES))
        rows.append((_title(system), *own, *printed))
    return Table(
        f"Detection, {counted}",
        ("system", "TP", "FP", "FN", "precision %", "recall %", "F1 %", "paper: TP / FP / FN", "paper: P / R / F1 %"),
        tuple(rows),
        "Ours are counted by the rules of detection_scores, the paper's by a radiologist's eye on other data; its 363 "
        "missed of L-RF is a misprint for 20.",
    )


def froc_table(curves: Mapping[str, Froc]) -> Table:
    """Sensitivity at each rate of false positives per scan, by system."""
    rates = next(iter(curves.values())).rates
    rows = tuple(
        (_title(system), *(_percent(one) for one in (*curve.sensitivities, curve.average)))
        for system, curve in curves.items()
    )
    return Table(
        "Sensitivity (%) at false positives per scan",
        ("system", *(f"{rate:g}" for rate in rates), "mean"),
        rows,
        "A detection hits a nodule when its centre lies within the nodule's radius; 95% intervals by bootstrap over "
        "scans.",
    )


def _counts(scores: Sequence[NoduleScore]) -> tuple[str, str]:
    """How many patients and nodules."""
    return str(len({score.patient for score in scores})), str(len(scores))


def _percents(scores: Sequence[NoduleScore], field: str) -> np.ndarray:
    return 100 * np.array([getattr(score, field) for score in scores])


def _means(scores: Sequence[NoduleScore]) -> list[float]:
    """Means of `_SHARES`, %."""
    return [float(_percents(scores, field).mean()) for _, field in _SHARES]


def _dice(scores: Sequence[NoduleScore]) -> np.ndarray:
    return np.array([score.dice for score in scores])


def _dice_interval(scores: Sequence[NoduleScore]) -> Estimate | None:
    return bootstrap_interval(_dice(scores), [score.patient for score in scores]) if scores else None


def _percent(interval: Estimate | None) -> str:
    if interval is None:
        return ""
    return f"{100 * interval.value:.2f} ({100 * interval.low:.2f} to {100 * interval.high:.2f})"


def _mean_sd(values: np.ndarray, digits: int) -> str:
    return f"{values.mean():.{digits}f} ({values.std():.{digits}f})" if len(values) else ""


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _title(system: str) -> str:
    return paper.TITLES.get(system, system)


def _bars(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escaped(text: str) -> str:
    return "".join({"%": r"\%", "_": r"\_", "&": r"\&", "<": "$<$", "#": r"\#"}.get(letter, letter) for letter in text)
