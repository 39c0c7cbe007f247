"""The result files of one run, written all or none."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..core.csv_text import csv_text
from ..core.nrrd_file import write_nrrd
from ..core.result import Result
from ..core.seal import sealed
from ..errors import InputError
from ..stages.heterogeneity_legend import full_scale, map_title
from .fhir import fhir_bundle
from .own_files import DIGESTS, RECORD, digests, foreign_files
from .pdf import write_pdf
from .pictures import Plane, nodule_planes, write_sheet
from .record import run_record
from .report import report_html
from .scenes import write_scene
from .seg_nrrd import write_segmentation
from .table import table_header, table_rows

#: Every result by its name, and its file; the scene is written only where Slicer's library is installed.
FILES = {
    "labels": "labels.nrrd",
    "segmentation": "nodules.seg.nrrd",
    "heterogeneity": "heterogeneity.nrrd",
    "table": "nodules.csv",
    "scene": "scene.mrb",
    "record": RECORD,
    "report": "report.html",
    "picture": "picture.png",
}
#: Those that are written only when asked for, since they need a browser or a package of their own.
EXTRAS = {"pdf": "report.pdf", "fhir": "fhir.json"}

#: What `result_files.load_result` reads back: all that the Slicer module shows, nothing that takes long to make.
FILES_FOR_SCENE = {
    "labels": FILES["labels"],
    "heterogeneity": FILES["heterogeneity"],
    "generated": "generated.nrrd",
    "unconfirmed": "unconfirmed.nrrd",
    "record": FILES["record"],
}

#: All names that a result can have in its folder.
NAMES = sorted({*FILES.values(), *EXTRAS.values(), *FILES_FOR_SCENE.values()})


def save(
    result: Result,
    folder: str | Path,
    *,
    with_identity: bool = False,
    for_scene: bool = False,
    extras: Collection[str] = (),
) -> dict[str, Path]:
    """Write the result files into `folder`; returns name -> path for the names of `FILES` that were written.

    They are made in a temporary folder in it, or beside it where it is new, and moved into place at the end: after an
    error `folder` is as it was before.
    Results of an earlier run are replaced, other files left alone; see `check_folder`.

    Args:
        result: what to write.
        folder: where; made if absent.
        with_identity: whether to write `result.ct.identity` into the record and the report.
        extras: names of `EXTRAS` to write too.
        for_scene: write `FILES_FOR_SCENE` in place of `FILES`, unpacked: large for a moment, but read back at once.

    Raises InputError when the folder cannot be written, or holds files of these names that are no results.
    """
    folder = Path(folder).absolute()
    _check_nothing_foreign(folder)
    try:
        with temporary_folder(folder) as temporary:
            made = Path(temporary) / "results"
            made.mkdir()
            if for_scene:
                _write_for_scene(result, made, with_identity)
            else:
                _write_all(result, made, with_identity, extras)
            known = FILES_FOR_SCENE if for_scene else FILES | EXTRAS
            names = {name: file for name, file in known.items() if (made / file).exists()}
            move_all(moves_in(made, folder, Path(temporary), NAMES))
    except OSError as error:
        raise InputError(f"The results cannot be written to {folder} ({error}); choose another folder.") from error
    return {name: folder / file for name, file in names.items()}


def save_reading(result: Result, folder: Path, *, extras: Collection[str] = ()) -> dict[str, Path]:
    """Write anew what hangs on the reader's answers into the folder that `result` was read from: table, record, report
    and extras; returns name -> path.

    Labels, map and scene stay as they are, and so does whether the record names a person. After an error `folder` is as
    it was before. Raises InputError when it cannot be written, or holds files of these names that are no results.
    """
    folder = folder.absolute()
    _check_nothing_foreign(folder)
    try:
        former = json.loads((folder / FILES["record"]).read_text(encoding="utf-8"))
        with temporary_folder(folder) as temporary:
            made = Path(temporary) / "results"
            made.mkdir()
            record = run_record(result, former.get("scene", ""), "identity" in former and bool(result.ct.identity))
            _write_reading(result, made, record, extras, nodule_planes(result))
            outdated = [file for name, file in EXTRAS.items() if name not in extras]
            gone = {*outdated, *(file.name for file in made.iterdir())}
            left = {name: digest for name, digest in former.get(DIGESTS, {}).items() if name not in gone}
            _write_record(made / FILES["record"], record, left)
            names = {name: file for name, file in (FILES | EXTRAS).items() if (made / file).exists()}
            move_all(moves_in(made, folder, Path(temporary), [*names.values(), *outdated]))
    except OSError as error:
        raise InputError(f"The results cannot be written to {folder} ({error}); choose another folder.") from error
    return {name: folder / file for name, file in names.items()}


def _write_reading(
    result: Result,
    folder: Path,
    record: Mapping[str, Any],
    extras: Collection[str],
    planes: Sequence[tuple[Plane, ...]],
) -> None:
    """Table, report and extras."""
    _write_table(folder / FILES["table"], result)
    (folder / FILES["report"]).write_text(report_html(result, planes, record), encoding="utf-8")
    if "pdf" in extras:
        write_pdf(folder / FILES["report"], folder / EXTRAS["pdf"])
    if "fhir" in extras:
        (folder / EXTRAS["fhir"]).write_text(fhir_bundle(result), encoding="utf-8")


def check_folder(folder: Path) -> None:
    """Raise InputError if results cannot be written into `folder`, before a run is made for it; leaves nothing behind.

    A file that this program did not write as part of a result, or that was changed since, is never replaced: where one
    has the name of a result the folder is refused.
    """
    folder = folder.absolute()
    _check_nothing_foreign(folder)
    try:
        with temporary_folder(folder):
            pass
    except OSError as error:
        raise InputError(f"The results cannot be written to {folder} ({error}); choose another folder.") from error


def _check_nothing_foreign(folder: Path) -> None:
    foreign = foreign_files(folder, NAMES)
    if foreign:
        raise InputError(
            f"{', '.join(foreign)} in {folder} would be replaced, but this program did not write it as a result, or "
            "it was changed since; move it away or choose another folder."
        )


def temporary_folder(folder: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder on the same disk as `folder`: in it if it exists (its parent may be read-only), else beside it."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; choose a folder for the results.")
    if folder.is_symlink() and not folder.exists():
        raise InputError(f"{folder} is a link that leads nowhere; choose a folder for the results.")
    existing = next(place for place in (folder, *folder.parents) if place.is_dir())
    return tempfile.TemporaryDirectory(prefix=".lnhg-", dir=existing)


def _write_all(result: Result, folder: Path, with_identity: bool, extras: Collection[str]) -> None:
    files = {name: folder / file for name, file in FILES.items()}
    _write_volumes(result, files, write_nrrd)
    write_segmentation(files["segmentation"], _small_labels(result), result.ct.ijk_to_ras)
    scene = _write_scene(files["scene"], result)
    record = run_record(result, scene, with_identity)
    planes = nodule_planes(result)
    _write_reading(result, folder, record, extras, planes)
    write_sheet(files["picture"], result, planes)
    _write_record(files["record"], record)


def _write_for_scene(result: Result, folder: Path, with_identity: bool) -> None:
    files = {name: folder / file for name, file in FILES_FOR_SCENE.items()}
    write = partial(write_nrrd, packed=False)
    _write_volumes(result, files, write)
    image = result.image
    if image.any():
        write(files["generated"], image.astype(np.float32, copy=False), result.ct.ijk_to_ras)
    if result.unconfirmed.any():
        write(files["unconfirmed"], result.unconfirmed.astype(np.uint16, copy=False), result.ct.ijk_to_ras)
    _write_record(files["record"], run_record(result, "not written: the Slicer module makes its own", with_identity))


def _write_volumes(result: Result, files: Mapping[str, Path], write: Callable[..., None]) -> None:
    write(files["labels"], _small_labels(result), result.ct.ijk_to_ras)
    meaning = {"LNHG map": map_title(result.options), "LNHG value 1": full_scale(result.options)}
    write(files["heterogeneity"], result.heterogeneity.astype(np.float32, copy=False), result.ct.ijk_to_ras, meaning)


def _small_labels(result: Result) -> np.ndarray:
    return result.labels.astype(np.uint8 if len(result.nodules) < 256 else np.uint16)


def _write_record(path: Path, record: Mapping[str, Any], others: Mapping[str, str] | None = None) -> None:
    """Written last: it tells the SHA-256 of the files beside it, and of `others` that lie there already."""
    told = sealed({**record, DIGESTS: {**(others or {}), **digests(path.parent)}})
    path.write_text(json.dumps(told, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _write_table(path: Path, result: Result) -> None:
    rows = table_rows(result.nodules, result.answers, result.options.sentence, result.comparisons)
    path.write_text(csv_text([table_header(), *rows], "\r\n"), encoding="utf-8", newline="")


def _write_scene(path: Path, result: Result) -> str:
    """Write the scene where it can be; returns what the record says of it."""
    return write_scene("lnhg.scene_writers", result, path)


def moves_in(made: Path, folder: Path, aside: Path, names: Iterable[str]) -> list[tuple[Path, Path]]:
    """What is to be moved where so that `folder` holds the files of `made`: before them those of `names` that lie there
    go to `aside`. A folder that is not there yet is `made` itself.
    """
    if not folder.exists():
        return [(made, folder)]
    moves = [(folder / file, aside / f"earlier-{file}") for file in names if (folder / file).exists()]
    return [*moves, *((path, folder / path.name) for path in made.iterdir())]


def move_all(moves: Iterable[tuple[Path, Path]]) -> None:
    """Move each file or folder from the first path to the second; on an error move all back."""
    done = []
    try:
        for source, target in moves:
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
            done.append((source, target))
    except BaseException:
        for source, target in reversed(done):
            target.rename(source)
        raise
