"""Simulated nodules: their size and tissue, and how they are pasted into scans for the detector."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detector_data import a_cutout, some_data
from lnhg.data.volumes import volume_of
from lnhg.phantom.simulated_nodules import sections, simulate
from lnhg.training.detector_data import DetectorData, scan_stack
from lnhg.training.detector_samples import boxes_of, make_sample
from lnhg.training.insertion import Canvas, _paste_simulated
from lnhg.training.patches import Pose
from lnhg.training.sampling import Sampling


@pytest.fixture(scope="module")
def data() -> DetectorData:
    return some_data()


def test_simulated_nodules_are_drawn_within_the_lungs_alone_each_with_its_box(data: DetectorData) -> None:
    training_scan, kinds = data.training_scans[0], set()
    for number in range(25):
        generator = np.random.default_rng(number)
        place = np.array([4, 100, generator.integers(15, 100)])
        hu, masks = scan_stack(training_scan, place, data, 128, Pose())
        before, taken, nodules = hu.copy(), np.zeros(hu.shape[1:], bool), np.zeros_like(hu)
        _paste_simulated(data, training_scan, Canvas(hu, nodules, masks[1], taken), generator)
        changed, boxes = hu != before, boxes_of(nodules[1] > 0.5)
        assert not changed[:, ~taken].any() and not changed[masks[1] == 0].any() and (hu >= before).all()
        for x0, y0, x1, y1 in boxes.astype(int).tolist():
            inside = np.median(hu[1, y0:y1, x0:x1][nodules[1, y0:y1, x0:x1] > 0.5])
            kinds.add("glass" if inside < -400 else "solid")
        assert (len(boxes) > 0) == taken.any()
    assert kinds == {"glass", "solid"}


def test_simulated_nodules_replace_real_ones_as_often_as_asked(data: DetectorData) -> None:
    plain = replace(
        data,
        training_scans=data.training_scans[:1],
        volumes=[replace(volume_of(a_cutout()), hu=np.full((11, 44, 44), 1500.0))],
    )
    only = {"mosaics": 0.0, "real": 0.0, "mined": 0.0, "pasted": 1.0, "nodules": 1.0, "masses": 0.0}

    def real_share(simulated: float) -> float:
        """Share of the nodules of 30 samples that are as bright as no simulated one is."""
        samples = [make_sample(plain, Sampling(**only, simulated=simulated), 2, number) for number in range(30)]
        boxes = [(sample.image[1], *box) for sample in samples for box in sample.boxes.int().tolist()]
        return float(np.mean([image[y0:y1, x0:x1].median() > 0.9 for image, x0, y0, x1, y1 in boxes]))

    assert real_share(0.0) > 0.9 and 0.25 < real_share(0.5) < 0.75 and real_share(1.0) < 0.1


def test_a_simulated_nodule_fills_what_its_size_says_and_thick_slices_blur_it() -> None:
    nodule = replace(simulate(6.0, np.random.default_rng(4)), amplitudes=np.zeros(5))
    thin, hu = sections(nodule, np.arange(-8.0, 8.5), 1.0, 0.7)
    assert thin.sum() * 0.7 * 0.7 * 1.0 == pytest.approx(4 / 3 * np.pi * 6.0**3, rel=0.03)
    assert hu[8][thin[8] == 1].mean() == pytest.approx(nodule.hu, abs=10)
    thick, _ = sections(nodule, np.array([6.0]), 5.0, 0.7)
    assert 0.3 < thick.max() < 0.7 and sections(nodule, np.array([6.0]), 0.5, 0.7)[0].max() < 0.6


def test_a_core_and_a_cavity_are_another_tissue_inside() -> None:
    def middle(**kind: bool) -> tuple[float, float]:
        """HU at the centre, and mean HU of the outer third."""
        nodule = replace(simulate(9.0, np.random.default_rng(1), **kind), amplitudes=np.zeros(5))
        _, hu = nodule.at(np.array([[1.0, 1.0, 1.0], *(7.5 * np.eye(3)), *(-7.5 * np.eye(3))]), 0.8)
        return float(hu[0]), float(hu[1:].mean())

    for kind, centre, outside in [
        ({}, 40, 40),
        ({"ground_glass": True}, -595, -595),
        ({"ground_glass": True, "solid_core": True}, 40, -595),
        ({"cavitary": True}, -970, 40),
    ]:
        assert middle(**kind) == pytest.approx((centre, outside), abs=90), kind
