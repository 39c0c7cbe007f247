"""How well the lungs of two studies lie on each other."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Two CTs fit where at least this share of the patches is found again.
_FIT_SHARE = 0.5


@dataclass(frozen=True)
class Fit:
    """How well two CTs lie on each other, told from patches of lung with vessels.

    Attributes:
        patches: how many were looked for.
        found: share of them that was found again.
        median_mm, most_mm: distance from where the registration puts them to where they are: median, and what 95% stay
            below; NaN where none was found.
    """

    patches: int
    found: float
    median_mm: float
    most_mm: float

    @property
    def fits(self) -> bool:
        """Whether the two CTs can be of one patient and show the same part of the chest."""
        return self.found >= _FIT_SHARE


def fit_sentence(fit: Fit, number: int) -> str:
    """How well study `number` and the next lie on each other, as a reader understands it."""
    if not fit.patches or math.isnan(fit.median_mm):
        return f"Study {number} and {number + 1}: no vessel of one was found again in the other."
    return (
        f"Study {number} and {number + 1}: {fit.found:.0%} of {fit.patches} places with vessels were found again, half "
        f"of them within {fit.median_mm:.1f} mm of where they were expected, 95% within {fit.most_mm:.1f} mm."
    )
