"""The generate stage: tiles around regions give what the whole CT would give, for every component that touches a
region.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from lnhg.core.candidate import Candidate
from lnhg.core.ct import CT
from lnhg.data.scans import read_scan
from lnhg.networks.architecture import DetectorArchitecture
from lnhg.networks.detector import build_detector
from lnhg.networks.folding import fold_batch_norms, for_tiles
from lnhg.networks.generator import Generator
from lnhg.networks.grid import NetworkGrid
from lnhg.networks.torch_models import load_models
from lnhg.networks.unet import UNet
from lnhg.options import Options
from lnhg.pipeline import segment
from lnhg.stages.fusion import FusionRule, fuse_scan
from lnhg.stages.generation import NoduleImage, Region, Wanted, _tiles, generate, on_grid
from lnhg.stages.mass_images import wanted_at

_GRID = NetworkGrid("fixed", 1.0)
_SPREAD = NetworkGrid("fixed", 1.0, slice_mm=5.0)  # every second slice of `_ct`
_BETWEEN = NetworkGrid("fixed", 1.0, slice_mm=3.75)  # every one and a half slices of `_ct`
_EVERYWHERE: Region = (slice(0, 9999), slice(0, 9999), slice(0, 9999))
_CORNERS = np.ones((3, 3, 3))

Run = Callable[[np.ndarray], np.ndarray]


def _places(boxes: Sequence[Region], threshold: float, limit: Region = _EVERYWHERE) -> list[Wanted]:
    """Places at which components above one threshold are followed."""
    return [Wanted([box], limit, FusionRule(threshold)) for box in boxes]


def _ct(hu: np.ndarray, spacing: float = 0.7) -> CT:
    return CT(hu.astype(np.int16), np.diag([-spacing, -spacing, 2.5, 1.0]))


def _cloudy(shape: tuple[int, int, int]) -> CT:
    """Soft blobs of many sizes."""
    noise = np.random.default_rng(3).standard_normal(shape)
    cloud = ndimage.gaussian_filter(noise, (0.7, 2.5, 2.5)) + ndimage.gaussian_filter(noise, (0.4, 1, 1)) / 4
    return _ct(-500 + 350 * cloud / cloud.std())


@pytest.fixture(scope="module")
def cloudy() -> CT:
    return _cloudy((8, 61, 74))


@pytest.fixture(scope="module")
def network() -> Run:
    """A random generator whose batch norm has seen the data."""
    torch.manual_seed(5)
    generator = Generator(width=3)
    with torch.no_grad():
        for _ in range(4):
            generator.train()(torch.rand(4, 1, 3, 24, 24))
    generator.eval()

    def run(tiles: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return generator(torch.from_numpy(tiles)).numpy()

    return run


def _doubled(tiles: np.ndarray) -> np.ndarray:
    return 2 * tiles


def _middle(tiles: np.ndarray) -> np.ndarray:
    """A stand-in for the generator: every slice as it is."""
    return tiles


def _touching(image: np.ndarray, threshold: float, region: Region) -> np.ndarray:
    """Voxels of the components above the threshold with a voxel in the region."""
    labels, _ = ndimage.label(image > threshold, _CORNERS)
    touched = np.unique(labels[region])
    return np.isin(labels, touched[touched > 0])


@dataclass(frozen=True)
class _Whole:
    """G(x) computed everywhere, from what triplets, and a threshold that leaves separate components."""

    triplets: str
    grid: NetworkGrid
    image: np.ndarray
    threshold: float


@pytest.fixture(
    scope="module",
    params=[
        ("averaged", _GRID),
        ("averaged", _SPREAD),
        ("averaged", _BETWEEN),
        ("overlapping", _BETWEEN),
        ("paper", _GRID),
    ],
    ids=lambda param: f"{param[0]}, {param[1].slice_mm or 'neighbours'}",
)
def whole(request: pytest.FixtureRequest, cloudy: CT, network: Run) -> _Whole:
    triplets, grid = request.param
    image = generate(cloudy, network, grid, None, reach=8, triplets=triplets).on_ct_grid()
    return _Whole(triplets, grid, image, float(np.quantile(image, 0.93)))


@pytest.mark.parametrize("cell", [5, 24, 128])
def test_tiles_around_a_region_give_the_components_of_the_whole_ct(
    cloudy: CT, network: Run, whole: _Whole, cell: int
) -> None:
    everywhere, threshold = whole.image, whole.threshold
    regions: list[Region] = [
        (slice(2, 4), slice(20, 28), slice(30, 40)),
        (slice(6, 8), slice(50, 61), slice(64, 74)),
        (slice(0, 1), slice(0, 6), slice(44, 52)),
    ]
    expected = np.logical_or.reduce([_touching(everywhere, threshold, region) for region in regions])
    assert 100 < expected.sum() < (everywhere > threshold).sum()
    places = _places(regions, threshold)
    image = generate(cloudy, network, whole.grid, places, reach=8, triplets=whole.triplets, cell_px=cell).on_ct_grid()
    found = np.logical_or.reduce([_touching(image, threshold, region) for region in regions])
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(image[expected], everywhere[expected], atol=1e-5)
    # Where anything is shown at all, it is what the whole CT shows.
    np.testing.assert_allclose(image[image > 0], everywhere[image > 0], atol=1e-5)


@pytest.mark.parametrize("triplets", ["averaged", "overlapping", "paper"])
def test_the_tile_width_does_not_change_the_image(cloudy: CT, network: Run, triplets: str) -> None:
    one, other = (
        generate(cloudy, network, _GRID, None, reach=8, triplets=triplets, cell_px=cell).values for cell in (24, 128)
    )
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_away_from_its_edge_the_image_is_the_networks_on_the_whole_slice(cloudy: CT, network: Run) -> None:
    values = generate(cloudy, network, _GRID, None, reach=8, triplets="overlapping", cell_px=20).values
    triplet = _GRID.sample(cloudy.hu[2:5], cloudy.spacing[:2])
    np.testing.assert_allclose(values[3, 8:-8, 8:-8], network(triplet[None, None])[0, 0, 1, 8:-8, 8:-8], atol=1e-5)


def test_an_averaged_slice_is_the_mean_of_the_three_triplets_that_hold_it(network: Run) -> None:
    cloudy = _cloudy((9, 61, 74))
    o = _GRID.sample(cloudy.hu, cloudy.spacing[:2])
    for grid, k, apart in ((_GRID, 4, 1), (_SPREAD, 4, 2)):
        values = generate(cloudy, network, grid, None, reach=8, cell_px=20).values
        triplets = [o[k - number * apart :: apart][:3] for number in range(3)]
        holding = [network(triplet[None, None])[0, 0, number] for number, triplet in enumerate(triplets)]
        np.testing.assert_allclose(values[k, 8:-8, 8:-8], np.mean(holding, axis=0)[8:-8, 8:-8], atol=1e-5)


def test_a_ct_thinner_than_a_triplet_shows_neighbours(cloudy: CT, network: Run) -> None:
    thin = replace(cloudy, hu=cloudy.hu[:5])  # 12.5 mm, less than three slices 5 mm apart
    chosen, neighbours = (
        generate(thin, network, _SPREAD, None, reach=8, triplets=triplets).values
        for triplets in ("averaged", "neighbouring")
    )
    np.testing.assert_array_equal(chosen, neighbours)
    thick = replace(cloudy, hu=cloudy.hu[:6])
    spread = generate(thick, network, _SPREAD, None, reach=8).values
    assert not np.array_equal(spread, generate(thick, network, _SPREAD, None, reach=8, triplets="neighbouring").values)


def test_neighbouring_triplets_are_those_of_weights_that_name_no_distance(cloudy: CT, network: Run) -> None:
    chosen = generate(cloudy, network, _SPREAD, None, reach=8, triplets="neighbouring").values
    np.testing.assert_array_equal(chosen, generate(cloudy, network, _GRID, None, reach=8).values)
    assert np.abs(chosen - generate(cloudy, network, _SPREAD, None, reach=8).values).max() > 1e-3


# A component that winds through many tiles
# ------------------------------------------------------------------------------


def _winding() -> np.ndarray:
    """One thread, four voxels thick, back and forth over the slice and up through all slices; bool `[6, 104, 90]`."""
    thread = np.zeros((6, 104, 90), bool)
    for turn, row in enumerate(range(8, 98, 22)):
        thread[turn, row : row + 4, 8:80] = True
        if row + 22 < 98:
            column = 76 if turn % 2 == 0 else 8
            thread[turn, row : row + 26, column : column + 4] = True
    return thread


_START: Region = (slice(0, 1), slice(6, 14), slice(6, 14))


def test_a_thread_through_many_tiles_is_followed_to_its_end_and_nothing_else_is_run() -> None:
    thread = _winding()
    other = np.zeros_like(thread)
    other[1, 84:88, 40:44] = True
    ct = _ct(np.where(thread | other, 400, -1000))
    image = generate(ct, _middle, _GRID, _places([_START], 0.4), reach=8, cell_px=9)
    everywhere = generate(ct, _middle, _GRID, None, reach=8).on_ct_grid()
    expected = _touching(everywhere, 0.4, _START)
    assert ndimage.label(everywhere > 0.4, _CORNERS)[1] == 2
    np.testing.assert_array_equal(image.on_ct_grid() > 0.4, expected)
    assert 0.2 < image.known.mean() < 0.9
    assert not image.known[1, 59:61, 28:31].any()


def test_a_thread_is_followed_inside_the_limits_only() -> None:
    ct = _ct(np.where(_winding(), 400, -1000))
    limit: Region = (slice(0, 6), slice(0, 50), slice(0, 90))
    image = generate(ct, _middle, _GRID, _places([_START], 0.4, limit), reach=8, cell_px=9)
    everywhere = generate(ct, _middle, _GRID, None, reach=8).on_ct_grid()
    np.testing.assert_array_equal(image.on_ct_grid()[:, :50] > 0.4, everywhere[:, :50] > 0.4)
    assert not image.known[:, 45:].any() and everywhere[:, 66:].any()  # 50 rows are 35 pixels; tiles are 9 wide


# Places with an edge of their own
# ---------------------------------------------------------------------------------------


def _labels(ct: CT, image: np.ndarray, candidates: Sequence[Candidate], rule: FusionRule) -> np.ndarray:
    return fuse_scan(ct, image, candidates, rule).labels


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("edge", ["peak", "fixed"])
def test_nodules_are_the_same_as_with_the_generator_run_everywhere(
    cloudy: CT, network: Run, whole: _Whole, seed: int, edge: str
) -> None:
    everywhere = whole.image
    rule = FusionRule(whole.threshold, 0.5, edge, lowest=float(np.quantile(everywhere, 0.8)), reach=6.0)
    random = np.random.default_rng(seed)
    candidates = [_candidate(random, cloudy) for _ in range(random.integers(1, 5))]
    places = [wanted_at(one, cloudy, rule) for one in candidates]
    image = generate(cloudy, network, whole.grid, places, reach=8, triplets=whole.triplets).on_ct_grid()
    np.testing.assert_array_equal(
        _labels(cloudy, image, candidates, rule), _labels(cloudy, everywhere, candidates, rule)
    )


def _candidate(random: np.random.Generator, ct: CT) -> Candidate:
    """A detection of the detector, or a seed, somewhere."""
    k, j, i = (int(random.integers(size)) for size in ct.hu.shape)
    half = float(random.uniform(2, 8))
    boxes = dict.fromkeys(range(max(0, k - 1), min(len(ct.hu), k + 2)), (i - half, j - half, i + half, j + half))
    return Candidate(boxes, float(random.uniform()), (i, j, k) if random.uniform() < 0.3 else None)


def test_a_place_without_an_edge_is_not_followed(cloudy: CT, network: Run) -> None:
    box: Region = (slice(3, 4), slice(20, 28), slice(30, 40))
    one = generate(cloudy, network, _GRID, [Wanted([box], _EVERYWHERE)], reach=8)
    other = generate(cloudy, network, _GRID, _places([box], 0.0), reach=8)
    assert one.known.sum() < 5 * 16 * 24 < other.known.sum()


# Seen on a coarser grid
# ---------------------------------------------------------------------------------------------------------


def _wider(ct: CT, factor: float) -> NetworkGrid:
    return _GRID.coarser(factor, ct.hu.shape[1:], ct.spacing[:2])


def test_what_wider_pixels_show_is_laid_over_the_same_place_and_nowhere_else() -> None:
    _, row, column = np.indices((6, 90, 80))
    slope = _ct(8 * row + 6 * column - 900)
    near = generate(slope, _middle, _GRID, None, reach=8)
    before, once = near.values.copy(), near.on_ct_grid()
    box, spared = (slice(1, 5), slice(20, 70), slice(15, 60)), (2, slice(30, 40), slice(20, 30))
    far = generate(slope, _doubled, _wider(slope, 2.0), [Wanted([box], box)], reach=8)
    near.overlay(far, box, [spared])
    changed = (near.on_ct_grid() / once)[1:5, 24:66, 19:56]
    assert changed[1, 7:15, 2:10] == pytest.approx(1, abs=1e-5), "what is spared keeps its values"
    changed[1, 4:18, :13] = 2
    assert changed == pytest.approx(2, abs=0.005)
    outside = np.ones(before.shape, bool)
    outside[on_grid(box, near.steps, before.shape)] = False
    np.testing.assert_array_equal(near.values[outside], before[outside])


def test_places_seen_from_afar_are_known_afterwards(cloudy: CT, network: Run) -> None:
    box: Region = (slice(2, 5), slice(10, 40), slice(10, 50))
    near = generate(cloudy, network, _GRID, [], reach=8)
    assert not near.known.any()
    far = generate(cloudy, network, _wider(cloudy, 1.7), [Wanted([box], box)], reach=8)
    near.overlay(far, box, [])
    assert near.known[2:5].any((1, 2)).all() and not near.known[[0, 1, 5, 6, 7]].any()
    assert near.on_ct_grid()[3, 12:38, 12:48].any()


# What a network asks of tiles
# -------------------------------------------------------------------------------------------


def test_the_form_for_tiles_gives_the_generators_values_and_nothing_at_the_border() -> None:
    torch.manual_seed(2)
    generator = Generator(width=3)
    with torch.no_grad():
        for _ in range(4):
            generator.train()(torch.rand(4, 1, 3, 24, 24))
    generator.eval()
    o = torch.rand(2, 1, 3, 40, 33)
    quick, reach, cell = for_tiles(generator)
    g = quick(o)
    assert (reach, cell, g.shape) == (8, 1, o.shape)
    torch.testing.assert_close(g[..., 8:-8, 8:-8], generator(o)[..., 8:-8, 8:-8], atol=1e-5, rtol=1e-5)
    assert not g[..., :8, :].any() and not g[..., -8:].any()


def test_batch_norm_is_folded_without_changing_the_detectors_finds() -> None:
    torch.manual_seed(4)
    detector = build_detector(DetectorArchitecture()).eval()
    images = [torch.rand(3, 96, 120)]
    maps = detector.backbone(torch.stack(images))
    fold_batch_norms(detector)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in detector.modules())
    for name, values in detector.backbone(torch.stack(images)).items():
        torch.testing.assert_close(values, maps[name], atol=1e-4, rtol=1e-4)


def test_tiles_of_a_network_that_pools_begin_on_its_cells(cloudy: CT) -> None:
    torch.manual_seed(3)
    network, reach, cell = for_tiles(UNet(width=2).eval())
    region: Region = (slice(2, 5), slice(9, 33), slice(31, 50))

    def run(tiles: np.ndarray) -> np.ndarray:
        assert tiles.shape[-1] % 4 == tiles.shape[-2] % 4 == 0
        with torch.inference_mode():
            return network(torch.from_numpy(tiles)).numpy()

    around = generate(cloudy, run, _GRID, _places([region], np.inf), reach=reach, cell=cell, cell_px=6)
    everywhere = generate(cloudy, run, _GRID, None, reach=reach, cell=cell)
    assert 0 < around.known.sum() < around.known.size / 2
    np.testing.assert_allclose(around.values[around.known], everywhere.values[around.known], atol=1e-5)


@pytest.mark.parametrize("seed", range(20))
def test_tiles_cover_what_is_asked_for_and_join_where_that_is_less_work(seed: int) -> None:
    random = np.random.default_rng(seed)
    cells = random.random((12, 15)) < random.uniform(0.05, 0.9)
    covered = np.zeros_like(cells)
    tiles = _tiles(cells, 1.0, 9)
    for y0, y1, x0, x1 in tiles:
        covered[y0:y1, x0:x1] = True
        assert y1 - y0 <= 9 and x1 - x0 <= 9
    assert (covered | ~cells).all()
    assert sum((y1 - y0 + 1) * (x1 - x0 + 1) for y0, y1, x0, x1 in tiles) <= 4 * cells.sum()


# Thin slices
# --------------------------------------------------------------------------------------------------------------


def _in_slices(ct: CT, slice_mm: float) -> CT:
    """The CT in slices so many mm apart, linearly interpolated from its first to its last."""
    at = np.arange(0, len(ct.hu) - 1 + 1e-6, slice_mm / ct.spacing[2])
    hu = ndimage.map_coordinates(
        ct.hu.astype(float), np.meshgrid(at, *map(np.arange, ct.hu.shape[1:]), indexing="ij"), order=1
    )
    return CT(np.rint(hu).astype(np.int16), ct.ijk_to_ras @ np.diag([1, 1, slice_mm / ct.spacing[2], 1]))


def _nodule(diameter: float, vessel_mm: float) -> CT:
    """A ball in the middle of 50 mm of noisy lung, a slanting vessel of 4 mm so far from its centre; slices of 2.5
    mm.
    """
    z, y, x = np.meshgrid(np.arange(-25, 25, 0.25) + 0.125, *[np.arange(-25, 25, 0.7)] * 2, indexing="ij", sparse=True)
    tissue = (z**2 + y**2 + x**2 < diameter**2 / 4) | ((x - vessel_mm) ** 2 + (y - 0.3 * z) ** 2 < 4)
    share = ndimage.gaussian_filter(tissue.reshape(20, 10, *tissue.shape[1:]).mean(1), (0, 0.7, 0.7))
    noise = ndimage.gaussian_filter(np.random.default_rng(1).standard_normal(share.shape), (0, 0.6, 0.6))
    return _ct(-850 + 880 * share + 25 * noise / noise.std())


@pytest.mark.parametrize(
    ("diameter", "vessel_mm", "within"),
    # Where the vessel runs through the ball's edge, what is drawn follows it for some millimetres.
    [(6.0, 14.0, 0.15), (9.0, 14.0, 0.15), (9.0, 5.0, 0.35), (16.0, 9.0, 0.15)],
)
def test_thin_slices_made_of_thick_ones_show_the_same_nodule(diameter: float, vessel_mm: float, within: float) -> None:
    thick, models = _nodule(diameter, vessel_mm), load_models(with_detector=False)
    seed = thick.to_ras(np.array([35.5, 35.5, 9.5])).tolist()
    (expected,) = segment(thick, Options(seeds_only=True), [seed], models=models).nodules
    assert expected.equivalent_diameter == pytest.approx(diameter, rel=within)
    for slice_mm in (0.5, 0.625, 1.0, 1.25):
        (found,) = segment(_in_slices(thick, slice_mm), Options(seeds_only=True), [seed], models=models).nodules
        assert found.equivalent_diameter == pytest.approx(expected.equivalent_diameter, rel=0.06), (
            f"slices of {slice_mm} mm"
        )


# A real CT
# --------------------------------------------------------------------------------------------------------------

_SCAN = Path(__file__).resolve().parents[3] / "shared" / "data" / "lidc_scans" / "LIDC-IDRI-0001"


@pytest.mark.slow
@pytest.mark.skipif(not _SCAN.is_dir(), reason="needs the scan LIDC-IDRI-0001")
def test_around_a_real_nodule_labels_and_image_are_those_of_the_whole_crop() -> None:
    scan = read_scan(_SCAN)
    k, j, i = (int(index) for index in np.argwhere(scan.reference == 1).mean(0))
    hu = scan.ct.hu[k - 3 : k + 4, j - 70 : j + 70, i - 70 : i + 70]
    ct = CT(np.ascontiguousarray(hu), scan.ct.ijk_to_ras)
    seeds = [ct.to_ras(np.array([70, 70, 3])).tolist()]
    models = load_models(with_detector=False)
    around, everywhere = (
        segment(ct, Options(seeds_only=True, full_generator=full), seeds, models=models) for full in (False, True)
    )
    assert (around.image > 0).sum() < (everywhere.image > 0).sum()
    near = np.abs(everywhere.image - models.threshold("generator", None)) < 1e-4  # the peak is 1 or more
    assert around.labels.any() and not (around.labels != everywhere.labels)[~near].any()
    inside = around.labels > 0
    np.testing.assert_allclose(around.image[inside], everywhere.image[inside], atol=1e-4)


# Triplets
# ---------------------------------------------------------------------------------------------------------------


def _levels(*values: float) -> CT:
    """Flat slices of these values on the network's scale 0..1."""
    levels = 1400 * np.array(values) - 1000
    return _ct(np.repeat(levels, 20 * 20).reshape(-1, 20, 20), spacing=1.0)


def _values(ct: CT, run: Run, triplets: str, grid: NetworkGrid = _GRID) -> list[float]:
    image = generate(ct, run, grid, None, reach=8, triplets=triplets, cell_px=6).values
    assert np.ptp(image, axis=(1, 2)).max() < 1e-5
    return [round(float(value), 4) for value in image[:, 10, 10]]


def _numbered(tiles: np.ndarray) -> np.ndarray:
    """Each slice tells its triplet: 100 x first + 10 x middle + last, plus 1000 x its place (0, 1, 2)."""
    code = 100 * tiles[:, :, 0] + 10 * tiles[:, :, 1] + tiles[:, :, 2]
    return np.stack([code, code + 1000, code + 2000], axis=2)


def test_overlapping_triplets_give_the_middle_slice_and_repeat_the_ends() -> None:
    assert _values(_levels(0.1, 0.2, 0.3, 0.4), _numbered, "overlapping") == [1011.2, 1012.3, 1023.4, 1034.4]


def test_the_slices_of_a_triplet_lie_as_far_apart_as_the_grid_says() -> None:
    levels = _levels(0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    assert _values(levels, _numbered, "overlapping", _SPREAD) == [1011.3, 1012.4, 1013.5, 1024.6, 1035.6, 1046.6]
    assert _values(levels, _numbered, "overlapping", _BETWEEN)[2] == 1018.45  # 0.15, 0.3 and 0.45
    assert _values(levels, _numbered, "paper", _SPREAD) == _values(levels, _numbered, "paper")


def test_slices_of_a_triplet_that_lie_between_those_of_the_ct_go_to_both_by_their_nearness() -> None:
    own, before, after = 1018.45, (11.25 + 12.35) / 2 + 2000, (29.5 + 40.5) / 2
    third = _values(_levels(0.1, 0.2, 0.3, 0.4, 0.5), _numbered, "averaged", _BETWEEN)[2]
    assert third == pytest.approx((own + before + after) / 3, abs=1e-3)
    flat = _values(_levels(*[0.3] * 7), _middle, "averaged", _BETWEEN)
    assert flat == [0.3] * 7, "at the ends, where triplets are missing, too"


def test_the_papers_triplets_lie_side_by_side_and_repeat_the_last_slice() -> None:
    assert _values(_levels(0.1, 0.2, 0.3, 0.4, 0.5), _numbered, "paper") == [12.3, 1012.3, 2012.3, 45.5, 1045.5]
    assert _values(_levels(0.1, 0.2, 0.3, 0.4), _numbered, "paper") == [12.3, 1012.3, 2012.3, 44.4]


def test_a_ct_of_one_slice_is_a_triplet_of_itself() -> None:
    assert _values(_levels(0.3), _numbered, "overlapping") == [1033.3]
    assert _values(_levels(0.3), _numbered, "paper") == [33.3]


# The rest
# ---------------------------------------------------------------------------------------------------------------


def test_the_paper_triplets_of_a_region_are_known_as_a_whole(cloudy: CT) -> None:
    region: Region = (slice(4, 5), slice(30, 34), slice(40, 44))
    image = generate(cloudy, _middle, _GRID, _places([region], 2), reach=8, triplets="paper")
    assert image.known.any((1, 2)).tolist() == [False, False, False, True, True, True, False, False]


def test_without_a_region_nothing_is_run(cloudy: CT) -> None:
    def fail(tiles: np.ndarray) -> np.ndarray:
        raise AssertionError("the generator was run")

    image = generate(cloudy, fail, _GRID, [], reach=8)
    assert not image.known.any() and not image.on_ct_grid().any()


def test_run_everywhere_every_voxel_has_a_value_though_the_grid_drops_a_partial_pixel() -> None:
    ct = _ct(np.full((2, 47, 45), 400), spacing=0.125)  # eight voxels a pixel; seven rows and five columns left over
    np.testing.assert_allclose(generate(ct, _middle, _GRID, None, reach=8).on_ct_grid(), 1, atol=1e-6)


def test_a_voxel_whose_pixels_are_not_all_known_is_zero() -> None:
    known = np.zeros((1, 8, 8), bool)
    known[0, 2:5, 3:6] = True
    shown = NoduleImage(known.astype(np.float32), known, (2.0, 2.0), (1, 16, 16)).on_ct_grid()
    expected = np.zeros((1, 16, 16), np.float32)
    expected[0, 5:9, 7:11] = 1  # pixel p lies at voxel 2 p + 0.5, so 2..4 hold what lies between 4.5 and 8.5
    np.testing.assert_array_equal(shown, expected)


def test_few_voxels_are_in_the_networks_hands_at_a_time() -> None:
    largest = []

    def watched(tiles: np.ndarray) -> np.ndarray:
        largest.append(tiles.size)
        return tiles

    generate(_ct(np.zeros((40, 256, 256)), spacing=1.0), watched, _GRID, None, reach=8)
    assert len(largest) > 1 and max(largest) <= 2**21


def test_progress_rises_to_one(cloudy: CT) -> None:
    shares: list[float] = []
    generate(cloudy, _middle, _GRID, None, reach=8, report=shares.append)
    assert shares == sorted(shares) and shares[-1] == 1
    shares.clear()
    region: Region = (slice(0, 8), slice(40, 44), slice(40, 44))
    generate(cloudy, _middle, _GRID, _places([region], 0.4), reach=8, report=shares.append)
    assert shares == sorted(shares) and 0.5 <= shares[-1] <= 1
