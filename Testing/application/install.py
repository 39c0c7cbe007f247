"""Packages that are missing: what is said, failures of all sorts, and a real package from a folder."""

import hashlib
import importlib
import sys
import types
import zipfile

from driving import *

NAME = "lnhg_drive_probe"


def write_wheel(folder):
    """A package that does nothing, with its list of sums."""
    folder.mkdir(exist_ok=True)
    wheel = folder / f"{NAME}-1.0-py3-none-any.whl"
    about = f"{NAME}-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr(f"{NAME}/__init__.py", "")
        file.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n")
        file.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: drive\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(
            f"{about}/RECORD", f"{NAME}/__init__.py,,\n{about}/METADATA,,\n{about}/WHEEL,,\n{about}/RECORD,,\n"
        )
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(wheel.read_bytes()).hexdigest()}  {wheel.name}\n")
    return wheel


def steps():
    node = add_ct()
    panel = open_module()
    yield 500
    ui, install = panel.ui, importlib.import_module("LNHGSlicerLib.run.install")
    check("nothing is missing here, and nothing is said of it", not ui.installGroup.visible)
    real = install.requirements
    megabytes = sum(one.megabytes for one in real())
    torch = next(one for one in real() if one.name == "torch")
    check("the size is that of this computer", (torch.megabytes > 1000) == install.has_cuda(), f"{megabytes} MB")

    absent = install.Requirement("torch", "99.0", "torch", torch.megabytes)
    vision = install.Requirement("torchvision", "99.0", "torchvision", 10)
    light = install.Requirement("openvino", "9999.0", "openvino", 59)
    install.requirements = lambda: [light, absent, vision]
    panel.install._look()
    panel._update()
    yield 300
    check(
        "what is missing is named with its size",
        "openvino (59 MB)" in ui.missingLabel.text,
        ui.missingLabel.text,
    )
    gpu = f"about {torch.megabytes + 10} MB"
    check("and so is what a GPU takes", gpu in ui.installGpuButton.text, ui.installGpuButton.text)
    check("and no run can begin", not ui.segmentButton.enabled, ui.segmentButton.toolTip)
    shot("missing")

    def failing(error):
        def install_torch(**_):
            raise error

        return types.SimpleNamespace(PyTorchUtilsLogic=lambda: types.SimpleNamespace(installTorch=install_torch))

    known = sys.modules.get("PyTorchUtils")
    for extension, words in (
        (None, "extension PyTorch is missing"),
        (failing(ImportError("no light_the_torch")), "no light_the_torch"),
        (failing(RuntimeError("no connection")), "no connection"),
        (failing(KeyError("what nobody thought of")), "what nobody thought of"),
    ):
        sys.modules["PyTorchUtils"] = extension
        click(ui.installGpuButton)
        # The sentence is there a moment before the button is.
        yield from until(lambda: words in ui.missingLabel.text and ui.installGpuButton.enabled)  # noqa: B023
        check("a failure is told, and can be tried again", ui.installGpuButton.enabled, ui.missingLabel.text)
    shot("failed")
    sys.modules.pop("PyTorchUtils")
    if known is not None:
        sys.modules["PyTorchUtils"] = known

    folder = OUT / "wheels of mine"
    wheel = write_wheel(folder)
    install.requirements = lambda: [install.Requirement(NAME, "1.0", NAME, 1)]
    panel.install._look()
    ui.offlineFolderEdit.setCurrentPath(str(folder))
    data = wheel.read_bytes()
    wheel.write_bytes(data + b"!")
    click(ui.installButton)
    yield from until(lambda: "SHA-256 differs" in ui.missingLabel.text)
    check("a damaged file is refused", "SHA-256 differs" in ui.missingLabel.text)
    wheel.write_bytes(data)
    click(ui.installButton)
    yield from until(lambda: not panel.install.needed, 120)
    check("a package is installed from a folder", not ui.installGroup.visible, ui.missingLabel.text)
    slicer.util.pip_uninstall(NAME)
    install.requirements = real
    panel.install._look()
    panel._update()
    check("the run can begin", ui.segmentButton.enabled, ui.segmentButton.toolTip)
    node.GetName()


drive(steps)
