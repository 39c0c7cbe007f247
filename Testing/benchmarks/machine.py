"""The computer that something is measured on: its name, and what it can do at best.

`python Testing/benchmarks/machine.py` prints one line of JSON: GFLOP/s of a product of float32 matrices and GB/s of
copied memory.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

# Instructions that count here, and one flag of Linux that tells each.
_INSTRUCTIONS = {"AVX-512": "avx512f", "bf16": "avx512_bf16", "AMX": "amx_tile"}
# Larger than any cache of two cores.
_MATRIX, _COPIED_BYTES = 4096, 2**30
_TRIES = 5


def machine(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor as a person knows it, its instructions for networks (on Linux), cores and memory."""
    model = platform.processor() or platform.machine()
    told = cpuinfo.read_text() if cpuinfo.is_file() else ""
    lines = dict(tuple(map(str.strip, line.split(":", 1))) for line in told.splitlines() if ":" in line)
    name = lines.get("model name", model)
    if "flags" in lines:
        name += f" ({_instructions(set(lines['flags'].split()))})"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{name}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}"


def _instructions(flags: set[str]) -> str:
    return ", ".join(name if flag in flags else f"no {name}" for name, flag in _INSTRUCTIONS.items())


def best(threads: int | None) -> dict[str, float]:
    """`gflops` of a product of float32 matrices and `gbytes` (GB/s) read and written by a copy, each the best of a few
    tries on so many threads of PyTorch; `threads` used.
    """
    import torch

    if threads:
        torch.set_num_threads(threads)
    one, other = torch.rand(_MATRIX, _MATRIX), torch.rand(_MATRIX, _MATRIX)
    product = torch.empty_like(one)
    source = torch.ones(_COPIED_BYTES // 4)
    target = torch.empty_like(source)
    return {
        "gflops": 2 * _MATRIX**3 / _quickest(lambda: torch.mm(one, other, out=product)) / 1e9,
        "gbytes": 2 * _COPIED_BYTES / _quickest(lambda: target.copy_(source)) / 1e9,
        "threads": torch.get_num_threads(),
    }


def _quickest(work: Callable[[], object]) -> float:
    work()  # the first time sets up
    seconds = []
    for _ in range(_TRIES):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int)
    print(json.dumps(best(parser.parse_args().threads)))


if __name__ == "__main__":
    main()
