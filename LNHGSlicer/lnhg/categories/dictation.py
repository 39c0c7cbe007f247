"""The sentence that a radiologist would dictate of a nodule, from a template that the user can change."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from ..core.lobes import AT_FISSURE, LOBES
from ..core.nodule import NOT_MEASURED
from ..options import SENTENCE
from .facts import PART_SOLID
from .proposals import Proposal, benign_hints


def dictated(proposal: Proposal, template: str = SENTENCE) -> str:
    """The sentence of a nodule: names in braces are filled in, and parts in square brackets are left out where
    something in them is not known; outside of brackets `not known` stands in its place.
    """
    words = _words(proposal)

    def optional(part: re.Match[str]) -> str:
        names = re.findall(r"\{(\w+)\}", part[1])
        return _filled(part[1], words) if all(words[name] for name in names) else ""

    sentence = _filled(re.sub(r"\[([^\[\]]*)\]", optional, template), words)
    return sentence[:1].upper() + sentence[1:]


def _filled(text: str, words: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda name: words[name[1]] or _missing(name[1]), text)


def _missing(name: str) -> str:
    return "" if name == "at_least" else "not known"


def _words(proposal: Proposal) -> dict[str, str]:
    """A text for each of `SENTENCE_FIELDS`; empty where it is not known."""
    nodule, facts = proposal.nodule, proposal.facts
    mean, volume = facts.mean_diameter_interval or (math.nan,) * 2, facts.volume_interval or (math.nan,) * 2
    return {
        "number": str(nodule.id),
        "place": _place(proposal),
        "side": "" if nodule.side in ("unknown", NOT_MEASURED) else nodule.side,
        "lobe": nodule.lobe if _has_lobe(nodule.lobe) else "",
        "type": nodule.type,
        "at_least": nodule.at_least,
        "long": _number(nodule.long_axis, 1),
        "short": _number(nodule.short_axis, 1),
        "mean": _number(nodule.mean_axis, 1),
        "mean_low": _number(mean[0], 1),
        "mean_high": _number(mean[1], 1),
        "solid": _number(nodule.solid_diameter or None, 1) if nodule.type == PART_SOLID else "",
        "volume": _number(nodule.volume, 0),
        "volume_low": _number(volume[0], 0),
        "volume_high": _number(volume[1], 0),
        "course": proposal.course or "",
        "change": proposal.change,
        "doubling_days": _number(facts.doubling_days, 0),
        "hints": ", ".join(benign_hints(nodule)),
        "slice": str(nodule.slice),
        "lung_rads": proposal.lung_rads.value,
        "fleischner": proposal.fleischner.value,
        "fleischner_step": proposal.fleischner.ruling.next_step,
        "bts": proposal.bts.value,
        "bts_step": proposal.bts.ruling.next_step,
        "brock": proposal.brock.text,
    }


def _place(proposal: Proposal) -> str:
    """The lobe; two at a fissure; else the side and the third of the lung, as far as they are known."""
    nodule = proposal.nodule
    if _has_lobe(nodule.lobe):
        first, *other = nodule.lobe.split(AT_FISSURE)
        return first + (f" at the fissure to the {other[0]}" if other else "")
    side = f"{nodule.side} lung" if nodule.side in ("right", "left") else "lung, side not known"
    return f"{side}, {nodule.third} third" if nodule.third in ("upper", "middle", "lower") else side


def _has_lobe(lobe: str) -> bool:
    return lobe.split(AT_FISSURE)[0] in LOBES


def _number(value: float | None, digits: int) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.{digits}f}"
