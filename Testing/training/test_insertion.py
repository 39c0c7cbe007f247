"""Training samples of the detector: real nodules and decoys pasted into scans."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from detector_data import a_cutout, a_training_scan, some_data
from lnhg.core.ct import CT
from lnhg.data.scans import LabelledScan
from lnhg.data.volumes import Volume, volume_of, without_nodule
from lnhg.errors import InputError
from lnhg.networks.architecture import DETECTOR_GRID
from lnhg.stages.scan_noise import noise_level
from lnhg.studies.pasted_nodules import _INSERTED, detected_of_pasted
from lnhg.training.config_changes import with_values
from lnhg.training.decoys import decoy_pair, plain_lung
from lnhg.training.detector_data import DetectorData, TrainingScan, training_scan_of
from lnhg.training.detector_samples import boxes_of, make_sample
from lnhg.training.patches import (
    Pose,
    blob,
    cut,
    match_noise,
    middle_one,
    paste,
    sample_stack,
    soft,
    wall_direction,
)
from lnhg.training.sampling import Sampling
from lnhg.training.scan_crops import _place


@pytest.fixture(scope="module")
def data() -> DetectorData:
    return some_data()


def test_an_inserted_nodule_keeps_its_hu_and_changes_nothing_beyond_its_soft_edge() -> None:
    volume = volume_of(a_cutout())
    patch = cut(volume, float(np.median(volume.slices)), 2.0, 2.0, 0.7, 64, Pose())
    stack = np.full((3, 128, 128), -700, np.float32)
    weight = soft(patch.nodule, grow=1.0, edge=3.0)
    paste(stack, patch.hu, weight, 60, 70)
    assert stack[1, 60, 70] == pytest.approx(40, abs=1)
    rows, columns = np.nonzero(stack[1] != -700)
    assert rows.min() >= 60 - 6 - 4 and rows.max() <= 60 + 6 + 4
    assert columns.min() >= 70 - 6 - 4 and columns.max() <= 70 + 6 + 4
    assert (stack[:, :50] == -700).all() and (stack[:, :, 90:] == -700).all()
    # Around the nodule its own surroundings (-850) pass softly into the training scan's (-700).
    assert ((stack[1] > -849) & (stack[1] < -701)).sum() > 20


def test_a_paste_at_the_border_is_cut_there() -> None:
    stack = np.zeros((3, 20, 20), np.float32)
    paste(stack, np.ones((3, 10, 10), np.float32), np.ones((3, 10, 10), np.float32), 0, 18)
    assert stack.sum() == 3 * 5 * 7


def test_planes_beyond_the_nodule_show_its_surroundings_without_it() -> None:
    volume = volume_of(a_cutout())
    middle = float(np.median(volume.slices))
    patch = cut(volume, middle, 8.0, 2.0, 0.7, 44, Pose())
    assert patch.hu[1, 22, 22] == pytest.approx(40, abs=1)
    assert patch.hu[0].max() < -800 and patch.hu[2].max() < -800
    assert not patch.nodule[[0, 2]].any()


def test_turning_a_cutout_turns_its_nodule_with_it() -> None:
    hu = np.full((1, 40, 40), -800.0, np.float32)
    hu[0, 19:21, 30:34] = 100  # to the right of the middle
    nodule = (hu > 0).astype(np.float32)
    both = np.stack([hu, nodule])
    straight = sample_stack(both, (0.7, 0.7), (19.5, 19.5), 0.7, 40, Pose())
    np.testing.assert_allclose(straight, both, atol=1e-2)
    turned = sample_stack(both, (0.7, 0.7), (19.5, 19.5), 0.7, 40, Pose(angle=np.pi / 2))
    row, column = ndimage.center_of_mass(turned[1, 0])
    assert (abs(row - 19.5), abs(column - 19.5)) == (pytest.approx(12, abs=0.1), pytest.approx(0, abs=0.1))
    zoomed = sample_stack(both, (0.7, 0.7), (19.5, 19.5), 0.7, 40, Pose(zoom=1.25, mirrored=True))
    assert 19.5 - ndimage.center_of_mass(zoomed[1, 0])[1] == pytest.approx(15, abs=0.1)


def test_copies_of_a_nodule_mirrored_at_the_border_are_not_pasted() -> None:
    volume = volume_of(a_cutout())
    patch = cut(volume, float(volume.slices[0]), 2.5, 2.5, 0.7, 96, Pose())
    single = middle_one(patch)
    assert ndimage.label(patch.nodule.max(0) > 0)[1] > 1
    assert ndimage.label(single.nodule.max(0) > 0)[1] == 1
    assert single.nodule[1, 48, 48] == 1
    np.testing.assert_array_equal(single.hu, patch.hu)


def test_the_wall_is_found_where_it_is() -> None:
    angle, distance = wall_direction(volume_of(a_cutout(wall=True)))
    assert abs(angle) < 0.1  # to the right: along the columns
    assert distance == pytest.approx(12.5 * 0.7, abs=0.5)
    assert wall_direction(volume_of(a_cutout())) is None


def test_noise_is_matched_to_the_training_scan() -> None:
    generator = np.random.default_rng(0)
    training_scan = generator.normal(-800, 40, (3, 64, 64)).astype(np.float32)
    assert noise_level(training_scan) == pytest.approx(40, rel=0.1)
    smooth = np.full((3, 64, 64), -800, np.float32)
    assert noise_level(match_noise(smooth, training_scan, generator)) == pytest.approx(40, rel=0.1)
    noisy = generator.normal(-800, 90, (3, 64, 64)).astype(np.float32)
    assert noise_level(match_noise(noisy, training_scan, generator)) < 70


def test_a_filled_nodule_leaves_its_surroundings_as_they_were() -> None:
    cutout = a_cutout()
    hu, ball = cutout.ct.hu[2].astype(np.float32), cutout.readers[2] > 0
    filled = without_nodule(hu, ball)
    assert filled.max() == pytest.approx(-850, abs=1)
    untouched = ~ndimage.binary_dilation(ball)
    assert (filled[untouched] == hu[untouched]).all()


def test_blobs_differ_and_are_about_as_wide_as_asked_for() -> None:
    generator = np.random.default_rng(0)
    shapes = [blob(generator, 64, 16) for _ in range(20)]
    widths = [np.sqrt(shape[1].sum() * 4 / np.pi) for shape in shapes]
    assert 10 < np.mean(widths) < 22
    assert len({shape.tobytes() for shape in shapes}) == 20


def test_boxes_enclose_each_nodule_and_specks_get_none() -> None:
    mask = np.zeros((40, 40), bool)
    mask[5:9, 10:20] = True
    mask[30, 30] = True
    assert boxes_of(mask).tolist() == [[10, 5, 20, 9]]
    assert boxes_of(np.zeros((4, 4), bool)).shape == (0, 4)


def test_the_same_seed_and_number_give_the_same_sample(data: DetectorData) -> None:
    for number in range(6):
        one, other = (make_sample(data, Sampling(), 5, number) for _ in range(2))
        assert torch.equal(one.image, other.image) and torch.equal(one.boxes, other.boxes)
    assert not torch.equal(make_sample(data, Sampling(), 5, 0).image, make_sample(data, Sampling(), 6, 0).image)


def test_samples_are_images_with_boxes_inside(data: DetectorData) -> None:
    samples = [make_sample(data, Sampling(), 1, number) for number in range(30)]
    assert all(sample.image.shape == (3, 128, 128) for sample in samples)
    assert all(sample.image.min() >= 0 and sample.image.max() <= 1 for sample in samples)
    boxes = torch.cat([sample.boxes for sample in samples])
    assert len(boxes) > 30
    assert (boxes[:, 2:] > boxes[:, :2]).all() and boxes.min() >= 0 and boxes.max() <= 128


def test_nodules_are_pasted_with_a_box_and_shams_without(data: DetectorData) -> None:
    plain = DetectorData(data.training_scans[:1], data.volumes, data.grid, data.architecture)
    only = {"mosaics": 0.0, "real": 0.0, "mined": 0.0, "pasted": 1.0}
    decoys = [make_sample(plain, Sampling(**only, nodules=0.0), 2, number) for number in range(20)]
    nodules = [make_sample(plain, Sampling(**only, nodules=1.0), 2, number) for number in range(20)]
    assert sum(len(sample.boxes) for sample in decoys) == 0
    assert sum(len(sample.boxes) for sample in nodules) > 15


def test_masses_are_large_nodules_magnified_and_small_ones_stay_as_they_are(data: DetectorData) -> None:
    only = {"mosaics": 0.0, "real": 0.0, "mined": 0.0, "pasted": 1.0, "nodules": 1.0, "masses": 1.0, "simulated": 0.0}

    def widest(volumes: list[Volume]) -> float:
        """Width of the widest box in 20 samples, mm."""
        pasted = DetectorData(data.training_scans[:1], volumes, data.grid, data.architecture)
        boxes = torch.cat([make_sample(pasted, Sampling(**only), 2, number).boxes for number in range(20)])
        return float((boxes[:, 2] - boxes[:, 0]).max()) * data.grid.pixel_mm

    ball = volume_of(a_cutout())
    large = replace(ball, spacing=(1.4, 1.4, 4.0), width=2 * ball.width)
    assert (ball.width, large.width) == pytest.approx((8.4, 16.8))
    assert 35 < widest([ball, large]) < 65
    assert widest([ball]) < 12


def test_sub_solid_nodules_are_drawn_as_often_as_asked(data: DetectorData) -> None:
    solid = volume_of(a_cutout())
    faint = replace(solid, hu=np.minimum(solid.hu, -600), subsolid=True)

    def faint_share(share: float, volumes: list[Volume]) -> float:
        """Share of faint nodules among those of 40 mosaics."""
        mosaics = DetectorData(data.training_scans[:1], volumes, data.grid, data.architecture)
        sampling = Sampling(mosaics=1.0, emptied=0.0, subsolid=share)
        samples = [make_sample(mosaics, sampling, 2, number) for number in range(40)]
        boxes = [(sample.image[1], *box) for sample in samples for box in sample.boxes.int().tolist()]
        return float(np.mean([image[y0:y1, x0:x1].median() < 0.5 for image, x0, y0, x1, y1 in boxes]))

    many = [solid] * 9 + [faint]
    assert faint_share(1.0, many) > 0.95
    assert 0.3 < faint_share(0.5, many) < 0.8
    assert faint_share(0.0, many) < 0.3
    assert faint_share(1.0, [solid]) < 0.15


def test_what_samples_are_made_of_is_changed_by_name() -> None:
    assert with_values(Sampling(), ["simulated=0.2", "masses=0"]) == Sampling(simulated=0.2, masses=0.0)
    with pytest.raises(InputError, match="no value 'simulate'; see Sampling"):
        with_values(Sampling(), ["simulate=0.2"])


def test_a_sham_changes_the_middle_of_a_crop_and_nothing_far_from_it(data: DetectorData) -> None:
    changed = 0
    for number in range(10):
        before, after, radius = decoy_pair(data, 0, number)
        rows, columns = torch.where((before != after).any(0))
        changed += len(rows) > 0
        if len(rows):
            assert torch.hypot(rows - 64.0, columns - 64.0).max() <= 2.5 * radius
    assert changed >= 8


def test_a_sham_may_be_thinner_than_its_soft_edge(data: DetectorData) -> None:
    weight = np.zeros((3, 64, 64), np.float32)
    weight[:, 30:34, 30:34] = 0.3
    patch = plain_lung(data.training_scans[0], data, weight, np.random.default_rng(0))
    assert patch.shape == weight.shape and np.median(patch[weight > 0]) < -500


class Knowing(torch.nn.Module):
    """Stands in for a trained network: gives the boxes of the samples in their order, moved, at one score."""

    def __init__(self, data: DetectorData, move: float) -> None:
        super().__init__()
        self.answers = iter([make_sample(data, _INSERTED, 0, number).boxes + move for number in range(10)])

    def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        boxes = next(self.answers)
        return [{"boxes": boxes, "scores": torch.full((len(boxes),), 0.7)}]


def test_an_inserted_nodule_is_found_by_a_box_centred_in_it_at_the_threshold(data: DetectorData) -> None:
    found, inserted = detected_of_pasted(Knowing(data, 0), data, 0.7, count=10)
    assert found == inserted >= 5
    assert detected_of_pasted(Knowing(data, 0), data, 0.75, count=10) == (0, inserted)
    assert detected_of_pasted(Knowing(data, 500), data, 0.7, count=10) == (0, inserted)


def test_places_near_doubtful_nodules_are_never_shown(data: DetectorData) -> None:
    training_scan = a_training_scan()
    training_scan.doubtful[3, 100, 100] = True
    training_scan = TrainingScan(**{**vars(training_scan), "places": np.array([(3, 110, 110), (6, 60, 60)])})
    doubtful = DetectorData([training_scan], data.volumes, data.grid, data.architecture)
    generator = np.random.default_rng(0)
    shown = {int(_place(doubtful, Sampling(mined=0, real=0), generator)[1][0]) for _ in range(30)}
    assert shown == {6}


def test_a_scan_without_lungs_is_named_before_the_training() -> None:
    ct = CT(np.full((8, 60, 60), 40, np.int16), np.diag([-2.0, -2.0, 5.0, 1.0]))
    scan = LabelledScan("LIDC-IDRI-0009", ct, np.zeros(ct.hu.shape, np.uint8), np.zeros(ct.hu.shape, bool))
    with pytest.raises(InputError, match="No lungs were found in the scan LIDC-IDRI-0009"):
        training_scan_of(scan, DETECTOR_GRID)


def test_scans_that_are_doubtful_everywhere_end_in_a_sentence(data: DetectorData) -> None:
    doubtful = [
        replace(training_scan, doubtful=np.ones_like(training_scan.doubtful)) for training_scan in data.training_scans
    ]
    with pytest.raises(InputError, match="no place without a doubtful nodule"):
        _place(replace(data, training_scans=doubtful), Sampling(mined=0.0), np.random.default_rng(0))


def test_a_scan_of_dense_tissue_alone_ends_in_a_sentence(data: DetectorData) -> None:
    dense = replace(data.training_scans[0], hu=np.full_like(data.training_scans[0].hu, 40))
    with pytest.raises(InputError, match="no lung without vessels"):
        plain_lung(dense, data, np.ones((3, 16, 16), np.float32), np.random.default_rng(0))
