"""Fusion of the generator's image and the detector's candidates, on images drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lnhg.core.candidate import Candidate
from lnhg.core.ct import CT
from lnhg.stages.fusion import CONFIRMED, DETECTOR_ONLY, GENERATOR_ONLY, SEEDED, FusionRule, fuse_paper, fuse_scan

SHAPE = (16, 60, 60)
RULE = FusionRule(threshold=0.5)


def ct_of(shape=SHAPE, spacing=(1.0, 1.0, 1.0), hu=None) -> CT:
    """A CT in the axial view, empty lung unless `hu` says otherwise; spacing of (column, row, slice), mm."""
    hu = np.full(shape, -800, np.int16) if hu is None else hu
    return CT(hu, np.diag([-spacing[0], -spacing[1], spacing[2], 1.0]))


def ball(centre, radius, shape=SHAPE, spacing=(1.0, 1.0, 1.0)) -> np.ndarray:
    """Voxels within `radius` mm of `centre` (slice, row, column)."""
    offsets = [(np.arange(n) - c) * s for n, c, s in zip(shape, centre, spacing[::-1], strict=True)]
    k, j, i = np.ix_(*offsets)
    return k**2 + j**2 + i**2 <= radius**2


def block(*ranges, shape=SHAPE) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*one) for one in ranges)] = True
    return mask


def found(slices, rows, columns, score=0.9) -> Candidate:
    """A detection of the detector; half-open ranges of voxels."""
    return Candidate(dict.fromkeys(range(*slices), (columns[0], rows[0], columns[1], rows[1])), score)


def seeded(slice_, row, column, half=5) -> Candidate:
    """A seed as the pipeline makes it."""
    box = (column + 0.5 - half, row + 0.5 - half, column + 0.5 + half, row + 0.5 + half)
    return Candidate(dict.fromkeys(range(max(0, slice_ - half), slice_ + half + 1), box), 1.0, (column, row, slice_))


def image_of(*masks) -> np.ndarray:
    """G(x): 0.9 in the masks, 0.1 elsewhere."""
    return np.where(np.any(masks, axis=0), 0.9, 0.1).astype(np.float32)


class TestThePapersRule:
    def test_a_component_that_shares_one_voxel_with_a_box_stays_and_others_go(self):
        touched, apart = block((5, 9), (10, 18), (10, 18)), block((5, 9), (40, 48), (40, 48))
        corner = found((5, 9), (17, 25), (17, 25))  # shares the corner column (17, 17)
        nodules = fuse_paper(ct_of(), image_of(touched, apart), [corner], RULE)
        assert (nodules.labels == touched).all()
        assert nodules.statuses == (CONFIRMED,)
        assert nodules.scores == (0.9,)
        assert ((nodules.unconfirmed == 1) == apart).all()

    def test_a_component_beside_a_box_goes(self):
        beside = found((5, 9), (18, 25), (10, 18))  # the next row
        nodules = fuse_paper(ct_of(), image_of(block((5, 9), (10, 18), (10, 18))), [beside], RULE)
        assert nodules.statuses == ()
        assert not nodules.labels.any()

    def test_a_slice_without_a_candidate_keeps_the_generators_image(self):
        low, high = block((1, 5), (10, 18), (10, 18)), block((10, 14), (40, 48), (40, 48))
        nodules = fuse_paper(ct_of(), image_of(low, high), [found((1, 5), (10, 18), (10, 18))], RULE)
        assert (nodules.labels == 1 * low + 2 * high).all()
        assert nodules.statuses == (CONFIRMED, GENERATOR_ONLY)
        assert nodules.scores == (0.9, None)

    def test_where_the_generator_has_nothing_on_a_slice_the_filled_boxes_stand(self):
        box = found((5, 9), (20, 26), (30, 36), score=0.4)
        nodules = fuse_paper(ct_of(), image_of(block((0, 0), (0, 0), (0, 0))), [box], RULE)
        assert (nodules.labels == block((5, 9), (20, 26), (30, 36))).all()
        assert nodules.statuses == (DETECTOR_ONLY,)
        assert nodules.scores == (0.4,)

    def test_a_box_beside_the_generators_only_component_is_not_filled(self):
        nodules = fuse_paper(
            ct_of(), image_of(block((5, 9), (40, 48), (40, 48))), [found((5, 9), (10, 18), (10, 18))], RULE
        )
        assert not nodules.labels.any()

    def test_a_seed_keeps_its_component_but_is_never_filled(self):
        nodule = ball((8, 20, 20), 4)
        nodules = fuse_paper(ct_of(), image_of(nodule), [seeded(8, 20, 20), seeded(8, 45, 45)], RULE)
        assert (nodules.labels == nodule).all()
        assert nodules.statuses == (SEEDED,)
        assert nodules.not_found == ((45, 45, 8),)
        empty = fuse_paper(ct_of(), image_of(np.zeros(SHAPE, bool)), [seeded(8, 45, 45)], RULE)
        assert not empty.labels.any()
        assert empty.not_found == ((45, 45, 8),)


class TestTheScansRule:
    def test_a_touched_component_is_a_nodule_and_an_untouched_one_is_unconfirmed(self):
        nodule, other = ball((8, 20, 20), 4), ball((8, 45, 45), 4)
        nodules = fuse_scan(ct_of(), image_of(nodule, other), [found((6, 11), (17, 24), (17, 24))], RULE)
        assert (nodules.labels == nodule).all()
        assert nodules.statuses == (CONFIRMED,)
        assert ((nodules.unconfirmed == 1) == other).all()

    def test_slices_without_a_candidate_add_to_a_confirmed_component_and_to_nothing_else(self):
        nodule, elsewhere = ball((8, 20, 20), 6), ball((13, 45, 45), 2.5)
        nodules = fuse_scan(ct_of(), image_of(nodule, elsewhere), [found((8, 9), (15, 26), (15, 26))], RULE)
        assert (nodules.labels == nodule).all(), "its slices without a box belong to it"
        assert ((nodules.unconfirmed == 1) == elsewhere).all()

    def test_a_candidate_without_a_component_gives_a_region_grown_inside_its_boxes(self):
        bright = ball((8, 30, 30), 4)
        ct = ct_of(hu=np.where(bright, 30, -800).astype(np.int16))
        nodules = fuse_scan(ct, np.zeros(SHAPE, np.float32), [found((5, 12), (25, 36), (25, 36), score=0.6)], RULE)
        assert (nodules.labels == (bright & block((5, 12), (25, 36), (25, 36)))).all()
        assert nodules.statuses == (DETECTOR_ONLY,)
        assert nodules.scores == (0.6,)

    def test_a_grown_region_leaves_the_vessel_in_the_corner_of_the_box(self):
        bright, vessel = ball((8, 30, 30), 3), block((0, 16), (24, 26), (24, 26))
        ct = ct_of(hu=np.where(bright | vessel, 30, -800).astype(np.int16))
        nodules = fuse_scan(ct, np.zeros(SHAPE, np.float32), [found((5, 12), (24, 37), (24, 37))], RULE)
        assert (nodules.labels == bright).all()

    def test_a_candidate_over_even_values_stands_as_its_boxes(self):
        nodules = fuse_scan(ct_of(), np.zeros(SHAPE, np.float32), [found((5, 9), (20, 26), (30, 36))], RULE)
        assert (nodules.labels == block((5, 9), (20, 26), (30, 36))).all()

    @pytest.mark.parametrize(("radius", "kept"), [(1.3, False), (1.9, True)])
    def test_what_is_smaller_than_the_minimum_diameter_is_no_nodule(self, radius, kept):
        small = ball((8, 20, 20), radius)
        assert (np.cbrt(6 * small.sum() / np.pi) >= 3.0) == kept
        nodules = fuse_scan(ct_of(), image_of(small), [found((7, 10), (18, 23), (18, 23))], RULE)
        assert len(nodules.statuses) == int(kept)
        assert not nodules.unconfirmed.any()
        alone = fuse_scan(ct_of(), image_of(small), [], RULE)
        assert alone.unconfirmed.max() == int(kept)

    def test_two_candidates_on_one_component_with_a_neck_are_two_nodules(self):
        left, right, neck = ball((8, 30, 20), 6), ball((8, 30, 36), 6), block((8, 9), (30, 31), (20, 36))
        detections = [found((4, 13), (25, 36), (15, 26), 0.7), found((4, 13), (25, 36), (31, 42), 0.8)]
        nodules = fuse_scan(ct_of(), image_of(left, right, neck), detections, RULE)
        assert nodules.statuses == (CONFIRMED, CONFIRMED)
        assert nodules.scores == (0.8, 0.7)
        assert (nodules.labels[right] == 1).all()
        assert (nodules.labels[left] == 2).all()
        assert ((nodules.labels > 0) == (left | right | neck)).all()

    def test_two_candidates_on_one_component_without_a_neck_are_one_nodule(self):
        nodule = ball((8, 30, 25), 6) | ball((8, 30, 29), 6)
        detections = [found((4, 13), (25, 36), (18, 27), 0.7), found((4, 13), (25, 36), (27, 36), 0.8)]
        nodules = fuse_scan(ct_of(), image_of(nodule), detections, RULE)
        assert (nodules.labels == nodule).all()
        assert nodules.scores == (0.8,)

    def test_a_fragment_beside_two_joined_nodules_is_kept(self):
        left, right, neck = ball((8, 30, 20), 6), ball((8, 30, 36), 6), block((8, 9), (30, 31), (20, 36))
        fragment = block((7, 10), (38, 40), (19, 22))
        detections = [found((4, 13), (25, 41), (15, 26), 0.7), found((4, 13), (25, 36), (31, 42), 0.8)]
        nodules = fuse_scan(ct_of(), image_of(left, right, neck, fragment), detections, RULE)
        assert (nodules.labels[fragment] == 2).all(), "with the left nodule, whose box holds it"

    def test_a_body_that_hangs_on_by_a_neck_is_no_part_of_the_nodule(self):
        nodule, wall, neck = ball((8, 30, 16), 5), ball((8, 30, 34), 7), block((7, 10), (29, 32), (16, 34))
        for candidate in (found((4, 13), (25, 36), (11, 22)), seeded(8, 30, 16), seeded(8, 27, 14)):
            nodules = fuse_scan(ct_of(), image_of(nodule, wall, neck), [candidate], RULE)
            assert (nodules.labels[nodule] == 1).all()
            assert not nodules.labels[ball((8, 30, 34), 6)].any(), "the neck may be shared, the wall is not"

    def test_a_body_that_hangs_on_in_the_boxes_of_a_detection_is_part_of_the_nodule(self):
        left, right, neck = ball((8, 30, 16), 5), ball((8, 30, 29), 5), block((7, 10), (29, 32), (16, 29))
        nodules = fuse_scan(ct_of(), image_of(left, right, neck), [found((3, 14), (24, 37), (10, 36))], RULE)
        assert (nodules.labels == (left | right | neck)).all()

    def test_a_seed_on_a_strand_at_a_nodule_takes_the_nodule(self):
        nodule, strand, bulb = ball((8, 30, 20), 6), block((8, 9), (30, 31), (20, 30)), ball((8, 30, 30), 1.5)
        nodules = fuse_scan(ct_of(), image_of(nodule, strand, bulb), [seeded(8, 30, 30, half=2)], RULE)
        assert (nodules.labels[nodule] == 1).all()

    def test_a_body_that_is_left_away_is_unconfirmed(self):
        nodule, other, neck = ball((8, 30, 16), 5), ball((8, 30, 34), 7), block((8, 9), (30, 31), (16, 34))
        nodules = fuse_scan(ct_of(), image_of(nodule, other, neck), [seeded(8, 30, 16)], RULE)
        assert (nodules.unconfirmed[ball((8, 30, 34), 6)] == 1).all()

    def test_what_hangs_on_is_found_in_a_component_of_many_voxels(self, monkeypatch):
        nodule, wall, neck = ball((8, 30, 16), 5), ball((8, 30, 34), 7), block((7, 10), (29, 32), (16, 34))
        monkeypatch.setattr("lnhg.stages.fusion._MOST_VOXELS", 1000)
        nodules = fuse_scan(ct_of(), image_of(nodule, wall, neck), [seeded(8, 30, 16)], RULE)
        assert (nodules.labels[nodule] == 1).all()
        assert nodules.labels[ball((8, 30, 34), 6)].mean() < 0.02

    def test_a_seed_at_less_than_the_smallest_nodule_is_told(self):
        nodules = fuse_scan(ct_of(), image_of(block((8, 9), (30, 31), (30, 32))), [seeded(8, 30, 30)], RULE)
        assert not nodules.labels.any()
        assert nodules.not_found == ((30, 30, 8),)

    def test_a_lobe_on_a_broad_base_is_part_of_the_nodule(self):
        lobed = ball((8, 30, 20), 6) | ball((8, 30, 27), 6)
        nodules = fuse_scan(ct_of(), image_of(lobed), [seeded(8, 30, 16)], RULE)
        assert (nodules.labels == lobed).all()

    def test_a_body_between_two_nodules_belongs_to_neither(self):
        left, middle, right = ball((8, 30, 12), 4), ball((8, 30, 29), 7), ball((8, 30, 46), 4)
        neck = block((8, 9), (30, 31), (12, 46))
        detections = [found((4, 13), (26, 35), (8, 17), 0.7), found((4, 13), (26, 35), (42, 51), 0.8)]
        nodules = fuse_scan(ct_of(), image_of(left, middle, right, neck), detections, RULE)
        assert (nodules.labels[right] == 1).all()
        assert (nodules.labels[left] == 2).all()
        assert not nodules.labels[ball((8, 30, 29), 6)].any()

    def test_one_nodule_cut_by_a_thin_gap_stays_one(self):
        whole = ball((8, 30, 30), 7)
        gap = block((0, 16), (0, 60), (31, 32))
        nodules = fuse_scan(ct_of(), image_of(whole & ~gap), [found((3, 14), (24, 37), (24, 37))], RULE)
        assert (nodules.labels == (whole & ~gap)).all()
        assert nodules.statuses == (CONFIRMED,)

    def test_a_component_further_off_than_the_gap_does_not_join(self):
        whole = ball((8, 30, 30), 7)
        wide_gap = block((0, 16), (0, 60), (31, 34))
        nodules = fuse_scan(ct_of(), image_of(whole & ~wide_gap), [found((3, 14), (24, 37), (24, 37))], RULE)
        assert (nodules.labels == (whole & block((0, 16), (0, 60), (0, 31)))).all()
        assert nodules.unconfirmed.any()

    def test_halves_that_touch_at_a_corner_of_thick_slices_are_one_nodule(self):
        spacing = (0.7, 0.7, 5.0)
        lower, upper = block((5, 7), (20, 30), (20, 30)), block((7, 9), (30, 38), (20, 30))  # neighbours by an edge
        nodules = fuse_scan(ct_of(spacing=spacing), image_of(lower, upper), [found((5, 9), (19, 39), (19, 31))], RULE)
        assert (nodules.labels == (lower | upper)).all()

    def test_holes_are_filled(self):
        shell = ball((8, 30, 30), 7) & ~ball((8, 30, 30), 4)
        nodules = fuse_scan(ct_of(), image_of(shell), [found((2, 15), (24, 37), (24, 37))], RULE)
        assert (nodules.labels == ball((8, 30, 30), 7)).all()

    def test_a_leak_is_cut_at_the_reach(self):
        nodule, leak = ball((8, 30, 12), 5), block((8, 9), (29, 32), (12, 60))
        rule = FusionRule(threshold=0.5, reach=15.0)
        nodules = fuse_scan(ct_of(), image_of(nodule, leak), [found((4, 13), (25, 36), (7, 18))], rule)
        columns = np.flatnonzero((nodules.labels == 1).any((0, 1)))
        assert columns.max() == 18 + 15 - 1, "15 mm beyond the box, whose last column is 17"
        assert (nodules.labels[nodule] == 1).all()

    def test_millimetres_count_along_each_axis(self):
        spacing = (0.5, 0.5, 2.0)
        leak = block((0, 16), (29, 32), (29, 32))
        rule = FusionRule(threshold=0.5, reach=6.0)
        nodules = fuse_scan(ct_of(spacing=spacing), image_of(leak), [found((7, 8), (25, 36), (25, 36))], rule)
        assert np.flatnonzero((nodules.labels == 1).any((1, 2))).tolist() == list(range(4, 11)), "3 slices are 6 mm"

    def test_labels_follow_the_falling_score_and_detector_only_comes_last(self):
        centres = [(8, 12, 12), (8, 12, 45), (8, 45, 12)]
        bright = ball((8, 45, 45), 4)
        ct = ct_of(hu=np.where(bright, 30, -800).astype(np.int16))
        detections = [
            found((5, 12), (j - 4, j + 5), (i - 4, i + 5), score)
            for (_, j, i), score in zip([*centres, (8, 45, 45)], [0.3, 0.9, 0.6, 0.99], strict=True)
        ]
        nodules = fuse_scan(ct, image_of(*(ball(c, 4) for c in centres)), detections, RULE)
        assert nodules.scores == (0.9, 0.6, 0.3, 0.99)
        assert nodules.statuses == (CONFIRMED,) * 3 + (DETECTOR_ONLY,)
        assert [int(nodules.labels[c]) for c in [*centres, (8, 45, 45)]] == [3, 1, 2, 4]
        assert nodules.labels.dtype == np.uint16

    def test_a_sliver_left_by_an_overlapping_find_is_no_nodule(self):
        detections = [found((5, 9), (20, 26), (20, 26), 0.9), found((5, 9), (20, 26), (21, 27), 0.5)]
        nodules = fuse_scan(
            ct_of(), np.zeros(SHAPE, np.float32), detections, FusionRule(threshold=0.5, minimum_diameter=4)
        )
        assert nodules.scores == (0.9,), "of the second, one column of 6 x 4 voxels is left: 3.6 mm"

    def test_nothing_above_the_threshold_and_no_candidate_gives_nothing(self):
        nodules = fuse_scan(ct_of(), np.full(SHAPE, 0.5, np.float32), [], RULE)
        assert not nodules.labels.any()
        assert not nodules.unconfirmed.any()


class TestSeeds:
    def test_a_seed_takes_the_component_at_it(self):
        nodule, other = ball((8, 20, 20), 4), ball((8, 45, 45), 4)
        nodules = fuse_scan(ct_of(), image_of(nodule, other), [seeded(8, 21, 19)], RULE)
        assert (nodules.labels == nodule).all()
        assert nodules.statuses == (SEEDED,)
        assert nodules.scores == (None,)

    def test_a_seed_takes_the_nearest_component_within_five_millimetres(self):
        near, far = ball((8, 20, 20), 4), ball((8, 40, 20), 4)
        nodules = fuse_scan(ct_of(), image_of(near, far), [seeded(8, 28, 20)], RULE)  # 4 mm from near, 8 mm from far
        assert (nodules.labels == near).all()

    def test_a_seed_with_nothing_within_reach_is_reported(self):
        nodules = fuse_scan(ct_of(), image_of(ball((8, 20, 20), 4)), [seeded(8, 30, 20)], RULE)
        assert not nodules.labels.any()
        assert nodules.not_found == ((20, 30, 8),)

    def test_reach_is_measured_in_millimetres(self):
        spacing = (1.0, 1.0, 3.0)
        nodule = ball((3, 20, 20), 4, spacing=spacing)
        top = int(np.flatnonzero(nodule.any((1, 2))).max())
        at_3_mm, at_6_mm = (
            fuse_scan(ct_of(spacing=spacing), image_of(nodule), [seeded(top + n, 20, 20)], RULE) for n in (1, 2)
        )
        assert (at_3_mm.labels == nodule).all()
        assert at_6_mm.not_found == ((20, 20, top + 2),)

    def test_a_seed_on_a_find_of_the_detector_gives_one_confirmed_nodule(self):
        nodule = ball((8, 20, 20), 4)
        nodules = fuse_scan(ct_of(), image_of(nodule), [found((5, 12), (16, 25), (16, 25)), seeded(8, 20, 20)], RULE)
        assert (nodules.labels == nodule).all()
        assert nodules.statuses == (CONFIRMED,)
        assert nodules.scores == (0.9,)

    def test_two_seeds_part_two_nodules_that_a_neck_joins(self):
        left, right, neck = ball((8, 30, 20), 6), ball((8, 30, 36), 6), block((8, 9), (30, 31), (20, 36))
        nodules = fuse_scan(ct_of(), image_of(left, right, neck), [seeded(8, 30, 20), seeded(8, 30, 36)], RULE)
        assert nodules.statuses == (SEEDED, SEEDED)
        assert len(set(nodules.labels[left])) == len(set(nodules.labels[right])) == 1

    def test_the_same_point_twice_gives_one_nodule(self):
        nodule = ball((8, 20, 20), 4)
        nodules = fuse_scan(ct_of(), image_of(nodule), [seeded(8, 20, 20), seeded(8, 20, 20)], RULE)
        assert (nodules.labels == nodule).all()


class TestTheEdgeAtAShareOfTheNodulesOwnPeak:
    RULE = FusionRule(threshold=0.45, edge="peak")
    FAINT = found((6, 11), (12, 29), (12, 29))

    @staticmethod
    def cone(centre, peak) -> np.ndarray:
        """G(x) that falls by a tenth of its peak with every millimetre from `centre`."""
        offsets = [(np.arange(n) - c) for n, c in zip(SHAPE, centre, strict=True)]
        k, j, i = np.ix_(*offsets)
        return (peak * np.clip(1 - np.sqrt(k**2 + j**2 + i**2) / 10, 0, 1)).astype(np.float32)

    def test_a_faint_nodule_is_as_large_as_a_strong_one_of_the_same_shape(self):
        faint, strong = (
            fuse_scan(ct_of(), self.cone((8, 20, 20), peak), [self.FAINT], self.RULE).labels for peak in (0.5, 1.0)
        )
        assert (faint == strong).all() and (strong == ball((8, 20, 20), 5.49)).all()

    def test_a_find_whose_peak_is_below_the_threshold_is_detector_only(self):
        nodules = fuse_scan(ct_of(), self.cone((8, 20, 20), 0.44), [self.FAINT], self.RULE)
        assert nodules.statuses == (DETECTOR_ONLY,)

    def test_a_seed_takes_what_is_there_down_to_the_lowest_edge(self):
        nodules = fuse_scan(ct_of(), self.cone((8, 20, 20), 0.2), [seeded(8, 20, 20)], self.RULE)
        assert nodules.statuses == (SEEDED,)
        assert (nodules.labels == (self.cone((8, 20, 20), 0.2) > self.RULE.lowest)).all()

    def test_a_faint_find_beside_a_strong_nodule_does_not_swell_it(self):
        image = np.maximum(self.cone((8, 20, 20), 1.0), self.cone((8, 44, 44), 0.5))
        alone = fuse_scan(ct_of(), image, [self.FAINT], self.RULE).labels > 0
        faint = found((6, 11), (40, 49), (40, 49), score=0.8)
        both = fuse_scan(ct_of(), image, [self.FAINT, faint], self.RULE).labels
        assert (alone == (both == 1)).all()
        assert (both == 2).any()
