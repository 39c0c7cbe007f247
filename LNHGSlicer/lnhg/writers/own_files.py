"""Which files of a folder this program wrote as a result: the record tells their SHA-256, and its own seal guards
it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..core.plain_file import mapping_of
from ..core.seal import SEAL, digest_of_file, is_sealed
from ..errors import InputError

RECORD = "result.json"
#: The key of the record under which the SHA-256 of each other file lies.
DIGESTS = "files"


def foreign_files(folder: Path, names: Iterable[str]) -> list[str]:
    """Those of `names` in `folder` that this program did not write, or that were changed since.

    Records of before they told of their files are taken at their word.
    """
    present = [name for name in names if os.path.lexists(folder / name)]
    record = record_of(folder)
    if record is None:
        return present
    if SEAL not in record:
        return [name for name in present if (folder / name).is_symlink()]
    own = {**record[DIGESTS], **({RECORD: ""} if is_sealed(record) else {})}
    return [name for name in present if name not in own or not _is_own(folder / name, own[name])]


def is_whole(folder: Path) -> bool:
    """Whether every file of the result in `folder` is there and as it was written."""
    record = record_of(folder)
    if record is None or not is_sealed(record):
        return False
    return all(_is_own(folder / name, digest) for name, digest in record[DIGESTS].items())


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file in `folder`, for the record."""
    return {file.name: digest_of_file(file) for file in sorted(folder.iterdir())}


def _is_own(file: Path, digest: str) -> bool:
    try:
        return not file.is_symlink() and (file.name == RECORD or digest_of_file(file) == digest)
    except OSError:
        return False


def record_of(folder: Path) -> Mapping[str, Any] | None:
    """The record of a result; None for a file that is none."""
    try:
        record = mapping_of(folder / RECORD)
    except (OSError, ValueError, InputError):
        return None
    if not {"format", "provenance", "nodules", "candidates"} <= record.keys():
        return None
    return record if SEAL not in record or isinstance(record.get(DIGESTS), dict) else None
