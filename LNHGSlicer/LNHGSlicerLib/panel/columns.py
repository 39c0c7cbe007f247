"""The columns of the nodule table: what each shows, how it is sorted, and which are shown at first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from slicer.i18n import tr as _

from ..review.verdicts import verdict_text


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: in the parameter that keeps which are shown.
        title: over the column.
        tip: what it is, with its unit.
        value: of a `review.ReviewRow`: a number or a word to sort by; None and NaN come last.
        text: what is shown.
        left: whether it is words, which begin at the left.
        tells_map: whether a reader could tell by it which map a nodule has.
    """

    name: str
    title: str
    tip: str
    value: Callable[[Any], Any]
    text: Callable[[Any], str]
    left: bool = False
    tells_map: bool = False


#: Those that fit beside each other in a panel of 400 points.
AT_FIRST = ("number", "side", "size", "type", "heterogeneity", "verdict")


def columns() -> tuple[Column, ...]:
    """All columns, from left to right."""
    sides = {"left": _("left"), "right": _("right")}

    def figure(
        name: str, title: str, tip: str, value: Callable[[Any], float | None], decimals: int, *, tells_map: bool = False
    ) -> Column:
        return Column(name, title, tip, value, lambda row: number_text(value(row), decimals), tells_map=tells_map)

    def length(name: str, title: str, tip: str, value: Callable[[Any], float], decimals: int = 1) -> Column:
        def text(row: Any) -> str:
            # Of a nodule that is cut, sizes are lower bounds.
            return f"{'≥ ' if row.nodule.cut else ''}{number_text(value(row), decimals)}"

        return Column(name, title, tip, value, text)

    def words(name: str, title: str, tip: str, text: Callable[[Any], str]) -> Column:
        return Column(name, title, tip, text, text, left=True)

    return (
        Column("number", _("No."), _("Number of the nodule"), lambda row: row.number, lambda row: str(row.number)),
        words("side", _("Side"), _("Lung"), lambda row: sides.get(row.side, "?")),
        length("size", _("mm"), _("Mean of long and short axis, mm; ≥: at least"), lambda row: row.size_mm),
        words("type", _("Type"), _("Solid, part-solid or ground glass"), lambda row: row.type),
        figure("score", _("Prob."), _("Probability that readers would mark a nodule there"), lambda row: row.score, 2),
        figure(
            "heterogeneity",
            _("Het."),
            _("Mean of the heterogeneity map in the core"),
            lambda row: row.heterogeneity,
            2,
            tells_map=True,
        ),
        words("verdict", _("Verdict"), _("What you said of it"), lambda row: verdict_text(row.verdict)),
        length("volume", _("mm³"), _("Volume, mm³; ≥: at least"), lambda row: row.nodule.volume, 0),
        length("long_axis", _("Long mm"), _("Long axis, mm; ≥: at least"), lambda row: row.nodule.long_axis),
        length("short_axis", _("Short mm"), _("Short axis, mm; ≥: at least"), lambda row: row.nodule.short_axis),
        figure(
            "unevenness",
            _("Uneven HU"),
            _("Unevenness, HU: mean distance from its typical tissue, weighted by depth"),
            lambda row: row.nodule.unevenness,
            0,
            tells_map=True,
        ),
        figure("hu", _("HU"), _("Mean HU"), lambda row: row.nodule.hu_mean, 0),
        figure("position", _("S mm"), _("Height of its middle, mm (S of RAS)"), lambda row: row.nodule.centre_s, 0),
        words("lung_rads", _("Lung-RADS"), _("Lung-RADS 2022 by rule; you decide"), lambda row: row.lung_rads),
        Column(
            "hints",
            _("Hints"),
            _("Signs of a benign kind: calcification, fat, perifissural shape; no findings"),
            lambda row: row.hints or None,
            lambda row: row.hints or "–",
            left=True,
        ),
        words("found", _("Found"), _("How it was found"), lambda row: row.nodule.status),
        figure("seconds", _("Time s"), _("How long it was selected, seconds"), lambda row: row.seconds, 0),
    )


def shown_names(kept: str) -> list[str]:
    """The names of the columns that are shown, from the parameter that keeps them (empty: those at first)."""
    chosen = set(kept.split(",")) if kept else set(AT_FIRST)
    return [column.name for column in columns() if column.name in chosen]


def sorted_rows(rows: Iterable[Any], column: Column, *, descending: bool) -> list[Any]:
    """Rows by the values of a column; rows without a value come last either way."""
    known: list[Any] = []
    unknown: list[Any] = []
    for row in rows:
        value = column.value(row)
        (unknown if value is None or value != value else known).append(row)
    return sorted(known, key=column.value, reverse=descending) + unknown


def number_text(value: float | None, decimals: int) -> str:
    """A number, or a dash where there is none."""
    return "–" if value is None or value != value else f"{value:.{decimals}f}"
