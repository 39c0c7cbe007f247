"""Checked weights become PyTorch networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch

from .weights import Weights

Network = TypeVar("Network", bound=torch.nn.Module)


def tensors_of(weights: Weights) -> dict[str, torch.Tensor]:
    """The tensors, as a network's `state_dict` has them."""
    return {name: torch.from_numpy(tensor) for name, tensor in weights.tensors.items()}


def network_of(weights: Weights, build: Callable[[Mapping[str, Any]], Network]) -> Network:
    """The network that `build` makes of the manifest, with the tensors in it, in evaluation mode.

    Raises WeightsError where the manifest names no such network, or one of other sizes than the tensors'.
    """
    # Sizes first: a manifest can name a network that no memory holds, and every width is one of a tensor.
    widest = max((size for tensor in weights.tensors.values() for size in tensor.shape), default=0)
    sizes = [value for name, value in weights.manifest["architecture"].items() if name.endswith("width")]
    if not all(type(size) is int and 1 <= size <= widest for size in [*sizes, weights.manifest.get("members", 1)]):
        raise weights.misfit()
    try:
        return load_into(weights, build(weights.manifest))
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError, IndexError, RuntimeError) as error:
        raise weights.misfit() from error


def load_into(weights: Weights, network: Network) -> Network:
    """Put the tensors into a network of the manifest's architecture, in evaluation mode."""
    try:
        network.load_state_dict(tensors_of(weights))
    except RuntimeError as error:
        raise weights.misfit() from error
    return network.eval().requires_grad_(False)
