"""What `lnhg repeats` writes: the uncertainties, fitted to half of the nodules, checked on the others; biases."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..data.cutouts import Cutout, read_cutouts
from ..data.splits import list_of
from ..networks.torch_models import load_models
from ..progress import Progress
from ..stages.size_intervals import FORMAT, PROTOCOLS, SIZES, SizeUncertainty
from .repeats import KINDS, KnownSolid, RealNodule, Repeat, coverage, known_solids, measured_repeats, pairs, uncertainty

#: Classes of size, mm.
CLASSES = ((3.0, 8.0), (8.0, 15.0), (15.0, 40.0))
_VOLUMES = {"volume": "counted voxels", "soft_volume": "edge of G(x) between voxels", "edge_volume": "edge of the CT"}


def measure(
    data: Path,
    weights: Path | None,
    solids: int,
    cutouts: int,
    repeats: int,
    progress: Callable[[Progress], object] = lambda progress: None,
) -> dict[str, str]:
    """Texts by their file names. Cut-outs are of patients that were not trained on."""
    models = load_models(weights, with_detector=False)
    real = [RealNodule(one) for one in chosen_cutouts(read_cutouts(data / "lidc_nodules"), cutouts)]
    nodules: list[KnownSolid | RealNodule] = [*real, *known_solids(solids, seed=1)]

    def report(fraction: float) -> None:
        progress(Progress("repeats", fraction, None))

    rows = measured_repeats(nodules, repeats, models, report=report)
    generator = str(models.manifests["generator"]["sha256"])
    known = uncertainty(_of_sizes_told(rows), generator)
    return {
        "size_uncertainty.json": as_json(known, rows, generator),
        "repeats.md": page(rows),
    }


def chosen_cutouts(cutouts: Sequence[Cutout], count: int) -> list[Cutout]:
    """Cut-outs of patients that were not trained on whose nodule lies whole in them, drawn at random."""
    whole = [
        one
        for one in cutouts
        if list_of(one.patient) != "train"
        and one.consensus.any()
        and not (one.consensus[0].any() or one.consensus[-1].any())
    ]
    order = np.random.default_rng(0).permutation(len(whole))[:count]
    return [whole[number] for number in order]


def _of_sizes_told(rows: Sequence[Repeat]) -> list[Repeat]:
    return [row for row in rows if CLASSES[0][0] <= row.conditions.diameter < CLASSES[-1][1]]


def as_json(known: SizeUncertainty, rows: Sequence[Repeat], generator: str) -> str:
    """The file of uncertainties, as `lnhg.stages.size_intervals` reads it."""
    measured = {"nodules": len({row.nodule for row in rows}), "repeats": len(rows)}
    values = {
        "format": FORMAT,
        "generator_sha256": generator,
        "measured": measured,
        "weights_mm": {size: {name: list(one) for name, one in parts.items()} for size, parts in known.weights.items()},
    }
    return json.dumps(values, indent=1) + "\n"


def page(rows: Sequence[Repeat]) -> str:
    """Tables: how far repeats lie apart, whether intervals hold held-out repeats, and the bias on known solids."""
    told = _of_sizes_told(rows)
    lines = [f"{len({row.nodule for row in rows})} nodules, {len(rows)} scans.", ""]
    lines += ["Repeats: 95% of the volumes of a second scan lie within so many percent of the first.", ""]
    lines += ["| volume | protocol | " + " | ".join(f"{a:g} to {b:g} mm" for a, b in CLASSES) + " |"]
    lines += ["|---|---|" + "---|" * len(CLASSES)]
    for size in ("volume", "edge_volume"):
        for protocol in PROTOCOLS:
            lines.append(f"| {_VOLUMES[size]} | {protocol} | " + " | ".join(_spreads(told, size, protocol)) + " |")
    lines += [
        "",
        "Repeats in the interval of the first scan, which was fitted to other nodules, percent.",
        "",
    ]
    lines += ["| size | protocol | " + " | ".join(f"{a:g} to {b:g} mm" for a, b in CLASSES) + " |"]
    lines += ["|---|---|" + "---|" * len(CLASSES)]
    for size in SIZES:
        for protocol in PROTOCOLS:
            lines.append(f"| {size} | {protocol} | " + " | ".join(_held_out(told, size, protocol)) + " |")
    lines += ["", "Bias on known solids: median of measured over true volume, less 1, percent.", ""]
    lines += ["| | n scans | " + " | ".join(_VOLUMES.values()) + " |", "|---|---|" + "---|" * len(_VOLUMES)]
    for kind in KINDS:
        some = [row for row in rows if row.kind == kind and row.truth > 0]
        if some:
            lines.append(f"| {kind} | {len(some)} | " + " | ".join(_bias(some, size) for size in _VOLUMES) + " |")
    return "\n".join(lines) + "\n"


def _spreads(rows: Sequence[Repeat], size: str, protocol: str) -> list[str]:
    found = pairs(rows, size, protocol)
    cells = []
    for low, high in CLASSES:
        ratios = [abs(np.log(one.second / one.first)) for one in found if low <= one.conditions.diameter < high]
        n = len({one.nodule for one in found if low <= one.conditions.diameter < high})
        cells.append(f"{100 * np.expm1(np.quantile(ratios, 0.95)):.0f} (n = {n})" if ratios else "–")
    return cells


def _held_out(rows: Sequence[Repeat], size: str, protocol: str) -> list[str]:
    held: list[tuple[float, bool]] = []
    for half in (0, 1):
        known = uncertainty([row for row in rows if row.nodule % 2 == half], "", sizes=(size,))
        held += coverage([row for row in rows if row.nodule % 2 != half], size, protocol, known)
    cells = []
    for low, high in CLASSES:
        some = [inside for diameter, inside in held if low <= diameter < high]
        cells.append(f"{100 * np.mean(some):.0f}" if some else "–")
    return cells


def _bias(rows: Sequence[Repeat], size: str) -> str:
    ratios = np.array([row.sizes[size] / row.truth for row in rows])
    ratios = ratios[np.isfinite(ratios)]
    return f"{100 * (np.median(ratios) - 1):+.1f}" if len(ratios) else "–"
