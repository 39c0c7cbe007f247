"""Work shared out among processes of this machine."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, TypeVar

from ..errors import LNHGError

Item = TypeVar("Item")
Made = TypeVar("Made")

# Windows waits for no more at a time.
_MOST_PROCESSES = 61


def done_by_processes(
    work: Callable[[Item], Made],
    items: Sequence[Item],
    processes: int,
    begin: Callable[..., object],
    arguments: tuple[Any, ...] = (),
    left: str = "",
) -> Iterator[Made]:
    """What `work` makes of each item, as they are done; each process calls `begin` with `arguments` first.

    Raises LNHGError where a process dies; `left` says in it what stays.
    """
    # Processes that are forked inherit locks of ITK.
    with ProcessPoolExecutor(
        min(processes, len(items), _MOST_PROCESSES) or 1, get_context("spawn"), _begin, (begin, arguments)
    ) as pool:
        try:
            for future in as_completed([pool.submit(work, item) for item in items]):
                yield future.result()
        except BrokenProcessPool as error:
            raise LNHGError(
                f"A process died, probably for want of memory; start again with fewer --processes{left}."
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(begin: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends the run
    begin(*arguments)
