"""What hangs on the system outside Slicer, on a stand-in for another one."""

from __future__ import annotations

import ctypes
import sys

import pytest

from lnhg.core import memory, processes


@pytest.mark.parametrize(("system", "asked"), [("linux", True), ("win32", False), ("darwin", False)])
def test_freed_memory_is_given_back_where_the_library_can(monkeypatch, system: str, asked: bool):
    trimmed = []

    class Library:
        malloc_trim = trimmed.append

    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library())
    memory.give_memory_back()
    assert trimmed == [0] * asked


def test_processes_are_started_anew_on_every_system(monkeypatch):
    asked = []

    class Pool:
        def __init__(self, count, context, *_):
            asked.append(context.get_start_method())
            raise RuntimeError

    monkeypatch.setattr(processes, "ProcessPoolExecutor", Pool)
    with pytest.raises(RuntimeError):
        next(processes.done_by_processes(str, range(3), 2, print))
    assert asked == ["spawn"]
