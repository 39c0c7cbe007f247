"""What each step of the generator's training is made of: its samples, and the random numbers of the gradient penalty.

All of it follows from the seed and the step's number, so a checkpoint need not hold it; and several processes together
draw the batch that one would draw.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from .generator_config import GeneratorConfig
from .generator_samples import Augmentation, Place, batch
from .processes import Processes

_AS_IT_IS = Augmentation(rotation=0, translation=0, scale=1, hu_shift=0, hu_scale=0, noise=0, sharpness=0)


class Samples:
    """Samples of places with a nodule and of places of whole scans, as a configuration mixes them."""

    def __init__(
        self, config: GeneratorConfig, nodules: Sequence[Place], background: Sequence[Place], processes: Processes
    ) -> None:
        self.nodules = nodules
        places = [place for place in background if not place.mass]
        self._near, self._coarse = ([place for place in places if (place.far > 1) is far] for far in (False, True))
        self._masses = [place for place in background if place.mass]
        self._subsolid = [nodule for nodule in nodules if nodule.subsolid]
        self._cubes = [nodule for nodule in nodules if nodule.cube]
        self._config, self._processes = config, processes

    def batch(self, step: int, turn: int) -> tuple[torch.Tensor, torch.Tensor]:
        """This process's share of O(x) and R(x), both `[n, 1, 3, y, x]`, for the `turn`th network update of a step."""
        config = self._config
        random = np.random.default_rng((config.seed, step, turn))
        shares = (
            (self._near, config.background),
            (self._coarse, config.coarse),
            (self._subsolid, config.subsolid),
            (self._cubes, config.cubes),
            (self._masses, config.masses),
        )
        some = [(part, round(config.batch * share)) for part, share in shares if part and share]
        rest = config.batch - sum(count for _, count in some)
        parts = [(self.nodules, rest), *some]
        places = [part[pick] for part, count in parts for pick in random.integers(len(part), size=count)]
        numbered = self._processes.share(list(enumerate(places)))
        varied = Augmentation(thickness=config.thickness, rounding=config.rounding)
        drawn = [self._sample(place, varied, (config.seed, step, turn, 1, number)) for number, place in numbered]
        o, r = (torch.cat(tensors).to(self._processes.device) for tensors in zip(*drawn, strict=True))
        return o, r

    def between(self, step: int, turn: int) -> torch.Tensor:
        """Where between R(x) and G(x) the penalty looks: a share of 0..1 for each sample of the batch, `[n, 1, 1, 1,
        1]`.
        """
        shares = np.random.default_rng((self._config.seed, step, turn, 3)).random(self._config.batch, np.float32)
        return torch.from_numpy(self._processes.share(shares)[:, None, None, None, None].copy()).to(
            self._processes.device
        )

    def examples(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """O(x) and R(x) of up to `count` nodules as they are, the same ones every time."""
        picks = np.unique(np.linspace(0, len(self.nodules) - 1, count).astype(int))
        drawn = [self._sample(self.nodules[pick], _AS_IT_IS, (0,)) for pick in picks]
        o, r = (torch.cat(tensors).to(self._processes.device) for tensors in zip(*drawn, strict=True))
        return o, r

    def _sample(
        self, place: Place, augmentation: Augmentation, seed: Sequence[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return batch([place], self._config.grid, self._config.patch, augmentation, [0], seed)
