"""What reaches the terminal: text from files cannot steer it, and what it cannot show is written as an escape."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, TextIO

# Control characters but tabulator and new line, and signs that turn the direction of writing.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """`text` with control characters as escapes, such as `\\x1b`."""
    return _STEERING.sub(lambda sign: sign[0].encode("unicode_escape").decode(), text)


class _PlainStream:
    """A stream of text that shows control characters in place of obeying them."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(plain(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class PlainFormatter(logging.Formatter):
    """Log lines without control characters."""

    def format(self, record: logging.LogRecord) -> str:
        return plain(super().format(record))


@contextmanager
def plain_output() -> Iterator[None]:
    """What is printed meanwhile is plain; names that are not Unicode, and signs a code page lacks, are escapes too."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            with suppress(OSError, ValueError):
                stream.reconfigure(errors="backslashreplace")
    with redirect_stdout(_PlainStream(sys.stdout)):
        yield
        sys.stdout.flush()  # here, where an error can still be told


def forget_stdout() -> None:
    """Nobody reads it any more: Python must not complain when it ends."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
