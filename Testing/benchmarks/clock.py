"""`lnhg segment` by the clock: a process of its own, from the command to its end, as a user waits for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

#: The parts of a run by the clock, in their order: until the command says its first word; the CT read and the networks
#: loaded; the stages; the files written.
PARTS = ("start", "read", "lungs", "detect", "generate", "fuse", "measure", "write")
#: A run is ended after this long.
LONGEST_S = 900


def run_of(ct: Path, options: Sequence[str] = (), code: Path | None = None) -> dict[str, Any]:
    """One run: `clock` and its `parts` in seconds, `found`: when the first nodule was told (with
    `--for-scene`; else None), `nodule`: when the outlines were there, `peak_gib` of memory, number
    of `candidates` and `nodules`, `device`; or `error`.

    Args:
        ct: the CT.
        options: of `lnhg segment`.
        code: a folder with another `lnhg` in it (`pip install --target`); None: this one.
    """
    environment = {**os.environ, **({"PYTHONPATH": str(code)} if code else {})}
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "result"
        command = ["-m", "lnhg", "segment", str(ct.resolve()), "--output", str(output), "--json-progress", *options]
        began = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, *command], stdout=subprocess.PIPE, text=True, cwd=folder, env=environment
        ) as run:
            assert run.stdout is not None
            told = []
            for line in run.stdout:
                told.append((time.perf_counter() - began, json.loads(line)))
                if told[-1][0] > LONGEST_S:
                    run.kill()
            # The peak of this process alone, which nothing but waiting for it tells.
            _, status, used = os.wait4(run.pid, 0)
            run.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
        if run.returncode:
            return {"error": f"ended with exit code {run.returncode} after {seconds:.0f} s"}
        record = json.loads((output / "result.json").read_text(encoding="utf-8"))
    parts = parts_of(told, seconds)
    return {
        "clock": seconds,
        "parts": parts,
        "found": next((at for at, line in told if "found" in line), None),
        "nodule": sum(took for part, took in parts.items() if part not in ("measure", "write")),
        "peak_gib": used.ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20),
        "candidates": len(record["candidates"]),
        "nodules": len(record["nodules"]),
        "device": record["provenance"]["device"],
    }


def parts_of(told: Sequence[tuple[float, Mapping[str, Any]]], whole: float) -> dict[str, float]:
    """Seconds of each of `PARTS` from when each line of progress came, and when the process had ended."""
    came: dict[str, float] = {}
    for when, line in told:
        if "stage" in line:
            came.setdefault(line["stage"], when)
    # Writing begins with the last word of the last stage.
    came["write"] = max(when for when, line in told if "stage" in line)
    begins = [0.0, *(came[part] for part in PARTS[1:]), whole]
    return {part: end - begin for part, begin, end in zip(PARTS, begins, begins[1:], strict=False)}


def help_seconds() -> float:
    """Seconds until `lnhg --help` has answered."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "lnhg", "--help"], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def code_of(commit: str, folder: Path) -> Path:
    """The `lnhg` of another commit of this repository, installed into `folder` without what it needs."""
    if not (folder / "lnhg").is_dir():
        with tempfile.TemporaryDirectory() as temporary:
            packed = Path(temporary) / "code.tar"
            subprocess.run(["git", "archive", "--output", packed, commit], cwd=Path(__file__).parents[2], check=True)
            subprocess.run(["tar", "--extract", "--file", packed, "--directory", temporary], check=True)
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, temporary]
            subprocess.run(pip, check=True)
    return folder
