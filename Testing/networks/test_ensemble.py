"""Several detectors as one: each looks at a slice and its mirror image, and boxes of the same thing become one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from lnhg.cli import main
from lnhg.errors import InputError
from lnhg.networks.architecture import DETECTOR_GRID, DetectorArchitecture
from lnhg.networks.building import load_into
from lnhg.networks.detector import NoduleDetector, build_detector
from lnhg.networks.ensemble import DetectorEnsemble, detector_of
from lnhg.networks.merged_looks import found_by_all, joined
from lnhg.networks.runtime import Found
from lnhg.networks.weights import load_weights, save_weights
from lnhg.training.packing import join_detectors

_SMALL = DetectorArchitecture(pyramid_width=16, head_width=32)


def answer(*rows: tuple[float, float, float, float, float]) -> Found:
    """A detector's answer to one image: rows of box and score."""
    table = np.array(rows, np.float32).reshape(-1, 5)
    return table[:, :4], table[:, 4]


def test_what_both_see_is_one_box_with_the_mean_score_and_what_one_sees_alone_has_half() -> None:
    both = joined(
        [answer((0, 0, 10, 10, 0.9), (50, 50, 60, 60, 0.8)), answer((1, 0, 11, 10, 0.7), (80, 80, 90, 90, 0.5))]
    )
    assert both[0].tolist() == [[0.5, 0, 10.5, 10], [50, 50, 60, 60], [80, 80, 90, 90]]
    assert both[1].tolist() == pytest.approx([0.8, 0.4, 0.25])


def test_a_box_is_joined_once_and_to_the_one_that_overlaps_it_most() -> None:
    near, far = (0, 0, 10, 10), (4, 0, 14, 10)
    both = joined([answer((*near, 0.9), (*far, 0.8)), answer((*near, 0.6), (*far, 0.4))])
    assert both[0].tolist() == [list(near), list(far)] and both[1].tolist() == pytest.approx([0.75, 0.6])
    assert joined([answer((*near, 0.9)), answer((8, 0, 18, 10, 0.9))])[1].tolist() == pytest.approx([0.45, 0.45])


def test_an_image_is_looked_at_no_further_than_its_best_box_can_still_reach_the_lowest_score() -> None:
    scores = {"sure": (0.9, 0.8, 0.9, 0.8), "doubtful": (0.9, 0.8, 0.1, 0.2), "dull": (0.9, 0.9, 0.0, 0.9)}
    seen: list[tuple[int, str]] = []

    def look(number: int, images: list[str]) -> list[Found]:
        seen.extend((number, image) for image in images)
        return [answer((0, 0, 10, 10, scores[image][number])) for image in images]

    looks = [partial(look, number) for number in range(4)]
    sure, doubtful, dull = found_by_all(looks, list(scores), 0.77)
    assert sure is not None and sure[1].tolist() == pytest.approx([0.85])
    assert doubtful is None and dull is None
    # The second member's look at the image itself comes first, then the first member's.
    assert seen[:3] == [(2, "sure"), (2, "doubtful"), (2, "dull")]
    assert [number for number, image in seen if image == "doubtful"] == [2, 0]
    assert [number for number, image in seen if image == "dull"] == [2]
    seen.clear()
    assert found_by_all(looks, ["dull"], 0.77) == [None] and len(seen) == 1, "no look at nothing"
    assert sum(one is not None for one in found_by_all(looks, list(scores), 0.5)) == 3, "all reach 0.5"


def test_a_slice_in_which_nothing_is_found_stays_empty() -> None:
    nothing = joined([answer(), answer()])
    assert nothing[0].shape == (0, 4) and nothing[1].shape == (0,)
    assert joined([answer(), answer((0, 0, 10, 10, 0.6))])[1].tolist() == pytest.approx([0.3])


def member(seed: int, folder: Path) -> NoduleDetector:
    """A detector with random weights, also packed into a folder."""
    torch.manual_seed(seed)
    detector = build_detector(_SMALL).eval()
    manifest = {"kind": "detector", "architecture": _SMALL.as_dict(), "grid": DETECTOR_GRID.as_dict()}
    save_weights(
        folder,
        "detector",
        detector.state_dict(),
        {**manifest, "thresholds": {"score": 0.5}, "training": {"seed": seed}},
    )
    load_into(load_weights(folder, "detector"), detector)
    return detector


def looks(detector: NoduleDetector, image: torch.Tensor) -> list[Found]:
    """A detector's answers to an image and to its mirror image, both in the pixels of the image."""
    (plain, (mirrored, scores)) = detector.find([image.numpy(), image.flip(-1).numpy()])
    boxes = mirrored[:, [2, 1, 0, 3]]
    boxes[:, [0, 2]] = image.shape[-1] - boxes[:, [0, 2]]
    return [plain, (boxes, scores)]


def test_joined_weights_answer_as_their_members_do_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    members = [member(seed, tmp_path / str(seed)) for seed in (1, 2)]
    words = [
        "weights",
        "join",
        str(tmp_path / "1"),
        str(tmp_path / "2"),
        "--output",
        str(tmp_path / "both"),
        "--threshold",
        "0.7",
    ]
    assert main(words) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "both" / "detector.safetensors")
    weights = load_weights(tmp_path / "both", "detector")
    assert weights.manifest["thresholds"] == {"score": 0.7}
    assert [one["seed"] for one in weights.manifest["training"]["members"]] == [1, 2]
    ensemble = load_into(weights, detector_of(weights.manifest))
    assert isinstance(ensemble, DetectorEnsemble) and ensemble.architecture == _SMALL
    image = torch.rand(3, 64, 64)
    with torch.inference_mode():
        ((boxes, scores),) = ensemble.find([image.numpy()])
        apart = joined([look for one in members for look in looks(one, image)])
    np.testing.assert_allclose(boxes, apart[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(scores, apart[1], rtol=1e-5)
    with torch.inference_mode():
        assert ensemble.found([image, image], 0.999) == [None, None]


def test_one_detector_joined_alone_looks_at_mirror_images_too(tmp_path: Path) -> None:
    detector = member(1, tmp_path / "1")
    join_detectors([tmp_path / "1"], tmp_path / "twice", 0.7)
    weights = load_weights(tmp_path / "twice", "detector")
    image = torch.rand(3, 64, 64)
    with torch.inference_mode():
        (found,) = load_into(weights, detector_of(weights.manifest))([image])
    np.testing.assert_allclose(found["scores"], joined(looks(detector, image))[1], rtol=1e-5)


def test_a_mirrored_slice_has_the_same_finds_on_the_other_side(tmp_path: Path) -> None:
    ensemble = DetectorEnsemble([member(seed, tmp_path / str(seed)) for seed in (1, 2)])
    image = torch.rand(3, 64, 96)
    with torch.inference_mode():
        (plain,), (mirrored,) = ensemble([image]), ensemble([image.flip(-1)])
    torch.testing.assert_close(plain["scores"], mirrored["scores"])
    torch.testing.assert_close(plain["boxes"][:, [0, 2]], 96 - mirrored["boxes"][:, [2, 0]])


def test_detectors_that_cannot_be_joined_are_refused(tmp_path: Path) -> None:
    member(1, tmp_path / "1")
    join_detectors([tmp_path / "1"], tmp_path / "one", 0.5)
    with pytest.raises(InputError, match="single detectors, not of ensembles"):
        join_detectors([tmp_path / "1", tmp_path / "one"], tmp_path / "both", 0.5)
    other = build_detector(DetectorArchitecture(pyramid_width=16, head_width=64))
    manifest = {"kind": "detector", "architecture": other.architecture.as_dict(), "grid": DETECTOR_GRID.as_dict()}
    save_weights(tmp_path / "2", "detector", other.state_dict(), {**manifest, "thresholds": {"score": 0.5}})
    with pytest.raises(InputError, match="differ in architecture or grid"):
        join_detectors([tmp_path / "1", tmp_path / "2"], tmp_path / "both", 0.5)
