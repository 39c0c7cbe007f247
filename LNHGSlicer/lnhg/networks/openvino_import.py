"""OpenVINO, imported so that it tells its makers nothing."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from ..errors import InputError


def openvino_installed() -> bool:
    """Whether the package is there; nothing is imported."""
    return importlib.util.find_spec("openvino") is not None


def import_openvino(*, with_converter: bool = False) -> ModuleType:
    """The package `openvino`. Raises InputError where it is not installed.

    Importing its converter sends word of it to Intel wherever `openvino-telemetry` is installed, which pip installs
    along: the converter is left out, or finds no such package.
    """
    hidden = "openvino_telemetry" if with_converter else "openvino.tools.ovc"
    try:
        with _absent(hidden):
            if with_converter:
                importlib.import_module("openvino.tools.ovc")
            return importlib.import_module("openvino")
    except ImportError as error:
        raise InputError(
            f"OpenVINO cannot be used here ({error}); install the package openvino, or choose --runtime torch."
        ) from error


@contextmanager
def _absent(name: str) -> Iterator[None]:
    """A package that cannot be imported, though it may be installed; one that was imported before stays."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
