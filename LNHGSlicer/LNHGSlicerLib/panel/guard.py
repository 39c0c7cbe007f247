"""What a click, a key, a timer or the scene sets off never ends in silence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt

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


class NoDoubleClicks(qt.QWidget):
    """Takes the second click of a double click away from buttons that go on to the next nodule: it would be judged
    unseen.
    """

    def __init__(self, *buttons: Any) -> None:
        super().__init__()
        for button in buttons:
            button.installEventFilter(self)

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802 - Qt's name
        return bool(event.type() == qt.QEvent.MouseButtonDblClick)
