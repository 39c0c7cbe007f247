"""Seconds and memory of the whole way, stage by stage, against itself with the generator run everywhere and against
rivals.

`python Testing/benchmarks/speed.py --data DATA` writes `speed.md` and `speed.png` beside this file (`--output` chooses
another folder). Everything is measured in processes of their own; what fails is a row with its reason.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
SCAN = "lidc_scans/LIDC-IDRI-0001/ct.nrrd"
# Slices of the synthetic CT; thicker ones are means of the thinnest.
SLICES = (600, 300, 120, 60)
# The generator is run everywhere on this many blocks of so many slices, not on the whole CT.
BLOCKS, BLOCK = 3, 4
# A rival, or one of our runs, is ended after this long.
LONGEST_S = 900


# Measured in a process of its own
# ---------------------------------------------------------------------------------------


def measure_scan(path: Path, repeats: int, threads: int | None) -> dict[str, Any]:
    """Seconds of each stage for each of `repeats` runs on one CT, and the peak memory of the process in GiB."""
    import lnhg
    from lnhg.networks.torch_models import load_models
    from lnhg.options import Options
    from lnhg.pipeline import segment
    from lnhg.readers.read_ct import read_ct
    from lnhg.stages.heterogeneity_from_generator import heterogeneity_map

    options, models = Options(threads=threads), load_models()
    runs: list[dict[str, float]] = []
    peak = 0.0
    for number in range(repeats):
        stages: dict[str, float] = {}
        with tempfile.TemporaryDirectory() as folder:
            ct = _timed(stages, "read", lambda: read_ct(path))
            result = segment(ct, options, models=models)
            stages |= result.provenance["seconds"]  # type: ignore[operator]
            _timed(stages, "write", lambda result=result, folder=folder: lnhg.save(result, Path(folder) / "result"))
            peak = peak if number else _peak_gib()
            _timed(
                stages, "scene", lambda result=result, folder=folder: _write_scene(result, Path(folder) / "scene.mrb")
            )
        # The saved files hold the scene, and the last stage makes the map.
        stages["write"] = max(0.0, stages["write"] - stages["scene"])
        image = result.image
        _timed(
            stages, "map", lambda result=result, image=image: heterogeneity_map(image, result.labels, "inverse", "scan")
        )
        stages["measure"] = max(0.0, stages["measure"] - stages["map"])
        runs.append(stages)
        _say(f"{path.name}: run {number + 1} of {repeats}, {sum(stages.values()):.1f} s")
    return {
        "shape": list(ct.hu.shape),
        "runs": runs,
        "peak_gib": peak,
        "candidates": len(result.candidates),
        "nodules": len(result.nodules),
        "device": result.provenance["device"],
    }


def measure_everywhere(path: Path, threads: int | None) -> dict[str, Any]:
    """Seconds of the generate stage, run everywhere on a few blocks of slices of one CT."""
    from dataclasses import replace

    from lnhg.networks.torch_models import load_models
    from lnhg.options import Options
    from lnhg.pipeline import segment
    from lnhg.readers.read_ct import read_ct

    ct, models = read_ct(path), load_models(with_detector=False)
    options = Options(threads=threads, full_generator=True, seeds_only=True)
    seconds = []
    for number in range(BLOCKS):
        first = (number + 1) * len(ct.hu) // (BLOCKS + 1)
        block = replace(ct, hu=ct.hu[first : first + BLOCK], instance_numbers=None)
        seed = block.to_ras(np.array([*block.hu.shape[:0:-1], 2]) // 2).tolist()
        stages: Any = segment(block, options, [seed], models=models).provenance["seconds"]
        seconds.append(stages["generate"])
        _say(f"generator everywhere: block {number + 1} of {BLOCKS}, {seconds[-1]:.1f} s")
    return {"seconds": [value / BLOCK * len(ct.hu) for value in seconds]}


def _write_scene(result: Any, path: Path) -> None:
    from LNHGSlicerLib.scene.scene_file import write_scene

    write_scene(result, path)


def _timed(stages: dict[str, float], name: str, work: Callable[[], Any]) -> Any:
    began = time.perf_counter()
    value = work()
    stages[name] = time.perf_counter() - began
    return value


def _peak_gib() -> float:
    status = Path("/proc/self/status")
    if status.is_file():  # `getrusage` would also count what the process that started this one held
        return (
            next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 2**20
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**30 if sys.platform == "darwin" else peak / 2**20


# What is measured
# -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One line of a table: seconds of several runs, or why there are none."""

    name: str
    seconds: tuple[float, ...]
    note: str = ""

    @property
    def text(self) -> str:
        """Median, spread and number of runs."""
        if not self.seconds:
            return "not measured"
        if len(self.seconds) == 1:
            return f"{self.seconds[0]:.3g} s (one run)"
        low, high = min(self.seconds), max(self.seconds)
        return f"{median(self.seconds):.3g} s ({low:.3g} to {high:.3g}, n = {len(self.seconds)})"


def ratio(slower: Row, faster: Row) -> str:
    """How many times longer one takes, by the medians."""
    if not slower.seconds or not faster.seconds:
        return "not measured"
    return f"{median(slower.seconds) / median(faster.seconds):.1f}"


def total(runs: Sequence[Mapping[str, float]], stages: Sequence[str] | None = None) -> tuple[float, ...]:
    """Seconds of each run in these stages, or in all."""
    return tuple(sum(seconds for name, seconds in run.items() if stages is None or name in stages) for run in runs)


def rival_row(name: str, answer: Mapping[str, Any]) -> Row:
    """Seconds for the whole scan, extrapolated from the windows that were run."""
    if "error" in answer:
        return Row(name, (), str(answer["error"]))
    seconds, windows = answer["seconds"], answer["windows"]
    if len(seconds) == windows:
        return Row(name, (sum(seconds),), str(answer["what"]))
    whole = tuple(value * windows for value in seconds)
    return Row(name, whole, f"{answer['what']}; extrapolated from {len(seconds)} of {windows} passes")


def ask(arguments: Sequence[str | Path]) -> dict[str, Any]:
    """What a process of its own answers (one line of JSON at the end), or `error`: why there is no answer."""
    began = time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, *map(str, arguments)], stdout=subprocess.PIPE, text=True, timeout=LONGEST_S, check=False
        )
        if done.returncode:
            return {"error": f"ended with exit code {done.returncode}"}
        return json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"error": f"ended after {time.perf_counter() - began:.0f} s"}
    except (ValueError, IndexError):
        return {"error": "gave no figures"}


def start_up(path: Path, repeats: int) -> list[Row]:
    """Seconds until the command line answers, and from the start of a run to its first reports of progress."""
    help_, first, searching = [], [], []
    for _ in range(repeats):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "lnhg", "--help"], stdout=subprocess.DEVNULL, check=True)
        help_.append(time.perf_counter() - began)
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            command = [sys.executable, "-m", "lnhg", "segment", str(path), "--output", folder, "--json-progress"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
                assert run.stdout is not None
                run.stdout.readline()
                first.append(time.perf_counter() - began)
                run.stdout.readline()
                searching.append(time.perf_counter() - began)
                run.terminate()
                run.stdout.read()
    return [
        Row("start of the command line (`lnhg --help`)", tuple(help_)),
        Row("start of `lnhg segment` to its first progress", tuple(first)),
        Row("start of `lnhg segment` to the CT read and PyTorch loaded", tuple(searching)),
    ]


def synthetic(folder: Path) -> dict[int, Path]:
    """Synthetic CTs of the same chest in `SLICES` slices."""
    from lnhg.core.nrrd_file import write_nrrd
    from lnhg.phantom import chest_phantom

    ct = chest_phantom(0, (SLICES[0], 512, 512)).ct
    paths = {}
    for count in SLICES:
        step = SLICES[0] // count
        hu = ct.hu.reshape(count, step, *ct.hu.shape[1:]).mean(1).round().astype(np.int16)
        ijk_to_ras = ct.ijk_to_ras @ np.diag([1.0, 1.0, step, 1.0])
        paths[count] = folder / f"synthetic_{count}.nrrd"
        write_nrrd(paths[count], hu, ijk_to_ras, packed=False)
        _say(f"synthetic CT of {count} slices made")
    return paths


def machine() -> str:
    """The processor as a person knows it, with its cores and memory."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        models = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = models[0] if models else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# The page
# ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figures:
    """All that was measured: answers of `measure_scan` for the real CT and, by slices, for the synthetic ones."""

    machine: str
    versions: str
    real: Mapping[str, Any]
    everywhere: Row
    grown: Mapping[int, Mapping[str, Any]]
    rivals: Sequence[Row]
    starts: Sequence[Row]


def page(figures: Figures) -> str:
    """The page in Markdown."""
    lines = [
        "# Speed and memory",
        "",
        f"Machine: {figures.machine}. {figures.versions}. Written by `python Testing/benchmarks/speed.py --data DATA`.",
        "Medians, with the range and the number of runs in brackets.",
        "",
        *_against_itself(figures),
        *_rivals(figures),
        *_stages(figures),
        *_growth(figures),
        "## Start",
        "",
        *_table(("", "time"), [(row.name, row.text) for row in figures.starts]),
        "## GPU",
        "",
        "Not measured: no GPU was at hand.",
        "",
        "![Stages, rivals, growth](speed.png)",
        "",
    ]
    return "\n".join(lines)


def _against_itself(figures: Figures) -> list[str]:
    head = ["## Against itself with the generator run everywhere", ""]
    if "error" in figures.real:
        return [*head, f"Not measured: the run {figures.real['error']}.", ""]
    runs = figures.real["runs"]
    ours = Row("generator around the candidates", total(runs, ["generate"]))
    whole = Row("the whole way: around the candidates", total(runs))
    rest = median(total(runs)) - median(ours.seconds)
    all_everywhere = Row("the whole way: everywhere", tuple(rest + value for value in figures.everywhere.seconds))
    return [
        *head,
        f"LIDC-IDRI-0001, {_shape(figures.real)}; candidates: {figures.real['candidates']}. "
        f"Everywhere: {figures.everywhere.note}.",
        "",
        *_table(
            ("", "around the candidates", "everywhere", "ratio"),
            [
                ("generate stage", ours.text, figures.everywhere.text, ratio(figures.everywhere, ours)),
                ("the whole way, read to scene", whole.text, all_everywhere.text, ratio(all_everywhere, whole)),
            ],
        ),
    ]


def _rivals(figures: Figures) -> list[str]:
    head = ["## Against what one would use instead", ""]
    runs = figures.real.get("runs", [])
    ours = Row("this pipeline, read to scene", total(runs), "shipped weights, all files written")
    rows = [(ours.name, ours.text, "1", ours.note)]
    rows += [(row.name, row.text, ratio(row, ours), row.note or "-") for row in figures.rivals]
    note = "The same CT. Rivals have random weights: only their networks' time is counted, without reading and writing."
    return [*head, note, "", *_table(("", "time", "ratio to ours", "how"), rows)]


def _stages(figures: Figures) -> list[str]:
    scans = {"LIDC-IDRI-0001": figures.real, **{f"synthetic, {count}": one for count, one in figures.grown.items()}}
    good = {name: one for name, one in scans.items() if "error" not in one}
    names = list(dict.fromkeys(stage for one in good.values() for run in one["runs"] for stage in run))
    ordered = sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else ORDER.index("generate"))
    rows = [(stage, *(Row("", total(one["runs"], [stage])).text for one in good.values())) for stage in ordered]
    rows.append(("all", *(Row("", total(one["runs"])).text for one in good.values())))
    return ["## Stages", "", *_table(("", *good), rows)]


#: Stages as they follow each other; others come before `generate`.
ORDER = ("read", "lungs", "detect", "generate", "fuse", "map", "measure", "write", "scene")


def _growth(figures: Figures) -> list[str]:
    rows = []
    for count, one in sorted(figures.grown.items()):
        if "error" in one:
            rows.append((str(count), "not measured", one["error"], "", "", ""))
            continue
        seconds = median(total(one["runs"]))
        rows.append(
            (
                str(count),
                f"{seconds:.1f} s",
                f"{seconds / count:.3f} s",
                f"{one['peak_gib']:.2f} GiB",
                str(one["candidates"]),
                str(one["nodules"]),
            )
        )
    return [
        "## Growth",
        "",
        "The same synthetic chest in thinner and thinner slices (512 x 512), each in a process of its own.",
        "",
        *_table(("slices", "time, read to scene", "a slice", "peak memory", "candidates", "nodules"), rows),
    ]


def _shape(answer: Mapping[str, Any]) -> str:
    slices, rows, columns = answer["shape"]
    return f"{columns} x {rows} x {slices}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *rows]] + [""]


def picture(figures: Figures, path: Path) -> None:
    """Bars of ours and the rivals, stages of each CT, growth of time and memory."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(15, 4.5), layout="constrained")
    ours = Row("this pipeline", total(figures.real.get("runs", [])))
    rows = [row for row in (ours, figures.everywhere, *figures.rivals) if row.seconds]
    bars = left.barh([row.name for row in rows], [median(row.seconds) for row in rows], log=True)
    left.bar_label(bars, fmt="%.3g s")
    left.margins(x=0.3)
    left.invert_yaxis()
    left.set_title("LIDC-IDRI-0001, seconds")
    good = {count: one for count, one in sorted(figures.grown.items()) if "error" not in one}
    stages = [stage for stage in ORDER if any(stage in one["runs"][0] for one in good.values())]
    below = np.zeros(len(good))
    for stage in stages:
        seconds = np.array([median(total(one["runs"], [stage])) for one in good.values()])
        middle.bar([str(count) for count in good], seconds, bottom=below, label=stage)
        below += seconds
    middle.set(title="Synthetic CT: seconds by slices", xlabel="slices")
    middle.legend(fontsize="small")
    right.plot(list(good), [one["peak_gib"] for one in good.values()], "o-")
    right.axhline(3, color="grey", linestyle=":")
    right.set(title="Peak memory, GiB", xlabel="slices", ylim=(0, None))
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


# The command
# ------------------------------------------------------------------------------------------------------------


def measured(data: Path, repeats: int, threads: int | None) -> Figures:
    import torch
    from rivals import RIVALS

    from lnhg import __version__

    scan = data / SCAN
    extra = ["--threads", str(threads)] if threads else []
    me = Path(__file__)
    starts = start_up(scan, repeats)
    real = ask([me, "--measure", scan, "--repeats", str(repeats), *extra])
    everywhere = ask([me, "--measure-everywhere", scan, *extra])
    note = f"extrapolated from {BLOCKS} blocks of {BLOCK} slices"
    grown = {}
    with tempfile.TemporaryDirectory() as folder:
        for count, path in synthetic(Path(folder)).items():
            # Long ones once: the spread shows on the others.
            grown[count] = ask(
                [me, "--measure", path, "--repeats", "1" if count > 300 else str(min(2, repeats)), *extra]
            )
    rivals = []
    for name in RIVALS:
        _say(f"rival: {name}")
        rivals.append(rival_row(name, ask([HERE / "rivals.py", name, scan, *extra])))
    return Figures(
        machine(),
        f"lnhg {__version__}, PyTorch {torch.__version__}, {real.get('device', 'CPU')}",
        real,
        Row("generator everywhere", tuple(everywhere.get("seconds", ())), everywhere.get("error", note)),
        grown,
        rivals,
        starts,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder that holds lidc_scans/LIDC-IDRI-0001")
    parser.add_argument("--output", type=Path, default=HERE, help="folder of speed.md and speed.png")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--measure-everywhere", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure_scan(arguments.measure, arguments.repeats, arguments.threads)))
    elif arguments.measure_everywhere:
        print(json.dumps(measure_everywhere(arguments.measure_everywhere, arguments.threads)))
    elif arguments.data is None or not (arguments.data / SCAN).is_file():
        parser.error(f"--data must name a folder that holds {SCAN}")
    else:
        figures = measured(arguments.data, arguments.repeats, arguments.threads)
        arguments.output.mkdir(parents=True, exist_ok=True)
        picture(figures, arguments.output / "speed.png")
        (arguments.output / "speed.md").write_text(page(figures), encoding="utf-8")
        _say(f"written: {arguments.output / 'speed.md'}")


if __name__ == "__main__":
    main()
