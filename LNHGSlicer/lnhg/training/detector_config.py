"""How the detector is trained: one value for each choice, and the paper's."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..networks.architecture import DETECTOR_GRID, DetectorArchitecture
from ..networks.grid import NetworkGrid
from .sampling import Sampling

#: Samples of an epoch: the slices with a nodule in the training patients' 548 cut-outs.
EPOCH = 3654


@dataclass(frozen=True)
class DetectorConfig:
    """How the detector is trained.

    Attributes:
        architecture, grid, sampling: the network, what it sees, what its samples are made of.
        optimiser: `adamw` or `adam`.
        batch, rate, weight_decay: batch size, largest learning rate, weight decay.
        warm_up: steps over which the rate rises; then it falls along a cosine to 1% over each phase.
        clip: largest norm of the gradient.
        minutes: training time of each phase (mining lies between phases), or
        steps: steps of each phase, when given in place of minutes.
        later_rate: factor on `rate` in phases after the first.
        seed: of the network's start and the samples.
        features: safetensors with ImageNet features for the backbone's start, or None.
        start: weights of another run (`phase-N.pt`) to go on from, or None; then the first phase is as a later one,
            at the lower rate and after mining.
        patience: phases without a better FROC on the `select` patients after which the training stops early.
        checkpoint_seconds: time between checkpoints.
        precision: `float32`, `bf16` or `fp16`, in which the network computes; weights and optimiser stay float32.
    """

    architecture: DetectorArchitecture = field(default_factory=DetectorArchitecture)
    grid: NetworkGrid = DETECTOR_GRID
    sampling: Sampling = field(default_factory=Sampling)
    optimiser: str = "adamw"
    batch: int = 8
    rate: float = 1e-3
    weight_decay: float = 1e-4
    warm_up: int = 60
    clip: float = 5.0
    minutes: tuple[float, ...] = (45.0, 30.0)
    steps: tuple[int, ...] | None = None
    later_rate: float = 0.5
    seed: int = 1
    features: Path | None = None
    start: Path | None = None
    patience: int = 2
    checkpoint_seconds: float = 120.0
    precision: str = "float32"

    @classmethod
    def paper(cls) -> DetectorConfig:
        """The paper's: ResNet-50, Adam at a fixed 1e-5, weight decay 5e-4, batch 20, 100 epochs."""
        return cls(
            DetectorArchitecture.paper(),
            NetworkGrid("paper"),
            Sampling(size=256),
            optimiser="adam",
            batch=20,
            rate=1e-5,
            weight_decay=5e-4,
            minutes=(),
            steps=(100 * EPOCH // 20,),
        )

    @property
    def work(self) -> tuple[float, ...]:
        """Of each phase: its steps, or its minutes."""
        return self.steps or self.minutes
