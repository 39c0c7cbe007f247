"""The rescorer: what it is shown of a candidate, how scores are joined, and that it learns to tell balls from tubes."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from balls_ct import ANYWHERE, CT_AXIAL
from lnhg.core.candidate import Candidate
from lnhg.core.ct import CT
from lnhg.core.resources import resource
from lnhg.errors import InputError
from lnhg.networks.models import Models
from lnhg.networks.rescoring import PIXELS, PLANES, RESCORER_GRID, Pose, Surroundings, planes, rescore, surroundings
from lnhg.networks.torch_models import load_models
from lnhg.options import Options
from lnhg.pipeline import segment
from lnhg.training import rescorer_training
from lnhg.training.candidate_samples import CandidateSample, batch
from lnhg.training.packing import pack
from lnhg.training.rescorer_training import RescorerTraining, probabilities, train_on
from standins import standin_models
from training_data import cut_off_after


def a_ct(hu: np.ndarray, spacing: tuple[float, float, float] = (0.7, 0.7, 2.0)) -> CT:
    return CT(hu.astype(np.int16), np.diag([-spacing[0], -spacing[1], spacing[2], 1.0]))


def a_ramp() -> np.ndarray:
    k, j, i = np.meshgrid(np.arange(20), np.arange(80), np.arange(90), indexing="ij")
    return 10 * k + j + i


def test_planes_show_the_ct_around_the_candidate_in_millimetres():
    candidate = Candidate(
        dict.fromkeys(range(5, 14), (40.0, 30.0, 50.0, 40.0)), 0.5
    )  # its centre is voxel (44.5, 34.5, 9)
    seen = planes(surroundings(a_ct(a_ramp()), candidate))
    assert seen.shape == (PLANES, PIXELS, PIXELS)
    k, j, i = np.meshgrid(np.arange(PLANES) - 3, np.arange(PIXELS) - 19.5, np.arange(PIXELS) - 19.5, indexing="ij")
    np.testing.assert_allclose(seen, 10 * (9 + k) + 34.5 + j + 44.5 + i, atol=1e-2)


def test_planes_of_wider_pixels_and_thicker_slices_show_the_same_millimetres():
    candidate = Candidate({4: (20.0, 20.0, 30.0, 30.0), 5: (20.0, 20.0, 30.0, 30.0)}, 0.5)
    seen = planes(surroundings(a_ct(a_ramp(), (1.4, 0.7, 4.0)), candidate))
    assert seen[3, 20, 20] - seen[3, 20, 19] == pytest.approx(0.5, abs=1e-3)
    assert seen[3, 20, 20] - seen[3, 19, 20] == pytest.approx(1.0, abs=1e-3)
    assert seen[4, 20, 20] - seen[3, 20, 20] == pytest.approx(5.0, abs=1e-3)


def test_beyond_its_slices_a_candidate_goes_on_unchanged():
    candidate = Candidate({9: (40.0, 30.0, 50.0, 40.0)}, 0.5)
    seen = planes(surroundings(a_ct(a_ramp()), candidate))
    np.testing.assert_allclose(seen[:3], np.broadcast_to(seen[2], (3, PIXELS, PIXELS)), atol=1e-3)
    assert seen[3, 0, 0] - seen[2, 0, 0] == pytest.approx(10.0, abs=1e-3)


def test_a_mirrored_pose_shows_the_mirror_image():
    patch = surroundings(a_ct(a_ramp()), Candidate(dict.fromkeys(range(5, 14), (40.0, 30.0, 50.0, 40.0)), 0.5))
    straight, mirrored = planes(patch), planes(patch, Pose(mirrored=True, reversed=True))
    np.testing.assert_allclose(mirrored, straight[::-1, :, ::-1], atol=1e-2)


def test_scores_are_joined_and_seeds_keep_theirs():
    ct = a_ct(a_ramp())
    box = {9: (40.0, 30.0, 50.0, 40.0)}
    candidates = [Candidate(box, 0.9), Candidate(box, 0.4), Candidate(box, 1.0, (45, 35, 9))]
    again = rescore(ct, candidates, lambda seen: [0.1, 0.9])
    assert [round(one.score, 6) for one in again] == [1.0, 0.6, 0.3]
    assert again[0].seed == (45, 35, 9)


def test_a_candidate_at_the_edge_of_the_ct_is_looked_at_too():
    ct = a_ct(a_ramp())
    corner = Candidate({0: (0.0, 0.0, 4.0, 4.0)}, 0.5)
    assert np.isfinite(planes(surroundings(ct, corner))).all()


# ---------------------------------------------------------------- training


def a_sample(nodule: bool, number: int) -> CandidateSample:
    """A ball, or a tube that runs through all slices, in noise."""
    random = np.random.default_rng(number)
    k, j, i = np.meshgrid(np.arange(9) - 4, np.arange(45) - 22, np.arange(45) - 22, indexing="ij")
    radius = random.uniform(3, 5)
    inside = (j**2 + i**2 + (9 * k**2 if nodule else 0)) <= radius**2
    hu = np.where(inside, 0, -850) + random.normal(0, 30, inside.shape)
    return CandidateSample(
        Surroundings(hu.astype(np.int16), (0.7, 0.7, 2.0), (4.0, 22.0, 22.0)), nodule, 0.5, f"P{number}"
    )


@pytest.fixture(scope="module")
def samples() -> list[CandidateSample]:
    return [a_sample(number % 2 == 0, number) for number in range(16)]


def test_it_learns_to_tell_balls_from_tubes(samples, tmp_path):
    unseen = [a_sample(number % 2 == 0, number) for number in range(100, 116)]
    trained = train_on(RescorerTraining(steps=30, batch=6, every=15), tmp_path, samples, unseen)
    assert probabilities(trained, unseen)[::2].min() > probabilities(trained, unseen)[1::2].max()
    with (tmp_path / "log.csv").open(newline="") as file:
        assert [(row["step"], float(row["select_auc"])) for row in csv.DictReader(file)][-1] == ("30", 1.0)


def test_a_training_that_was_cut_off_goes_on_as_if_nothing_had_happened(samples, tmp_path, monkeypatch):
    config = RescorerTraining(steps=6, batch=4, every=2)
    straight = train_on(config, tmp_path / "straight", samples, samples)
    monkeypatch.setattr(rescorer_training, "batch", cut_off_after(3, batch))
    with pytest.raises(KeyboardInterrupt):
        train_on(config, tmp_path / "cut", samples, samples)
    monkeypatch.undo()
    again = train_on(config, tmp_path / "cut", samples, samples)
    for one, other in zip(straight.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_nodules_alone_are_refused(samples, tmp_path):
    with pytest.raises(InputError, match="nothing but nodules"):
        train_on(RescorerTraining(), tmp_path, samples[::2], samples)


# ---------------------------------------------------------------- a run


class DoubtsWhatIsDark(torch.nn.Module):
    """Stands in for a rescorer: sure of what is brighter than 50 HU, and sure of nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.least = torch.nn.Parameter(torch.tensor(0.75))

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        return (planes.amax((1, 2, 3, 4)) - self.least) * 1000


@pytest.fixture(scope="module")
def models() -> Models:
    plain = standin_models()
    manifest = {
        "name": "rescorer",
        "sha256": "0" * 64,
        "grid": RESCORER_GRID.as_dict(),
        "thresholds": {"detector": 0.3, "score": 0.5},
    }
    return replace(plain, rescorer=DoubtsWhatIsDark(), manifests={**plain.manifests, "rescorer": manifest})


def test_a_candidate_that_the_second_look_doubts_is_gone(models):
    (nodule,) = segment(CT_AXIAL, ANYWHERE, models=models).nodules
    both = segment(CT_AXIAL, Options(anywhere=True, detector_alone=True), models=models).nodules
    assert len(both) == 2
    assert nodule.centre_ras == both[0].centre_ras
    assert nodule.score == pytest.approx(np.sqrt(both[0].score), abs=1e-3)


def test_the_papers_rule_knows_no_second_look(models):
    assert len(segment(CT_AXIAL, ANYWHERE, models=models).candidates) == 1
    assert len(segment(CT_AXIAL, Options(anywhere=True, fusion="paper"), models=models).candidates) == 2


def test_a_chosen_score_counts_for_the_score_after_the_second_look(models):
    assert segment(CT_AXIAL, Options(anywhere=True, score_threshold=0.95), models=models).nodules == ()


def test_packed_weights_are_used_by_a_run(samples, tmp_path):
    train_on(RescorerTraining(steps=1, batch=4), tmp_path / "run", samples, samples)
    weights = tmp_path / "weights"
    shutil.copytree(resource("Models"), weights)
    pack([tmp_path / "run" / "last.pt"], weights, 0.5)
    models = load_models(weights)
    assert models.rescorer is not None
    assert models.threshold("rescorer", None) == 0.5
    assert "Research use only" in (weights / "rescorer.md").read_text()
