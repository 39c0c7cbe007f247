"""Where and how the networks run: device, precision and batch size, and what happens when memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import nn

from ..errors import InputError

logger = logging.getLogger(__name__)

T = TypeVar("T")

# A CPU gains nothing from larger batches, which only take memory; a GPU takes what half of its free memory holds, up to
# this many.
_CPU_BATCH, _GPU_BATCH = 4, 256


class Compute:
    """Runs networks on one device; falls back to smaller batches and at last to the CPU when memory runs out.

    Attributes:
        device: the device in use now.
        precision: `float32`, or `float16` on a GPU that has instructions for it.
        notes: sentences on what had to be changed during the run.
    """

    def __init__(self, device: str = "auto", threads: int | None = None, batch_size: int | None = None) -> None:
        if threads:
            torch.set_num_threads(threads)
        self.device = _device(device)
        self.precision = _precision(self.device)
        self.notes: list[str] = []
        self._batch_size = batch_size

    @property
    def description(self) -> str:
        """The device as a person knows it."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        if self.device.type != "cpu":
            return self.device.type.upper()
        threads = torch.get_num_threads()
        return f"CPU, {threads} thread{'s' if threads > 1 else ''}"

    def run(
        self, network: nn.Module, apply: Callable[[nn.Module, Sequence[T]], list], items: Sequence[T], item_bytes: int
    ) -> list:
        """`apply(network, batch)` over all `items` in batches; returns one result an item, in order.

        `item_bytes` is about what one item needs while the network runs.
        """
        results: list = []
        size = self._batch_size or self._fitting(item_bytes)
        while len(results) < len(items):
            batch = items[len(results) : len(results) + size]
            try:
                results += self._apply(network, apply, batch)
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error):
                    raise
                size = self._after_out_of_memory(len(batch))
        return results

    def _apply(self, network: nn.Module, apply: Callable[[nn.Module, Sequence[T]], list], batch: Sequence[T]) -> list:
        mixed = self.precision is not torch.float32
        with torch.inference_mode(), torch.autocast(self.device.type, self.precision, enabled=mixed):
            return apply(network.to(self.device), batch)

    def _after_out_of_memory(self, size: int) -> int:
        if size > 1:
            self.notes.append(f"Memory ran out with batches of {size}; smaller batches were used.")
            self._batch_size = size // 2
        elif self.device.type != "cpu":
            self.notes.append(f"Memory ran out on {self.description}; the CPU went on.")
            self.device, self.precision, self._batch_size = torch.device("cpu"), torch.float32, None
            return _CPU_BATCH
        else:
            raise InputError("Memory ran out on the CPU; close other programs or restrict the run to a region.")
        logger.warning(self.notes[-1])
        return self._batch_size

    def _fitting(self, item_bytes: int) -> int:
        if self.device.type != "cuda":
            return _CPU_BATCH
        free, _ = torch.cuda.mem_get_info(self.device)
        return max(1, min(_GPU_BATCH, free // 2 // item_bytes))


def use_threads(count: int) -> None:
    """Let the networks of this process run on `count` CPU threads."""
    torch.set_num_threads(count)


def _device(name: str) -> torch.device:
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, there in available.items() if there)
    if not available.get(name):
        raise InputError(f"Device {name} is not available here; choose auto or cpu.")
    return torch.device(name)


def _precision(device: torch.device) -> torch.dtype:
    """float32 on a CPU, so that every run finds the same nodules; float16 on GPUs from Volta on.

    float16 hardly moves the scores of candidates; bfloat16 moves them enough to add one.
    """
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (7, 0):
        return torch.float16
    return torch.float32


# What PyTorch says in a plain RuntimeError: on MPS, and on the CPU of Linux and of Windows.
_MEMORY_COMPLAINTS = ("out of memory", "can't allocate memory", "not enough memory")


def _out_of_memory(error: BaseException) -> bool:
    known = isinstance(error, (torch.OutOfMemoryError, MemoryError))
    return known or any(complaint in str(error).lower() for complaint in _MEMORY_COMPLAINTS)
