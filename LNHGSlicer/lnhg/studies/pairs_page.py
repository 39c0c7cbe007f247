"""What `lnhg pairs` writes: how following does on simulated pairs, with intervals; a study that was cut off goes on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from ..core.atomic_file import write_atomic
from ..core.ct import CT
from ..errors import InputError
from ..evaluation.statistics import wilson_share
from ..networks.models import open_models
from ..readers.read_ct import read_ct
from .simulated_pairs import PLANTED, PairCounts, followed_pairs

_RATES = (
    ("nodules in both studies that are matched", "both matched", "both"),
    ("of these with a vessel or nodule within 15 mm", "near matched", "near"),
    ("matches that are wrong", "wrong matches", "matches"),
    ("new nodules called new", "new told", "new"),
    ("removed nodules called resolved", "resolved told", "resolved"),
)


def measure(
    data: Path, weights: Path | None, count: int, kept: Path, said: Callable[[str], None] = lambda line: None
) -> dict[str, str]:
    """Texts by their file names; pairs that are in `kept` already are not made again."""
    scans = [
        (path.parent.name, partial(_read, path)) for path in sorted(data.glob("*_scans/*/ct.nrrd")) if path.is_file()
    ]
    if not scans:
        raise InputError(f"{data} holds no scan (*_scans/NAME/ct.nrrd); give the data folder.")
    models = open_models(weights, with_detector=False)
    made_with = {"generator_sha256": str(models.manifests["generator"]["sha256"]), "planted": PLANTED}
    done = _done(kept, made_with)[:count]
    kept.parent.mkdir(parents=True, exist_ok=True)

    def keep(pair: PairCounts) -> None:
        with kept.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**made_with, **asdict(pair)}) + "\n")
        done.append(pair)
        said(f"{len(done)} of {count}: {pair.scan}, {pair.counts}")

    followed_pairs(scans, count - len(done), models, first=len(done), done=keep)
    return {"pairs.md": page(done)}


def _read(path: Path) -> CT:
    return read_ct(path)


def _done(kept: Path, made_with: Mapping[str, object]) -> list[PairCounts]:
    """The pairs that were made with the same weights and as many nodules; InputError for others, which would be
    mixed. A last line that was cut off is taken away.
    """
    if not kept.exists():
        return []
    try:
        lines, _, cut = kept.read_bytes().rpartition(b"\n")
        rows = [json.loads(line) for line in lines.splitlines()]
        others = any({name: row.pop(name, None) for name in made_with} != made_with for row in rows)
        pairs = [] if others else [PairCounts(**row) for row in rows]
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{kept} holds a line that is no pair; remove the line, or choose another folder.") from error
    if others:
        raise InputError(f"{kept} holds pairs made with other weights, or otherwise; choose another folder.")
    if cut:
        write_atomic(kept, lines + b"\n" if lines else b"")
    return pairs


def page(pairs: Sequence[PairCounts]) -> str:
    """The table, as Markdown."""
    total: Counter[str] = Counter()
    for pair in pairs:
        total.update(pair.counts)
    lines = [f"{len(pairs)} simulated pairs.", "", "| | share | 95% interval | n |", "|---|---|---|---|"]
    for title, part, whole in _RATES:
        n, of = total[part], total[whole]
        if not of:
            lines.append(f"| {title} | – | – | 0 |")
            continue
        known = wilson_share(n, of)
        lines.append(f"| {title} | {n / of:.1%} | {known.low:.1%} to {known.high:.1%} | {of} |")
    lines += ["", f"Planted nodules found in neither study, not counted: {total['unseen']}.", ""]
    for title, names in (
        ("Registration, error at points in the lungs", ("median_mm", "most_mm")),
        ("What the report says of it", ("told_median_mm", "told_most_mm")),
    ):
        median, most = (np.median([getattr(pair, name) for pair in pairs]) for name in names)
        lines.append(f"{title}: median {median:.2f} mm, 95% within {most:.2f} mm (medians over the pairs).")
    return "\n".join(lines) + "\n"
