"""What the method says to who types commands, said to who clicks."""

from __future__ import annotations

import re

from slicer.i18n import tr as _

from .parameters import words

# An option of the command line, and a choice after it.
_OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)(?: ([a-z]+))?")


def labels() -> dict[str, str]:
    """What the panel calls the options of its section Advanced."""
    return {
        "device": _("Run on"),
        "runtime": _("Computed by"),
        "threads": _("CPU threads"),
        "batch_size": _("Batch"),
        "score_threshold": _("Lowest probability"),
        "minimum_diameter": _("Smallest diameter"),
        "generator_threshold": _("Generator threshold"),
        "edge": _("Outline ends at"),
        "fusion": _("Fusion"),
        "triplets": _("Slices seen together"),
        "heterogeneity": _("Map"),
        "rim": _("Rim"),
        "hide_rim": _("Leave the rim out of the map"),
        "full_generator": _("Run the generator on the whole scan"),
        "detector_alone": _("Candidates as the detector scores them"),
        "anywhere": _("Look outside the lungs too"),
    }


def in_panel_words(sentence: str) -> str:
    """The sentence with the panel's own fields in place of options of the command line, where it has them."""
    return _OPTION.sub(_field, sentence)


def _field(option: re.Match[str]) -> str:
    name, choice = option[1].replace("-", "_"), option[2]
    label = labels().get(name)
    if label is None:
        return option[0]
    known = words().get(name, {}).get(choice)
    field = _('"Advanced > {field}"').format(field=label if known is None else f"{label}: {known}")
    return field if known is not None or choice is None else f"{field} {choice}"
