"""What is told of the generator's training is what its manifest says."""

from __future__ import annotations

import json

import pytest

from lnhg.core.resources import resource
from lnhg.core.training_told import how_generator_was_trained, loss_terms


def told(**training: float) -> str:
    return how_generator_was_trained(loss_terms({"training": {"width": 16, **training}}))


@pytest.mark.parametrize(
    ("training", "sentence"),
    [
        (
            {"mse": 1.0, "vgg": 1.0, "adversarial": 0.1},
            "by mean squared error and VGG-19 features and against a critic (WGAN-GP).",
        ),
        ({"mse": 1.0, "vgg": 0.0, "adversarial": 0.1}, "by mean squared error and against a critic (WGAN-GP)."),
        ({"mse": 0.0, "vgg": 0.0, "adversarial": 1.0}, "It was trained against a critic (WGAN-GP)."),
        (
            {"mse": 1.0, "vgg": 0.0, "adversarial": 0.0},
            "by mean squared error alone, without the critic (WGAN-GP) of the paper.",
        ),
        ({"mse": 0.0, "vgg": 1.0, "adversarial": 0.0}, "by VGG-19 features alone, without the critic"),
    ],
)
def test_the_terms_of_the_loss_that_have_a_weight_are_named_and_no_others(training, sentence):
    assert sentence in told(**training)


def test_a_manifest_that_does_not_tell_is_not_guessed_at():
    assert told() == how_generator_was_trained({}) == "How it was trained is not recorded."


def test_the_shipped_generator_is_told_as_it_was_trained():
    manifest = json.loads((resource("Models") / "generator.json").read_text(encoding="utf-8"))
    sentence = how_generator_was_trained(loss_terms(manifest))
    assert ("against a critic" in sentence) == (manifest["training"]["adversarial"] > 0)
    assert ("VGG-19" in sentence) == (manifest["training"]["vgg"] > 0)
    assert "mean squared error" in sentence
