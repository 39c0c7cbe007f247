"""What the colours of a map mean, in the same words in the module, the report, the picture and the scene."""

from __future__ import annotations

from ..options import Options
from .heterogeneity_from_ct import FULL_SCALE_HU
from .heterogeneity_maps import FULL_SCALE_TWIN

_NAMES = {
    "deviation": "Unevenness",
    "twin": "Unevenness in G(x)",
    "inverse": "Heterogeneity h(x)",
    "intensity": "Intensity of G(x)",
}
_RANGES = {
    "fixed": "the same range in every scan",
    "scan": "range of all nodules of this scan",
    "nodule": "range of each nodule by itself",
    "slice": "range of each whole axial slice, as in the paper",
}


def map_title(options: Options) -> str:
    """Title of the legend: which map, over what range."""
    with_rim = ", hidden rim included" if options.hide_rim and options.map_range in ("scan", "nodule") else ""
    return f"{_NAMES[options.map_kind]} ({_RANGES[options.map_range]}{with_rim})"


def legend_ends(options: Options) -> tuple[str, str]:
    """What the blue and the red end of the colours mean."""
    kind = options.map_kind
    if kind == "inverse":
        return "weak: G(x) near its maximum", "strong: G(x) far below its maximum"
    if kind == "intensity":
        return "G(x) near its minimum", "G(x) near its maximum"
    end = {"fixed": f"{FULL_SCALE_HU:g} HU and more", "nodule": "the strongest spot", "scan": "the strongest spot"}
    strong = f"{FULL_SCALE_TWIN:.0%} of G(x) and more" if (kind, options.map_range) == ("twin", "fixed") else ""
    return "as even as a uniform nodule", f"strongly uneven: {strong or end[options.map_range]}"


def legend_text(options: Options) -> tuple[str, str, str]:
    """The legend in words: which map, and what the values 0 and 1 mean."""
    low, high = legend_ends(options)
    return map_title(options), f"0 = {low}", f"1 = {high}"


def what_the_rim_shows(options: Options) -> str:
    """What to make of the colours in the outer layer of a nodule."""
    if options.hide_rim:
        return "it is left out of the map"
    if options.map_kind == "deviation":
        return "it is paler, since an outline is never exact there: only large differences show"
    if options.map_kind == "twin":
        return "it is paler, since nothing was changed there for the second image"
    return (
        "it is paler, since partial volume and interpolation alone change the values there: do not read it as biology"
    )


def full_scale(options: Options) -> str:
    """What the value 1 of the map means."""
    kind, map_range = options.map_kind, options.map_range
    if kind == "inverse":
        return "G(x) at the lower end of its range"
    if kind == "intensity":
        return "G(x) at the upper end of its range"
    if map_range == "nodule":
        return "the strongest spot of this nodule"
    if map_range == "scan":
        return "the strongest spot of all nodules"
    if kind == "twin":
        return f"{FULL_SCALE_TWIN:.0%} of the largest G(x) in the nodule"
    return f"{FULL_SCALE_HU:g} HU or more from the nodule's typical tissue"


def how_to_read(options: Options) -> str:
    """What a map of this kind shows, in two or three sentences."""
    kind = options.map_kind
    if kind == "deviation":
        return (
            "The map shows where the CT of a nodule differs from the nodule's own typical tissue (the median HU in its "
            "core) by more than noise and the blur of its edge explain, brighter or darker alike. It is made from the "
            "CT alone, without a network. Near the surface only large differences show, since an outline is never "
            "exact."
        )
    if kind == "twin":
        return (
            "The generator sees the CT twice: as it is, and with the inside of the nodule set to its own typical "
            "tissue with the scan's noise. The map shows by how much the two images G(x) differ."
        )
    formula = "(G(x) - min) / (max - min)"
    return (
        f"The map is {'1 - ' if kind == 'inverse' else ''}{formula}, where G(x) is the generator's image of the "
        "nodules, as in the paper. Rim, small size and doubt of the generator are red too; it does not show where "
        "tissue is uneven better than chance."
    )
