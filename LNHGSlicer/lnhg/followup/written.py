"""The files of a follow-up: a folder for the results of each study, and one table, record and report of all."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..categories.dictation import dictated
from ..categories.proposals import Proposal, proposal_header, proposal_row
from ..core.csv_text import csv_text
from ..core.nrrd_file import write_nrrd
from ..core.plain_file import mapping_of
from ..core.result import Result
from ..errors import InputError
from ..writers.own_files import RECORD
from ..writers.results import NAMES, check_folder, move_all, moves_in, save, temporary_folder
from ..writers.scenes import write_scene
from .change import volumes_of
from .follow import FollowUp, Interlude, Pair
from .read_back import CT_FILE, FILES
from .report import report_html
from .tracking_uids import trackings

#: Format of the record; it rises when a key changes its name or its meaning.
FORMAT = 1
_KIND = "lnhg follow-up"
_OF_MODULE = "not written: the Slicer module makes its own"
_TITLES = (
    "track",
    "from study",
    "to study",
    "state",
    "nodule before",
    "nodule after",
    "days",
    "volume before (mm3)",
    "volume after (mm3)",
    "change of volume (mm3)",
    "change of volume (%)",
    "change of volume, lowest (%)",
    "change of volume, highest (%)",
    "beyond the uncertainty",
    "change of diameter (mm)",
    "change of density (HU)",
    "change of diameter of solid part (mm)",
    "change of heterogeneity, core: mean",
    "change of unevenness (HU)",
    "doubling time (days)",
    "doubling time, shortest (days)",
    "doubling time, longest (days)",
    "Lung-RADS 2022",
    "Fleischner 2017",
    "BTS 2015",
    *(f"after: {title}" for title in proposal_header()),
)


def save_follow_up(
    follow_up: FollowUp, folder: str | Path, *, with_identity: bool = False, for_scene: bool = False
) -> dict[str, Path]:
    """Write all files into `folder`; returns name -> path.

    `for_scene`: of each study only its CT and what `read_back.load_result` reads, unpacked, and no scene.

    All are made aside and moved into place at the end: after an error the folder is as it was before. Studies of an
    earlier, longer follow-up stay there, and the record and the report say so.

    Raises InputError where the folder cannot be written, or holds files of these names that are of no follow-up.
    """
    folder = Path(folder).absolute()
    check_output(folder)
    follow_up = replace(follow_up, notes=(*follow_up.notes, *_left_over(folder, len(follow_up.studies))))
    texts = {
        "table": csv_text([_TITLES, *table(follow_up)], "\r\n"),
        "report": report_html(follow_up),
    }
    try:
        with temporary_folder(folder) as temporary:
            made, aside = Path(temporary) / "made", Path(temporary) / "aside"
            made.mkdir()
            for number, study in enumerate(follow_up.studies, 1):
                _write_study(study.result, made / f"study-{number}", with_identity=with_identity, for_scene=for_scene)
            for name, text in texts.items():
                (made / FILES[name]).write_text(text, encoding="utf-8", newline="")
            told = (
                _OF_MODULE
                if for_scene
                else write_scene("lnhg.followup_scene_writers", follow_up, made / FILES["scene"])
            )
            text = json.dumps(record(follow_up) | {"scene": told}, indent=2, allow_nan=False) + "\n"
            (made / FILES["record"]).write_text(text, encoding="utf-8", newline="")
            move_all(_moves(made, folder, aside))
    except OSError as error:
        raise InputError(f"The results cannot be written to {folder} ({error}); choose another folder.") from error
    written = {name: folder / file for name, file in FILES.items() if (folder / file).exists()}
    studies = {f"study {n}": folder / f"study-{n}" for n in range(1, len(follow_up.studies) + 1)}
    return written | studies


def _write_study(result: Result, folder: Path, *, with_identity: bool, for_scene: bool) -> None:
    save(result, folder, with_identity=with_identity, for_scene=for_scene)
    if for_scene:
        write_nrrd(folder / CT_FILE, result.ct.hu, result.ct.ijk_to_ras, packed=False)


def _moves(made: Path, folder: Path, aside: Path) -> list[tuple[Path, Path]]:
    """What is to be moved where so that `folder` holds the follow-up; the scene of an earlier one goes too."""
    if not folder.exists():
        return [(made, folder)]
    moves = [(folder / file, aside / file) for file in FILES.values() if (folder / file).exists()]
    for path in sorted(made.iterdir()):
        if path.is_dir():
            names = {*NAMES, *(file.name for file in path.iterdir())}
            moves += moves_in(path, folder / path.name, aside / path.name, sorted(names))
        else:
            moves.append((path, folder / path.name))
    return moves


def _left_over(folder: Path, count: int) -> tuple[str, ...]:
    """A sentence on studies in `folder` beyond those of a follow-up of `count`; empty where there are none."""
    names = [path.name for number, path in _studies_in(folder).items() if number > count and (path / RECORD).is_file()]
    if not names:
        return ()
    return (f"{' and '.join(names)} in this folder {'is' if len(names) == 1 else 'are'} of an earlier follow-up.",)


def _studies_in(folder: Path) -> dict[int, Path]:
    """The folders of studies that are there, by their numbers."""
    found = {path: re.fullmatch(r"study-(\d+)", path.name) for path in folder.glob("study-*")}
    return dict(sorted((int(number[1]), path) for path, number in found.items() if number))


def check_output(folder: Path) -> None:
    """Raise InputError where files of a follow-up's names are there that are of none, or that were changed since."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; choose a folder for the results.")
    there = [file for file in FILES.values() if (folder / file).exists()]
    if there and not _is_own(folder / FILES["record"]):
        raise InputError(
            f"{', '.join(there)} in {folder} would be replaced, but this program did not write it; choose another "
            f"folder."
        )
    for study in _studies_in(folder).values():
        check_folder(study)


def _is_own(path: Path) -> bool:
    try:
        return mapping_of(path).get("kind") == _KIND
    except (OSError, ValueError, InputError):
        return False


def record(follow_up: FollowUp) -> dict[str, Any]:
    """What `follow.json` holds beside what became of the scene; nothing in it names a person, a date or a path."""
    return {
        "kind": _KIND,
        "format": FORMAT,
        "version": __version__,
        "use": "research use only, not for diagnosis",
        "notes": [*follow_up.notes, *(note for study in follow_up.studies for note in study.notes)],
        "studies": [
            {"name": study.name, "days": days, "nodules": len(study.result.nodules), "folder": f"study-{number}"}
            for number, (study, days) in enumerate(zip(follow_up.studies, follow_up.days, strict=True), 1)
        ],
        "tracks": [list(track) for track in follow_up.tracks],
        "tracking": [
            {"identifier": one.identifier, "uid": one.uid, "nodules": list(track)}
            for one, track in zip(trackings(follow_up), follow_up.tracks, strict=True)
        ],
        "interludes": [_interlude(one) for one in follow_up.interludes],
    }


def _interlude(one: Interlude) -> dict[str, Any]:
    fit = one.fit
    return {
        "days": one.days,
        "same_protocol": one.same_protocol,
        "registration": {
            "places": fit.patches,
            "share_found": round(fit.found, 3),
            "median_mm": _number(fit.median_mm),
            "most_mm": _number(fit.most_mm),
            "rigid_ras": np.round(one.rigid, 6).tolist(),
        },
        "pairs": [_pair(pair) for pair in one.pairs],
    }


def _pair(pair: Pair) -> dict[str, Any]:
    told: dict[str, Any] = {
        "state": pair.state,
        "before": None if pair.earlier is None else pair.earlier.id,
        "after": None if pair.later is None else pair.later.id,
        "places_ras_mm": [np.round(place, 2).tolist() for place in pair.places],
    }
    change = pair.change
    if change is None:
        return told
    doubling = change.doubling
    return told | {
        "volume_mm3": _number(change.volume),
        "volume_percent": _number(change.volume_percent),
        "volume_percent_interval": [
            _number(end) for end in (change.percent_interval.low, change.percent_interval.high)
        ],
        "beyond_uncertainty": change.beyond,
        "diameter_mm": _number(change.diameter),
        "density_hu": _number(change.density),
        "solid_diameter_mm": _number(change.solid_diameter),
        "heterogeneity": _number(change.heterogeneity),
        "unevenness_hu": _number(change.unevenness),
        "doubling_days": None
        if doubling is None
        else {"value": _number(doubling.days), "from": _number(doubling.shortest), "to": _number(doubling.longest)},
        "growth": dict(change.growth),
    }


def _number(value: float) -> float | None:
    """Rounded; None where it was not measured, or is endless."""
    return round(value, 4) if math.isfinite(value) else None


def table(follow_up: FollowUp) -> Iterable[list[Any]]:
    """One row a nodule and step, in the order of `_TITLES`; what is proposed is of the later study."""
    for number, one in enumerate(follow_up.interludes):
        told = follow_up.proposals(number + 1)
        sentence = follow_up.studies[number + 1].result.options.sentence
        for pair in one.pairs:
            row = _row(follow_up.track_of(number, pair), number, one, pair)
            proposal = None if pair.later is None else told[pair.later.id]
            yield [*row, *_proposed(proposal, sentence)]


def _proposed(proposal: Proposal | None, sentence: str) -> list[str]:
    if proposal is None:
        return [""] * len(proposal_header())
    return proposal_row(proposal, dictated(proposal, sentence))


def _row(track: int, number: int, one: Interlude, pair: Pair) -> list[Any]:
    rows = (pair.earlier, pair.later)
    start = [track, number + 1, number + 2, pair.state, *("" if row is None else row.id for row in rows)]
    days = "" if one.days is None else one.days
    volumes = ["" if volume is None else _cell(volume) for volume in volumes_of(rows)]
    change = pair.change
    if change is None:
        return [*start, days, *volumes, *[""] * (len(_TITLES) - len(proposal_header()) - len(start) - 3)]
    doubling = (
        ["", "", ""]
        if change.doubling is None
        else [_cell(value) for value in (change.doubling.days, change.doubling.shortest, change.doubling.longest)]
    )
    figures = (change.diameter, change.density, change.solid_diameter, change.heterogeneity, change.unevenness)
    return [
        *start,
        days,
        *volumes,
        _cell(change.volume),
        *map(_cell, (change.volume_percent, change.percent_interval.low, change.percent_interval.high)),
        "yes" if change.beyond else "no",
        *map(_cell, figures),
        *doubling,
        *change.growth.values(),
    ]


def _cell(value: float) -> Any:
    return round(value, 4) if math.isfinite(value) else ""
