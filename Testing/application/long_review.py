"""Two CTs, 50 nodules each, reviewed a hundred times over: memory and the time of a click stay as at the start.

LNHG_SLICES changes the number of slices of each CT (60; an hour's review of two CTs of 600 slices takes 5 GB),
LNHG_ROUNDS the number of rounds.
"""

import statistics
import time

from driving import *
from large import large_result

SLICES = int(os.environ.get("LNHG_SLICES", "60"))
ROUNDS = int(os.environ.get("LNHG_ROUNDS", "100"))


def memory_mb():
    """What this process holds; 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def fixed_work_ms() -> float:
    """Milliseconds of the processor for a work that is the same whenever it is done."""
    start = time.thread_time()
    sorted(str(number * 7919 % 10007) for number in range(40_000))
    return 1000 * (time.thread_time() - start)


def steps():
    from LNHGSlicerLib.run.segmentation_run import add_and_show

    volumes = []
    for number in range(2):
        result = large_result((SLICES, 256, 256), count=50, seed=number)
        volumes.append(slicer.util.addVolumeFromArray(result.ct.hu, result.ct.ijk_to_ras, f"CT {number + 1}"))
        add_and_show(volumes[-1], result)
    del result
    panel = open_module()
    yield 1000
    slicer.app.pauseRender()
    figures = []
    for turn in range(ROUNDS):
        if turn % 10 == 0:
            panel.ui.ctSelector.setCurrentNode(volumes[turn // 10 % 2])
        if turn % 20 == 10:
            slicer.util.selectModule("Data")
            slicer.util.selectModule("LNHGSlicer")
        start, clicks = time.thread_time(), 0
        for action in (
            panel.review.accept,
            panel.review.reject,
            panel.review.undo,
            panel.review.undo,
            panel.review.go_to_next,
        ):
            action()
            clicks += 1
        panel.ui.normalisationBox.setCurrentIndex(turn % 2)
        panel.ui.layerBox.setCurrentIndex((0, 3)[turn % 2])
        panel.ui.mapBox.click()
        panel.ui.mapBox.click()
        click = 1000 * (time.thread_time() - start) / (clicks + 4)
        figures.append((memory_mb(), click, click / fixed_work_ms()))
        yield 20
    slicer.app.resumeRender()
    tenth = max(1, ROUNDS // 10)
    first, last = figures[tenth : 2 * tenth], figures[-tenth:]
    grown = statistics.median(one[0] for one in last) - statistics.median(one[0] for one in first)
    before, after = (min(one[1] for one in some) for some in (first, last))
    log(f"memory {first[0][0]:.0f} MB, grown by {grown:.1f} MB; a click {before:.1f} ms, at the end {after:.1f} ms")
    # In units of a work that stays the same: a shared computer is by half slower in some minutes than in others.
    before, after = (statistics.median(one[2] for one in some) for some in (first, last))
    check("memory has grown by less than 20 MB", grown < 20, f"{grown:.1f} MB")
    told = f"{before:.2f} and {after:.2f} of a fixed work"
    check("a click takes as long as at the start", after < 1.3 * before, told)
    write_figures("figures", {"memory MB and ms a click, round by round": figures})
    shot("end")


drive(steps)
