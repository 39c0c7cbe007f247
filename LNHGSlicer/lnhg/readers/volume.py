"""What the readers of image files share: voxels and grid of a file, its numbers, and its voxels in any packing,
bounded.
"""

from __future__ import annotations

import bz2
import os
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np

from ..errors import InputError

NO_SPACE = "The file does not say how the patient lay: left, right, front and back may be mixed up."
# What a file may hold beyond its voxels: padding to a block.
_SLACK, _PADDING = 511, b"\0 \r\n"
# The largest CT have some 10^9 voxels.
_MOST_VOXELS = 1 << 31
# No CT packs to so small a share; small ones may be all air.
_MOST_PACKED, _SMALL_BYTES = 250, 1 << 26


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels `[slice, row, column]` as stored, their grid (4 x 4, voxel (column, row, slice) to RAS mm), and remarks on
    it.
    """

    values: np.ndarray
    ijk_to_ras: np.ndarray
    remarks: tuple[str, ...] = ()


def damaged(path: Path, why: str, cause: BaseException | None = None) -> NoReturn:
    """Raise the InputError of a file that cannot be what its name says."""
    raise InputError(f"{path.name} is damaged, cut off or no image ({why}); copy it again.") from cause


def check_axes(path: Path, sizes: tuple[int, ...], components: int) -> None:
    """Raise InputError unless these are sizes (fastest axis first) of one 3D image with a value a voxel."""
    if components != 1:
        raise InputError(f"{path.name} is a colour or vector image; give a CT with one HU value a voxel.")
    if len(sizes) != 3:
        raise InputError(f"{path.name} has {len(sizes)} axes; give a single 3D CT.")
    if min(sizes) < 1:
        damaged(path, f"its sizes are {', '.join(map(str, sizes))}")
    if int(np.prod([float(size) for size in sizes])) > _MOST_VOXELS:
        raise InputError(
            f"{path.name} says that it has {' x '.join(map(str, sizes))} voxels, more than any CT; leave it out."
        )


def numbers(path: Path, fields: Mapping[str, str], name: str, count: int) -> tuple[float, ...] | None:
    """Finite numbers of a text header, parted by spaces; None where the field is absent. Raises InputError
    otherwise.
    """
    if name not in fields:
        return None
    try:
        values = tuple(float(part) for part in fields[name].split())
    except ValueError:
        values = ()
    if len(values) != count or not np.isfinite(values).all():
        damaged(path, f"its {name} is {fields[name][:60]!r}")
    return values


def check_spacing(path: Path, spacing: Iterable[float]) -> None:
    """Raise InputError for a negative size of voxels: nobody knows whether its writer meant a mirror image."""
    if min(spacing) < 0:
        raise InputError(f"{path.name} says that its voxels have a negative size; export the CT again.")


def whole(path: Path, fields: Mapping[str, str], name: str, default: int | None = None) -> int:
    """A whole number of a text header; raises InputError for anything else."""
    text = fields.get(name, "" if default is None else str(default)).strip()
    if not re.fullmatch(r"[+-]?[0-9]{1,12}", text):
        damaged(path, f"its {name} is {text[:60]!r}")
    return int(text)


def beside(path: Path, name: str) -> Path:
    """The file of the voxels that a header names: beside the header or in a folder there, nowhere else."""
    if not name.isprintable():
        damaged(path, f"it names {name[:60]!r}")
    file = path.parent / name.replace("\\", "/")
    inside = file.resolve().is_relative_to(path.parent.resolve())
    if not inside:
        raise InputError(
            f"{path.name} names voxels outside its folder; put their file beside it and name it without a folder."
        )
    if not file.is_file():
        raise InputError(f"{path.name} names {name[:100]}, which is not beside it; copy both files.")
    return file


def voxels(
    path: Path, file: BinaryIO, kind: np.dtype, sizes: tuple[int, ...], packing: str = "raw", skip: int = 0
) -> np.ndarray:
    """Voxels `[slice, row, column]` from where `file` stands to its end, `sizes` as (column, row, slice).

    Args:
        packing: raw, gzip (also zlib), bzip2 or text.
        skip: bytes, once unpacked, that come before the voxels; -1: whatever comes before the last that are needed.

    Raises InputError where there are more or fewer voxels, checksums do not hold, or the file would unpack to what no
    CT does.
    """
    shape = tuple(reversed(sizes))
    size = int(np.prod(shape)) * kind.itemsize
    left = os.fstat(file.fileno()).st_size - file.tell()
    if skip < -1 or (skip == -1 and packing != "raw"):
        damaged(path, f"it skips {skip} bytes")
    if packing == "text":
        return _of_text(path, file.read(min(left, skip + 32 * size))[skip:], kind, shape)
    if packing == "raw":
        file.seek(max(0, left - size) if skip == -1 else skip, os.SEEK_CUR)
        content = memoryview(file.read(size + _SLACK + 1))
    else:
        if size > max(_SMALL_BYTES, _MOST_PACKED * left):
            raise InputError(
                f"{path.name} would unpack to {size >> 20} MB from {left >> 10} KB, as no CT does; leave it out."
            )
        content = _unpacked(path, file.read(), skip + size + _SLACK + 1, packing)[skip:]
    # Voxels behind others are those of a header that was not skipped, or of a larger image: all lie at another place.
    if len(content) < size or bytes(content[size:]).strip(_PADDING) or len(content) > size + _SLACK:
        more = "more" if len(content) > size else f"{len(content)}"
        damaged(path, f"its header asks for {size} bytes of voxels, it has {more}")
    return np.frombuffer(content, kind, size // kind.itemsize).reshape(shape)


def _unpacked(path: Path, packed: bytes, most: int, packing: str) -> memoryview:
    """At most so many bytes of a file whose parts follow one another; each part is unpacked to its end and checksum."""
    unpacked, whole = bytearray(), False
    try:
        while packed and len(unpacked) < most:
            part = zlib.decompressobj(zlib.MAX_WBITS | 32) if packing == "gzip" else bz2.BZ2Decompressor()
            unpacked += part.decompress(packed, most - len(unpacked))
            whole = part.eof
            if not whole:
                break
            packed = part.unused_data.lstrip(b"\0")
    except (zlib.error, OSError, EOFError) as error:
        damaged(path, "it cannot be unpacked", error)
    if len(unpacked) < most and not whole:
        damaged(path, "its packed voxels end too early")
    return memoryview(unpacked)


def _of_text(path: Path, content: bytes, kind: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    try:
        values = np.array(content.split(), float)
    except ValueError as error:
        damaged(path, "its voxels are no numbers", error)
    if values.size != np.prod(shape):
        damaged(path, f"its header asks for {int(np.prod(shape))} voxels, it has {values.size}")
    if kind.kind in "iu" and (values.min() < np.iinfo(kind).min or values.max() > np.iinfo(kind).max):
        damaged(path, "its voxels are beyond their type")
    return values.astype(kind).reshape(shape)
