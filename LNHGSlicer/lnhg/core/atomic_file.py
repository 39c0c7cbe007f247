"""Files that are whole or as they were before: made beside their place and moved there at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write meanwhile; after an error, or a kill, `path` is as it was."""
    partial = path.with_name(path.name + ".partial")
    yield partial
    os.replace(partial, path)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write text (UTF-8) or bytes."""
    with whole(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
