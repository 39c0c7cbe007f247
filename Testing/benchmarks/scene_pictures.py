"""Segment a chest CT and draw its scene as Slicer does, without a window: `Resources/Screenshots/scene.png`.

    python Testing/benchmarks/scene_pictures.py              # the synthetic sample
    python Testing/benchmarks/scene_pictures.py --data CT    # any CT that `lnhg segment` reads
    python Testing/benchmarks/scene_pictures.py --data LIDC-IDRI-0001/ct.nrrd --between -160 -70    # as in README

Slicer's own displayable managers draw outline, legend and surface; its slice logic blends the map over the CT. What is
not Slicer's is the bar above each view, drawn in its colour. Needs the `host` extra and OpenGL (EGL or Mesa
will do).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import slicer
import vtk
from PIL import Image, ImageDraw, ImageFont
from vtk.util.numpy_support import vtk_to_numpy

import lnhg
from lnhg.phantom import chest_phantom
from LNHGSlicerLib.scene import nodes as scene
from LNHGSlicerLib.scene.headless import headless_host

PICTURE = Path(__file__).resolve().parents[2] / "Resources" / "Screenshots" / "scene.png"
WIDTH, HEIGHT, BAR, GAP = 560, 430, 22, 2
# Shown in the slice views, mm from left to right.
FIELD = 150.0
# Beyond every CT, mm.
FAR = 10_000.0
OUTLINE_WIDTH = 2
# Slicer's colours of its views, and of the background of a 3D view.
BARS = {"Red": (243, 74, 51), "3D": (116, 120, 190), "Green": (110, 176, 75), "Yellow": (237, 213, 76)}
SKY = ((0.7568, 0.7647, 0.9098), (0.4549, 0.4706, 0.7451))


class View:
    """One view of the scene, drawn by Slicer's displayable managers; made before there are nodes, as in Slicer."""

    def __init__(self, node, managers: tuple[str, ...]) -> None:
        self.node = node
        self.renderer, self._window = vtk.vtkRenderer(), vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(True)
        self._window.SetMultiSamples(8)
        self._window.SetSize(WIDTH, HEIGHT)
        self._window.AddRenderer(self.renderer)
        self._interactor = vtk.vtkRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        self._group = slicer.vtkMRMLDisplayableManagerGroup()
        self._group.SetRenderer(self.renderer)
        for name in managers:
            manager = getattr(slicer, name)()
            manager.SetMRMLApplicationLogic(application())
            self._group.AddDisplayableManager(manager)
        self._group.SetMRMLDisplayableNode(node)

    def close(self) -> None:
        """Let go of the scene, before it goes."""
        self._group.SetMRMLDisplayableNode(None)

    def draw(self) -> Image.Image:
        self._window.Render()
        read = vtk.vtkWindowToImageFilter()
        read.SetInput(self._window)
        read.ReadFrontBufferOff()
        read.Update()
        pixels = vtk_to_numpy(read.GetOutput().GetPointData().GetScalars())
        return Image.fromarray(np.ascontiguousarray(pixels.reshape(HEIGHT, WIDTH, 3)[::-1]))


class SliceView(View):
    """A slice view: the slice logic's picture of all volumes, with outlines and the legend over it."""

    def __init__(self, node) -> None:
        node.SetDimensions(WIDTH, HEIGHT, 1)
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(application())
        self.logic.SetMRMLScene(slicer.mrmlScene)
        self.logic.SetSliceNode(node)
        _slice_logics().AddItem(self.logic)
        super().__init__(node, ("vtkMRMLSegmentationsDisplayableManager2D", "vtkMRMLColorLegendDisplayableManager"))
        self._volumes, actor = vtk.vtkImageMapper(), vtk.vtkActor2D()
        self._volumes.SetColorWindow(255)
        self._volumes.SetColorLevel(127.5)
        actor.SetMapper(self._volumes)
        actor.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(actor)

    def draw(self) -> Image.Image:
        self._volumes.SetInputConnection(self.logic.GetImageDataConnection())  # another one for each set of volumes
        return super().draw()

    def close(self) -> None:
        super().close()
        self.logic.SetMRMLScene(None)


class ThreeDView(View):
    """A 3D view: surfaces of the nodules, and the slices that are shown in 3D."""

    def __init__(self, node) -> None:
        super().__init__(node, ("vtkMRMLModelDisplayableManager", "vtkMRMLSegmentationsDisplayableManager3D"))
        self.renderer.GradientBackgroundOn()
        self.renderer.SetBackground(SKY[0])
        self.renderer.SetBackground2(SKY[1])
        light = vtk.vtkLightKit()
        light.AddLightsToRenderer(self.renderer)

    def look_at(self, point: np.ndarray, distance: float) -> None:
        """From the front, the left and above."""
        camera = self.renderer.GetActiveCamera()
        camera.SetFocalPoint(point)
        camera.SetPosition(point + distance * np.array([-0.35, 0.75, 0.6]))
        camera.SetViewUp(0, 0, 1)
        self.renderer.ResetCameraClippingRange()


def application():
    """The application's logic behind the headless host."""
    return slicer.modules.segmentations.logic().GetMRMLApplicationLogic()


def _slice_logics():
    """The list in which displayable managers look for the slice logic of their view."""
    if application().GetSliceLogics() is None:
        application().SetSliceLogics(vtk.vtkCollection())
    return application().GetSliceLogics()


def scene_picture(result: lnhg.Result) -> Image.Image:
    """The scene of a result in Slicer's four views, at its first nodule."""
    with headless_host():
        slices = {node.GetName(): SliceView(node) for node in slicer.util.getNodesByClass("vtkMRMLSliceNode")}
        solid = ThreeDView(slicer.util.getNodesByClass("vtkMRMLViewNode")[0])
        nodes = scene.add_result(scene.add_ct(result.ct.hu, result.ct.ijk_to_ras, "CT"), result, with_generated=False)
        scene.show(nodes)
        nodes.segmentation.GetDisplayNode().SetSliceIntersectionThickness(OUTLINE_WIDTH)
        for view in slices.values():
            view.logic.FitSliceToBackground(WIDTH, HEIGHT)
            view.node.SetFieldOfView(FIELD, FIELD * HEIGHT / WIDTH, view.node.GetFieldOfView()[2])
        scene.jump_to_first_nodule(nodes)
        slices["Red"].node.SetSliceVisible(True)
        centre = np.array(
            nodes.segmentation.GetSegmentCenterRAS(nodes.segmentation.GetSegmentation().GetNthSegmentID(0))
        )
        solid.look_at(centre, 200)
        offsets = dict(zip(("Yellow", "Green", "Red"), ("R", "A", "S"), strict=True))
        titles = {name: f"{axis}: {slices[name].node.GetSliceOffset():.1f} mm" for name, axis in offsets.items()}
        views = {"Red": slices["Red"], "3D": solid, "Green": slices["Green"], "Yellow": slices["Yellow"]}
        pictures = [_with_bar(view.draw(), name, titles.get(name, "")) for name, view in views.items()]
        for view in views.values():
            view.close()
    return _four_up(pictures)


def _with_bar(picture: Image.Image, name: str, title: str) -> Image.Image:
    whole = Image.new("RGB", (WIDTH, HEIGHT + BAR), BARS[name])
    whole.paste(picture, (0, BAR))
    font = ImageFont.load_default(13)
    draw = ImageDraw.Draw(whole)
    draw.text((8, 3), name if name == "3D" else name[0], "black", font)
    draw.text((WIDTH - 8, 3), title, "black", font, anchor="ra")
    return whole


def _four_up(pictures: list[Image.Image]) -> Image.Image:
    width, height = pictures[0].size
    whole = Image.new("RGB", (2 * width + GAP, 2 * height + GAP), "black")
    for number, picture in enumerate(pictures):
        whole.paste(picture, (number % 2 * (width + GAP), number // 2 * (height + GAP)))
    return whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="the CT (default: the synthetic sample)")
    parser.add_argument(
        "--between", type=float, nargs=2, metavar=("LOW", "HIGH"), help="only nodules at these heights, mm (S of RAS)"
    )
    parser.add_argument("--output", type=Path, default=PICTURE, help="the picture (default: %(default)s)")
    arguments = parser.parse_args()
    ct = lnhg.read_ct(arguments.data) if arguments.data else chest_phantom().ct
    heights = arguments.between
    options = lnhg.Options(roi=(-FAR, FAR, -FAR, FAR, *heights)) if heights else lnhg.Options()
    picture = scene_picture(lnhg.segment(ct, options))
    picture.save(arguments.output, optimize=True)
    print(arguments.output)


if __name__ == "__main__":
    main()
