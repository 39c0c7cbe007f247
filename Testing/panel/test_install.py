"""Installing the missing packages, with test doubles of the extension PyTorch and of Slicer's pip."""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from lnhg.errors import LNHGError

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")
pytest.importorskip("PySide6", reason="needs the dev extra: pip install 'lnhg[dev]'")

from host import qt_double  # noqa: E402
from systems import posix_only  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SLICERS_OWN = {"numpy", "simpleitk", "scipy", "pydicom", "pillow"}


@pytest.fixture
def install(monkeypatch):
    qt_double.install(monkeypatch)
    return importlib.import_module("LNHGSlicerLib.run.install")


class PipDouble:
    """Slicer's Python with its pip: knows what is installed; every way of installing notes its words and
    constraints.
    """

    def __init__(self):
        self.installed, self.calls, self.fails, self.useless = {}, [], None, False

    def install(self, how, words, names=None):
        constraints = os.environ["PIP_CONSTRAINT"].rpartition("file://")[2]
        self.calls.append(SimpleNamespace(how=how, words=words, constraints=Path(constraints).read_text()))
        if self.fails:
            raise self.fails
        asked = Path(words[-1]).read_text().splitlines() if "-r" in words else words
        self.calls[-1].asked = asked
        for word in [] if self.useless else asked:
            found = re.match(r"([\w-]+)[>=]=([\d.]+)", word)
            if found:
                self.installed[found[1]] = found[2]

    def pip_install(self, words):
        self.install("pip_install", words)

    def pip_ensure(self, words, *, prompt_install, requester):
        assert (prompt_install, requester) == (False, "LNHG Slicer")
        self.install("pip_ensure", words)

    def installTorch(self, torchVersionRequirement, torchvisionVersionRequirement):  # noqa: N802, N803 - the extension's names
        self.install("PyTorch", [f"torch{torchVersionRequirement}", f"torchvision{torchvisionVersionRequirement}"])


@pytest.fixture
def pip(install, monkeypatch):
    """A fresh Slicer 5.12 with the extension PyTorch; only what Slicer brings along is installed."""
    pip = PipDouble()
    pip.installed = {"numpy": "2.4.1", "SimpleITK": "2.5.0", "scipy": "1.17.1"}

    def version(name):
        if name not in pip.installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return pip.installed[name]

    monkeypatch.setattr(install.importlib.metadata, "version", version)
    packaging, pytorch = ModuleType("slicer.packaging"), ModuleType("PyTorchUtils")
    packaging.pip_ensure, pytorch.PyTorchUtilsLogic = pip.pip_ensure, lambda: pip
    monkeypatch.setitem(sys.modules, "slicer.packaging", packaging)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", pytorch)
    monkeypatch.setattr(slicer.util, "pip_install", pip.pip_install, raising=False)
    monkeypatch.delenv("PIP_CONSTRAINT", raising=False)
    return pip


def told():
    sentences = []
    return sentences, sentences.append


def agreeing(install):
    return install.Installer(ask=lambda question: True)


def in_console(action):
    """`action` as a person sees it fail: the sentence."""
    with pytest.raises(LNHGError) as failure:
        action()
    assert str(failure.value).endswith(".")
    return str(failure.value)


# ---------------------------------------------------------------- what is missing


def test_a_fresh_slicer_misses_every_package_of_the_list_and_the_sizes_are_known(install, pip):
    names = [one.name for one in install.missing()]
    others = ["safetensors", "nibabel", "jinja2", "scikit-image", "matplotlib", "tqdm"]
    assert names == ["openvino", *others]
    assert [one.name for one in install.missing(gpu=True)] == ["torch", "torchvision", *others]
    assert all(one.megabytes > 0 for one in install.requirements())
    assert sum(one.megabytes for one in install.missing()) <= 100


def test_where_slicer_has_pytorch_openvino_is_not_asked_for(install, pip):
    pip.installed |= {"torch": "2.9.0", "torchvision": "0.24.0"}
    assert "openvino" not in [one.name for one in install.missing()]


def test_a_package_that_is_too_old_is_missing_and_one_of_a_special_build_is_not(install, pip):
    pip.installed |= {"torch": "2.4.1+cpu", "torchvision": "0.20.0+cu124", "safetensors": "0.10.0"}
    names = [one.name for one in install.missing(gpu=True)]
    assert "torch" in names
    assert "torchvision" not in names
    assert "safetensors" not in names


def test_in_this_environment_nothing_is_missing(install):
    assert install.missing() == []


def test_the_list_agrees_with_the_package_and_leaves_out_what_slicer_brings_along(install):
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    text = text.partition("dependencies = [")[2].partition("]")[0] + text.partition("\ntorch = [")[2].partition("]")[0]
    needed = dict(re.findall(r'"([\w-]+)>=([\d.]+)', text))
    listed = {one.name: one.least for one in install.requirements()}
    assert listed == {name: least for name, least in needed.items() if name.lower() not in SLICERS_OWN}


def test_the_list_is_one_that_pip_reads_and_no_line_of_it_is_lost(install):
    lines = (ROOT / "LNHGSlicer" / "Resources" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if not line.startswith("#")]
    assert [one.for_pip for one in install.requirements()] == [line.partition("  #")[0] for line in lines]


def test_every_package_is_imported_by_the_name_in_the_list(install):
    assert all(importlib.util.find_spec(one.module) for one in install.requirements())


# ---------------------------------------------------------------- from the internet


def test_torch_comes_through_the_extension_and_the_rest_through_slicers_packaging(install, pip):
    sentences, tell = told()
    agreeing(install).install(None, tell, gpu=True)
    assert [(call.how, call.words) for call in pip.calls] == [
        ("PyTorch", ["torch>=2.5", "torchvision>=0.20"]),
        (
            "pip_ensure",
            [
                "safetensors>=0.4.5",
                "nibabel>=5.2",
                "jinja2>=3.1",
                "scikit-image>=0.24",
                "matplotlib>=3.8",
                "tqdm>=4.66",
            ],
        ),
    ]
    assert len(sentences) == 2
    assert install.missing() == []


def test_without_a_gpu_everything_comes_through_slicers_packaging(install, pip, monkeypatch):
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    agreeing(install).install(None, print)
    (call,) = pip.calls
    assert (call.how, call.words[0]) == ("pip_ensure", "openvino>=2025.1")
    assert install.missing() == []


def test_slicer_5_10_installs_the_rest_with_its_own_pip(install, pip, monkeypatch):
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    agreeing(install).install(None, print, gpu=True)
    assert [call.how for call in pip.calls] == ["PyTorch", "pip_install"]


def test_numpy_and_simpleitk_are_held_in_every_call_and_asked_for_in_none(install, pip):
    agreeing(install).install(None, print, gpu=True)
    for call in pip.calls:
        assert call.constraints == "numpy==2.4.1\nSimpleITK==2.5.0\nscipy==1.17.1\n"
        assert not [word for word in call.words if re.match("numpy|simpleitk", word, re.IGNORECASE)]
    assert "PIP_CONSTRAINT" not in os.environ


def test_constraints_of_the_hospital_stay_in_force(install, pip, monkeypatch):
    monkeypatch.setenv("PIP_CONSTRAINT", "/etc/ours.txt")
    agreeing(install).install(None, print)
    assert os.environ["PIP_CONSTRAINT"] == "/etc/ours.txt"


def test_only_what_is_missing_is_installed(install, pip):
    pip.installed |= {"torch": "2.9.0", "torchvision": "0.24", "nibabel": "5.3", "matplotlib": "3.10", "tqdm": "4.67"}
    agreeing(install).install(None, print)
    assert [call.words for call in pip.calls] == [["safetensors>=0.4.5", "jinja2>=3.1", "scikit-image>=0.24"]]
    agreeing(install).install(None, print)
    assert len(pip.calls) == 1


def test_the_question_tells_names_and_size_and_declining_installs_nothing(install, pip):
    questions = []
    sentence = in_console(lambda: install.Installer(ask=questions.append).install(None, print))
    assert sentence == "Nothing was installed."
    assert "openvino, safetensors" in questions[0]
    assert f"{sum(one.megabytes for one in install.missing())} MB" in questions[0]
    assert pip.calls == []


def test_without_the_extension_pytorch_a_sentence_says_where_to_get_it(install, pip, monkeypatch):
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    assert "Extensions Manager" in in_console(lambda: agreeing(install).install(None, print, gpu=True))


@pytest.mark.parametrize(
    "error",
    [
        subprocess.CalledProcessError(1, "pip"),
        RuntimeError("no PythonSlicer"),
        OSError("no room"),
        ImportError("light_the_torch"),
        KeyError("what nobody thought of"),
    ],
)
def test_a_failure_of_pip_becomes_a_sentence(install, pip, error):
    pip.fails = error
    assert "could not be installed" in in_console(lambda: agreeing(install).install(None, print))
    assert "PIP_CONSTRAINT" not in os.environ


@posix_only
@pytest.mark.parametrize(("driver", "size"), [("#!/bin/sh\nexit 0\n", 2500), ("#!/bin/sh\nexit 9\n", 200), ("", 200)])
def test_the_size_is_that_of_the_build_for_this_computer(install, tmp_path, monkeypatch, driver, size):
    """A program in the place of NVIDIA's tells of a driver, of none, or is not there."""
    program = tmp_path / "nvidia-smi"
    if driver:
        program.write_text(driver)
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert {one.name: one.megabytes for one in install.requirements()}["torch"] == size


def test_what_is_still_missing_after_pip_is_named(install, pip):
    """In Slicer's testing mode nothing is installed."""
    pip.useless = True
    assert "Still missing: openvino, safetensors" in in_console(lambda: agreeing(install).install(None, print))


def test_the_real_pip_obeys_the_constraints_in_a_folder_with_a_space(install, tmp_path, monkeypatch):
    """numpy==1.0 does not fit what is installed: pip must refuse, which it does only if it read the file."""
    (tmp_path / "a folder").mkdir()
    monkeypatch.setattr(install.tempfile, "tempdir", str(tmp_path / "a folder"))
    monkeypatch.setattr(install, "_installed", lambda names: iter([("numpy", "1.0")]))
    words = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "numpy"]
    with install._slicers_own_kept():
        held = subprocess.run(words, capture_output=True, text=True, check=False)
    free = subprocess.run(words, capture_output=True, text=True, check=False)
    assert free.returncode == 0
    assert held.returncode != 0
    assert "numpy==1.0" in held.stderr + held.stdout


# ---------------------------------------------------------------- from a folder


@pytest.fixture
def folder(tmp_path):
    """Wheels and weights with their list, as `sha256sum` writes it."""
    folder = tmp_path / "offline files"
    (folder / "weights").mkdir(parents=True)
    files = {
        "torch-2.9.0-cp312-none-any.whl": b"torch",
        "weights/generator.safetensors": b"G",
        "weights/generator.json": b"{}",
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in files.items()]
    sums[1] = sums[1].replace("  ", " *./")
    (folder / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    return folder


def test_from_a_folder_pip_gets_no_index_and_the_extension_is_not_asked(install, pip, folder):
    sentence = in_console(lambda: agreeing(install).install(folder, print, gpu=True))
    assert sentence.startswith("Still missing: torchvision"), "the folder holds torch alone"
    (call,) = pip.calls
    assert call.how == "pip_install"
    assert call.words[:-1] == [
        "--no-index",
        "--only-binary",
        ":all:",
        "--find-links",
        str(folder),
        "--require-hashes",
        "-r",
    ]
    assert call.asked == [f"torch==2.9.0 --hash=sha256:{hashlib.sha256(b'torch').hexdigest()}"]
    assert "numpy==2.4.1" in call.constraints


@pytest.mark.parametrize("name", ["torch-2.9.0-cp312-none-any.whl", "weights/generator.safetensors"])
def test_a_file_that_is_not_the_one_in_the_list_is_refused_by_name(install, pip, folder, name):
    (folder / name).write_bytes(b"another")
    sentence = in_console(lambda: agreeing(install).install(folder, print))
    assert name in sentence
    assert "SHA-256 differs" in sentence
    assert pip.calls == []


@pytest.mark.parametrize(
    "name",
    [
        "torch-2.9.1-cp312-none-any.whl",
        "weights/detector.safetensors",
        "torch-2.9.0.tar.gz",
        "safetensors-1.zip",
        "weights/generator.pt",
        "setup.py",
    ],
)
def test_a_file_that_is_not_in_the_list_is_refused_by_name(install, pip, folder, name):
    (folder / name).write_bytes(b"slipped in")
    assert name in in_console(lambda: agreeing(install).install(folder, print))
    assert pip.calls == []


@pytest.mark.parametrize("name", ["SHA256SUMS", "torch-2.9.0-cp312-none-any.whl"])
def test_a_folder_without_its_list_or_without_a_file_of_the_list_is_refused(install, pip, folder, name):
    (folder / name).unlink()
    assert name in in_console(lambda: agreeing(install).install(folder, print))
    assert pip.calls == []


@pytest.mark.parametrize("name", ["../outside.whl", "/etc/hostname", "weights/../../outside.whl"])
def test_a_list_that_names_files_outside_of_its_folder_is_refused(install, pip, folder, name):
    (folder.parent / "outside.whl").write_bytes(b"outside")
    with (folder / "SHA256SUMS").open("a") as file:
        file.write(f"{hashlib.sha256(b'outside').hexdigest()}  {name}\n")
    assert name in in_console(lambda: agreeing(install).install(folder, print))
    assert pip.calls == []


def test_hidden_files_that_a_disk_got_from_another_system_are_no_matter(install, pip, folder):
    (folder / "._torch-2.9.0-cp312-none-any.whl").write_bytes(b"macOS")
    (folder / ".DS_Store").write_bytes(b"macOS")
    assert set(install.verify(folder)) == {
        "torch-2.9.0-cp312-none-any.whl",
        "weights/generator.safetensors",
        "weights/generator.json",
    }


def test_what_slicer_brings_along_is_not_asked_for_though_it_lies_in_the_folder(install, pip, tmp_path):
    names = ["numpy-2.5.0-cp312-none-any.whl", "simpleitk-2.9-cp312-none-any.whl", "tqdm-4.67-py3-none-any.whl"]
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    sums = "".join(f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n" for name in names)
    (tmp_path / "SHA256SUMS").write_text(sums)
    in_console(lambda: agreeing(install).install(tmp_path, print))
    assert [line.split()[0] for line in pip.calls[0].asked] == ["tqdm==4.67"]


def tiny_wheel(folder, content):
    """A wheel that the real pip takes."""
    path = folder / "lnhgtiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("lnhgtiny.py", content)
        file.writestr("lnhgtiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: lnhgtiny\nVersion: 1.0\n")
        file.writestr("lnhgtiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr("lnhgtiny-1.0.dist-info/RECORD", "")
    return path


@pytest.mark.parametrize("swapped", ["another module", "cut off", "longer by a byte"])
def test_the_real_pip_takes_the_wheel_that_was_checked_and_none_that_was_swapped_since(
    install, tmp_path, monkeypatch, swapped
):
    wheel = tiny_wheel(tmp_path, "good = True")
    (tmp_path / "SHA256SUMS").write_text(f"{hashlib.sha256(wheel.read_bytes()).hexdigest()}  {wheel.name}\n")
    runs = []

    def pip_install(words):
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--disable-pip-version-check", *words]
        runs.append(subprocess.run(command, capture_output=True, text=True, check=False))

    monkeypatch.setattr(slicer.util, "pip_install", pip_install, raising=False)
    sums = install.verify(tmp_path)
    install._from_folder(tmp_path, sums)
    whole = wheel.read_bytes()
    tiny_wheel(tmp_path, "evil = True")
    other = {"another module": wheel.read_bytes(), "cut off": whole[:-40], "longer by a byte": whole + b"\0"}
    wheel.write_bytes(other[swapped])
    install._from_folder(tmp_path, sums)
    first, second = runs
    assert first.returncode == 0, first.stderr
    assert "Would install lnhgtiny-1.0" in first.stdout
    assert second.returncode != 0
    assert "DO NOT MATCH THE HASHES" in second.stderr
