"""Folders of image and label pairs: a CT and a label map on its grid, found by their names.

The two lie in folders such as `images` and `labels` under the same name (as in the Medical Segmentation Decathlon),
side by side as `NAME.nrrd` and `NAME_label.nrrd`, or in a folder of their own as `ct.nrrd` and `label.nrrd`.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np
from scipy import ndimage

from ..core.ct import CT
from ..errors import InputError
from ..readers.image_file import read_beside, stem
from ..readers.read_ct import read_ct
from ..stages.axial import axial_order
from .cache import PreparedScan
from .images import check_labels
from .outlines import OutlinedNodule, in_view, of_readers
from .sources import Job, Source

_LABEL, _IMAGE = r"(labels?|masks?|seg|segmentations?)", r"(ct|images?|img|0000)"
_LABEL_FOLDER, _IMAGE_FOLDER = (
    re.compile(_LABEL + r"(Tr)?", re.IGNORECASE),
    re.compile(_IMAGE + r"(Tr)?", re.IGNORECASE),
)
_LABEL_END, _IMAGE_END = (re.compile(rf"(^|[-_.]){words}$", re.IGNORECASE) for words in (_LABEL, _IMAGE))
# A narrower field of view is a cut-out around nodules.
_CHEST_MM = 200.0
# Labels that reach farther are lungs, or nodules that share one.
_WIDEST_MM = 100.0
# Labels may be stored with rounded positions, mm.
_SAME_MM = 1e-2


def pairs_source(folder: Path) -> Source:
    """The pairs below `folder`. Files do not say whose they are: each pair counts as a patient, named as its files."""
    images: dict[str, Path] = {}
    labels: dict[str, Path] = {}
    for file in sorted(folder.rglob("*")):
        own = stem(file)
        if own is not None and not file.name.startswith("."):  # macOS puts a ._ file beside each on foreign disks
            name, is_label = _named(file.relative_to(folder).parent.parts, own)
            if (labels if is_label else images).setdefault(name, file) != file:
                raise InputError(f"Two files in {folder.name} are named {name}; give each pair a name of its own.")
    both = sorted(images.keys() & labels.keys())
    jobs = tuple(
        Job(name, (images[name], labels[name]), partial(_read, name, images[name], labels[name])) for name in both
    )
    broken = {str(images[name].relative_to(folder)): "It has no label map." for name in images.keys() - labels.keys()}
    broken |= {str(labels[name].relative_to(folder)): "It has no image." for name in labels.keys() - images.keys()}
    return Source("image and label pairs", jobs, broken)


def _named(place: tuple[str, ...], own: str) -> tuple[str, bool]:
    """The name that both files of a pair share, and whether the file `own` in the folders `place` is the label map."""
    in_labels = any(_LABEL_FOLDER.fullmatch(part) for part in place)
    is_label = in_labels or bool(_LABEL_END.search(own))
    folders = [part for part in place if not (_LABEL_FOLDER.fullmatch(part) or _IMAGE_FOLDER.fullmatch(part))]
    bare = (_LABEL_END if is_label else _IMAGE_END).sub("", own)
    return "_".join([*folders, bare] if bare else folders) or "scan", is_label


def _read(name: str, image: Path, label: Path) -> PreparedScan:
    ct = read_ct(image)
    labels = _read_labels(label, ct.hu.shape, ct.ijk_to_ras)
    view = axial_order(ct)
    nodules = tuple(in_view(nodule, view) for nodule in _nodules(labels))
    for nodule in nodules:
        _check_width(nodule, view.ct, label)
    return PreparedScan(name, name, None, view.ct.hu.shape[2] * view.ct.spacing[0] >= _CHEST_MM, view.ct, nodules)


def _check_width(nodule: OutlinedNodule, ct: CT, label: Path) -> None:
    widest = max(np.multiply(nodule.readers.shape, ct.spacing[::-1]))
    if widest > _WIDEST_MM:
        raise InputError(
            f"{label.name} holds a label that is {widest:.0f} mm wide, which is no nodule; give label maps of nodules "
            "alone, each with a label of its own."
        )


def _read_labels(path: Path, shape: tuple[int, ...], ijk_to_ras: np.ndarray) -> np.ndarray:
    volume = read_beside(path)
    labels = volume.values
    check_labels(labels, path.name)
    if labels.shape != shape or not np.allclose(volume.ijk_to_ras, ijk_to_ras, rtol=0, atol=_SAME_MM):
        raise InputError(f"{path.name} does not lie on the grid of its CT; make the pair again.")
    return labels


def _nodules(labels: np.ndarray) -> list[OutlinedNodule]:
    """Each label is a nodule of one reader; a mask of a single value has one in each piece that hangs together."""
    values = np.unique(labels[labels > 0])
    if len(values) == 1:
        labels, count = ndimage.label(labels > 0, np.ones((3, 3, 3)))
        values = np.arange(1, count + 1)
    return [of_readers((labels == value).astype(np.uint8), 1, sure=True) for value in values]
