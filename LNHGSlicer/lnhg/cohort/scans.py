"""The scans of a cohort: found in folders, globs, CSV files and DICOM trees, each with a name of its own."""

from __future__ import annotations

import csv
import glob
import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

from ..core.ct import CT
from ..errors import InputError
from ..readers.image_file import ENDINGS, stem
from ..readers.read_ct import read_ct

# Column of a CSV that holds the CT: the first of these that is there.
_CT_COLUMNS = ("ct", "path")
# Reading headers waits for the disk, most of all for one on the network.
_READERS = 8
_UID = re.compile(r"\d+(\.\d+){4,}")
_LONGEST_NAME = 100


@dataclass(frozen=True)
class Scan:
    """One CT of a cohort.

    Attributes:
        name: its own in the cohort, fit for the name of a folder.
        place: folder or file of the CT.
        series: which DICOM series of it, as `read_ct` says; None: the thin axial one.
        folders: those that hold the files of a series found in a DICOM tree; empty: `place` is read as `read_ct` does.
        root: what the name leaves out of the place: the folder that was given.
    """

    name: str
    place: Path
    series: str | None = None
    folders: tuple[Path, ...] = ()
    root: Path = Path()

    def read(self) -> CT:
        """The CT; raises InputError as `read_ct` does."""
        if not self.folders:
            return read_ct(self.place, self.series)
        from ..readers import dicom_series

        try:
            files = [file for folder in self.folders for file in sorted(folder.iterdir()) if file.is_file()]
            return dicom_series.read(files, self.place, self.series)
        except OSError as error:
            raise InputError(f"{self.place} cannot be read ({error.strerror}); copy it again or ask for the right.") from error


def find_scans(inputs: Sequence[str], leave_out: Path, report: Callable[[float], None] = lambda _: None) -> list[Scan]:
    """The scans in the inputs, in order, none twice.

    Args:
        inputs: folders (every image file and every CT series in them, however deep), image files, globs of these, and CSV
            files with a column `ct` or `path` and, if wanted, `name` and `series`; a row is one scan, read as by `read_ct`,
            and its path is relative to the CSV.
        leave_out: a folder to pass over: that of the results.
        report: called with the share of the folders looked at, 0 to 1.

    Raises InputError for an input that does not exist or holds no scan, and for names that are given twice.
    """
    left_out, count = leave_out.resolve(), len(inputs)
    found = [
        scan
        for done, text in enumerate(inputs)
        for scan in _of_input(text, left_out, lambda share, done=done: report((done + share) / count))  # type: ignore[misc]
    ]
    unique = {(scan.place.resolve(), scan.series, scan.name): scan for scan in found}
    return _named(list(unique.values()))


def _of_input(text: str, leave_out: Path, report: Callable[[float], None]) -> list[Scan]:
    path = Path(text).absolute()
    if path.exists():
        scans = _of_path(path, path if path.is_dir() else path.parent, leave_out, report)
    elif glob.has_magic(text):
        matches = [Path(match).absolute() for match in sorted(glob.glob(text, recursive=True))]  # noqa: PTH207 - not hidden files
        wanted = [match for match in matches if not match.resolve().is_relative_to(leave_out)]
        scans = [scan for match in wanted for scan in _of_path(match, _before_wildcard(path), leave_out, report)]
    else:
        raise InputError(f"{text} does not exist; give folders, image files, globs or a CSV.")
    if not scans:
        raise InputError(f"No CT was found in {text}; give a folder, glob or CSV with DICOM series, NRRD, MHA or NIfTI files.")
    return scans


def _before_wildcard(pattern: Path) -> Path:
    return next(folder for folder in pattern.parents if not glob.has_magic(str(folder)))


def _of_path(path: Path, root: Path, leave_out: Path, report: Callable[[float], None]) -> list[Scan]:
    if path.is_dir():
        return _of_folder(path, root, leave_out, report)
    return _of_csv(path) if path.suffix.lower() == ".csv" else [Scan("", path, root=root)]


def _of_csv(path: Path) -> list[Scan]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [{(key or "").strip().lower(): (value or "").strip() for key, value in row.items()} for row in _rows(file)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path.name} is no CSV in UTF-8 ({error}); save it as one.") from error
    if not rows:
        return []
    column = next((name for name in _CT_COLUMNS if name in rows[0]), None)
    if column is None:
        raise InputError(f"{path.name} has no column ct or path (it has {', '.join(rows[0])}); name the column of the CTs so.")
    empty = next((number for number, row in enumerate(rows, 1) if not row[column]), None)
    if empty:
        raise InputError(f"Row {empty} of {path.name} names no CT; fill in its column {column} or remove the row.")
    places = [Path(os.path.normpath(path.parent / row[column])) for row in rows]
    return [
        Scan(row.get("name", ""), place, row.get("series") or None, root=place.parent)
        for place, row in zip(places, rows, strict=True)
    ]


def _rows(file: Iterable[str]) -> list[dict[str, str]]:
    """The rows by their column; cells beyond the last column, which have none, are left out."""
    return [{key: value for key, value in row.items() if key is not None} for row in csv.DictReader(file)]


# ---------------------------------------------------------------- folders


def _of_folder(top: Path, root: Path, leave_out: Path, report: Callable[[float], None]) -> list[Scan]:
    unreadable: list[OSError] = []
    folders = list(_folders(top, leave_out, unreadable))
    images: list[Scan] = []
    series: dict[str, tuple[Path, ...]] = {}
    damaged: list[Path] = []
    with ThreadPoolExecutor(_READERS) as pool:
        for done, (folder, (files, uids, whole)) in enumerate(zip(folders, pool.map(_look_into, folders), strict=True), 1):
            images += [Scan("", file, root=root) for file in files]
            for uid in uids:
                series[uid] = (*series.get(uid, ()), folder)
            if not whole and not uids:
                damaged.append(folder)
            report(done / len(folders))
    broken = [*damaged, *(Path(error.filename) for error in unreadable)]
    found = [
        *images,
        *(Scan("", Path(os.path.commonpath(folders)), uid, folders, root) for uid, folders in series.items()),
        *(Scan("", folder, None, (folder,), root) for folder in broken),
    ]
    return sorted(found, key=lambda scan: scan.place)


def _folders(top: Path, leave_out: Path, unreadable: list[OSError]) -> Iterator[Path]:
    """`top` and all folders in it, through links too, but none twice, none hidden, and not `leave_out`."""
    seen = {leave_out}
    for folder, inside, _ in os.walk(top, followlinks=True, onerror=unreadable.append):
        here = Path(folder).resolve()
        if here in seen:
            inside.clear()
            continue
        seen.add(here)
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        yield Path(folder)


def _look_into(folder: Path) -> tuple[list[Path], list[str], bool]:
    """The image files of a folder, the UIDs of the CT series in it, and whether every DICOM file of it is whole."""
    from ..readers.dicom_headers import kind, read_header

    images: list[Path] = []
    uids: dict[str, None] = {}
    whole = True
    try:
        files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    except OSError:
        return [], [], False
    for file in files:
        if file.name.lower().endswith(ENDINGS):
            images.append(file)
            continue
        try:
            header = read_header(file)
        except (InputError, OSError):
            whole = False
            continue
        if header is not None and not kind(header):
            uids[str(header.SeriesInstanceUID)] = None
    return images, list(uids), whole


# ---------------------------------------------------------------- names


def _named(scans: list[Scan]) -> list[Scan]:
    """The scans with names: those given, else the path below the folder that all inputs share.

    Where paths say the same of two (series in one folder, files that differ in their ending), a short hash is added.
    """
    shared = len(list(takewhile(lambda parts: len(set(parts)) == 1, zip(*(scan.root.parts for scan in scans), strict=False))))
    names = [_safe(scan.name) if scan.name else _of_place(scan.place, shared) for scan in scans]
    counts = Counter(name.casefold() for name in names)  # some disks take A and a for the same
    names = [
        name if scan.name or counts[name.casefold()] == 1 else f"{name}-{_hash(f'{scan.place.parts[shared:]} {scan.series}')}"
        for name, scan in zip(names, scans, strict=True)
    ]
    twice = [name for name, count in Counter(name.casefold() for name in names).items() if count > 1]
    if twice:
        raise InputError(f"Two scans have the name {twice[0]}; give every scan of the CSV a name of its own.")
    return [replace(scan, name=name) for scan, name in zip(scans, names, strict=True)]


def _of_place(place: Path, shared: int) -> str:
    """The parts of the path beyond the first `shared`, without the ending of an image; UIDs as short hashes."""
    parts = list(place.parts[shared:]) or [place.name]
    parts[-1] = stem(Path(parts[-1])) or parts[-1]
    return _safe("_".join(_hash(part) if _UID.fullmatch(part) else part for part in parts))


def _safe(name: str) -> str:
    """`name` as the name of a folder on any system."""
    safe = re.sub(r"[^\w.+-]+", "-", name).strip("-. ") or "scan"
    return safe if len(safe) <= _LONGEST_NAME else f"{safe[:_LONGEST_NAME]}-{_hash(safe)}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
