"""Voxels and grid of MetaImage files (MHA, MHD); ITK's reader crashes and hangs on damaged headers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import InputError
from .volume import Volume, beside, check_axes, check_spacing, damaged, numbers, voxels, whole

_LONGEST_HEADER = 1 << 20
_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_MM = {"": 1.0, "?": 1.0, "mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 1e-3}
_MODALITIES = ("", "CT", "OTHER", "UNKNOWN")
# Directions of the axes are unit vectors, but for rounding.
_UNIT = 0.01
# What two fields say of one thing may differ by rounding.
_SAME_MM = 1e-3
# Where an axis of the patient begins that runs along one of LPS, or against it.
_BEGINNINGS = ("RL", "AP", "IS")
_TWO_WAYS = (
    "The file places the patient in two ways (TransformMatrix and AnatomicalOrientation): that of the TransformMatrix "
    "was taken."
)
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read(path: Path) -> Volume:
    """The image of an MHA file, or of an MHD header and the file of voxels beside it; raises InputError for anything
    else.
    """
    with path.open("rb") as file:
        fields = _header(path, file)
        sizes, kind, (matrix, remarks) = _sizes(path, fields), _type(path, fields), _grid(path, fields)
        packing = "gzip" if _is(fields, "CompressedData") else "raw" if _is(fields, "BinaryData", "True") else "text"
        name, header = fields["ElementDataFile"], whole(path, fields, "HeaderSize", 0)
        if name.upper() == "LOCAL":
            file.seek(max(header, file.tell()))  # of such a file it counts from the start, as ITK takes it
            return Volume(voxels(path, file, kind, sizes, packing, min(header, 0)), matrix, remarks)
        if name.upper().startswith("LIST") or "%" in name:
            raise InputError(f"The voxels of {path.name} are spread over several files; save it as one file.")
        with beside(path, name).open("rb") as data:
            return Volume(voxels(path, data, kind, sizes, packing, header), matrix, remarks)


def _header(path: Path, file: BinaryIO) -> dict[str, str]:
    """The fields by their names; `file` stands at the voxels afterwards."""
    fields: dict[str, str] = {}
    while "ElementDataFile" not in fields:
        line = file.readline(_LONGEST_HEADER)
        name, sign, value = line.decode("utf-8", "replace").partition("=")
        if not sign or file.tell() > _LONGEST_HEADER:
            damaged(path, "its header is not that of a MetaImage")
        if name.strip() in fields:
            damaged(path, f"its header has two of {name.strip()[:40]!r}")
        fields[name.strip()] = value.strip()
    return fields


def _is(fields: Mapping[str, str], name: str, default: str = "False") -> bool:
    return fields.get(name, default).lower() in ("true", "1", "yes", "t", "y")


def _sizes(path: Path, fields: Mapping[str, str]) -> tuple[int, ...]:
    texts = fields.get("DimSize", "").split()
    axes, components = whole(path, fields, "NDims"), whole(path, fields, "ElementNumberOfChannels", 1)
    if len(texts) != axes or not all(text.isdecimal() and len(text) < 10 for text in texts):
        damaged(path, f"its DimSize is {fields.get('DimSize', '')[:60]!r} and its NDims {axes}")
    sizes = tuple(int(text) for text in texts)
    check_axes(path, sizes, components)
    return sizes


def _type(path: Path, fields: Mapping[str, str]) -> np.dtype:
    name = fields.get("ElementType", "").upper()
    if name.endswith("_ARRAY"):
        check_axes(path, (1, 1, 1), 3)
    modality = fields.get("Modality", "").upper().removeprefix("MET_MOD_")
    if modality not in _MODALITIES:
        raise InputError(f"{path.name} is no CT but {modality[:40]!r} by its Modality; give a CT in HU.")
    if name not in _TYPES:
        damaged(path, f"its ElementType is {name[:40]!r}")
    for unusual, usual in (("ElementToIntensityFunctionSlope", 1.0), ("ElementToIntensityFunctionOffset", 0.0)):
        if (numbers(path, fields, unusual, 1) or (usual,)) != (usual,):
            raise InputError(
                f"{path.name} holds values with a rescale of their own ({unusual}); export the CT again in HU."
            )
    big = _is(fields, "BinaryDataByteOrderMSB") or _is(fields, "ElementByteOrderMSB")
    return np.dtype(_TYPES[name]).newbyteorder(">" if big else "<")


def _grid(path: Path, fields: Mapping[str, str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Voxel to RAS mm, and what a reader should know of it."""
    spacing = _first(path, fields, ("ElementSpacing", "ElementSize"), 3)
    if spacing is None:
        raise InputError(f"{path.name} does not say how large its voxels are; export it again with its ElementSpacing.")
    check_spacing(path, spacing)
    turned = _only(path, fields, ("TransformMatrix", "Rotation", "Orientation"), 9) or tuple(np.eye(3).ravel())
    origin = _only(path, fields, ("Offset", "Position", "Origin"), 3) or (0.0, 0.0, 0.0)
    unit = fields.get("DistanceUnits", "").lower()
    if unit not in _MM:
        raise InputError(
            f"{path.name} gives its lengths in {unit[:40]!r}, which is not known here; export it again in mm."
        )
    directions = np.reshape(turned, (3, 3)).T
    with np.errstate(over="ignore"):
        if np.abs(np.linalg.norm(directions, axis=0) - 1).max() > _UNIT:
            damaged(path, "its TransformMatrix holds no directions")
    lps = np.eye(4)
    lps[:3, :3], lps[:3, 3] = directions * spacing, origin
    lps[:3] *= _MM[unit]
    return _LPS_TO_RAS @ lps, (_TWO_WAYS,) if _contradicts(fields, directions) else ()


def _contradicts(fields: Mapping[str, str], directions: np.ndarray) -> bool:
    """Whether AnatomicalOrientation names other ends of the patient, where the axes begin, than the directions do.

    RAI and LPS, as they name the space, stand in files of any direction.
    """
    named = fields.get("AnatomicalOrientation", "").upper()
    axes = np.abs(directions).argmax(0)
    begins = [_BEGINNINGS[axis][int(directions[axis, n] < 0)] for n, axis in enumerate(axes)]
    return named not in ("", "???", "RAI", "LPS", "".join(begins))


def _first(path: Path, fields: Mapping[str, str], names: tuple[str, ...], count: int) -> tuple[float, ...] | None:
    return next((values for name in names if (values := numbers(path, fields, name, count)) is not None), None)


def _only(path: Path, fields: Mapping[str, str], names: tuple[str, ...], count: int) -> tuple[float, ...] | None:
    """The values of a field that has several names; refused where two of them do not say the same."""
    said = [values for name in names if (values := numbers(path, fields, name, count)) is not None]
    if len(said) > 1 and not np.allclose(said[0], said[1:], rtol=0, atol=_SAME_MM):
        given = " and ".join(name for name in names if name in fields)
        raise InputError(f"{path.name} gives its grid twice, and not alike ({given}); export it again.")
    return said[0] if said else None
