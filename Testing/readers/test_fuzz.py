"""Headers damaged at random: each input is read on a sane grid or refused with one sentence; no crash, no hang."""

from __future__ import annotations

import pytest

from readers.fuzz import FORMATS, tried

# Inputs of each format: seconds in all; fuzz.py tries as many as asked for.
INPUTS = {
    **dict.fromkeys(("packed_dicom", "jpeg_ls_dicom", "jpeg_2000_dicom", "packed_enhanced_dicom"), 4),
    **dict.fromkeys(("joined_dicom", "zipped_dicom", "scene"), 30),
}


@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_headers_are_read_sanely_or_refused_with_a_sentence(kind: str) -> None:
    inputs = INPUTS.get(kind, 100)
    counts, faults = tried(kind, range(inputs))
    assert not faults
    assert counts["refused"] > 0 or inputs < 10
