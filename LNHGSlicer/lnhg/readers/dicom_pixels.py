"""Pixels of DICOM slices: decompressed, rescaled to HU, padding made air."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import pydicom
from pydicom.encaps import get_frame
from pydicom.uid import UID
from scipy import ndimage

from ..core.ct import AIR_HU
from ..errors import InputError
from .decoding import Decoder, Layout, Undecodable
from .dicom_headers import Slice

# What lung, soft tissue and bone have; a range of padding that takes in more than about one value of it is none.
_TISSUE_HU, _ONE_VALUE_HU = (-950, 1500), 10
# How a DICOM file goes on behind its preamble.
_START = b"DICM\x02\x00\x00\x00UL\x04\x00"


def decoded(slices: Sequence[Slice]) -> np.ndarray:
    """HU as float32 `[slice, row, column]`: rescale applied, padding that the header names made air where it reaches
    the edge of a slice.

    Pixels that are not compressed are read here; all others by a decoder in a process of its own, which a damaged file
    can end without harm. Raises InputError for a file whose pixels are not all there, or are others than its header
    says.
    """
    volume = np.empty((len(slices), slices[0].rows, slices[0].columns), np.float32)
    file, pixels = None, b""
    with Decoder() as decoder:
        for image, one in zip(volume, slices, strict=True):
            if one.file != file:
                file, pixels = one.file, _pixel_data(one.file)
            stored = (
                _compressed(one, pixels, decoder)
                if one.syntax and UID(one.syntax).is_compressed
                else _plain(one, pixels)
            )
            image[:] = stored * one.slope + one.intercept
            if one.padding is not None:
                image[_outside(one, stored, image)] = AIR_HU
    return volume


def _outside(one: Slice, stored: np.ndarray, hu: np.ndarray) -> np.ndarray:
    """Pixels that the header names as padding; of the values of lung and tissue those alone that reach the edge."""
    named = _is_padding(one, stored)
    tissue = hu[named & (hu > _TISSUE_HU[0]) & (hu < _TISSUE_HU[1])]
    if not tissue.size:
        return named
    if np.ptp(tissue) > _ONE_VALUE_HU:
        raise InputError(
            f"{one.file.name} names lung and tissue as padding, all from {tissue.min():.0f} to {tissue.max():.0f} HU; "
            "export the series again without its PixelPaddingRangeLimit."
        )
    parts, _ = ndimage.label(named)
    edge = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    return named & np.isin(parts, edge)


def _pixel_data(file: Path) -> bytes:
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(_START, len(_START) + 128) >= 0:
            _damaged(file, "several DICOM files lie in it, one after another")
    try:
        # Where elements do not tell their representation, that of pixels follows from BitsAllocated.
        element = pydicom.dcmread(file, force=True, specific_tags=["BitsAllocated", "PixelData"]).get("PixelData")
    except (MemoryError, PermissionError):
        raise
    except Exception as error:  # pydicom raises many kinds on damaged files
        _damaged(file, f"its pixels cannot be read: {type(error).__name__}", error)
    if not isinstance(element, bytes):
        _damaged(file, "its pixels are missing")
    return element


def _damaged(file: Path, why: str, cause: BaseException | None = None) -> NoReturn:
    raise InputError(f"{file.name} is damaged or cut off ({why}); copy the series again.") from cause


def _plain(one: Slice, pixels: bytes) -> np.ndarray:
    """Stored values `[row, column]` of pixels that are not compressed."""
    row, size = one.columns * one.allocated // 8, one.rows * one.columns * one.allocated // 8
    if not size * one.frames <= len(pixels) < size * one.frames + max(row, 2):
        _damaged(one.file, f"it has {len(pixels)} bytes of pixels, its header asks for {size * one.frames}")
    kind = np.dtype(f"{'<' if one.little else '>'}{'i' if one.signed else 'u'}{one.allocated // 8}")
    values = np.frombuffer(pixels, kind, one.rows * one.columns, (one.frame or 0) * size).reshape(one.rows, one.columns)
    return _used_bits(one, values.astype(kind.newbyteorder("=")))


def _used_bits(one: Slice, values: np.ndarray) -> np.ndarray:
    """Values of the lowest bits, those that the header says are used; refuses bits that are set beyond them."""
    unused = one.allocated - one.stored
    if not unused:
        return values
    kept = (values << unused) >> unused
    plain = values & ((1 << one.stored) - 1)
    # Padding is often beyond the bits that are used; negative values come with or without their sign's copies.
    wrong = (values != kept) & (values != plain) & ~_is_padding(one, values)
    if wrong.any():
        _damaged(one.file, f"it holds values beyond its {one.stored} bits")
    return np.where(_is_padding(one, values), values, kept)


def _compressed(one: Slice, pixels: bytes, decoder: Decoder) -> np.ndarray:
    try:
        frame = get_frame(pixels, one.frame or 0, number_of_frames=one.frames)
        return decoder.decoded(frame, Layout(one.syntax, one.rows, one.columns, one.allocated, one.stored, one.signed))
    except Undecodable as error:
        _damaged(one.file, str(error), error)
    except (ValueError, IndexError, NotImplementedError) as error:
        _damaged(one.file, "its compressed pixels are in disorder", error)


def _is_padding(one: Slice, stored: np.ndarray) -> np.ndarray:
    """Pixels that the header names as padding, by a value or a range."""
    if one.padding is None:
        return np.zeros(stored.shape, bool)
    # Signed padding is often written as the unsigned number of the same bits: 63536 for -2000.
    bits = stored.dtype.itemsize * 8
    least, most = sorted(_wrapped(end, bits, stored.dtype.kind == "i") for end in one.padding)
    return np.asarray((stored >= least) & (stored <= most))


def _wrapped(value: int, bits: int, signed: bool) -> int:
    low = value & ((1 << bits) - 1)
    return low - (1 << bits) if signed and low >> (bits - 1) else low
