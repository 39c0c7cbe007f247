"""Seconds and memory of the whole way by the clock, with both runtimes, against earlier commits and against rivals.

`python Testing/benchmarks/speed.py --data DATA` writes `speed.md` and `speed.png` beside this file (`--output` chooses
another folder), in about ten minutes on two cores that do nothing else. Everything is measured in processes of their
own; what fails is a row with its reason. `--only clock rivals` measures parts: figures are kept between calls, and the
page is written from all there are. `--against COMMIT` runs the code of another commit, too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from clock import LONGEST_S, code_of, help_seconds, run_of
from machine import machine
from speed_page import REAL, RUNTIMES, page, picture

HERE = Path(__file__).resolve().parent
SCAN = f"lidc_scans/{REAL}/ct.nrrd"
# Slices of the synthetic CTs; thicker ones are means of the thinnest.
SLICES = (120, 300, 600)


def measured_clock(scan: Path, repeats: int, options: Sequence[str]) -> dict[str, Any]:
    """Runs by runtime and CT; the runtimes take turns, so that both meet the same machine. Synthetic CTs once."""
    runs: dict[str, dict[str, list[Any]]] = {runtime: {} for runtime in RUNTIMES}

    def run(name: str, path: Path) -> None:
        for runtime in RUNTIMES:
            answer = run_of(path, ["--runtime", runtime, *options])
            runs[runtime].setdefault(name, []).append(answer)
            _say(f"{name}, {runtime}: {_outcome(answer)}")

    for _ in range(repeats):
        run(REAL, scan)
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own: one that is started by a large one seems as large.
        ask([__file__, "--write-synthetic", folder])
        for count in SLICES:
            run(f"synthetic, {count}", Path(folder) / f"{count}.nrrd")
    return runs


def measured_against(scan: Path, commits: Sequence[str], repeats: int, options: Sequence[str]) -> dict[str, Any]:
    """Runs of other commits."""
    runs: dict[str, list[Any]] = {commit: [] for commit in commits}
    with tempfile.TemporaryDirectory() as folder:
        codes = {commit: code_of(commit, Path(folder) / commit) for commit in commits}
        for _ in range(repeats):
            for commit, code in codes.items():
                runs[commit].append(run_of(scan, options, code))
                _say(f"{commit}: {_outcome(runs[commit][-1])}")
    return runs


def measured_rivals(scan: Path, options: Sequence[str]) -> dict[str, Any]:
    """What each rival answers with each runtime."""
    from rivals import RIVALS

    answers: dict[str, dict[str, Any]] = {}
    for rival in RIVALS:
        for runtime in ("torch", "openvino"):
            _say(f"{rival}, {runtime}")
            answers.setdefault(rival, {})[runtime] = ask(
                [HERE / "rivals.py", rival, scan, "--runtime", runtime, *options]
            )
    return answers


def write_synthetic(folder: Path) -> None:
    """Synthetic CTs of the same chest in `SLICES` slices."""
    import numpy as np

    from lnhg.core.nrrd_file import write_nrrd
    from lnhg.phantom import chest_phantom

    ct = chest_phantom(0, (SLICES[-1], 512, 512)).ct
    for count in SLICES:
        step = SLICES[-1] // count
        hu = ct.hu.reshape(count, step, *ct.hu.shape[1:]).mean(1).round().astype(np.int16)
        write_nrrd(folder / f"{count}.nrrd", hu, ct.ijk_to_ras @ np.diag([1.0, 1.0, step, 1.0]), packed=False)


def ask(arguments: Sequence[str | Path]) -> dict[str, Any]:
    """What a process of its own answers (one line of JSON at the end), or `error`: why there is no answer."""
    began = time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, *map(str, arguments)], stdout=subprocess.PIPE, text=True, timeout=LONGEST_S, check=False
        )
        if done.returncode:
            return {"error": f"ended with exit code {done.returncode}"}
        return json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"error": f"ended after {time.perf_counter() - began:.0f} s"}
    except (ValueError, IndexError):
        return {"error": "gave no figures"}


def _outcome(run: dict[str, Any]) -> str:
    return run.get("error") or f"{run['clock']:.1f} s"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def commit() -> str:
    """The commit that is measured; with a + where files differ from it."""
    words = ["git", "describe", "--always", "--exclude=*", "--dirty=+"]
    return subprocess.run(words, cwd=HERE, capture_output=True, text=True, check=True).stdout.strip()


def versions() -> str:
    """What computes."""
    from lnhg import __version__

    return f"lnhg {__version__}, OpenVINO {version('openvino')}, PyTorch {version('torch')}"


def kept_in(path: Path) -> dict[str, Any]:
    """The figures so far, of this machine; none where there is no such file."""
    figures = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"machine": machine(), "commits": {}}
    if figures["machine"] != machine():
        sys.exit(f"{path} was measured on another machine ({figures['machine']}); move it away, or give --kept.")
    return {**figures, "versions": versions()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help=f"folder that holds {SCAN}")
    parser.add_argument("--output", type=Path, default=HERE, help="folder of speed.md and speed.png")
    parser.add_argument("--kept", type=Path, default=HERE.parents[1] / "build" / "speed.json", help="file of figures")
    parser.add_argument("--repeats", type=int, default=3, help="runs of the real CT (default: 3)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    parser.add_argument("--against", nargs="+", default=[], metavar="COMMIT", help="run these commits, too")
    parser.add_argument("--only", nargs="+", choices=PIECES, help="measure these parts (default: all)")
    parser.add_argument("--write-synthetic", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write_synthetic:
        write_synthetic(arguments.write_synthetic)
        print("{}")
        return
    if arguments.data is None or not (arguments.data / SCAN).is_file():
        parser.error(f"--data must name a folder that holds {SCAN}")
    arguments.scan = (arguments.data / SCAN).resolve()
    arguments.options = ["--threads", str(arguments.threads)] if arguments.threads else []
    figures = kept_in(arguments.kept)
    for name in arguments.only or PIECES:
        if name != "against" or arguments.against:
            _say(f"-- {name}")
            figures[name] = PIECES[name](arguments)
            figures["commits"][name] = commit()
            arguments.kept.parent.mkdir(parents=True, exist_ok=True)
            arguments.kept.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    arguments.output.mkdir(parents=True, exist_ok=True)
    picture(figures, arguments.output / "speed.png")
    (arguments.output / "speed.md").write_text(page(figures), encoding="utf-8")
    _say(f"written: {arguments.output / 'speed.md'}")


#: What can be measured by itself, in the order of a whole call.
PIECES: dict[str, Callable[[argparse.Namespace], Any]] = {
    "best": lambda given: ask([HERE / "machine.py", *given.options]),
    "start": lambda given: [help_seconds() for _ in range(given.repeats)],
    "clock": lambda given: measured_clock(given.scan, given.repeats, given.options),
    "against": lambda given: measured_against(given.scan, given.against, given.repeats, given.options),
    "arithmetic": lambda given: ask([HERE / "networks_alone.py", "arithmetic", given.scan, *given.options]),
    "everywhere": lambda given: {
        runtime: ask([HERE / "networks_alone.py", "everywhere", given.scan, "--runtime", runtime, *given.options])
        for runtime in RUNTIMES
    },
    "rivals": lambda given: measured_rivals(given.scan, given.options),
}


if __name__ == "__main__":
    main()
