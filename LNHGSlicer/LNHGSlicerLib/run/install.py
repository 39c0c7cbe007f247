"""Installing what the method needs and Slicer does not bring along: from the internet, or from a folder."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import slicer
from slicer.i18n import tr as _

from lnhg.core.seal import digest_of_file
from lnhg.errors import LNHGError

_LIST = Path(__file__).resolve().parents[2] / "Resources" / "requirements.txt"
_LINE = re.compile(
    r"(?P<name>[\w.-]+)>=(?P<least>[\d.]+)\s+# (?P<module>\w+), (?P<megabytes>\d+)( with CUDA, (?P<without>\d+) "
    r"without)?"
)
# Through the extension PyTorch, which knows which build fits the computer.
_TORCH = ("torch", "torchvision")
# Computes the networks where PyTorch does not.
_LIGHT = "openvino"
# What Slicer brings along stays as it is, whatever a package asks for: Slicer's own modules are built on it.
_SLICERS_OWN = ("numpy", "SimpleITK", "scipy", "pydicom", "pillow")
_SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Requirement:
    """A package: its name for pip, the oldest version that will do, its name for import, and about how much is
    loaded.
    """

    name: str
    least: str
    module: str
    megabytes: int

    @property
    def for_pip(self) -> str:
        """As pip takes it."""
        return f"{self.name}>={self.least}"

    @property
    def met(self) -> bool:
        """Whether it is installed, and new enough."""
        try:
            installed = importlib.metadata.version(self.name)
        except importlib.metadata.PackageNotFoundError:
            return False
        return importlib.util.find_spec(self.module) is not None and _numbers(installed) >= _numbers(self.least)


def requirements() -> list[Requirement]:
    """All packages of `Resources/requirements.txt`."""
    lines = (line.strip() for line in _LIST.read_text(encoding="utf-8").splitlines())
    found = [_LINE.fullmatch(line) for line in lines if line and not line.startswith("#")]
    return [Requirement(one["name"], one["least"], one["module"], _megabytes(one)) for one in found if one]


def _megabytes(line: re.Match[str]) -> int:
    """What is fetched on this computer: PyTorch's build for CUDA only where the extension PyTorch would choose it."""
    small = line["without"] is not None and not has_cuda()
    return int(line["without"] if small else line["megabytes"])


def has_cuda() -> bool:
    """Whether there is an NVIDIA GPU with a driver, which is asked in the way of the extension PyTorch."""
    words = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv"]
    try:
        return (
            sys.platform != "darwin"
            and subprocess.run(words, capture_output=True, check=False, timeout=20).returncode == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def missing(*, gpu: bool = False) -> list[Requirement]:
    """The packages that are absent or too old: with PyTorch for `gpu`, and where it is there; else with OpenVINO."""
    listed = requirements()
    torch = [one for one in listed if one.name in _TORCH]
    with_torch = gpu or (bool(torch) and all(one.met for one in torch))
    unwanted = (_LIGHT,) if with_torch else _TORCH
    return [one for one in listed if one.name not in unwanted and not one.met]


class Installer:
    """Installs what is missing, once, after the reader has agreed.

    Args:
        ask: asks a question that can be declined.
    """

    def __init__(self, ask: Callable[[str], bool] | None = None) -> None:
        self._ask = ask or slicer.util.confirmOkCancelDisplay

    def missing(self, *, gpu: bool = False) -> list[Requirement]:
        """The packages that are absent or too old, as `missing` says."""
        return missing(gpu=gpu)

    def install(self, folder: Path | None, tell: Callable[[str], object], *, gpu: bool = False) -> None:
        """Install what is missing.

        Args:
            folder: with wheels and the file SHA256SUMS, for a computer without internet; None: from the internet.
            tell: called with a sentence on each step.
            gpu: with PyTorch, which computes on a GPU, in place of OpenVINO.

        Raises LNHGError when the reader declines, a file is not what it should be, or a package cannot be installed.
        """
        with _said_in_a_sentence():
            self._install(folder, tell, gpu=gpu)

    def _install(self, folder: Path | None, tell: Callable[[str], object], *, gpu: bool) -> None:
        wanted = missing(gpu=gpu)
        if not wanted:
            return
        sums: Mapping[str, str] = {}
        if folder is not None:
            tell(_("Checking the files of the folder..."))
            sums = verify(folder)
        self._agree(wanted)
        with _slicers_own_kept():
            if folder is None:
                _from_internet(wanted, tell)
            else:
                tell(_("Installing from the folder..."))
                _from_folder(folder, sums)
        importlib.invalidate_caches()
        left = ", ".join(one.name for one in missing(gpu=gpu))
        if left:
            raise LNHGError(_("Still missing: {names}. Restart Slicer and try again.").format(names=left))

    def _agree(self, wanted: Sequence[Requirement]) -> None:
        question = _("Install {names} into Slicer's Python (about {size} MB)?").format(
            names=", ".join(one.name for one in wanted), size=sum(one.megabytes for one in wanted)
        )
        if not self._ask(question):
            raise LNHGError(_("Nothing was installed."))


def verify(folder: Path) -> dict[str, str]:
    """Check every file of a folder against the SHA-256 that its file SHA256SUMS gives (`sha256sum`); returns these by
    name.

    Hidden files, as disks get them from some systems, are passed over: neither pip nor we take them.
    Raises LNHGError for a file that differs, is not in the list, or is in the list and not in the folder.
    """
    try:
        lines = (folder / _SUMS).read_text(encoding="utf-8").splitlines()
        sums = {
            name.lstrip("*").removeprefix("./"): digest.lower()
            for digest, name in (line.split(maxsplit=1) for line in lines if line)
        }
        files = {
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() or path.is_symlink()
        }
        unlisted = {name for name in files - set(sums) if not name.rpartition("/")[2].startswith(".")} - {_SUMS}
        outside = {name for name in sums if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute()}
        inside = {name: digest for name, digest in sums.items() if name not in outside}
        wrong = sorted(
            unlisted | outside | {name for name, digest in inside.items() if digest_of_file(folder / name) != digest}
        )
    except (OSError, ValueError) as error:
        raise LNHGError(
            _("The folder {folder} cannot be checked ({error}); it needs wheels and their list {list}.").format(
                folder=folder, error=error, list=_SUMS
            )
        ) from error
    if wrong:
        raise LNHGError(
            _(
                "{names}: not the file that {list} names (SHA-256 differs). Copy the folder again; nothing was "
                "installed."
            ).format(names=", ".join(wrong), list=_SUMS)
        )
    return sums


def _from_folder(folder: Path, sums: Mapping[str, str]) -> None:
    """Install the wheels of a checked folder: no index, no source packages, and each file with the hash it was checked
    by.
    """
    pins: dict[str, list[str]] = {}
    for name, digest in sums.items():
        parts = PurePosixPath(name).name.removesuffix(".whl").split("-")
        if name.endswith(".whl") and "/" not in name and len(parts) >= 5 and not _is_slicers_own(parts[0]):
            pins.setdefault(f"{parts[0]}=={parts[1]}", []).append(f"--hash=sha256:{digest}")
    with tempfile.TemporaryDirectory() as temporary:
        listed = Path(temporary) / "requirements.txt"
        lines = (" ".join([pin, *hashes]) for pin, hashes in pins.items())
        listed.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        words = [
            "--no-index",
            "--only-binary",
            ":all:",
            "--find-links",
            str(folder),
            "--require-hashes",
            "-r",
            str(listed),
        ]
        slicer.util.pip_install(words)


def _is_slicers_own(name: str) -> bool:
    return re.sub(r"[-_.]+", "-", name).lower() in {own.lower() for own in _SLICERS_OWN}


def _from_internet(wanted: Sequence[Requirement], tell: Callable[[str], object]) -> None:
    if any(one.name in _TORCH for one in wanted):
        tell(_("Installing PyTorch; this can take some minutes..."))
        least = {one.name: f">={one.least}" for one in requirements()}
        _pytorch().installTorch(
            torchVersionRequirement=least["torch"], torchvisionVersionRequirement=least["torchvision"]
        )
    others = [one.for_pip for one in wanted if one.name not in _TORCH]
    if others:
        tell(_("Installing the other packages..."))
        _pip_ensure(others)


def _pytorch() -> Any:
    """The logic of the extension PyTorch."""
    try:
        import PyTorchUtils
    except ImportError as error:
        raise LNHGError(
            _("The extension PyTorch is missing: install it in the Extensions Manager, restart Slicer and try again.")
        ) from error
    return PyTorchUtils.PyTorchUtilsLogic()


def _pip_ensure(words: list[str]) -> None:
    """Install into Slicer's Python; the reader has agreed before."""
    try:
        packaging = importlib.import_module("slicer.packaging")
    except ImportError:  # Slicer 5.10
        slicer.util.pip_install(words)
    else:
        packaging.pip_ensure(words, prompt_install=False, requester="LNHG Slicer")


@contextmanager
def _slicers_own_kept() -> Iterator[None]:
    """Every pip that is started in here, by whomever, keeps the packages that Slicer brought along."""
    before = os.environ.get("PIP_CONSTRAINT")
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text(
            "".join(f"{name}=={version}\n" for name, version in _installed(_SLICERS_OWN)), encoding="utf-8"
        )
        # As an address: pip takes a path for two where it holds a space.
        os.environ["PIP_CONSTRAINT"] = " ".join(filter(None, (before, constraints.as_uri())))
        try:
            yield
        finally:
            del os.environ["PIP_CONSTRAINT"]
            if before is not None:
                os.environ["PIP_CONSTRAINT"] = before


def _installed(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        with suppress(importlib.metadata.PackageNotFoundError):
            yield name, importlib.metadata.version(name)


@contextmanager
def _said_in_a_sentence() -> Iterator[None]:
    """Whatever pip, Slicer and its extensions raise, as an LNHGError."""
    try:
        yield
    except LNHGError:
        raise
    except Exception as error:
        raise LNHGError(
            _("A package could not be installed ({kind}: {error}). Look into Slicer's Python console.").format(
                kind=type(error).__name__, error=error
            )
        ) from error


def _numbers(version: str) -> tuple[int, ...]:
    """A version to compare: 2.5.1+cu124 as (2, 5, 1)."""
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("+")[0]))
