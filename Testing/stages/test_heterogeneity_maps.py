"""The map of unevenness: what it shows in even and uneven nodules, its kinds and ranges, its legend."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from lnhg.core.ct import CT
from lnhg.errors import InputError
from lnhg.networks.grid import NetworkGrid
from lnhg.options import Options
from lnhg.stages.generation import generate
from lnhg.stages.heterogeneity_from_ct import unevenness
from lnhg.stages.heterogeneity_from_twin import even_twin, twin_differences
from lnhg.stages.heterogeneity_legend import full_scale, how_to_read, legend_ends, map_title
from lnhg.stages.heterogeneity_maps import MapInput, nodule_map, outlines_of, raw_map
from lnhg.stages.scan_noise import noise_level

SPACING = (0.7, 0.7, 1.25)
GRID = np.diag([-0.7, -0.7, 1.25, 1.0])


def _distance(centre=(0.0, 0.0, 0.0), shape=(25, 61, 61), spacing=SPACING) -> np.ndarray:
    axes = [(np.arange(n) - n // 2) * step - c for n, step, c in zip(shape, spacing[::-1], centre, strict=True)]
    return np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij")))


def _nodule(
    radius: float,
    spot_hu: float = 0.0,
    noise: float = 20.0,
    spacing=SPACING,
    tissue: float = 40.0,
    spot_mm: float = 2.5,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """HU of a nodule in lung with a spot beside its middle, its labels, and which voxels are the spot."""
    distance = _distance(spacing=spacing)
    spot = _distance((0, 2, 2), spacing=spacing) < spot_mm
    clean = np.where(distance < radius, tissue + spot_hu * spot, -860.0)
    blurred = ndimage.gaussian_filter(clean, [0.5 / step for step in spacing[::-1]])
    hu = blurred + np.random.default_rng(3).normal(0, noise, clean.shape)
    return np.rint(hu).astype(np.int16), (distance < radius).astype(np.uint8), spot & (distance < radius)


def _map(hu: np.ndarray, labels: np.ndarray, options: Options | None = None, spacing=SPACING) -> np.ndarray:
    return nodule_map(MapInput(hu, spacing), outlines_of(labels), options or Options()).whole()


@pytest.mark.parametrize("radius", [2.0, 3.0, 5.0, 10.0])
@pytest.mark.parametrize("noise", [10.0, 40.0])
def test_an_even_nodule_is_blue_whatever_its_size_and_the_noise(radius, noise):
    hu, labels, _ = _nodule(radius, noise=noise)
    h = _map(hu, labels)
    assert h[labels == 1].mean() < 0.12
    assert (h[labels == 0] == -1).all()


@pytest.mark.parametrize("spot_hu", [-150.0, 150.0])
def test_a_spot_stands_out_whether_it_is_darker_or_brighter(spot_hu):
    hu, labels, spot = _nodule(8.0, spot_hu)
    h = _map(hu, labels)
    assert h[spot].mean() > 0.5
    assert h[spot].mean() > 10 * h[(labels == 1) & ~ndimage.binary_dilation(spot, iterations=2)].mean()


def _unevenness(hu: np.ndarray, labels: np.ndarray) -> float:
    ((box, mask),) = outlines_of(labels).values()
    return unevenness(hu, box, mask, SPACING)


def test_unevenness_is_near_zero_in_even_nodules_and_rises_with_what_differs():
    for radius in (2.0, 3.0, 5.0, 10.0):
        assert _unevenness(*_nodule(radius)[:2]) < 15
    even, weak, strong = (_unevenness(*_nodule(6.0, spot)[:2]) for spot in (0.0, -100.0, -300.0))
    assert even < weak < strong
    assert strong > 10


def test_unevenness_hardly_changes_with_an_outline_that_is_drawn_wider():
    hu, labels, _ = _nodule(8.0, -300.0)
    wider = (_distance() < 8.5).astype(np.uint8)
    assert _unevenness(hu, wider) == pytest.approx(_unevenness(hu, labels), rel=0.15)


def test_a_nodule_of_one_voxel_has_an_unevenness():
    hu, labels, _ = _nodule(0.3)
    assert labels.sum() == 1
    assert np.isfinite(_unevenness(hu, labels))


def test_a_spot_in_ground_glass_stands_out_too():
    hu, labels, spot = _nodule(8.0, 400.0, tissue=-600.0)
    assert _map(hu, labels)[spot].mean() > 0.9


@pytest.mark.parametrize("slice_mm", [1.25, 5.0])
def test_of_a_part_solid_nodule_the_smaller_part_is_red_and_the_larger_blue(slice_mm):
    spacing = (0.7, 0.7, slice_mm)
    distance = _distance(spacing=spacing)
    labels = (distance < 10).astype(np.uint8)
    for solid_mm in (4.0, 8.5):
        clean = np.select([distance < solid_mm, distance < 10], [30.0, -600.0], -860.0)
        blurred = ndimage.gaussian_filter(clean, [0.5 / step for step in spacing[::-1]])
        hu = np.rint(blurred + np.random.default_rng(4).normal(0, 25, clean.shape)).astype(np.int16)
        h = _map(hu, labels, spacing=spacing)
        middle, ground_glass = distance < solid_mm - 2, (distance > solid_mm + 0.7) & (distance < 9)
        if solid_mm == 4.0:
            assert h[middle].mean() > 0.9, "a small solid part in ground glass"
            assert h[ground_glass].mean() < 0.2
        else:
            assert h[middle].mean() < 0.1, "a solid nodule with a thin halo"


def test_slices_of_5_mm_make_no_even_nodule_red():
    spacing = (0.7, 0.7, 5.0)
    hu, labels, _ = _nodule(9.0, spacing=spacing)
    assert _map(hu, labels, spacing=spacing)[labels == 1].mean() < 0.12


def test_the_map_of_one_nodule_does_not_change_with_another_in_the_scan():
    hu, labels, _ = _nodule(6.0, 100.0)
    strong, its_labels, _ = _nodule(6.0, 600.0)
    both, all_labels = np.concatenate([hu, strong]), np.concatenate([labels, 2 * its_labels])
    np.testing.assert_allclose(_map(both, all_labels)[:25], _map(hu, labels), atol=1e-6)
    over_scan = _map(both, all_labels, Options(normalisation="scan"))
    assert over_scan[all_labels == 1].max() < 0.5 < over_scan[all_labels == 2].max() == 1


def test_with_the_range_of_each_nodule_its_strongest_spot_is_1():
    hu, labels, _ = _nodule(6.0, 60.0)
    assert _map(hu, labels, Options(normalisation="nodule")).max() == 1
    assert _map(hu, labels).max() < 1


def test_beside_it_the_raw_ct_shows_the_distance_from_the_median_noise_and_all():
    hu, labels, spot = _nodule(8.0, 75.0, noise=0.0)
    raw = raw_map(MapInput(hu, SPACING), outlines_of(labels), Options()).whole()
    middle = ndimage.binary_erosion(spot, iterations=2)
    assert raw[middle] == pytest.approx(0.5, abs=0.1)  # 75 of 150 HU


def test_noise_is_measured_where_there_is_lung_and_edges():
    hu, _, _ = _nodule(6.0, noise=30.0)
    assert noise_level(hu.astype(float)) == pytest.approx(30, rel=0.15)


# ---------------------------------------------------------------- kinds and options


def test_the_papers_fusion_shows_the_papers_map_unless_another_is_asked_for():
    assert (Options().map_kind, Options().map_range) == ("deviation", "fixed")
    assert (Options(fusion="paper").map_kind, Options(fusion="paper").map_range) == ("inverse", "scan")
    assert Options(fusion="paper", heterogeneity="twin").map_kind == "twin"


@pytest.mark.parametrize(
    ("kind", "map_range"), [("auto", "slice"), ("twin", "slice"), ("inverse", "fixed"), ("intensity", "fixed")]
)
def test_a_range_that_a_kind_has_not_is_refused_with_those_that_it_has(kind, map_range):
    with pytest.raises(InputError, match=f"has no range {map_range}; choose .*nodule"):
        Options(heterogeneity=kind, normalisation=map_range)


@pytest.mark.parametrize("kind", ["twin", "inverse"])
def test_a_map_that_needs_the_generator_is_refused_without_it(kind):
    hu, labels, _ = _nodule(4.0)
    with pytest.raises(InputError, match=r"generator.*segment the CT again"):
        _map(hu, labels, Options(heterogeneity=kind))


@pytest.mark.parametrize("kind", ["deviation", "twin", "inverse", "intensity"])
def test_every_kind_has_a_legend_that_says_what_its_ends_mean(kind):
    options = Options(heterogeneity=kind)
    assert len({*legend_ends(options), map_title(options), full_scale(options), how_to_read(options)}) == 5
    assert "150 HU" in legend_ends(Options())[1]
    assert "strongest spot of this nodule" in full_scale(Options(normalisation="nodule"))


# ---------------------------------------------------------------- twin


def _brightness(tiles: np.ndarray) -> np.ndarray:
    """A generator that gives back the middle of what it sees, so that differences are those of the CT."""
    return tiles.astype(np.float32)


def _twins(hu: np.ndarray, labels: np.ndarray) -> np.ndarray:
    ct = CT(hu, GRID)
    grid = NetworkGrid("fixed", 1.4, (-1000.0, 400.0))

    def on(one: CT):
        return lambda some_grid, places: generate(one, _brightness, some_grid, places, reach=8, triplets="neighbouring")

    outlines = outlines_of(labels)
    (box, mask), found = outlines[1], twin_differences(ct, outlines, grid, on)[1]
    whole = np.zeros(hu.shape, np.float32)
    whole[box] = np.where(mask, found, 0)
    return whole


def test_the_even_twin_has_the_median_inside_the_noise_of_the_scan_and_the_ct_outside():
    hu, labels, spot = _nodule(8.0, 300.0, noise=25.0)
    twin = even_twin(CT(hu, GRID), outlines_of(labels)).hu
    middle = _distance() < 6
    assert twin[middle].mean() == pytest.approx(np.median(hu[middle]), abs=8)
    assert twin[middle].std() == pytest.approx(25, rel=0.3)
    np.testing.assert_array_equal(twin[labels == 0], hu[labels == 0])
    assert hu[spot].mean() > 250


def test_the_twin_shows_the_spot_and_neither_rim_nor_size():
    hu, labels, spot = _nodule(8.0, 300.0, noise=5.0, spot_mm=4.0)
    shown = _twins(hu, labels)
    assert shown[spot].mean() > 5 * shown[(labels == 1) & ~ndimage.binary_dilation(spot, iterations=3)].mean()


def test_a_nodule_as_wide_as_a_mass_has_a_twin_too():
    distance = _distance(shape=(25, 91, 91))
    hu = np.rint(np.where(distance < 14, 40.0 + 300 * (distance < 5), -860.0)).astype(np.int16)
    labels = (distance < 14).astype(np.uint8)
    shown = _twins(hu, labels)
    assert shown[distance < 3].mean() > 5 * shown[(distance > 9) & (distance < 13)].mean()
