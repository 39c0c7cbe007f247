"""Development images: CT in HU and label maps on the same grid, in the axial view as they are stored, and smaller
ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..core.ct import CT
from ..errors import InputError
from ..readers.image_file import grid_of


def read_ct_image(path: Path) -> CT:
    """A CT stored in HU; air outside the body may be any value below -1024."""
    image = _image(path)
    return CT(np.maximum(sitk.GetArrayFromImage(image), -1024).astype(np.int16), grid_of(image))


def read_label_image(path: Path, ct: CT) -> np.ndarray:
    """A label map `[slice, row, column]` that must lie on the grid of `ct`."""
    labels = sitk.GetArrayFromImage(_image(path))
    if labels.shape != ct.hu.shape:
        raise InputError(f"{path.name} does not lie on the grid of its CT; make the pair again.")
    return labels


def _image(path: Path) -> sitk.Image:
    try:
        return sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(f"{path.name} is missing or cannot be read as an image; copy it again.") from error
