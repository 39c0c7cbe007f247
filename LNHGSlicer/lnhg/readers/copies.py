"""Slices that lie in a folder several times, as where files were copied twice under other names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable

from ..core.seal import digest_of_file
from .dicom_headers import Slice


def without_copies(slices: Iterable[Slice]) -> list[Slice]:
    """The slices, but of files that are alike byte for byte the first alone. Raises OSError where one cannot be
    read.
    """
    held = list(slices)
    counts = Counter(map(_told, held))
    digests = {file: digest_of_file(file) for file in {one.file for one in held if counts[_told(one)] > 1}}
    own: dict[Hashable, Slice] = {}
    for one in held:
        content: Hashable = digests.get(one.file, one.file)  # of most slices, that nothing else tells the same
        own.setdefault((content, one.frame), one)
    return list(own.values())


def _told(one: Slice) -> Hashable:
    """What copies have in common, told without reading a file whole."""
    return one.texts["SOPInstanceUID"], one.frame, one.position
