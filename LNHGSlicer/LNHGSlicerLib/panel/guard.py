"""What a click, a key, a timer or the scene sets off never ends in silence."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

# The second click of a double click comes within this time, seconds.
_DOUBLE_CLICK_S = 0.4

#: Makes a handler of one that tells whatever it raises.
Guard = Callable[[Callable[..., Any]], Callable[..., Any]]


def guard_with(tell: Callable[[Exception], object]) -> Guard:
    """A guard whose handlers hand what they raise to `tell`, which says it in the panel."""

    def guard(handler: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any) -> Any:
            try:
                return handler(*arguments)
            except Exception as error:  # whatever it is, the reader must hear of it and go on
                return tell(error)

        return guarded

    return guard


def once(action: Callable[[], object]) -> Callable[..., None]:
    """An action that goes on to the next nodule: the second click of a double click must not judge that one unseen."""
    ended = -math.inf

    def click(*_: Any) -> None:
        nonlocal ended
        if time.monotonic() - ended >= _DOUBLE_CLICK_S:
            try:
                action()
            finally:
                ended = time.monotonic()

    return click
