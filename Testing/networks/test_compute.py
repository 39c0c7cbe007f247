"""Device, precision and batch size: what runs, and what happens when memory runs out."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import nn

from lnhg.errors import InputError
from lnhg.networks.compute import Compute


class _Doubler(nn.Module):
    """Doubles numbers; complains of memory above `most` numbers, and on anything but the CPU where `cpu_only`."""

    def __init__(self, most: int = 1000, cpu_only: bool = False, complaint: Exception | None = None) -> None:
        super().__init__()
        self.most, self.cpu_only = most, cpu_only
        self.complaint = complaint or torch.OutOfMemoryError("CUDA out of memory.")
        self.place = "cpu"
        self.sizes: list[int] = []

    def to(self, device: torch.device) -> _Doubler:  # type: ignore[override]
        self.place = device.type
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(x))
        if len(x) > self.most or (self.cpu_only and self.place != "cpu"):
            raise self.complaint
        return 2 * x


def _apply(network: nn.Module, batch: Sequence[float]) -> list[float]:
    return network(torch.tensor(batch)).tolist()


_NUMBERS = [float(n) for n in range(11)]
_DOUBLED = [2 * n for n in _NUMBERS]


def test_results_come_back_in_order_whatever_the_batch_size() -> None:
    network = _Doubler()
    assert Compute("cpu", batch_size=4).run(network, _apply, _NUMBERS, 1) == _DOUBLED
    assert network.sizes == [4, 4, 3]
    assert Compute("cpu").run(network, _apply, [], 1) == []


@pytest.mark.parametrize(
    "complaint",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 "
            "bytes."
        ),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."
        ),
        MemoryError(),
    ],
)
def test_batches_halve_when_memory_runs_out_and_the_run_goes_on(complaint: Exception) -> None:
    device, network = Compute("cpu", batch_size=8), _Doubler(most=3, complaint=complaint)
    assert device.run(network, _apply, _NUMBERS, 1) == _DOUBLED
    assert network.sizes == [8, 4, 2, 2, 2, 2, 2, 1]
    assert device.notes == [
        "Memory ran out with batches of 8; smaller batches were used.",
        "Memory ran out with batches of 4; smaller batches were used.",
    ]


def test_the_size_that_fitted_is_kept_for_the_next_run() -> None:
    device, network = Compute("cpu", batch_size=8), _Doubler(most=3)
    device.run(network, _apply, _NUMBERS, 1)
    network.sizes.clear()
    device.run(network, _apply, _NUMBERS[:4], 1)
    assert network.sizes == [2, 2]


def test_the_cpu_goes_on_when_the_accelerator_cannot_hold_one_item() -> None:
    device, network = Compute("cpu", batch_size=2), _Doubler(cpu_only=True)
    device.device = torch.device("mps")
    assert device.run(network, _apply, _NUMBERS, 1) == _DOUBLED
    assert network.sizes == [2, 1, 4, 4, 3]
    assert device.device.type == "cpu" and device.precision is torch.float32
    assert device.notes[-1] == "Memory ran out on MPS; the CPU went on."


def test_a_cpu_that_cannot_hold_one_item_says_so() -> None:
    with pytest.raises(InputError, match=r"Memory ran out on the CPU; close other programs"):
        Compute("cpu").run(_Doubler(most=0), _apply, _NUMBERS, 1)


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    network = _Doubler(most=0, complaint=RuntimeError("shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        Compute("cpu").run(network, _apply, _NUMBERS, 1)
    assert network.sizes == [4]


def test_a_cpu_computes_in_float32_whatever_it_could_do() -> None:
    device = Compute("cpu")
    layer = nn.Linear(3, 3)
    (result,) = device.run(layer, lambda network, batch: [network(torch.ones(1, 3))], [0], 1)
    assert device.precision is result.dtype is torch.float32
    assert not result.requires_grad


@pytest.mark.parametrize("name", ["cuda", "mps", "tpu", ""])
def test_a_device_that_is_not_here_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=rf"^Device {name} is not available here; choose auto or cpu\.$"):
        Compute(name)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that says it has a GPU with 1000 bytes free."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 0))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 2000))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Test GPU")


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(
    ("capability", "precision"), [((6, 1), torch.float32), ((7, 0), torch.float16), ((9, 0), torch.float16)]
)
def test_auto_takes_the_gpu_and_float16_where_it_has_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], precision: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    device = Compute("auto")
    assert (device.device.type, device.precision, device.description) == ("cuda", precision, "Test GPU")


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(("item_bytes", "first"), [(100, 5), (9000, 1), (1, 256)])
def test_a_gpus_batch_is_what_half_of_its_free_memory_holds(item_bytes: int, first: int) -> None:
    network = _Doubler()
    Compute("cuda").run(network, _apply, [1.0] * 300, item_bytes)
    assert network.sizes[0] == first


def test_without_an_accelerator_auto_is_the_cpu_with_the_threads_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    before = torch.get_num_threads()
    try:
        assert Compute("auto", threads=2).description == "CPU, 2 threads"
    finally:
        torch.set_num_threads(before)
