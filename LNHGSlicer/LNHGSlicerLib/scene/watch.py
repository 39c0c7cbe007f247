"""Observes one node at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Watch:
    """Calls a function when the node that is watched tells of one of its events.

    Unlike `slicer.util.VTKObservationMixin`, which keeps each object that was ever observed, it holds no node that is
    watched no more: a CT that was removed from the scene gives its memory back.
    """

    def __init__(self, on_event: Callable[[], object]) -> None:
        self._on_event = on_event
        self._node: Any = None
        self._tags: list[int] = []

    def follow(self, node: Any, *events: Any) -> None:
        """From now on watch this node, and no other; None: no node."""
        for tag in self._tags:
            self._node.RemoveObserver(tag)
        self._node, self._tags = node, []
        if node is not None:
            self._tags = [node.AddObserver(event, lambda caller, event: self._on_event()) for event in events]
