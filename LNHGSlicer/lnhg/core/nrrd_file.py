"""Writing NRRD files: any grid, oblique or sheared, in full precision, and fields of one's own in the header."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import numpy as np

_TYPES = {"uint8": "uint8", "int16": "int16", "uint16": "uint16", "float32": "float"}
_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0])


def write_nrrd(
    path: Path,
    array: np.ndarray,
    ijk_to_ras: np.ndarray,
    fields: Mapping[str, str] | None = None,
    *,
    packed: bool = True,
) -> None:
    """Write one volume as NRRD: header and voxels in one file, little endian; same input, same bytes.

    Args:
        path: file to write.
        array: uint8, int16, uint16 or float32, `[slice, row, column]`.
        ijk_to_ras: 4 x 4, voxel (column, row, slice) to RAS mm, in any orientation; written in full precision as LPS.
        fields: key/value pairs for the header.
        packed: gzip; without it writing takes a hundredth of the time, and a CT a half more room.
    """
    little = array.dtype.newbyteorder("<")
    with path.open("wb") as file:
        file.write(_header(array, np.asarray(ijk_to_ras, float), fields or {}, "gzip" if packed else "raw").encode())
        # No file name and no time in the gzip header; level 1 is fast, and a map is small all the same.
        with gzip.GzipFile("", "wb", 1, file, mtime=0) if packed else nullcontext(file) as voxels:
            for one in array:
                voxels.write(np.ascontiguousarray(one, little).data)


def _header(array: np.ndarray, ijk_to_ras: np.ndarray, fields: Mapping[str, str], encoding: str) -> str:
    slices, rows, columns = array.shape
    origin, *directions = (_LPS_FROM_RAS @ ijk_to_ras[:3, [3, 0, 1, 2]]).T
    lines = [
        "NRRD0005",
        f"type: {_TYPES[array.dtype.name]}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {columns} {rows} {slices}",
        f"space directions: {' '.join(_vector(direction) for direction in directions)}",
        "kinds: domain domain domain",
        "endian: little",
        f"encoding: {encoding}",
        f"space origin: {_vector(origin)}",
        *(f"{_escaped(key)}:={_escaped(value)}" for key, value in fields.items()),
    ]
    return "\n".join(lines) + "\n\n"


def _vector(values: np.ndarray) -> str:
    # Adding 0 turns -0.0 into 0.0; repr holds all digits.
    return "(" + ",".join(repr(float(value) + 0.0) for value in values) + ")"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")
