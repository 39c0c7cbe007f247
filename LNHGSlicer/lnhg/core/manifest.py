"""The manifest of weights: a JSON file beside them with kind, architecture, thresholds and what was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import WeightsError
from .resources import resource
from .seal import is_sealed

FORMAT = "lnhg-weights-2"
# Manifests of before they were sealed; those are taken at their word.
_UNSEALED = "lnhg-weights-1"
KINDS = ("generator", "detector", "rescorer")
# What each kind of weights is used with; all are scores, or values of G(x).
_THRESHOLDS = {"generator": ("g",), "detector": ("score",), "rescorer": ("score", "detector")}


def weights_folder(named: Path | None) -> Path:
    """The folder of weights that a person names: a folder, or a name like `lnhg-hybrid` of one that comes with LNHG
    beside the default weights; None: the default ones.
    """
    if named is None:
        return resource("Models")
    return resource("Models", named.name) if str(named) in _shipped() and not named.exists() else named


def _shipped() -> list[str]:
    return [folder.name for folder in resource("Models").iterdir() if folder.is_dir()]


def detector_folder(folder: Path) -> Path:
    """Where the detector is that a run with the weights of a folder takes: there, or, of a generator alone, the
    shipped one.
    """
    return folder if "detector" in kinds_in(folder) else resource("Models")


def scored_by(folder: Path, *, detector_alone: bool) -> dict[str, Any]:
    """The manifest of the weights that score the candidates last: of the rescorer where there is one, unless the
    detector's own scores are wanted. `folder` is a `detector_folder`. Raises WeightsError as `read_manifest`.
    """
    return read_manifest(folder, "rescorer" if "rescorer" in kinds_in(folder) and not detector_alone else "detector")


def kinds_in(folder: Path) -> tuple[str, ...]:
    """The kinds of weights that a folder holds; only the generator is always needed, and the rescorer never.

    Raises WeightsError where the system does not let one look, as into a folder of somebody else.
    """
    try:
        return tuple(
            kind for kind in KINDS if any((folder / f"{kind}.{ending}").is_file() for ending in ("json", "safetensors"))
        )
    except OSError as error:
        raise WeightsError(f"The folder of the weights cannot be read ({error.strerror}); choose another.") from error


def read_manifest(folder: Path, name: str) -> dict[str, Any]:
    """The manifest of one pair of files, checked for what every manifest must hold."""
    path = folder / f"{name}.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise WeightsError(f"The manifest {path.name} is missing in {folder}; install the weights again.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"The manifest {path.name} is not readable JSON; install the weights again.") from error
    if not _well_formed(manifest):
        raise WeightsError(
            f"{path.name} is not a manifest of LNHG weights; choose a folder with weights of this project."
        )
    if manifest["kind"] not in KINDS:
        raise WeightsError(f"{path.name} names the unknown kind {manifest['kind']!r}; choose weights of this project.")
    if manifest["format"] != _UNSEALED and not is_sealed(manifest):
        raise WeightsError(
            f"{path.name} was changed since it was written (its seal differs); install the weights again."
        )
    check_thresholds(path.name, manifest)
    return manifest


def check_thresholds(name: str, manifest: Mapping[str, Any]) -> None:
    """Raise WeightsError where a threshold of the manifest in the file `name` is missing or out of range."""
    thresholds = manifest["thresholds"]
    for needed in _THRESHOLDS[manifest["kind"]]:
        if needed not in thresholds:
            raise WeightsError(f"{name} names no threshold {needed}; install the weights again.")
    for threshold, value in thresholds.items():
        if type(value) not in (int, float) or not 0 <= value <= 1:  # neither for NaN nor for text
            raise WeightsError(f"{name} names {value!r} as its threshold {threshold}; it must be from 0 to 1.")


def _well_formed(manifest: Any) -> bool:
    needed = {
        "format": str,
        "kind": str,
        "architecture": dict,
        "grid": dict,
        "thresholds": dict,
        "sha256": str,
        "bytes": int,
    }
    return (
        isinstance(manifest, dict)
        and manifest.get("format") in (FORMAT, _UNSEALED)
        and all(isinstance(manifest.get(key), kind) for key, kind in needed.items())
    )
