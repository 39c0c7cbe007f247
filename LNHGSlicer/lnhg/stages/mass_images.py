"""Masses: candidates too wide for the generator's usual grid, which sees parts of them; they are shown on a coarser
grid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..core.candidate import Candidate
from ..core.ct import CT
from ..networks.grid import NetworkGrid
from .fusion import FusionRule, around, width_seen, window
from .generation import NoduleImage, Wanted

# A candidate wider than this, mm, is shown to the generator on a coarser grid, as if it were only so wide.
MASS_MM, SHOWN_AS_MM = 25.0, 15.0

#: G(x) on a grid, at places or (None) everywhere.
Generate = Callable[[NetworkGrid, Sequence[Wanted] | None], NoduleImage]


def image_with_masses(
    ct: CT,
    candidates: Sequence[Candidate],
    grid: NetworkGrid,
    rule: FusionRule,
    generate: Generate,
    *,
    everywhere: bool,
) -> NoduleImage:
    """G(x) around the candidates or everywhere, of masses on a coarser grid.

    A seed's boxes have no meaning: it is a mass if the generator's image around it, or the tissue, is as wide.
    """
    wide = _masses({c: c.width(ct) for c in candidates if c.seed is None})
    near = [c for c in candidates if c not in wide]
    image = generate(grid, None if everywhere else [wanted_at(c, ct, rule) for c in near])
    wide |= _masses({c: max(c.width(ct), width_seen(ct, image, c, rule)) for c in near if c.seed is not None})
    spared = [window(c, k, ct) for c in near if c not in wide for k in c.boxes]
    for mass, width in wide.items():
        box = around(mass, ct, rule.limit(mass, ct))
        coarser = grid.coarser(width / SHOWN_AS_MM, ct.hu.shape[1:], ct.spacing[:2])
        image.overlay(generate(coarser, [Wanted([box], box)]), box, spared)
    return image


def wanted_at(candidate: Candidate, ct: CT, rule: FusionRule) -> Wanted:
    """Where the generator is to run for a candidate."""
    return Wanted(
        boxes=[window(candidate, k, ct) for k in candidate.boxes],
        limit=around(candidate, ct, rule.limit(candidate, ct)),
        rule=rule,
        seeded=candidate.seed is not None,
    )


def is_mass(width: float) -> bool:
    """Whether a nodule so wide, mm, is shown to the generator on a coarser grid."""
    return width > MASS_MM


def _masses(widths: Mapping[Candidate, float]) -> dict[Candidate, float]:
    return {candidate: width for candidate, width in widths.items() if is_mass(width)}
