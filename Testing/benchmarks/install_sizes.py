"""What an install fetches and takes on disk: `python Testing/benchmarks/install_sizes.py`, with the index of pip.

Two environments are made in a temporary folder: a new one, into which `pip install .` goes; and one that holds what
Slicer brings along of what is needed, into which the packages of the panel's *Install* go. Versions are those of
`constraints.txt`. Prints a Markdown table, in MB (a million bytes); disk as `du` counts it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: Of what is needed Slicer brings these along. Its numpy is older than ours; of the others no version is known to
#: change what is added.
SLICERS = ("numpy==1.26.4", "scipy", "SimpleITK", "pydicom", "pillow")


@dataclass(frozen=True)
class Added:
    """What was added to an environment: packages, and MB fetched; MB on disk before and after."""

    packages: Sequence[str]
    fetched: float
    before: float
    after: float

    def row(self, name: str) -> str:
        """A row of the table."""
        sizes = f"{self.fetched:.0f} | {self.before:.0f} | {self.after:.0f} | {self.after - self.before:.0f}"
        return f"| {name} | {len(self.packages)} | {sizes} |"


def new_environment(folder: Path) -> Path:
    """A virtual environment; returns its Python."""
    venv.create(folder, with_pip=True, symlinks=sys.platform != "win32")
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def pip(python: Path, *words: str | Path) -> None:
    """Run pip, and end with its message where it fails."""
    subprocess.run([python, "-m", "pip", *words, "--quiet", "--disable-pip-version-check"], check=True)


def constraints(folder: Path, pinned: Sequence[str] = ()) -> Path:
    """The project's constraints, with these pins in place of its own."""
    own = {name for name, equals, _ in (pin.partition("==") for pin in pinned) if equals}
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line.partition("==")[0] not in own]
    path = folder / "constraints.txt"
    path.write_text("\n".join([*kept, *(pin for pin in pinned if "==" in pin)]), encoding="utf-8")
    return path


def add(python: Path, environment: Path, folder: Path, wanted: Sequence[str | Path], limits: Path) -> Added:
    """Fetch what pip would install for `wanted`, and install it."""
    report, wheels = folder / "report.json", folder / "wheels"
    pip(python, "install", "--dry-run", "--report", report, "--constraint", limits, *wanted)
    told = [one["metadata"] for one in json.loads(report.read_text(encoding="utf-8"))["install"]]
    pins = sorted(f"{one['name']}=={one['version']}" for one in told if one["name"] != "lnhg")
    pip(python, "download", "--no-deps", "--dest", wheels, *pins)
    if any(one["name"] == "lnhg" for one in told):
        pip(python, "wheel", "--no-deps", "--wheel-dir", wheels, ROOT)
    before = on_disk(environment)
    pip(python, "install", "--no-deps", "--no-index", *wheels.iterdir())
    names = sorted(path.name for path in wheels.iterdir())
    return Added(names, sum(path.stat().st_size for path in wheels.iterdir()) / 1e6, before, on_disk(environment))


def on_disk(folder: Path) -> float:
    """MB that the files in a folder take."""
    told = [path.lstat() for path in folder.rglob("*")]
    return sum(getattr(one, "st_blocks", one.st_size / 512) * 512 for one in told) / 1e6


def for_slicer() -> list[str]:
    """What the panel's *Install* asks pip for: the light way, without PyTorch."""
    lines = (ROOT / "LNHGSlicer" / "Resources" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    asked = [line.split("#")[0].strip() for line in lines]
    return [one for one in asked if one and not one.startswith("torch")]


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        new, slicer = Path(temporary) / "new", Path(temporary) / "slicer"
        for folder in (new, slicer):
            folder.mkdir()
        python = new_environment(new / "environment")
        whole = add(python, new / "environment", new, [ROOT], constraints(new))
        python = new_environment(slicer / "environment")
        limits = constraints(slicer, SLICERS)
        pip(python, "install", "--constraint", limits, *SLICERS)
        added = add(python, slicer / "environment", slicer, for_slicer(), limits)
    print("| install | packages | MB fetched | on disk before | after | added |\n|---|---|---|---|---|---|")
    print(whole.row("`pip install .`, new environment"))
    print(added.row("the panel's *Install*, beside Slicer's packages"))
    print("\nAdded beside Slicer's: " + ", ".join(" ".join(name.split("-")[:2]) for name in added.packages) + ".")


if __name__ == "__main__":
    main()
