"""The losses of the generator branch (eq. 1, 8, 9 and 10 of the paper)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn


def mse_loss(generated: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """L_MSE, eq. 8: the mean over all voxels of (G(x) - R(x))^2."""
    return nn.functional.mse_loss(generated, target)


def perceptual_loss(features: nn.Module, generated: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """L_VGG, eq. 9: squared Frobenius norm of VGG(G(x)) - VGG(R(x)) over w h d, the size of the feature maps.

    d counts the 512 channels, so this is the mean over feature values.
    """
    with torch.no_grad():
        wanted = features(target)
    return nn.functional.mse_loss(features(generated), wanted)


def gradient_penalty(
    discriminator: Callable[[torch.Tensor], torch.Tensor],
    target: torch.Tensor,
    generated: torch.Tensor,
    share: torch.Tensor,
) -> torch.Tensor:
    """Third term of eq. 1 without its weight: E[(norm2 of the gradient of D at x - 1)^2].

    x = share * R(x) + (1 - share) * G(x), with one uniform `share` for each sample, `[n, 1, 1, 1, 1]`. In mixed
    precision
    this term stays float32: a gradient of a gradient leaves the range of half precision.
    """
    between = (share * target + (1 - share) * generated).detach().requires_grad_(True)
    with torch.autocast(between.device.type, enabled=False):
        (gradient,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
    return ((gradient.flatten(1).norm(2, dim=1) - 1) ** 2).mean()


def discriminator_loss(
    discriminator: Callable[[torch.Tensor], torch.Tensor],
    target: torch.Tensor,
    generated: torch.Tensor,
    share: torch.Tensor,
    penalty_weight: float,
) -> torch.Tensor:
    """Eq. 1 as the discriminator minimises it: -E[D(R)] + E[D(G)] + weight * gradient penalty."""
    generated = generated.detach()
    critic = discriminator(generated).float().mean() - discriminator(target).float().mean()
    return critic + penalty_weight * gradient_penalty(discriminator, target, generated, share)


def adversarial_loss(scores: torch.Tensor) -> torch.Tensor:
    """L_Gloss: -E[D(G(x))], from the discriminator's scores of the generated images."""
    return -scores.mean()


def gradients(terms: Mapping[str, torch.Tensor], generated: torch.Tensor) -> dict[str, torch.Tensor]:
    """The gradient of each term with respect to G(x), of its shape."""
    return {name: torch.autograd.grad(term, generated, retain_graph=True)[0] for name, term in terms.items()}


def balanced(
    gradients: Mapping[str, torch.Tensor], norms: Mapping[str, float], weights: Mapping[str, float]
) -> torch.Tensor:
    """The gradient of a sum in which each term counts as its weight in `weights` says, whatever its own scale.

    Each gradient is brought from its norm in `norms` to that of the first one, times its weight over that of the first:
    Esser et al., Taming Transformers, CVPR 2021, eq. 7, with G(x) in place of the last layer.
    """
    first = next(iter(gradients))
    norm = norms[first] / weights[first]
    parts = [weights[name] * norm / norms[name] * gradient for name, gradient in gradients.items() if norms[name]]
    return torch.stack(parts).sum(0) if parts else torch.zeros_like(gradients[first])
