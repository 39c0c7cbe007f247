"""Damaged headers, made at random from small whole files, against `read_ct`, and scenes against `read_scene`: each is
read or refused with one sentence.

    PYTHONPATH=Testing python -m readers.fuzz --inputs 20000 --format dicom --seed 1 --keep found

A process of its own reads them one after another; it is started again when an input ends it or takes ten seconds. What
is no sentence and no sane CT (a crash, a hang, an exception that is not the project's own, a grid that no scanner
makes, other values when it is read again) is counted, and its input kept.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np

from lnhg.core.ct import CT, fingerprint
from lnhg.errors import LNHGError
from lnhg.followup.reviewed_scene import read_scene
from lnhg.readers.read_ct import read_ct
from readers.fuzz_files import FORMATS
from readers.fuzz_harm import harmed

_LONGEST_S = 10.0


def made(kind: str, seed: int, folder: Path) -> Path:
    """Input number `seed` of a format in a new folder; returns what to read. Of several files one is damaged, or all
    are in the same way.
    """
    chance = random.Random(f"{kind} {seed}")
    path, files = _whole(kind, chance.randrange(len(FORMATS[kind])))
    one, all_alike = chance.choice(sorted(files)), chance.random() < 0.5
    way = chance.random()
    for file, content in files.items():
        (folder / file).parent.mkdir(exist_ok=True)
        harm = all_alike or file == one
        (folder / file).write_bytes(harmed(content, kind, random.Random(way)) if harm else content)
    return folder / path


@cache
def _whole(kind: str, form: int) -> tuple[str, dict[str, bytes]]:
    """What to read of an input of a format, and its whole files, by their places in its folder; made once."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = FORMATS[kind][form](folder)
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        return path.name, {str(file.relative_to(folder)): file.read_bytes() for file in files}


# ---------------------------------------------------------------- the process that reads


def verdict(path: Path) -> str:
    """`read` or `refused`, or what is wrong with how an input was met."""
    try:
        ct = _read(path)
        again = _read(path)
    except LNHGError as error:
        text = str(error)
        one = text.endswith(".") and "; " in text and "\n" not in text and text.isprintable()
        return "refused" if one else f"no sentence: {text!r}"
    except Exception as error:
        return f"foreign: {type(error).__name__}: {error}"[:200]
    if fingerprint(ct.hu, ct.ijk_to_ras) != fingerprint(again.hu, again.ijk_to_ras):
        return "other values when it is read again"
    unsaid = [text for text in ct.warnings if not (text.endswith(".") and text.isprintable())]
    if unsaid:
        return f"no sentence: {unsaid[0]!r}"
    sane = np.isfinite(ct.ijk_to_ras).all() and min(ct.spacing) >= 0.099 and max(ct.spacing) <= 20.1
    return "read" if sane and np.abs(ct.ijk_to_ras[:3, 3]).max() <= 10_000 else f"absurd grid: {ct.ijk_to_ras.tolist()}"


def _read(path: Path) -> CT:
    return read_scene(path)[0].ct if path.suffix == ".mrb" else read_ct(path)


class Reader:
    """A process that gives verdicts; started again after an input that ended it, or that it does not get done with."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def verdict(self, path: Path) -> str:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "readers.fuzz", "--serve"],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            assert self._process.stdout is not None
            self._process.stdout.readline()  # once it is ready
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], _LONGEST_S)[0]:
            self._end()
            return "hang"
        answer = self._process.stdout.readline()
        if not answer:
            code = self._process.wait()
            self._end()
            return f"crash: {code}"
        return str(json.loads(answer))

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _serve() -> None:
    from lnhg.readers import image_file, read_dicom  # noqa: F401 - so that loading them is not counted as reading

    warnings.simplefilter("ignore")
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(verdict(Path(line.rstrip("\n")))), flush=True)


def tried(kind: str, seeds: range, keep: Path | None = None) -> tuple[Counter[str], list[str]]:
    """Verdicts on inputs of a format by their first word, and those that are faults, with their seeds."""
    counts: Counter[str] = Counter()
    faults = []
    with Reader() as reader, tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            place = Path(folder) / str(seed)
            place.mkdir()
            path = made(kind, seed, place)
            said = reader.verdict(path)
            if said == "hang":  # on a busy machine anything is slow once
                said = reader.verdict(path)
            counts[said.partition(":")[0]] += 1
            if said not in ("read", "refused"):
                faults.append(f"{kind} {seed}: {said}")
                if keep is not None:
                    shutil.copytree(place, keep / f"{kind}_{seed}", dirs_exist_ok=True)
            shutil.rmtree(place)
    return counts, faults


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1000, help="of each format (default: %(default)s)")
    parser.add_argument(
        "--format", action="append", choices=tuple(FORMATS), help="only this one; repeatable (default: all)"
    )
    parser.add_argument("--seed", type=int, default=0, help="number of the first input (default: %(default)s)")
    parser.add_argument("--keep", type=Path, help="folder for the inputs that are faults")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        _serve()
        return
    for kind in arguments.format or FORMATS:
        counts, faults = tried(kind, range(arguments.seed, arguments.seed + arguments.inputs), arguments.keep)
        print(kind, dict(counts), *faults[:20], sep="\n  ")


if __name__ == "__main__":
    _main()
