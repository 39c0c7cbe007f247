"""Reading a CT from one NRRD, MHA or NIfTI file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..core.ct import CT, check_grid, fingerprint
from ..errors import InputError
from . import meta_image, nrrd
from .checks import constant_slices, grid_warnings, in_hu
from .files import PACKED, UNFINISHED, check_regular, few
from .volume import NO_SPACE, Volume


def _nifti(path: Path) -> Volume:
    from . import nifti  # loads nibabel, which other files do without

    return nifti.read(path)


_READERS = {
    ".nrrd": nrrd.read,
    ".nhdr": nrrd.read,
    ".mha": meta_image.read,
    ".mhd": meta_image.read,
    ".nii": _nifti,
    ".nii.gz": _nifti,
}
#: Endings of the image files that can be read.
ENDINGS = tuple(_READERS)
# A header of Analyze, or of NIfTI in two files, and its voxels.
_HEADER, _VOXELS = ".hdr", ".img"
_NO_PLACE = (
    "The file places the corner of the image at 0, 0, 0, as programs do that do not know where the patient lay: left, "
    "right, front, back, head and feet may be mixed up."
)
_NO_SIZE = (
    "The file names voxels of exactly 1 x 1 x 1 mm, as programs do that do not know their size: all sizes may be wrong."
)
_NO_CONTRAST = "Whether contrast was given is unknown: the file does not say."


def ending_of(path: Path) -> str | None:
    """The ending of an image file, in small letters; None if the name has none of them."""
    return next(
        (ending for ending in sorted(ENDINGS, key=len, reverse=True) if path.name.lower().endswith(ending)), None
    )


def stem(path: Path) -> str | None:
    """A file's name without the ending of an image; None if it has no such ending."""
    ending = ending_of(path)
    return None if ending is None else path.name[: -len(ending)]


def is_image(path: Path) -> bool:
    """Whether a file's name says that it holds an image, one that can be read or one that must be converted or unpacked
    first: a header of Analyze with its voxels beside it, an image in a packing, or one that was not fetched whole.
    """
    name = path.name.lower()
    packed = [name.removesuffix(ending) for ending in (*PACKED, *UNFINISHED) if name.endswith(ending)]
    if any(one.endswith(ENDINGS) for one in (name, *packed)):
        return True
    return name.endswith(_HEADER) and any(path.with_suffix(one).exists() for one in (_VOXELS, _VOXELS.upper()))


def read_volume(path: Path) -> Volume:
    """Voxels and grid of one image file. Raises InputError for a file that holds no single 3D image of plain
    numbers.
    """
    ending = ending_of(path)
    if ending is None and path.name.lower().endswith(PACKED):
        raise InputError(f"{path.name} is packed; unpack it and give what was in it.")
    if ending is None and path.suffix.lower() in UNFINISHED:
        raise InputError(f"{path.name} was not fetched whole; fetch it again.")
    if path.suffix.lower() in (_HEADER, _VOXELS):
        raise InputError(
            f"{path.name} is of a pair of files ({_HEADER} and {_VOXELS}), which does not tell left from right; "
            "convert it to one NIfTI file with the program that wrote it."
        )
    if ending is None:
        raise InputError(f"{path.name} is no CT that can be read; give a DICOM folder, NRRD, MHA or NIfTI.")
    check_regular(path)
    return _READERS[ending](path)


def read_beside(path: Path) -> Volume:
    """Voxels and grid of an image that goes with a CT, such as a label map, in the byte order of this machine.

    Raises InputError as `read_volume` does, and where the file is missing or cannot be opened.
    """
    try:
        volume = read_volume(path)
    except FileNotFoundError as error:
        raise InputError(f"{path.name} is missing in {path.absolute().parent.name}; copy it again.") from error
    except OSError as error:
        raise InputError(f"{path.name} cannot be read ({error.strerror or error}); copy it again.") from error
    return replace(volume, values=volume.values.astype(volume.values.dtype.newbyteorder("=")))


def read(path: Path) -> CT:
    """The CT of one file; its values must be HU. Raises InputError as `read_ct` says."""
    volume = read_volume(path)
    check_grid(volume.ijk_to_ras)
    hu, warnings = in_hu(volume.values, path.name, volume.ijk_to_ras)
    source = {
        "format": (ending_of(path) or "").lstrip("."),
        "matrix": list(hu.shape[::-1]),
        "contrast": "unknown",
        "sha256": fingerprint(hu, volume.ijk_to_ras),
    }
    ct = CT(hu, volume.ijk_to_ras, source=source, identity={"path": str(path.absolute())})
    remarks = (
        *volume.remarks,
        *_of_no_grid(volume),
        *warnings,
        *_of_blank(hu),
        *grid_warnings(volume.ijk_to_ras, len(hu)),
        _NO_CONTRAST,
    )
    return replace(ct, warnings=remarks)


def _of_no_grid(volume: Volume) -> tuple[str, ...]:
    """Sentences on the grid that most libraries write where they were told none; no real scan begins there."""
    unknown = NO_SPACE in volume.remarks
    directions = np.abs(volume.ijk_to_ras[:3, :3])
    if not unknown and (volume.ijk_to_ras[:3, 3].any() or np.count_nonzero(directions) > 3):
        return ()
    of_size = (_NO_SIZE,) if np.array_equal(np.sort(directions.ravel()), [0] * 6 + [1] * 3) else ()
    return of_size if unknown else (_NO_PLACE, *of_size)


def _of_blank(hu: np.ndarray) -> tuple[str, ...]:
    blank = constant_slices(hu)
    if not blank:
        return ()
    return (
        f"{len(blank)} slices hold nothing but one value (number {few([str(k) for k in blank])}): the scan may be cut "
        f"short.",
    )
