"""Files that are written anew only where this program wrote them: a list beside them holds their SHA-256."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError
from .atomic_file import whole, write_atomic
from .plain_file import mapping_of
from .seal import digest_of_file

#: The list of a folder, hidden in it.
LIST = ".lnhg-files.json"


@contextmanager
def own_file(path: Path) -> Iterator[Path]:
    """Where to write meanwhile, as `whole` does; the folder is made if absent.

    Raises InputError where `path` is there and this program did not write it, or it was changed since.
    """
    check_own(path.parent, path.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as partial:
        yield partial
        listed = _listed(path.parent)
        # The former one stays in the list: a kill before the new one is in its place leaves it, and it is ours too.
        new = {path.name: [digest_of_file(partial), *listed.get(path.name, [])[:1]]}
        write_atomic(path.parent / LIST, json.dumps({**listed, **new}, indent=1, sort_keys=True))


def write_own(path: Path, text: str) -> None:
    """Write text (UTF-8) as `own_file` does."""
    with own_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def check_own(folder: Path, *names: str) -> None:
    """Raise InputError if one of these files, or (without names) one of the list, is not as this program wrote it."""
    listed = _listed(folder)
    foreign = [
        name
        for name in names or sorted(listed)
        if os.path.lexists(folder / name) and not _is_own(folder / name, listed.get(name, []))
    ]
    if foreign:
        raise InputError(
            f"{', '.join(foreign)} in {folder} would be replaced, but this program did not write it, or it was changed "
            "since; move it away or choose another folder."
        )


def _is_own(file: Path, digests: list[str]) -> bool:
    try:
        return not file.is_symlink() and digest_of_file(file) in digests
    except OSError:
        return False


def _listed(folder: Path) -> Mapping[str, list[str]]:
    """Names of files with the SHA-256 of what was written there; none where there is no list, or a damaged one."""
    try:
        listed = mapping_of(folder / LIST)
    except (OSError, ValueError, InputError):
        return {}
    return {name: digests for name, digests in listed.items() if isinstance(digests, list)}
