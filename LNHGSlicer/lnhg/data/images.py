"""Development images: CT in HU and label maps on the same grid, in the axial view as they are stored, and smaller
ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..core.ct import CT
from ..errors import InputError
from ..readers.image_file import read_beside

_HIGHEST = np.iinfo(np.int32).max


def read_ct_image(path: Path) -> CT:
    """A CT stored in HU; air outside the body may be any value below -1024."""
    volume = read_beside(path)
    return CT(np.maximum(volume.values, -1024).astype(np.int16), volume.ijk_to_ras)


def check_labels(labels: np.ndarray, name: str) -> None:
    """Raise InputError, with the name of their file, unless labels are whole numbers from 0 on."""
    if not ((labels >= 0) & (labels <= _HIGHEST) & (labels == np.round(labels))).all():
        raise InputError(f"{name} is no label map; its values must be 0 and 1..N on one 3D grid.")


def read_label_image(path: Path, ct: CT) -> np.ndarray:
    """A label map `[slice, row, column]` that must lie on the grid of `ct`."""
    labels = read_beside(path).values
    if labels.shape != ct.hu.shape:
        raise InputError(f"{path.name} does not lie on the grid of its CT; make the pair again.")
    return labels
