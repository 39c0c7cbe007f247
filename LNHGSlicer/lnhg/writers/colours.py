"""The colours of the heterogeneity map over the CT."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..core.resources import resource


def jet(values: np.ndarray) -> np.ndarray:
    """Colours of values 0..1 (clipped): uint8 `[..., 3]` RGB, from blue (weak) over green and yellow to red (strong).

    The colours are those of the colour table file that Slicer loads, chosen as Slicer does for a window of 0..1.
    """
    colours = _colour_table()
    index = np.nan_to_num(np.asarray(values, float) * len(colours)).clip(0, len(colours) - 1)
    return colours[index.astype(int)]


@lru_cache(maxsize=1)
def _colour_table() -> np.ndarray:
    """uint8 `[256, 3]`; lines of the file are `index name red green blue opacity`."""
    lines = resource("Colors", "LNHG-Heterogeneity.ctbl").read_text(encoding="utf-8").splitlines()
    return np.array([line.split()[2:5] for line in lines if line.strip() and not line.startswith("#")], np.uint8)


def overlay(
    ct_slice: np.ndarray, heterogeneity_slice: np.ndarray, window: tuple[float, float] = (-1000.0, 400.0)
) -> np.ndarray:
    """One slice as a picture: the CT in grey, coloured where the map is not negative; uint8 `[row, column, 3]`.

    Args:
        ct_slice: HU `[row, column]`.
        heterogeneity_slice: a map `[row, column]`, negative outside the nodules.
        window: HU shown black and white.
    """
    low, high = window
    grey = ((ct_slice.astype(np.float32) - low) / (high - low) * 255).clip(0, 255).astype(np.uint8)
    shown = (heterogeneity_slice >= 0)[..., None]
    return np.where(shown, jet(heterogeneity_slice), grey[..., None])
