"""Changes of the scene that take long, as generators: between two steps the window lives."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

import slicer

Made = TypeVar("Made")
#: Yields after each step, and returns what was made.
Steps = Generator[None, None, Made]


def at_once(steps: Steps[Made]) -> Made:
    """Take all steps now."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def all_or_none(steps: Steps[Made]) -> Steps[Made]:
    """The same steps; after an error, or where they are closed before their end, the nodes that they added are gone.

    What others add to the scene between the steps stays.
    """
    added: list[Any] = []
    try:
        while True:
            before = {node.GetID() for node in _nodes()}
            try:
                next(steps)
            finally:
                added += [node for node in _nodes() if node.GetID() not in before]
            yield
    except StopIteration as end:
        return end.value
    except BaseException:
        for node in reversed(added):
            if slicer.mrmlScene.IsNodePresent(node):
                slicer.mrmlScene.RemoveNode(node)
        raise


def _nodes() -> list[Any]:
    return [slicer.mrmlScene.GetNthNode(number) for number in range(slicer.mrmlScene.GetNumberOfNodes())]
