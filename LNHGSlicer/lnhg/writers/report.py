"""The report: one HTML file for a reader, with all pictures in it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from ..core.nodule import HeterogeneityFigures, Nodule, as_row, header
from ..core.result import Result
from ..core.training_told import how_generator_was_trained
from .colours import jet
from .pictures import PIXELS, WINDOW_HU, Plane, found_text, legend_ends
from .seg_nrrd import segment_color

_MISSING = "–"
_TABLE_COLUMNS = 6
_RANGES = {
    "scan": "over all nodules of this scan",
    "nodule": "over each nodule by itself",
    "slice": "over each whole axial slice, as in the paper",
}

_STYLE = """
:root { --ink: #1d2733; --soft: #5c6b7a; --line: #dfe5ea; --wash: #f6f8f9; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1080px; padding: 24px 28px 60px; color: var(--ink); background: #fff;
  font: 14px/1.45 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 25px; font-weight: 600; margin: 0 0 10px; }
h2 { font-size: 17px; font-weight: 600; margin: 34px 0 10px; padding-bottom: 4px; border-bottom: 1px solid var(--line); }
h3 { font-size: 16px; font-weight: 600; margin: 0 0 12px; }
p { margin: 6px 0; max-width: 78ch; }
.banner { display: inline-block; margin: 0 0 12px; padding: 4px 12px; border: 1px solid #b3261e; border-radius: 4px;
  color: #b3261e; font-weight: 600; }
.summary { font-size: 15px; max-width: none; }
.summary span { color: var(--soft); }
.warnings { margin: 12px 0; padding: 8px 14px 8px 32px; background: #fff8e6; border-left: 4px solid #e3a008; }
.soft { color: var(--soft); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 9px; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
thead th { color: var(--soft); font-size: 12px; }
.wide { overflow-x: auto; margin-bottom: 20px; }
.full { font-size: 12px; }
.full th, .full td { padding: 2px 9px; }
.full th { font-weight: 400; }
.glance { width: 100%; }
.glance a { color: inherit; }
.number { text-align: right; }
.dot { display: inline-block; width: 11px; height: 11px; margin-right: 7px; border: 1px solid #0005; border-radius: 50%;
  print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.card { display: grid; grid-template-columns: minmax(0, 60fr) minmax(0, 40fr); gap: 6px 24px; margin: 18px 0;
  padding: 16px 18px; border: 1px solid var(--line); border-radius: 6px; break-inside: avoid; }
.card h3 { grid-column: 1 / -1; margin: 0; }
.tag { margin-left: 8px; padding: 1px 8px; border-radius: 9px; background: var(--wash); border: 1px solid var(--line);
  font-size: 12px; font-weight: 400; }
.pictures { display: grid; grid-template-columns: 18px repeat(3, minmax(0, 1fr)); gap: 4px; align-content: start; }
.pictures svg { display: block; width: 100%; background: #000; }
.pictures b { font-size: 12px; font-weight: 400; color: var(--soft); text-align: center; }
.pictures b.row { writing-mode: vertical-rl; transform: rotate(180deg); }
.pictures path, .pictures rect { fill: none; stroke: #fff; vector-effect: non-scaling-stroke; }
.pictures text { font-family: sans-serif; fill: #fff; stroke: #0009; stroke-width: 0.18em; stroke-linejoin: round;
  paint-order: stroke; }
.pictures .outline { stroke: var(--of); stroke-width: 1.3; }
.pictures .frame { stroke-width: 0.6; }
.pictures .core { stroke-width: 1.2; stroke-dasharray: 4 3; }
.pictures .bar { stroke-width: 1.6; }
.pictures .bar, .pictures .frame { filter: drop-shadow(0 0 1px #000); }
.legend { display: flex; gap: 10px; align-items: center; font-size: 12px; color: var(--soft); }
.legend svg { flex: 1; min-width: 60px; max-width: 320px; height: 11px; }
.card .legend { grid-column: 1; margin-left: 22px; }
.keys { grid-row: 2 / span 2; grid-column: 2; font-size: 13px; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 3px 14px; margin: 0 0 12px; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
dl dl { margin: 0; }
.evenness { width: 100%; font-size: 12px; }
.evenness th, .evenness td { padding: 2px 4px; }
@media screen and (max-width: 760px) { .card { grid-template-columns: 1fr; } .keys { grid-row: auto; grid-column: 1; } }
@media print { body { max-width: none; padding: 0; font-size: 11px; } .wide { overflow: visible; } h2 { break-after: avoid; }
  .keys { font-size: 11px; } .evenness, thead th { font-size: 9.5px; } .evenness th, .evenness td { padding: 1px 3px; } }
"""


def report_html(result: Result, planes: Sequence[tuple[Plane, ...]], record: Mapping[str, Any]) -> str:
    """The report as one HTML page that needs no other file.

    Args:
        result: what to report.
        planes: the pictures, from `nodule_planes`.
        record: from `run_record`; the report shows an identity only if it holds one.
    """
    kind, pairs = result.options.heterogeneity, zip(result.nodules, planes, strict=True)
    with ThreadPoolExecutor(result.options.threads) as pool:
        cards = list(pool.map(lambda pair: _card(pair[0], pair[1], kind), pairs))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lung nodules and their heterogeneity</title>
<style>{_STYLE}</style>
</head>
<body>
{_colour_bar_definition()}
<h1>Lung nodules and their heterogeneity</h1>
<div class="banner">Research use only, not for diagnosis</div>
{_summary(result)}
{_warnings(result.warnings)}
{_section("Patient and series", _definitions(record["identity"])) if "identity" in record else ""}
{_findings(result)}
{_section("How to read the pictures", _reading(result)) if cards else ""}
{_section("Nodule by nodule", "".join(cards)) if cards else ""}
{_section("All measurements", "".join(_tables(result.nodules))) if cards else ""}
{_section("Method", _method(result))}
{_section("Provenance", _definitions({key: record[key] for key in ("input", "options", "provenance")}))}
</body>
</html>
"""


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


# ---------------------------------------------------------------- what was found


def _summary(result: Result) -> str:
    slices, rows, columns = result.ct.hu.shape
    spacing = " × ".join(f"{step:.2f}" for step in result.ct.spacing)
    seconds = result.provenance.get("seconds")
    parts = [f"CT {columns} × {rows} × {slices}, {spacing} mm", str(result.provenance.get("device", "device not known"))]
    if isinstance(seconds, Mapping):
        parts.append(f"{sum(seconds.values()):.0f} s")
    notes = len(result.warnings)
    parts.append("no warnings" if notes == 0 else "1 warning" if notes == 1 else f"{notes} warnings")
    return (
        f'<p class="summary"><strong>{found_text(len(result.nodules))}</strong> <span>· {escape(" · ".join(parts))}</span></p>'
    )


def _warnings(warnings: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    return f'<ul class="warnings">{items}</ul>' if items else ""


def _findings(result: Result) -> str:
    if not result.nodules:
        diameter = result.options.minimum_diameter
        return f"<p>No nodule found. Nodules under {diameter:g} mm are not reported, and a nodule can be missed.</p>"
    titles = ("Nodule", "Status", "Side", "Slice", "Type", "Size", "Volume", "Lung-RADS size class", "Heterogeneity, core")
    rows = "".join(_glance(nodule) for nodule in result.nodules)
    heads = "".join(f"<th>{title}</th>" for title in titles)
    table = f'<div class="wide"><table class="glance"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    return _section("At a glance", table)


def _glance(nodule: Nodule) -> str:
    cells = (
        nodule.status + ("" if nodule.score is None else f" ({nodule.score:.2f})"),
        nodule.side,
        str(nodule.slice),
        nodule.type,
        f"{_number(nodule.long_axis, 1)} × {_number(nodule.short_axis, 1)} mm",
        f"{_number(nodule.volume, 0)} mm³",
        nodule.lung_rads,
        _number(nodule.core.mean),
    )
    link = f'<a href="#nodule-{nodule.id}">{_dot(nodule.id)}{nodule.id}</a>'
    return f"<tr><td>{link}</td>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _dot(label: int) -> str:
    return f'<i class="dot" style="background:{_hex(label)}"></i>'


def _hex(label: int) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in segment_color(label))


def _number(value: float, digits: int = 2) -> str:
    return _MISSING if np.isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def _percent(share: float) -> str:
    return _MISSING if np.isnan(share) else f"{share:.0%}"


# ---------------------------------------------------------------- one nodule


def _card(nodule: Nodule, planes: Sequence[Plane], kind: str) -> str:
    score = "" if nodule.score is None else f", score {nodule.score:.2f}"
    side = "side unknown" if nodule.side == "unknown" else nodule.side
    title = f"{_dot(nodule.id)}Nodule {nodule.id}" + "".join(
        f'<span class="tag">{escape(tag)}</span>' for tag in (nodule.status + score, nodule.type, side)
    )
    return (
        f'<article class="card" id="nodule-{nodule.id}"><h3>{title}</h3>'
        f"{_pictures(nodule.id, planes)}{_legend(kind)}"
        f'<div class="keys">{_definitions(_key_numbers(nodule))}{_evenness(nodule)}</div></article>'
    )


def _pictures(label: int, planes: Sequence[Plane]) -> str:
    heads = "<b></b>" + "".join(f"<b>{plane.name.capitalize()}</b>" for plane in planes)
    rows = {
        "CT": [_ct_picture(label, plane) for plane in planes],
        "Heterogeneity": [_map_picture(label, plane, plane.heterogeneity, "heterogeneity") for plane in planes],
        "Raw CT, same colours": [_map_picture(label, plane, plane.raw_ct, "raw CT") for plane in planes],
    }
    body = "".join(f'<b class="row">{name}</b>{"".join(pictures)}' for name, pictures in rows.items())
    return f'<div class="pictures">{heads}{body}</div>'


def _ct_picture(label: int, plane: Plane) -> str:
    """The CT with the outlines of all nodules in view, and a frame around what `_map_picture` shows."""
    outlines = "".join(
        f'<path class="outline" style="--of:{_hex(other)}" d="{_path(lines)}"/>'
        + ("" if other == label else _name(other, lines))
        for other, lines in plane.outlines.items()
    )
    start, size = plane.close
    frame = f'<rect class="frame" x="{start:.1f}" y="{start:.1f}" width="{size:.1f}" height="{size:.1f}"/>'
    middle = PIXELS / 2
    letters = _letters(6, middle + 5, plane.edges[0]) + _letters(middle - 5, 17, plane.edges[1])
    image = _image(Image.fromarray(plane.grey), "JPEG", f'id="{_picture_id(label, plane)}"', quality=85)
    body = image + outlines + frame + letters + _scale_bar(0, PIXELS, plane.pixel_mm)
    return _svg(f"CT, {plane.name}, nodule {label} outlined", 0, PIXELS, body)


def _map_picture(label: int, plane: Plane, values: np.ndarray, what: str) -> str:
    """The nodule close, under the colours of `values`, over the CT of `_ct_picture`; dashed: where the rim ends."""
    clear = np.where(values >= 0, 255, 0).astype(np.uint8)
    colours = _image(Image.fromarray(np.dstack([jet(values), clear])), "PNG", optimize=True)
    core = f'<path class="core" d="{_path(plane.core)}"/>'
    body = f'<use href="#{_picture_id(label, plane)}"/>{colours}{core}{_scale_bar(*plane.close, plane.pixel_mm)}'
    return _svg(f"{what}, {plane.name}, nodule {label}", *plane.close, body)


def _picture_id(label: int, plane: Plane) -> str:
    return f"ct-{label}-{plane.name}"


def _svg(description: str, start: float, size: float, body: str) -> str:
    """A picture of the pixels from `start` on, `size` of them in x as in y."""
    box = f"{start:.1f} {start:.1f} {size:.1f} {size:.1f}"
    return f'<svg viewBox="{box}" role="img" aria-label="{escape(description)}">{body}</svg>'


def _image(image: Image.Image, form: str, attributes: str = "", **how: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, form, **how)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<image {attributes} width="{PIXELS}" height="{PIXELS}" href="data:image/{form.lower()};base64,{data}"/>'


def _path(lines: Iterable[np.ndarray]) -> str:
    """SVG path of lines of (x, y) pixels; the middle of pixel 0 lies at 0.5."""
    return "".join("M" + " ".join(f"{x:.1f},{y:.1f}" for x, y in line + 0.5) for line in lines)


def _name(label: int, lines: Sequence[np.ndarray]) -> str:
    """The number of a neighbouring nodule, right of its outline; nothing where the plane does not cut it."""
    if not lines:
        return ""
    points = np.concatenate(lines)
    x, y = points[np.argmax(points[:, 0])]
    return _letters(x + 4, y + 5, str(label))


def _letters(x: float, y: float, text: str, size: float = 15, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:.1f}" text-anchor="{anchor}">{text}</text>'


def _scale_bar(start: float, size: float, pixel_mm: float) -> str:
    """A bar of 5 or 10 mm at the lower right of a picture of the pixels from `start` on, `size` of them."""
    mm = 5 if size * pixel_mm < 30 else 10
    unit = size / PIXELS
    right = bottom = start + size - 10 * unit
    left = right - mm / pixel_mm
    label = _letters(right, bottom - 7 * unit, f"{mm} mm", 15 * unit, "end")
    return f'<path class="bar" d="M{left:.1f},{bottom:.1f}H{right:.1f}"/>{label}'


def _key_numbers(nodule: Nodule) -> dict[str, str]:
    solid = f"; solid part {_number(nodule.solid_diameter, 1)} mm" if nodule.type == "part-solid" else ""
    instance = "" if nodule.instance_number is None else f", DICOM instance {nodule.instance_number}"
    r, a, s = (_number(value, 1) for value in nodule.centre_ras)
    long, short, mean, sphere = (
        _number(value, 1) for value in (nodule.long_axis, nodule.short_axis, nodule.mean_axis, nodule.equivalent_diameter)
    )
    return {
        "Size": f"{long} × {short} mm, mean {mean} mm",
        "Volume": f"{_number(nodule.volume, 0)} mm³, as a sphere {sphere} mm",
        "Type": nodule.type + solid,
        "Density": f"{_number(nodule.hu_mean, 0)} ± {_number(nodule.hu_deviation, 0)} HU",
        "Shares": f"{_percent(nodule.share_solid)} above −300 HU, {_percent(nodule.share_aerated)} below −600 HU",
        "Sphericity": _number(nodule.sphericity),
        "Slice": f"{nodule.slice} (from 0){instance}",
        "Centre": f"R {r}, A {a}, S {s} mm",
        "Touches": f"pleura {_yes(nodule.touches_pleura)}, vessel {_yes(nodule.touches_vessel)}",
        "Lung-RADS 2022": f"{nodule.lung_rads} (by size and type only)",
        "Fleischner 2017": f"{nodule.fleischner} (by size and type only)",
    }


def _yes(value: bool | None) -> str:
    return "not known" if value is None else "yes" if value else "no"


def _evenness(nodule: Nodule) -> str:
    """The heterogeneity figures: whole, core and rim, of the map and of the raw CT."""
    groups = (nodule.whole, nodule.core, nodule.rim, nodule.raw_whole, nodule.raw_core, nodule.raw_rim)
    rows = []
    for part in fields(HeterogeneityFigures):
        unit = part.metadata["unit"]
        digits = [2] * 3 + [0 if unit is None else 2] * 3  # mean and deviation of the raw CT are in HU
        cells = "".join(
            f'<td class="number">{_number(getattr(group, part.name), places)}</td>'
            for group, places in zip(groups, digits, strict=True)
        )
        rows.append(f"<tr><th>{escape(part.metadata['header'])}{f' ({unit})' if unit else ''}</th>{cells}</tr>")
    regions = '<th class="number">whole</th><th class="number">core</th><th class="number">rim</th>' * 2
    return (
        '<table class="evenness"><thead><tr><th></th><th colspan="3">Heterogeneity</th>'
        f'<th colspan="3">Raw CT (HU)</th></tr><tr><th></th>{regions}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )


# ---------------------------------------------------------------- legend and explanations


def _colour_bar_definition() -> str:
    stops = "".join(
        f'<stop offset="{place:.4f}" stop-color="rgb({",".join(map(str, jet(place)))})"/>' for place in np.linspace(0, 1, 33)
    )
    return f'<svg width="0" height="0" style="position:absolute"><linearGradient id="jet">{stops}</linearGradient></svg>'


def _legend(kind: str) -> str:
    low, high = legend_ends(kind)
    bar = '<svg><rect width="100%" height="100%" fill="url(#jet)"/></svg>'
    return f'<div class="legend"><span>{escape(low)}</span>{bar}<span>{escape(high)}</span></div>'


def _reading(result: Result) -> str:
    options = result.options
    formula = "(G(x) − min) / (max − min)"
    if options.heterogeneity == "inverse":
        formula = f"1 − {formula}"
    low, high = WINDOW_HU
    rim = "it is left out of the map" if options.hide_rim else "do not read it as biology"
    minimum = "; min is 0 for G(x)" if options.normalisation == "scan" else ""
    return f"""{_legend(options.heterogeneity)}
<p>The heterogeneity map is {formula}, where G(x) is the generator's image of the nodules (kind
<em>{options.heterogeneity}</em>), min and max taken {_RANGES[options.normalisation]}
(normalisation <em>{options.normalisation}</em>{minimum}). The third row shows the raw CT inside the nodule in the same
colours, HU in place of G(x), to compare: what both rows show alike is in the CT itself.</p>
<p>The dashed line bounds the core. Outside it lies a rim of {options.rim:g} mm, where partial volume and interpolation
alone change the values: {rim}.</p>
<p class="soft">The first row shows the CT in the lung window ({_number(low, 0)} to {_number(high, 0)} HU) with the
outline; the thin frame is what the rows below show larger. Axial is the slice of the nodule's largest area; coronal
and sagittal pass through the nodule's centre. Letters: R right, A front, S head. Linear interpolation.</p>"""


def _method(result: Result) -> str:
    options = result.options
    finder = (
        "Nodules were segmented at points that a person gave; no detector was run."
        if options.seeds_only
        else "A Faster R-CNN with the GIoU loss looks for nodules slice by slice; finds of neighbouring slices are linked."
    )
    fused = (
        "Generator and detector were fused slice by slice, by the paper's rule."
        if options.fusion == "paper"
        else "A component of the generator's image counts as a nodule where a 3D candidate touches it."
    )
    others = int(result.unconfirmed.max(initial=0))
    apart = (
        f"<p>{others} components of the generator's image have no candidate; they are not shown as nodules.</p>"
        if others
        else ""
    )
    return f"""<p>After Song and others, IEEE Journal of Biomedical and Health Informatics, 2022. {finder} A generator
draws the nodules from volumes of three slices. {how_generator_was_trained(_loss(result))} {fused} Nodules under
{options.minimum_diameter:g} mm (sphere of equal volume) are left out.</p>{apart}
<p class="soft">Size classes use size and type alone, and no other part of Lung-RADS or of the Fleischner guideline.</p>"""


def _loss(result: Result) -> Mapping[str, float]:
    """The terms of the generator's loss, as the weights' manifest told them to the run."""
    weights: Any = result.provenance.get("weights", {})
    loss: Mapping[str, float] = weights.get("generator", {}).get("loss", {})
    return loss


# ---------------------------------------------------------------- tables


def _tables(nodules: Sequence[Nodule]) -> Iterable[str]:
    """All values, one column a nodule, a few nodules a table so that it fits a page."""
    for first in range(0, len(nodules), _TABLE_COLUMNS):
        some = [as_row(nodule) for nodule in nodules[first : first + _TABLE_COLUMNS]]
        lines = "".join(
            f"<tr><th>{escape(title)}</th>"
            + "".join(f'<td class="number">{_MISSING if value == "" else _text(value)}</td>' for value in values)
            + "</tr>"
            for title, *values in zip(header(), *some, strict=True)
        )
        yield f'<div class="wide"><table class="full"><tbody>{lines}</tbody></table></div>'


def _definitions(values: Mapping[str, Any]) -> str:
    """A list of names and values; mappings within become lists within."""
    items = (
        f"<dt>{escape(str(name))}</dt><dd>{_definitions(value) if isinstance(value, Mapping) else _text(value)}</dd>"
        for name, value in values.items()
    )
    return f"<dl>{''.join(items)}</dl>"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_text(one) for one in value)
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.1f}"
    return _MISSING if value is None else escape(str(value))
