"""Which outline the figures of a nodule were measured on: a fingerprint of its voxels, kept beside its row.

It is saved with the scene, so that an outline that was changed in between, by whomever, is measured anew.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from lnhg.core.boxes import Box

from .notes import note_of, set_note

if TYPE_CHECKING:
    from .nodes import SceneNodes

_NOTE = "Measured"


def fingerprint(box: Box, mask: np.ndarray) -> str:
    """Of voxels that `mask` marks in a `box` of the CT, `[slice, row, column]`."""
    place = ",".join(f"{side.start}-{side.stop}" for side in box)
    return f"{place} {zlib.crc32(np.packbits(mask).tobytes()):08x}"


def measured_on(nodes: SceneNodes, segment_id: str) -> str | None:
    """The fingerprint of the outline that was measured; None in a scene of an older version."""
    return note_of(nodes, segment_id, _NOTE)


def set_measured_on(nodes: SceneNodes, segment_id: str, text: str) -> None:
    """Keep it."""
    set_note(nodes, segment_id, _NOTE, text)
