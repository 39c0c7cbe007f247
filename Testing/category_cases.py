"""Nodules and answers for the tests of the categories."""

from __future__ import annotations

from typing import Any

from lnhg.categories.facts import GROUND_GLASS, PART_SOLID, SOLID, Facts
from lnhg.core.answers import Answers


def solid(mm: float = 7.0, *, volume: float = 150.0, **more: Any) -> Facts:
    return Facts(SOLID, mm, more.pop("long_axis", mm), volume, mm, **more)


def part_solid(mm: float, part: float, **more: Any) -> Facts:
    return Facts(PART_SOLID, mm, more.pop("long_axis", mm), 200.0, part, **more)


def ground_glass(mm: float, **more: Any) -> Facts:
    return Facts(GROUND_GLASS, mm, more.pop("long_axis", mm), 200.0, 0.0, **more)


def answers(**given: Any) -> Answers:
    return Answers(**given)
