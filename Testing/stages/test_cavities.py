"""Cavities are filled for the generator, which sees no thin wall; the map shows them as they are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from lnhg import Options, segment
from lnhg.core.candidate import Candidate
from lnhg.core.ct import CT
from lnhg.stages.cavities import with_filled_cavities
from lnhg.stages.seeds import seed_candidate

SHAPE, SPACING = (40, 90, 90), (0.8, 0.8, 1.6)
MIDDLE = np.array([20, 45, 45])


def offsets():
    return np.stack(np.indices(SHAPE), -1) * SPACING[::-1] - MIDDLE * SPACING[::-1]


DISTANCE = np.linalg.norm(offsets(), axis=-1)


def ct_of(hu, noise=20.0):
    """As a scanner shows it: blurred by 0.7 mm, with noise."""
    seen = ndimage.gaussian_filter(hu.astype(float), 0.7 / np.array(SPACING[::-1]))
    seen += np.random.default_rng(0).normal(0, noise, SHAPE)
    matrix = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    return CT(np.rint(seen).astype(np.int16), matrix)


def hollow(outer, wall, lung=-860.0):
    """A ball of `outer` mm radius with air inside its wall, in lung."""
    hu = np.full(SHAPE, lung)
    hu[outer >= DISTANCE] = 20
    hu[outer - wall >= DISTANCE] = -1000
    return ct_of(hu)


def at_the_middle(ct):
    return seed_candidate(ct, ct.to_ras(MIDDLE[::-1].astype(float)))


def filled_voxels(ct, candidate):
    return with_filled_cavities(ct, [candidate]).hu != ct.hu


@pytest.mark.parametrize(("outer", "wall"), [(6.0, 2.0), (9.0, 2.0), (12.0, 2.5), (15.0, 3.0)])
def test_the_air_that_a_wall_encloses_is_filled_and_nothing_outside_of_it(outer, wall):
    ct = hollow(outer, wall)
    changed = filled_voxels(ct, at_the_middle(ct))
    assert changed[outer - wall - 1 > DISTANCE].all()
    assert not changed[outer < DISTANCE].any()
    assert (with_filled_cavities(ct, [at_the_middle(ct)]).hu[outer - wall - 1 > DISTANCE] > -200).all()


def test_a_small_cavity_in_thick_slices_with_a_wall_of_ground_glass_is_filled():
    spacing, middle = (0.8, 0.8, 2.5), np.array([10, 45, 45])
    fine = np.linalg.norm((np.stack(np.indices((100, 90, 90)), -1) - (52, 45, 45)) * (0.5, 0.8, 0.8), axis=-1)
    hu = np.where(fine <= 4.8, -250.0, -760.0)
    hu[fine <= 2.8] = -1000
    seen = ndimage.gaussian_filter(hu, 0.7 / np.array([0.5, 0.8, 0.8])).reshape(20, 5, 90, 90).mean(1)
    seen += np.random.default_rng(0).normal(0, 20, seen.shape)
    ct = CT(np.rint(seen).astype(np.int16), np.diag([-spacing[0], -spacing[1], spacing[2], 1.0]))
    seed = seed_candidate(ct, ct.to_ras(middle[::-1].astype(float)))
    changed = filled_voxels(ct, seed)
    assert changed[tuple(middle)]
    assert not changed[[7, 13]].any()


def seeded(ct, progress=None, **options):
    return segment(ct, Options(seeds_only=True, **options), [ct.to_ras(MIDDLE[::-1].astype(float)).tolist()], progress)


@pytest.mark.parametrize(("outer", "wall"), [(9.0, 2.0), (11.0, 1.5), (13.0, 2.5)])
def test_a_nodule_with_a_thin_wall_is_outlined_as_a_whole_from_a_point_in_its_air(outer, wall):
    result = seeded(hollow(outer, wall))
    whole, found = outer >= DISTANCE, result.labels > 0
    assert 2 * np.count_nonzero(whole & found) / (np.count_nonzero(whole) + np.count_nonzero(found)) > 0.85
    (nodule,) = result.nodules
    assert nodule.equivalent_diameter == pytest.approx(2 * outer, rel=0.12)


def test_the_map_shows_that_it_is_hollow_though_there_is_more_air_than_wall():
    result = seeded(hollow(13.0, 2.5))
    air, middle_of_wall = DISTANCE < 8.5, np.abs(DISTANCE - 11.75) <= 0.4
    assert result.heterogeneity[air].mean() > 0.9 > 0.75 > result.heterogeneity[middle_of_wall].mean()
    assert result.generated()[air].mean() < 0.3  # as does G(x), the paper's image of the CT itself


def test_the_progress_of_a_run_with_a_cavity_never_goes_back():
    told = []
    seeded(hollow(9.0, 2.0), told.append)
    stages, fractions = [one.stage for one in told], [one.fraction for one in told]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    assert stages.index("fuse") > max(n for n, stage in enumerate(stages) if stage == "generate")


def test_the_papers_own_rule_sees_the_ct_as_it_is():
    assert not (seeded(hollow(11.0, 1.5), fusion="paper").labels > 0)[DISTANCE < 6].any()


def test_a_detection_is_filled_within_its_boxes():
    ct = hollow(9.0, 2.0)
    box = (45 - 12.0, 45 - 12.0, 45 + 13.0, 45 + 13.0)
    assert filled_voxels(ct, Candidate(dict.fromkeys(range(14, 27), box), 0.9)).any()
    elsewhere = (2.0, 2.0, 14.0, 14.0)
    assert not filled_voxels(ct, Candidate(dict.fromkeys(range(14, 27), elsewhere), 0.9)).any()


@pytest.mark.parametrize("slice_mm", [1.0, 2.5, 5.0])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_large_cavity_is_filled_from_a_seed_at_its_wall(slice_mm, side):
    shape, middle = (int(100 / slice_mm), 90, 90), np.array([int(50 / slice_mm), 45, 45])
    places = np.stack(np.indices(shape), -1) - middle
    far = np.linalg.norm(places * (slice_mm, 1.2, 1.2), axis=-1)
    hu = np.where(far <= 19, 20, -860).astype(np.int16)
    hu[far <= 13] = -1000
    ct = CT(hu, np.diag([-1.2, -1.2, slice_mm, 1.0]))
    seed = middle + np.array([side * int(12 / slice_mm), 0, 0])
    changed = filled_voxels(ct, seed_candidate(ct, ct.to_ras(seed[::-1].astype(float))))
    assert changed[far <= 12].all()


def airway():
    """A tube with a wall along the body."""
    radius = np.linalg.norm(offsets()[..., 1:], axis=-1)
    return ct_of(np.where(radius <= 3, -1000.0, np.where(radius <= 4.5, 20.0, -860.0)))


def bulla():
    """Air without a wall that could be seen."""
    return ct_of(np.where(DISTANCE <= 10, -1000.0, -860.0))


def noisy_lung():
    """Lung that noise parts into pieces at every value."""
    return ct_of(np.full(SHAPE, -800.0), noise=60)


def open_cavity():
    """A wall with a wide gap."""
    hu = np.where(DISTANCE <= 9, 20.0, -860.0)
    hu[(DISTANCE <= 7) | ((DISTANCE <= 9.5) & (offsets()[..., 2] > 3))] = -1000
    return ct_of(hu)


def lung_between_walls():
    """A piece of lung that is cut off by chest wall and diaphragm."""
    return ct_of(np.where(DISTANCE <= 12, -840.0, 20.0))


def even_nodule():
    return ct_of(np.where(DISTANCE <= 8, 20.0, -860.0))


@pytest.mark.parametrize("made", [airway, bulla, noisy_lung, open_cavity, lung_between_walls, even_nodule])
def test_air_that_no_wall_encloses_stays_as_it_is(made):
    ct = made()
    assert with_filled_cavities(ct, [at_the_middle(ct)]) is ct


def test_each_of_several_cavities_is_filled():
    hu = np.where(DISTANCE <= 12, 20.0, -860.0)
    for side in (-5, 5):
        hu[np.linalg.norm(offsets() - (0, 0, side), axis=-1) <= 3.5] = -1000
    ct = ct_of(hu)
    changed = filled_voxels(ct, at_the_middle(ct))
    assert changed[20, 45, 45 - 6] and changed[20, 45, 45 + 6]
