"""The benchmark page: medians, ratios, extrapolation, and rows for what failed."""

from __future__ import annotations

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

import rivals  # noqa: E402
import speed  # noqa: E402

from lnhg.core.ct import CT  # noqa: E402


def _scan(slices: int, *generate: float) -> dict[str, Any]:
    runs = [{"read": 1.0, "detect": 5.0, "rescore": 1.0, "generate": value, "scene": 2.0} for value in generate]
    return {
        "shape": [slices, 512, 512],
        "runs": runs,
        "peak_gib": slices / 300,
        "candidates": 4,
        "nodules": 3,
        "device": "CPU",
    }


def _figures(**changes: Any) -> speed.Figures:
    figures = {
        "machine": "a machine",
        "versions": "lnhg 0",
        "real": _scan(133, 1.0, 2.0, 3.0),
        "everywhere": speed.Row("generator everywhere", (40.0, 50.0, 60.0), "extrapolated"),
        "grown": {600: {"error": "ended after 900 s"}, 60: _scan(60, 1.0)},
        "rivals": [speed.Row("one", (110.0,), "how"), speed.Row("other", (), "ended with exit code 1")],
        "starts": [speed.Row("start", (0.2, 0.3, 0.4))],
    }
    return speed.Figures(**{**figures, **changes})


def test_a_time_is_shown_as_median_range_and_number_of_runs() -> None:
    assert speed.Row("", (3.0, 1.0, 2.5)).text == "2.5 s (1 to 3, n = 3)"
    assert speed.Row("", (12.34,)).text == "12.3 s (one run)"
    assert speed.Row("", ()).text == "not measured"


def test_ratios_are_those_of_the_medians_for_the_stage_and_for_the_whole_way() -> None:
    text = speed.page(_figures())
    assert "| generate stage | 2 s (1 to 3, n = 3) | 50 s (40 to 60, n = 3) | 25.0 |" in text
    # Everything but the generator takes 9 s: 59 / 11.
    assert "| the whole way, read to scene | 11 s (10 to 12, n = 3) | 59 s (49 to 69, n = 3) | 5.4 |" in text
    assert "| one | 110 s (one run) | 10.0 | how |" in text


def test_what_failed_is_a_row_with_its_reason() -> None:
    text = speed.page(_figures())
    assert "| other | not measured | not measured | ended with exit code 1 |" in text
    assert "| 600 | not measured | ended after 900 s |" in text
    assert "Not measured: the run ended after 9 s." in speed.page(_figures(real={"error": "ended after 9 s"}))


def test_a_stage_the_page_does_not_know_stands_before_the_generator() -> None:
    stages = [line.split("|")[1].strip() for line in speed.page(_figures()).splitlines() if line.startswith("| ")]
    assert stages[stages.index("read") :][:5] == ["read", "detect", "rescore", "generate", "scene"]


def test_a_rival_is_extrapolated_from_the_windows_that_were_run() -> None:
    row = speed.rival_row("nnU-Net", {"what": "settings", "seconds": [2.0, 3.0, 4.0], "windows": 960})
    assert row.seconds == (1920, 2880, 3840)
    assert row.note == "settings; extrapolated from 3 of 960 passes"
    whole = speed.rival_row("small", {"what": "settings", "seconds": [2.0, 3.0], "windows": 2})
    assert whole.seconds == (5,) and whole.note == "settings"


@pytest.mark.parametrize(("seconds", "runs"), [(400.0, 3), (1.0, 4)])
def test_long_rivals_are_ended_after_three_windows_and_short_ones_run_through(
    seconds: float, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(float(tick) * seconds for tick in range(100))
    monkeypatch.setattr(rivals.time, "perf_counter", lambda: next(clock))
    timed = rivals.timed(rivals.Rival("settings", 4, lambda number: None))
    assert timed.seconds == (seconds,) * runs and timed.windows == 4


def test_a_process_that_fails_gives_its_reason() -> None:
    assert speed.ask(["-c", "print('hello'); print('{\"a\": 1}')"]) == {"a": 1}
    assert speed.ask(["-c", "raise SystemExit(3)"]) == {"error": "ended with exit code 3"}
    assert speed.ask(["-c", "print('hello')"]) == {"error": "gave no figures"}


def test_the_picture_is_drawn_from_what_there_is(tmp_path: Path) -> None:
    speed.picture(_figures(), tmp_path / "speed.png")
    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")


def test_the_torchvision_rival_can_be_run_on_every_slice() -> None:
    rival = rivals.faster_rcnn(CT(np.zeros((3, 32, 32), np.int16), np.diag([-1.0, -1.0, 1.0, 1.0])))
    with torch.inference_mode():
        assert [len(rival.window(number)) for number in range(rival.windows)] == [1, 1, 1]
