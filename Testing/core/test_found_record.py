"""A nodule that was found while a run goes on, on its way through a line of JSON."""

from __future__ import annotations

import json

import numpy as np

from lnhg.core.found_record import as_record, found_of_record
from lnhg.progress import Found


def test_a_found_nodule_comes_out_of_a_line_as_it_went_in() -> None:
    mask = np.random.default_rng(0).random((3, 7, 5)) < 0.5
    found = Found((4, 0, 511), mask, 0.87, 6.25, (-12.5, 80.0, -301.25))
    back = found_of_record(json.loads(json.dumps(as_record(found))))
    np.testing.assert_array_equal(back.mask, mask)
    assert back.mask.dtype == bool
    figures = ("corner", "probability", "diameter", "centre_ras")
    assert [getattr(back, name) for name in figures] == [getattr(found, name) for name in figures]


def test_the_line_of_a_large_mass_is_short() -> None:
    """100 mm in thin slices: a pipe takes it at once."""
    grid = np.indices((140, 140, 140)) - 70
    assert len(json.dumps(as_record(Found((0, 0, 0), (grid**2).sum(0) < 4900, 1.0, 100.0, (0.0, 0.0, 0.0))))) < 40_000
