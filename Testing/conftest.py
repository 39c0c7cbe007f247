"""What the tests of several files start from."""

from __future__ import annotations

import faulthandler
import os
import sys
import tempfile
from pathlib import Path

import pytest

# Tests run in several processes: threads of PyTorch's own, which wait for each other by spinning, only hold them up.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(trylast=True)  # after pytest has chosen another place
def pytest_configure(config):
    """A process of tests that crashes leaves behind where it was; the last lines of the run say it."""
    if hasattr(config, "workerinput"):
        config.told_at_crash = _told_at_crash(os.getppid(), config.workerinput["workerid"]).open("w")
        faulthandler.enable(config.told_at_crash)


def pytest_terminal_summary(terminalreporter, config):
    if hasattr(config, "workerinput"):
        return
    for told in sorted(_told_at_crash(os.getpid(), "*").parent.glob(_told_at_crash(os.getpid(), "*").name)):
        text = told.read_text(errors="replace")
        told.unlink()
        if text:
            terminalreporter.section(f"where {told.stem} crashed")
            terminalreporter.write_line(text)


def _told_at_crash(process_id, worker_id):
    return Path(tempfile.gettempdir()) / f"lnhg-tests-{process_id}-{worker_id}.txt"


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
