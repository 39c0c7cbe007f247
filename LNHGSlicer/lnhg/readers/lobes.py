"""Lobes or lungs out of a segmentation file or a folder of masks, by the names and numbers of common programs.

Known are names in many styles (`lung_upper_lobe_left`, `Right Upper Lobe`, `RUL`, `superior lobe of left lung`) in
Slicer's segmentations, in the headers of TotalSegmentator's NIfTI files and as names of files; and numbers without
names: lungmask's R231 (1 right, 2 left) and LTRCLobes (1 to 5), TotalSegmentator's versions 1 and 2. What the numbers
mean is believed only where right lies right of left, and upper above lower.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..core.geometry import corners_apart, voxel_volume_of
from ..core.lobes import LOBES, LUNGS, LobeMap
from ..core.whole_numbers import is_whole_number
from ..errors import InputError
from .files import entries_of
from .image_file import ENDINGS, ending_of, read_volume, stem
from .nrrd import key_values
from .volume import damaged

_Key = TypeVar("_Key")
_RUL, _RML, _RLL, _LUL, _LLL = LOBES
_RIGHT, _LEFT = LUNGS
# Numbers without names, tried in this order.
_SCHEMES: tuple[tuple[str, Mapping[int, str]], ...] = (
    ("TotalSegmentator 2", {10: _LUL, 11: _LLL, 12: _RUL, 13: _RML, 14: _RLL}),
    ("TotalSegmentator 1", {13: _LUL, 14: _LLL, 15: _RUL, 16: _RML, 17: _RLL}),
    ("lungmask LTRCLobes", {1: _LUL, 2: _LLL, 3: _RUL, 4: _RML, 5: _RLL}),
    ("lungmask R231", {1: _RIGHT, 2: _LEFT}),
)
_SHORT = {"rul": _RUL, "rml": _RML, "rll": _RLL, "lul": _LUL, "lll": _LLL}
_RIGHT_WORDS, _LEFT_WORDS = {"right", "r", "rt"}, {"left", "l", "lt"}
_PARTS = {"upper": "upper", "superior": "upper", "lingula": "upper", "middle": "middle", "lower": "lower",
          "inferior": "lower"}  # fmt: skip
# What lies in lungs and is named with them.
_OF_LUNGS = {
    "nodule",
    "nodules",
    "vessel",
    "vessels",
    "vein",
    "veins",
    "artery",
    "airways",
    "trachea",
    "tumor",
    "cancer",
}
# A lobe is at least this large, mm3; smaller specks do not tell where it lies. Masks of one folder lie this close, mm.
_LEAST_MM3, _SAME_MM = 5e3, 0.01
# Masks of two regions share at most this share of one of them, at the fissure.
_OVERLAP = 0.2
_NO_LOBES = "holds no lobes or lungs that are known by name or number; name them as right upper lobe, left lung"


def read_lobes(path: Path) -> LobeMap:
    """The lobes or lungs in a segmentation (NRRD, NIfTI, MHA) or in a folder of masks, a file each.

    Raises InputError for files that hold none that are known, for masks on different grids, and where right and left or
    upper and lower are exchanged.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; give a segmentation of lobes or lungs, or a folder of masks.")
    if path.is_file() and ending_of(path) is None:
        raise InputError(
            f"{path.name} is no segmentation that can be read; give NRRD, MHA or NIfTI, or a folder of masks."
        )
    return _checked(_of_folder(path) if path.is_dir() else _of_file(path), path.name)


def _checked(found: LobeMap, called: str) -> LobeMap:
    wrong = _contradiction(found)
    if wrong:
        raise InputError(
            f"In {called} {wrong}, as in no patient; name its labels right, or turn it as the CT is turned."
        )
    return found


def region_of(name: str) -> str | None:
    """The lobe or lung that a name means, of `LOBES` and `LUNGS`; None for a name of anything else."""
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
    for word in words:
        if word in _SHORT:
            return _SHORT[word]
    known = set(words)
    sides = [side for side, words_of in (("right", _RIGHT_WORDS), ("left", _LEFT_WORDS)) if words_of & known]
    parts = {_PARTS[word] for word in known & _PARTS.keys()}
    about_lungs = known & {"lung", "lungs", "lobe", "lobes", "lingula", "pulmonary"}
    if len(sides) != 1 or len(parts) > 1 or not about_lungs or known & _OF_LUNGS:
        return None
    if not parts:
        return f"{sides[0]} lung" if "lobe" not in known else None
    name = f"{sides[0]} {parts.pop()} lobe"
    return name if name in LOBES else None


def _of_folder(folder: Path) -> LobeMap:
    files = {file: region_of(stem(file) or "") for file in entries_of(folder) if ending_of(file) in ENDINGS}
    wanted = _lobes_or_lungs({file: name for file, name in files.items() if name})
    if not wanted:
        raise InputError(f"The folder {folder.name} {_NO_LOBES}.")
    regions = list(dict.fromkeys(wanted.values()))
    first, *others = (read_volume(file) for file in wanted)
    labels = np.zeros(first.values.shape, np.uint8)
    whole = dict.fromkeys(regions, 0)
    for mask, (file, name) in zip((first, *others), wanted.items(), strict=True):  # two of one region are its parts
        apart = corners_apart(mask.ijk_to_ras, first.ijk_to_ras, labels.shape)
        if mask.values.shape != labels.shape or apart > _SAME_MM:
            raise InputError(f"The masks in {folder.name} lie on different grids; give those of one segmentation.")
        inside = _inside(mask.values, file)
        whole[name] += np.count_nonzero(inside & (labels != regions.index(name) + 1))
        labels[inside] = regions.index(name) + 1
    if not labels.any():
        raise InputError(f"The masks in {folder.name} are empty; give those of this CT.")
    for number, name in enumerate(regions, 1):
        if np.count_nonzero(labels == number) < (1 - _OVERLAP) * whole[name]:
            raise InputError(f"In {folder.name} the mask of the {name} lies in that of another; give a mask for each.")
    return LobeMap(labels, first.ijk_to_ras, dict(enumerate(regions, 1)))


def _inside(values: np.ndarray, file: Path) -> np.ndarray:
    """Where a mask is set. Raises InputError for a probability, a distance or an image, of which nobody knows."""
    of_one = ((values == 0) | (values == values.max())).all()
    if not (values >= 0).all() or not (of_one or np.array_equal(values, np.rint(values))):
        raise InputError(f"{file.name} is no mask: it holds more than 0 and a number; give 0 outside and 1 inside.")
    return np.asarray(values > 0)


def _of_file(path: Path) -> LobeMap:
    volume = read_volume(path)
    return _of_labels(volume.values, volume.ijk_to_ras, _names_in(path), path.name)


def lobes_of_labels(labels: np.ndarray, ijk_to_ras: np.ndarray, names: Mapping[int, str], called: str) -> LobeMap:
    """The lobes or lungs of a label map `[slice, row, column]` by the names of its labels, else by their numbers.

    Raises InputError as `read_lobes`; `called` is how its sentences call the map.
    """
    return _checked(_of_labels(labels, ijk_to_ras, names, called), called)


def _of_labels(labels: np.ndarray, ijk_to_ras: np.ndarray, names: Mapping[int, str], called: str) -> LobeMap:
    if not np.array_equal(labels, np.rint(labels)):
        raise InputError(f"{called} holds no whole numbers; give a label map of lobes or lungs.")
    there = set(np.unique(labels).astype(int).tolist()) - {0}
    named = {label: region for label in there if (region := region_of(names.get(label, ""))) is not None}
    if named:
        return _map(labels, ijk_to_ras, _lobes_or_lungs(named))
    wrong = ""
    for scheme, numbers in _SCHEMES:
        if numbers.keys() <= there and (max(numbers) > 5 or there <= numbers.keys()):
            found = _map(labels, ijk_to_ras, numbers)
            contradiction = _contradiction(found)
            if not contradiction:
                return found
            wrong = wrong or f"{called} holds the numbers of {scheme}, but {contradiction}, as in no patient"
    if wrong:
        raise InputError(f"{wrong}; name its labels, or turn it as the CT is turned.")
    raise InputError(f"{called} {_NO_LOBES}.")


def _map(labels: np.ndarray, ijk_to_ras: np.ndarray, names: Mapping[int, str]) -> LobeMap:
    kept = np.where(np.isin(labels, list(names)), labels, 0).astype(np.min_scalar_type(max(names)))
    return LobeMap(kept, ijk_to_ras, dict(names))


def _lobes_or_lungs(named: Mapping[_Key, str]) -> dict[_Key, str]:
    """The lobes where there are any, else the lungs."""
    lobes = {key: name for key, name in named.items() if name in LOBES}
    return lobes or dict(named)


def _names_in(path: Path) -> dict[int, str]:
    """Names by label, as Slicer's segmentations and TotalSegmentator's NIfTI files hold them."""
    if (ending_of(path) or "").startswith(".nii"):
        import nibabel  # which other files do without

        try:
            texts = [one.get_content() for one in nibabel.load(path).header.extensions]  # type: ignore[attr-defined]
        except MemoryError:
            raise
        except Exception as error:  # nibabel raises many kinds on damaged extensions
            damaged(path, f"the names in it cannot be read: {type(error).__name__}", error)
        return dict(pair for text in texts for pair in _caret_labels(text))
    if ending_of(path) not in (".nrrd", ".nhdr"):
        return {}
    told = key_values(path)
    numbers = [re.fullmatch(r"(Segment\d+)_LabelValue", key) for key in told]
    named = [one for one in numbers if one and is_whole_number(told[one[0]], 12)]
    return {int(told[one[0]]): told.get(f"{one[1]}_Name", "") for one in named}


def _caret_labels(content: object) -> Iterable[tuple[int, str]]:
    text = content.decode("utf-8", "replace") if isinstance(content, bytes) else str(content)
    found = re.findall(r"<Label\b[^>]*\bKey=\"([0-9]{1,9})\"[^>]*>\s*(?:<!\[CDATA\[)?([^<\]]+)", text)
    return [(int(key), name) for key, name in found]


def _contradiction(found: LobeMap) -> str:
    """What lies as in no patient; empty if nothing does."""
    centres = _centres(found)
    right = [centre[0] for name, centre in centres.items() if name.startswith("right")]
    left = [centre[0] for name, centre in centres.items() if name.startswith("left")]
    if right and left and min(right) <= max(left):
        return "the right side lies left of the left one"
    for upper, lower in ((_RUL, _RLL), (_LUL, _LLL)):
        if upper in centres and lower in centres and centres[upper][2] <= centres[lower][2]:
            return f"the {upper} lies below the {lower}"
    return ""


def _centres(found: LobeMap) -> dict[str, np.ndarray]:
    """The middle of each region in RAS mm."""
    step = tuple(max(1, size // 128) for size in found.labels.shape)
    some = found.labels[:: step[0], :: step[1], :: step[2]]
    voxel = voxel_volume_of(found.ijk_to_ras) * float(np.prod(step))
    centres = {}
    for label, name in found.names.items():
        places = np.argwhere(some == label)
        if len(places) * voxel >= _LEAST_MM3:
            ijk = (places * step).mean(0)[::-1]
            centres[name] = found.ijk_to_ras[:3, :3] @ ijk + found.ijk_to_ras[:3, 3]
    return centres
