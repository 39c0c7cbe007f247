"""Runs the drives of this folder in Slicer, one after the other: `python Testing/application/run.py --slicer PROGRAM`.

PROGRAM starts Slicer with the options that it is given: an official Slicer, or a script that gives it a virtual screen.
It may also stand in the environment variable LNHG_SLICER. Logs, screenshots and a sheet of all of them go to --output.
The exit code is 0 if every drive passed.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODULE = HERE.parents[1] / "LNHGSlicer"
#: All drives, one a user's task; the first also makes what the others share.
DRIVES = (
    "first_run",
    "review_keys",
    "add_nodule",
    "edit_outline",
    "region",
    "two_cts",
    "saved_scene",
    "reader_study",
    "follow_up",
    "export",
    "categories",
    "install",
    "odd_clicks",
    "odd_scenes",
    "themes",
    "cancel",
    "early_nodules",
    "dicom_database",
    "long_review",
)
#: Those that a change has to pass, in under four minutes.
SHORT = ("add_nodule", "edit_outline", "saved_scene")
# None takes two minutes on a computer that has nothing else to do.
_LIMIT_S = 1800
_ENDS_WITHIN_S = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("drives", nargs="*", metavar="DRIVE", help="names of drives (default: all)")
    parser.add_argument(
        "--slicer", default=os.environ.get("LNHG_SLICER"), help="program that starts Slicer, with options"
    )
    parser.add_argument("--short", action="store_true", help=f"only {', '.join(SHORT)}")
    parser.add_argument("--output", type=Path, default=Path(tempfile.gettempdir()) / "lnhg-drives")
    arguments = parser.parse_args()
    if not arguments.slicer:
        parser.error("say with --slicer, or in LNHG_SLICER, which program starts Slicer")
    drives = arguments.drives or (SHORT if arguments.short else DRIVES)
    output = arguments.output.absolute()
    failed = [name for name in drives if not run(name, shlex.split(arguments.slicer), output)]
    sheet = contact_sheet([output / name for name in drives], output / "sheet.png")
    print(f"{len(drives) - len(failed)} of {len(drives)} drives passed; {sheet}")
    return 1 if failed else 0


def run(name: str, slicer: list[str], output: Path) -> bool:
    """Run one drive; returns whether it passed."""
    folder = output / name
    shutil.rmtree(folder, ignore_errors=True)  # of an earlier time
    folder.mkdir(parents=True)
    words = [
        *slicer,
        "--no-splash",
        "--additional-module-path",
        str(MODULE),
        "--python-script",
        str(HERE / f"{name}.py"),
    ]
    environment = {**os.environ, "LNHG_DRIVE_OUT": str(folder), "LNHG_DRIVE_SHARED": str(output / "shared")}
    # A busy computer would let Slicer wait: its loading threads lower the priority, on some systems of the whole
    # process.
    environment.setdefault("SLICER_BACKGROUND_THREAD_PRIORITY", "0")
    start = time.monotonic()
    with (folder / "output.txt").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True)
        try:
            code: int | str = process.wait(_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.terminate()
            code = f"longer than {_LIMIT_S} s"
    if code == 0 and left_behind(folder / "ends-with-slicer.txt"):
        code = "a process outlived Slicer"
    print(f"{'passed' if code == 0 else 'FAILED'}  {name}  {time.monotonic() - start:.0f} s", flush=True)
    if code != 0:
        lines = (folder / "log.txt").read_text(encoding="utf-8").splitlines() if (folder / "log.txt").exists() else []
        faults = [line for line in lines if "FAULT" in line or "FAILED" in line]
        print(f"  exit code {code}; {folder / 'log.txt'}", *faults, sep="\n  ", flush=True)
    return code == 0


def left_behind(told: Path) -> bool:
    """Whether the process that a drive has named is there some seconds after Slicer."""
    if not told.exists() or os.name == "nt":  # where no signal asks without ending
        return False
    try:
        for _ in range(_ENDS_WITHIN_S):
            os.kill(int(told.read_text(encoding="utf-8")), 0)
            time.sleep(1)
    except ProcessLookupError:
        return False
    return True


def contact_sheet(folders: list[Path], path: Path) -> str:
    """All screenshots on one picture, small, each with its name."""
    from PIL import Image, ImageDraw

    shots = [shot for folder in folders for shot in sorted(folder.glob("*.png"), key=lambda one: one.stat().st_mtime)]
    if not shots:
        return "no screenshots"
    width, height, across = 400, 250, 4
    rows = -(-len(shots) // across)
    sheet = Image.new("RGB", (across * width, rows * (height + 16)), "white")
    draw = ImageDraw.Draw(sheet)
    for number, shot in enumerate(shots):
        x, y = number % across * width, number // across * (height + 16)
        with Image.open(shot) as picture:
            sheet.paste(picture.convert("RGB").resize((width - 4, height)), (x, y + 14))
        draw.text((x + 2, y + 1), f"{shot.parent.name}: {shot.stem}", fill="black")
    sheet.save(path)
    return str(path)


if __name__ == "__main__":
    sys.exit(main())
