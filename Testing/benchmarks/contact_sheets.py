"""Contact sheets to look through: every confirmed find of the whole scans, and every nodule of the `report` patients.

python Testing/benchmarks/contact_sheets.py --data DATA --output FOLDER [--weights FOLDER] [--fold 1]

Writes `finds.png` (a tile a find, those of patients who were trained on last) and `nodules-1.png` and on (worst Dice
first). Green: the readers' consensus, red: what was found.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from lnhg.core.ct import CT
from lnhg.core.geometry import equivalent_diameter
from lnhg.core.result import Result
from lnhg.data.cutouts import read_cutouts
from lnhg.data.scans import LabelledScan, read_scan
from lnhg.data.splits import SCAN_FOLDS, list_of
from lnhg.evaluation.measures import dice
from lnhg.evaluation.seeded import seeded
from lnhg.networks.models import Models, open_models
from lnhg.pipeline import segment
from lnhg.stages.fusion import CONFIRMED

_WINDOW = (-1350, 150)
_LEAST_MM, _DIAMETERS = 50.0, 3.0
_ACROSS, _DOWN = 10, 8


@dataclass(frozen=True, eq=False)
class Tile:
    """One place, as it is drawn: HU, reference and outline of one slice `[row, column]`, pixels in mm, two lines."""

    hu: np.ndarray
    reference: np.ndarray
    found: np.ndarray
    pixel_mm: tuple[float, float]
    text: str


def tile(ct: CT, reference: np.ndarray, found: np.ndarray, text: str) -> Tile:
    """The slice with most of `found` (of the reference where nothing was found), 50 mm or three diameters wide."""
    shown = found if found.any() else reference
    k = int(np.argmax(np.count_nonzero(shown, axis=(1, 2))))
    middle = np.argwhere(shown[k]).mean(0)
    width = max(_LEAST_MM, _DIAMETERS * equivalent_diameter(np.count_nonzero(shown) * ct.voxel_volume)) / 2
    pixels = ct.spacing[1], ct.spacing[0]
    part = tuple(
        slice(max(0, int(at - width / step)), int(at + width / step) + 1)
        for at, step in zip(middle, pixels, strict=True)
    )
    return Tile(ct.hu[k][part], reference[k][part], found[k][part], pixels, text)


def finds(scan: LabelledScan, result: Result, trained_on: bool) -> Iterator[Tile]:
    """A tile for each confirmed find, and for each reference nodule that none touches."""
    where = f"{scan.patient}{' (trained on)' if trained_on else ''}"
    for one in result.nodules:
        found = result.labels == one.id
        if one.status != CONFIRMED:
            continue
        kind = "false"
        if scan.reference[found].any():
            kind = "reference nodule"
        elif scan.doubtful[found].any():
            kind = "doubtful place" if scan.complete else "like a nodule, not marked"
        text = f"{where}\n{one.id}: {one.score:.2f}, {one.long_axis:.0f} mm, {kind}"
        yield tile(result.ct, scan.reference > 0, found, text)
    for number in range(1, int(scan.reference.max()) + 1):
        reference = scan.reference == number
        if reference.any() and not result.labels[reference].any():
            yield tile(result.ct, reference, np.zeros_like(reference), f"{where}\nreference nodule, missed")


def nodules(data: Path, models: Models) -> list[Tile]:
    """The cut-outs of the `report` patients, seeded at the centre, worst Dice first."""
    scored = []
    for cutout in read_cutouts(data / "lidc_nodules"):
        if list_of(cutout.patient) == "report":
            found = seeded(cutout, models).labels > 0
            value = dice(cutout.consensus, found)
            texture = cutout.ratings["texture"]
            text = f"{cutout.name}\n{value:.2f}, {cutout.diameter:.0f} mm, texture {texture:.1f}"
            scored.append((value, tile(cutout.ct, cutout.consensus, found, text)))
    return [one for _, one in sorted(scored, key=lambda pair: pair[0])]


def draw(tiles: Sequence[Tile], path: Path) -> None:
    down = -(-len(tiles) // _ACROSS)
    height = 2.0 * down + 0.3
    figure, panels = plt.subplots(down, _ACROSS, figsize=(1.7 * _ACROSS, height), squeeze=False)
    for axes in panels.ravel():
        axes.set_axis_off()
    for axes, one in zip(panels.ravel(), tiles, strict=False):
        aspect = one.pixel_mm[0] / one.pixel_mm[1]
        axes.imshow(one.hu, cmap="gray", vmin=_WINDOW[0], vmax=_WINDOW[1], aspect=aspect)
        for mask, colour in ((one.reference, "lime"), (one.found, "red")):
            if mask.any():
                axes.contour(mask, [0.5], colors=colour, linewidths=0.8)
        axes.set_title(one.text, fontsize=5.5)
    figure.subplots_adjust(left=0.01, right=0.99, top=1 - 0.35 / height, bottom=0.005, wspace=0.05, hspace=0.25)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--fold", type=int, choices=(1, 2), default=1)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    models = open_models(arguments.weights, device="cpu")
    for page, first in enumerate(range(0, len(worst := nodules(arguments.data, models)), _ACROSS * _DOWN), 1):
        draw(worst[first : first + _ACROSS * _DOWN], arguments.output / f"nodules-{page}.png")
    listed = SCAN_FOLDS[arguments.fold]
    shown: dict[bool, list[Tile]] = {False: [], True: []}
    for folder in sorted([*arguments.data.glob("lidc_scans/*/"), *arguments.data.glob("qin_scans/*/")]):
        scan = read_scan(folder)
        trained_on = listed(scan.patient) == "train"
        shown[trained_on] += finds(scan, segment(scan.ct, models=models), trained_on)
    draw([*shown[False], *shown[True]], arguments.output / "finds.png")


if __name__ == "__main__":
    main()
