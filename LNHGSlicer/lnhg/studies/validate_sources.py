"""Measured figures on cubes, nodules in 51 mm of their true surroundings, and on scans with one outlined cancer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.geometry import equivalent_diameter
from ..core.result import Result
from ..data.cutouts import SOLID_TEXTURE, Cutout
from ..data.scans import LabelledScan
from ..evaluation.froc import cutout_score
from ..evaluation.measures import match_nodules
from ..evaluation.seeded import seeded_dice
from ..evaluation.statistics import bootstrap_interval
from ..networks.models import Models
from ..pipeline import segment
from ..stages.fusion import CONFIRMED
from .groups import SIZES, TEXTURES

# A nodule at least this wide is a mass, mm.
_MASS_MM = 30.0


def cube_table(models: Models, cubes: Sequence[Cutout]) -> Iterable[str]:
    """Dice seeded at the centre, and what the detector finds at its threshold, of all cubes and by size and texture."""
    assert models.detector is not None
    grid, threshold = models.grid("detector"), models.threshold("detector", None)
    dices = np.array([seeded_dice(cube, models) for cube in cubes])
    found = np.array([cutout_score(cube, models.detector, grid) >= threshold for cube in cubes], float)
    sizes = np.array([cube.diameter for cube in cubes])
    textures = np.array([cube.ratings["texture"] for cube in cubes])
    groups = [("all", np.ones(len(cubes), bool)), (f"below {SOLID_TEXTURE:g} in texture", textures < SOLID_TEXTURE)]
    for named, measure in ((SIZES, sizes), (TEXTURES, textures)):
        groups += [(name, (measure >= low) & (measure < high)) for name, low, high in named]
    patients = np.array([cube.patient for cube in cubes])
    yield (
        "Cubes, nodules in 51 mm of their true surroundings, slices of 1 mm: Dice seeded at the centre, and the share "
        "that the "
        f"detector finds at a score of {threshold:g} (mirrored beyond the cube); 95% intervals by bootstrap over "
        f"patients:\n"
    )
    yield "| nodules | n | mean Dice | median | below 0.5 | found |"
    yield "|---|---|---|---|---|---|"
    for name, chosen in groups:
        yield _cube_row(name, dices[chosen], found[chosen], patients[chosen].tolist())
    yield ""


def _cube_row(name: str, dices: np.ndarray, found: np.ndarray, patients: Sequence[str]) -> str:
    if not len(dices):
        return f"| {name} | 0 | | | | |"
    cells = (
        name,
        len(dices),
        _with_interval(dices, patients),
        f"{np.median(dices):.3f}",
        np.count_nonzero(dices < 0.5),
        f"{int(found.sum())} of {len(found)}: {_with_interval(found, patients)}",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


@dataclass(frozen=True)
class _Cancer:
    """A scan's outlined cancer as the whole way outlines it (Dice 0: missed), and what else was found in the scan."""

    scan: str
    patients: str
    diameter_mm: float
    told: str
    dice: float


def cancer_table(models: Models, scans: Iterable[LabelledScan], listed: Callable[[str], str]) -> Iterator[str]:
    """The whole way, default options, on scans in which one cancer is outlined and other nodules are not marked."""
    yield (
        "Whole scans with one cancer, outlined by algorithms (reference: five of nine), default options. Other nodules "
        "are not "
        "marked, so other detections are neither right nor wrong; those at places that look like nodules are counted "
        "apart:\n"
    )
    yield "| scan | list | cancer: label, status, Dice, outside | others confirmed: like nodules | elsewhere |"
    yield "|---|---|---|---|---|"
    cancers: list[_Cancer] = []
    for scan in scans:
        result, patients = segment(scan.ct, models=models), listed(scan.patient)
        found = list(_cancers(scan, result, patients))
        cancers += found
        likely, elsewhere = _others(scan, result)
        cells = (scan.patient, patients, "; ".join(one.told for one in found) or "not outlined", likely, elsewhere)
        yield "| " + " | ".join(map(str, cells)) + " |"
    yield ""
    for name, chosen in (
        ("cancers of scans not trained on", [one for one in cancers if one.patients != "train"]),
        (
            f"of these {_MASS_MM:g} mm and more",
            [o for o in cancers if o.patients != "train" and o.diameter_mm >= _MASS_MM],
        ),
    ):
        if chosen:
            values = np.array([one.dice for one in chosen])
            mean = _with_interval(values, [one.scan for one in chosen])
            yield f"{name}: {np.count_nonzero(values)} of {len(chosen)} found, mean Dice {mean}, a missed one as 0.\n"


def _cancers(scan: LabelledScan, result: Result, patients: str) -> Iterator[_Cancer]:
    statuses = {nodule.id: nodule.status for nodule in result.nodules}
    for match in match_nodules(scan.reference, result.labels):
        reference, found = scan.reference == match.reference, result.labels == match.label
        diameter = equivalent_diameter(np.count_nonzero(reference) * scan.ct.voxel_volume)
        told = f"{diameter:.0f} mm: missed"
        if match.label:
            outside = np.count_nonzero(found & ~reference) / np.count_nonzero(found)
            told = f"{diameter:.0f} mm: {match.label}, {statuses[match.label]}, {match.dice:.2f}, {outside:.2f}"
        yield _Cancer(scan.patient, patients, diameter, told, match.dice)


def _others(scan: LabelledScan, result: Result) -> tuple[int, int]:
    """How many confirmed nodules lie at places that look like nodules, and how many elsewhere, away from the cancer."""
    likely = elsewhere = 0
    for nodule in result.nodules:
        mask = result.labels == nodule.id
        if nodule.status != CONFIRMED or scan.reference[mask].any():
            continue
        at_likely = bool(scan.doubtful[mask].any())
        likely, elsewhere = likely + at_likely, elsewhere + (not at_likely)
    return likely, elsewhere


def _with_interval(values: np.ndarray, patients: Sequence[str]) -> str:
    one = bootstrap_interval(values, patients)
    return f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})"
