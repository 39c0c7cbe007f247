"""A CT that is kept ready for a reader's clicks: `python -m LNHGSlicerLib.run.click_process PID CT OPTION...`, beside
Slicer.

The CT is read, its lungs are found and the networks loaded once. Each line that comes then, a JSON list of words as
`lnhg segment` takes them, asks for what lies at some points. It is answered with lines as that command tells its
progress in, the last one with `error` or `answer`; voxels lie in a file beside the CT. It ends with its input, and with
Slicer.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from lnhg.commands.arguments import add_options, numbers, options_of
from lnhg.commands.common import print_json, shown
from lnhg.core.ct import CT
from lnhg.core.manifest import weights_folder
from lnhg.errors import LNHGError
from lnhg.networks.models import Models, open_models
from lnhg.options import Options
from lnhg.pipeline import segment_part
from lnhg.progress import Progress, ProgressCallback
from lnhg.readers.read_ct import read_ct
from lnhg.stages.prepared import prepare_ct

from .click_answer import Answer
from .under_slicer import end_with


def main() -> int:
    """Answer until the input ends. What prevents it is told as an `error`."""
    slicer_id, path, *words = sys.argv[1:]
    end_with(int(slicer_id))
    lines = _incoming()
    with shown(as_json=True) as progress:
        try:
            kept = _KeptCT(Path(path), progress)
        except LNHGError as error:
            print_json({"error": str(error)})
            return error.exit_code
        if lines.empty():
            with suppress(LNHGError):  # a click will tell
                kept.warm_up(words)
        for line in iter(lines.get, None):
            try:
                print_json({"answer": kept.answer(json.loads(line))})
            except LNHGError as error:
                print_json({"error": str(error)})
    return 0


def _incoming() -> SimpleQueue[str | None]:
    """The lines that come, and None at their end."""
    lines: SimpleQueue[str | None] = SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return lines


class _KeptCT:
    """A CT, its lungs and the networks that were asked for last."""

    def __init__(self, path: Path, progress: ProgressCallback) -> None:
        self._folder, self._progress = path.parent, progress
        self._opened: tuple[Any, Models] | None = None
        progress(Progress("read", 0.0, None))
        ct = read_ct(path)
        with suppress(OSError):  # large, and not needed any more
            path.unlink()
        progress(Progress("lungs", 0.0, None))
        self._ct = prepare_ct(ct)

    def warm_up(self, words: Sequence[str]) -> None:
        """What takes longer the first time is done on a drawn ball."""
        options, _ = _asked(words)
        k, j, i = np.ogrid[:16, :64, :64]
        ball = ((k - 8) * 1.5) ** 2 + ((j - 32) * 0.7) ** 2 + ((i - 32) * 0.7) ** 2 < 5**2
        drawn = CT(np.where(ball, 0, -850).astype(np.int16), np.diag([-0.7, -0.7, 1.5, 1]))
        at = drawn.to_ras(np.array([32, 32, 8])).tolist()
        Answer.of(*segment_part(drawn, options, [at], models=self._models_of(options)))

    def answer(self, words: Sequence[str]) -> dict[str, Any]:
        options, seeds = _asked(words)
        box, result = segment_part(self._ct, options, seeds, self._progress, self._models_of(options))
        return Answer.of(box, result).save(self._folder)

    def _models_of(self, options: Options) -> Models:
        """The networks, opened anew where others are asked for or their files were changed."""
        files = sorted(weights_folder(options.weights).glob("*"))
        state = [(one.name, one.stat().st_size, one.stat().st_mtime_ns) for one in files]
        wanted = options.weights, options.runtime, options.device, state
        if self._opened is None or self._opened[0] != wanted:
            opened = open_models(options.weights, options.runtime, options.device, with_detector=False)
            self._opened = wanted, opened
        return self._opened[1]


def _asked(words: Sequence[str]) -> tuple[Options, list[tuple[float, ...]]]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", action="append", type=numbers(3), default=[])
    add_options(parser)
    arguments = parser.parse_args(words)
    return options_of(arguments), arguments.seed


if __name__ == "__main__":
    sys.exit(main())
