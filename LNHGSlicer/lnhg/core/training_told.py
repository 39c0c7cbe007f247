"""How the generator of a run was trained, told from the manifest of its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ADVERSARIAL = "adversarial"
#: What each term of the paper's loss (eq. 10) is called.
TERMS = {"mse": "mean squared error", "vgg": "VGG-19 features", _ADVERSARIAL: "adversarial (WGAN-GP)"}


def loss_terms(manifest: Mapping[str, Any]) -> dict[str, float]:
    """The weights of the loss's terms, by the names of `TERMS`; empty where the manifest does not tell."""
    training = manifest.get("training", {})
    return {name: float(training[name]) for name in TERMS if name in training}


def how_generator_was_trained(terms: Mapping[str, float]) -> str:
    """A sentence for a reader, from what `loss_terms` gives."""
    used = [text for name, text in TERMS.items() if terms.get(name) and name != _ADVERSARIAL]
    if not used and not terms.get(_ADVERSARIAL):
        return "How it was trained is not recorded."
    if not terms.get(_ADVERSARIAL):
        return f"It was trained by {_listed(used)} alone, without the critic (WGAN-GP) of the paper."
    return f"It was trained {f'by {_listed(used)} and ' if used else ''}against a critic (WGAN-GP)."


def _listed(parts: list[str]) -> str:
    return " and ".join(parts)
