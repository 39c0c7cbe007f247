"""Voxels and grid of NIfTI files, packed or not, whatever their names say; lengths in mm whatever their unit."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import BinaryIO

import nibabel
import numpy as np

from ..core.geometry import corners_apart
from ..errors import InputError
from .volume import NO_SPACE, Volume, check_axes, check_spacing, damaged, voxels

_HEADERS = {348: (nibabel.Nifti1Header, b"n+1\0", 344), 540: (nibabel.Nifti2Header, b"n+2\0", 4)}
# Extensions of the header, before the voxels, are no longer.
_FARTHEST_BYTES = 1 << 26
# Millimetres in a unit, by its code; none: mm, as everybody takes it.
_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 1e-3}
# Matrix and pixdim tell the same spacing but for rounding, two grids the same place but for mm.
_SAME_SPACING, _SAME_MM = 0.01, 1.0
# Rounding makes the square of a quaternion this much more than 1.
_QUATERNION = np.float64(1e-3)
_TWO_GRIDS = "The file places the patient in two ways (sform and qform): that of the sform was taken."


def read(path: Path) -> Volume:
    """The image of a NIfTI file; raises InputError for anything that is no single 3D image on a sure grid."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        header = _header(path, file, packed)
        kind, sizes = header.get_data_dtype(), tuple(int(size) for size in header.get_data_shape())
        sizes = sizes[:3] if set(sizes[3:]) == {1} else sizes
        check_axes(path, sizes, 3 if kind.names else 1)
        if kind.kind not in "iufc" or not kind.itemsize:
            damaged(path, f"its voxels are of the type {int(header['datatype'])}")
        matrix, remarks = _grid(path, header)
        offset = float(header["vox_offset"])
        if not header.sizeof_hdr <= offset <= _FARTHEST_BYTES or not offset.is_integer():
            damaged(path, f"its voxels begin at {offset:g}")
        file.seek(0)
        values = voxels(path, file, kind, sizes, "gzip" if packed else "raw", int(offset))
    return Volume(_scaled(path, header, values), matrix, remarks)


def _header(path: Path, file: BinaryIO, packed: bool) -> nibabel.Nifti1Header:
    file.seek(0)
    try:
        start = (gzip.GzipFile(fileobj=file) if packed else file).read(540)
    except (OSError, EOFError, zlib.error) as error:
        damaged(path, "it cannot be unpacked", error)
    sizes = (int.from_bytes(start[:4], "little"), int.from_bytes(start[:4], "big"))
    size = next((size for size in _HEADERS if size in sizes and size <= len(start)), 0)
    header_class, magic, at = _HEADERS.get(size, (None, b"", 0))
    if header_class is None or start[at : at + 4] != magic:
        damaged(path, "it does not start as NIfTI does")
    try:
        header = header_class(start[:size], check=False)
        header.get_data_shape(), header.get_data_dtype()
    except Exception as error:  # nibabel raises many kinds on damaged headers
        damaged(path, f"its header cannot be read: {type(error).__name__}", error)
    return header


def _scaled(path: Path, header: nibabel.Nifti1Header, values: np.ndarray) -> np.ndarray:
    """Values with the slope and intercept of the header, where it has any."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or (not np.isfinite(slope) and np.isnan(slope)):
        return values
    if not np.isfinite((slope, intercept)).all():
        damaged(path, f"its scl_slope is {slope:g} and its scl_inter {intercept:g}")
    if (slope, intercept) == (1, 0):
        return values
    wide = np.float32 if values.dtype.itemsize <= 2 else np.float64
    return values.astype(wide) * wide(slope) + wide(intercept)


def _grid(path: Path, header: nibabel.Nifti1Header) -> tuple[np.ndarray, tuple[str, ...]]:
    """Voxel to RAS mm, and what a reader should know of it: the sform, else the qform, else size of voxels alone."""
    sform = header.get_sform() if header["sform_code"] > 0 else None
    qform = _qform(path, header) if header["qform_code"] > 0 else None
    unit = int(header["xyzt_units"]) & 7
    if unit not in _MM:
        raise InputError(f"{path.name} gives its lengths in the unknown unit {unit}; export it again in mm.")
    if sform is not None and not _has_spacing(sform, np.array(header["pixdim"][1:4], float)):
        raise InputError(
            f"The grid of {path.name} (sform) and the size of its voxels (pixdim) disagree; export it again."
        )
    remarks: tuple[str, ...] = ()
    matrix = sform if sform is not None else qform
    if matrix is None:
        check_spacing(path, header["pixdim"][1:4].tolist())
        matrix, remarks = header.get_base_affine(), (NO_SPACE,)
    elif qform is not None and corners_apart(matrix, qform, header.get_data_shape()[2::-1]) * _MM[unit] > _SAME_MM:
        remarks = (_TWO_GRIDS,)
    scaled = np.array(matrix, float)
    scaled[:3] *= _MM[unit]
    return scaled, remarks


def _has_spacing(matrix: np.ndarray, spacing: np.ndarray) -> bool:
    with np.errstate(all="ignore"):
        return bool(np.isfinite(matrix).all()) and np.allclose(
            np.linalg.norm(matrix[:3, :3], axis=0), np.abs(spacing), rtol=_SAME_SPACING, atol=0
        )


def _qform(path: Path, header: nibabel.Nifti1Header) -> np.ndarray:
    header.quaternion_threshold = -_QUATERNION
    if header["pixdim"][0] == 0:  # which the standard takes for 1
        header["pixdim"][0] = 1
    try:
        qform = np.asarray(header.get_qform())
    except Exception as error:  # nibabel raises many kinds on damaged headers
        damaged(path, f"its qform cannot be read: {type(error).__name__}", error)
    if not np.isfinite(qform).all():
        damaged(path, "its qform holds values that are no numbers")
    return qform
