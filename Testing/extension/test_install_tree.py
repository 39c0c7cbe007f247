"""The method as it is installed, by CMake as an extension of Slicer and by pip as a wheel: all there, and the same."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

import lnhg
from lnhg.core.ct import CT
from lnhg.core.nrrd_file import write_nrrd
from lnhg.core.resources import resource

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "LNHGSlicer"
SEED = (3.0, -2.0, 5.0)
OPTIONS = lnhg.Options(seeds_only=True, threads=1, device="cpu")


@pytest.fixture(scope="module")
def extension(tmp_path_factory):
    """The folder of modules of the extension, configured, built and installed by CMake with a double of Slicer."""
    if any(shutil.which(tool) is None for tool in ("cmake", "c++", "make")):
        pytest.skip("needs CMake, make and a C++ compiler")
    build, prefix = tmp_path_factory.mktemp("build"), tmp_path_factory.mktemp("installed")
    options = [f"-DSlicer_DIR={ROOT / 'Testing' / 'host'}", f"-DCMAKE_INSTALL_PREFIX={prefix}", "-DBUILD_TESTING=ON"]
    for command in (["-S", ROOT, "-B", build, *options], ["--build", build], ["--install", build]):
        run("cmake", *command)
    return prefix / "lib" / "Slicer" / "qt-scripted-modules"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The folder into which pip installed the wheel that it built from the checkout."""
    if importlib.util.find_spec("hatchling") is None or importlib.util.find_spec("pip") is None:
        pytest.skip("needs pip and hatchling: pip install hatchling")
    built, target = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    run(*pip, "wheel", ROOT, "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", built)
    run(*pip, "install", "--no-deps", "--no-index", "--no-compile", "--target", target, *built.glob("lnhg-*.whl"))
    return target


@pytest.fixture(scope="module")
def ct():
    """A ball of 14 mm around the seed, in noise as dense as lung."""
    ijk_to_ras = np.diag([-1.0, -1.0, 2.5, 1.0])
    ijk_to_ras[:3, 3] = 43.0, 48.0, -15.0
    k, j, i = np.ogrid[:16, :96, :96]
    inside = ((k - 8) * 2.5) ** 2 + (j - 50) ** 2 + (i - 40) ** 2 < 7**2
    noise = np.random.default_rng(1).normal(-850, 25, (16, 96, 96))
    return CT(np.where(inside, 40, noise).astype(np.int16), ijk_to_ras)


@pytest.fixture(scope="module")
def in_checkout(ct):
    """What this checkout makes of the CT."""
    result = lnhg.segment(ct, OPTIONS, seeds=[SEED])
    assert result.labels.max() == 1
    return result


def run(*words: object, **settings: object) -> str:
    """Run a program to its end, which must be a good one; returns what it printed."""
    ended = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, **settings)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def python(package: Path, work: Path, *words: object) -> str:
    """Run a fresh Python which finds this installation of the method, and which works in an empty folder."""
    environment = {**os.environ, "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    return run(sys.executable, *words, cwd=work, env=environment)


def segment(package: Path, ct: CT, work: Path) -> tuple[np.ndarray, dict]:
    """Labels and record of the CT, segmented by this installation of the method in a process of its own."""
    write_nrrd(work / "ct.nrrd", ct.hu, ct.ijk_to_ras)
    used = python(
        package, work, "-c", "import lnhg, LNHGSlicerLib; print(lnhg.__file__); print(LNHGSlicerLib.__file__)"
    )
    assert [Path(file).parents[1] for file in used.split()] == [package, package]
    seed = "--seed=" + ",".join(map(str, SEED))
    options = ["--output", "results", "--for-scene", seed, "--seeds-only", "--threads", 1, "--device", "cpu"]
    python(package, work, "-m", "lnhg", "segment", "ct.nrrd", *options)
    record = json.loads((work / "results" / "result.json").read_text(encoding="utf-8"))
    return sitk.GetArrayFromImage(sitk.ReadImage(work / "results" / "labels.nrrd")), record


def files(folder: Path, pattern: str) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.glob(pattern)
        if path.is_file() and "__pycache__" not in path.parts
    }


def assert_same(labels: np.ndarray, record: dict, expected: lnhg.Result) -> None:
    np.testing.assert_array_equal(labels, expected.labels)
    assert record["provenance"]["weights"] == json.loads(json.dumps(expected.provenance["weights"]))


def test_an_installed_extension_holds_every_python_file(extension):
    assert {"LNHGSlicer.py", "lnhg/pipeline.py", "LNHGSlicerLib/scene/nodes.py"} <= files(extension, "**/*.py")
    assert files(extension, "**/*.py") == files(MODULE, "**/*.py")


def test_slicer_finds_one_module_in_an_installed_extension(extension):
    assert files(extension, "*.py") == {"LNHGSlicer.py"}


def test_an_installed_extension_holds_the_templates_of_its_pages(extension):
    assert_templates_are_there(extension)


def test_an_installed_extension_holds_panel_icon_and_list_of_packages(extension):
    assert {"UI/LNHGSlicer.ui", "requirements.txt"} <= files(extension / "Resources", "**/*")
    assert files(extension / "Resources", "**/*") == files(MODULE / "Resources", "**/*")
    assert "jinja2" in (extension / "Resources" / "requirements.txt").read_text(encoding="utf-8")


def test_an_installed_extension_holds_weights_and_colours_where_the_method_looks(extension, tmp_path):
    assert_weights_and_colours_are_found(extension, tmp_path)


@pytest.mark.slow
def test_an_installed_extension_segments_as_the_checkout_does(extension, ct, in_checkout, tmp_path):
    assert_same(*segment(extension, ct, tmp_path), in_checkout)


@pytest.mark.slow
def test_an_installed_wheel_holds_the_method_with_weights_and_colours_and_what_writes_scenes(wheel, tmp_path):
    for package in ("lnhg", "LNHGSlicerLib"):
        assert files(wheel / package, "**/*.py") == files(MODULE / package, "**/*.py")
    assert_weights_and_colours_are_found(wheel, tmp_path)
    assert_templates_are_there(wheel)


@pytest.mark.slow
def test_an_installed_wheel_segments_as_the_checkout_does(wheel, ct, in_checkout, tmp_path):
    assert_same(*segment(wheel, ct, tmp_path), in_checkout)


def assert_templates_are_there(package: Path) -> None:
    templates = Path("lnhg") / "writers" / "templates"
    assert {"report.html", "report.css"} <= files(package / templates, "*") == files(MODULE / templates, "*")


def assert_weights_and_colours_are_found(package: Path, work: Path) -> None:
    """All that ships is there, and the method finds its colour table in the installation, the one of the checkout.

    Logs of the training and weights that are for comparing stay in the repository.
    """
    resources, models = package / "lnhg" / "resources", ROOT / "Resources" / "Models"
    assert files(resources / "Colors", "**/*") == files(ROOT / "Resources" / "Colors", "**/*")
    shipped = files(models, "*") | files(models, "lnhg-hybrid/*")
    assert files(resources / "Models", "**/*") == {name for name in shipped if not name.endswith(".csv")}
    for name in files(resources / "Models", "**/*"):
        assert (resources / "Models" / name).read_bytes() == (models / name).read_bytes()
    program = "from lnhg.core.resources import resource; print(resource('Colors', 'LNHG-Heterogeneity.ctbl'))"
    found = Path(python(package, work, "-c", program).strip())
    assert found == package / "lnhg" / "resources" / "Colors" / "LNHG-Heterogeneity.ctbl"
    assert found.read_bytes() == resource("Colors", "LNHG-Heterogeneity.ctbl").read_bytes()
