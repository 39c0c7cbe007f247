"""What the tests of several files start from."""

from __future__ import annotations

import pytest


@pytest.fixture
def host():
    """A fresh scene of Slicer's library, as `slicer.mrmlScene`."""
    from LNHGSlicerLib.scene.headless import headless_host

    with headless_host() as scene:
        yield scene
