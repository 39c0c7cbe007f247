"""A run is cancelled at each stage of its beginning, in the middle, and by closing the scene; then something fails."""

from driving import *


def steps():
    add_ct()
    panel = open_module()
    yield 500
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode().GetFieldOfView()
    for when, condition in (
        ("at once", lambda: True),
        ("while the process starts", lambda: panel.run is not None and panel.run._process is not None),
        ("in the middle", lambda: panel.ui.progressBar.value > 0),
    ):
        click(panel.ui.segmentButton)
        yield from until(lambda: panel.running)
        yield from until(condition, 120)
        key("shift+c")
        yield from until(lambda: not panel.running)
        check(f"cancelled {when}: it is told", "Cancelled" in panel.ui.statusLabel.text, panel.ui.statusLabel.text)
        yield 500
        check("the scene is as it was", slicer.mrmlScene.GetNumberOfNodes() == nodes)
    check("so are the views", slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode().GetFieldOfView() == red)
    shot("cancelled")

    from LNHGSlicerLib.scene import nodes as scene

    real = scene.values_of_node

    def full(node):
        raise MemoryError

    scene.values_of_node = full
    click(panel.ui.segmentButton)
    yield from until(lambda: panel.ui.errorBox.visible)
    scene.values_of_node = real
    check("no memory at the start is told", "memory was full" in panel.ui.errorLabel.text, panel.ui.errorLabel.text)
    check("the panel is free again", panel.ui.segmentButton.enabled and not panel.ui.runBox.visible)
    click(panel.ui.logButton)
    yield 300
    check("the log is one click away", "MemoryError" in panel.ui.logText.plainText)
    shot("no-memory")

    click(panel.ui.segmentButton)
    yield from until(lambda: panel.ui.progressBar.value > 0, 120)
    slicer.mrmlScene.Clear(False)
    yield 500
    check("closing the scene ends the run", not panel.running and not panel.ui.runBox.visible)
    check(
        "the folder of the runs is empty",
        not [
            one for one in os.listdir(slicer.app.temporaryPath) if one.startswith("LNHG-") and not one.endswith(".log")
        ],
    )
    add_ct()
    yield 500
    click(panel.ui.segmentButton)
    yield from until(lambda: panel.ui.progressBar.value > 0, 120)
    end_with_slicer(panel.run._process._process.pid)


drive(steps)
