"""A nodule that was found while a run goes on, as plain values: on a line of JSON it goes from process to process."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..progress import Found


def as_record(found: Found) -> dict[str, object]:
    """The values; of the mask the shape and its packed bits."""
    return {
        "corner": list(found.corner),
        "shape": list(found.mask.shape),
        "mask": base64.b64encode(zlib.compress(np.packbits(found.mask).tobytes())).decode(),
        "probability": found.probability,
        "diameter": found.diameter,
        "centre_ras": list(found.centre_ras),
    }


def found_of_record(record: Mapping[str, Any]) -> Found:
    """The nodule of which `as_record` made these values."""
    shape = tuple(record["shape"])
    bits = np.frombuffer(zlib.decompress(base64.b64decode(record["mask"])), np.uint8)
    mask = np.unpackbits(bits, count=int(np.prod(shape))).reshape(shape).astype(bool)
    k, j, i = record["corner"]
    r, a, s = record["centre_ras"]
    return Found((k, j, i), mask, record["probability"], record["diameter"], (r, a, s))
