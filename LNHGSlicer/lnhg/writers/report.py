"""The report: one HTML file for a reader, with all pictures in it. Here are the values of its template,
`report.html`.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import Field, fields
from functools import partial
from typing import Any

import numpy as np
from PIL import Image
from skimage.measure import find_contours

from ..categories.dictation import dictated
from ..categories.proposals import Proposal, benign_hints, most_pressing, proposals_of
from ..core.answers import NOT_ANSWERED, StudyAnswers, answered, questions
from ..core.lobes import NO_LOBES
from ..core.nodule import NOT_MEASURED, HeterogeneityFigures, Nodule, as_row, header
from ..core.result import Result
from ..core.training_told import how_generator_was_trained
from ..stages.heterogeneity_legend import how_to_read, legend_ends, map_title, what_the_rim_shows
from .colours import jet
from .html_templates import MISSING, html_page
from .pictures import PIXELS, RIM_OPACITY, WINDOW_HU, Plane, found_text
from .seg_nrrd import segment_color

_TABLE_COLUMNS = 6


def report_html(result: Result, planes: Sequence[tuple[Plane, ...]], record: Mapping[str, Any]) -> str:
    """The report as one HTML page that needs no other file.

    Args:
        result: what to report.
        planes: the pictures, from `nodule_planes`.
        record: from `run_record`; the report shows an identity only if it holds one.
    """
    options = result.options
    told = proposals_of(result)
    with ThreadPoolExecutor(options.threads) as pool:
        cards = list(pool.map(partial(_card, result.options.sentence), told, planes))
    return html_page(
        "report.html",
        found=found_text(len(result.nodules)),
        summary=_summary(result),
        warnings=result.warnings,
        record=record,
        options=options,
        cards=cards,
        study=_of_study(told),
        answered=list(_answered(result.answers)),
        not_answered=[one.name.replace("_", " ") for one in questions(nodule=False) if _is_open(result.answers, one)],
        tables=list(_tables(result.nodules)),
        map_title=map_title(options),
        how_to_read=how_to_read(options),
        what_the_rim_shows=what_the_rim_shows(options),
        window=[_number(end, 0) for end in WINDOW_HU],
        legend_ends=legend_ends(options),
        legend_bar=_image(Image.fromarray(jet(np.linspace(0, 1, 256)[None])), "PNG"),
        pixels=PIXELS,
        missing=MISSING,
        training=how_generator_was_trained(_loss(result)),
        unconfirmed=int(result.unconfirmed.max(initial=0)),
    )


def _summary(result: Result) -> list[str]:
    slices, rows, columns = result.ct.hu.shape
    spacing = " × ".join(f"{step:.2f}" for step in result.ct.spacing)
    seconds = result.provenance.get("seconds")
    parts = [
        f"CT {columns} × {rows} × {slices}, {spacing} mm",
        str(result.provenance.get("device", "device not known")),
    ]
    if isinstance(seconds, Mapping):
        parts.append(f"{sum(seconds.values()):.0f} s")
    notes = len(result.warnings)
    return [*parts, "no warnings" if notes == 0 else "1 warning" if notes == 1 else f"{notes} warnings"]


def _loss(result: Result) -> Mapping[str, float]:
    """The terms of the generator's loss, as the weights' manifest told them to the run."""
    weights: Any = result.provenance.get("weights", {})
    loss: Mapping[str, float] = weights.get("generator", {}).get("loss", {})
    return loss


def _tables(nodules: Sequence[Nodule]) -> Iterable[list[tuple[str, list[Any]]]]:
    """All values, one column a nodule, a few nodules a table so that it fits a page."""
    for first in range(0, len(nodules), _TABLE_COLUMNS):
        some = [as_row(nodule) for nodule in nodules[first : first + _TABLE_COLUMNS]]
        yield [(title, values) for title, *values in zip(header(), *some, strict=True)]


def _hex(label: int) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in segment_color(label))


def _number(value: float, digits: int = 2) -> str:
    return MISSING if np.isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def _percent(share: float) -> str:
    return MISSING if np.isnan(share) else f"{share:.0%}"


# ---------------------------------------------------------------- one nodule


def _answered(answers: StudyAnswers) -> Iterable[str]:
    """The questions that were answered, of the patient and of single nodules."""
    for name, answer in answered(answers.common).items():
        yield f"{name.replace('_', ' ')}: {answer}"
    for number, told in sorted(answers.own.items()):
        for name, answer in told.items():
            yield f"nodule {number}, {name.replace('_', ' ')}: {answer}"


def _is_open(answers: StudyAnswers, question: Field[Any]) -> bool:
    return getattr(answers.common, question.name) in (None, NOT_ANSWERED)


def proposed(proposal: Proposal, sentence: str) -> dict[str, Any]:
    """What the template `proposal.html` shows of a nodule."""
    return {
        "sentence": dictated(proposal, sentence),
        "brock": proposal.brock.text,
        "categories": [
            {
                "system": one.system,
                "value": one.value,
                "rule": one.ruling.rule,
                "section": one.ruling.section,
                "next_step": one.ruling.next_step,
                "by_size": one.by_size,
                "open": one.open,
            }
            for one in proposal.categories
        ],
    }


def _of_study(told: Sequence[Proposal]) -> dict[str, Any] | None:
    """The category of the study; None without a nodule."""
    if not told:
        return None
    first = most_pressing(told)
    return {"value": first.lung_rads.value, "id": first.nodule.id}


def _card(sentence: str, proposal: Proposal, planes: Sequence[Plane]) -> dict[str, Any]:
    """What the template shows of a nodule."""
    nodule = proposal.nodule
    probability = "" if nodule.score is None else f", probability {nodule.score:.2f}"
    return {
        "id": nodule.id,
        "colour": _hex(nodule.id),
        "glance": _glance(nodule, proposal.lung_rads.value),
        "proposal": proposed(proposal, sentence),
        "tags": (nodule.status + probability, nodule.type, "side unknown" if nodule.side == "unknown" else nodule.side),
        "planes": [_plane(nodule.id, plane) for plane in planes],
        "key_numbers": _key_numbers(nodule),
        "evenness": list(_evenness(nodule)),
    }


def _glance(nodule: Nodule, lung_rads: str) -> tuple[str, ...]:
    return (
        nodule.status + ("" if nodule.score is None else f" ({nodule.score:.2f})"),
        nodule.side,
        str(nodule.slice),
        nodule.type,
        f"{nodule.at_least}{_number(nodule.long_axis, 1)} × {_number(nodule.short_axis, 1)} mm",
        f"{nodule.at_least}{_number(nodule.volume, 0)} mm³",
        lung_rads,
        _number(nodule.unevenness, 0),
    )


def _key_numbers(nodule: Nodule) -> dict[str, str]:
    part = (
        f"solid part {nodule.at_least}{_number(nodule.solid_diameter, 1)} mm"
        if nodule.solid_diameter
        else "solid part not measurable"
    )
    solid = f"; {part}" if nodule.type == "part-solid" else ""
    instance = "" if nodule.instance_number is None else f", DICOM instance {nodule.instance_number}"
    r, a, s = (_number(value, 1) for value in nodule.centre_ras)
    long, short, mean, sphere = (
        _number(value, 1)
        for value in (nodule.long_axis, nodule.short_axis, nodule.mean_axis, nodule.equivalent_diameter)
    )
    return {
        "Size": f"{nodule.at_least}{long} × {short} mm, mean {mean} mm",
        "Volume": f"{nodule.at_least}{_number(nodule.volume, 0)} mm³, as a sphere {sphere} mm",
        "Scanned again": _again(nodule),
        "Type": nodule.type + solid,
        "Density": f"{_number(nodule.hu_mean, 0)} ± {_number(nodule.hu_deviation, 0)} HU",
        "Unevenness": f"{_number(nodule.unevenness, 0)} HU from its typical tissue in the mean, weighted by depth",
        "Shares": f"{_percent(nodule.share_solid)} above −300 HU, {_percent(nodule.share_aerated)} below −600 HU",
        "Sphericity": _number(nodule.sphericity),
        "Slice": f"{nodule.slice} (from 0){instance}",
        "Centre": f"R {r}, A {a}, S {s} mm",
        "Place": _place(nodule),
        "Hints": ", ".join(benign_hints(nodule)) or "none for a benign kind",
        "Touches": f"pleura {_yes(nodule.touches_pleura)}, vessel {_yes(nodule.touches_vessel)}",
    }


def _again(nodule: Nodule) -> str:
    """Where sizes lie when the nodule is scanned again."""
    volume, mean = nodule.volume_same, nodule.mean_axis_same
    if np.isnan(volume.low) or np.isnan(mean.low):
        return "not known"
    return (
        f"95% within {_number(volume.low, 0)} to {_number(volume.high, 0)} mm³, mean {_number(mean.low, 1)} to "
        f"{_number(mean.high, 1)} mm (same protocol)"
    )


def _place(nodule: Nodule) -> str:
    """The lobe where a segmentation tells it, the third of the lung, the distance to the pleura."""
    if nodule.third == NOT_MEASURED:
        return NOT_MEASURED
    lobe = "" if nodule.lobe in (NO_LOBES, NOT_MEASURED) else f"{nodule.lobe}, "
    pleura = f"{_number(nodule.pleura_distance, 0)} mm to the pleura"
    return f"{lobe}{nodule.third} third of the lung, {pleura}"


def _yes(value: bool | None) -> str:
    return "not known" if value is None else "yes" if value else "no"


def _evenness(nodule: Nodule) -> Iterable[tuple[str, list[str]]]:
    """The heterogeneity figures: whole, core and rim, of the map and of the raw CT."""
    groups = (nodule.whole, nodule.core, nodule.rim, nodule.raw_whole, nodule.raw_core, nodule.raw_rim)
    for part in fields(HeterogeneityFigures):
        unit = part.metadata["unit"]
        digits = [2] * 3 + [0 if unit is None else 2] * 3  # mean and deviation of the raw CT are in HU
        figures = [_number(getattr(group, part.name), places) for group, places in zip(groups, digits, strict=True)]
        yield f"{part.metadata['header']} ({unit})" if unit else part.metadata["header"], figures


# ---------------------------------------------------------------- pictures of a nodule


def _plane(label: int, plane: Plane) -> dict[str, Any]:
    """The CT with the outlines of all nodules in view, and close to the nodule what lies over it in colours.

    A frame shows what is close; the dashed core shows where the rim ends.
    """
    start, size = plane.close
    middle = PIXELS / 2
    close = slice(math.floor(start), math.ceil(start + size))
    return {
        "name": plane.name,
        "grey": _grey(plane.grey),
        "close_grey": _grey(plane.grey[close, close]),
        "close_first": close.start,
        "close_pixels": close.stop - close.start,
        "heterogeneity": _colours(plane.heterogeneity, plane.in_core),
        "raw_ct": _colours(plane.raw_ct, plane.in_core),
        "strong": _path(_strong(plane.heterogeneity)),
        "raw_strong": _path(_strong(plane.raw_ct)),
        "outlines": [
            {"colour": _hex(other), "path": _path(lines), "number": None if other == label else _name(other, lines)}
            for other, lines in plane.outlines.items()
        ],
        "core": _path(plane.core),
        "edges": (_letters(6, middle + 5, plane.edges[0]), _letters(middle - 5, 17, plane.edges[1])),
        "start": start,
        "size": size,
        "bar": _scale_bar(0, PIXELS, plane.pixel_mm),
        "close_bar": _scale_bar(start, size, plane.pixel_mm),
    }


def _grey(values: np.ndarray) -> str:
    return _image(Image.fromarray(values), "JPEG", quality=85)


def _colours(values: np.ndarray, in_core: np.ndarray) -> str:
    """The colours as a picture that is clear outside the nodules; in the rim the CT behind shines through."""
    opacity = np.where(values < 0, 0, np.where(in_core, 1, RIM_OPACITY))
    return _image(Image.fromarray(np.dstack([jet(values), (255 * opacity).astype(np.uint8)])), "PNG", optimize=True)


def _image(image: Image.Image, form: str, **how: Any) -> str:
    """As a data URL."""
    buffer = io.BytesIO()
    image.save(buffer, form, **how)
    return f"data:image/{form.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _strong(values: np.ndarray) -> list[np.ndarray]:
    """Lines of (x, y) pixels around the upper half of the scale."""
    return [line[:, ::-1] for line in find_contours(np.maximum(values, 0), 0.5)]


def _path(lines: Iterable[np.ndarray]) -> str:
    """SVG path of lines of (x, y) pixels; the middle of pixel 0 lies at 0.5."""
    return "".join("M" + " ".join(f"{x:.1f},{y:.1f}" for x, y in line + 0.5) for line in lines)


def _name(label: int, lines: Sequence[np.ndarray]) -> dict[str, Any] | None:
    """The number of a neighbouring nodule, right of its outline; None where the plane does not cut it."""
    if not lines:
        return None
    points = np.concatenate(lines)
    x, y = points[np.argmax(points[:, 0])]
    return _letters(x + 4, y + 5, str(label))


def _letters(x: float, y: float, text: str, size: float = 15, anchor: str = "start") -> dict[str, Any]:
    return {"x": x, "y": y, "text": text, "size": size, "anchor": anchor}


def _scale_bar(start: float, size: float, pixel_mm: float) -> dict[str, Any]:
    """A bar of 5 or 10 mm at the lower right of a picture of the pixels from `start` on, `size` of them."""
    mm = 5 if size * pixel_mm < 30 else 10
    unit = size / PIXELS
    right = bottom = start + size - 10 * unit
    letters = _letters(right, bottom - 7 * unit, f"{mm} mm", 15 * unit, "end")
    return {"left": right - mm / pixel_mm, "right": right, "bottom": bottom, "letters": letters}
