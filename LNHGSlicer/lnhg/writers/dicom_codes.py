"""Categories and places of nodules in coded terms, for DICOM's structured reports.

Lobes and sides have codes of SNOMED CT. For the categories of guidelines no public code is known to us; theirs are our
own, of the scheme 99LNHG.
"""

from __future__ import annotations

from typing import Any

from pydicom.sr.coding import Code

from ..categories.category import NOT_FOR_THIS
from ..categories.proposals import Proposal
from ..core.lobes import AT_FISSURE
from ..core.nodule import Nodule

#: The scheme of our own codes.
OWN_SCHEME = "99LNHG"
LUNG = Code("39607008", "SCT", "Lung")
_RIGHT, _LEFT = Code("24028007", "SCT", "Right"), Code("7771000", "SCT", "Left")
SIDES = {"right": _RIGHT, "left": _LEFT}
_UPPER, _LOWER = Code("45653009", "SCT", "Upper lobe of lung"), Code("90572001", "SCT", "Lower lobe of lung")
_LOBES = {
    "right upper lobe": (_UPPER, _RIGHT),
    "right middle lobe": (Code("72481006", "SCT", "Middle lobe of right lung"), None),
    "right lower lobe": (_LOWER, _RIGHT),
    "left upper lobe": (_UPPER, _LEFT),
    "left lower lobe": (_LOWER, _LEFT),
}
_SYSTEMS = {
    "Lung-RADS 2022": Code("lung-rads-2022", OWN_SCHEME, "Lung-RADS 2022 category, proposed by rule"),
    "Fleischner 2017": Code("fleischner-2017", OWN_SCHEME, "Fleischner 2017 class, proposed by rule"),
    "BTS 2015": Code("bts-2015", OWN_SCHEME, "BTS 2015 next step, proposed by rule"),
}
_COURSE = Code("course", OWN_SCHEME, "Course of the nodule against earlier CT")
# A code holds at most 16 characters: how the words of a category are shortened, in this order.
_SHORT = (
    ("solid part of 6 mm or more", "PGE6"),
    ("solid part under 6 mm", "PLT6"),
    ("part-solid", "PS"),
    ("ground glass", "GG"),
    ("solid", "S"),
    ("single", "1"),
    ("multiple", "N"),
    ("under 6 mm", "LT6"),
    ("6 to 8 mm", "6TO8"),
    ("over 8 mm", "GT8"),
    ("6 mm or more", "GE6"),
    ("surveillance", "SURV"),
    ("observation", "OBS"),
    ("treatment", "TREAT"),
    ("discharge", "DISCH"),
    ("discussed", "DISC"),
    ("risk to be assessed", "RISK-OPEN"),
    ("slowly growing", "SLOW-GROWTH"),
    ("larger, rate not known", "LARGER-RATE-OPEN"),
    ("growing", "GROWS"),
    ("within the uncertainty", "UNSURE"),
    (NOT_FOR_THIS, "NA"),
    (" or higher", "+"),
    (" or larger", "+"),
    (" or more", "+"),
    (", ", "-"),
    (" ", "-"),
)
_MOST = 16


def sites(nodule: Nodule) -> list[tuple[Code, Code | None]]:
    """Where a nodule lies, each place with its side: its lobes where they are known, else the lung."""
    lobes = [_LOBES[name] for name in nodule.lobe.split(AT_FISSURE) if name in _LOBES]
    return lobes or [(LUNG, SIDES.get(nodule.side))]


def evaluations(proposal: Proposal) -> list[tuple[Code, Code]]:
    """What is proposed of a nodule, and its course: pairs of what is told and its value."""
    told = [(_SYSTEMS[one.system], _own(one.value)) for one in proposal.categories]
    if proposal.course is not None:
        told.append((_COURSE, _own(proposal.course)))
    return told


def _own(meaning: str) -> Code:
    """A code of our own scheme for a category; its meaning is the category in words."""
    value: Any = meaning
    for words, short in _SHORT:
        value = value.replace(words, short)
    if len(value) > _MOST:
        raise ValueError(f"The code {value} of {meaning!r} is longer than DICOM allows.")
    return Code(value, OWN_SCHEME, meaning)
