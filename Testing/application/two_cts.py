"""Two CTs in one scene: each has its own rows, verdicts and sentence; visits of the module leave nothing behind."""

import gc
import time

from driving import *


def steps():
    first, second = add_ct("First"), add_ct("Second")
    add_result(first)
    add_result(second)
    panel = open_module()
    yield 500
    panel.ui.ctSelector.setCurrentNode(first)
    yield 500
    key("shift+a")
    yield from until(lambda: row_texts(panel, "Verdict")[0] == "accepted")
    panel.show_error("Of the first one.")
    panel.ui.ctSelector.setCurrentNode(second)
    yield 700
    check("the other CT has verdicts of its own", set(row_texts(panel, "Verdict")) == {"to review"})
    check("and no sentence of the first", not panel.ui.errorBox.visible)
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    check("the views show the selected CT", composite.GetBackgroundVolumeID() == second.GetID())
    shot("second")
    panel.ui.ctSelector.setCurrentNode(first)
    yield 500
    check("back at the first", row_texts(panel, "Verdict")[0] == "accepted")
    check("its sentence is there again", panel.ui.errorLabel.text == "Of the first one.", panel.ui.errorLabel.text)
    panel.show_error("")
    third = add_ct("Third")
    panel.ui.ctSelector.setCurrentNode(third)
    yield 700
    check("a CT without nodules is shown alone", composite.GetBackgroundVolumeID() == third.GetID())
    check("without the map of another", composite.GetForegroundVolumeID() is None)
    shot("third")
    panel.ui.ctSelector.setCurrentNode(first)
    yield 500
    slicer.mrmlScene.RemoveNode(third)
    yield 500

    def change_takes():
        """The main thread's own time for the quickest change of a parameter, ms: other programs only add to it."""
        times = []
        slicer.app.pauseRender()
        for value in (0.4, 0.6) * 20:
            start = time.thread_time()
            panel._parameters.opacity = value
            times.append(time.thread_time() - start)
        slicer.app.resumeRender()
        return 1000 * min(times)

    def wrappers():
        """How many objects in memory wrap the panel's parameters."""
        gc.collect()
        return sum(type(one) is type(panel._parameters) for one in gc.get_objects())

    before, wrapped = change_takes(), wrappers()
    for _ in range(30):
        slicer.util.selectModule("Data")
        slicer.util.selectModule("LNHGSlicer")
    yield 300
    after = change_takes()
    check(
        "after 30 visits a change takes as long as before",
        after < 1.5 * before + 0.5,
        f"{before:.1f} ms, {after:.1f} ms",
    )

    check("and the visits leave no object behind", wrappers() == wrapped, (wrapped, wrappers()))

    slicer.mrmlScene.RemoveNode(first)
    yield 700
    check("without the first CT the panel goes on with the second", panel.ui.ctSelector.currentNode() is second)
    check("and shows its rows", panel.ui.noduleTable.rowCount >= 2, panel.ui.noduleTable.rowCount)
    told = panel.ui.errorLabel.text
    check("and says that the first one's nodules are without a CT", "no longer in the scene" in told, told)
    shot("removed")


drive(steps)
