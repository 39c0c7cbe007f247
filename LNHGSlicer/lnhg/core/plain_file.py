"""Files of text that come from elsewhere, read whole: never a pipe or device, never more than a file of its kind
holds.
"""

from __future__ import annotations

import json
import math
import stat
from pathlib import Path
from typing import Any

from ..errors import InputError

# A table of a million rows has less.
_MOST_BYTES = 1 << 30


def content_of(path: Path) -> bytes:
    """The bytes of a file. Raises InputError for a pipe, a device and a file beyond 1 GB, and OSError as `open`
    does.
    """
    about = path.stat()
    if stat.S_ISFIFO(about.st_mode) or stat.S_ISCHR(about.st_mode) or stat.S_ISSOCK(about.st_mode):
        raise InputError(f"{path.name} is no file but a pipe or device; give a file.")
    if about.st_size > _MOST_BYTES:
        raise InputError(
            f"{path.name} has {about.st_size >> 20} MB, more than any file of text that is read here; leave it out."
        )
    return path.read_bytes()


def mapping_of(path: Path) -> dict[str, Any]:
    """What a file of JSON holds by its keys. Raises ValueError for anything else, such as NaN and numbers without end,
    which JSON does not have, and as `content_of` does.
    """
    try:
        values = json.loads(content_of(path), parse_constant=_finite, parse_float=_finite)
    except RecursionError as error:
        raise ValueError(f"{path.name} is nested without end.") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path.name} holds no keys.")
    return values


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no number of JSON.")
    return number
