"""The panel's part to install what the method needs, shown only while something is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from lnhg.errors import LNHGError

from .guard import Guard


class InstallGroup:
    """What is missing with its sizes, a folder for offline use, and two buttons: the small way, and with PyTorch."""

    def __init__(self, ui: Any, installer: Any, on_changed: Callable[[], None], guard: Guard) -> None:
        self.ui = ui
        self._installer, self._on_changed = installer, on_changed
        ui.installButton.clicked.connect(guard(lambda *_: self.install()))
        ui.installGpuButton.clicked.connect(guard(lambda *_: self.install(gpu=True)))
        self._look()

    @property
    def needed(self) -> bool:
        """Whether something is missing."""
        return bool(self._missing)

    def install(self, *, gpu: bool = False) -> None:
        """Install it, with PyTorch for `gpu`; an error is told in the group."""
        folder = self.ui.offlineFolderEdit.property("currentPath")
        self._set_enabled(False)
        self._tell(_("Installing. Slicer's window may stand still for some minutes..."))
        try:
            self._installer.install(Path(folder) if folder else None, self._tell, gpu=gpu)
        except LNHGError as error:
            self._look()
            self._tell("{} {}".format(error, self.ui.missingLabel.property("text")))
        else:
            self._look()
        finally:
            self._set_enabled(True)
            self._on_changed()

    def _look(self) -> None:
        self._missing = self._installer.missing()
        self.ui.installGroup.setVisible(self.needed)
        sizes = ", ".join(_("{name} ({size} MB)").format(name=one.name, size=one.megabytes) for one in self._missing)
        self._tell(_("This module needs, besides Slicer: {sizes}.").format(sizes=sizes))
        self.ui.installButton.setText(_("Install (about {size} MB)").format(size=_size(self._missing)))
        with_gpu = _size(self._installer.missing(gpu=True))
        self.ui.installGpuButton.setText(_("Install with GPU support (about {size} MB)").format(size=with_gpu))

    def _set_enabled(self, enabled: bool) -> None:
        self.ui.installButton.setEnabled(enabled)
        self.ui.installGpuButton.setEnabled(enabled)

    def _tell(self, sentence: str) -> None:
        self.ui.missingLabel.setText(sentence)
        slicer.app.processEvents()


def _size(packages: Sequence[Any]) -> int:
    return sum(one.megabytes for one in packages)
