"""The losses of eq. 1, 8, 9 and 10 against values worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lnhg.training.losses import (
    adversarial_loss,
    balanced,
    discriminator_loss,
    gradient_penalty,
    gradients,
    mse_loss,
    perceptual_loss,
)


class _TwoMaps(nn.Module):
    """Two feature maps of an image: 2 x and 3 x."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat([2 * images, 3 * images], dim=1)


class _LinearCritic(nn.Module):
    """D(x) = w . x with w of norm 3."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([2.0, 1.0, 2.0]).view(1, 1, 3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.weight * x).flatten(1).sum(1)


def _volumes(*rows: list[float]) -> torch.Tensor:
    """Volumes of three slices of one voxel."""
    return torch.tensor(rows, dtype=torch.float32).view(-1, 1, 3, 1, 1)


def test_mse_is_the_mean_over_all_voxels() -> None:
    loss = mse_loss(_volumes([1, 2, 3], [0, 0, 4]), _volumes([0, 0, 0], [0, 0, 0]))
    assert loss.item() == pytest.approx((1 + 4 + 9 + 16) / 6)


def test_the_perceptual_loss_is_the_mean_over_all_feature_values() -> None:
    loss = perceptual_loss(_TwoMaps(), _volumes([1, 1, 3]), _volumes([0, 1, 1]))
    squares = [(2 * d) ** 2 + (3 * d) ** 2 for d in (1, 0, 2)]
    assert loss.item() == pytest.approx(sum(squares) / 6)


def test_the_perceptual_loss_moves_the_generated_image_only() -> None:
    generated, target = _volumes([1, 1, 3]).requires_grad_(True), _volumes([0, 1, 1]).requires_grad_(True)
    perceptual_loss(_TwoMaps(), generated, target).backward()
    # d/dg of ((2d)^2 + (3d)^2) / 6 is 26 d / 6.
    torch.testing.assert_close(generated.grad, _volumes([26 / 6, 0, 52 / 6]))
    assert target.grad is None


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_penalty_of_a_linear_critic_of_norm_three_is_four(share: float) -> None:
    shares = torch.full((2, 1, 1, 1, 1), share)
    penalty = gradient_penalty(_LinearCritic(), torch.rand(2, 1, 3, 1, 1), torch.rand(2, 1, 3, 1, 1), shares)
    assert penalty.item() == pytest.approx((3 - 1) ** 2)


def test_the_penalty_is_taken_between_target_and_generated_once_for_each_sample() -> None:
    def half_square(x: torch.Tensor) -> torch.Tensor:  # its gradient at x is x
        return x.square().flatten(1).sum(1) / 2

    target, generated = _volumes([0, 4, 0], [0, 4, 0]), _volumes([0, 0, 0], [0, 0, 0])
    share = torch.tensor([0.25, 1.0]).view(2, 1, 1, 1, 1)
    assert gradient_penalty(half_square, target, generated, share).item() == pytest.approx(
        ((1 - 1) ** 2 + (4 - 1) ** 2) / 2
    )


def test_the_penalty_trains_the_critic() -> None:
    critic = _LinearCritic()
    gradient_penalty(critic, torch.rand(2, 1, 3, 1, 1), torch.rand(2, 1, 3, 1, 1), torch.rand(2, 1, 1, 1, 1)).backward()
    # d/dw (|w| - 1)^2 = 2 (|w| - 1) w / |w|.
    torch.testing.assert_close(critic.weight.grad, 2 * (3 - 1) * critic.weight.data / 3)


def test_the_penalty_of_a_flat_critic_has_a_finite_gradient() -> None:
    critic = _LinearCritic()
    nn.init.zeros_(critic.weight)
    penalty = gradient_penalty(critic, torch.rand(2, 1, 3, 1, 1), torch.rand(2, 1, 3, 1, 1), torch.rand(2, 1, 1, 1, 1))
    penalty.backward()
    assert penalty.item() == 1
    assert critic.weight.grad is not None and critic.weight.grad.isfinite().all()


def test_the_discriminator_minimises_eq_1() -> None:
    target, generated = _volumes([1, 0, 0], [0, 1, 0]), _volumes([0, 0, 2], [0, 0, 0])
    loss = discriminator_loss(_LinearCritic(), target, generated, torch.zeros(2, 1, 1, 1, 1), penalty_weight=10)
    # D(R) = 2, 1; D(G) = 4, 0; penalty 4.
    assert loss.item() == pytest.approx(-1.5 + 2.0 + 10 * 4)


def test_the_discriminators_loss_does_not_train_the_generator() -> None:
    generated = _volumes([0, 0, 2]).requires_grad_(True)
    discriminator_loss(_LinearCritic(), _volumes([1, 0, 0]), generated, torch.zeros(1, 1, 1, 1, 1), 10).backward()
    assert generated.grad is None


def test_the_generator_maximises_its_scores() -> None:
    assert adversarial_loss(torch.tensor([1.0, 4.0])).item() == -2.5


def test_balanced_terms_pull_by_their_weights_whatever_their_scales() -> None:
    generated = _volumes([1, 2, 3]).requires_grad_(True)
    weights = {"mse": 1.0, "vgg": 1.0, "adversarial": 0.1}
    terms = {
        "mse": 1.0 * generated[..., 0, 0, 0].square().sum(),
        "vgg": 1.0 * 1e6 * generated[:, :, 1].sum(),
        "adversarial": 0.1 * -1e-3 * generated[:, :, 2].sum(),
    }
    pulls = gradients(terms, generated)
    # The first term's gradient is 2 x = 2; the others are brought to it, times 1 and 0.1.
    norms = {name: pull.norm().item() for name, pull in pulls.items()}
    torch.testing.assert_close(balanced(pulls, norms, weights), _volumes([2, 2, -0.2]))


def test_a_balanced_term_alone_pulls_as_ever_and_one_without_slope_not_at_all() -> None:
    pull = _volumes([1, -2, 3])
    norms = {"mse": pull.norm().item(), "vgg": 0.0}
    torch.testing.assert_close(balanced({"mse": pull}, norms, {"mse": 2.0}), pull)
    torch.testing.assert_close(balanced({"mse": pull, "vgg": 0 * pull}, norms, {"mse": 2.0, "vgg": 1.0}), pull)
