"""The result files of one run, written all or none."""

from __future__ import annotations

import csv
import importlib.metadata
import importlib.util
import json
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..core.nodule import as_row, header
from ..core.nrrd_file import write_nrrd
from ..core.result import Result
from ..errors import InputError
from .pictures import nodule_planes, write_sheet
from .record import run_record
from .report import report_html
from .seg_nrrd import write_segmentation

#: Every result by its name, and its file; the scene is written only where Slicer's library is installed.
FILES = {
    "labels": "labels.nrrd",
    "segmentation": "nodules.seg.nrrd",
    "heterogeneity": "heterogeneity.nrrd",
    "table": "nodules.csv",
    "scene": "scene.mrb",
    "record": "result.json",
    "report": "report.html",
    "picture": "picture.png",
}

#: What `result_files.load_result` reads back: all that the Slicer module shows, nothing that takes long to make.
FILES_FOR_SCENE = {
    "labels": FILES["labels"],
    "heterogeneity": FILES["heterogeneity"],
    "generated": "generated.nrrd",
    "unconfirmed": "unconfirmed.nrrd",
    "record": FILES["record"],
}


def save(result: Result, folder: str | Path, *, with_identity: bool = False, for_scene: bool = False) -> dict[str, Path]:
    """Write the result files into `folder`; returns name -> path for the names of `FILES` that were written.

    They are made in a temporary folder in it, or beside it where it is new, and moved into place at the end: after an
    error `folder` is as it was before.
    Results of an earlier run are replaced, other files left alone.

    Args:
        result: what to write.
        folder: where; made if absent.
        with_identity: whether to write `result.ct.identity` into the record and the report.
        for_scene: write `FILES_FOR_SCENE` in place of `FILES`, unpacked: large for a moment, but read back at once.

    Raises InputError when the folder cannot be written.
    """
    folder = Path(folder).absolute()
    try:
        with _temporary_folder(folder) as temporary:
            made = Path(temporary) / "results"
            made.mkdir()
            if for_scene:
                _write_for_scene(result, made, with_identity)
            else:
                _write_all(result, made, with_identity)
            known = FILES_FOR_SCENE if for_scene else FILES
            names = {name: file for name, file in known.items() if (made / file).exists()}
            _move_in(made, folder, Path(temporary))
    except OSError as error:
        raise InputError(f"The results cannot be written to {folder} ({error}); choose another folder.") from error
    return {name: folder / file for name, file in names.items()}


def check_folder(folder: Path) -> None:
    """Raise InputError if results cannot be written into `folder`, before a run is made for it; leaves nothing behind."""
    folder = folder.absolute()
    try:
        with _temporary_folder(folder):
            pass
    except OSError as error:
        raise InputError(f"The results cannot be written to {folder} ({error}); choose another folder.") from error


def _temporary_folder(folder: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder on the same disk as `folder`: in it if it exists (its parent may be read-only), else beside it."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; choose a folder for the results.")
    existing = next(place for place in (folder, *folder.parents) if place.is_dir())
    return tempfile.TemporaryDirectory(prefix=".lnhg-", dir=existing)


def _write_all(result: Result, folder: Path, with_identity: bool) -> None:
    files = {name: folder / file for name, file in FILES.items()}
    _write_volumes(result, files, write_nrrd)
    write_segmentation(files["segmentation"], _small_labels(result), result.ct.ijk_to_ras)
    _write_table(files["table"], result)
    scene = _write_scene(files["scene"], result)
    record = run_record(result, scene, with_identity)
    _write_record(files["record"], record)
    planes = nodule_planes(result)
    files["report"].write_text(report_html(result, planes, record), encoding="utf-8")
    write_sheet(files["picture"], result, planes)


def _write_for_scene(result: Result, folder: Path, with_identity: bool) -> None:
    files = {name: folder / file for name, file in FILES_FOR_SCENE.items()}
    write = partial(write_nrrd, packed=False)
    _write_volumes(result, files, write)
    write(files["generated"], result.image.astype(np.float32, copy=False), result.ct.ijk_to_ras)
    if result.unconfirmed.any():
        write(files["unconfirmed"], result.unconfirmed.astype(np.uint16, copy=False), result.ct.ijk_to_ras)
    _write_record(files["record"], run_record(result, "not written: the Slicer module makes its own", with_identity))


def _write_volumes(result: Result, files: Mapping[str, Path], write: Callable[[Path, np.ndarray, np.ndarray], None]) -> None:
    write(files["labels"], _small_labels(result), result.ct.ijk_to_ras)
    write(files["heterogeneity"], result.heterogeneity.astype(np.float32, copy=False), result.ct.ijk_to_ras)


def _small_labels(result: Result) -> np.ndarray:
    return result.labels.astype(np.uint8 if len(result.nodules) < 256 else np.uint16)


def _write_record(path: Path, record: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _write_table(path: Path, result: Result) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header(), *map(as_row, result.nodules)])


def _write_scene(path: Path, result: Result) -> str:
    """Write the scene where it can be; returns what the record says of it.

    The writer is found by its entry point, which the wheel declares: nothing here knows Slicer.
    """
    if importlib.util.find_spec("slicer_core") is None:
        return "not written: Slicer's library is not installed (pip install 'lnhg[host]')"
    writers = importlib.metadata.entry_points(group="lnhg.scene_writers")
    if not writers:
        return "not written: this installation of lnhg declares no writer of scenes; install it with pip"
    write_scene = next(iter(writers)).load()
    write_scene(result, path)
    return path.name


def _move_in(made: Path, folder: Path, temporary: Path) -> None:
    """Move the files of `made` to `folder`, those of an earlier run aside into `temporary`; on an error move them back."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        made.rename(folder)
        return
    earlier = sorted({*FILES.values(), *FILES_FOR_SCENE.values()})
    moves = [(folder / file, temporary / f"earlier-{file}") for file in earlier if (folder / file).exists()]
    moves += [(path, folder / path.name) for path in made.iterdir()]
    done = []
    try:
        for source, target in moves:
            source.rename(target)
            done.append((source, target))
    except BaseException:
        for source, target in reversed(done):
            target.rename(source)
        raise
