"""The page and the picture of what `speed.py` measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from clock import PARTS

#: What computes the networks, as `--runtime` names it and as a person knows it.
RUNTIMES = {"openvino": "OpenVINO", "torch": "PyTorch"}
#: The real CT; synthetic ones are named by their slices.
REAL = "LIDC-IDRI-0001"
#: What was measured, by the part of `speed.py --only`; parts that were not measured are absent.
Figures = Mapping[str, Any]


def page(figures: Figures) -> str:
    """The page in Markdown."""
    lines = [
        "# Speed and memory",
        "",
        f"Machine: {figures['machine']}. {figures['versions']}. Written by `python Testing/benchmarks/speed.py --data "
        "DATA`. No GPU is used; networks compute in float32.",
        "Medians, with the range and the number of runs in brackets.",
        "",
        *_measured_with(figures),
        *_clock(figures),
        *_against(figures),
        *_parts(figures),
        *_share_of_best(figures),
        *_everywhere(figures),
        *_rivals(figures),
        *_start(figures),
        "![The clock by runtime, rivals, parts of a run and peak memory by slices](speed.png)",
        "",
    ]
    return "\n".join(lines)


def text(seconds: Sequence[float], unit: str = "s") -> str:
    """Median, range and number of runs."""
    if not seconds:
        return "not measured"
    if len(seconds) == 1:
        return f"{seconds[0]:.3g} {unit} (one run)"
    return f"{median(seconds):.3g} {unit} ({min(seconds):.3g} to {max(seconds):.3g}, n = {len(seconds)})"


def ratio(slower: Sequence[float], faster: Sequence[float]) -> str:
    """How many times longer one takes, by the medians."""
    return f"{median(slower) / median(faster):.3g}" if slower and faster else "not measured"


def column(runs: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    """One figure of the runs that ended well."""
    return [run[key] for run in runs if "error" not in run]


def part(runs: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """Seconds of one part of a run."""
    return [parts[name] for parts in column(runs, "parts")]


def runs_of(figures: Figures, runtime: str, scan: str) -> Sequence[Mapping[str, Any]]:
    """The runs by the clock."""
    return figures.get("clock", {}).get(runtime, {}).get(scan, [])


def _good(figures: Figures, runtime: str, scan: str) -> list[Mapping[str, Any]]:
    return [run for run in runs_of(figures, runtime, scan) if "error" not in run]


def scans(figures: Figures) -> list[str]:
    """The CTs that were run, the real one first."""
    return list(dict.fromkeys(scan for of_runtime in figures.get("clock", {}).values() for scan in of_runtime))


def rival_seconds(answer: Mapping[str, Any]) -> list[float]:
    """Seconds for the whole scan, extrapolated from the windows that were run."""
    if "error" in answer:
        return []
    seconds, windows = answer["seconds"], answer["windows"]
    return [sum(seconds)] if len(seconds) == windows else [value * windows for value in seconds]


def rival_note(answer: Mapping[str, Any]) -> str:
    """How it was found, or why it was not."""
    if "error" in answer:
        return str(answer["error"])
    seconds, windows = answer["seconds"], answer["windows"]
    return "" if len(seconds) == windows else f"extrapolated from {len(seconds)} of {windows} passes"


def _measured_with(figures: Figures) -> list[str]:
    commits = figures["commits"]
    if len(set(commits.values())) == 1:
        return [f"Commit {next(iter(commits.values()))}.", ""]
    return ["Measured in pieces, by commit: " + ", ".join(f"{name} {commit}" for name, commit in commits.items()), ""]


def _clock(figures: Figures) -> list[str]:
    rows = []
    for scan in scans(figures):
        for runtime, name in RUNTIMES.items():
            runs = runs_of(figures, runtime, scan)
            if not runs:
                continue
            errors = [run["error"] for run in runs if "error" in run]
            one = next((run for run in runs if "error" not in run), {})
            rows.append(
                (
                    scan,
                    name,
                    errors[0] if errors else text(column(runs, "clock")),
                    text(column(runs, "nodule")),
                    text(column(runs, "peak_gib"), "GiB"),
                    str(one.get("candidates", "")),
                    str(one.get("nodules", "")),
                )
            )
    devices = sorted({run["device"] for scan in scans(figures) for r in RUNTIMES for run in _good(figures, r, scan)})
    return [
        "## By the clock",
        "",
        *([f"Computed on: {'; '.join(devices)}.", ""] if devices else []),
        "`lnhg segment CT --output FOLDER` as a process of its own, from the command to the last file. Outlines of all "
        "nodules are there at once; pictures and files follow. Synthetic: the same chest in thinner and thinner slices "
        "of 512 x 512, with more nodules than a patient has.",
        "",
        *_table(("CT", "runtime", "command to last file", "until the nodules", "peak", "candidates", "nodules"), rows),
    ]


def _against(figures: Figures) -> list[str]:
    if "against" not in figures:
        return []
    ours = {runtime: column(runs_of(figures, runtime, REAL), "clock") for runtime in RUNTIMES}
    rows = []
    for commit, runs in figures["against"].items():
        seconds = column(runs, "clock")
        rows.append((commit, text(seconds), *(_share(ours[runtime], seconds) for runtime in RUNTIMES)))
    return [
        "## Against earlier commits",
        "",
        f"{REAL} by the clock on the same machine, each commit with its own weights and its own defaults (PyTorch).",
        "",
        *_table(("commit", "took", *(f"{name} now takes" for name in RUNTIMES.values())), rows),
    ]


def _share(ours: Sequence[float], theirs: Sequence[float]) -> str:
    return f"{median(ours) / median(theirs):.2f} of it" if ours and theirs else "not measured"


def _parts(figures: Figures) -> list[str]:
    lines = [
        "## Parts of a run",
        "",
        "By the clock too: *start* until the command says its first word, *read* the CT read and the networks loaded, "
        "*write* everything after the last stage.",
        "",
    ]
    for runtime, name in RUNTIMES.items():
        good = {scan: runs for scan in scans(figures) if column(runs := runs_of(figures, runtime, scan), "clock")}
        if good:
            rows = [(key, *(text(part(runs, key)) for runs in good.values())) for key in PARTS]
            lines += [f"### {name}", "", *_table(("", *good), rows)]
    return lines


def _share_of_best(figures: Figures) -> list[str]:
    best, counted = figures.get("best", {}), figures.get("arithmetic", {})
    head = ["## Share of the best", ""]
    if "gflops" not in best or not counted or "error" in counted:
        return [*head, "Not measured.", ""]
    rows = []
    for stage in ("detect", "generate"):
        work = counted[stage] / 1e9
        shares = []
        for runtime in RUNTIMES:
            seconds = part(runs_of(figures, runtime, REAL), stage)
            rate = work / median(seconds) if seconds else 0.0
            shares.append(f"{rate:.0f} GFLOP/s, {rate / best['gflops']:.0%}" if seconds else "not measured")
        rows.append((stage, f"{work:.0f} GFLOP", f"{work / best['gflops']:.2f} s", *shares))
    return [
        *head,
        f"On {best['threads']:.0f} threads a product of float32 matrices reaches {best['gflops']:.0f} GFLOP/s here, a "
        f"copy {best['gbytes']:.1f} GB/s. What the networks compute for {REAL} (convolutions and matrix products; two "
        "for each multiplication with its addition), and the share of that rate in the stage's whole time:",
        "",
        *_table(("stage", "computed", "at best", *RUNTIMES.values()), rows),
    ]


def _everywhere(figures: Figures) -> list[str]:
    rows = []
    for runtime, name in RUNTIMES.items():
        answer, runs = figures.get("everywhere", {}).get(runtime, {}), runs_of(figures, runtime, REAL)
        around = [parts["generate"] + parts["fuse"] for parts in column(runs, "parts")]
        if "error" in answer:
            rows.append((name, text(around), f"not measured: {answer['error']}", "", ""))
        for way, seconds in answer.items() if "error" not in answer else ():
            rest = median(column(runs, "clock")) - median(around) if around else 0.0
            whole = [rest + value for value in seconds] if around else []
            rows.append((f"{name}, `{way}`", text(around), text(seconds), ratio(seconds, around), text(whole)))
    return [
        "## The generator everywhere",
        "",
        f"{REAL}; stages generate and fuse, extrapolated from blocks of slices in its middle. Whether the nodules "
        "are the same as with `--full-generator` is what `same_everywhere.py` counts.",
        "",
        *_table(("", "around the candidates", "everywhere", "ratio", "command to last file"), rows),
    ]


def _rivals(figures: Figures) -> list[str]:
    ours = {runtime: column(runs_of(figures, runtime, REAL), "clock") for runtime in RUNTIMES}
    rows = [("this pipeline", name, text(ours[runtime]), "1", "") for runtime, name in RUNTIMES.items()]
    settings = []
    for rival, answers in figures.get("rivals", {}).items():
        settings += [f"- {rival}: {answer['what']}." for answer in list(answers.values())[:1] if "what" in answer]
        for runtime, answer in answers.items():
            seconds = rival_seconds(answer)
            rows.append((rival, RUNTIMES[runtime], text(seconds), ratio(seconds, ours[runtime]), rival_note(answer)))
    return [
        "## Against what one would use instead",
        "",
        "The same CT. Rivals have random weights, and only their networks' time is counted, without start, reading and "
        "writing; ours is the clock from the command to the last file. OpenVINO: as it converts them, for one size.",
        "",
        *_table(("", "runtime", "time", "ratio to ours with that runtime", ""), rows),
        *settings,
        "",
    ]


def _start(figures: Figures) -> list[str]:
    rows = [("`lnhg --help` has answered", text(figures.get("start", [])))]
    for runtime, name in RUNTIMES.items():
        runs = runs_of(figures, runtime, REAL)
        begun = [parts["start"] + parts["read"] for parts in column(runs, "parts")]
        rows += [
            (f"`lnhg segment`, {name}: first word", text(part(runs, "start"))),
            (f"`lnhg segment`, {name}: CT read, networks loaded", text(begun)),
        ]
    return ["## Start", "", *_table(("", "time"), rows)]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *rows]] + [""]


def picture(figures: Figures, path: Path) -> None:
    """Bars of ours and the rivals, parts of a run and peak memory by slices."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(16, 5), layout="constrained")
    bars = [
        (f"{name}, {RUNTIMES[runtime]}", median(seconds)) for name, runtime, seconds in _all_of_real(figures) if seconds
    ]
    drawn = left.barh([name for name, _ in bars], [seconds for _, seconds in bars], log=True)
    left.bar_label(drawn, fmt="%.3g s")
    left.margins(x=0.3)
    left.invert_yaxis()
    left.set_title(f"{REAL}, seconds")
    _draw_parts(figures, middle)
    for runtime, name in RUNTIMES.items():
        peaks = {
            int(scan.rpartition(" ")[2]): median(column(runs, "peak_gib"))
            for scan in scans(figures)
            if scan != REAL and column(runs := runs_of(figures, runtime, scan), "peak_gib")
        }
        right.plot(list(peaks), list(peaks.values()), "o-", label=name)
    right.axhline(2, color="grey", linestyle=":")
    right.set(title="Peak memory, GiB (synthetic)", xlabel="slices", ylim=(0, None))
    right.legend(fontsize="small")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _all_of_real(figures: Figures) -> list[tuple[str, str, list[float]]]:
    """Name, runtime and seconds of all that was run on the real CT: ours, earlier commits, rivals."""
    rows = [("this pipeline", runtime, column(runs_of(figures, runtime, REAL), "clock")) for runtime in RUNTIMES]
    rows += [(commit, "torch", column(runs, "clock")) for commit, runs in figures.get("against", {}).items()]
    for rival, answers in figures.get("rivals", {}).items():
        rows += [(rival, runtime, rival_seconds(answer)) for runtime, answer in answers.items()]
    return rows


def _draw_parts(figures: Figures, axes: Any) -> None:
    """A bar for each CT and runtime, of its parts one on the other."""
    good = [
        (f"{scan.replace('synthetic, ', '')}\n{name}", runs)
        for scan in scans(figures)
        for runtime, name in RUNTIMES.items()
        if column(runs := runs_of(figures, runtime, scan), "clock")
    ]
    below = [0.0] * len(good)
    for number, key in enumerate(PARTS):
        seconds = [median(part(runs, key)) for _, runs in good]
        axes.bar([name for name, _ in good], seconds, bottom=below, label=key, color=f"C{number}")
        below = [low + took for low, took in zip(below, seconds, strict=True)]
    axes.tick_params(axis="x", labelsize="x-small", labelrotation=90)
    axes.set_title("Seconds by the clock, by part")
    if good:
        axes.legend(fontsize="small", loc="upper left")
