"""The whole phantom: a chest CT drawn step by step, and its files."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from ..core.ct import CT
from ..core.geometry import equivalent_diameter
from ..core.nrrd_file import write_nrrd
from ..errors import InputError
from .chest import Chest, build_chest
from .grids import Array, Grid
from .nodules import Nodule, draw_nodule, plan_nodules
from .painting import add_noise, blur, render
from .vessels import Vessels, draw_vessels, grow_vessels

# Of the nodules in the order of `KINDS`: those that grow, and for each study their radius and those that are not there.
_GROWS = (0,)
_COURSE = ((0.8, (4,)), (0.95, ()), (1.15, (3,)))
_COLUMNS = ("label", "kind", "r_mm", "a_mm", "s_mm", "diameter_mm", "mean_hu")


@dataclass(frozen=True, eq=False)
class Phantom:
    """A synthetic CT and its truth.

    Attributes:
        ct: the CT, in the axial view (columns to the left, rows to the back, slices to the head).
        labels: uint16 `[slice, row, column]` on the CT's grid: 0, and n where nodule n fills at least half of
            the voxel (its fullest voxel, on a grid too coarse for that); a cavity belongs to its nodule, the chest
            wall does not.
        kinds: kind of nodule n at `kinds[n - 1]`, one of `KINDS`.
    """

    ct: CT
    labels: Array
    kinds: tuple[str, ...]


def chest_phantom(seed: int = 0, shape: tuple[int, int, int] = (120, 512, 512)) -> Phantom:
    """Draw a chest CT of about 360 x 360 x 300 mm on a grid of `shape` (slices, rows, columns); same seed, same bytes.

    Raises:
        InputError: for a negative seed, or fewer than 24 slices or 96 rows or columns, which cannot show the nodules.
    """
    _check(seed, shape)
    rng = np.random.default_rng(seed)
    chest = build_chest(rng)
    vessels = grow_vessels(chest, rng)
    return _drawn(chest, vessels, plan_nodules(chest, vessels, rng), shape, rng, seed)


def followed_phantoms(seed: int = 0, shape: tuple[int, int, int] = (120, 512, 512)) -> tuple[Phantom, ...]:
    """The same patient in three studies: one nodule grows, one is new in the second, one gone in the third.

    Arguments and errors as for `chest_phantom`; the other nodules stay as they are, the noise is another in each.
    """
    _check(seed, shape)
    rng = np.random.default_rng(seed)
    chest = build_chest(rng)
    vessels = grow_vessels(chest, rng)
    planned = plan_nodules(chest, vessels, rng)
    studies = []
    for radii, gone in _COURSE:
        bodies = {
            number: replace(planned[number].body, radius=planned[number].body.radius * radii) for number in _GROWS
        }
        present = [
            replace(one, body=bodies.get(number, one.body)) for number, one in enumerate(planned) if number not in gone
        ]
        studies.append(_drawn(chest, vessels, present, shape, rng, seed))
    return tuple(studies)


def _check(seed: int, shape: tuple[int, int, int]) -> None:
    if seed < 0:
        raise InputError(f"Seed {seed} is negative; give 0 or more.")
    if shape[0] < 24 or min(shape[1:]) < 96:
        raise InputError(f"A sample of {shape} voxels is too coarse; ask for at least 24 x 96 x 96.")


def _drawn(
    chest: Chest,
    vessels: Vessels,
    nodules: Sequence[Nodule],
    shape: tuple[int, int, int],
    rng: np.random.Generator,
    seed: int,
) -> Phantom:
    grid = Grid.over_chest(shape)
    hu = render(chest.layers, grid)
    draw_vessels(hu, grid, chest, vessels)
    labels = np.zeros(shape, np.uint16)
    for label, nodule in enumerate(nodules, 1):
        draw_nodule(hu, labels, label, grid, chest, nodule)
    blur(hu, grid)
    add_noise(hu, grid, rng)
    ct = CT(
        np.clip(np.rint(hu, out=hu), -1024, 3071, out=hu).astype(np.int16),
        grid.ijk_to_ras,
        source=MappingProxyType({"format": "synthetic", "series": f"chest phantom, seed {seed}"}),
    )
    return Phantom(ct, labels, tuple(nodule.kind for nodule in nodules))


def write_followed_samples(
    folder: Path, seed: int = 0, shape: tuple[int, int, int] = (120, 512, 512)
) -> dict[str, Path]:
    """Write the files of `write_sample` for each of three studies of one patient, into `study-1` to `study-3`."""
    written: dict[str, Path] = {}
    for number, phantom in enumerate(followed_phantoms(seed, shape), 1):
        paths = _write(phantom, folder / f"study-{number}")
        written |= {f"study {number}, {name}": path for name, path in paths.items()}
    return written


def write_sample(folder: Path, seed: int = 0, shape: tuple[int, int, int] = (120, 512, 512)) -> dict[str, Path]:
    """Write `ct.nrrd` (int16 HU), `labels.nrrd` and `nodules.csv` of a phantom into `folder`; returns name -> path.

    Columns of the table: label, kind, centre (RAS mm), diameter of the sphere of equal volume (mm), mean HU.
    Raises InputError where files of these names are there that are no sample.
    The files are written beside the folder's own and moved into place when all three are complete.
    """
    _check_nothing_foreign(_paths(folder))
    return _write(chest_phantom(seed, shape), folder)


def _paths(folder: Path) -> dict[str, Path]:
    return {name: folder / name for name in ("ct.nrrd", "labels.nrrd", "nodules.csv")}


def _write(phantom: Phantom, folder: Path) -> dict[str, Path]:
    paths = _paths(folder)
    _check_nothing_foreign(paths)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".sample-") as temporary:
        write_nrrd(Path(temporary) / "ct.nrrd", phantom.ct.hu, phantom.ct.ijk_to_ras)
        write_nrrd(Path(temporary) / "labels.nrrd", phantom.labels, phantom.ct.ijk_to_ras)
        _write_table(phantom, Path(temporary) / "nodules.csv")
        for name, path in paths.items():
            (Path(temporary) / name).replace(path)
    return paths


def _check_nothing_foreign(paths: Mapping[str, Path]) -> None:
    """Raise InputError where files of these names are there that are no sample: scans of somebody."""
    there = [name for name, path in paths.items() if os.path.lexists(path)]
    table = paths["nodules.csv"]
    own = len(there) == len(paths) and table.read_bytes().startswith(",".join(_COLUMNS).encode())
    if there and not own:
        raise InputError(
            f"{', '.join(there)} in {table.parent} would be replaced, but is no sample; choose another folder."
        )


def _write_table(phantom: Phantom, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for label, kind in enumerate(phantom.kinds, 1):
            voxels = np.argwhere(phantom.labels == label)
            centre = phantom.ct.to_ras(voxels.mean(0)[::-1])
            diameter = equivalent_diameter(len(voxels) * phantom.ct.voxel_volume)
            mean = phantom.ct.hu[tuple(voxels.T)].mean()
            writer.writerow([label, kind, *(f"{value:.1f}" for value in (*centre, diameter, mean))])
