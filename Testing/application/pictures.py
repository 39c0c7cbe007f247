"""The pictures of README: the panel before, during and after a run, its settings, and views that are zoomed to a
nodule.

`python Testing/application/run.py --slicer PROGRAM pictures`; they go to Resources/Screenshots. The method runs on a
synthetic chest of 60 slices.
"""

import numpy as np
from PIL import Image

from driving import *

FOLDER = HERE.parents[1] / "Resources" / "Screenshots"
WIDTH = 480


def take(panel, name):
    """The whole panel, also what is scrolled out of sight, without the empty space below its last group."""
    slicer.app.processEvents()
    path = FOLDER / f"panel-{name}.png"
    panel.root.grab().save(str(path))
    cut_empty_bottom(path)
    log("shot ", name)


def cut_empty_bottom(path):
    """Leave out rows at the end of a picture that are of one colour, but for a margin."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    last = int(np.flatnonzero((pixels != pixels[-1, 0]).any((1, 2))).max())
    Image.fromarray(pixels[: last + 10]).save(path, optimize=True)


def save_views(screen, path):
    """Of a picture of the screen the part with the views, smaller."""
    views = slicer.util.mainWindow().centralWidget()
    corner = views.mapToGlobal(qt.QPoint(0, 0))
    with Image.open(screen) as picture:
        part = picture.convert("RGB").crop(
            (corner.x(), corner.y(), corner.x() + views.width, corner.y() + views.height)
        )
    part.resize((800, 800 * part.height // part.width), Image.Resampling.LANCZOS).save(path, optimize=True)


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
    key("shift+n")
    yield 1000
    shot("zoomed")
    save_views(OUT / "zoomed.png", FOLDER / "zoomed.png")
    panel.ui.advancedGroup.collapsed = False
    yield 1000
    panel.ui.advancedGroup.grab().save(str(FOLDER / "panel-advanced.png"))
    panel.ui.categoriesGroup.collapsed = False
    yield 1000
    panel.ui.categoriesGroup.grab().save(str(FOLDER / "panel-categories.png"))


drive(steps)
