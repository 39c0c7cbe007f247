"""What tells in DICOM that nodules of several studies are one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tracking:
    """The tracking identifier and the tracking UID of one nodule (DICOM PS3.16, TID 1419)."""

    identifier: str
    uid: str
