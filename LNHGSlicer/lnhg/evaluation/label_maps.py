"""Label maps of any system, read and checked: 0 and 1..N on one 3D grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from ..core.geometry import corners_apart, spacing_of, voxel_volume_of
from ..data.images import check_labels
from ..errors import InputError
from ..readers.files import entries_of
from ..readers.image_file import read_beside, stem

# How far the corners of two grids may lie apart, mm: far below a voxel, far above what a file rounds.
_CORNER_MM = 0.01


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A label map.

    Attributes:
        name: of its file.
        labels: int32 `[slice, row, column]`.
        ijk_to_ras: 4 x 4, voxel (column, row, slice) to RAS mm.
    """

    name: str
    labels: np.ndarray
    ijk_to_ras: np.ndarray

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Along (column, row, slice), mm."""
        return spacing_of(self.ijk_to_ras)

    @property
    def voxel_volume(self) -> float:
        """Volume of one voxel, mm3."""
        return voxel_volume_of(self.ijk_to_ras)


def read_label_map(path: Path, *, alike: bool = False) -> LabelMap:
    """The label map of one file; `alike`: its labels mark all nodules alike, so they are taken apart into components.

    Raises InputError for a file that holds no label map.
    """
    volume = read_beside(path)
    labels = volume.values
    check_labels(labels, path.name)
    return LabelMap(path.name, components(labels) if alike else labels.astype(np.int32), volume.ijk_to_ras)


def check_same_grid(one: LabelMap, other: LabelMap) -> None:
    """Raise InputError unless two label maps lie voxel on voxel."""
    same = one.labels.shape == other.labels.shape
    if not same or corners_apart(one.ijk_to_ras, other.ijk_to_ras, one.labels.shape) > _CORNER_MM:
        raise InputError(f"{one.name} and {other.name} lie on different grids; compare label maps of one CT.")


def components(labels: np.ndarray) -> np.ndarray:
    """Nodules 1..N of a map that marks all of them alike: its connected components (26 neighbours)."""
    return np.asarray(ndimage.label(labels, np.ones((3, 3, 3)))[0], np.int32)


def label_files(folder: Path) -> dict[str, Path]:
    """The label maps of a folder by their names without ending. Raises InputError where there is none, or two of a
    name.
    """
    found: dict[str, Path] = {}
    for path in entries_of(folder):
        name = stem(path)
        if name in found:
            raise InputError(f"{folder} holds {found[name].name} and {path.name}; leave one label map of each name.")
        if name:
            found[name] = path
    if not found:
        raise InputError(
            f"{folder} holds no label map; put NRRD, MHA or NIfTI files there, named alike in both folders."
        )
    return found
