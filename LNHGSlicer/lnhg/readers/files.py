"""Files of a folder given by a person: which there are, which may be opened, and which lost their content."""

from __future__ import annotations

import bz2
import gzip
import os
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ..errors import InputError

#: Endings that name a DICOM file; files without any ending are slices as often.
DICOM_ENDINGS = (".dcm", ".dicom", ".ima")
#: Endings of files that hold files, or one in a packing that is not read where an image or slices are wanted.
PACKED = (".zip", ".tar", ".tgz", ".tar.gz", ".7z", ".rar", ".zst", ".xz", ".bz2", ".gz")
#: Endings of files that are still being fetched, or were never fetched whole.
UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".filepart", ".tmp")
# In place of a file that a cloud keeps macOS leaves a hidden one of its name with this ending.
_AWAY = ".icloud"
# So many bytes at the start of a file are zeros in none but damaged ones.
_START = 512


def folders_below(
    top: Path, leave_out: Iterable[Path] = (), unreadable: Callable[[OSError], object] | None = None
) -> Iterator[Path]:
    """`top` and all folders in it, through links too, but none twice, none hidden, and none of `leave_out`.

    A folder that may not be read is handed to `unreadable`; without it the OSError is raised.
    """
    seen = {folder.resolve() for folder in leave_out}
    for folder, inside, _ in os.walk(top, followlinks=True, onerror=unreadable or _raise):
        here = Path(folder).resolve()
        if here in seen:
            inside.clear()
            continue
        seen.add(here)
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        yield Path(folder)


def _raise(error: OSError) -> None:
    raise error


def entries_of(folder: Path) -> list[Path]:
    """What lies in a folder by name: files, and links that point nowhere, but no folders, pipes, devices or hidden
    files.
    """
    with os.scandir(folder) as entries:
        # Links first: of one that leads in a circle it cannot be asked what it is.
        kept = [
            entry.path for entry in entries if not entry.name.startswith(".") and (_dangles(entry) or entry.is_file())
        ]
    return sorted(Path(path) for path in kept)


def files_below(top: Path) -> list[Path]:
    """The entries of a folder and of all folders in it, as `folders_below` and `entries_of` tell them."""
    return [file for folder in folders_below(top) for file in entries_of(folder)]


def _dangles(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and not Path(entry.path).exists()


def hidden_in(folder: Path) -> list[Path]:
    """The hidden files of a folder, but those in which macOS keeps what it knows of others."""
    return sorted(path for path in folder.glob(".*") if not path.name.startswith("._") and path.is_file())


def kept_elsewhere(folder: Path) -> list[Path]:
    """The files of a folder that a cloud keeps and that are not on this computer, by their own names."""
    return sorted(folder / path.name[1 : -len(_AWAY)] for path in folder.glob(f".*{_AWAY}"))


def packed_start(path: Path, count: int) -> bytes:
    """The first bytes of what a file packs; none where it packs nothing."""
    packing = {".gz": gzip.GzipFile, ".bz2": bz2.BZ2File}.get(path.suffix.lower())
    if packing is None:
        return b""
    try:
        with packing(path) as file:
            return bytes(file.read(count))
    except (OSError, EOFError, zlib.error):
        return b""


def check_regular(path: Path) -> None:
    """Raise InputError for a pipe or device, which never ends or answers; raises OSError where there is nothing."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise InputError(f"{path.name} is no file but a pipe or device; give a DICOM folder or an image file.")


def loss(path: Path) -> str:
    """What a file that should be DICOM lost: it points nowhere, has no bytes, or zeros for its start; empty if none."""
    if not path.exists():
        return "is a link to nothing"
    with path.open("rb") as file:
        start = file.read(_START)
    if not start:
        return "is empty"
    return "" if start.strip(b"\0") else "holds zeros in place of DICOM"


def ending(path: Path) -> str:
    """The ending of a file's name in small letters; none where it is a number, as the last part of a UID is."""
    suffix = path.suffix.lower()
    return "" if suffix[1:].isdigit() else suffix


def few(texts: list[str]) -> str:
    """The first five of many texts, and how many more there are."""
    return ", ".join(texts[:5]) + (f" and {len(texts) - 5} more" if len(texts) > 5 else "")
