"""Masses wider than what the detector's boxes or the generator show: never a small nodule in their middle."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lnhg.categories.proposals import proposals
from lnhg.core.answers import StudyAnswers
from lnhg.core.candidate import Candidate
from lnhg.core.ct import CT
from lnhg.core.nodule import Nodule, as_row, from_row, header
from lnhg.options import Options
from lnhg.pipeline import segment
from lnhg.stages.mass_candidates import with_masses
from lnhg.stages.measurement import measure_nodules
from lnhg.stages.place import LungShape
from lnhg.writers.pictures import nodule_planes
from lnhg.writers.record import run_record
from lnhg.writers.report import report_html
from standins import StandInDetector, StandInGenerator, standin_models

_MM = 2.0
_SHAPE = (70, 110, 110)
_POSITIONS = np.stack(np.meshgrid(*[(np.arange(n) - n / 2) * _MM for n in _SHAPE], indexing="ij"))


def _ball(diameter: float, centre: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    return ((_POSITIONS - np.reshape(centre, (3, 1, 1, 1))) ** 2).sum(0) <= (diameter / 2) ** 2


def _chest_with(mass: np.ndarray) -> CT:
    """A body 210 mm wide whose inside is lung, with a mass."""
    hu = np.full(_SHAPE, -1000, np.int16)
    hu[:, 5:-5, 2:-2] = 0
    hu[:, 12:-12, 9:-9] = -850
    hu[mass] = 60
    return CT(hu, np.diag([-_MM, -_MM, _MM, 1.0]))


_FREE = (0.0, 0.0, 0.0)
_PLEURAL = (0.0, 0.0, 80.0)  # its middle lies 12 mm from the chest wall


class _Blind(StandInGenerator):
    """Sees nothing of what is wider than some of its pixels but its outer layer, on grids of any pixel."""

    def forward(self, o: torch.Tensor) -> torch.Tensor:
        g = super().forward(o)
        wide = -torch.nn.functional.max_pool2d(-g[:, 0], 9, 1, 4)
        return g - torch.nn.functional.max_pool2d(wide, 9, 1, 4)[:, None]


class _OneSpot(StandInDetector):
    """One box of 10 mm in the middle of the field, on the five slices that show it brightest."""

    def _find(self, image: np.ndarray) -> dict[str, torch.Tensor]:
        middle = [size / 2 for size in image.shape]
        box = (
            [[middle[1] - 5, middle[0] - 5, middle[1] + 5, middle[0] + 5]]
            if image[tuple(map(int, middle))] > 0.65
            else []
        )
        return {"boxes": torch.tensor(box, dtype=torch.float32).reshape(-1, 4), "scores": torch.full((len(box),), 0.9)}


@pytest.mark.parametrize("diameter", [50, 62, 76, 100])
@pytest.mark.parametrize("centre", [_FREE, _PLEURAL], ids=["free", "at the pleura"])
def test_a_seed_at_the_middle_of_a_mass_gives_the_mass(diameter: float, centre: tuple[float, float, float]) -> None:
    ct = _chest_with(_ball(diameter, centre))
    seed = ct.to_ras(np.array([at / _MM + n / 2 for at, n in zip(centre[::-1], _SHAPE[::-1], strict=True)]))
    models = standin_models()
    result = segment(ct, Options(seeds_only=True), [seed], models=type(models)(_Blind(), None, models.manifests))
    (nodule,) = result.nodules
    # At the pleura it ends where the chest wall begins, which looks the same: of a half ball at least what is certain.
    assert nodule.equivalent_diameter > (0.9 if centre == _FREE else 0.45) * diameter
    assert nodule.cut or diameter < 60
    assert proposals([nodule], StudyAnswers())[0].lung_rads.value == "4B"
    assert not any("Nothing was found" in warning for warning in result.warnings)


@pytest.mark.parametrize("diameter", [50, 62, 76, 100])
def test_a_small_find_in_the_middle_of_a_mass_becomes_the_mass(diameter: float) -> None:
    ct = _chest_with(_ball(diameter))
    models = standin_models(_OneSpot())
    result = segment(ct, Options(anywhere=True), models=type(models)(_Blind(), models.detector, models.manifests))
    (nodule,) = result.nodules
    assert nodule.equivalent_diameter > 0.9 * diameter
    assert nodule.cut is (diameter > 60)
    assert proposals([nodule], StudyAnswers())[0].lung_rads.value == "4B"


def test_what_is_cut_is_said_in_table_report_and_class() -> None:
    ct = _chest_with(_ball(76))
    seed = ct.to_ras(np.array([n / 2 for n in _SHAPE[::-1]]))
    models = standin_models()
    result = segment(ct, Options(seeds_only=True), [seed], models=type(models)(_Blind(), None, models.manifests))
    (nodule,) = result.nodules
    assert dict(zip(header(), as_row(nodule), strict=True))["cut, sizes are lower bounds"] == "yes"
    assert f"at least {nodule.long_axis:.1f}" in report_html(
        result, nodule_planes(result), run_record(result, "", False)
    )


@pytest.mark.parametrize("place", ["first slice", "side", "tissue"])
def test_a_nodule_that_ends_at_the_border_or_in_tissue_is_cut_and_its_class_may_be_higher(place: str) -> None:
    hu = np.full((20, 60, 60), -850, np.int16)
    k, j, i = np.ogrid[:20, :60, :60]
    at = {"first slice": (0, 30, 30), "side": (10, 0, 30), "tissue": (10, 30, 30)}[place]
    if place == "tissue":
        hu[4:17, 20:41, 20:41] = -300
    hu[(k - at[0]) ** 2 + (j - at[1]) ** 2 + (i - at[2]) ** 2 <= 16] = 60
    ct = CT(hu, np.diag([-1.0, -1.0, 1.0, 1.0]))
    (nodule,) = segment(ct, Options(seeds_only=True, generator_threshold=0.9), [ct.to_ras(np.array(at[::-1]))],
                        models=standin_models()).nodules  # fmt: skip
    assert nodule.cut
    (proposal,) = proposals([nodule], StudyAnswers())
    assert proposal.lung_rads.or_higher
    assert proposal.fleischner.or_higher or proposal.fleischner.value == "solid, single, over 8 mm"


def test_a_whole_nodule_is_not_cut_and_an_older_table_does_not_tell() -> None:
    hu = np.full((20, 60, 60), -850, np.int16)
    k, j, i = np.ogrid[:20, :60, :60]
    hu[(k - 10) ** 2 + (j - 30) ** 2 + (i - 30) ** 2 <= 25] = 60
    ct = CT(hu, np.diag([-1.0, -1.0, 1.0, 1.0]))
    (nodule,) = segment(
        ct, Options(seeds_only=True), [ct.to_ras(np.array([30, 30, 10]))], models=standin_models()
    ).nodules
    assert nodule.cut is False and nodule.at_least == ""
    cells = dict(zip(header(), as_row(nodule), strict=True))
    del cells["cut, sizes are lower bounds"]
    older: Nodule = from_row(cells)
    assert older.cut is None and older.at_least == ""


@pytest.mark.parametrize("diameter", [8, 16, 24])
def test_a_nodule_that_the_generator_sees_whole_has_no_ball(diameter: float) -> None:
    ct = _chest_with(_ball(diameter))
    half = diameter / 2 / _MM
    k, j, i = (n / 2 for n in _SHAPE)
    found = Candidate({int(k): (i - half, j - half, i + half, j + half)}, 0.9)
    (same,) = with_masses(ct, [found], np.ones(_SHAPE, np.uint8))
    assert same.mass is None


def _is_cut(ct: CT, drawn: np.ndarray, lungs: np.ndarray | None = None) -> bool | None:
    even, none = np.zeros(ct.hu.shape, np.float32), np.zeros(ct.hu.shape, np.uint8)
    shape = LungShape(ct, none if lungs is None else lungs.astype(np.uint8))
    (row,) = measure_nodules(
        ct, drawn.astype(np.uint16), even, even, shape, statuses=["confirmed"], scores=[0.9], rim_mm=1.0
    )
    return row.cut


@pytest.mark.parametrize("drawn", [20, 28.9, 46])
@pytest.mark.parametrize("centre", [_FREE, _PLEURAL, (0.0, 30.0, 60.0)], ids=["free", "at the pleura", "behind"])
def test_a_part_of_a_mass_is_cut_though_it_ends_far_from_any_limit(
    drawn: float, centre: tuple[float, float, float]
) -> None:
    ct = _chest_with(_ball(76, centre))
    k, j, i = centre
    assert _is_cut(ct, _ball(drawn, centre)) is True
    assert _is_cut(ct, _ball(drawn, (k, j - 8, i - 15)) & (ct.hu > 0)), "to one side of its middle"


@pytest.mark.parametrize("diameter", [8, 14, 22, 40])
@pytest.mark.parametrize("at", [60.0, 84.0, 90.0], ids=["free", "touching", "half in the wall"])
def test_a_nodule_at_the_wall_that_is_drawn_whole_is_not_cut(diameter: float, at: float) -> None:
    inner = np.zeros(_SHAPE, bool)
    inner[:, 12:-12, 9:-9] = True
    ball = _ball(diameter, (0, 0, at)) & inner
    ct = _chest_with(ball)
    assert _is_cut(ct, ball) is False


def _inside() -> np.ndarray:
    """What `_chest_with` makes lung or mass."""
    inner = np.zeros(_SHAPE, bool)
    inner[:, 12:-12, 9:-9] = True
    return inner


def _cap(diameter: float, thick: float, towards: tuple[float, float, float]) -> np.ndarray:
    """The outermost `thick` mm of a ball on one side."""
    along = sum(one * axis for one, axis in zip(_POSITIONS, np.array(towards) / np.linalg.norm(towards), strict=True))
    return _ball(diameter) & (along > diameter / 2 - thick)


@pytest.mark.parametrize(
    ("diameter", "thick", "towards"),
    [(40, 6, (0, 0, -1)), (40, 12, (1, 0, 0)), (60, 8, (0, 1, 1)), (76, 5, (1, 0, 0)), (76, 10, (0, 0, -1))],
)
def test_a_cap_of_a_mass_is_cut(diameter: float, thick: float, towards: tuple[float, float, float]) -> None:
    assert _is_cut(_chest_with(_ball(diameter)), _cap(diameter, thick, towards), _inside())


@pytest.mark.parametrize("diameter", [40, 76, 100])
def test_a_rim_of_a_mass_is_cut(diameter: float) -> None:
    k, j, i = _POSITIONS
    rim = _ball(diameter) & ~_ball(diameter - 16) & (i < 0) & (np.abs(k) < 12) & (np.abs(j) < 12)
    assert _is_cut(_chest_with(_ball(diameter)), rim, _inside())


def _at_the_wall(diameter: float) -> np.ndarray:
    """A mass at the wall, half of it in the lung."""
    return _ball(diameter, (0, 0, 88.0)) & _inside()


@pytest.mark.parametrize(("diameter", "thick"), [(50, 6), (60, 6), (60, 12), (76, 6), (76, 15)])
def test_a_cap_of_a_mass_at_the_wall_is_cut_though_the_mass_is_no_part_of_the_lungs_mask(
    diameter: float, thick: float
) -> None:
    mass = _at_the_wall(diameter)
    cap = mass & (_POSITIONS[2] < 88 - diameter / 2 + thick)
    assert _is_cut(_chest_with(mass), cap, _inside() & ~mass)


@pytest.mark.parametrize(("diameter", "vessel"), [(12, 4), (12, 8), (20, 6), (30, 8), (44, 6)])
def test_a_nodule_at_a_vessel_is_not_cut(diameter: float, vessel: float) -> None:
    k, j, i = _POSITIONS
    ct = _chest_with(_ball(diameter) | ((k**2 + j**2 <= (vessel / 2) ** 2) & (i > 0)))
    assert _is_cut(ct, _ball(diameter), _inside()) is False


@pytest.mark.parametrize("diameter", [24, 40, 56])
def test_a_mass_at_the_wall_that_is_drawn_whole_is_not_cut(diameter: float) -> None:
    mass = _at_the_wall(diameter)
    assert _is_cut(_chest_with(mass), mass, _inside() & ~mass) is False
