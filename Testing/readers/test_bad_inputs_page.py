"""The page of bad inputs names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

TESTING = Path(__file__).resolve().parents[1]
PAGE = TESTING.parent / "docs" / "bad_inputs.md"


def test_every_row_names_a_test_that_is_there() -> None:
    rows = [row for row in PAGE.read_text(encoding="utf-8").splitlines() if row.startswith("|") and "|---" not in row]
    named = [re.search(r"`([\w/]+\.py)::(\w+)` \|$", row) for row in rows if not row.endswith("| test |")]
    assert named and all(named)
    for one in named:
        assert one is not None and f"def {one[2]}(" in (TESTING / one[1]).read_text(encoding="utf-8"), one[0]
