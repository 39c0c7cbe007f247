"""Which outline the figures of a nodule were measured on: a fingerprint of its voxels, kept as a tag of its segment.

It is saved with the scene, so that an outline that was changed in between, by whomever, is measured anew.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import vtk

from lnhg.core.boxes import Box

_TAG = "LNHG.Measured"


def fingerprint(box: Box, mask: np.ndarray) -> str:
    """Of voxels that `mask` marks in a `box` of the CT, `[slice, row, column]`."""
    place = ",".join(f"{side.start}-{side.stop}" for side in box)
    return f"{place} {zlib.crc32(np.packbits(mask).tobytes()):08x}"


def measured_on(segment: Any) -> str | None:
    """The fingerprint of the outline that was measured; None in a scene of an older version."""
    text = vtk.reference("")
    return str(text) if segment.GetTag(_TAG, text) else None


def set_measured_on(segment: Any, text: str) -> None:
    """Keep it."""
    segment.SetTag(_TAG, text)
