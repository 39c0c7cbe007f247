"""Nodules are drawn and listed while a run goes on; its result takes their place, and a cancel leaves nothing of them.

How long it takes from the click until the first nodule is in the scene is written to `first-nodule.json`. LNHG_CT names
another CT than the drawn chest.
"""

import time

from driving import *


def drawn():
    """The nodes of nodules found so far."""
    return [node for node in nodes_of("vtkMRMLModelNode") if "provisional" in node.GetName()]


def noted(owner, attribute, seconds):
    """From now on how long a method held the window up is kept in `seconds`: by the clock, and of the processor."""
    method = getattr(owner, attribute)

    def instead(*arguments):
        wall, own = time.perf_counter(), time.thread_time()
        method(*arguments)
        seconds.append((time.perf_counter() - wall, time.thread_time() - own))

    setattr(owner, attribute, instead)


def steps():
    add_chosen_ct()
    panel = open_module()
    yield 1000
    found, held = panel.ui.foundTable, []
    noted(panel.found, "add", held)
    click(panel.ui.segmentButton)
    began = time.perf_counter()
    yield from until(lambda: panel.running)
    told = {}
    yield from until(
        lambda: (
            told.setdefault(panel.ui.stageLabel.text.partition(" ")[0], time.perf_counter() - began) and found.rowCount
        ),
        600,
    )
    first = time.perf_counter() - began
    log(f"the first nodule after {first:.1f} s; stages: {told}")
    check("the run goes on", panel.running)
    check("they are told as provisional", found.item(0, 0).text() == "provisional" and panel.ui.foundBox.visible)
    check("nothing can be judged yet", not panel.ui.reviewGroup.visible)
    click(*cell(found, 0, 1))
    yield 700
    bounds = [0.0] * 6
    drawn()[0].GetRASBounds(bounds)
    lows, highs = bounds[::2], bounds[1::2]
    plane = slice_view().mrmlSliceNode().GetSliceToRAS()
    places = [plane.GetElement(axis, 3) for axis in range(3)]
    check("the views are at a nodule", all(np.less(lows, places)) and all(np.less(places, highs)), places)
    shot("first")
    yield from until(lambda: not panel.running or panel.ui.stageLabel.text.startswith("Drawing"), 600)
    rows = found.rowCount
    shot("all")
    yield from until(lambda: not panel.running, 900)
    whole = time.perf_counter() - began
    yield 700
    check("nothing provisional is left", not panel.ui.foundBox.visible and found.rowCount == 0 and not drawn())
    log(f"{rows} told while it ran, {panel.ui.noduleTable.rowCount} in the result, after {whole:.1f} s")
    check("a nodule held the window up for a moment only", all(own < 0.3 for _, own in held), held)
    shot("result")
    write_figures("first-nodule", {"seconds": first, "whole": whole, "stages": told, "handler": held})

    for one in panel.review.nodes.added:
        slicer.mrmlScene.RemoveNode(one)
    yield 500
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    click(panel.ui.segmentButton)
    yield from until(lambda: found.rowCount, 600)
    click(panel.ui.cancelButton)
    yield from until(lambda: not panel.running)
    yield 500
    check("a cancel leaves nothing drawn", not drawn() and not panel.ui.foundBox.visible)
    check("and no node", slicer.mrmlScene.GetNumberOfNodes() == nodes, slicer.mrmlScene.GetNumberOfNodes() - nodes)
    shot("cancelled")


drive(steps)
