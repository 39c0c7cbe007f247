"""Where the files that come with the method are: weights with their manifests, the colour table."""

from __future__ import annotations

from pathlib import Path

from ..errors import LNHGError


def resource(*parts: str) -> Path:
    """Path of a file or folder that ships with LNHG, such as `resource("Colors", "LNHG-Heterogeneity.ctbl")`.

    Installed, by pip or as an extension of Slicer, the files lie in `lnhg/resources`; in a source checkout in the
    top-level folder `Resources`. Raises `LNHGError` when the file is in neither.
    """
    package = Path(__file__).resolve().parents[1]
    for root in (package / "resources", package.parents[1] / "Resources"):
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise LNHGError(f"The file {'/'.join(parts)} that comes with LNHG is missing; install LNHG again.")
