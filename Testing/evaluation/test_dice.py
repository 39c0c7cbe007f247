"""Dice of single nodules and nodules matched between label maps, against hand values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch import nn

from lnhg.core.ct import CT
from lnhg.data.cutouts import Cutout
from lnhg.errors import InputError
from lnhg.evaluation.label_maps import read_label_map
from lnhg.evaluation.measures import Match, dice, match_nodules
from lnhg.evaluation.seeded import centre_of, seeded_dice
from lnhg.networks.grid import NetworkGrid
from lnhg.networks.torch_models import TorchModels


def test_dice_is_twice_the_common_voxels_over_the_sum() -> None:
    reference, found = np.array([1, 1, 1, 1, 0, 0], bool), np.array([0, 0, 1, 1, 1, 0], bool)
    assert dice(reference, found) == pytest.approx(2 * 2 / (4 + 3))
    assert dice(reference, reference) == 1
    assert dice(reference, ~reference) == 0
    assert dice(reference, np.zeros(6, bool)) == 0


def test_the_centre_of_a_nodule_is_one_of_its_voxels() -> None:
    ring = np.zeros((3, 9, 9), bool)
    ring[1, 2:7, 2:7] = True
    assert centre_of(ring) == (4, 4, 1)
    ring[1, 3:6, 3:6] = False
    i, j, k = centre_of(ring)
    assert ring[k, j, i] and max(abs(i - 4), abs(j - 4)) == 2


class _Same(nn.Module):
    """A stand-in for the generator: the slices as they are."""

    width = 1

    def __init__(self, added: float) -> None:
        super().__init__()
        self.added = nn.Parameter(torch.tensor([added]))

    def forward(self, o: torch.Tensor) -> torch.Tensor:
        return o + self.added


def _dice_of(pixel_mm: float, threshold: float, added: float = 0.0) -> float:
    manifest = {
        "name": "stand-in",
        "sha256": "",
        "grid": NetworkGrid("fixed", pixel_mm).as_dict(),
        "thresholds": {"g": threshold},
    }
    return seeded_dice(_ball_with_neighbour(), TorchModels(_Same(added), None, {"generator": manifest}))  # type: ignore[arg-type]


def _ball_with_neighbour() -> Cutout:
    k, j, i = np.indices((9, 40, 40))
    ball = (2 * (k - 4)) ** 2 + (j - 18) ** 2 + (i - 20) ** 2 < 36
    neighbour = (2 * (k - 4)) ** 2 + (j - 33) ** 2 + (i - 33) ** 2 < 9
    hu = np.where(ball | neighbour, 0, -1000).astype(np.int16)
    return Cutout("A", "P", CT(hu, np.diag([-0.7, -0.7, 1.4, 1])), ball.astype(np.uint8), 1, {})


def test_a_generator_that_shows_the_nodule_exactly_has_a_seeded_dice_of_one() -> None:
    assert _dice_of(pixel_mm=0.7, threshold=0.3) == 1


def test_on_a_coarser_grid_the_seeded_dice_is_a_little_lower() -> None:
    assert 0.9 < _dice_of(pixel_mm=1.4, threshold=0.3571) < 1


def test_a_generator_that_shows_nothing_at_the_seed_has_a_dice_of_zero() -> None:
    assert _dice_of(pixel_mm=0.7, threshold=0.9, added=-0.6) == 0


# Label maps
# -------------------------------------------------------------------------------------------------------------


def _labels(*values: int) -> np.ndarray:
    return np.array(values, np.int32).reshape(1, 1, -1)


def test_each_reference_nodule_is_matched_with_the_label_that_covers_most_of_it() -> None:
    reference = _labels(1, 1, 1, 1, 0, 2, 2, 0, 4, 4)
    labels = _labels(7, 3, 3, 3, 3, 0, 0, 5, 9, 0)
    assert match_nodules(reference, labels) == [
        Match(1, 3, pytest.approx(2 * 3 / (4 + 4))),
        Match(2, 0, 0.0),
        Match(4, 9, pytest.approx(2 * 1 / (2 + 1))),
    ]


def test_a_reference_without_nodules_gives_no_match() -> None:
    assert match_nodules(_labels(0, 0), _labels(1, 0)) == []


def test_label_maps_of_different_grids_are_refused() -> None:
    with pytest.raises(InputError, match="different grids"):
        match_nodules(_labels(1, 0), _labels(1, 0, 0))


def test_a_label_map_is_read_from_disk(tmp_path: Path) -> None:
    values = np.arange(24).reshape(2, 3, 4)
    sitk.WriteImage(sitk.GetImageFromArray(values.astype(np.float32)), str(tmp_path / "labels.nrrd"))
    np.testing.assert_array_equal(read_label_map(tmp_path / "labels.nrrd").labels, values)


@pytest.mark.parametrize("values", [[[[0.5, 1]]], [[[-1.0, 1]]]])
def test_an_image_that_is_no_label_map_is_refused(tmp_path: Path, values: list) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.array(values, np.float32)), str(tmp_path / "ct.nrrd"))
    with pytest.raises(InputError, match=r"ct\.nrrd is no label map"):
        read_label_map(tmp_path / "ct.nrrd")


def test_a_file_that_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.nrrd").write_text("nothing")
    with pytest.raises(InputError, match=r"labels\.nrrd is damaged, cut off or no image"):
        read_label_map(tmp_path / "labels.nrrd")
