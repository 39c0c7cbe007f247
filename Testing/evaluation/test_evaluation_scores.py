"""Scores of single nodules against hand-computed values, and the references they are held to."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage
from sklearn.metrics import jaccard_score, precision_score, recall_score

from lnhg.core.ct import CT
from lnhg.core.geometry import equivalent_diameter
from lnhg.data.cutouts import Cutout, read_cutouts
from lnhg.errors import InputError
from lnhg.evaluation.measures import Overlap, SurfaceDistances, measure, overlap, surface_distances
from lnhg.evaluation.references import reference_mask, staple
from lnhg.stages.contacts import FREE, JUXTA_PLEURAL, JUXTA_VASCULAR
from lnhg.studies import systems
from lnhg.studies.groups import place_of, size_of, texture_of
from lnhg.studies.scores import nodule_scores, reader_scores
from lnhg.studies.systems import System, corresponding, label_map_system, own_system
from standins import standin_models

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SHAPE = (12, 40, 40)


def ball(k: float = 6, j: float = 20, i: float = 20, radius: float = 5) -> np.ndarray:
    """A ball in mm, on voxels of 1 x 1 x 1 mm."""
    z, y, x = np.indices(SHAPE)
    return (z - k) ** 2 + (y - j) ** 2 + (x - i) ** 2 <= radius**2


def cutout(*outlines: np.ndarray, hu: np.ndarray | None = None, texture: float = 5.0) -> Cutout:
    """A nodule of so many readers; without `hu` it lies free in the lung."""
    readers = sum((outline.astype(np.uint8) << bit for bit, outline in enumerate(outlines)), np.zeros(SHAPE, np.uint8))
    hu = np.where(readers > 0, 0, -850) if hu is None else hu
    ct = CT(hu.astype(np.int16), np.diag([-1.0, -1.0, 1.0, 1.0]))
    return Cutout("N1", "P1", ct, readers.astype(np.uint8), len(outlines), {"texture": texture})


# Overlap and surfaces
# ---------------------------------------------------------------------------------------------------


def test_overlap_measures_are_the_hand_values() -> None:
    reference, found = np.zeros((1, 2, 4), bool), np.zeros((1, 2, 4), bool)
    reference[0, 0], found[0, 0, 2:], found[0, 1, :1] = True, True, True
    assert overlap(reference, found) == Overlap(
        pytest.approx(2 * 2 / (4 + 3)), pytest.approx(2 / 5), pytest.approx(2 / 4), pytest.approx(2 / 3)
    )


def test_overlap_measures_agree_with_scikit_learn() -> None:
    reference, found = ball(), ball(j=22, radius=6)
    measured = overlap(reference, found)
    flat = reference.ravel(), found.ravel()
    assert measured.iou == pytest.approx(jaccard_score(*flat))
    assert measured.sensitivity == pytest.approx(recall_score(*flat))
    assert measured.precision == pytest.approx(precision_score(*flat))


def test_nothing_found_overlaps_nothing_and_has_no_precision_and_no_surface() -> None:
    nothing = np.zeros(SHAPE, bool)
    measured = overlap(ball(), nothing)
    assert (measured.dice, measured.iou, measured.sensitivity) == (0, 0, 0)
    assert math.isnan(measured.precision)
    assert math.isnan(surface_distances(ball(), nothing, (1, 1, 1)).hausdorff95)


def test_surface_distances_are_in_mm_along_each_axis() -> None:
    one = np.zeros((8, 8, 8), bool)
    one[2, 2, 2] = True
    for axis, apart in ((0, 2.5), (1, 0.7), (2, 0.6)):
        measured = surface_distances(one, np.roll(one, 2, axis), (0.6, 0.7, 2.5))
        assert measured.hausdorff95 == pytest.approx(2 * apart)
        assert measured.mean == pytest.approx(2 * apart)


def test_the_mean_surface_distance_counts_both_surfaces_and_the_hausdorff_distance_the_worse() -> None:
    reference, found = np.zeros((1, 1, 9), bool), np.zeros((1, 1, 9), bool)
    reference[..., 0], found[..., [0, 4]] = True, True
    measured = surface_distances(reference, found, (1, 1, 1))
    assert measured.mean == pytest.approx((0 + 4 + 0) / 3)
    assert measured.hausdorff95 == pytest.approx(0.95 * 4)  # the percentile of 0 and 4


def test_the_wall_of_a_hole_is_surface_and_so_is_the_edge_of_the_image() -> None:
    cube = np.zeros((7, 7, 7), bool)
    cube[1:6, 1:6, 1:6] = True
    hollow = cube.copy()
    hollow[3, 3, 3] = False
    assert surface_distances(cube, cube, (1, 1, 1)) == SurfaceDistances(0, 0)
    # 98 voxels of the cube are surface, 6 more around the hole, each 1 mm below the outside.
    measured = surface_distances(cube, hollow, (1, 1, 1))
    assert measured.mean == pytest.approx(6 / (98 + 98 + 6))
    assert measured.hausdorff95 == pytest.approx(0.85)  # rank 97.85 of 98 times 0 and 6 times 1
    # All but the middle of 27 voxels that fill the image: 9 of them 1 mm away, and the middle from the other side.
    full = np.ones((3, 3, 3), bool)
    assert surface_distances(full, full & (np.arange(3) < 2), (1, 1, 1)).mean == pytest.approx((9 + 1) / (26 + 18))


def test_surface_distances_of_balls_agree_with_a_distance_map() -> None:
    one, other, spacing = ball(), ball(k=7, j=22, radius=6), (0.6, 0.7, 2.5)
    rims = [mask & ~ndimage.binary_erosion(mask) for mask in (one, other)]
    there, back = (ndimage.distance_transform_edt(~to, sampling=spacing[::-1])[of] for of, to in (rims, rims[::-1]))
    measured = surface_distances(one, other, spacing)
    assert measured.hausdorff95 == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))
    assert measured.mean == pytest.approx(np.concatenate([there, back]).mean())


def test_slabs_that_are_shifted_lie_as_far_apart_as_they_were_moved() -> None:
    one = np.zeros((20, 9, 9), bool)
    one[3:6] = True
    measured = surface_distances(one, np.roll(one, 10, 0), (0.6, 0.7, 2.5))
    # Each slab has two faces of 81 voxels, 10 and 8 slices away from the other slab, and a ring of 32 between.
    assert measured.hausdorff95 == pytest.approx(25.0)
    assert measured.mean == pytest.approx(22.5)


def test_errors_of_volume_and_diameter_are_relative_to_the_reference() -> None:
    reference, found = np.zeros((4, 4, 4), bool), np.zeros((4, 4, 4), bool)
    reference[:2, :2, :2], found[:3, :3, :3] = True, True
    measured = measure(reference, found, (0.5, 0.5, 2.0), 0.5)
    assert (measured.reference_mm3, measured.found_mm3) == (4, 13.5)
    assert measured.volume_error == pytest.approx((27 - 8) / 8)
    assert measured.diameter_error == pytest.approx((3 - 2) / 2)
    assert measure(found, reference, (0.5, 0.5, 2.0), 0.5).diameter_error == pytest.approx((2 - 3) / 3)


# References
# -------------------------------------------------------------------------------------------------------------


def test_the_references_are_the_consensus_each_reader_and_staple() -> None:
    small, middle, large = ball(radius=3), ball(radius=4), ball(radius=5)
    nodule = cutout(small, middle, large)
    np.testing.assert_array_equal(reference_mask(nodule, "consensus"), middle)
    np.testing.assert_array_equal(reference_mask(nodule, "reader 3"), large)
    assert reference_mask(nodule, "reader 4") is None
    estimate = sitk.STAPLE([sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (small, middle, large)], 1.0)
    np.testing.assert_array_equal(reference_mask(nodule, "staple"), sitk.GetArrayFromImage(estimate) >= 0.5)
    np.testing.assert_array_equal(staple([small]), small)


def test_half_of_the_readers_make_the_consensus() -> None:
    small, large = ball(radius=3), ball(radius=5)
    np.testing.assert_array_equal(reference_mask(cutout(small, large), "consensus"), large)
    np.testing.assert_array_equal(reference_mask(cutout(small, small, large), "consensus"), small)
    np.testing.assert_array_equal(reference_mask(cutout(small, small, large, large), "consensus"), large)


def test_a_system_scores_otherwise_against_each_reference() -> None:
    small, middle, large = ball(radius=3), ball(radius=4), ball(radius=5)
    nodule, system = cutout(small, middle, large), System("mine", lambda _: ball(radius=4))

    def dice_against(reference: str) -> float:
        return nodule_scores(system, [nodule], reference)[0].dice

    assert dice_against("consensus") == dice_against("reader 2") == 1
    for reference, mask in (("reader 1", small), ("reader 3", large), ("staple", reference_mask(nodule, "staple"))):
        assert dice_against(reference) == pytest.approx(2 * (mask & middle).sum() / (mask.sum() + middle.sum()))
    assert dice_against("reader 1") < 0.7


def test_staple_trusts_the_readers_who_agree() -> None:
    # Two readers of three outline the same, the third a ball elsewhere.
    agreed = ball(radius=4)
    np.testing.assert_array_equal(staple([agreed, agreed, ball(j=30, radius=4)]), agreed)


def test_an_unknown_reference_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="no reference 'median'; choose one of consensus, staple, reader 1"):
        reference_mask(cutout(ball()), "median")


# Scores
# -----------------------------------------------------------------------------------------------------------------


def test_a_nodule_is_scored_with_all_its_measures() -> None:
    reference, found = ball(radius=5), ball(radius=4)
    (score,) = nodule_scores(System("mine", lambda _: found), [cutout(reference, texture=1.5)])
    assert (score.system, score.nodule, score.patient) == ("mine", "N1", "P1")
    assert (score.texture, score.place) == ("ground glass", FREE)
    assert score.reference_mm3 == reference.sum() and score.found_mm3 == found.sum()
    assert score.dice == pytest.approx(2 * found.sum() / (found.sum() + reference.sum()))
    assert score.sensitivity == pytest.approx(found.sum() / reference.sum()) and score.precision == 1
    assert score.volume_error == pytest.approx(found.sum() / reference.sum() - 1)
    assert score.diameter_mm == pytest.approx((6 * reference.sum() / np.pi) ** (1 / 3))
    assert score.diameter_error == pytest.approx(equivalent_diameter(found.sum()) / score.diameter_mm - 1)
    assert 0.5 < score.surface_distance_mm <= score.hausdorff95_mm < 1.5


def test_a_missed_nodule_has_a_dice_of_zero_and_no_errors_of_size() -> None:
    (score,) = nodule_scores(System("blind", lambda _: np.zeros(SHAPE, bool)), [cutout(ball())])
    assert (score.dice, score.found_mm3) == (0, 0)
    assert all(map(math.isnan, (score.precision, score.hausdorff95_mm, score.volume_error, score.diameter_error)))


def test_against_a_reader_only_the_nodules_of_that_reader_are_scored() -> None:
    cutouts = [cutout(ball()), cutout(ball(radius=4), ball())]
    assert len(nodule_scores(System("mine", lambda _: ball()), cutouts, "reader 2")) == 1


def test_each_reader_is_scored_against_the_consensus_of_the_others() -> None:
    small, large = ball(radius=3), ball(radius=5)
    scores = reader_scores([cutout(small, large, large), cutout(small)])
    assert [score.system for score in scores] == ["reader 1", "reader 2", "reader 3"]
    assert scores[0].dice == pytest.approx(2 * small.sum() / (small.sum() + large.sum()))
    # Half of small and large is large.
    assert scores[1].dice == scores[2].dice == 1


def test_groups_begin_at_their_lower_bound() -> None:
    assert [size_of(value) for value in (5.9, 6.0, 10.0)] == ["under 6 mm", "6 to 10 mm", "over 10 mm"]
    assert [texture_of(value) for value in (1.9, 2.0, 4.0, math.nan)] == [
        "ground glass",
        "part-solid",
        "solid",
        "unknown",
    ]


# Systems
# ----------------------------------------------------------------------------------------------------------------


def test_the_label_that_shares_most_with_the_consensus_is_the_nodule() -> None:
    labels = np.where(ball(radius=4), 2, np.where(ball(j=32), 1, 0)).astype(np.int32)
    np.testing.assert_array_equal(corresponding(cutout(ball()), labels), ball(radius=4))
    assert not corresponding(cutout(ball()), np.zeros(SHAPE, np.int32)).any()


def write(folder: Path, labels: np.ndarray, of: Cutout, name: str) -> None:
    folder.mkdir(exist_ok=True)
    image = sitk.GetImageFromArray(labels.astype(np.uint8))
    image.SetOrigin(tuple(float(v) for v in of.ct.ijk_to_ras[:3, 3] * (-1, -1, 1)))
    image.SetSpacing(of.ct.spacing)
    sitk.WriteImage(image, str(folder / name))


def test_another_systems_label_maps_are_read_back_from_a_folder(tmp_path: Path) -> None:
    nodule = cutout(ball())
    write(tmp_path, ball(radius=4) | ball(j=33, i=33, radius=3), nodule, "N1.nii.gz")
    together = nodule_scores(label_map_system("other", tmp_path), [nodule])[0]
    apart = nodule_scores(label_map_system("other", tmp_path, alike=True), [nodule])[0]
    assert together.precision < 1 and apart.precision == 1
    with pytest.raises(InputError, match="holds no label map for N1"):
        write(tmp_path / "b", ball(), nodule, "N2.nrrd")
        label_map_system("other", tmp_path / "b").mask(nodule)
    with pytest.raises(InputError, match="different grids"):
        write(tmp_path / "c", ball()[:-1], nodule, "N1.nrrd")
        label_map_system("other", tmp_path / "c").mask(nodule)


@pytest.mark.parametrize("name", ["lnhg", "l-rf"])
def test_our_own_systems_outline_a_bright_nodule(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    models = standin_models()
    alone = replace(models, detector=None, manifests={"generator": models.manifests["generator"]})
    monkeypatch.setattr(systems, "load_models", lambda folder, with_detector: alone)
    nodule = cutout(ball(radius=6))
    (score,) = nodule_scores(own_system(name), [nodule])
    assert score.dice > 0.8


def test_an_unknown_system_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="no system 'v-net'; choose one of lnhg, l-rf, l-mse, l-vgg, unet"):
        own_system("v-net")


# Places
# -----------------------------------------------------------------------------------------------------------------


def test_a_nodule_at_the_chest_wall_is_juxta_pleural() -> None:
    x = np.indices(SHAPE)[2]
    wall = x >= 26
    assert place_of(cutout(ball(), hu=np.where(ball() | wall, 0, -850))) == JUXTA_PLEURAL
    assert place_of(cutout(ball(), hu=np.where(ball() | (x >= 32), 0, -850))) == FREE


def test_a_nodule_at_a_vessel_is_juxta_vascular() -> None:
    z, y, _ = np.indices(SHAPE)
    vessel = (abs(z - 6) <= 1) & (abs(y - 20) <= 1)
    assert place_of(cutout(ball(), hu=np.where(ball() | vessel, 0, -850))) == JUXTA_VASCULAR
    beside = (abs(z - 6) <= 1) & (abs(y - 32) <= 1)
    assert place_of(cutout(ball(), hu=np.where(ball() | beside, 0, -850))) == FREE


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real CT of {DATA.name} are not here")
def test_nodules_looked_at_in_pictures_lie_where_they_were_seen(tmp_path: Path) -> None:
    seen = {"0559_R_1": JUXTA_PLEURAL, "0190_R_2": JUXTA_PLEURAL, "0542_R_3": FREE, "0064_R_1": JUXTA_VASCULAR}
    table = (DATA / "lidc_nodules" / "nodules.csv").read_text().splitlines()
    wanted = [line for line in table[1:] if line.split(",")[0].removeprefix("LIDC-IDRI-") in seen]
    (tmp_path / "nodules.csv").write_text("\n".join([table[0], *wanted]))
    for line in wanted:
        for kind in ("ct", "readers"):
            name = f"{line.split(',')[0]}.{kind}.nrrd"
            (tmp_path / name).symlink_to(DATA / "lidc_nodules" / name)
    assert {one.name.removeprefix("LIDC-IDRI-"): place_of(one) for one in read_cutouts(tmp_path)} == seen
