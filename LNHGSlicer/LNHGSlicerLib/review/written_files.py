"""Files that are written beside the scene: each is whole or as it was, and none of another CT is replaced."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lnhg.core.csv_text import csv_text
from lnhg.core.seal import digest_of_file
from lnhg.errors import InputError

from ..translation import _

# SHA-256 of what was written of a CT: names of files are the same for each.
_WRITTEN = "LNHG.Written"


@contextmanager
def replacing(path: Path, ct_node: Any) -> Iterator[Path]:
    """A place in a folder of its own whose file takes the place of `path` after the block, if there is one then.

    Raises InputError where the file that is there was not written of this CT, or was changed since.
    """
    digests = (ct_node.GetAttribute(_WRITTEN) or "").split()
    if os.path.lexists(path) and (path.is_symlink() or digest_of_file(path) not in digests):
        raise InputError(
            _(
                "{name} in this folder is of another CT, or was changed since; choose another folder, or remove it."
            ).format(name=path.name)
        )
    with tempfile.TemporaryDirectory(prefix=".lnhg-", dir=path.absolute().parent) as folder:
        unfinished = Path(folder) / path.name
        yield unfinished
        if unfinished.exists():
            digests.append(digest_of_file(unfinished))
            os.replace(unfinished, path)
            ct_node.SetAttribute(_WRITTEN, " ".join(dict.fromkeys(digests)))


def write_csv(path: Path, rows: Iterable[Sequence[Any]], ct_node: Any) -> None:
    """Write a table of a CT; see `replacing`."""
    write_text(path, csv_text(rows, "\r\n"), ct_node)


def write_text(path: Path, text: str, ct_node: Any) -> None:
    """Write a text file of a CT; see `replacing`. Raises InputError when it cannot be written."""
    try:
        with replacing(path, ct_node) as unfinished:
            unfinished.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise InputError(
            _("{path} cannot be written ({error}); choose another place.").format(
                path=path, error=error.strerror or error
            )
        ) from error
