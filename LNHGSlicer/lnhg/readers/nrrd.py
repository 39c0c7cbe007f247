"""Voxels and grid of NRRD files, by teem's definition of the format; ITK's reader crashes and hangs on damaged
headers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import InputError
from .volume import NO_SPACE, Volume, beside, check_axes, check_spacing, damaged, numbers, voxels, whole

_LONGEST_HEADER, _MOST_LINES = 1 << 20, 1000
_TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"), "i8"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"), "u8"),
    "float": "f4",
    "double": "f8",
}
_PACKINGS = {
    "raw": "raw",
    "gzip": "gzip",
    "gz": "gzip",
    "bzip2": "bzip2",
    "bz2": "bzip2",
    "text": "text",
    "txt": "text",
    "ascii": "text",
}
_TO_RAS = {
    **dict.fromkeys(("right-anterior-superior", "ras"), (1, 1, 1)),
    **dict.fromkeys(("left-anterior-superior", "las"), (-1, 1, 1)),
    **dict.fromkeys(("left-posterior-superior", "lps"), (-1, -1, 1)),
}
# Spaces that do not tell how a patient lies in them.
_OF_NO_PATIENT = ("", "scanner-xyz", "3d-right-handed", "3d-left-handed")
_MM = {
    "mm": 1.0,
    "millimeter": 1.0,
    "millimetre": 1.0,
    "cm": 10.0,
    "m": 1000.0,
    "um": 1e-3,
    "µm": 1e-3,
    "micron": 1e-3,
    "": 1.0,
}
_SAME_SPACING = 0.01
_SCALAR_KINDS = ("domain", "space", "time", "list", "none", "???", "point", "scalar", "stub")


def read(path: Path) -> Volume:
    """The image of a NRRD file, or of a header that names a file of voxels beside it; raises InputError for anything
    else.
    """
    with path.open("rb") as file:
        fields, _ = _header(path, file)
        sizes = _sizes(path, fields)
        components = any(kind not in _SCALAR_KINDS for kind in fields.get("kinds", "").lower().split())
        check_axes(path, sizes, 3 if components else 1)
        matrix, placed = _grid(path, fields)
        values = _values(path, file, fields, sizes)
    return Volume(values, matrix, () if placed else (NO_SPACE,))


def read_layers(path: Path) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    """A segmentation as Slicer saves it: one or more layers `[layer, slice, row, column]`, their grid (4 x 4, voxel
    (column, row, slice) to RAS mm), and the key/value pairs of its header. Raises InputError for anything else.
    """
    with path.open("rb") as file:
        fields, pairs = _header(path, file)
        sizes = _sizes(path, fields)
        layered = len(sizes) == 4  # the layers are the fastest axis then
        check_axes(path, sizes[layered:], 1)
        matrix, _ = _grid(path, fields)
        columns, rows, slices = sizes[-3:]
        count = sizes[0] if layered else 1
        values = _values(path, file, fields, (count * columns, rows, slices))
    return np.moveaxis(values.reshape(slices, rows, columns, count), -1, 0), matrix, pairs


def key_values(path: Path) -> dict[str, str]:
    """The key/value pairs of a header, such as the names of segments. Raises InputError for what is no NRRD file."""
    with path.open("rb") as file:
        return _header(path, file)[1]


def _values(path: Path, file: BinaryIO, fields: Mapping[str, str], sizes: tuple[int, ...]) -> np.ndarray:
    """The voxels `[slice, row, column]` from where `file` stands, or of the file that the header names."""
    kind, packing = _type(path, fields), fields.get("encoding", "").lower()
    if packing not in _PACKINGS:
        damaged(path, f"its encoding is {packing[:40]!r}")
    if "data file" not in fields:
        return _voxels(path, file, fields, kind, sizes, _PACKINGS[packing])
    with _data_file(path, fields["data file"]).open("rb") as data:
        return _voxels(path, data, fields, kind, sizes, _PACKINGS[packing])


def _header(path: Path, file: BinaryIO) -> tuple[dict[str, str], dict[str, str]]:
    """The fields by their names, in small letters, and the key/value pairs; `file` stands at the voxels afterwards."""
    if not re.fullmatch(rb"NRRD000[1-5]\r?\n?", file.readline(16)):
        damaged(path, "it does not start as NRRD does")
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    read = 0
    while line := file.readline(_LONGEST_HEADER):
        read += len(line)
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if not text:
            break
        if read > _LONGEST_HEADER:
            damaged(path, "its header has no end")
        name, sign, value = text.partition(":")
        if not sign or text.startswith("#"):
            continue
        if value.startswith("="):
            pairs[name] = re.sub(r"\\([n\\])", lambda sign: "\n" if sign[1] == "n" else sign[1], value[1:])
        else:
            name = {"datafile": "data file", "lineskip": "line skip", "byteskip": "byte skip"}.get(
                name.lower(), name.lower()
            )
            if name in fields:
                damaged(path, f"its header has two of {name[:40]!r}")
            fields[name] = value.strip()
    return fields, pairs


def _sizes(path: Path, fields: Mapping[str, str]) -> tuple[int, ...]:
    """Sizes of the axes, fastest first."""
    texts = fields.get("sizes", "").split()
    dimension = whole(path, fields, "dimension")
    if len(texts) != dimension or not all(text.isdecimal() and len(text) < 10 for text in texts):
        damaged(path, f"its sizes are {fields.get('sizes', '')[:60]!r} and its dimension {dimension}")
    return tuple(int(text) for text in texts)


def _type(path: Path, fields: Mapping[str, str]) -> np.dtype:
    name = fields.get("type", "").lower()
    if name not in _TYPES:
        damaged(path, f"its type is {name[:40]!r}")
    endian = fields.get("endian", "little").lower()
    if endian not in ("little", "big"):
        damaged(path, f"its endian is {endian[:40]!r}")
    return np.dtype(_TYPES[name]).newbyteorder("<" if endian == "little" else ">")


def _grid(path: Path, fields: Mapping[str, str]) -> tuple[np.ndarray, bool]:
    """Voxel to RAS mm, and whether the file names the space that it lies in."""
    matrix = np.eye(4)
    if "space directions" in fields:
        columns = _vectors(path, fields["space directions"], 3)
        matrix[:3, :3] = np.array(columns).T * np.array(_units(path, fields.get("space units"), 3))[:, None]
        _check_spacings(path, fields, np.linalg.norm(columns, axis=1))
    else:
        spacings = numbers(path, fields, "spacings", 3)
        if spacings is None:
            raise InputError(f"{path.name} does not say how large its voxels are; export it again with its spacing.")
        check_spacing(path, spacings)
        matrix[:3, :3] = np.diag(np.multiply(spacings, _units(path, fields.get("units"), 3)))
    if "space origin" in fields:
        matrix[:3, 3] = np.multiply(
            _vectors(path, fields["space origin"], 1)[0], _units(path, fields.get("space units"), 3)
        )
    space = fields.get("space", "").lower().removesuffix("-time")
    signs = _TO_RAS.get(space)
    if signs is None and space not in _OF_NO_PATIENT:
        raise InputError(f"{path.name} lies in the space {space[:40]!r}, which NRRD does not know; export it again.")
    return np.diag([*(signs or (-1, -1, 1)), 1.0]) @ matrix, signs is not None


def _check_spacings(path: Path, fields: Mapping[str, str], lengths: np.ndarray) -> None:
    """Raise InputError where a header that has directions gives other spacings too."""
    if "spacings" in fields and "nan" not in fields["spacings"].lower():
        spacings = numbers(path, fields, "spacings", 3)
        if spacings is not None and not np.allclose(np.abs(spacings), lengths, rtol=_SAME_SPACING, atol=0):
            raise InputError(
                f"{path.name} gives the size of its voxels twice, and not alike (spacings, space directions); export "
                "it again."
            )


def _vectors(path: Path, text: str, count: int) -> list[list[float]]:
    """Vectors of three numbers in brackets, as `(0.7,0,0) (0,0.7,0)`."""
    try:
        vectors = [[float(part) for part in inside.split(",")] for inside in re.findall(r"\(([^()]*)\)", text)]
    except ValueError:
        vectors = []
    if len(vectors) != count or {len(vector) for vector in vectors} != {3} or not np.isfinite(vectors).all():
        damaged(path, f"its grid is {text[:80]!r}")
    return vectors


def _units(path: Path, text: str | None, count: int) -> list[float]:
    """Millimetres in the unit of each axis; mm where none are named."""
    if text is None:
        return [1.0] * count
    names = [name.strip().lower() for name in re.findall(r'"([^"]*)"', text)] or text.lower().split()
    if len(names) != count or not all(name in _MM for name in names):
        raise InputError(
            f"{path.name} gives its lengths in {text[:60]!r}, which is not known here; export it again in mm."
        )
    return [_MM[name] for name in names]


def _data_file(path: Path, name: str) -> Path:
    if name.upper().startswith("LIST") or "%" in name or (len(name.split()) > 1 and not (path.parent / name).exists()):
        raise InputError(f"The voxels of {path.name} are spread over several files; save it as one file.")
    return beside(path, name)


def _voxels(
    path: Path, file: BinaryIO, fields: Mapping[str, str], kind: np.dtype, sizes: tuple[int, ...], packing: str
) -> np.ndarray:
    """The voxels, past the lines and bytes that the header leaves out before them."""
    lines = whole(path, fields, "line skip", 0)
    if not 0 <= lines <= _MOST_LINES:
        damaged(path, f"it skips {lines} lines")
    for _ in range(lines):
        file.readline(_LONGEST_HEADER)
    return voxels(path, file, kind, sizes, packing, whole(path, fields, "byte skip", 0))
