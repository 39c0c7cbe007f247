"""A seal over plain values: tells whether a record was changed since it was written. It guards against mishaps, not
forgers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: The key of a sealed record under which its seal lies.
SEAL = "seal"


def sealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values`, which JSON can hold, with their seal: SHA-256 of all the others."""
    # As JSON gives them back: tuples become lists, and keys become text.
    plain = json.loads(json.dumps({key: value for key, value in values.items() if key != SEAL}))
    return {**plain, SEAL: digest_of(plain)}


def is_sealed(values: Mapping[str, Any]) -> bool:
    """Whether a record read from JSON is as it was when it was sealed."""
    return values.get(SEAL) == digest_of({key: value for key, value in values.items() if key != SEAL})


def digest_of(values: Any) -> str:
    """SHA-256 of plain values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 22):
            digest.update(part)
    return digest.hexdigest()
