"""How the generator is trained: one value for each choice, the presets, and the paper's variants."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ..errors import InputError
from ..networks.grid import NetworkGrid
from .config_changes import parsed, with_values


@dataclass(frozen=True)
class GeneratorConfig:
    """One training of the generator. The defaults are the paper's; `PATCHES` is for a CPU or a small GPU.

    Attributes:
        width, discriminator_width: filters of the first layer.
        patch: width of the square patch on the network grid, pixels (256: a whole slice).
        batch: triplets a step.
        steps: generator steps in all.
        learning_rate, final_rate: falls from one to the other on a cosine, after `warm_up` steps of linear rise.
        mse, vgg, adversarial: weights of the three terms of eq. 10; a term of weight 0 is not computed.
        balanced: whether these weights are shares of the pull on G(x): gradients of the terms are brought to one norm
            before they are weighted. Otherwise they are factors of terms whose own scales differ by powers of ten.
        penalty: weight of the gradient penalty in eq. 1.
        critic_steps: discriminator steps for each generator step.
        last_slope: slope of the last ReLU below zero in training (0: the paper's ReLU).
        target: R(x): `binary`, `share` or `intensity`.
        background: share of a batch drawn from places of whole scans instead of cut-outs.
        coarse: share of a batch drawn from places of whole scans seen on a coarser grid, as masses are.
        subsolid: share of a batch drawn from the nodules that readers rate ground glass or part-solid, which are few.
        cubes: share of a batch drawn from the cubes, which show a nodule's true surroundings.
        masses: share of a batch drawn from masses of whole scans and cubes, seen on a coarser grid.
        thickness: half of the samples show slices of up to so many mm, means of thinner ones; 0: slices as they are
            (cubes are always shown in slices of 1 to 4 mm).
        rounding: share of the samples whose HU come in steps, as some scans' do.
        network: `lnhg`, the paper's generator, or `unet`, the network it is compared with.
        precision: `float32`, `bf16` or `fp16`, in which the networks compute; weights and optimisers stay float32.
        averaging: decay of the running mean of the generator's weights, which is validated and packed; 0: the last
            weights.
    """

    width: int = 32
    discriminator_width: int = 32
    patch: int = 256
    batch: int = 12
    steps: int = 160 * 400
    learning_rate: float = 1e-4
    final_rate: float = 1e-7
    warm_up: int = 0
    mse: float = 1.0
    vgg: float = 1.0
    adversarial: float = 0.1
    balanced: bool = False
    penalty: float = 10.0
    critic_steps: int = 5
    last_slope: float = 0.0
    target: str = "binary"
    background: float = 0.0
    coarse: float = 0.0
    subsolid: float = 0.0
    cubes: float = 0.0
    masses: float = 0.0
    thickness: float = 0.0
    rounding: float = 0.0
    averaging: float = 0.0
    network: str = "lnhg"
    precision: str = "float32"
    grid: NetworkGrid = field(default_factory=lambda: NetworkGrid("paper", 1.4))
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For the run's folder and the manifest."""
        return {**asdict(self), "grid": self.grid.as_dict()}


PAPER = GeneratorConfig()

# Without a slope below zero the last ReLU can die. On pixels of 1.2 mm the network sees enough of a nodule's
# surroundings in little time. Thicker slices (`thickness`) gain little. Figures: docs/decisions.md.
PATCHES = GeneratorConfig(
    width=8,
    discriminator_width=8,
    patch=28,
    batch=8,
    steps=2600,
    learning_rate=1e-3,
    final_rate=1e-5,
    warm_up=50,
    balanced=True,
    last_slope=0.01,
    background=0.125,
    coarse=0.125,
    subsolid=0.15,
    cubes=0.15,
    masses=0.07,
    rounding=0.5,
    grid=NetworkGrid("fixed", 1.2, slice_mm=2.5),
)

PRESETS = {"paper": PAPER, "patches": PATCHES}

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "lnhg": {},
    "l-mse": {"vgg": 0.0, "adversarial": 0.0, "balanced": False},
    "l-vgg": {"mse": 0.0, "adversarial": 0.0, "balanced": False},
    "unet": {"network": "unet", "vgg": 0.0, "adversarial": 0.0, "balanced": False},
}


def variant(config: GeneratorConfig, name: str) -> GeneratorConfig:
    """What the paper compares: `lnhg` (hybrid loss), `l-mse` and `l-vgg` (one loss only, no discriminator), and `unet`.

    The paper does not say by which loss its U-Net was trained; here it is the mean squared error, as for `l-mse`.
    """
    if name not in VARIANTS:
        raise InputError(f"The variant {name!r} is not known; choose one of {', '.join(VARIANTS)}.")
    return replace(config, **VARIANTS[name])


def changed(config: GeneratorConfig, changes: Sequence[str]) -> GeneratorConfig:
    """The configuration with values replaced, each given as NAME=VALUE.

    `pixel_mm=1.4` sets a fixed network grid, `slice_mm=2.5` how far the slices of a triplet lie apart (0: neighbours).
    """
    grid = config.grid
    for change in changes:
        name, _, text = change.partition("=")
        if name == "pixel_mm":
            grid = replace(grid, rule="fixed", pixel_mm=parsed(float, name, text))
        elif name == "slice_mm":
            grid = replace(grid, slice_mm=parsed(float, name, text) or None)
        else:
            config = with_values(config, [change])
    return replace(config, grid=grid)


def learning_rate(config: GeneratorConfig, step: int) -> float:
    """Linear rise over `warm_up` steps, then a half cosine down to `final_rate`."""
    if step < config.warm_up:
        return config.learning_rate * (step + 1) / config.warm_up
    share = (step - config.warm_up) / max(1, config.steps - config.warm_up)
    return config.final_rate + (config.learning_rate - config.final_rate) * (1 + math.cos(math.pi * share)) / 2
