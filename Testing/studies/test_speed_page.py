"""The benchmark page: medians, ratios, shares, extrapolation, and rows for what failed; and how a run is timed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

_BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
if not _BENCHMARKS.is_dir():
    pytest.skip("needs the benchmarks of the repository", allow_module_level=True)
sys.path.insert(0, str(_BENCHMARKS))

import clock  # noqa: E402
import machine  # noqa: E402
import rivals  # noqa: E402
import speed  # noqa: E402
import speed_page  # noqa: E402

from lnhg.core.ct import CT  # noqa: E402
from lnhg.core.nrrd_file import write_nrrd  # noqa: E402
from lnhg.phantom import chest_phantom  # noqa: E402


def _run(seconds: float, generate: float = 1.0) -> dict[str, Any]:
    parts = dict.fromkeys(clock.PARTS, 0.5) | {"detect": 5.0, "generate": generate}
    return {
        "clock": seconds,
        "parts": parts,
        "nodule": seconds - 1,
        "peak_gib": seconds / 10,
        "candidates": 4,
        "nodules": 3,
        "device": "CPU",
    }


def _figures(**changes: Any) -> dict[str, Any]:
    rival = {"what": "settings", "seconds": [2.0, 3.0, 4.0], "windows": 100}
    figures = {
        "machine": "a machine",
        "versions": "lnhg 0",
        "commits": {"clock": "abc1234", "rivals": "abc1234"},
        "start": [0.2, 0.3, 0.4],
        "best": {"gflops": 200.0, "gbytes": 20.0, "threads": 2},
        "clock": {
            "openvino": {"LIDC-IDRI-0001": [_run(9.0), _run(10.0), _run(12.0)], "synthetic, 600": [_run(30.0)]},
            "torch": {"LIDC-IDRI-0001": [_run(20.0)], "synthetic, 600": [{"error": "ended with exit code 1"}]},
        },
        "against": {"old1234": [_run(40.0), _run(42.0)]},
        "arithmetic": {"detect": 500e9, "generate": 100e9},
        "everywhere": {
            "openvino": {"--full-generator": [60.0, 75.0, 90.0], "--fusion paper": [80.0]},
            "torch": {"error": "ended after 900 s"},
        },
        "rivals": {"one": {"torch": rival, "openvino": {"error": "OpenVINO does not convert it (RuntimeError)"}}},
    }
    return {**figures, **changes}


def test_a_time_is_shown_as_median_range_and_number_of_runs() -> None:
    assert speed_page.text((3.0, 1.0, 2.5)) == "2.5 s (1 to 3, n = 3)"
    assert speed_page.text((12.34,)) == "12.3 s (one run)"
    assert speed_page.text(()) == "not measured"


def test_both_runtimes_stand_side_by_side_with_what_failed() -> None:
    text = speed_page.page(_figures())
    took = "10 s (9 to 12, n = 3) | 9 s (8 to 11, n = 3) | 1 GiB (0.9 to 1.2, n = 3)"
    assert f"| LIDC-IDRI-0001 | OpenVINO | {took} | 4 | 3 |" in text
    assert "| synthetic, 600 | PyTorch | ended with exit code 1 | not measured | not measured |  |  |" in text


def test_a_commit_before_is_compared_with_both_runtimes() -> None:
    assert "| old1234 | 41 s (40 to 42, n = 2) | 0.24 of it | 0.49 of it |" in speed_page.page(_figures())


def test_the_networks_share_of_what_the_machine_can_do_is_told() -> None:
    # 500 GFLOP in 5 s are 100 GFLOP/s of 200.
    assert "| detect | 500 GFLOP | 2.50 s | 100 GFLOP/s, 50% | 100 GFLOP/s, 50% |" in speed_page.page(_figures())


def test_the_generator_everywhere_is_told_for_each_way_and_as_a_whole() -> None:
    text = speed_page.page(_figures())
    # Generate and fuse take 1.5 s of the 10 s around the candidates: 8.5 s stay.
    assert (
        "| OpenVINO, `--full-generator` | 1.5 s (1.5 to 1.5, n = 3) | 75 s (60 to 90, n = 3) | 50 "
        "| 83.5 s (68.5 to 98.5, n = 3) |" in text
    )
    assert "| PyTorch | 1.5 s (one run) | not measured: ended after 900 s |" in text


def test_a_rival_is_extrapolated_and_compared_with_ours_of_the_same_runtime() -> None:
    text = speed_page.page(_figures())
    assert "| one | PyTorch | 300 s (200 to 400, n = 3) | 15 | extrapolated from 3 of 100 passes |" in text
    assert "| one | OpenVINO | not measured | not measured | OpenVINO does not convert it (RuntimeError) |" in text
    assert speed_page.rival_seconds({"what": "settings", "seconds": [2.0, 3.0], "windows": 2}) == [5.0]


def test_pieces_of_different_commits_are_told_apart() -> None:
    assert "Commit abc1234." in speed_page.page(_figures())
    text = speed_page.page(_figures(commits={"clock": "abc1234", "rivals": "def5678"}))
    assert "Measured in pieces, by commit: clock abc1234, rivals def5678" in text


def test_the_page_and_the_picture_are_made_from_what_there_is(tmp_path: Path) -> None:
    little = {name: _figures()[name] for name in ("machine", "versions", "start")} | {"commits": {"start": "abc1234"}}
    assert "| `lnhg --help` has answered | 0.3 s (0.2 to 0.4, n = 3) |" in speed_page.page(little)
    for name, figures in (("little", little), ("all", _figures())):
        speed_page.picture(figures, tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_parts_of_a_run_make_up_its_clock() -> None:
    stages = [("read", 1), ("lungs", 3), ("lungs", 4), ("detect", 4), ("detect", 8), ("generate", 9), ("fuse", 11)]
    told = [(float(when), {"stage": stage}) for stage, when in [*stages, ("measure", 12), ("measure", 13)]]
    parts = clock.parts_of([*told, (15.5, {"result": {}})], 16.0)
    assert parts == {
        "start": 1, "read": 2, "lungs": 1, "detect": 5, "generate": 2, "fuse": 1, "measure": 1, "write": 3
    }  # fmt: skip


@pytest.mark.slow
def test_a_run_is_timed_as_a_process_of_its_own(tmp_path: Path) -> None:
    ct = chest_phantom(0, (24, 96, 96)).ct
    write_nrrd(tmp_path / "ct.nrrd", ct.hu, ct.ijk_to_ras)
    run = clock.run_of(tmp_path / "ct.nrrd", ["--runtime", "openvino", "--threads", "1"])
    assert run["device"] == "CPU, 1 thread (OpenVINO)"
    assert sum(run["parts"].values()) == pytest.approx(run["clock"])
    # The system counts what this process holds when it starts the run as the run's own; the page starts runs from a
    # small one.
    assert run["peak_gib"] > 0.1 and 0 < run["nodule"] < run["clock"]


def test_a_run_that_fails_gives_its_reason(tmp_path: Path) -> None:
    assert clock.run_of(tmp_path / "no.nrrd")["error"].startswith("ended with exit code 2")


def test_a_process_that_fails_gives_its_reason() -> None:
    assert speed.ask(["-c", "print('hello'); print('{\"a\": 1}')"]) == {"a": 1}
    assert speed.ask(["-c", "raise SystemExit(3)"]) == {"error": "ended with exit code 3"}
    assert speed.ask(["-c", "print('hello')"]) == {"error": "gave no figures"}


def test_figures_of_another_machine_are_not_mixed_with_ours(tmp_path: Path) -> None:
    kept = tmp_path / "speed.json"
    kept.write_text(json.dumps({"machine": machine.machine(), "commits": {"start": "abc"}, "start": [1.0]}))
    assert speed.kept_in(kept)["start"] == [1.0]
    kept.write_text(json.dumps({"machine": "another", "commits": {}}))
    with pytest.raises(SystemExit, match="measured on another machine"):
        speed.kept_in(kept)


def test_the_machine_is_named_with_its_instructions(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("model name\t: A CPU\nflags\t\t: avx2 avx512f\n\nmodel name\t: A CPU\n")
    told = machine.machine(tmp_path / "cpuinfo")
    assert told.startswith("A CPU (AVX-512, no bf16, no AMX), ")


@pytest.mark.parametrize(("seconds", "runs"), [(400.0, 3), (1.0, 4)])
def test_long_rivals_are_ended_after_three_windows_and_short_ones_run_through(
    seconds: float, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(float(tick) * seconds for tick in range(100))
    monkeypatch.setattr(rivals.time, "perf_counter", lambda: next(times))
    timed = rivals.timed(rivals.Rival("settings", 4, lambda image: None, lambda number: torch.zeros(1)))
    assert timed.seconds == (seconds,) * runs and timed.windows == 4


def test_the_torchvision_rival_can_be_run_on_every_slice() -> None:
    rival = rivals.faster_rcnn(CT(np.zeros((3, 32, 32), np.int16), np.diag([-1.0, -1.0, 1.0, 1.0])))
    with torch.inference_mode():
        assert [len(rival.network(rival.part(number))) for number in range(rival.windows)] == [3, 3, 3]


def test_a_rival_that_openvino_converts_computes_the_same() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU()).eval()
    rival = rivals.Rival("settings", 1, network, lambda number: torch.linspace(-1, 1, 64).reshape(1, 1, 8, 8))
    with torch.inference_mode():
        answer = rivals.converted(rival, 1).network(rival.part(0))
        np.testing.assert_allclose(answer[0], network(rival.part(0)), atol=1e-5)
