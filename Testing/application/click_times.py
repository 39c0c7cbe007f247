"""How long a click on a nodule takes until the nodule is in the scene, as a table (not in the list that runs by
default).

LNHG_CT names a CT with a `nodules.csv` beside it, whose nodules are clicked on, five times each; else it is the drawn
chest. Measured from Slicer's word that a point was placed. At the end a process of its own is asked at each place: it
must give the same.
"""

import csv
import statistics
import time
from dataclasses import replace

from driving import *

TIMES, WIDE_MM = 5, 15.0
LIMIT_S, WIDE_LIMIT_S, HANDLER_S = 0.5, 2.0, 0.3


def chosen_ct():
    """The CT as a node, and places in it (RAS, mm)."""
    path = os.environ.get("LNHG_CT")
    if not path:
        return add_ct(), [MISSED]
    node = slicer.util.loadVolume(path)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    with Path(path).with_name("nodules.csv").open(encoding="utf-8") as table:
        return node, [tuple(float(row[f"centre_{axis}"]) for axis in "ras") for row in csv.DictReader(table)]


def steps():
    from lnhg.core.nodule import as_row

    node, places = chosen_ct()
    panel = open_module()
    yield 1000
    moments, held = {}, []

    def noted(owner, attribute):
        method = getattr(owner, attribute)

        def instead(*arguments):
            began = time.perf_counter()
            value = method(*arguments)
            moments[attribute] = began, time.perf_counter()
            held.append((time.perf_counter() - began, attribute))
            return value

        setattr(owner, attribute, instead)

    for owner, attribute in (
        (panel, "_on_point"),
        (panel, "_on_finished"),
        (panel, "_show_clicked"),
        (panel, "_show_segmented"),
        (panel.logic, "prepareClicks"),
    ):
        noted(owner, attribute)

    def asked(ras):
        """Click on a place; returns the seconds from the click to the answer, and to the nodule in the scene."""
        click(panel.ui.addNoduleButton)
        yield from until(lambda: panel.place.waiting)
        at = show_place(ras)
        placed = []
        marked = panel.place._node
        tag = marked.AddObserver(marked.PointPositionDefinedEvent, lambda *_: placed.append(time.perf_counter()))
        yield 500
        view = slice_view("Red")
        move(view, at[0] + 30, at[1])
        yield 300
        moments.clear()
        click(view, *at)
        yield from until(lambda: placed and "_on_finished" in moments and not panel.running, 120)
        yield from until(lambda: "_show_clicked" in moments or "_show_segmented" in moments, 10)
        marked.RemoveObserver(tag)
        shown = moments.get("_show_clicked") or moments.get("_show_segmented") or (np.nan, np.nan)
        return moments["_on_point"][0] - placed[0], moments["_on_finished"][0] - placed[0], shown[1] - placed[0]

    first = yield from asked(places[0])
    log(f"the first click, in a CT that nobody has looked at: {first[-1]:.1f} s")
    shot("first")
    taken = {}
    for ras in places:
        for _ in range(TIMES):
            seconds = yield from asked(ras)
            yield 300
            row = next(one for one in panel.review.nodes.rows if f"Nodule_{one.id}" == panel.review.selected)
            taken.setdefault(ras, []).append((seconds, row))
            click(panel.ui.undoButton)
            yield 300
    shot("last")
    check("the same CT was ready all the time", sum(name == "prepareClicks" for _, name in held) >= 1)
    log("| long axis, mm | asked, s | answered, s | in the scene, s: median | longest |")
    log("|---|---|---|---|---|")
    for ras, clicks in taken.items():
        row = clicks[0][1]
        asking, answered, shown = zip(*(seconds for seconds, _ in clicks), strict=True)
        middle = statistics.median(shown)
        log(
            f"| {row.long_axis:.0f} | {statistics.median(asking):.2f} | {statistics.median(answered):.2f} | {middle:.2f}"
            f" | {max(shown):.2f} |"
        )
        limit = WIDE_LIMIT_S if row.long_axis > WIDE_MM else LIMIT_S
        check(f"{row.long_axis:.0f} mm: in at most {limit} s", middle <= limit, f"{middle:.2f} s")
        ends = []
        panel.logic.startSegmentNodules(
            node,
            onFinished=lambda *end, ends=ends: ends.append(end),
            options=panel.review.nodes.options,
            seeds=[ras],
        )
        yield from until(lambda ends=ends: ends, 300)
        (fresh,) = ends[0][0].rows
        told = [as_row(replace(one, id=1, status=fresh.status)) for _, one in clicks]
        check("the same as a process of its own", all(one == as_row(replace(fresh, id=1)) for one in told))
        for one in ends[0][0].nodes.added:
            slicer.mrmlScene.RemoveNode(one)
        yield 500
    longest = max(held)
    check(f"no handler held the window for more than {HANDLER_S} s", longest[0] <= HANDLER_S, longest)
    write_figures("clicks", {"held": held, "seconds": [[s for s, _ in clicks] for clicks in taken.values()]})


drive(steps)
