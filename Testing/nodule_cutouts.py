"""Made-up nodule cut-outs for the tests: balls in lung tissue, with readers and ratings, in memory or as a data
folder.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lnhg.core.ct import CT
from lnhg.core.nrrd_file import write_nrrd
from lnhg.data.cutouts import RATINGS, Cutout
from training_data import write_data


def ball_cutout(
    name: str = "LIDC-IDRI-0010_R_1", radius: float = 5.0, rating: float = 2.0, shape: tuple[int, ...] = (14, 36, 36)
) -> Cutout:
    """A soft ball of 40 HU in lung, 0.8 x 0.8 x 1 mm voxels; two readers, the second's outline 1 mm smaller."""
    random = np.random.default_rng(len(name) + round(radius * 10))
    k, j, i = np.meshgrid(*[np.arange(size) - size // 2 for size in shape], indexing="ij")
    distance = np.sqrt(k**2 + (0.8 * j) ** 2 + (0.8 * i) ** 2)
    hu = -850 + 890 / (1 + np.exp((distance - radius) / 0.4)) + random.normal(0, 12, shape)
    ct = CT(np.rint(hu).astype(np.int16), np.diag([-0.8, -0.8, 1.0, 1.0]))
    outlines = (distance <= radius).astype(np.uint8) | (distance <= radius - 1).astype(np.uint8) << 1
    ratings = dict.fromkeys(RATINGS, rating)
    return Cutout(name, name.rsplit("_R_", 1)[0], ct, outlines, 2, ratings)


def write_data_folder(folder: Path, cutouts: list[Cutout]) -> Path:
    """The cut-outs as `lidc_nodules/`, and the first one as a whole scan of LIDC-IDRI-0023 without any nodule."""
    write_data(folder, cutouts)
    scan = folder / "lidc_scans" / "LIDC-IDRI-0023"
    scan.mkdir()
    (scan / "nodules.csv").write_text("label,readers\n")
    write_nrrd(scan / "ct.nrrd", cutouts[0].ct.hu, cutouts[0].ct.ijk_to_ras)
    return folder
