"""Files that are whole or as they were before: made in a folder of their own beside their place, and moved there at the
end.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write meanwhile; after an error, or a kill, `path` is as it was."""
    # A folder that nobody else may write to: under a name that can be guessed a link could wait, and be written
    # through.
    with tempfile.TemporaryDirectory(prefix=".lnhg-", dir=path.absolute().parent) as folder:
        partial = Path(folder) / path.name
        yield partial
        os.replace(partial, path)


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write text (UTF-8) or bytes."""
    with whole(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
