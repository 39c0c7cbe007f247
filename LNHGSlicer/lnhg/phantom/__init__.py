"""A synthetic chest CT with planted nodules: the sample for demonstrations and tests.

Anatomy is drawn in LPS millimetres around the isocentre (x to the left, y to the back, z to the head). Large organs are
signed distances on a coarse grid (negative inside), warped by a smooth random field and rendered as layers, one over
the other, at several heights within each slice. Vessels, airways and nodules are too fine for that grid and are drawn
on the CT grid itself. A point spread and the noise of a reconstruction come last.
"""

from __future__ import annotations

from .nodules import KINDS
from .sample import Phantom, chest_phantom, followed_phantoms, write_followed_samples, write_sample

__all__ = ["KINDS", "Phantom", "chest_phantom", "followed_phantoms", "write_followed_samples", "write_sample"]
