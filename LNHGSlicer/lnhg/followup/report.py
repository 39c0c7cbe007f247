"""The report of a follow-up: one HTML file with pictures of each nodule in all studies, and its volume over time."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from ..core.nodule import Nodule
from ..writers.html_templates import MISSING, html_page
from ..writers.pictures import Plane, axial_planes
from ..writers.report import proposed
from ..writers.seg_nrrd import segment_color
from .change import Change, has_edge, volume_size, volumes_of
from .fit import fit_sentence
from .follow import OUTSIDE, FollowUp
from .growth import RULES
from .words import doubling_text, percent_text, signed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CROSS = (255, 210, 60)
_MARKS, _INK = "osD^v<>pPX*h", 0.75


def report_html(follow_up: FollowUp) -> str:
    """The report as one HTML page that needs no other file; it names no person and no date, only days."""
    return html_page(
        "follow.html",
        studies=[
            {"name": study.name.capitalize(), "days": days, "count": len(study.result.nodules)}
            for study, days in zip(follow_up.studies, follow_up.days, strict=True)
        ],
        notes=[*follow_up.notes, *(note for study in follow_up.studies for note in study.notes)],
        fits=[fit_sentence(one.fit, number) for number, one in enumerate(follow_up.interludes, 1)],
        rows=[row for number in range(len(follow_up.interludes)) for row in _rows(follow_up, number)],
        rules=[(rule.name, rule.rule) for rule in RULES],
        cards=_cards(follow_up),
        plot=_plot(follow_up),
        missing=MISSING,
    )


# ---------------------------------------------------------------- table


def _rows(follow_up: FollowUp, number: int) -> list[dict[str, Any]]:
    rows = []
    for pair in follow_up.interludes[number].pairs:
        track = follow_up.track_of(number, pair)
        rows.append(
            {
                "track": track,
                "steps": f"{number + 1} to {number + 2}",
                "state": pair.state,
                "sizes": _sizes((pair.earlier, pair.later), track),
                "change": None if pair.change is None else change_texts(pair.change),
            }
        )
    return rows


def _sizes(rows: Sequence[Nodule | None], track: int) -> list[str]:
    """The sizes of the nodule of a track; with its number in a study where that is another one."""
    return [
        MISSING if row is None or volume is None else _size(row, volume, track)
        for row, volume in zip(rows, volumes_of(rows), strict=True)
    ]


def _size(row: Nodule, volume: float, track: int) -> str:
    number = "" if row.id == track else f"nodule {row.id} there, "
    return f"{number}{row.at_least}{row.mean_axis:.1f} mm, {volume:.0f} mm³"


def change_texts(change: Change) -> dict[str, Any]:
    """What is shown of a change, in words."""
    return {
        "volume": f"{percent_text(change)}, {signed(change.volume, 0)} mm³",
        "beyond": _beyond(change),
        "diameter": f"{signed(change.diameter, 1)} mm",
        "density": f"{signed(change.density, 0)} HU",
        "solid": f"{signed(change.solid_diameter, 1)} mm",
        "unevenness": f"{signed(change.unevenness, 0)} HU",
        "doubling": MISSING if change.doubling is None else doubling_text(change.doubling),
        "growth": list(change.growth.values()),
    }


def _beyond(change: Change) -> str:
    if math.isnan(change.percent_interval.low):
        return ""  # which the change tells itself
    return "beyond the uncertainty" if change.beyond else "within the uncertainty"


# ---------------------------------------------------------------- pictures


def _cards(follow_up: FollowUp) -> list[dict[str, Any]]:
    """For each nodule its picture in each study, at its place there where it is not, and what is proposed of it in the
    last.
    """
    wanted = [_places(follow_up, track) for track in follow_up.tracks]
    wide = [max(row.long_axis for row in _sightings(follow_up, track)) for track in follow_up.tracks]
    pictures: list[list[str | None]] = [[None] * len(follow_up.studies) for _ in follow_up.tracks]
    for number, study in enumerate(follow_up.studies):
        chosen = [(n, place) for n, places in enumerate(wanted) if (place := places[number]) is not None]
        planes = axial_planes(study.result, [place for _, place in chosen], [wide[n] for n, _ in chosen])
        for (n, _), plane in zip(chosen, planes, strict=True):
            pictures[n][number] = _picture(plane, follow_up.tracks[n][number])
    last = len(follow_up.studies) - 1
    told, sentence = follow_up.proposals(last), follow_up.studies[last].result.options.sentence
    names = [study.name.capitalize() for study in follow_up.studies]
    return [
        {
            "number": n + 1,
            "kind": _sightings(follow_up, track)[-1].type,
            "views": [
                {"name": name, "picture": picture, "text": size}
                for name, picture, size in zip(
                    names, pictures[n], _sizes(_rows_of(follow_up, track), n + 1), strict=True
                )
            ],
            "proposal": None if (label := track[last]) is None else proposed(told[label], sentence),
        }
        for n, track in enumerate(follow_up.tracks)
    ]


def _rows_of(follow_up: FollowUp, track: Sequence[int | None]) -> list[Nodule | None]:
    """The nodule of a track in each study; None where it is not."""
    return [follow_up.nodule(track, number) for number in range(len(track))]


def _sightings(follow_up: FollowUp, track: Sequence[int | None]) -> list[Nodule]:
    return [row for row in _rows_of(follow_up, track) if row is not None]


def _places(follow_up: FollowUp, track: Sequence[int | None]) -> list[np.ndarray | None]:
    """Where a nodule lies, or would lie, in each study; None outside the field, or beyond a study without it."""
    places: list[np.ndarray | None] = [None] * len(track)
    for number, one in enumerate(follow_up.interludes):
        for pair in one.pairs:
            if (pair.earlier is not None and pair.earlier.id == track[number]) or (
                pair.later is not None and pair.later.id == track[number + 1]
            ):
                shown = pair.state != OUTSIDE
                for side, row in enumerate((pair.earlier, pair.later)):
                    if row is not None or shown:
                        places[number + side] = pair.places[side]
    return places


def _picture(plane: Plane, label: int | None) -> str:
    """The slice with all outlines; a cross at the place where the nodule is not."""
    image = Image.fromarray(plane.grey).convert("RGB")
    draw = ImageDraw.Draw(image)
    for number, lines in plane.outlines.items():
        colour = tuple(round(255 * part) for part in segment_color(number))
        for line in lines:
            draw.line([(float(x), float(y)) for x, y in line], fill=colour, width=2 if number == label else 1)
    if label is None:
        middle = image.width / 2
        for near, far in ((-14, -5), (5, 14)):
            draw.line([(middle + near, middle), (middle + far, middle)], fill=_CROSS, width=2)
            draw.line([(middle, middle + near), (middle, middle + far)], fill=_CROSS, width=2)
    return _data_url(image, "JPEG", quality=88)


def _data_url(image: Image.Image, form: str, **how: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, form, **how)
    return f"data:image/{form.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _plot(follow_up: FollowUp) -> str | None:
    """Volume with its interval against days (or the study's number), of nodules seen in two studies or more."""
    shown = [
        (number, track)
        for number, track in enumerate(follow_up.tracks, 1)
        if sum(label is not None for label in track) > 1
    ]
    if not shown:
        return None
    figure = volume_figure(follow_up, shown)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def volume_figure(follow_up: FollowUp, shown: Sequence[tuple[int, Sequence[int | None]]]) -> Figure:
    """The plot, as a matplotlib figure."""
    from matplotlib.figure import Figure

    figure = Figure((7.5, 3.6), dpi=110, layout="constrained")
    axes = figure.subplots()
    days = follow_up.days
    dated = all(day is not None for day in days)
    same = all(one.same_protocol for one in follow_up.interludes)
    for number, track in shown:
        seen = [(n, row) for n, row in enumerate(_rows_of(follow_up, track)) if row is not None]
        to_edge = has_edge(*(row for _, row in seen))
        sizes = [volume_size(row, same_protocol=same, to_edge=to_edge) for _, row in seen]
        at = np.array([days[n] if dated else n + 1 for n, _ in seen], float)
        values = np.array([size.value for size in sizes])
        errors = np.array([(size.value - size.interval.low, size.interval.high - size.value) for size in sizes]).T
        # Colours of segments are bright, for a CT: on paper they are darker, and in black and white the marks tell.
        ink = [_INK * part for part in segment_color(number)]
        mark = _MARKS[number % len(_MARKS)]
        axes.errorbar(at, values, np.nan_to_num(errors), marker=mark, capsize=3, color=ink, label=f"{number}")
    axes.set_yscale("log")
    axes.set_xlabel("days since study 1" if dated else "study")
    axes.set_ylabel("volume (mm³)")
    if not dated:
        axes.set_xticks(range(1, len(days) + 1))
    axes.legend(title="nodule", fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
