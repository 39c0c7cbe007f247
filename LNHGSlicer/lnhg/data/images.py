"""Development images: CT in HU and label maps on the same grid, in the axial view as they are stored, and smaller
ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..core.ct import CT
from ..errors import InputError
from ..readers.image_file import read_beside


def read_ct_image(path: Path) -> CT:
    """A CT stored in HU; air outside the body may be any value below -1024."""
    volume = read_beside(path)
    return CT(np.maximum(volume.values, -1024).astype(np.int16), volume.ijk_to_ras)


def read_label_image(path: Path, ct: CT) -> np.ndarray:
    """A label map `[slice, row, column]` that must lie on the grid of `ct`."""
    labels = read_beside(path).values
    if labels.shape != ct.hu.shape:
        raise InputError(f"{path.name} does not lie on the grid of its CT; make the pair again.")
    return labels
