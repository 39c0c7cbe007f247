"""A folder that one program works in at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import InputError

#: The file that is locked; it stays, hidden and empty: taken away it could not be locked safely.
LOCK = ".lnhg-lock"


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Hold `folder`, made if absent, for `what`; the system lets it go when the program ends, however it does.

    Raises InputError when another program holds it, or it cannot be written.
    """
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0)
        lock.acquire()
    except Timeout:
        raise InputError(
            f"Another {what} works in {folder.name} just now; wait until it has ended, or choose another folder."
        ) from None
    except (OSError, NotImplementedError) as error:
        raise InputError(f"{folder} cannot be locked for this {what} ({error}); choose another folder.") from error
    try:
        yield
    finally:
        lock.release()
        # What was refused before anything was written leaves nothing behind.
        if made and [path.name for path in folder.iterdir()] in ([], [LOCK]):
            with suppress(OSError):
                (folder / LOCK).unlink(missing_ok=True)
                folder.rmdir()
