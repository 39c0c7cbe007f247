"""The pictures of README: the panel before, during and after a run, its settings, and views that are zoomed to a
nodule.

`python Testing/application/run.py --slicer PROGRAM pictures`; they go to Resources/Screenshots. The method runs on a
synthetic chest of 60 slices.
"""

from driving import *

FOLDER = HERE.parents[1] / "Resources" / "Screenshots"
WIDTH = 480


def take(panel, name):
    """The whole panel, also what is scrolled out of sight."""
    slicer.app.processEvents()
    panel.root.grab().save(str(FOLDER / f"panel-{name}.png"))
    log("shot ", name)


def steps():
    from lnhg.phantom import chest_phantom

    ct = chest_phantom(shape=(60, 256, 256)).ct
    node = slicer.util.addVolumeFromArray(ct.hu, ct.ijk_to_ras, "Thorax 1.0 B70f")
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    panel = open_module(WIDTH + 40)
    panel.ui.advancedGroup.collapsed = True
    yield 1500
    take(panel, "start")
    click(panel.ui.segmentButton)
    yield from until(lambda: panel.ui.progressBar.value > 40, 600)
    take(panel, "running")
    yield from until(lambda: not panel.running, 1200)
    yield 1500
    check("there are rows", panel.ui.noduleTable.rowCount > 3, panel.ui.noduleTable.rowCount)
    panel.review.sort_by(2)
    panel.review.sort_by(2)
    panel.ui.noduleTable.scrollToTop()
    panel.review.select(panel.review._ids[0])
    key("shift+a")
    yield 1000
    key("shift+r")
    yield 1000
    take(panel, "review")
    yield 1000
    shot("zoomed")
    panel.ui.advancedGroup.collapsed = False
    yield 1000
    panel.ui.advancedGroup.grab().save(str(FOLDER / "panel-advanced.png"))


drive(steps)
