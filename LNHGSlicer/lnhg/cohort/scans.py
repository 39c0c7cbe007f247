"""The scans of a cohort: found in folders, globs, CSV files and DICOM trees, each with a name of its own."""

from __future__ import annotations

import glob
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

from ..core.csv_text import read_csv
from ..core.ct import CT
from ..core.names import safe_name, short_hash
from ..errors import InputError
from ..readers.copies import without_copies
from ..readers.dicom_headers import Slice, read_slices
from ..readers.dicom_scans import Scan as Stack
from ..readers.dicom_scans import scans_of, scattered
from ..readers.files import DICOM_ENDINGS, PACKED, ending, entries_of, folders_below, kept_elsewhere
from ..readers.image_file import is_image, stem
from ..readers.read_ct import read_files

# A number of a scan, from 1.
_NUMBER = re.compile("[1-9][0-9]{0,8}")
# Column of a CSV that holds the CT: the first of these that is there.
_CT_COLUMNS = ("ct", "path")
# Reading headers waits for the disk, most of all for one on the network.
_READERS = 8
_UID = re.compile(r"\d+(\.\d+){4,}")


@dataclass(frozen=True)
class Scan:
    """One CT of a cohort.

    Attributes:
        name: its own in the cohort, fit for the name of a folder.
        place: folder or file of the CT.
        series, number: which DICOM series of it, and which scan of that series, as `read_ct` says; None: it chooses.
        folders: those that hold the files of a series found in a DICOM tree; empty: `place` is read as `read_ct` does.
        root: what the name leaves out of the place: the folder that was given.
        patient: whose it is, where a list says so; scans of one patient are followed.
        days: since the patient's first scan, where a list says so.
    """

    name: str
    place: Path
    series: str | None = None
    number: int | None = None
    folders: tuple[Path, ...] = ()
    root: Path = Path()
    patient: str = ""
    days: float | None = None

    def read(self) -> CT:
        """The CT; raises InputError as `read_ct` does."""
        files = [file for folder in self.folders for file in entries_of(folder)] if self.folders else None
        return read_files(files, self.place, self.series, self.number)


def find_scans(inputs: Sequence[str], leave_out: Path, report: Callable[[float], None] = lambda _: None) -> list[Scan]:
    """The scans in the inputs, in order, none twice.

    Args:
        inputs: folders (every image file and every CT series in them, however deep), image files, globs of these, and
            CSV files with a column `ct` or `path` and, if wanted, `name`, `series`, `scan`, `patient` and `days`; a row
            is one scan, read as by `read_ct`, and its path is relative to the CSV.
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
    unique = {(scan.place.resolve(), scan.series, scan.number, scan.name): scan for scan in found}
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
        raise InputError(
            f"No CT was found in {text}; give a folder, glob or CSV with DICOM series, NRRD, MHA or NIfTI files."
        )
    return scans


def _before_wildcard(pattern: Path) -> Path:
    return next(folder for folder in pattern.parents if not glob.has_magic(str(folder)))


def _of_path(path: Path, root: Path, leave_out: Path, report: Callable[[float], None]) -> list[Scan]:
    if path.is_dir():
        return _of_folder(path, root, leave_out, report)
    return _of_csv(path) if path.suffix.lower() == ".csv" else [Scan("", path, root=root)]


def _of_csv(path: Path) -> list[Scan]:
    names, rows = read_csv(path, _CT_COLUMNS, by_hand=True)
    column = next((name for name in _CT_COLUMNS if name in names), None)
    if column is None:
        raise InputError(
            f"{path.name} has no column ct or path (it has {', '.join(names)}); name the column of the CTs so."
        )
    empty = next((number for number, row in enumerate(rows, 1) if not row[column]), None)
    if empty:
        raise InputError(f"Row {empty} of {path.name} names no CT; fill in its column {column} or remove the row.")
    wrong = next((row["scan"] for row in rows if row.get("scan") and not _NUMBER.fullmatch(row["scan"])), None)
    if wrong:
        raise InputError(
            f"The column scan of {path.name} holds {wrong[:20]!r}; give the number of a scan, from 1, or nothing."
        )
    places = [_place(path.parent, row[column]) for row in rows]
    return [
        Scan(
            row.get("name", ""),
            place,
            row.get("series") or None,
            int(row.get("scan") or 0) or None,
            root=place.parent,
            patient=row.get("patient", ""),
            days=_days(path, row.get("days", "")),
        )
        for place, row in zip(places, rows, strict=True)
    ]


def _days(path: Path, text: str) -> float | None:
    if not text:
        return None
    try:
        days = float(text)
    except ValueError:
        days = math.nan
    if not 0 <= days < math.inf:
        raise InputError(
            f"The column days of {path.name} holds {text[:20]!r}; give days since the patient's first scan."
        )
    return days


def _place(folder: Path, text: str) -> Path:
    """The path in a list: relative to the list, with ~ for the home folder; backslashes too, as lists of Windows have
    them.
    """
    place = Path(os.path.normpath(folder / os.path.expanduser(text)))  # noqa: PTH111 - leaves a home that is unknown as it is
    return place if place.exists() or "\\" not in text else Path(os.path.normpath(folder / text.replace("\\", "/")))


# ---------------------------------------------------------------- folders


def _of_folder(top: Path, root: Path, leave_out: Path, report: Callable[[float], None]) -> list[Scan]:
    unreadable: list[OSError] = []
    folders = list(folders_below(top, [leave_out], unreadable.append))
    images: list[Scan] = []
    series: dict[str, list[Slice]] = {}
    damaged: list[Path] = []
    packed: list[Path] = []
    with ThreadPoolExecutor(_READERS) as pool:
        for done, (folder, (files, slices, whole, holds_packed)) in enumerate(
            zip(folders, pool.map(_look_into, folders), strict=True), 1
        ):
            images += [Scan("", file, root=root) for file in files]
            for one in slices:
                series.setdefault(one.texts["SeriesInstanceUID"], []).append(one)
            if not whole and not slices:
                damaged.append(folder)
            elif holds_packed and not files and not slices:
                packed.append(folder)
            report(done / len(folders))
    stacks = {uid: scans_of(without_copies(slices)) for uid, slices in series.items()}
    patients = {_patient(stack) for of_series in stacks.values() for stack in of_series if not _watches(stack)}
    broken = [*damaged, *(Path(error.filename) for error in unreadable)]
    found = [
        *images,
        *(scan for uid, of_series in stacks.items() for scan in _of_series(uid, of_series, patients, root)),
        *(Scan("", folder, folders=(folder,), root=root) for folder in broken),
    ]
    # A zip with nothing else is a scan that cannot be read; beside or above scans it is something of theirs.
    places = [scan.place for scan in found]
    found += [
        Scan("", folder, folders=(folder,), root=root)
        for folder in packed
        if not any(place.is_relative_to(folder) for place in places)
    ]
    return sorted(found, key=lambda scan: (scan.place, scan.number or 0))


def _of_series(uid: str, stacks: list[Stack], patients: Collection[tuple[str, str]], root: Path) -> list[Scan]:
    """The scans of one series, but images that watch the contrast arrive where the patient has another scan."""
    folders = tuple(dict.fromkeys(one.file.parent for stack in stacks for one in stack.slices))
    if not uid:  # a series without UID cannot be asked for: the folders are read, and the choice is made then
        return [Scan("", _common(folders), folders=folders, root=root)]
    if scattered(stacks[0], stacks):  # the slices of one stack are no scans: read as one, which is refused
        return [Scan("", _common(folders), uid, folders=folders, root=root)]
    return [
        Scan(
            "",
            _common({one.file.parent for one in stack.slices}),
            uid,
            number if len(stacks) > 1 else None,
            folders,
            root,
        )
        for number, stack in enumerate(stacks, 1)
        if not (_watches(stack) and _patient(stack) in patients)
    ]


def _watches(stack: Stack) -> bool:
    """Whether these are images of one place again and again, as they are taken to watch the contrast arrive."""
    return len(stack.slices) > 1 and stack.places == 1


def _patient(stack: Stack) -> tuple[str, str]:
    return stack.first.texts["PatientID"], stack.first.texts["PatientName"]


def _common(folders: Iterable[Path]) -> Path:
    return Path(os.path.commonpath(list(folders)))


def _look_into(folder: Path) -> tuple[list[Path], list[Slice], bool, bool]:
    """The image files of a folder, the CT slices in it, whether every DICOM file of it is whole, and whether it holds
    packed files.
    """
    images: list[Path] = []
    slices: list[Slice] = []
    try:
        files = entries_of(folder)
    except OSError:
        return [], [], False, False
    away = kept_elsewhere(folder)
    whole = all(is_image(file) or ending(file) not in ("", *DICOM_ENDINGS) for file in away)
    for file in (*files, *filter(is_image, away)):
        if is_image(file):
            images.append(file)
            continue
        try:
            held = read_slices(file)
        except (InputError, OSError):
            whole = False
            continue
        slices += [one for one in held if isinstance(one, Slice)]
    packed = any(file.name.lower().endswith(PACKED) for file in files if file not in images)
    return images, slices, whole, packed


# ---------------------------------------------------------------- names


def _named(scans: list[Scan]) -> list[Scan]:
    """The scans with names: those given, else the path below the folder that all inputs share.

    Where paths say the same of two (series in one folder, files that differ in their ending), a short hash is added.
    """
    shared = len(
        list(takewhile(lambda parts: len(set(parts)) == 1, zip(*(scan.root.parts for scan in scans), strict=False)))
    )
    names = [safe_name(scan.name) if scan.name else _of_place(scan.place, shared) for scan in scans]
    counts = Counter(name.casefold() for name in names)  # some disks take A and a for the same
    names = [
        name
        if scan.name or counts[name.casefold()] == 1
        else f"{name}-{short_hash(f'{scan.place.parts[shared:]} {_which(scan)}')}"
        for name, scan in zip(names, scans, strict=True)
    ]
    twice = [name for name, count in Counter(name.casefold() for name in names).items() if count > 1]
    if twice:
        raise InputError(f"Two scans have the name {twice[0]}; give every scan of the CSV a name of its own.")
    return [replace(scan, name=name) for scan, name in zip(scans, names, strict=True)]


def _which(scan: Scan) -> str:
    return f"{scan.series}" if scan.number is None else f"{scan.series} {scan.number}"


def _of_place(place: Path, shared: int) -> str:
    """The parts of the path beyond the first `shared`, without the ending of an image; UIDs as short hashes."""
    parts = list(place.parts[shared:]) or [place.name]
    parts[-1] = stem(Path(parts[-1])) or parts[-1]
    return safe_name("_".join(short_hash(part) if _UID.fullmatch(part) else part for part in parts))
