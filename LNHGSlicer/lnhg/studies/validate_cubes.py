"""Measured figures on cubes, nodules in 51 mm of their true surroundings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ..data.cutouts import SOLID_TEXTURE, Cutout
from ..evaluation.detector_sensitivity import cutout_score
from ..evaluation.seeded import seeded_dice
from ..evaluation.statistics import bootstrap_interval
from ..networks.torch_models import TorchModels
from .groups import SIZES, TEXTURES


def cube_table(models: TorchModels, cubes: Sequence[Cutout]) -> Iterable[str]:
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
        f"that the detector finds at a score of {threshold:g} (mirrored beyond the cube); 95% intervals by bootstrap "
        "over patients:\n"
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


def _with_interval(values: np.ndarray, patients: Sequence[str]) -> str:
    return bootstrap_interval(values, patients).told()
