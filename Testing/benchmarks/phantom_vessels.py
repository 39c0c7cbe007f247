"""Are the vessels of the synthetic chest as those of real scans?

`python Testing/benchmarks/phantom_vessels.py --data DATA` prints, for the whole scans of a data folder and for
synthetic chests of several shapes and seeds, what of the lungs is vessel of which calibre, how many sections of vessels
a slice shows near the pleura, how dense vessels are, and the noise in them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy import ndimage

from lnhg.core.ct import CT
from lnhg.phantom.sample import chest_phantom
from lnhg.readers.read_ct import read_ct
from lnhg.stages.axial import axial_order
from lnhg.stages.lungs import lung_regions

SHAPES = ((120, 512, 512), (140, 512, 512), (200, 384, 384), (80, 512, 512), (60, 256, 256))
# On cells of 1 mm: what is denser is vessel (or a nodule, or wall); calibres are diameters of balls that fit in. Wider
# things are no vessels: the dome of the diaphragm inside the closed lungs, masses.
VESSEL_HU, CALIBRES_MM, TISSUE_MM, NEAR_MM, TUBE_MM = -500, (2, 4, 6, 8, 10), 12, (10, 30), 4


def opened(mask: np.ndarray, calibre: float) -> np.ndarray:
    """What balls of a diameter (mm, cells of 1 mm) that fit into the mask cover of it."""
    middles = ndimage.distance_transform_edt(mask) >= calibre / 2
    return mask & (ndimage.distance_transform_edt(~middles) <= calibre / 2) if middles.any() else middles


def figures(ct: CT) -> list[float]:
    """Percent of the lungs in vessels of at least each calibre; sections of 2 mm and more in 100 cm2 of a slice at 10
    to 30 mm from the pleura; median HU in vessels of 4 mm and more, and how it scatters between neighbours.
    """
    view = axial_order(ct).ct
    lungs = lung_regions(view) > 0
    (box,) = ndimage.find_objects(lungs.astype(np.uint8))
    spacing = np.array(view.spacing[::-1])
    hu = ndimage.zoom(view.hu[box].astype(np.float32), spacing, order=1)
    inside = ndimage.zoom(lungs[box].astype(np.float32), spacing, order=1) > 0.5
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1, 1:-1]
    vessel = (hu > VESSEL_HU) & (depth > 3)
    vessel &= ~opened(vessel, TISSUE_MM)
    within = ndimage.distance_transform_edt(vessel)
    shares = [100 * opened(vessel, calibre).sum() / (depth > 3).sum() for calibre in CALIBRES_MM]
    near = (depth > NEAR_MM[0]) & (depth < NEAR_MM[1])
    sections = sum(ndimage.label((within[k] >= 1) & near[k])[1] for k in range(len(near)))
    tube = within >= TUBE_MM / 2
    scatter = np.diff(hu, axis=2)[tube[:, :, 1:] & tube[:, :, :-1]].std() / np.sqrt(2)
    return [*shares, 1e4 * sections / near.sum(), float(np.median(hu[tube])), float(scatter)]


def row(name: str, ct: CT) -> None:
    found = figures(ct)
    cells = [name, *(f"{one:.2f}" for one in found[:-3]), *(f"{one:.0f}" for one in found[-3:])]
    print("|", " | ".join(cells), "|", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=1, help="synthetic chests of each shape")
    arguments = parser.parse_args()
    print("| scan |", " | ".join(f">= {one} mm, %" for one in CALIBRES_MM), "| sections in 100 cm2 | HU | scatter |")
    print("|---" * (len(CALIBRES_MM) + 4) + "|")
    for path in sorted(arguments.data.glob("*_scans/*/ct.nrrd")):
        row(path.parent.name, read_ct(path))
    for shape in SHAPES:
        for seed in range(arguments.seeds):
            row(f"synthetic {shape}, {seed}", chest_phantom(seed, shape).ct)


if __name__ == "__main__":
    main()
