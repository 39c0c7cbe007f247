"""Observes one node at a time, or some that belong together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


class Watch:
    """Calls a function when what is watched tells of one of its events.

    Unlike `slicer.util.VTKObservationMixin`, which keeps each object that was ever observed, it holds no node that is
    watched no more: a CT that was removed from the scene gives its memory back.
    """

    def __init__(self, on_event: Callable[[], object]) -> None:
        self._on_event = on_event
        self._observed: list[tuple[Any, int]] = []

    def follow(self, node: Any, *events: Any) -> None:
        """From now on watch this node, and no other; None: no node."""
        self.follow_all(() if node is None else (node,), *events)

    def follow_all(self, nodes: Iterable[Any], *events: Any) -> None:
        """From now on watch these nodes, and no others."""
        for node, tag in self._observed:
            node.RemoveObserver(tag)
        self._observed = [
            (node, node.AddObserver(event, lambda caller, event: self._on_event()))
            for node in nodes
            for event in events
        ]
