"""What `lnhg prepare` reads from: each kind of source lists the scans that it holds, to be read one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .cache import FORMAT, PreparedScan


@dataclass(frozen=True, eq=False)
class Job:
    """One scan or cut-out to be read.

    Attributes:
        name: of the scan in the cache.
        files: what it is read from.
        read: reads it; may run in another process.
        outlines: digest of outlines that are not in `files`.
        series_uid: as in `PreparedScan`.
    """

    name: str
    files: tuple[Path, ...]
    read: Callable[[], PreparedScan]
    outlines: str = ""
    series_uid: str | None = None

    @property
    def stamp(self) -> str:
        """Changes when the scan's files or outlines do."""
        stats = [(file.name, file.stat()) for file in self.files]
        sizes = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
        return hashlib.sha256(repr((FORMAT, self.name, sizes, self.outlines)).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Source:
    """What a source holds.

    Attributes:
        kind: in words.
        jobs: what can be read.
        broken: why a scan cannot be, by its place in the source.
        left_out: why something that is no usable scan by design is left out, likewise.
    """

    kind: str
    jobs: tuple[Job, ...]
    broken: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
