"""What the Slicer module takes from here loads neither networks nor registration into Slicer's own process."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("name", ["fit", "person", "words", "read_back", "growth"])
def test_the_light_parts_stay_light(name: str) -> None:
    heavy = "{'torch', 'SimpleITK', 'skimage', 'scipy', 'matplotlib'}"
    code = f"import sys, lnhg.followup.{name}; print(sorted({heavy} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
