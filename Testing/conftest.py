"""What the tests of several files start from."""

from __future__ import annotations

import os
import sys

import pytest

# Tests run in several processes: threads of PyTorch's own, which wait for each other by spinning, only hold them up.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def no_window_outlives_its_test():
    """A window that Python collects later, maybe in a thread, ends all tests: its timers belong to the main thread."""
    yield
    if "host.qt_double" in sys.modules:
        sys.modules["host.qt_double"].dispose_all()


@pytest.fixture
def host():
    """A fresh scene of Slicer's library, as `slicer.mrmlScene`."""
    from LNHGSlicerLib.scene.headless import headless_host

    with headless_host() as scene:
        yield scene
