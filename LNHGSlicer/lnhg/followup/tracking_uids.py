"""One tracking identifier and UID for a nodule in all studies of a follow-up.

They come from the study that shows the nodule first: from the SHA-256 of its CT and from the place of the nodule in
it, to a millimetre. So a follow-up of A and B, and a later one of A, B and C, give a nodule the same; an outline whose
centre was moved by an edit gets another.
"""

from __future__ import annotations

import uuid
from pathlib import Path

from ..core.ct import fingerprint
from ..core.nodule import Tracking
from ..core.plain_file import mapping_of
from .follow import FollowUp
from .read_back import FILES

# Of the UIDs that are made here, by RFC 9562; any fixed one would do.
_NAMESPACE = uuid.UUID("6b0e4a3c-7f0d-5c53-9f37-0e6a5f1f6a11")


def trackings(follow_up: FollowUp) -> list[Tracking]:
    """Of each track of a follow-up."""
    cts = [fingerprint(study.result.ct.hu, study.result.ct.ijk_to_ras) for study in follow_up.studies]
    found = []
    for track in follow_up.tracks:
        first = next(number for number, label in enumerate(track) if label is not None)
        nodule = follow_up.nodule(track, first)
        assert nodule is not None
        place = ",".join(str(round(mm)) for mm in nodule.centre_ras)
        name = uuid.uuid5(_NAMESPACE, f"{cts[first]} {place}")
        found.append(Tracking(f"Nodule {name.hex[:8]}", f"2.25.{name.int}"))
    return found


def tracking_in(results: Path) -> dict[int, Tracking]:
    """Of each nodule of the results in a follow-up's folder, by its number; empty for results of anything else."""
    folder = results.absolute()
    try:
        record = mapping_of(folder.parent / FILES["record"])
        study = [one["folder"] for one in record["studies"]].index(folder.name)
        known = [(one["nodules"][study], Tracking(one["identifier"], one["uid"])) for one in record["tracking"]]
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return {}
    return {number: tracking for number, tracking in known if number is not None}
