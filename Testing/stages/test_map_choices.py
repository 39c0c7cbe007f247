"""Every kind of map with every range and rule of fusion: a map of a defined meaning, or a sentence why not."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from lnhg.cli import main
from lnhg.errors import InputError
from lnhg.options import PAPERS_KINDS, Options
from lnhg.stages.heterogeneity_from_ct import FULL_SCALE_HU, strength_hu
from lnhg.stages.heterogeneity_legend import full_scale, how_to_read, legend_text, map_title, what_the_rim_shows
from lnhg.stages.heterogeneity_maps import FULL_SCALE_TWIN, MapInput, nodule_map, outlines_of, raw_map

KINDS = ("auto", "deviation", "twin", "inverse", "intensity")
RANGES = ("auto", "fixed", "scan", "nodule", "slice")
CHOICES = list(itertools.product(KINDS, RANGES, ("scan", "paper")))
#: What each kind can be shown in, beside `auto`.
OFFERED = {
    **{kind: {"fixed", "scan", "nodule"} for kind in ("deviation", "twin")},
    **{kind: {"scan", "nodule", "slice"} for kind in PAPERS_KINDS},
}
SHAPE, SPACING = (24, 48, 48), (0.7, 0.7, 1.25)
BALLS = (((8, 16, 14), 8, 40), ((16, 32, 33), 6, -20))


def scan():
    """Two nodules with a spot in each, another G(x) in each, and what the kind `twin` takes from the generator."""
    random, (k, j, i) = np.random.default_rng(4), np.indices(SHAPE)
    hu, labels = random.normal(-850, 12, SHAPE), np.zeros(SHAPE, np.uint16)
    for label, ((z, y, x), radius, value) in enumerate(BALLS, 1):
        distance = np.hypot(np.hypot(j - y, i - x), 1.8 * (k - z))
        labels[distance <= radius] = label
        hu[distance <= radius] = value
        hu[np.hypot(np.hypot(j - y, i - x), 1.8 * (k - z)) <= radius / 3] += 180 * label
    image = np.where(labels > 0, 0.4 + 0.25 * labels + random.uniform(-0.1, 0.1, SHAPE), 0).astype(np.float32)
    outlines = outlines_of(labels)
    twins = {n: np.where(mask, image[box] / (2 * n), 0).astype(np.float32) for n, (box, mask) in outlines.items()}
    return MapInput(hu.astype(np.int16), SPACING, image, lambda asked: {n: twins[n] for n in asked}), outlines, labels


SCAN, OUTLINES, LABELS = scan()


def options_of(kind, map_range, fusion):
    try:
        return Options(heterogeneity=kind, normalisation=map_range, fusion=fusion)
    except InputError as error:
        return str(error)


@pytest.mark.parametrize(("kind", "map_range", "fusion"), CHOICES)
def test_a_range_that_a_kind_has_not_is_refused_with_those_that_it_has(kind, map_range, fusion):
    made = Options(heterogeneity=kind, fusion=fusion).map_kind
    told = options_of(kind, map_range, fusion)
    if map_range == "auto" or map_range in OFFERED[made]:
        assert isinstance(told, Options)
        return
    assert told.startswith(f"A map of the kind {made} has no range {map_range}; choose ")
    assert set(re.findall("fixed|scan|nodule|slice", told.partition("choose ")[2])) == OFFERED[made]


@pytest.mark.parametrize(("kind", "map_range", "fusion"), CHOICES)
def test_every_map_that_is_made_has_a_meaning_that_its_legend_tells(kind, map_range, fusion):
    options = options_of(kind, map_range, fusion)
    if not isinstance(options, Options):
        return
    values = nodule_map(SCAN, OUTLINES, options).whole()
    for made in (values, raw_map(SCAN, OUTLINES, options).whole()):
        assert (made[LABELS == 0] == -1).all()
        assert made[LABELS > 0].min() >= 0 and made[LABELS > 0].max() <= 1
    check_meaning(options, [values[n == LABELS] for n in OUTLINES])
    words = [*legend_text(options), full_scale(options), how_to_read(options), what_the_rim_shows(options)]
    assert len({*words}) == len(words) and all(words)


def check_meaning(options, parts):
    """That 0 and 1 are what the words of the range say."""
    largest, least = [float(part.max()) for part in parts], [float(part.min()) for part in parts]
    if options.map_range == "nodule":
        assert largest == pytest.approx([1, 1])
        assert not options.papers_map or least == pytest.approx([0, 0])
    elif options.map_range == "scan" and options.map_kind != "inverse":
        assert max(largest) == pytest.approx(1) and min(largest) < 0.95
    elif options.map_range == "scan":  # 0 is the largest G(x) of all nodules
        assert min(least) == pytest.approx(0) and max(least) > 0.05
    elif options.map_kind == "deviation":
        hu = [strength_hu(SCAN.hu, box, mask, SPACING)[mask] for box, mask in OUTLINES.values()]
        for part, expected in zip(parts, hu, strict=True):
            np.testing.assert_allclose(part, (expected / FULL_SCALE_HU).clip(0, 1), atol=1e-6)
    elif options.map_kind == "twin":
        twins = SCAN.twins(OUTLINES)
        for part, (n, (_, mask)) in zip(parts, OUTLINES.items(), strict=True):
            np.testing.assert_allclose(part, (twins[n][mask] / FULL_SCALE_TWIN).clip(0, 1), atol=1e-6)
    else:
        assert options.map_range == "slice" and options.everywhere


@pytest.mark.parametrize("kind", KINDS[1:])
def test_where_the_rim_is_hidden_the_legend_says_that_it_counts_in_a_range_of_nodules(kind):
    for map_range in OFFERED[kind]:
        title = map_title(Options(heterogeneity=kind, normalisation=map_range, hide_rim=True))
        assert ("hidden rim included" in title) == (map_range in ("scan", "nodule"))
        assert "hidden rim" not in map_title(Options(heterogeneity=kind, normalisation=map_range))


@pytest.mark.parametrize(("kind", "map_range"), [("deviation", "slice"), ("twin", "slice"), ("inverse", "fixed")])
def test_the_command_line_refuses_before_it_reads_the_ct_and_writes_nothing(kind, map_range, tmp_path, capsys):
    words = ["segment", str(tmp_path / "no.nrrd"), "--output", str(tmp_path / "out")]
    assert main([*words, "--heterogeneity", kind, "--normalisation", map_range]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert f"A map of the kind {kind} has no range {map_range}" in told
    assert not (tmp_path / "out").exists()
