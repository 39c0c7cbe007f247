"""How long a click on a nodule takes until the nodule is in the scene, as a table (not in the list that runs by
default).

LNHG_CT names a CT with a `nodules.csv` beside it, whose nodules are clicked on, five times each; else it is the drawn
chest. Measured from Slicer's word that a point was placed: by the clock, and the processor time of the window's main
thread and of the process that answers, which other programs do not change much. At the end a process of its own is
asked at each place: it must give the same.
"""

import contextlib
import csv
import statistics
import time
from dataclasses import dataclass, replace

from driving import *

TIMES, WIDE_MM = 5, 15.0
# Of the processor; on a busy computer, where two threads share a core, it is up to twice that of an idle one.
LIMIT_S, WIDE_LIMIT_S, HANDLER_S = 1.0, 3.0, 0.3


def places():
    """Where nodules lie in the chosen CT (RAS, mm)."""
    path = os.environ.get("LNHG_CT")
    if not path:
        return [MISSED]
    with Path(path).with_name("nodules.csv").open(encoding="utf-8") as table:
        return [tuple(float(row[f"centre_{axis}"]) for axis in "ras") for row in csv.DictReader(table)]


def processor_seconds(leader):
    """Of a process and those that it started; NaN where the system does not tell."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
            ticks += (int(fields[11]) + int(fields[12])) * (int(fields[2]) == leader)
    return ticks / os.sysconf("SC_CLK_TCK") if ticks else np.nan


@dataclass
class Click:
    """Seconds from the click to the answer and to the nodule in the scene, and of the processor; the row that came."""

    answered: float
    shown: float
    processor: float
    row: object = None


def steps():
    from lnhg.core.nodule import as_row

    node = add_chosen_ct()
    panel = open_module()
    yield 1000
    ended, held = {}, []

    def noted(owner, attribute):
        method = getattr(owner, attribute)

        def instead(*arguments):
            wall, own = time.perf_counter(), time.thread_time()
            method(*arguments)
            ended[attribute] = time.perf_counter()
            held.append((time.thread_time() - own, time.perf_counter() - wall, attribute))

        setattr(owner, attribute, instead)

    for owner, attribute in (
        (panel, "start"),
        (panel, "_on_finished"),
        (panel, "_show_clicked"),
        (panel.logic, "prepareClicks"),
    ):
        noted(owner, attribute)

    def spent():
        process = panel.logic._clicks._ready._process
        return time.thread_time() + (0 if process is None else processor_seconds(process._process.pid))

    def asked(ras):
        """Click on a place; returns what it took."""
        click(panel.ui.addNoduleButton)
        yield from until(lambda: panel.place.waiting)
        at = show_place(ras)
        placed = []
        marked = panel.place._node
        tag = marked.AddObserver(
            marked.PointPositionDefinedEvent, lambda *_: placed.append((time.perf_counter(), spent()))
        )
        yield 500
        view = slice_view("Red")
        move(view, at[0] + 30, at[1])
        yield 300
        ended.clear()
        click(view, *at)
        yield from until(lambda: placed and "_on_finished" in ended and panel._to_show is None, 120)
        clock, processor = placed[0]
        last = ended.get("_show_clicked", time.perf_counter())
        marked.RemoveObserver(tag)
        return Click(ended["_on_finished"] - clock, last - clock, spent() - processor)

    first = yield from asked(places()[0])
    log(f"the first click, in a CT that nobody has looked at: {first.shown:.1f} s")
    shot("first")
    taken = {}
    for ras in places():
        for _ in range(TIMES):
            done = yield from asked(ras)
            yield 300
            done.row = next(one for one in panel.review.nodes.rows if f"Nodule_{one.id}" == panel.review.selected)
            taken.setdefault(ras, []).append(done)
            click(panel.ui.undoButton)
            yield 300
    shot("last")
    log("| long axis, mm | answered, s | in the scene, s | longest, s | processor, s |")
    log("|---|---|---|---|---|")
    for clicks in taken.values():
        size = clicks[0].row.long_axis
        middles = [statistics.median(getattr(one, name) for one in clicks) for name in ("answered", "shown")]
        processor = statistics.median(one.processor for one in clicks)
        longest = max(one.shown for one in clicks)
        log("|", " | ".join([f"{size:.0f}", *(f"{one:.2f}" for one in (*middles, longest, processor))]), "|")
        limit = WIDE_LIMIT_S if size > WIDE_MM else LIMIT_S
        check(f"{size:.0f} mm: at most {limit} s of the processor", processor <= limit, f"{processor:.2f} s")
    own, wall, name = max(held)
    check(f"no handler held the window for more than {HANDLER_S} s", own <= HANDLER_S, (name, own, wall))
    for ras, clicks in taken.items():
        ends = []
        panel.logic.startSegmentNodules(
            node,
            onFinished=lambda *end, ends=ends: ends.append(end),
            options=panel.review.nodes.options,
            seeds=[ras],
        )
        yield from until(lambda ends=ends: ends, 300)
        (fresh,) = ends[0][0].rows
        told = [as_row(replace(one.row, id=1, status=fresh.status)) for one in clicks]
        check("the same as a process of its own", all(one == as_row(replace(fresh, id=1)) for one in told))
        for one in ends[0][0].nodes.added:
            slicer.mrmlScene.RemoveNode(one)
        yield 500
    write_figures("clicks", {"held": held, "shown": [[one.shown for one in clicks] for clicks in taken.values()]})


drive(steps)
