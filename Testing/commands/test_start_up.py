"""What a command loads before it needs it: nobody waits for what another command, or another file, takes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


def _loaded(program: str, *names: str) -> list[str]:
    """Which of the packages are loaded at the end of a program in a process of its own."""
    ending = f"\nimport json, sys; print(json.dumps([one for one in {names} if one in sys.modules]), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program + ending], capture_output=True, text=True, check=True)
    return json.loads(done.stderr.splitlines()[-1])


@pytest.mark.parametrize(
    "program", ["import lnhg", "from lnhg.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass"]
)
def test_importing_the_package_and_asking_for_help_load_no_package_at_all(program: str) -> None:
    packages = ("numpy", "scipy", "SimpleITK", "nibabel", "pydicom", "skimage", "openvino", "torch", "matplotlib")
    assert _loaded(program, *packages) == []


def test_what_a_run_does_not_need_is_not_loaded_before_the_networks() -> None:
    program = "import lnhg.readers.lobes, lnhg.readers.read_ct, lnhg.writers.results, lnhg.pipeline"
    unwanted = ("torch", "nibabel", "SimpleITK", "matplotlib", "scipy.signal", "scipy.optimize", "vtk", "slicer_core")
    assert _loaded(program, *unwanted, "numpy") == ["numpy"]
