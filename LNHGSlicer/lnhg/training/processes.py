"""Training in several processes, one for each GPU or machine, as `torchrun` starts them.

Every process makes its share of each batch and has its own batch norm; the gradients are averaged, so the networks stay
the same everywhere. They are averaged here and not by `DistributedDataParallel`, which expects one forward pass for
each backward pass, where a critic's step has three and a second derivative.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from torch import distributed

from ..errors import InputError, LNHGError

T = TypeVar("T")

# Processes wait for the first one while it validates.
_PATIENCE = timedelta(hours=2)


@dataclass(frozen=True)
class Processes:
    """This process (`rank`) among `count`, computing on `device`; alone by default."""

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def share(self, batch: Any) -> Any:
        """This process's part of a batch, a sequence or an array: every `count`-th."""
        if len(batch) % self.count:
            raise InputError(
                f"{self.count} processes cannot share a batch of {len(batch)}; set batch to a multiple of them."
            )
        return batch[self.rank :: self.count]

    def average_gradients(self, network: torch.nn.Module) -> None:
        """Give the gradients of a network their mean over all processes."""
        if self.count == 1:
            return
        gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        together = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(together)
        means = (together / self.count).split([gradient.numel() for gradient in gradients])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view(gradient.shape))

    def average(self, values: Mapping[str, float]) -> dict[str, float]:
        """The mean of each value over all processes."""
        if self.count == 1:
            return dict(values)
        means = torch.tensor(list(values.values()), dtype=torch.float32, device=self.device)
        distributed.all_reduce(means)
        return dict(zip(values, (means / self.count).tolist(), strict=True))

    def as_first_says(self, value: float) -> float:
        """The value that the first process has."""
        if self.count == 1:
            return value
        said = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.broadcast(said, 0)
        return said.item()

    def from_first(self, make: Callable[[], T]) -> T:
        """What the first process makes, for all of them; the others wait for it."""
        if self.count == 1:
            return make()
        made = [make() if self.first else None]
        distributed.broadcast_object_list(made, 0)
        return cast("T", made[0])

    def check_same_step(self, step: int) -> None:
        """All processes must go on from the same checkpoint."""
        if self.as_first_says(step) != step:
            raise LNHGError(
                "The processes start at different steps; the run's folder must be one that all of them share."
            )


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """The processes that `torchrun` started (gloo on CPUs, nccl on GPUs), or this one alone."""
    on_gpu = device.startswith("cuda")
    if on_gpu and not torch.cuda.is_available():
        raise InputError("There is no CUDA device here; train with --device cpu.")
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(device=torch.device(device))
        return
    own = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if on_gpu else torch.device(device)
    if on_gpu:
        torch.cuda.set_device(own)
    distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=_PATIENCE)
    try:
        yield Processes(distributed.get_rank(), count, own)
    finally:
        distributed.destroy_process_group()
