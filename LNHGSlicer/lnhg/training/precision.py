"""Mixed precision: which one a device can do, and a network that learns in it."""

from __future__ import annotations

import math

import torch

from ..errors import InputError
from .processes import Processes

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def check_precision(precision: str, device: torch.device) -> None:
    """Raise InputError where the device cannot train in this precision.

    A CPU can do bf16 (it pays with bf16 instructions only) and no fp16; a GPU does bf16 from Ampere on.
    """
    if precision not in PRECISIONS:
        raise InputError(f"The precision {precision!r} is not known; choose one of {', '.join(PRECISIONS)}.")
    able = {
        "float32": True,
        "bf16": device.type == "cpu" or (device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)),
        "fp16": device.type == "cuda",
    }
    if not able[precision]:
        raise InputError(f"The device {device} cannot train in {precision}; choose --precision float32.")


def computing_in(precision: str, device: torch.device) -> torch.autocast:
    """A context in which networks compute in this precision where that is harmless."""
    return torch.autocast(device.type, PRECISIONS[precision], enabled=precision != "float32")


class Learner:
    """A network with its optimiser and, for fp16, the factor that keeps its gradients from vanishing.

    Gradients are cut to a norm of `clip`.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        optimiser: torch.optim.Optimizer,
        precision: str,
        processes: Processes,
        clip: float = math.inf,
    ) -> None:
        self.network, self.optimiser, self._processes, self._clip = network, optimiser, processes, clip
        self.scaler = torch.amp.GradScaler(processes.device.type, enabled=precision == "fp16")

    def learn(self, loss: torch.Tensor, rate: float) -> None:
        """One step down the gradient of this process's loss, averaged over all processes."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self._processes.average_gradients(self.network)
        if self._clip < math.inf:
            self.scaler.unscale_(self.optimiser)
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self._clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
