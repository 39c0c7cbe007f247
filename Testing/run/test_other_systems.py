"""What runs beside Slicer on Windows and macOS, on a stand-in for the system: the words and calls that it would get."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from LNHGSlicerLib.run import background, under_slicer


@pytest.fixture
def windows(monkeypatch):
    """Both modules on Windows; gives the commands that they would run."""
    ran = []
    for module in (background, under_slicer):
        monkeypatch.setattr(module, "os", SimpleNamespace(name="nt", getpid=lambda: 77, environ=os.environ))
        fake = SimpleNamespace(**{**vars(subprocess), "run": lambda words, **_: ran.append(words)})
        monkeypatch.setattr(module, "subprocess", fake)
    return ran


def test_on_windows_a_run_ends_with_all_that_it_started(windows):
    background.end_tree(SimpleNamespace(pid=4711))
    assert windows == [["taskkill", "/F", "/T", "/PID", "4711"]]


@pytest.mark.parametrize("handle", [0, 12])
def test_on_windows_the_end_of_slicer_is_waited_for(windows, monkeypatch, handle):
    waited = []
    kernel = SimpleNamespace(OpenProcess=lambda *_: handle, WaitForSingleObject=lambda *words: waited.append(words))
    monkeypatch.setattr(ctypes, "WinDLL", lambda name: kernel, raising=False)
    under_slicer._end_with(4711)
    assert waited == ([(12, 0xFFFFFFFF)] if handle else []), "a process that is gone is not waited for"
    assert windows == [["taskkill", "/F", "/T", "/PID", "77"]]


@pytest.mark.parametrize("error", [ProcessLookupError, PermissionError])
def test_a_process_number_that_somebody_else_has_by_now_means_that_slicer_has_ended(monkeypatch, error):
    asked = []

    def kill(process_id, sign):
        asked.append((process_id, sign))
        if len(asked) == 3:
            raise error

    monkeypatch.setattr(under_slicer, "os", SimpleNamespace(name="posix", kill=kill))
    monkeypatch.setattr(under_slicer.time, "sleep", lambda _: None)
    under_slicer.wait_for_end(4711)
    assert asked == [(4711, 0)] * 3


@pytest.mark.parametrize("error", [ProcessLookupError, PermissionError])
@pytest.mark.skipif(sys.platform == "win32", reason="groups of processes")
def test_a_group_that_is_gone_already_is_no_error(monkeypatch, error):
    def killpg(group, sign):
        assert (group, sign) == (4711, signal.SIGKILL)
        raise error

    monkeypatch.setattr(background, "os", SimpleNamespace(name="posix", killpg=killpg))
    background.end_tree(SimpleNamespace(pid=4711))
